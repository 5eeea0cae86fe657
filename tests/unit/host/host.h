/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The low floors on the host, so that unit tests and fuzzers can run the kernel's own .c files under ASan and UBSan.
 *
 * What a contract header of xen/machine, xen/x86/user_access.h, kernel/memory and kernel/sched/thread.h, timer.h promises is
 * done here with pthreads (a kernel thread is a pthread, every one on a CPU of its own), malloc, and one mapping that stands for RAM
 * at DIRECT_MAP_BASE. Rooms above are linked as they are. Tests steer it by the functions below; a counter-example
 * to an invariant ends the test program with the panic's message.
 *
 *   memory of programs: any address of the test program is a valid "user" address, except below 64 KiB and in the
 *   range given to host_user_forbid().
 */
#pragma once

#include "kernel/base/compiler.h"

/* Time goes as the host's does, plus what is added here; timers that are then due expire before this returns. */
void host_clock_advance(uint64_t nanoseconds);

/* The allocation after `successes` more fails (pages and objects alike), and then every one until the next call; -1: none fails. */
void host_fail_allocations_after(long successes);
/* Pages and blocks of memory in use, to compare before and after. */
size_t host_pages_in_use(void);
size_t host_objects_in_use(void);

/* Asks each registered reclaimer for so many pages. */
void host_reclaim(size_t target_pages);

/* user_copy_* answer faults in this range; length 0: nowhere. */
void host_user_forbid(uint64_t user, size_t length_bytes);

/* Runs function(argument); true if it panicked. Locks it held stay held. */
bool host_panics(void (*function)(void *argument), void *argument);

/* Another domain's view of a grant: the page, or NULL where it may not (write to) it; and holding it mapped. */
void *host_grant_page(uint32_t reference, bool write);
void host_grant_hold(uint32_t reference, bool hold);
/* Fires an event channel's handler, in event context, here and now; how often we notified. */
void host_event_fire(uint32_t port);
unsigned int host_event_sends(uint32_t port);

/* Used inside host/ only. */
struct thread;
void host_cpu_enter(struct thread *thread);
bool host_allocation_fails(void);
/* Sets bits of the entry at `address`, as a processor does: PAGING_ACCESSED, PAGING_DIRTY. */
struct paging_root;
void host_paging_mark(struct paging_root *root, uint64_t address, uint32_t flags);
void host_timers_expire(void);

/* The console: what was written to it (the newest bytes, terminated), and bytes typed at it. */
const char *host_console_output(void);
void host_console_type(const char *text);
/* How many bytes the ring takes before it is full; console_room comes when it is raised. */
void host_console_set_room(size_t bytes);
