/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults on a page that is there: stores to a page that is shared until somebody writes, or that is not dirty yet. Called by fault.c, whose header
 * tells the locks.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/vm/fault_internal.h"
#include "kernel/vm/page_cache_internal.h"

/*
 * The pages a store to a private page may copy: that one, and of a file's small area (a program's .data, which is written all over in the end) those around
 * it, at most half as many as have been copied so far; and their entries. page_lock held.
 */
static void fault_set_copy_window(struct fault *fault, const struct page *page)
{
    const struct area *area = fault->area;
    uint64_t copied = page->kind == PAGE_CACHE ? atomic_load_explicit(&area->copied, memory_order_relaxed) : 0, pages = 1;

    if (copied >= 4 && area->end - area->start <= SPACE_TABLE_BYTES && !page_memory_is_short())
        while (pages < FAULT_CLUSTER && pages * 4 <= copied)
            pages *= 2;
    uint64_t start = round_down(fault->address, pages * PAGE_SIZE);
    fault_set_window(fault, start, start + pages * PAGE_SIZE);
    paging_query(&fault->space->root, fault->start, fault->entries, fault->count);
}

/* Takes the pages of the window that are to be copied. page_lock held. */
static void fault_take_originals(struct fault *fault)
{
    for (size_t i = 0; i < fault->count; i++) {
        const struct paging_entry *entry = &fault->entries[i];
        bool cached = (entry->flags & (PAGING_PRESENT | PAGING_COPY_ON_WRITE | PAGING_WRITE)) == (PAGING_PRESENT | PAGING_COPY_ON_WRITE) &&
                      page_from_pfn(entry->pfn)->kind == PAGE_CACHE;
        fault->pages[i] = i == fault->target || cached ? page_from_pfn(entry->pfn) : NULL;
        if (fault->pages[i])
            page_take(fault->pages[i]);
    }
}

/* The target has its page; others may fail to get one. */
static void fault_fill_copies(const struct fault *fault, struct page **copies)
{
    for (size_t i = 0; i < fault->count; i++) {
        if (fault->pages[i] && !copies[i])
            copies[i] = page_allocate(0, PAGE_ANONYMOUS, 0);
        if (copies[i])
            memcpy(page_address(copies[i]), page_address(fault->pages[i]), PAGE_SIZE);
    }
}

/* Puts copies in the places of fault->pages that are still as they were, and leaves in `copies` what was not used. page_lock held. */
static int fault_map_copies(struct fault *fault, struct page **copies)
{
    struct paging_entry now[FAULT_CLUSTER];
    uint32_t mapped = 0;

    paging_query(&fault->space->root, fault->start, now, fault->count);
    for (size_t i = 0; i < fault->count; i++) {
        fault->entries[i].flags = 0;
        if (!copies[i] || !paging_entry_used(&now[i]) || now[i].pfn.number != page_pfn(fault->pages[i]).number || (now[i].flags & PAGING_WRITE))
            continue;
        uint32_t unused = i == fault->target ? 0 : PAGING_UNUSED;
        fault->entries[i] = (struct paging_entry){ page_pfn(copies[i]), fault->area->protection | unused };
    }
    if (fault->entries[fault->target].flags == 0)
        return FAULT_RETRY;
    int error = paging_map(&fault->space->root, fault->start, fault->entries, fault->count);
    for (size_t i = 0; i < fault->count && error == 0; i++) {
        if (fault->entries[i].flags == 0)
            continue;
        page_release(fault->pages[i]); /* the entry's */
        copies[i] = NULL;
        mapped++;
    }
    atomic_fetch_add_explicit(&fault->area->copied, mapped, memory_order_relaxed);
    return error;
}

/* A private page copied (or, when nobody else has it, reused) for writing. `old` is what the entry held. */
static int fault_copy_on_write(struct fault *fault, struct paging_entry old)
{
    struct address_space *space = fault->space;
    struct page *page = page_from_pfn(old.pfn), *copies[FAULT_CLUSTER] = {NULL};

    mutex_lock(&space->page_lock);
    fault_set_copy_window(fault, page);
    struct paging_entry now = fault->entries[fault->target];
    if (now.pfn.number != old.pfn.number || !paging_entry_used(&now) || (now.flags & PAGING_WRITE)) {
        mutex_unlock(&space->page_lock);
        return FAULT_RETRY;
    }
    if ((now.flags & PAGING_LARGE) && large_page_reuse(fault->area, fault->address, now.pfn)) {
        mutex_unlock(&space->page_lock);
        return 0;
    }
    if (page->kind == PAGE_ANONYMOUS && atomic_load(&page->reference.count) == 1) {
        now.flags = fault->area->protection;
        int result = paging_map(&space->root, fault->address, &now, 1);
        mutex_unlock(&space->page_lock);
        return result;
    }
    fault_take_originals(fault);
    mutex_unlock(&space->page_lock);

    int result = -ENOMEM;
    copies[fault->target] = page_allocate(0, PAGE_ANONYMOUS, 0);
    if (copies[fault->target]) {
        fault_fill_copies(fault, copies);
        mutex_lock(&space->page_lock);
        result = fault_map_copies(fault, copies);
        mutex_unlock(&space->page_lock);
    }
    fault_release_pages(fault);
    for (size_t i = 0; i < fault->count; i++)
        if (copies[i])
            page_release(copies[i]);
    return result;
}

/* A store to a page of a shared file that is mapped read-only as it was clean. */
static int fault_make_dirty(struct fault *fault)
{
    struct page_cache *cache = fault->area->backing->cache;
    struct paging_entry entry;
    int result = FAULT_RETRY;

    mutex_lock(&cache->lock);
    struct page *page = page_cache_lookup(cache, area_index(fault->area, fault->address));
    mutex_lock(&fault->space->page_lock);
    paging_query(&fault->space->root, fault->address, &entry, 1);
    if (page && paging_entry_used(&entry) && entry.pfn.number == page_pfn(page).number) {
        page_cache_set_dirty(cache, page);
        entry.flags = fault->area->protection;
        result = paging_map(&fault->space->root, fault->address, &entry, 1);
    }
    mutex_unlock(&fault->space->page_lock);
    mutex_unlock(&cache->lock);
    return result;
}

int fault_present(struct fault *fault, struct paging_entry entry)
{
    if (fault_wants_other(fault, entry)) {
        if (area_is_private(fault->area))
            return fault_copy_on_write(fault, entry);
        if (fault->area->backing && fault->area->backing->cache)
            return fault_make_dirty(fault);
        return -EACCES;
    }
    if (!(entry.flags & PAGING_PRESENT)) { /* left over from PROT_NONE */
        mutex_lock(&fault->space->page_lock);
        paging_protect(&fault->space->root, fault->address, 1, fault->area->protection);
        mutex_unlock(&fault->space->page_lock);
    }
    return 0;
}
