/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page faults: the one place where pages enter an address space.
 *
 *   anonymous           zero pages, a cluster that grows while the program goes forward; or 2 MiB at once (large_page.c)
 *   private file        the cache's pages read-only (marked copy-on-write) with up to 15 neighbours, up to 63 that follow
 *                       for those going forward; a copy on write, for small areas with up to 15 neighbours' (what the file gets
 *                       afterwards is not seen in a private page once it is copied: POSIX leaves open when)
 *   shared file         the cache's pages; writable only once dirty, so that the first store is seen
 *   shared memory       the cache's pages, made on demand
 *   special             what the backing gives
 *
 * Faults hold space->lock for reading, and map under page_lock after a second look at the entries: another thread may
 * have been there first. Cached pages are mapped under their cache's lock, below its size: truncation and reclaim cannot
 * miss a mapping. No page is allocated under page_lock (reclaim takes it). For I/O space->lock is dropped, and the fault
 * is looked at anew afterwards. A fault costs one batched page-table update, whatever it brings in.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vm/fault_internal.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"

#define FAULT_READ_PAGES 32u
#define FAULT_READ_LIMIT 256u

static bool fault_writes(const struct fault *fault)
{
    return fault->access & (PAGING_WRITE | FAULT_PRIVATE);
}

/*
 * Maps fault->entries (flags 0: nothing), `mapped` of them, taking over the references of their pages. page_lock held.
 */
static int fault_map(struct fault *fault, size_t mapped)
{
    struct address_space *space = fault->space;

    int error = paging_map(&space->root, fault->start, fault->entries, fault->count);
    if (error != 0)
        return error;
    area_touch(fault->area, fault->start, fault->start + (fault->count << PAGE_SHIFT));
    address_space_count_resident(space, mapped);
    return 0;
}

/* After a failed paging_map() of fresh entries: takes back what was mapped. page_lock held. */
static void fault_unmap(struct fault *fault)
{
    for (size_t i = 0; i < fault->count; i++)
        if (fault->entries[i].flags != 0)
            paging_unmap(&fault->space->root, fault->start + (i << PAGE_SHIFT), NULL, 1);
}

/* Looks which pages of the window are there. page_lock held. */
static void fault_look(struct fault *fault)
{
    struct paging_entry entries[FAULT_CLUSTER];
    uint64_t start = fault->start, end = start + (fault->count << PAGE_SHIFT);

    fault->used = 0;
    if (!area_touched_range(fault->area, &start, &end))
        return;
    for (size_t i = (start - fault->start) >> PAGE_SHIFT; start < end;) {
        size_t batch = (size_t)minimum((end - start) >> PAGE_SHIFT, (uint64_t)FAULT_CLUSTER);
        paging_query(&fault->space->root, start, entries, batch);
        for (size_t at = 0; at < batch; at++, i++)
            if (paging_entry_used(&entries[at]))
                fault->used |= 1ull << i;
        start += batch << PAGE_SHIFT;
    }
}

static bool fault_vacant(const struct fault *fault, size_t page)
{
    return !(fault->used >> page & 1);
}

/*
 * How many zero pages this fault brings: 1 for jumpers in small programs, more for large ones; 16 for those going forward, and 64 once that is
 * a small part of what they have gone through. The first fault of an area brings what areas before it came to (area_learn).
 */
static size_t fault_cluster(struct fault *fault)
{
    struct area *area = fault->area;
    uint64_t resident = atomic_load_explicit(&fault->space->resident_pages, memory_order_relaxed);
    uint64_t touched = read_once(area->touched_start);
    uint32_t last = atomic_load_explicit(&area->fault_cluster, memory_order_relaxed);
    size_t cluster = (size_t)minimum(maximum(resident / 128, 1ull), (uint64_t)FAULT_CLUSTER / 2);

    if (atomic_load_explicit(&area->fault_next, memory_order_relaxed) == fault->address) {
        bool far = fault->address > touched && fault->address - touched >= FAULT_LIMIT * FAULT_SHARE * PAGE_SIZE;
        cluster = minimum(maximum((size_t)last * 2, cluster), (size_t)(far ? FAULT_LIMIT : FAULT_CLUSTER));
    } else if (touched == UINT64_MAX && !area->backing) {
        cluster = maximum(cluster, area->end - area->start <= 2 * PAGE_SIZE ? 2 : area_expect(fault->space));
    }
    return cluster > 1 && page_memory_is_short() ? 1 : cluster;
}

