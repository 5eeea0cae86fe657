/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator: a buddy system over all RAM, with a small magazine of single pages on each CPU.
 *
 * page_allocate() takes a single page from the CPU's magazine, which is filled and emptied half at a time from the free
 * lists; larger blocks come from the lists directly. A free block's head has kind PAGE_FREE and its order; every other
 * page that is not the head of an allocated block has kind PAGE_RESERVED, which is what merging relies on.
 *
 * Under PV most memory is not mapped at first: it gets its structs, and goes to the free lists, 2 MiB at a time, when these have nothing left (grow()).
 *
 * Memory short: ordinary requests leave a reserve to ATOMIC ones; they run the registered reclaimers and try again.
 *
 * Locks: grow_lock, outside zone_lock, orders growth; zone_lock guards the free lists; magazines are their CPU's, with events masked; counters are atomic.
 */
#include "kernel/memory/page.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/memory/page_start.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"
#include "xen/x86/memory_map.h"
#include "xen/x86/paging.h"

#define MAGAZINE_PAGES 16u
#define RECLAIMER_LIMIT 8u
#define RECLAIM_TRIES 4u
#define RECLAIM_TARGET 32u
#define RESERVE_SHARE 128u  /* the reserve is 1/128 of memory */
#define RESERVE_LIMIT 256u

struct magazine {
    uint32_t count;
    struct page *pages[MAGAZINE_PAGES];
};

struct reclaimer {
    const char *name;
    size_t (*_Atomic reclaim)(size_t target_pages);
};

_Static_assert(sizeof(struct page) == MEMORY_MAP_STRUCT_BYTES, "the start of day has room for them");

static struct spinlock zone_lock = SPINLOCK_INITIALIZER("page zone", 0xf000);
static struct list free_blocks[PAGE_ORDER_LIMIT]; /* zone_lock */
static struct magazine magazines[CPU_LIMIT];      /* each its CPU's, events masked */
static struct page *pages;                        /* fixed */
static _Atomic uint64_t page_count;               /* a that have structs; grows, under grow_lock, with what is mapped */
static _Atomic uint64_t waiting_pages;            /* free ones that have none yet */
static struct spinlock grow_lock = SPINLOCK_INITIALIZER("memory growth", 0xef00);
static uint64_t reserve_pages;                    /* fixed after start */
static _Atomic uint64_t total_pages;
static _Atomic uint64_t free_pages;               /* magazines included */
static _Atomic uint64_t kind_pages[PAGE_KIND_COUNT];
static struct reclaimer reclaimers[RECLAIMER_LIMIT];
static _Atomic uint32_t reclaimer_count;

struct page *page_from_pfn(pfn_t pfn)
{
    return pfn.number < atomic_load_explicit(&page_count, memory_order_relaxed) ? &pages[pfn.number] : NULL;
}

pfn_t page_pfn(const struct page *page)
{
    return (pfn_t){ (uint64_t)(page - pages) };
}

struct page *page_from_address(const void *direct_map_address)
{
    return page_from_pfn(frames_pfn(direct_map_address));
}

/* ---- Free lists ---------------------------------------------------------------------------------------------------- */

/* zone_lock held. */
static void block_free_locked(struct page *page, unsigned int order)
{
    uint64_t number = page_pfn(page).number;

    for (; order < PAGE_ORDER_LIMIT - 1; order++) {
        struct page *buddy = page_from_pfn((pfn_t){ number ^ (1ull << order) });
        if (buddy == NULL || buddy->kind != PAGE_FREE || buddy->order != order)
            break;
        list_remove(&buddy->link);
        buddy->kind = PAGE_RESERVED;
        number &= ~(1ull << order);
    }
    page = &pages[number];
    page->kind = PAGE_FREE;
    page->order = (uint8_t)order;
    list_add_first(&free_blocks[order], &page->link);
}

/* zone_lock held. NULL: no block is large enough. */
static struct page *block_take_locked(unsigned int order)
{
    unsigned int found = order;

