/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time from Xen's records (pvclock), and the one-shot timer.
 *
 * Xen keeps for each vCPU a time record (version, TSC stamp, system time at the stamp, scale), which it rewrites when the
 * vCPU moves or the TSC is calibrated anew; version is odd meanwhile. Our monotonic time is Xen's system time less what
 * it was when we booted. Where Xen does not promise that the records of all vCPUs agree (TSC_STABLE), the latest time
 * given out is kept and never undercut. Source: Xen, public/xen.h, struct vcpu_time_info.
 *
 * Real time is monotonic time plus an offset: the wall clock found at boot, until clock_set_real() changes it. The
 * offset's writers are serialised by clock_lock; readers go by the sequence in the vDSO page.
 */
#include "xen/machine/clock.h"

#include <stdatomic.h>

#include <stdint.h>

#include <xen/vcpu.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "xen/machine/cpu_machine.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/shared_info.h"
#include "xen/machine/spinlock.h"
#include "xen/machine/vdso_page.h"
#include "xen/x86/frames.h"

#define TIME_RECORD_STABLE 1u /* XEN_PVCLOCK_TSC_STABLE_BIT */
#define NS_PER_SECOND 1000000000ull

static struct vdso_page vdso_page attribute_aligned(4096);
static struct spinlock clock_lock = SPINLOCK_INITIALIZER("clock", 0);
static _Atomic uint64_t latest_ns;
static void (*_Atomic event_handler)(void);

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;
    /* lfence: the TSC must not be read before the record's version was. */
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return ((uint64_t)high << 32) | low;
}

static uint64_t scale_ns(const struct vcpu_time_info *record, uint64_t ticks)
{
    if (record->tsc_shift < 0)
        ticks >>= -record->tsc_shift;
    else
        ticks <<= record->tsc_shift;
    return (uint64_t)(((__uint128_t)ticks * record->tsc_to_system_mul) >> 32);
}

static uint64_t system_time_ns(const struct vcpu_time_info *record, uint8_t *flags)
{
    uint32_t version;
    uint64_t now_ns;

    do {
        version = read_once(record->version);
        compiler_barrier();
        now_ns = record->system_time + scale_ns(record, read_tsc() - record->tsc_timestamp);
        *flags = record->flags;
        compiler_barrier();
    } while ((version & 1) || version != read_once(record->version));
    return now_ns;
}

/* The system time of a moment in the past, which may be older than the record. */
static uint64_t stamp_system_ns(uint64_t stamp)
{
    const struct vcpu_time_info *record = &cpu_machine_current()->vcpu_info->time;
    uint64_t age;
    uint8_t flags;

    uint64_t now_ns = system_time_ns(record, &flags);
    age = read_tsc() - stamp;
    return now_ns - minimum(scale_ns(record, age), now_ns);
}

uint64_t clock_monotonic_ns(void)
{
    uint8_t flags;

    /* A thread stays on its CPU here: kernel code is not preempted. */
    uint64_t now_ns = system_time_ns(&cpu_machine_current()->vcpu_info->time, &flags) - vdso_page.monotonic_base_ns;
    if ((flags & TIME_RECORD_STABLE) || cpu_online_mask() == 1)
        return now_ns;

    uint64_t latest = atomic_load_explicit(&latest_ns, memory_order_relaxed);
    do {
        if (now_ns <= latest)
            return latest;
    } while (!atomic_compare_exchange_weak_explicit(&latest_ns, &latest, now_ns, memory_order_relaxed,
                                                    memory_order_relaxed));
    return now_ns;
}

uint64_t clock_stamp_ns(uint64_t stamp)
{
    uint64_t system_ns = stamp_system_ns(stamp);

    return system_ns - minimum(vdso_page.monotonic_base_ns, system_ns);
}

