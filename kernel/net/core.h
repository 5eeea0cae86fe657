/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core lock: whoever calls lwIP holds it. It is the only lock lwIP runs under.
 *
 * Order of locks in this room, outermost first:
 *   socket's connect, send and receive mutexes → core lock (mutex) → socket's queue lock, interface's transmit lock (spinlocks) → wait queues.
 * A call-back of lwIP (core lock held) takes the socket mutexes by trying only. Program memory is never copied under the core lock.
 *
 * network_unlock() finishes what was done under the lock: packets to ourselves are fed back (never from inside lwIP, so that it is
 * not re-entered), frames for the devices go out in one batch, and the timers are told if TCP needs them.
 */
#pragma once

#include "kernel/base/compiler.h"

int network_core_start(void);
/* Thread context. */
void network_lock(void);
void network_unlock(void);
bool network_locked(void);

/* Core lock held: lets the network thread look again which timers are wanted (a DHCP client was started, a group joined). */
void network_timers_changed(void);
