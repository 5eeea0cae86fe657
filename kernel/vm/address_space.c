/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of an address space, access to it from outside, and its copy for fork.
 *
 * Two counts: `users` are the processes that run in it, and when the last one leaves, its pages go at once; `reference`
 * keeps the struct and the root, which a dying thread's CPU may still have active.
 */
#include "kernel/vm/address_space.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/address_space_internal.h"

#define DUPLICATE_DONE 0x80000000u /* in an entry's flags, here only: it is the copy's own */

int address_space_create(struct address_space **space)
{
    struct address_space *fresh = memory_allocate_zeroed(sizeof(*fresh));

    if (!fresh)
        return -ENOMEM;
    int error = paging_root_create(&fresh->root);
    if (error != 0) {
        memory_free(fresh);
        return error;
    }
    reference_init(&fresh->reference);
    atomic_init(&fresh->users, 1);
    rw_lock_init(&fresh->lock, "address space", SPACE_LOCK_RANK);
    mutex_init(&fresh->page_lock, "space pages", SPACE_PAGE_LOCK_RANK);
    fresh->map_top = USER_ADDRESS_HIGH;
    fresh->stack_limit_bytes = 8ull << 20;
    fresh->size_limit_bytes = UINT64_MAX;
    fresh->data_limit_bytes = UINT64_MAX;
    fresh->lock_limit_bytes = UINT64_MAX;
    *space = fresh;
    return 0;
}

void address_space_count_resident(struct address_space *space, uint64_t pages)
{
    uint64_t resident = atomic_fetch_add(&space->resident_pages, pages) + pages;

    if (resident > space->resident_peak_pages)
        space->resident_peak_pages = resident;
}

void address_space_take(struct address_space *space)
{
    reference_take(&space->reference);
}

void address_space_enter(struct address_space *space)
{
    atomic_fetch_add(&space->users, 1);
}

/* What the end of all entries needs: they come by address, and so do the areas, which are in no tree any more. */
struct clearing {
    struct area *area;
    unsigned int count;
};

static void clearing_gone(void *context, uint64_t address, const struct paging_entry *entry)
{
    struct clearing *clearing = context;
    struct page *page = page_from_pfn(entry->pfn);

    while (address >= clearing->area->end)
        clearing->area = list_first(&clearing->area->cache_link, struct area, cache_link);
    if (clearing->area->backing)
        area_note_use(clearing->area, address, page, entry);
    page_release(page);
    if (++clearing->count % SPACE_BATCH == 0)
        thread_yield_if_due();
}

void address_space_clear(struct address_space *space)
{
    struct list areas = LIST_INITIALIZER(areas);
    struct clearing clearing = { .count = 0 };
    struct area *area, *next;
    struct tree_node *node;
    bool emptied = false;

    rw_lock_write(&space->lock);
    while ((node = tree_first(&space->areas))) {
        area = tree_entry(node, struct area, node);
        area_detach(space, area);
        list_add_last(&areas, &area->cache_link);
    }
    if (!list_empty(&areas)) {
        clearing.area = list_first(&areas, struct area, cache_link);
        emptied = paging_root_empty(&space->root, clearing_gone, &clearing);
    }
    if (emptied)
        atomic_store(&space->resident_pages, 0);
    list_for_each_safe(area, next, &areas, cache_link) {
        if (!emptied)
            area_zap(area, area->start, area->end);
        list_remove(&area->cache_link);
        area_free(area);
    }
    space->break_start = space->break_end = 0;
    code_patch_free(space);
    rw_unlock_write(&space->lock);
}

void address_space_leave(struct address_space *space)
{
    if (atomic_fetch_sub(&space->users, 1) == 1)
        address_space_clear(space);
}

void address_space_release(struct address_space *space)
{
    if (!reference_release(&space->reference))
        return;
    address_space_clear(space);
    space_retire(space);
}

