/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console. With a ring (a domU), bytes go through it to xenconsoled; without (a domain 0), to Xen's own console.
 *
 * Ring: we produce out[out_prod] and consume in[in_cons]; indices run freely and are reduced by the ring sizes. The other
 * end is not trusted: an index that is further ahead than the ring is long counts as a full, or an empty, ring.
 *
 * Locks: console_lock guards our two indices. It is the innermost of all (messages come from under any lock).
 */
#include "xen/machine/console.h"

#include <stdatomic.h>

#include <stdint.h>

#include <xen/io/console.h>
#include <xen/sched.h>
#include <xen/xen.h>

#include "kernel/base/compiler.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/clock.h"
#include "xen/machine/console_ring.h"
#include "xen/machine/cpu.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/frames.h"

#define CONSOLE_PATIENCE_NS 1000000000ull
#define CONSOLE_POLL_NS 2000000ull

static struct spinlock console_lock = SPINLOCK_INITIALIZER("console", 0xffff);
static struct xencons_interface *ring; /* NULL: domain 0 */
static atomic_bool backend_dead;       /* did not read for CONSOLE_PATIENCE_NS; until it reads again */
static atomic_bool lock_broken;
static atomic_bool at_line_start = true;
static void (*fallback)(const char *bytes, size_t length_bytes); /* fixed at the start */
static void (*_Atomic room_handler)(void);
static void (*_Atomic receiver)(const char *bytes, size_t length_bytes);

void console_find_ring(void)
{
    if (boot_info.console_port != 0)
        ring = frames_early_address(boot_info.console_frame);
}

void console_set_fallback(void (*write)(const char *bytes, size_t length_bytes))
{
    fallback = write;
}

static void lock_take(void)
{
    if (!atomic_load_explicit(&lock_broken, memory_order_relaxed))
        spinlock_lock(&console_lock);
}

static void lock_give(void)
{
    if (!atomic_load_explicit(&lock_broken, memory_order_relaxed))
        spinlock_unlock(&console_lock);
}

void console_break_lock(void)
{
    atomic_store(&lock_broken, true);
}

/* Puts in what there is room for. With `carriage_return`, a newline takes a return with it. */
static size_t ring_put(const char *bytes, size_t length_bytes, bool carriage_return)
{
    uint32_t producer = ring->out_prod;
    uint32_t used = producer - read_once(ring->out_cons);
    size_t taken = 0;

    atomic_thread_fence(memory_order_seq_cst); /* room seen before bytes written: pairs with the backend's read, then out_cons */
    if (used > sizeof(ring->out))
        used = sizeof(ring->out);
    for (uint32_t room = sizeof(ring->out) - used; taken < length_bytes; taken++) {
        uint32_t need = carriage_return && bytes[taken] == '\n' ? 2 : 1;
        if (room < need)
            break;
        room -= need;
        if (need == 2)
            ring->out[MASK_XENCONS_IDX(producer++, ring->out)] = '\r';
        ring->out[MASK_XENCONS_IDX(producer++, ring->out)] = bytes[taken];
    }
    atomic_thread_fence(memory_order_release); /* bytes before the index: pairs with the backend's read of out_prod */
    write_once(ring->out_prod, producer);
    return taken;
}

static size_t write_some(const char *bytes, size_t length_bytes, bool carriage_return)
{
    lock_take();
    size_t taken = ring_put(bytes, length_bytes, carriage_return);
    lock_give();
    if (taken != 0) {
        atomic_store_explicit(&at_line_start, bytes[taken - 1] == '\n', memory_order_relaxed);
        event_channel_send(boot_info.console_port);
    }
    return taken;
}

static void write_hypervisor(const char *bytes, size_t length_bytes)
{
    if (hypercall_3(__HYPERVISOR_console_io, CONSOLEIO_write, length_bytes, (uint64_t)bytes) < 0 && fallback)
        fallback(bytes, length_bytes);
    if (length_bytes != 0)
        atomic_store_explicit(&at_line_start, bytes[length_bytes - 1] == '\n', memory_order_relaxed);
}