static void real_offset_set(uint64_t offset_ns)
{
    spinlock_lock(&clock_lock);
    atomic_fetch_add_explicit(&vdso_page.sequence, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    write_once(vdso_page.real_offset_ns, offset_ns);
    atomic_fetch_add_explicit(&vdso_page.sequence, 1, memory_order_release);
    spinlock_unlock(&clock_lock);
}

uint64_t clock_real_ns(void)
{
    return clock_monotonic_ns() + read_once(vdso_page.real_offset_ns);
}

void clock_set_real(uint64_t real_ns)
{
    real_offset_set(real_ns - clock_monotonic_ns());
}

/* A paused vCPU is offline to Xen; all its other time is since it was let run. */
uint64_t clock_since_unpause_ns(void)
{
    struct vcpu_runstate_info states;

    if (hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, (uint64_t)&states) != 0)
        return 0;
    return states.time[RUNSTATE_running] + states.time[RUNSTATE_runnable] + states.time[RUNSTATE_blocked];
}

/* Xen's wall clock at system time 0. */
static uint64_t wall_clock_ns(void)
{
    const struct shared_info *shared = &shared_info_page.info;
    uint32_t version;
    uint64_t seconds, nanoseconds;

    do {
        version = read_once(shared->wc_version);
        compiler_barrier();
        seconds = read_once(shared->wc_sec) | ((uint64_t)read_once(shared->wc_sec_hi) << 32);
        nanoseconds = read_once(shared->wc_nsec);
        compiler_barrier();
    } while ((version & 1) || version != read_once(shared->wc_version));
    return seconds * NS_PER_SECOND + nanoseconds;
}

void clock_init(uint64_t start_stamp)
{
    uint8_t flags;

    (void)system_time_ns(&cpu_machine_current()->vcpu_info->time, &flags);
    vdso_page.monotonic_base_ns = stamp_system_ns(start_stamp);
    real_offset_set(wall_clock_ns() + vdso_page.monotonic_base_ns);
    bool record_is_there = cpu_machine_current()->vcpu_info == &vdso_page.vcpu_info[0];
    if (record_is_there && ((flags & TIME_RECORD_STABLE) || cpu_online_mask() == 1))
        atomic_store(&vdso_page.flags, VDSO_PAGE_USABLE);
}

pfn_t clock_vdso_page(void)
{
    return frames_pfn_of_image(&vdso_page);
}

struct vcpu_info *vdso_page_vcpu_info(unsigned int cpu)
{
    return cpu < VDSO_PAGE_CPUS ? &vdso_page.vcpu_info[cpu] : NULL;
}

uint64_t clock_to_system_ns(uint64_t monotonic_ns)
{
    return monotonic_ns + vdso_page.monotonic_base_ns;
}

void clock_set_event(uint64_t deadline_ns)
{
    uint64_t deadline = deadline_ns == UINT64_MAX ? 0 : clock_to_system_ns(deadline_ns);

    if (hypercall_1(__HYPERVISOR_set_timer_op, deadline) != 0)
        log_error("clock: Xen refuses a timer at %llu ns", (unsigned long long)deadline_ns);
}

void clock_set_event_handler(void (*handler)(void))
{
    atomic_store(&event_handler, handler);
}

static void timer_receive(event_port_t port, void *data)
{
    (void)port;
    (void)data;
    void (*handler)(void) = atomic_load(&event_handler);
    if (handler)
        handler();
}

int clock_start_cpu(struct cpu_machine *machine)
{
    unsigned int cpu = machine->cpu.number;

    /* PV vCPUs start with a periodic timer of 100 Hz. */
    hypercall_3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, cpu, 0);
    return machine->timer_port ? 0 : event_channel_bind_virq(VIRQ_TIMER, cpu, timer_receive, NULL, &machine->timer_port);
}

/* Where the records may disagree, all have to look at the latest time, programs by the system call. */
void clock_expect_cpus(void)
{
    uint8_t flags;
    uint64_t now_ns = system_time_ns(&cpu_machine_current()->vcpu_info->time, &flags) - vdso_page.monotonic_base_ns;

    if (flags & TIME_RECORD_STABLE)
        return;
    atomic_store(&vdso_page.flags, 0);
    if (atomic_load(&latest_ns) < now_ns)
        atomic_store(&latest_ns, now_ns);
}