/* Of the batch's pages those that both will write at once are copied now, which spares each side a fault. page_lock held. */
static void duplicate_written(const struct area *area, uint64_t address, struct paging_entry *entries, size_t batch,
                              const struct duplicate_written *written)
{
    for (size_t i = 0; written && i < array_count(written->addresses); i++) {
        uint64_t at = (PAGE_ROUND_DOWN(written->addresses[i]) - address) >> PAGE_SHIFT;
        if (written->addresses[i] < address || at >= batch ||
            (entries[at].flags & (PAGING_WRITE | PAGING_LARGE | DUPLICATE_DONE)) != PAGING_WRITE)
            continue;
        struct page *copy = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ATOMIC);
        if (!copy)
            continue;
        memcpy(page_address(copy), page_address(page_from_pfn(entries[at].pfn)), PAGE_SIZE);
        entries[at] = (struct paging_entry){ page_pfn(copy), area->protection | DUPLICATE_DONE };
    }
}

/* Copies the entries of one private area, making them copy-on-write on both sides. Both page_locks are free. */
static int area_duplicate_pages(struct area *area, struct area *copy, const struct duplicate_written *written)
{
    struct paging_entry entries[SPACE_BATCH], changed[SPACE_BATCH];
    uint64_t start = area->start, end = area->end;
    int error = 0;

    if (!area_touched_range(area, &start, &end))
        return 0;
    area_touch(copy, start, end);
    for (uint64_t address = start; address < end && error == 0;) {
        int large = large_page_share(area, copy, address, end);
        if (large != 0) {
            error = minimum(large, 0);
            address += SPACE_TABLE_BYTES;
            continue;
        }
        uint64_t table_end = round_down(address, SPACE_TABLE_BYTES) + SPACE_TABLE_BYTES;
        size_t batch = (size_t)minimum((minimum(end, table_end) - address) >> PAGE_SHIFT, (uint64_t)SPACE_BATCH), used = 0, writable = 0;
        mutex_lock(&area->space->page_lock);
        paging_query(&area->space->root, address, entries, batch);
        duplicate_written(area, address, entries, batch, written);
        for (size_t i = 0; i < batch; i++) {
            changed[i].flags = 0;
            if (!paging_entry_used(&entries[i]))
                continue;
            used++;
            if (entries[i].flags & DUPLICATE_DONE) {
                entries[i].flags &= ~DUPLICATE_DONE;
                continue;
            }
            page_take(page_from_pfn(entries[i].pfn));
            bool shared_already = entries[i].flags & PAGING_COPY_ON_WRITE;
            /* What the parent did not use, the copy did not either (map_ahead.c). */
            uint32_t unused = entries[i].flags & PAGING_ACCESSED ? 0 : PAGING_UNUSED;
            entries[i].flags = (entries[i].flags & (PAGING_READ | PAGING_EXECUTE)) | PAGING_COPY_ON_WRITE | unused;
            if (!shared_already) {
                changed[i] = entries[i];
                writable++;
            }
        }
        if (writable > 0)
            paging_map(&area->space->root, address, changed, batch); /* the tables are there: cannot fail */
        mutex_unlock(&area->space->page_lock);
        if (used > 0)
            error = paging_map(&copy->space->root, address, entries, batch);
        if (error != 0) { /* what was mapped of the batch goes, then all of the batch's references that were not mapped */
            paging_unmap(&copy->space->root, address, NULL, batch);
            for (size_t i = 0; i < batch; i++)
                if (entries[i].flags != 0)
                    page_release(page_from_pfn(entries[i].pfn));
            break;
        }
        atomic_fetch_add(&copy->space->resident_pages, used);
        address += batch << PAGE_SHIFT;
    }
    return error;
}

static int area_duplicate(struct area *area, struct address_space *space, const struct duplicate_written *written)
{
    struct area *copy = area_create(space, area->start, area->end, area->protection, area->flags & ~AREA_LOCKED, area->backing,
                                    area->backing_index, area->name);

    if (!copy)
        return -ENOMEM;
    area_attach(space, copy);
    /* Shared and special pages are found again by faults. */
    if (!area_is_private(area) || (area->flags & AREA_WIPE_ON_FORK))
        return 0;
    return area_duplicate_pages(area, copy, written);
}

