/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting vCPUs. Everything that may fail is done by the CPU that starts another, before that runs: its vcpu_info, its timer's and
 * its kick's event channels. A vCPU that went down keeps all of it, its stack too: it goes on where it stopped.
 */
#include "xen/machine/cpu_start.h"

#include <stdint.h>

#include <xen/vcpu.h>

#include "kernel/base/error.h"
#include "kernel/base/panic.h"
#include "xen/machine/clock.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"
#include "xen/x86/processor.h"

static const struct cpu_start_ops *ops;
static void (*cpu_main)(void);

static long vcpu_op(unsigned int operation, unsigned int number)
{
    return hypercall_3(__HYPERVISOR_vcpu_op, operation, number, 0);
}

void cpu_start_choose(const struct cpu_start_ops *chosen)
{
    ops = chosen;
}

unsigned int cpu_count_possible(void)
{
    unsigned int count = 1;

    while (ops && count <= CPU_LIMIT && vcpu_op(VCPUOP_is_up, count) >= 0)
        count++;
    return count;
}

static void port_drop(event_port_t *port)
{
    if (*port != 0)
        event_channel_close(*port);
    *port = 0;
}

int cpu_start(struct cpu_machine *machine, unsigned int number, void *stack_top, void (*main)(void))
{
    clock_expect_cpus();
    cpu_main = main;
    cpu_block_init(machine, number);
    long error = cpu_place_vcpu_info(machine) ? 0 : -EINVAL;
    if (error == 0)
        error = cpu_bind_kick(&cpu_boot_block);
    if (error == 0)
        error = cpu_bind_kick(machine);
    if (error == 0)
        error = clock_start_cpu(machine);
    if (error == 0)
        error = ops->prepare(machine, stack_top);
    if (error == 0)
        error = vcpu_op(VCPUOP_up, number);
    if (error == 0)
        return 0;
    port_drop(&machine->timer_port);
    port_drop(&machine->kick_port);
    cpu_block_forget(machine);
    return (int)error;
}

void cpu_begin(void)
{
    ops->begin();
    processor_start_cpu();
    cpu_main();
    panic("CPU %u has nothing to do", cpu_current()->number);
}

void cpu_leave(void)
{
    long error = vcpu_op(VCPUOP_down, cpu_current()->number);

    if (error != 0)
        panic("Xen does not let CPU %u go: error %ld", cpu_current()->number, error);
}

bool cpu_is_down(unsigned int number)
{
    return vcpu_op(VCPUOP_is_up, number) == 0;
}

int cpu_start_again(unsigned int number)
{
    return (int)vcpu_op(VCPUOP_up, number);
}
