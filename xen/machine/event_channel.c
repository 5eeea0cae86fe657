/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels, 2-level ABI. Xen sets a port's pending bit and, unless the port is masked, the bit of its word in the
 * vCPU's pending_sel, then upcall_pending; the entry code calls event_channel_deliver(), which goes the other way down.
 *
 * Ports are a table: a slot's handler is set before its port is unmasked and taken away after it is masked again;
 * `running` counts CPUs inside the handler, so that close can wait for them. Ports of several CPUs share a word of pending bits:
 * each CPU's block says which are its own, and it leaves the others alone.
 *
 * Locks: ports_lock guards claiming of slots; delivery takes none.
 */
#include "xen/machine/event_channel.h"

#include <stdatomic.h>

#include <stdint.h>

#include <xen/event_channel.h>
#include <xen/xen.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_deliver.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/machine/spinlock.h"

#define PORT_LIMIT (CPU_PORT_WORDS * 64u)

struct port_slot {
    event_handler_t _Atomic handler; /* NULL: free */
    void *data;
    uint16_t cpu;                    /* it comes to */
    atomic_uint running;
};

static struct port_slot ports[PORT_LIMIT];
static struct spinlock ports_lock = SPINLOCK_INITIALIZER("event ports", 0);

static void bit_set_atomic(xen_ulong_t *words, event_port_t port)
{
    __atomic_fetch_or(&words[port / 64], 1ul << (port % 64), __ATOMIC_SEQ_CST);
}

static void bit_clear_atomic(xen_ulong_t *words, event_port_t port)
{
    __atomic_fetch_and(&words[port / 64], ~(1ul << (port % 64)), __ATOMIC_SEQ_CST);
}

static long channel_op(unsigned int operation, void *argument)
{
    return hypercall_2(__HYPERVISOR_event_channel_op, operation, (uint64_t)argument);
}

static _Atomic uint64_t *port_word(unsigned int cpu, event_port_t port)
{
    return &cpu_machine_by_number(cpu)->ports[port / 64];
}

static int port_attach(event_port_t port, unsigned int cpu, event_handler_t handler, void *data)
{
    if (port == 0 || port >= PORT_LIMIT)
        return -ENOSPC;
    spinlock_lock(&ports_lock);
    struct port_slot *slot = &ports[port];
    if (atomic_load(&slot->handler) != NULL) {
        spinlock_unlock(&ports_lock);
        return -EBUSY;
    }
    slot->data = data;
    slot->cpu = (uint16_t)cpu;
    atomic_fetch_or(port_word(cpu, port), 1ull << (port % 64));
    atomic_store(&slot->handler, handler);
    spinlock_unlock(&ports_lock);
    event_channel_unmask(port);
    return 0;
}

int event_channel_attach(event_port_t port, event_handler_t handler, void *data)
{
    return port_attach(port, 0, handler, data);
}

static void port_close(event_port_t port)
{
    struct evtchn_close request = { .port = port };
    channel_op(EVTCHNOP_close, &request);
}

/* After a bind: attaches, or gives the port back. */
static int port_adopt(long result, event_port_t new_port, unsigned int cpu, event_handler_t handler, void *data,
                      event_port_t *port)
{
    if (result != 0)
        return (int)result;
    *port = new_port;
    int error = port_attach(new_port, cpu, handler, data);
    if (error != 0) {
        *port = 0;
        log_error("event channel %u: no slot for it, error %d", new_port, error);
        port_close(new_port);
    }
    return error;
}

int event_channel_allocate_unbound(uint16_t remote_domain, event_handler_t handler, void *data, event_port_t *port)
{
    struct evtchn_alloc_unbound request = { .dom = DOMID_SELF, .remote_dom = remote_domain };
    long result = channel_op(EVTCHNOP_alloc_unbound, &request);
    return port_adopt(result, request.port, 0, handler, data, port);
}

int event_channel_bind_interdomain(uint16_t remote_domain, event_port_t remote_port, event_handler_t handler,
                                   void *data, event_port_t *port)
{
    struct evtchn_bind_interdomain request = { .remote_dom = remote_domain, .remote_port = remote_port };
    long result = channel_op(EVTCHNOP_bind_interdomain, &request);
    return port_adopt(result, request.local_port, 0, handler, data, port);
}