int address_space_duplicate(struct address_space *space, const struct duplicate_written *written, struct address_space **copy)
{
    struct address_space *fresh;
    int error = address_space_create(&fresh);

    if (error != 0)
        return error;
    rw_lock_write(&space->lock);
    fresh->map_top = space->map_top;
    fresh->break_start = space->break_start;
    fresh->break_end = space->break_end;
    fresh->stack_limit_bytes = space->stack_limit_bytes;
    fresh->size_limit_bytes = space->size_limit_bytes;
    fresh->data_limit_bytes = space->data_limit_bytes;
    fresh->lock_limit_bytes = space->lock_limit_bytes;
    memcpy(&fresh->code_start, &space->code_start, sizeof(*space) - offsetof(struct address_space, code_start));
    for (struct tree_node *node = tree_first(&space->areas); node && error == 0; node = tree_next(node)) {
        struct area *area = tree_entry(node, struct area, node);
        if (!(area->flags & AREA_DONT_FORK))
            error = area_duplicate(area, fresh, written);
    }
    if (error == 0)
        error = code_patch_duplicate(space, fresh);
    rw_unlock_write(&space->lock);
    if (error == 0)
        error = paging_root_seal(&fresh->root);
    if (error != 0) {
        address_space_release(fresh);
        return error;
    }
    *copy = fresh;
    return 0;
}

int address_space_get_page(struct address_space *space, uint64_t address, uint32_t access, struct page **page)
{
    for (;;) {
        struct paging_entry entry;
        int error = address_space_fault(space, address, access);
        if (error != 0)
            return error;
        mutex_lock(&space->page_lock);
        paging_query(&space->root, PAGE_ROUND_DOWN(address), &entry, 1);
        bool good = (entry.flags & PAGING_PRESENT) && (!(access & PAGING_WRITE) || (entry.flags & PAGING_WRITE)) &&
                    (!(access & FAULT_PRIVATE) || !(entry.flags & PAGING_COPY_ON_WRITE));
        if (good) {
            *page = page_from_pfn(entry.pfn);
            page_take(*page);
        }
        mutex_unlock(&space->page_lock);
        if (good)
            return 0;
    }
}

static long address_space_copy(struct address_space *space, uint64_t address, char *buffer, size_t length_bytes, bool write)
{
    size_t done = 0;

    while (done < length_bytes) {
        uint64_t at = address + done;
        size_t length = minimum((size_t)(PAGE_SIZE - (at & PAGE_MASK)), length_bytes - done);
        struct page *page;
        if (at >= USER_ADDRESS_HIGH || address_space_get_page(space, at, write ? PAGING_WRITE : PAGING_READ, &page) != 0)
            break;
        char *memory = (char *)page_address(page) + (at & PAGE_MASK);
        if (write)
            memcpy(memory, buffer + done, length);
        else
            memcpy(buffer + done, memory, length);
        page_release(page);
        done += length;
    }
    return done > 0 || length_bytes == 0 ? (long)done : -EFAULT;
}

long address_space_read(struct address_space *space, uint64_t address, void *buffer, size_t length_bytes)
{
    return address_space_copy(space, address, buffer, length_bytes, false);
}

long address_space_write(struct address_space *space, uint64_t address, const void *buffer, size_t length_bytes)
{
    return address_space_copy(space, address, (char *)(uintptr_t)buffer, length_bytes, true);
}

int address_space_shared_key(struct address_space *space, uint64_t address, struct area_backing **backing, uint64_t *offset)
{
    int error = 0;

    *backing = NULL;
    rw_lock_read(&space->lock);
    struct area *area = address_space_find(space, address);
    if (!area || area->start > address) {
        error = -EFAULT;
    } else if ((area->flags & AREA_SHARED) && area->backing && area->backing->cache) {
        area_backing_take(area->backing);
        *backing = area->backing;
        *offset = (area_index(area, address) << PAGE_SHIFT) | (address & PAGE_MASK);
    }
    rw_unlock_read(&space->lock);
    return error;
}
