/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO: code of the kernel's that runs in programs, to read the clock without entering the kernel. A shared object of
 * its own (position-independent, no data, no relocations), built by kernel/process/Makefrag.am.
 *
 * The page before the object is struct vdso_page, with Xen's own time record in it: time = system_time + scaled ticks
 * since tsc_timestamp, read again while the record's version is odd or has changed. Where that is not usable, and for what
 * it does not know, the system call answers: by a door, where the copy of this image that the space has says so (vdso.c).
 */
#include "xen/machine/vdso_page.h"

#define CALL_GETTIMEOFDAY 96
#define CALL_TIME 201
#define CALL_CLOCK_GETTIME 228
#define CALL_CLOCK_GETRES 229
#define CALL_GETCPU 309

#define NANOSECONDS 1000000000ull
#define COARSE_RESOLUTION_NS 4000000

enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_MONOTONIC_RAW = 4, CLOCK_REALTIME_COARSE = 5,
       CLOCK_MONOTONIC_COARSE = 6, CLOCK_BOOTTIME = 7, CLOCK_TAI = 11 };

struct time_spec {
    int64_t seconds, nanoseconds;
};

struct time_value {
    int64_t seconds, microseconds;
};

struct time_zone {
    int32_t minutes_west, daylight_time;
};

/* The linker script puts it one page before the object. */
extern const struct vdso_page vdso_data __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct time_spec *time);
int __vdso_clock_getres(int clock, struct time_spec *resolution);
int __vdso_gettimeofday(struct time_value *time, struct time_zone *zone);
int64_t __vdso_time(int64_t *time);
int __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);
int clock_gettime(int clock, struct time_spec *time) __attribute__((weak, alias("__vdso_clock_gettime")));
int clock_getres(int clock, struct time_spec *resolution) __attribute__((weak, alias("__vdso_clock_getres")));
int gettimeofday(struct time_value *time, struct time_zone *zone) __attribute__((weak, alias("__vdso_gettimeofday")));
int64_t time(int64_t *time) __attribute__((weak, alias("__vdso_time")));
int getcpu(uint32_t *cpu, uint32_t *node, void *unused) __attribute__((weak, alias("__vdso_getcpu")));

/* The kernel finds it by its place, and fills it in. */
extern const volatile uint64_t vdso_door __attribute__((visibility("hidden")));
const volatile uint64_t vdso_door __attribute__((section(".door"), used)) = 0;

/* As a trampoline does it: rcx = where to go on, just behind a `syscall`. */
static inline int64_t system_call(int64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;

    __asm__ volatile("mov %5, %%r11; test %%r11, %%r11; jz 1f; lea 2f(%%rip), %%rcx; jmp *%%r11; 1: syscall; 2:"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "m"(vdso_door)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static inline uint64_t ticks_read(void)
{
    uint32_t low, high;

    /* lfence: not before the version was read. */
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* False where the page cannot be used. */
static inline bool clock_read(uint64_t *monotonic_ns, uint64_t *real_offset_ns)
{
    const struct vdso_page *page = &vdso_data;
    const struct vcpu_time_info *record = &page->vcpu_info[0].time;
    uint32_t sequence, version;
    uint64_t now_ns;

    do {
        sequence = atomic_load_explicit(&page->sequence, memory_order_acquire);
        if (!(atomic_load_explicit(&page->flags, memory_order_relaxed) & VDSO_PAGE_USABLE))
            return false;
        version = read_once(record->version);
        atomic_thread_fence(memory_order_acquire);
        uint64_t ticks = ticks_read() - record->tsc_timestamp;
        ticks = record->tsc_shift >= 0 ? ticks << record->tsc_shift : ticks >> -record->tsc_shift;
        now_ns = record->system_time + (uint64_t)((unsigned __int128)ticks * record->tsc_to_system_mul >> 32);
        *monotonic_ns = now_ns - page->monotonic_base_ns;
        *real_offset_ns = page->real_offset_ns;
        atomic_thread_fence(memory_order_acquire);
    } while ((version & 1) || version != read_once(record->version) || (sequence & 1) ||
             sequence != atomic_load_explicit(&page->sequence, memory_order_relaxed));
    return true;
}

static inline bool clock_is_ours(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
           clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

int __vdso_clock_gettime(int clock, struct time_spec *time)
{
    uint64_t now_ns, real_offset_ns;

    if (!clock_is_ours(clock) || !clock_read(&now_ns, &real_offset_ns))
        return (int)system_call(CALL_CLOCK_GETTIME, (uint64_t)clock, (uint64_t)time, 0);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)
        now_ns += real_offset_ns;
    time->seconds = (int64_t)(now_ns / NANOSECONDS);
    time->nanoseconds = (int64_t)(now_ns % NANOSECONDS);
    return 0;
}

int __vdso_clock_getres(int clock, struct time_spec *resolution)
{
    if (!clock_is_ours(clock))
        return (int)system_call(CALL_CLOCK_GETRES, (uint64_t)clock, (uint64_t)resolution, 0);
    if (resolution) {
        bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
        resolution->seconds = 0;
        resolution->nanoseconds = coarse ? COARSE_RESOLUTION_NS : 1;
    }
    return 0;
}

int __vdso_gettimeofday(struct time_value *time, struct time_zone *zone)
{
    uint64_t now_ns, real_offset_ns;

    if (!clock_read(&now_ns, &real_offset_ns))
        return (int)system_call(CALL_GETTIMEOFDAY, (uint64_t)time, (uint64_t)zone, 0);
    if (time) {
        now_ns += real_offset_ns;
        time->seconds = (int64_t)(now_ns / NANOSECONDS);
        time->microseconds = (int64_t)(now_ns % NANOSECONDS / 1000);
    }
    if (zone)
        *zone = (struct time_zone){ 0, 0 };
    return 0;
}

int64_t __vdso_time(int64_t *time)
{
    uint64_t now_ns, real_offset_ns;

    if (!clock_read(&now_ns, &real_offset_ns))
        return system_call(CALL_TIME, (uint64_t)time, 0, 0);
    int64_t seconds = (int64_t)((now_ns + real_offset_ns) / NANOSECONDS);
    if (time)
        *time = seconds;
    return seconds;
}

/* Which vCPU runs us stands in no register that a program may read under every mode of Xen. */
int __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
    return (int)system_call(CALL_GETCPU, (uint64_t)cpu, (uint64_t)node, 0);
}
