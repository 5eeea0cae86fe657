/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The locks' uncommon ways; the common ones are cpu_mode.h's, with the event mask in them. Debug builds keep the ranks of the
 * locks this CPU holds and panic on one taken against the order, and on one that is none.
 */
#include "xen/machine/spinlock.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"

#define SPIN_LIMIT 2000u /* some 20 microseconds */
#define SPIN_AGAIN 200u
#define SPIN_POLITE 100u

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
 * Locks are held for microseconds. Who waits longer than that waits for a holder that Xen has taken off its processor, and lets Xen
 * run it. It does not sleep, which costs more than the wait; and there is no order of waiters, as each that is off its processor, too,
 * would hold up those behind it (fifty threads at one futex bucket, 4 vCPUs on 2 processors, all but stood still). But who
 * comes new leaves the lock to those who have waited long for a moment.
 */
void spinlock_wait(struct spinlock *lock)
{
    bool impatient = false;

    for (unsigned int spins = 0;; spins++) {
        uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
        bool free = (word & UINT16_MAX) == 0;
        if (DEBUG_BUILD && (word & UINT16_MAX) > 1)
            panic("spinlock at %p is none, but %#x: freed memory?", (void *)lock, word);
        if (free && (word == 0 || impatient || spins >= SPIN_POLITE) && spinlock_take(lock, word))
            break;
        cpu_relax();
        if (spins < SPIN_LIMIT)
            continue;
        if (!impatient)
            atomic_fetch_add_explicit(&lock->impatient, 1, memory_order_relaxed);
        impatient = true;
        spins = SPIN_LIMIT - SPIN_AGAIN;
        cpu_yield();
    }
    if (impatient)
        atomic_fetch_sub_explicit(&lock->impatient, 1, memory_order_relaxed);
}

bool spinlock_try_lock(struct spinlock *lock)
{
    cpu_events_mask();
    if (!spinlock_take(lock, 0)) {
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
    return atomic_load_explicit(&lock->taken, memory_order_relaxed) != 0;
}