bool console_at_line_start(void)
{
    return atomic_load_explicit(&at_line_start, memory_order_relaxed);
}

size_t console_write_some(const char *bytes, size_t length_bytes)
{
    if (ring)
        return write_some(bytes, length_bytes, false);
    write_hypervisor(bytes, length_bytes);
    return length_bytes;
}

/* Sleeps until any event, or a little while: a poll for no port in particular. Works with events masked. */
static void backend_wait(uint64_t now_ns)
{
    struct sched_poll request = { .nr_ports = 0, .timeout = clock_to_system_ns(now_ns + CONSOLE_POLL_NS) };

    hypercall_2(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&request);
}

void console_write_all(const char *bytes, size_t length_bytes)
{
    if (!ring) {
        write_hypervisor(bytes, length_bytes);
        return;
    }
    uint64_t start_ns = clock_monotonic_ns();
    for (;;) {
        size_t taken = write_some(bytes, length_bytes, true);
        uint64_t now_ns = clock_monotonic_ns();
        bytes += taken;
        length_bytes -= taken;
        if (taken != 0) {
            atomic_store_explicit(&backend_dead, false, memory_order_relaxed);
            start_ns = now_ns;
        }
        if (length_bytes == 0)
            return;
        if (atomic_load_explicit(&backend_dead, memory_order_relaxed))
            return;
        if (now_ns - start_ns > CONSOLE_PATIENCE_NS) {
            atomic_store_explicit(&backend_dead, true, memory_order_relaxed);
            return;
        }
        backend_wait(now_ns);
    }
}

void console_drain(void)
{
    if (!ring)
        return;
    uint64_t start_ns = clock_monotonic_ns();
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        if (read_once(ring->out_cons) == read_once(ring->out_prod) || now_ns - start_ns > CONSOLE_PATIENCE_NS)
            return;
        backend_wait(now_ns);
    }
}

void console_set_room_handler(void (*handler)(void))
{
    atomic_store(&room_handler, handler);
}

static size_t ring_get(char *bytes, size_t size_bytes)
{
    lock_take();
    uint32_t consumer = ring->in_cons;
    uint32_t available = read_once(ring->in_prod) - consumer;
    size_t count = 0;

    atomic_thread_fence(memory_order_acquire); /* index before bytes: pairs with the backend's write, then in_prod */
    if (available <= sizeof(ring->in))
        for (; count < size_bytes && count < available; count++)
            bytes[count] = ring->in[MASK_XENCONS_IDX(consumer++, ring->in)];
    atomic_thread_fence(memory_order_seq_cst); /* bytes read before the room is given back */
    write_once(ring->in_cons, consumer);
    lock_give();
    return count;
}

/* Event context. */
static void console_receive(event_port_t port, void *data)
{
    void (*receive)(const char *, size_t) = atomic_load(&receiver);
    void (*room)(void) = atomic_load(&room_handler);
    char bytes[64];
    size_t count;

    (void)data;
    if (receive) {
        bool any = false;
        while ((count = ring_get(bytes, sizeof(bytes))) != 0) {
            receive(bytes, count);
            any = true;
        }
        if (any)
            event_channel_send(port); /* the backend may have stopped at a full ring */
    }
    if (room)
        room();
}

void console_set_receiver(void (*new_receiver)(const char *bytes, size_t length_bytes))
{
    atomic_store(&receiver, new_receiver);
    if (!ring || !new_receiver)
        return;
    /* What was typed before anybody listened waits in the ring. */
    cpu_events_mask();
    console_receive(boot_info.console_port, NULL);
    cpu_events_unmask();
}

int console_connect(void)
{
    return ring ? event_channel_attach(boot_info.console_port, console_receive, NULL) : 0;
}
