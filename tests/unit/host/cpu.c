/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen/machine/cpu.h and spinlock.h on the host. Every thread is on a CPU of its own: its struct cpu is found through GS, as
 * the kernel's inline functions expect (the host's C library uses FS only). Spinlocks keep the list of what the thread
 * holds, and panic on a broken order of ranks, on a second lock, or on an unlock of what is not held.
 */
#include "xen/machine/cpu.h"

#include <asm/prctl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/base/panic.h"
#include "tests/unit/host/host.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/door.h"

#define HELD_LIMIT 32

static __thread struct cpu host_cpu;
static __thread const struct spinlock *held[HELD_LIMIT];
static __thread unsigned int held_count;
static __thread jmp_buf *panic_catcher;

void host_cpu_enter(struct thread *thread)
{
    static atomic_uint next_number;

    host_cpu.self = &host_cpu;
    host_cpu.number = atomic_fetch_add(&next_number, 1) % CPU_LIMIT;
    host_cpu.current = thread;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, &host_cpu) != 0)
        abort();
}

struct cpu *cpu_by_number(unsigned int number)
{
    return number == host_cpu.number ? &host_cpu : NULL;
}

uint64_t cpu_online_mask(void)
{
    return 1;
}

unsigned int cpu_online_count(void)
{
    return 1;
}

void cpu_events_mask(void)
{
    host_cpu.event_mask_depth++;
}

void cpu_events_unmask(void)
{
    if (host_cpu.event_mask_depth == 0)
        panic("events unmasked once too often");
    host_cpu.event_mask_depth--;
}

bool cpu_events_masked(void)
{
    return host_cpu.event_mask_depth > 0;
}

void cpu_yield(void)
{
    sched_yield();
}

void cpu_kick(unsigned int number)
{
}

void cpu_kick_and_wait(uint64_t mask)
{
}

/* Where doors lead; nobody goes there. */
uint64_t door_entry_address(void)
{
    return 0xffffffff80201000;
}

void spinlock_init(struct spinlock *lock, const char *name, uint16_t rank)
{
    *lock = (struct spinlock){.rank = rank, .name = name};
}

static void held_push(const struct spinlock *lock)
{
    for (unsigned int i = 0; i < held_count; i++)
        if (lock->rank != 0 && held[i]->rank >= lock->rank)
            panic("lock order: %s (rank %u) taken under %s (rank %u)", lock->name, lock->rank, held[i]->name, held[i]->rank);
    if (held_count == HELD_LIMIT)
        panic("too many spinlocks held");
    held[held_count++] = lock;
    cpu_events_mask();
}

void spinlock_lock(struct spinlock *lock)
{
    if (spinlock_held(lock))
        panic("spinlock %s taken twice", lock->name);
    while (!spinlock_take(lock, 0))
        sched_yield();
    held_push(lock);
}

bool spinlock_try_lock(struct spinlock *lock)
{
    if (!spinlock_take(lock, 0))
        return false;
    held_push(lock);
    return true;
}

void spinlock_unlock(struct spinlock *lock)
{
    unsigned int i = held_count;
    while (i > 0 && held[i - 1] != lock)
        i--;
    if (i == 0)
        panic("spinlock %s unlocked, but not held", lock->name);
    for (held_count--; i <= held_count; i++)
        held[i - 1] = held[i];
    atomic_store(&lock->taken, 0);
    cpu_events_unmask();
}

bool spinlock_held(const struct spinlock *lock)
{
    for (unsigned int i = 0; i < held_count; i++)
        if (held[i] == lock)
            return true;
    return false;
}

static void host_panic(const char *message)
{
    if (panic_catcher)
        longjmp(*panic_catcher, 1);
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

bool host_panics(void (*function)(void *argument), void *argument)
{
    jmp_buf here;

    panic_catcher = &here;
    bool panicked = setjmp(here) != 0;
    if (!panicked)
        function(argument);
    panic_catcher = NULL;
    return panicked;
}

__attribute__((constructor)) static void host_panic_start(void)
{
    panic_set_handler(host_panic);
}