/* Who goes forward will come to `next`, after so many pages that this fault brought. */
static void fault_expect(struct fault *fault, uint64_t next, size_t cluster)
{
    atomic_store_explicit(&fault->area->fault_next, next, memory_order_relaxed);
    atomic_store_explicit(&fault->area->fault_cluster, (uint32_t)cluster, memory_order_relaxed);
}

/* Pages for what is vacant in the window; those that were not asked for may fail to come. 0 or -ENOMEM. */
static int fault_allocate_zeroed(struct fault *fault)
{
    for (size_t i = 0; i < fault->count; i++)
        fault->pages[i] = NULL;
    fault->pages[fault->target] = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    if (!fault->pages[fault->target])
        return -ENOMEM;
    if (fault->count == 1)
        return 0;
    mutex_lock(&fault->space->page_lock);
    fault_look(fault);
    mutex_unlock(&fault->space->page_lock);
    for (size_t i = 0; i < fault->count; i++)
        if (i != fault->target && fault_vacant(fault, i))
            fault->pages[i] = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    return 0;
}

/* Maps fault->pages where nothing is, and leaves there what was not mapped. */
static int fault_map_zeroed(struct fault *fault)
{
    struct address_space *space = fault->space;
    size_t mapped = 0;
    int error = 0;

    mutex_lock(&space->page_lock);
    fault_look(fault);
    for (size_t i = 0; i < fault->count; i++) {
        fault->entries[i].flags = 0;
        if (!fault->pages[i] || !fault_vacant(fault, i))
            continue;
        fault->entries[i] = (struct paging_entry){ page_pfn(fault->pages[i]), fault->area->protection };
        if (i != fault->target)
            fault->entries[i].flags |= PAGING_UNUSED;
        mapped++;
    }
    if (mapped > 0)
        error = fault_map(fault, mapped);
    if (error != 0)
        fault_unmap(fault);
    mutex_unlock(&space->page_lock);
    for (size_t i = 0; i < fault->count && error == 0; i++)
        if (fault->entries[i].flags != 0)
            fault->pages[i] = NULL;
    return error;
}

static int fault_anonymous(struct fault *fault)
{
    struct area *area = fault->area;
    size_t cluster = fault_cluster(fault);
    /* Stacks are used downwards: what comes along lies below. */
    bool down = area->flags & AREA_GROWS_DOWN;
    uint64_t start = down ? fault->address - minimum((uint64_t)(cluster - 1) << PAGE_SHIFT, fault->address) : fault->address;
    uint64_t end = down ? fault->address + PAGE_SIZE : fault->address + (cluster << PAGE_SHIFT);

    if (fault_writes(fault) && large_page_bring(area, fault->address)) {
        fault_expect(fault, round_down(start, SPACE_TABLE_BYTES) + SPACE_TABLE_BYTES, FAULT_CLUSTER);
        return 0;
    }
    if (paging_has_large() && !down) /* the next 2 MiB stay whole */
        end = minimum(end, round_down(start, SPACE_TABLE_BYTES) + SPACE_TABLE_BYTES);
    fault_set_window(fault, start, end);
    int error = fault_allocate_zeroed(fault);
    if (error != 0)
        return error;
    error = fault_map_zeroed(fault);
    fault_release_pages(fault);
    fault_expect(fault, down ? fault->start - PAGE_SIZE : fault->start + (fault->count << PAGE_SHIFT), fault->count);
    return error;
}