    while (found < PAGE_ORDER_LIMIT && list_empty(&free_blocks[found]))
        found++;
    if (found == PAGE_ORDER_LIMIT)
        return NULL;
    struct page *page = list_entry(free_blocks[found].next, struct page, link);
    list_remove(&page->link);
    while (found > order) {
        found--;
        struct page *upper = page + (1ull << found);
        upper->kind = PAGE_FREE;
        upper->order = (uint8_t)found;
        list_add_first(&free_blocks[found], &upper->link);
    }
    page->kind = PAGE_RESERVED;
    return page;
}

static struct page *magazine_take(void)
{
    struct page *page = NULL;

    cpu_events_mask();
    struct magazine *magazine = &magazines[cpu_current()->number];
    if (magazine->count == 0) {
        spinlock_lock(&zone_lock);
        while (magazine->count < MAGAZINE_PAGES / 2 && (page = block_take_locked(0)) != NULL)
            magazine->pages[magazine->count++] = page;
        spinlock_unlock(&zone_lock);
    }
    page = magazine->count != 0 ? magazine->pages[--magazine->count] : NULL;
    cpu_events_unmask();
    return page;
}

static void magazine_give(struct page *page)
{
    cpu_events_mask();
    struct magazine *magazine = &magazines[cpu_current()->number];
    page->kind = PAGE_RESERVED;
    if (magazine->count == MAGAZINE_PAGES) {
        spinlock_lock(&zone_lock);
        while (magazine->count > MAGAZINE_PAGES / 2)
            block_free_locked(magazine->pages[--magazine->count], 0);
        spinlock_unlock(&zone_lock);
    }
    magazine->pages[magazine->count++] = page;
    cpu_events_unmask();
}

/* Other CPUs' magazines stay: they are a few pages. */
void page_give_back_spares(void)
{
    cpu_events_mask();
    struct magazine *magazine = &magazines[cpu_current()->number];
    spinlock_lock(&zone_lock);
    while (magazine->count > 0)
        block_free_locked(magazine->pages[--magazine->count], 0);
    spinlock_unlock(&zone_lock);
    cpu_events_unmask();
}

/* ---- Memory that is mapped as it is wanted ------------------------------------------------------------------------- */

/* Structs for the pages up to `end`, which are all mapped. */
static void structs_init(uint64_t end)
{
    for (uint64_t i = atomic_load(&page_count); i < end; i++) {
        pages[i] = (struct page){ .kind = PAGE_RESERVED };
        list_init(&pages[i].link);
    }
    atomic_store(&page_count, end);
}

/* Gives pages to the free lists that were reserved so far. */
static void range_add(uint64_t number, uint64_t count)
{
    uint64_t end = number + count;

    assert(end <= atomic_load(&page_count));
    while (number < end) {
        unsigned int order = 0;
        while (order < PAGE_ORDER_LIMIT - 1 && number % (2ull << order) == 0 && number + (2ull << order) <= end)
            order++;
        spinlock_lock(&zone_lock);
        block_free_locked(&pages[number], order);
        spinlock_unlock(&zone_lock);
        number += 1ull << order;
    }
    atomic_fetch_add(&free_pages, count);
    atomic_fetch_sub(&kind_pages[PAGE_RESERVED], count);
}

/* Gives [from, end) to the free lists, but for what is reserved; how many pages. */
static uint64_t range_add_free(uint64_t from, uint64_t end)
{
    struct memory_range range = { from, 0 };
    uint64_t added = 0;

    while (memory_map_next_free(range.first + range.count, &range) && range.first < end) {
        range.count = minimum(range.count, end - range.first);
        range_add(range.first, range.count);
        added += range.count;
    }
    return added;
}

