/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grant table.
 *
 * Free references are chained through the `frame` fields of their own entries, which Xen does not look at while flags are 0. The
 * table starts with START_FRAMES frames and grows by grant_table_reserve(), a frame (512 references) at a time.
 *
 * Revoking follows Xen's protocol: while flags show the other side reading or writing, nothing may be changed; else
 * a compare-and-exchange of flags to 0 ends the permission in one step. References that are still in use wait on `ending`, which a timer
 * goes through every second. Locks: table_lock guards the free chain and `ending`; grow_mutex, outside it, the growth.
 */
#include "xen/bus/grant_table.h"

#include <xen/xen.h>
#include <xen/grant_table.h>

#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/timer.h"
#include "xen/bus/grant_frames.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/clock.h"
#include "xen/machine/hypercall.h"

#define ENTRIES_PER_FRAME (unsigned int)(PAGE_SIZE / sizeof(struct grant_entry_v1))
#define FRAMES_LIMIT 64u
#define START_FRAMES 2u
#define FRAMES_UNKNOWN 4u /* what every Xen allows, where it does not answer */
#define RETRY_NS 1000000000ull

struct grant_ending {
    struct list link; /* table_lock */
    grant_reference_t reference;
    struct page *page;
};

static struct grant_entry_v1 *frames[FRAMES_LIMIT]; /* each fixed once set */
static unsigned int frame_count;                    /* written under both locks */
static unsigned int frame_limit;
static struct mutex grow_mutex = MUTEX_INITIALIZER(grow_mutex, "grant table growth", 0);
static struct spinlock table_lock = SPINLOCK_INITIALIZER("grant table", 0);
static grant_reference_t first_free; /* table_lock */
static unsigned int free_count;      /* table_lock */
static struct list ending = LIST_INITIALIZER(ending); /* table_lock */
static unsigned int ending_count;    /* table_lock */
static struct timer ending_timer;

static struct grant_entry_v1 *grant_entry(grant_reference_t reference)
{
    assert(reference >= GNTTAB_NR_RESERVED_ENTRIES && reference / ENTRIES_PER_FRAME < frame_count);
    return &frames[reference / ENTRIES_PER_FRAME][reference % ENTRIES_PER_FRAME];
}

static unsigned int grant_query_limit(void)
{
    struct gnttab_query_size query = { .dom = DOMID_SELF };

    if (hypercall_3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, (uint64_t)&query, 1) != 0 ||
        query.status != GNTST_okay)
        return FRAMES_UNKNOWN;
    return minimum(query.max_nr_frames, FRAMES_LIMIT);
}

/* One frame more; grow_mutex held. */
static int grant_table_grow(void)
{
    unsigned int index = frame_count;

    assert(mutex_held(&grow_mutex));
    if (index >= frame_limit)
        return -ENOSPC;
    frames[index] = boot_info.mode == BOOT_MODE_PV ? grant_frames_map_pv(index) : grant_frames_map_pvh(index);
    if (!frames[index])
        return -ENOMEM;

    spinlock_lock(&table_lock);
    frame_count = index + 1;
    for (unsigned int i = ENTRIES_PER_FRAME; i-- > 0;) {
        grant_reference_t reference = index * ENTRIES_PER_FRAME + i;
        if (reference < GNTTAB_NR_RESERVED_ENTRIES)
            continue; /* the toolstack's: console and xenstore */
        struct grant_entry_v1 *entry = grant_entry(reference);
        entry->flags = 0;
        entry->frame = first_free;
        first_free = reference;
        free_count++;
    }
    spinlock_unlock(&table_lock);
    return 0;
}

int grant_table_reserve(unsigned int count)
{
    int error = 0;

    mutex_lock(&grow_mutex);
    while (error == 0 && read_once(free_count) < count)
        error = grant_table_grow();
    mutex_unlock(&grow_mutex);
    return error;
}

int grant_table_allocate(grant_reference_t *reference)
{
    spinlock_lock(&table_lock);
    grant_reference_t taken = first_free;
    if (taken != GRANT_REFERENCE_NONE) {
        first_free = grant_entry(taken)->frame;
        free_count--;
    }
    spinlock_unlock(&table_lock);
    *reference = taken;
    return taken != GRANT_REFERENCE_NONE ? 0 : -ENOSPC;
}