/* What a cached page's entry may do before anybody stores to it. Cache locked. */
static uint32_t fault_cached_flags(const struct fault *fault, const struct page *page)
{
    uint32_t protection = fault->area->protection;
    const struct page_cache *cache = fault->area->backing->cache;

    if (fault->area->flags & AREA_SHARED) {
        if (!cache->source || page_flag_test(page, PAGE_FLAG_DIRTY) || !cache->source->write_pages)
            return protection;
        return (protection & ~PAGING_WRITE) | PAGING_COPY_ON_WRITE;
    }
    return (protection & ~PAGING_WRITE) | PAGING_COPY_ON_WRITE;
}

/*
 * Maps the window's cached pages (referenced in fault->pages) where nothing is mapped; `copy` stands for the target when
 * it is written privately. Takes over no reference.
 */
static int fault_map_cached(struct fault *fault, struct page *copy)
{
    struct page_cache *cache = fault->area->backing->cache;
    uint64_t first = area_index(fault->area, fault->start);
    size_t mapped = 0;
    int result = FAULT_RETRY;

    mutex_lock(&cache->lock);
    uint64_t limit = page_cache_limit(cache);
    struct page *target = fault->pages[fault->target];
    if (target->owner == cache && target->index < limit && fault_writes(fault) && !copy)
        page_cache_set_dirty(cache, target);
    mutex_lock(&fault->space->page_lock);
    fault_look(fault);
    for (size_t i = 0; i < fault->count; i++) {
        struct page *page = fault->pages[i];
        fault->entries[i].flags = 0;
        if (!page || !fault_vacant(fault, i) || page->owner != cache || page->index != first + i || first + i >= limit)
            continue;
        struct page *doors = file_doors_page(fault->area, first + i);
        if (i == fault->target && copy)
            fault->entries[i] = (struct paging_entry){ page_pfn(copy), fault->area->protection };
        else
            fault->entries[i] = (struct paging_entry){ page_pfn(doors ? doors : page), fault_cached_flags(fault, page) };
        if (i != fault->target)
            fault->entries[i].flags |= PAGING_UNUSED;
        mapped++;
    }
    /* An entry mapped by somebody else meanwhile: the retry looks at it. */
    if (fault->entries[fault->target].flags != 0) {
        for (size_t i = 0; i < fault->count; i++)
            if (fault->entries[i].flags != 0)
                page_take(page_from_pfn(fault->entries[i].pfn));
        result = fault_map(fault, mapped);
        if (result != 0) {
            fault_unmap(fault);
            for (size_t i = 0; i < fault->count; i++)
                if (fault->entries[i].flags != 0)
                    page_release(page_from_pfn(fault->entries[i].pfn));
        }
    }
    mutex_unlock(&fault->space->page_lock);
    mutex_unlock(&cache->lock);
    return result;
}

/* Shared memory: pages are made as they are touched, in clusters for those who go forward. */
static int fault_make_pages(struct fault *fault, struct page_cache *cache)
{
    size_t cluster = fault_cluster(fault);

    for (size_t i = fault->target; i < fault->count && i < fault->target + cluster; i++) {
        if (fault->pages[i])
            continue;
        int error = page_cache_get(cache, area_index(fault->area, fault->start) + i, &fault->pages[i]);
        if (error != 0) {
            fault->pages[i] = NULL;
            if (i == fault->target)
                return error;
            break;
        }
    }
    fault_expect(fault, fault->address + (cluster << PAGE_SHIFT), cluster);
    return 0;
}