int event_channel_bind_virq(unsigned int virq, unsigned int cpu, event_handler_t handler, void *data,
                            event_port_t *port)
{
    struct evtchn_bind_virq request = { .virq = virq, .vcpu = cpu };
    long result = channel_op(EVTCHNOP_bind_virq, &request);
    return port_adopt(result, request.port, cpu, handler, data, port);
}

int event_channel_bind_ipi(unsigned int cpu, event_handler_t handler, void *data, event_port_t *port)
{
    struct evtchn_bind_ipi request = { .vcpu = cpu };
    long result = channel_op(EVTCHNOP_bind_ipi, &request);
    return port_adopt(result, request.port, cpu, handler, data, port);
}

void event_channel_send(event_port_t port)
{
    struct evtchn_send request = { .port = port };
    channel_op(EVTCHNOP_send, &request);
}

void event_channel_mask(event_port_t port)
{
    bit_set_atomic(shared_info_page.info.evtchn_mask, port);
}

void event_channel_unmask(event_port_t port)
{
    /* By hypercall: it alone gets an event that came meanwhile to the CPU the port is bound to. */
    struct evtchn_unmask request = { .port = port };
    channel_op(EVTCHNOP_unmask, &request);
}

void event_channel_close(event_port_t port)
{
    if (port == 0 || port >= PORT_LIMIT)
        return;
    struct port_slot *slot = &ports[port];

    event_channel_mask(port);
    /* A delivery that saw the port unmasked has counted itself before it reads the handler. */
    atomic_store(&slot->handler, NULL);
    atomic_fetch_and(port_word(slot->cpu, port), ~(1ull << (port % 64)));
    while (atomic_load(&slot->running) != 0)
        cpu_relax();
    /* Last: from then on Xen may give the number to whoever binds next. It forgets what is pending. */
    port_close(port);
}

unsigned int event_channel_count(void)
{
    unsigned int count = 0;
    for (size_t i = 0; i < PORT_LIMIT; i++)
        count += atomic_load_explicit(&ports[i].handler, memory_order_relaxed) != NULL;
    return count;
}

static void port_deliver(event_port_t port)
{
    struct port_slot *slot = &ports[port];

    bit_clear_atomic(shared_info_page.info.evtchn_pending, port);
    atomic_fetch_add(&slot->running, 1);
    event_handler_t handler = atomic_load(&slot->handler);
    if (likely(handler != NULL))
        handler(port, slot->data);
    atomic_fetch_sub(&slot->running, 1);
}

/* Masked ports are left pending: their unmask looks at them. What comes again meanwhile sets the word's bit again. */
static void word_deliver(const struct cpu_machine *machine, unsigned int word)
{
    struct shared_info *shared = &shared_info_page.info;
    xen_ulong_t bits = read_once(shared->evtchn_pending[word]) & ~read_once(shared->evtchn_mask[word]) &
                       atomic_load_explicit(&machine->ports[word], memory_order_relaxed);

    for (; bits != 0; bits &= bits - 1)
        port_deliver(word * 64 + bits_lowest(bits));
}

void event_channel_deliver(void)
{
    struct cpu_machine *machine = cpu_machine_current();
    struct vcpu_info *vcpu_info = machine->vcpu_info;

    machine->cpu.event_context_depth++;
    do {
        write_once(vcpu_info->evtchn_upcall_pending, 0);
        /* Cleared before the words are read: an event after the exchange sets it again. Pairs with Xen's set order. */
        xen_ulong_t words = __atomic_exchange_n(&vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (words &= (1ull << CPU_PORT_WORDS) - 1; words != 0; words &= words - 1)
            word_deliver(machine, bits_lowest(words));
        /* After the pending bits were taken: cpu_kick_and_wait() may have sent one that was pending already. */
        write_once(machine->upcalls, machine->upcalls + 1);
    } while (read_once(vcpu_info->evtchn_upcall_pending));
    machine->cpu.event_context_depth--;
    cpu_send_kicks(machine);
}