void grant_table_free(grant_reference_t reference)
{
    struct grant_entry_v1 *entry = grant_entry(reference);

    assert(entry->flags == 0);
    spinlock_lock(&table_lock);
    entry->frame = first_free;
    first_free = reference;
    free_count++;
    spinlock_unlock(&table_lock);
}

void grant_table_permit(grant_reference_t reference, uint16_t domain, gfn_t frame, bool read_only)
{
    struct grant_entry_v1 *entry = grant_entry(reference);

    assert(entry->flags == 0);
    entry->domid = domain;
    entry->frame = (uint32_t)frame.number;
    /* Xen reads domid and frame once it sees flags. */
    __atomic_store_n(&entry->flags, (uint16_t)(GTF_permit_access | (read_only ? GTF_readonly : 0)), __ATOMIC_RELEASE);
}

bool grant_table_revoke(grant_reference_t reference)
{
    struct grant_entry_v1 *entry = grant_entry(reference);
    uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);

    do {
        if (flags & (GTF_reading | GTF_writing))
            return false;
    } while (!__atomic_compare_exchange_n(&entry->flags, &flags, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return true;
}

int grant_table_grant(uint16_t domain, struct page *page, bool read_only, grant_reference_t *reference)
{
    int error = grant_table_allocate(reference);

    if (error == 0)
        grant_table_permit(*reference, domain, frames_gfn(page_pfn(page)), read_only);
    return error;
}

bool grant_table_end(grant_reference_t reference)
{
    if (!grant_table_revoke(reference))
        return false;
    grant_table_free(reference);
    return true;
}

void grant_table_end_later(grant_reference_t reference, struct page *page)
{
    struct grant_ending *entry;

    if (grant_table_end(reference)) {
        if (page)
            page_release(page);
        return;
    }
    entry = memory_allocate(sizeof(*entry));
    if (!entry) {
        /* Lost for good: safe, as nobody will use the page again. */
        log_warning("grant table: reference %u is in use by its backend and is given up with its page", reference);
        return;
    }
    entry->reference = reference;
    entry->page = page;
    spinlock_lock(&table_lock);
    bool first = list_empty(&ending);
    list_add_last(&ending, &entry->link);
    ending_count++;
    spinlock_unlock(&table_lock);
    if (first)
        timer_start(&ending_timer, clock_monotonic_ns() + RETRY_NS);
}

/* Event context. */
static void grant_table_retry(struct timer *timer)
{
    struct grant_ending *entry, *following;
    struct list ended;

    list_init(&ended);
    spinlock_lock(&table_lock);
    list_for_each_safe(entry, following, &ending, link) {
        if (!grant_table_revoke(entry->reference))
            continue;
        list_remove(&entry->link);
        list_add_last(&ended, &entry->link);
        ending_count--;
    }
    bool again = !list_empty(&ending);
    spinlock_unlock(&table_lock);

    list_for_each_safe(entry, following, &ended, link) {
        list_remove(&entry->link);
        grant_table_free(entry->reference);
        if (entry->page)
            page_release(entry->page);
        memory_free(entry);
    }
    if (again)
        timer_start(timer, clock_monotonic_ns() + RETRY_NS);
}

int grant_table_init(void)
{
    int error = 0;

    timer_init(&ending_timer, grant_table_retry);
    frame_limit = grant_query_limit();
    mutex_lock(&grow_mutex);
    while (error == 0 && frame_count < minimum(START_FRAMES, frame_limit))
        error = grant_table_grow();
    mutex_unlock(&grow_mutex);
    return error;
}

void grant_table_statistics(struct grant_table_statistics *statistics)
{
    spinlock_lock(&table_lock);
    statistics->total = frame_count * ENTRIES_PER_FRAME - GNTTAB_NR_RESERVED_ENTRIES;
    statistics->free = free_count;
    statistics->ending = ending_count;
    spinlock_unlock(&table_lock);
}