/* The cached pages that may come along: those around; for those going forward what follows, more and more of it. */
static void fault_set_cached_window(struct fault *fault)
{
    struct area *area = fault->area;
    uint64_t start = round_down(fault->address, (uint64_t)FAULT_CLUSTER * PAGE_SIZE), pages = FAULT_CLUSTER;

    if (atomic_load_explicit(&area->fault_next, memory_order_relaxed) == fault->address) {
        start = fault->address;
        pages = minimum(atomic_load_explicit(&area->fault_cluster, memory_order_relaxed) * 2ull, (uint64_t)FAULT_LIMIT);
    }
    fault_set_window(fault, start, start + pages * PAGE_SIZE);
}

static int fault_cached(struct fault *fault)
{
    struct page_cache *cache = fault->area->backing->cache;
    struct page *copy = NULL;
    int error = 0;

    fault_set_cached_window(fault);
    page_cache_get_present(cache, area_index(fault->area, fault->start), fault->pages, fault->count);
    if (!fault->pages[fault->target]) {
        if (area_index(fault->area, fault->address) >= (read_once(cache->size_bytes) + PAGE_MASK) >> PAGE_SHIFT)
            error = -ENXIO;
        else
            error = cache->source ? FAULT_READ : fault_make_pages(fault, cache);
    } else {
        fault_expect(fault, fault->start + (fault->count << PAGE_SHIFT), fault->count);
    }
    if (error == 0 && fault_writes(fault) && area_is_private(fault->area)) {
        copy = page_allocate(0, PAGE_ANONYMOUS, 0);
        if (copy)
            memcpy(page_address(copy), page_address(fault->pages[fault->target]), PAGE_SIZE);
        else
            error = -ENOMEM;
    }
    if (error == 0)
        error = fault_map_cached(fault, copy);
    if (copy)
        page_release(copy);
    fault_release_pages(fault);
    return error;
}

static int fault_special(struct fault *fault)
{
    struct area_backing *backing = fault->area->backing;
    struct page *page;

    if (fault_writes(fault) || !backing->operations->special_page)
        return -EACCES;
    int error = backing->operations->special_page(backing, area_index(fault->area, fault->address), &page);
    if (error != 0)
        return error;
    struct paging_entry before;
    fault_set_window(fault, fault->address, fault->address + PAGE_SIZE);
    fault->entries[0] = (struct paging_entry){ page_pfn(page), fault->area->protection };
    mutex_lock(&fault->space->page_lock);
    paging_query(&fault->space->root, fault->address, &before, 1);
    bool absent = !paging_entry_used(&before);
    error = absent ? fault_map(fault, 1) : 0;
    mutex_unlock(&fault->space->page_lock);
    if (!absent || error != 0)
        page_release(page);
    return error;
}

/* The area is known to allow the access. space->lock held for reading. */
static int fault_serve(struct fault *fault)
{
    struct area *area = fault->area;
    struct paging_entry entry;

    /* Outside of what was ever touched nothing is there, or came this moment: all look again before they map. */
    if (fault->address >= read_once(area->touched_start) && fault->address < read_once(area->touched_end)) {
        mutex_lock(&fault->space->page_lock);
        paging_query(&fault->space->root, fault->address, &entry, 1);
        mutex_unlock(&fault->space->page_lock);
        if (paging_entry_used(&entry))
            return fault_present(fault, entry);
    }
    if (fault->area->flags & AREA_SPECIAL)
        return fault_special(fault);
    return fault->area->backing ? fault_cached(fault) : fault_anonymous(fault);
}

