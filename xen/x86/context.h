/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's processor state between its turns: the kernel stack pointer (callee-saved registers lie on that stack),
 * segment bases, extended (XSAVE) state and page-table root. kernel/sched embeds it in struct thread.
 *
 * Kernel threads have no extended state and no root; they run on whatever root was last active.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"

struct paging_root;
struct trap_frame;

struct context {
    void *stack_pointer;
    void *stack_top;               /* the user frame lies just below it */
    uint64_t fs_base;
    uint64_t gs_base;              /* the program's */
    void *extended_state;          /* 64-byte aligned, context_extended_bytes() long; NULL: kernel thread */
    struct paging_root *root;      /* NULL: kernel thread, or one that has left its program for good */
    /* kernel/sched's and its owner's. While one is set, there is something to do before the program goes on: entry code looks at all four at once. */
    atomic_bool interrupted;       /* interruptible sleeps end with -EINTR while set */
    bool switched;                 /* another ran on its CPU since its owner cleared this; true for a new one. Atomic */
    bool unfinished;               /* its own: a call leaves more than its result behind, such as another frame */
    bool unused;
    int32_t door_calls_left;       /* its own: calls by doors until one is measured; below 0: the next one is */
};

/* Prepares a fresh context whose first switch calls entry(argument) on the given stack with events masked once (the scheduler unmasks). */
void context_init(struct context *context, void *stack_base, size_t stack_bytes, void (*entry)(void *), void *argument);

/*
 * Switches stack, and for user threads extended state, segment bases and root, where they differ. Events masked.
 * Returns (on the old stack) when somebody switches back.
 */
void context_switch(struct context *from, struct context *to);

/* Size of the XSAVE area for the enabled features, the enabled feature mask (XCR0; 0 with FXSAVE only), and a fresh state. */
size_t context_extended_bytes(void);
uint64_t context_extended_mask(void);
void context_extended_init(void *state);
/* Saves the processor's live extended state of the current thread into its area / loads it back from there. */
void context_extended_save(struct context *context);
void context_extended_load(struct context *context);

/* Reads / sets the current thread's bases in the processor and in its context. */
void context_set_fs_base(struct context *context, uint64_t base);
void context_set_gs_base(struct context *context, uint64_t base);

/* Loads the current thread's GS base anew: the program has changed it otherwise. Events masked. */
void context_reload_gs_base(void);

uint64_t context_get_fs_base(const struct context *context);

/* The user frame at the top of the thread's kernel stack. */
struct trap_frame *context_user_frame(const struct context *context);

/* Leaves to user mode with the frame at the top of the current thread's stack (which the caller filled). */
void context_enter_user(struct context *context) attribute_noreturn;
