/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few functions, and a table of them, that low floors call and higher rooms define. Everything else that goes up is a registered
 * callback or a contract struct.
 */
#pragma once

#include "kernel/base/compiler.h"

struct trap_frame;
struct thread;

/* kernel/linux: a system call of the program; the frame is on the thread's kernel stack, events are deliverable. */
void upcall_system_call(struct trap_frame *frame);

/*
 * kernel/linux: what the entry code calls, by number, where the program came by a door. The result goes to the frame's rax; what a handler does to
 * the frame beyond that, or leaves to be done before the program goes on, it says in struct context or struct cpu.
 */
#define UPCALL_HANDLERS 463
typedef long upcall_handler_t(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern upcall_handler_t *const upcall_handlers[UPCALL_HANDLERS];
/* The same for a call that is measured or traced, has no handler, or is the first one on its CPU. The frame's original_rax is its number. */
void upcall_door(struct trap_frame *frame);

/* kernel/process: it came by a `syscall` instruction, which may be worth a door (xen/x86/door.h). The same frame, before the call is served. */
void upcall_call_site(struct trap_frame *frame);

/*
 * kernel/process: a page fault in user space's half, from the program or from user_copy (frame_is_user() tells). On
 * return the faulting instruction runs again, unless it answers false in kernel mode: then the exception table or panic.
 * `error` is the processor's error code (bit 0 present, 1 write, 2 user, 4 fetch).
 */
bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error);

/* kernel/process: any other trap from user mode (#DE, #UD, #GP, #BP, ...): becomes a signal. */
void upcall_user_trap(struct trap_frame *frame, unsigned int vector, uint64_t error);

/* kernel/process: last stop before every return to user mode: signals, exits, rescheduling, until none is due. Events are masked, and
 * deliverable while it does such work. */
void upcall_return_to_user(struct trap_frame *frame);
