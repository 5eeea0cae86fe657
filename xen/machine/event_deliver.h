/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entry code's side of event channels.
 */
#pragma once

/* Runs the handlers of everything pending on this CPU. Events masked. */
void event_channel_deliver(void);
/* Ports that have a handler, for leak checks. */
unsigned int event_channel_count(void);