/* Moves a stack's start down to the address, if its limit and the gap to what lies below allow. */
static int fault_grow_stack(struct address_space *space, uint64_t address)
{
    int error = -EFAULT;

    rw_lock_write(&space->lock);
    struct area *area = address_space_find(space, address);
    if (!area || area->start <= address || !(area->flags & AREA_GROWS_DOWN)) {
        error = area && area->start <= address ? 0 : -EFAULT;
        goto out;
    }
    struct area *below = area_previous(area);
    uint64_t lowest = area->end > space->stack_limit_bytes ? area->end - space->stack_limit_bytes : 0;
    if (below && (below->protection != 0 || (below->flags & AREA_GROWS_DOWN)))
        lowest = maximum(lowest, below->end + AREA_STACK_GAP_BYTES);
    else if (below)
        lowest = maximum(lowest, below->end);
    lowest = maximum(PAGE_ROUND_UP(lowest), USER_ADDRESS_LOW);
    if (address < lowest)
        goto out;
    /* Somewhat further than asked, so that going down the stack is not one write lock a page. */
    uint64_t start = maximum(round_down(address, FAULT_CLUSTER * PAGE_SIZE), lowest);
    uint64_t pages = (area->start - start) >> PAGE_SHIFT;
    error = address_space_admit(space, pages, area->protection, area->flags);
    if (error == 0)
        area_set_bounds(area, start, area->end,
                        area->backing_index >= pages ? area->backing_index - pages : area->backing_index);
    else
        error = -EFAULT; /* a stack over its limit is a segmentation fault */
out:
    rw_unlock_write(&space->lock);
    return error;
}

static bool fault_allowed(const struct area *area, uint32_t access)
{
    if (access & FAULT_PRIVATE)
        return area->protection != 0 && area_is_private(area);
    if (access & PAGING_WRITE)
        return area->protection & PAGING_WRITE;
    if (access & PAGING_EXECUTE)
        return area->protection & PAGING_EXECUTE;
    return area->protection != 0;
}

/*
 * How many pages are read for a fault. A file that is executed gets twice as many each time, since who has come so often to what was
 * not there will go on, and waits each time for as long as the reading of many pages takes. Others of the file's mappings (its constants) get as many.
 */
static uint32_t fault_read_count(struct page_cache *cache, bool executed)
{
    uint32_t count = maximum(atomic_load_explicit(&cache->fault_pages, memory_order_relaxed), FAULT_READ_PAGES);

    if (executed)
        atomic_store_explicit(&cache->fault_pages, minimum(count * 2, FAULT_READ_LIMIT), memory_order_relaxed);
    return page_memory_is_short() ? FAULT_READ_PAGES : count;
}

/* Reads the page the fault needs, with nothing locked. */
static int fault_read(struct area_backing *backing, uint64_t index, bool executed)
{
    struct page *page;

    page_cache_read_ahead(backing->cache, round_down(index, (uint64_t)FAULT_CLUSTER), fault_read_count(backing->cache, executed));
    int error = page_cache_get(backing->cache, index, &page);
    if (error == 0)
        page_release(page);
    return error;
}

int address_space_fault(struct address_space *space, uint64_t address, uint32_t access)
{
    struct fault fault = { .space = space, .address = PAGE_ROUND_DOWN(address), .access = access };
    bool major = false;
    int result;

    if (address >= USER_ADDRESS_HIGH)
        return -EFAULT;
    do {
        rw_lock_read(&space->lock);
        fault.area = address_space_find(space, address);
        if (!fault.area || fault.area->start > address) {
            bool grows = fault.area && (fault.area->flags & AREA_GROWS_DOWN);
            rw_unlock_read(&space->lock);
            result = grows ? fault_grow_stack(space, fault.address) : -EFAULT;
            if (result != 0)
                return result;
            result = FAULT_RETRY;
            continue;
        }
        result = fault_allowed(fault.area, access) ? fault_serve(&fault) : -EACCES;
        if (result == FAULT_READ) {
            struct area_backing *backing = fault.area->backing;
            uint64_t index = area_index(fault.area, fault.address);
            bool executed = fault.area->protection & PAGING_EXECUTE;
            area_backing_take(backing);
            rw_unlock_read(&space->lock);
            major = true;
            result = fault_read(backing, index, executed);
            area_backing_release(backing);
            if (result == 0)
                result = FAULT_RETRY;
            continue;
        }
        rw_unlock_read(&space->lock);
    } while (result > 0);
    atomic_fetch_add_explicit(major ? &space->faults_major : &space->faults_minor, 1, memory_order_relaxed);
    return result;
}
