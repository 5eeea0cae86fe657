/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multicall queue of each CPU, and the counts that hypercall_gate.S keeps.
 *
 * hypercall_queue() appends to the current CPU's array; hypercall_queue_flush() hands it to Xen in one call and looks
 * at every result. Both run with events masked, so the array has one user at a time. A queue that runs full is sent at
 * once and its first error is kept for the flush.
 */
#include "xen/machine/hypercall.h"

#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"

static void queue_send(struct cpu_machine *machine)
{
    uint32_t count = machine->queue_count;

    if (count == 0)
        return;
    machine->queue_count = 0;
    long result = hypercall_2(__HYPERVISOR_multicall, (uint64_t)machine->queue, count);
    if (result < 0 && machine->queue_error == 0)
        machine->queue_error = (int)result;
    for (uint32_t i = 0; i < count && result >= 0; i++) {
        long entry_result = (long)machine->queue[i].result;
        if (entry_result < 0 && machine->queue_error == 0)
            machine->queue_error = (int)entry_result;
    }
}

void hypercall_queue(unsigned int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct cpu_machine *machine = cpu_machine_current();

    assert(cpu_events_masked());
    if (machine->queue_count == CPU_QUEUE_ENTRIES)
        queue_send(machine);
    machine->queue[machine->queue_count++] = (struct multicall_entry){ .op = number, .args = { a, b, c, d, 0, 0 } };
}

int hypercall_queue_flush(void)
{
    struct cpu_machine *machine = cpu_machine_current();

    queue_send(machine);
    int error = machine->queue_error;
    machine->queue_error = 0;
    return error;
}

void hypercall_counts(uint64_t counts[64])
{
    __builtin_memset(counts, 0, CPU_HYPERCALL_COUNTS * sizeof(*counts));
    for (unsigned int number = 0; number < CPU_LIMIT; number++) {
        const struct cpu_machine *machine = cpu_machine_by_number(number);
        for (size_t i = 0; machine && i < CPU_HYPERCALL_COUNTS; i++)
            counts[i] += read_once(machine->hypercall_counts[i]);
    }
}