/* Any context. False: all is mapped. */
static bool grow(void)
{
    if (likely(atomic_load_explicit(&waiting_pages, memory_order_relaxed) == 0))
        return false;
    spinlock_lock(&grow_lock);
    uint64_t from = atomic_load(&page_count), end = memory_map_more();
    if (end > from) {
        structs_init(end);
        uint64_t added = range_add_free(from, end);
        atomic_fetch_add(&kind_pages[PAGE_RESERVED], added); /* range_add() took them from there, where they were not */
        atomic_fetch_sub(&waiting_pages, added);
    }
    spinlock_unlock(&grow_lock);
    return end > from;
}

/* ---- Allocation ---------------------------------------------------------------------------------------------------- */

static struct page *block_try(unsigned int order, unsigned int flags)
{
    uint64_t wanted = 1ull << order;
    struct page *page;

    if (!(flags & PAGE_ALLOCATE_ATOMIC) &&
        atomic_load_explicit(&free_pages, memory_order_relaxed) < wanted + reserve_pages)
        return NULL;
    if (order == 0) {
        page = magazine_take();
    } else {
        spinlock_lock(&zone_lock);
        page = block_take_locked(order);
        spinlock_unlock(&zone_lock);
    }
    if (page)
        atomic_fetch_sub_explicit(&free_pages, wanted, memory_order_relaxed);
    return page;
}

static size_t reclaim(size_t target)
{
    size_t freed = 0;

    for (uint32_t i = 0; i < atomic_load(&reclaimer_count) && freed < target; i++)
        freed += atomic_load(&reclaimers[i].reclaim)(target - freed);
    return freed;
}

static void page_init(struct page *page, unsigned int order, enum page_kind kind)
{
    list_init(&page->link);
    reference_init(&page->reference);
    atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
    page->order = (uint8_t)order;
    page->kind = (uint8_t)kind;
    page->owner = NULL;
    page->index = 0;
}

struct page *page_allocate(unsigned int order, enum page_kind kind, unsigned int flags)
{
    if (order >= PAGE_ORDER_LIMIT)
        return NULL;
    struct page *page = block_try(order, flags);
    while (unlikely(page == NULL) && grow())
        page = block_try(order, flags);
    if (unlikely(page == NULL) && order > 0) {
        page_give_back_spares();
        page = block_try(order, flags);
    }
    if (unlikely(page == NULL) && !(flags & PAGE_ALLOCATE_ATOMIC)) {
        paging_give_back();
        page = block_try(order, flags);
    }
    for (unsigned int i = 0; unlikely(page == NULL) && !(flags & PAGE_ALLOCATE_ATOMIC) && i < RECLAIM_TRIES; i++) {
        if (reclaim(maximum(RECLAIM_TARGET, 2u << order)) == 0)
            break;
        page = block_try(order, flags);
    }
    if (page == NULL)
        return NULL;

    page_init(page, order, kind);
    atomic_fetch_add_explicit(&kind_pages[kind], 1ull << order, memory_order_relaxed);
    if (flags & PAGE_ALLOCATE_ZERO)
        __builtin_memset(page_address(page), 0, PAGE_SIZE << order);
    return page;
}

void page_split(struct page *block)
{
    for (size_t count = 1ull << block->order, i = 0; i < count; i++)
        page_init(block + i, 0, block->kind);
}

void page_take(struct page *page)
{
    reference_take(&page->reference);
}

void page_release(struct page *page)
{
    if (!reference_release(&page->reference))
        return;
    unsigned int order = page->order;
    assert(page->kind != PAGE_FREE && page->kind != PAGE_RESERVED);
    atomic_fetch_sub_explicit(&kind_pages[page->kind], 1ull << order, memory_order_relaxed);
    atomic_fetch_add_explicit(&free_pages, 1ull << order, memory_order_relaxed);
    if (order == 0) {
        magazine_give(page);
        return;
    }
    spinlock_lock(&zone_lock);
    block_free_locked(page, order);
    spinlock_unlock(&zone_lock);
}

