/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket locks with events masked. `next` is the ticket to draw, `serving` the one being served; the lock is free where
 * they are equal. The common ways in and out are cpu_mode.h's, with the event mask in them. Debug builds keep the ranks of
 * the locks this CPU holds and panic on one taken against the order.
 */
#include "xen/machine/spinlock.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"

#define SPIN_LIMIT 2000u /* some 20 microseconds */
#define SPIN_AGAIN 200u

void spinlock_order_take(struct spinlock *lock)
{
    struct cpu_machine *machine = cpu_machine_current();

    for (uint32_t i = 0; i < machine->held_count; i++)
        if (lock->rank != 0 && machine->held_ranks[i] >= lock->rank)
            panic("spinlock %s (rank %u) taken while one of rank %u is held", lock->name, lock->rank,
                  machine->held_ranks[i]);
    if (machine->held_count == array_count(machine->held_ranks))
        panic("too many spinlocks held, at %s", lock->name);
    machine->held_ranks[machine->held_count++] = lock->rank;
    lock->holder = (uint16_t)(machine->cpu.number + 1);
}

void spinlock_order_release(struct spinlock *lock)
{
    struct cpu_machine *machine = cpu_machine_current();

    if (lock->holder != machine->cpu.number + 1)
        panic("spinlock %s released by CPU %u, not its holder", lock->name, machine->cpu.number);
    lock->holder = 0;
    for (uint32_t i = machine->held_count; i-- > 0;)
        if (machine->held_ranks[i] == lock->rank) {
            machine->held_ranks[i] = machine->held_ranks[--machine->held_count];
            return;
        }
}

void spinlock_init(struct spinlock *lock, const char *name, uint16_t rank)
{
    *lock = (struct spinlock)SPINLOCK_INITIALIZER(name, rank);
}

/*
 * Locks are held for microseconds. Who waits longer than that waits for a vCPU that Xen has taken off its processor, the holder's or
 * that of a ticket before ours, and lets Xen run it. It does not sleep: a lock that goes from one sleeper to the next, in the order of
 * tickets, was seen to take a hundred microseconds for each.
 */
void spinlock_wait(struct spinlock *lock, uint16_t ticket)
{
    unsigned int spins = 0;

    while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket) {
        cpu_relax();
        if (++spins < SPIN_LIMIT)
            continue;
        spins = SPIN_LIMIT - SPIN_AGAIN;
        cpu_yield();
    }
}

bool spinlock_try_lock(struct spinlock *lock)
{
    cpu_events_mask();
    uint16_t serving = atomic_load_explicit(&lock->serving, memory_order_acquire);
    uint16_t next = serving;
    if (!atomic_compare_exchange_strong_explicit(&lock->next, &next, (uint16_t)(serving + 1), memory_order_acquire,
                                                 memory_order_relaxed)) {
        cpu_events_unmask();
        return false;
    }
    if (DEBUG_BUILD)
        spinlock_order_take(lock);
    return true;
}

bool spinlock_held(const struct spinlock *lock)
{
    if (DEBUG_BUILD)
        return lock->holder == cpu_current()->number + 1;
    return atomic_load_explicit(&lock->next, memory_order_relaxed) !=
           atomic_load_explicit(&lock->serving, memory_order_relaxed);
}