void page_statistics_get(struct page_statistics *statistics)
{
    statistics->total_pages = atomic_load_explicit(&total_pages, memory_order_relaxed);
    statistics->free_pages = atomic_load_explicit(&free_pages, memory_order_relaxed) +
                             atomic_load_explicit(&waiting_pages, memory_order_relaxed);
    for (size_t i = 0; i < PAGE_KIND_COUNT; i++)
        statistics->kind_pages[i] = atomic_load_explicit(&kind_pages[i], memory_order_relaxed);
    statistics->kind_pages[PAGE_FREE] = statistics->free_pages;
}

int page_register_reclaimer(const char *name, size_t (*function)(size_t target_pages))
{
    spinlock_lock(&zone_lock);
    uint32_t place = atomic_load(&reclaimer_count);
    if (place == RECLAIMER_LIMIT) {
        spinlock_unlock(&zone_lock);
        return -ENOSPC;
    }
    reclaimers[place].name = name;
    atomic_store(&reclaimers[place].reclaim, function);
    atomic_store(&reclaimer_count, place + 1);
    spinlock_unlock(&zone_lock);
    return 0;
}

/* ---- Start --------------------------------------------------------------------------------------------------------- */

void page_take_reserved(pfn_t first, uint64_t count, enum page_kind kind)
{
    assert(first.number + count <= atomic_load(&page_count));
    for (uint64_t i = 0; i < count; i++)
        page_init(&pages[first.number + i], 0, kind);
    atomic_fetch_add(&kind_pages[kind], count);
    atomic_fetch_sub(&kind_pages[PAGE_RESERVED], count);
}

static int table_allocate(pfn_t *pfn)
{
    struct page *page = page_allocate(0, PAGE_TABLE, PAGE_ALLOCATE_ZERO | PAGE_ALLOCATE_ATOMIC);

    if (page == NULL)
        return -ENOMEM;
    *pfn = page_pfn(page);
    return 0;
}

static void table_free(pfn_t pfn)
{
    page_release(page_from_pfn(pfn));
}

static const struct paging_table_allocator table_allocator = { .allocate = table_allocate, .free = table_free };

/* The page structs, of all memory, lie at the end of the largest free range that is mapped. */
static void pages_place(uint64_t *first, uint64_t *count)
{
    struct memory_range range = { 0, 0 }, largest = { 0, 0 };
    uint64_t mapped_end = memory_map_mapped_end();

    *count = PAGE_ROUND_UP(memory_map_end() * sizeof(struct page)) >> PAGE_SHIFT;
    while (memory_map_next_free(range.first + range.count, &range) && range.first < mapped_end) {
        range.count = minimum(range.count, mapped_end - range.first);
        if (range.count > largest.count)
            largest = range;
    }
    if (largest.count < *count)
        panic("%llu pages of memory, and no room for their %llu pages of structs", (unsigned long long)memory_map_end(),
              (unsigned long long)*count);
    *first = largest.first + largest.count - *count;
    memory_map_reserve(*first, *count);
}

static uint64_t free_past(uint64_t from)
{
    struct memory_range range = { from, 0 };
    uint64_t count = 0;

    while (memory_map_next_free(range.first + range.count, &range))
        count += range.count;
    return count;
}

void page_start(void)
{
    uint64_t first, count, mapped_end = memory_map_mapped_end();

    pages_place(&first, &count);
    pages = frames_address((pfn_t){ first });
    for (size_t order = 0; order < PAGE_ORDER_LIMIT; order++)
        list_init(&free_blocks[order]);
    structs_init(mapped_end);
    atomic_store(&waiting_pages, free_past(mapped_end));
    atomic_store(&total_pages, memory_map_pages());
    atomic_store(&kind_pages[PAGE_RESERVED], memory_map_pages() - atomic_load(&waiting_pages));
    (void)range_add_free(0, mapped_end);
    reserve_pages = minimum(memory_map_pages() / RESERVE_SHARE, (uint64_t)RESERVE_LIMIT);
    paging_set_table_allocator(&table_allocator);
}
