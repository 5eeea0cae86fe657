/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/vm on the host: areas and faults against a plain table of what each page must be (map, unmap, protect, move,
 * forget, copy for fork), free places, and the page cache over a fake source against a plain array of bytes (reads,
 * writes, truncation, write-back, shared and private mappings). Nothing may be left in use at the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/area_tree.h"
#include "kernel/vm/page_cache_internal.h"
#include "tests/unit/host/host.h"

#define BASE 0x20000000ull
#define PAGES 300
#define READ_WRITE (PAGING_READ | PAGING_WRITE)

/* Instead of space_reaper.c, which visits CPUs: there is no CPU here that could have the root active. */
void space_retire(struct address_space *space)
{
    paging_root_destroy(&space->root);
    memory_free(space);
}

struct model {
    bool mapped;
    uint32_t protection;
    uint8_t value;
};

static uint64_t page_at(size_t page)
{
    return BASE + page * PAGE_SIZE;
}

static void space_check(struct address_space *space, const struct model *model, size_t count)
{
    uint64_t mapped = 0;

    for (size_t i = 0; i < count; i++) {
        struct area *area = address_space_find(space, page_at(i));
        bool found = area && area->start <= page_at(i);
        assert_int_equal(found, model[i].mapped);
        mapped += found;
        if (!found) {
            assert_int_equal(address_space_fault(space, page_at(i), PAGING_READ), -EFAULT);
            continue;
        }
        assert_int_equal(area->protection, model[i].protection);
        uint8_t value = 0xee;
        long result = address_space_read(space, page_at(i) + 100, &value, 1);
        assert_int_equal(result, model[i].protection == 0 ? -EFAULT : 1);
        if (result == 1)
            assert_int_equal(value, model[i].value);
        uint8_t same = model[i].value;
        result = address_space_write(space, page_at(i) + 100, &same, 1);
        assert_int_equal(result, model[i].protection & PAGING_WRITE ? 1 : -EFAULT);
    }
    assert_int_equal(space->mapped_pages, mapped);
    for (struct area *area = address_space_find(space, 0); area && area_next(area); area = area_next(area)) {
        assert_true(area->end <= area_next(area)->start);
        assert_false(area_mergeable(area, area_next(area)));
    }
}

static void model_map(struct address_space *space, struct model *model, size_t first, size_t count)
{
    static const uint32_t protections[] = { PAGING_READ, READ_WRITE, READ_WRITE, 0, READ_WRITE | PAGING_EXECUTE };
    struct area_request request = { .address = page_at(first), .length_bytes = count * PAGE_SIZE, .fixed = true,
                                    .protection = protections[random() % 5] };
    uint64_t address;

    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(address, page_at(first));
    for (size_t i = first; i < first + count; i++)
        model[i] = (struct model){ true, request.protection, 0 };
}

static void model_protect(struct address_space *space, struct model *model, size_t first, size_t count)
{
    static const uint32_t protections[] = { PAGING_READ, READ_WRITE, 0 };
    uint32_t protection = protections[random() % 3];
    int result = address_space_protect(space, page_at(first), count * PAGE_SIZE, protection);

    for (size_t i = first; i < first + count; i++) {
        if (!model[i].mapped) { /* changed up to the hole */
            assert_int_equal(result, -ENOMEM);
            return;
        }
        model[i].protection = protection;
    }
    assert_int_equal(result, 0);
}

static void model_write(struct address_space *space, struct model *model, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        uint8_t value = (uint8_t)random();
        if (address_space_write(space, page_at(i) + 100, &value, 1) == 1)
            model[i].value = value;
    }
}

static void model_forget(struct address_space *space, struct model *model, size_t first, size_t count)
{
    bool hole = false;

    for (size_t i = first; i < first + count; i++) {
        hole |= !model[i].mapped;
        model[i].value = 0;
    }
    assert_int_equal(address_space_advise(space, page_at(first), count * PAGE_SIZE, 4), hole ? -ENOMEM : 0);
}

/* Moves a piece to a fixed place that does not overlap it. */
static void model_move(struct address_space *space, struct model *model, size_t first, size_t count)
{
    size_t target = (size_t)random() % (PAGES - count);
    uint64_t result;
    bool one_area = model[first].mapped;
    struct area *area = address_space_find(space, page_at(first));

    if (target < first + count && first < target + count)
        return;
    one_area = one_area && area->end >= page_at(first + count);
    int error = address_space_remap(space, page_at(first), count * PAGE_SIZE, count * PAGE_SIZE, 3, page_at(target), &result);
    assert_int_equal(error, one_area ? 0 : -EFAULT);
    if (error != 0)
        return;
    assert_int_equal(result, page_at(target));
    memcpy(model + target, model + first, count * sizeof(*model));
    memset(model + first, 0, count * sizeof(*model));
}

static void model_fork(struct address_space *space, struct model *model)
{
    struct model copy_model[PAGES];
    struct address_space *copy;

    memcpy(copy_model, model, sizeof(copy_model));
    assert_int_equal(address_space_duplicate(space, NULL, &copy), 0);
    model_write(space, model, 0, PAGES / 2);
    model_write(copy, copy_model, PAGES / 4, PAGES / 2);
    space_check(copy, copy_model, PAGES);
    space_check(space, model, PAGES);
    address_space_leave(copy);
    address_space_release(copy);
}

static void areas_are_what_was_asked(void **state)
{
    static struct model model[PAGES];
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();
    struct address_space *space;

    srandom(11);
    assert_int_equal(address_space_create(&space), 0);
    for (int round = 0; round < 4000; round++) {
        size_t first = (size_t)random() % PAGES, count = 1 + (size_t)random() % minimum((size_t)40, PAGES - first);
        switch (random() % 8) {
        case 0:
        case 1:
            model_map(space, model, first, count);
            break;
        case 2:
            assert_int_equal(address_space_unmap(space, page_at(first), count * PAGE_SIZE), 0);
            memset(model + first, 0, count * sizeof(*model));
            break;
        case 3:
            model_protect(space, model, first, count);
            break;
        case 4:
            model_write(space, model, first, count);
            break;
        case 5:
            model_forget(space, model, first, count);
            break;
        case 6:
            model_move(space, model, first, count);
            break;
        default:
            if (round % 4 == 0)
                model_fork(space, model);
        }
        if (round % 50 == 0)
            space_check(space, model, PAGES);
    }
    space_check(space, model, PAGES);
    address_space_leave(space);
    assert_int_equal(atomic_load(&space->resident_pages), 0);
    assert_int_equal(space->mapped_pages, 0);
    assert_int_equal(space->data_pages, 0);
    address_space_release(space);
    assert_int_equal(host_pages_in_use(), pages_before);
    assert_int_equal(host_objects_in_use(), objects_before);
}

static void places_do_not_overlap(void **state)
{
    struct address_space *space;
    uint64_t starts[400] = { 0 }, lengths[400];

    srandom(5);
    assert_int_equal(address_space_create(&space), 0);
    space->map_top = 0x7f0000000000ull;
    for (int round = 0; round < 5000; round++) {
        size_t slot = (size_t)random() % 400;
        if (starts[slot] != 0) {
            assert_int_equal(address_space_unmap(space, starts[slot], lengths[slot]), 0);
            starts[slot] = 0;
            continue;
        }
        lengths[slot] = (1 + (uint64_t)random() % 50) * PAGE_SIZE;
        struct area_request request = { .length_bytes = lengths[slot], .protection = random() % 2 ? READ_WRITE : PAGING_READ };
        uint64_t mapped = space->mapped_pages;
        assert_int_equal(address_space_map(space, &request, &starts[slot]), 0);
        assert_int_equal(space->mapped_pages, mapped + lengths[slot] / PAGE_SIZE); /* nothing was replaced */
        assert_true(starts[slot] + lengths[slot] <= space->map_top);
        /* The highest free place of that length: none above it is as large. */
        for (struct area *area = address_space_find(space, starts[slot]); area; area = area_next(area)) {
            struct area *next = area_next(area);
            uint64_t gap_end = next ? next->start : space->map_top;
            assert_true(gap_end - area->end < lengths[slot]);
        }
    }
    address_space_leave(space);
    address_space_release(space);
}

static void stacks_grow_down(void **state)
{
    struct address_space *space;
    struct area_request request = { .address = 0x70000000, .length_bytes = 4 * PAGE_SIZE, .protection = READ_WRITE,
                                    .flags = AREA_GROWS_DOWN, .fixed = true };
    uint64_t address;
    uint8_t byte = 7;

    assert_int_equal(address_space_create(&space), 0);
    space->stack_limit_bytes = 1 << 20;
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(address_space_write(space, 0x70000000 - 0x8000, &byte, 1), 1);
    assert_int_equal(address_space_write(space, 0x70004000 - (1 << 20), &byte, 1), 1);
    assert_int_equal(address_space_write(space, 0x70004000 - (1 << 20) - 1, &byte, 1), -EFAULT);
    address_space_leave(space);
    address_space_release(space);
}

/* ---- The page cache over a disk that is an array ---------------------------------------------------------------- */

#define DISK_PAGES 100
static uint8_t disk[DISK_PAGES * PAGE_SIZE];
static unsigned int disk_reads, disk_writes;
static int disk_error;

static void disk_read(struct page_cache *cache, struct page **pages, size_t count)
{
    disk_reads++;
    for (size_t i = 0; i < count; i++) {
        assert_true(page_flag_test(pages[i], PAGE_FLAG_BUSY));
        memcpy(page_address(pages[i]), disk + pages[i]->index * PAGE_SIZE, PAGE_SIZE);
        uint64_t end = pages[i]->index * PAGE_SIZE + PAGE_SIZE;
        if (end > cache->size_bytes)
            memset((char *)page_address(pages[i]) + cache->size_bytes % PAGE_SIZE, 0, end - cache->size_bytes);
        page_cache_complete(pages[i], disk_error);
    }
}

static void disk_write(struct page_cache *cache, struct page **pages, size_t count)
{
    disk_writes++;
    for (size_t i = 0; i < count; i++) {
        memcpy(disk + pages[i]->index * PAGE_SIZE, page_address(pages[i]), PAGE_SIZE);
        page_cache_complete(pages[i], 0);
    }
}

static const struct page_source disk_source = { disk_read, disk_write };

static void file_write(struct page_cache *cache, uint8_t *model, uint64_t offset, size_t length)
{
    uint8_t bytes[3 * PAGE_SIZE];
    struct io_segment segment;
    struct io_vector vector;

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)random();
    if (offset + length > cache->size_bytes)
        assert_int_equal(page_cache_resize(cache, offset + length), 0);
    io_vector_init_kernel(&vector, &segment, bytes, length);
    assert_int_equal(page_cache_write(cache, offset, &vector), length);
    memcpy(model + offset, bytes, length);
}

static void file_check(struct page_cache *cache, const uint8_t *model, uint64_t offset, size_t length)
{
    uint8_t bytes[5 * PAGE_SIZE];
    struct io_segment segment;
    struct io_vector vector;
    uint64_t left = offset < cache->size_bytes ? cache->size_bytes - offset : 0;

    io_vector_init_kernel(&vector, &segment, bytes, length);
    long result = page_cache_read(cache, offset, &vector);
    assert_int_equal(result, minimum((uint64_t)length, left));
    assert_memory_equal(bytes, model + offset, (size_t)result);
}

static void file_truncate(struct page_cache *cache, uint8_t *model, uint64_t size)
{
    assert_int_equal(page_cache_resize(cache, size), 0);
    memset(model + size, 0, sizeof(disk) - size);
    /* A file system gives the blocks back; the last one's tail is the cache's affair. */
    memset(disk + PAGE_ROUND_UP(size), 0, sizeof(disk) - PAGE_ROUND_UP(size));
}

static void files_hold_what_was_written(void **state)
{
    static uint8_t model[sizeof(disk)];
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();

    for (int kind = 0; kind < 2; kind++) {
        struct page_cache cache;
        srandom(3);
        memset(disk, 0, sizeof(disk));
        memset(model, 0, sizeof(model));
        page_cache_init(&cache, kind == 0 ? &disk_source : NULL, NULL, 0);
        for (int round = 0; round < 6000; round++) {
            uint64_t offset = (uint64_t)random() % (sizeof(disk) - 5 * PAGE_SIZE);
            switch (random() % 6) {
            case 0:
            case 1:
                file_write(&cache, model, offset, 1 + (size_t)random() % (3 * PAGE_SIZE));
                break;
            case 2:
                if (round % 8 == 0)
                    file_truncate(&cache, model, offset);
                break;
            case 3:
                if (round % 8 == 0)
                    assert_int_equal(page_cache_synchronize(&cache, 0, UINT64_MAX), 0);
                break;
            default:
                file_check(&cache, model, offset, 1 + (size_t)random() % (5 * PAGE_SIZE));
            }
        }
        assert_int_equal(page_cache_synchronize(&cache, 0, UINT64_MAX), 0);
        assert_int_equal(cache.dirty_count, 0);
        if (kind == 0)
            assert_memory_equal(disk, model, (size_t)cache.size_bytes);
        page_cache_destroy(&cache);
    }
    assert_int_equal(page_cache_dirty_total(), 0);
    assert_int_equal(host_pages_in_use(), pages_before);
    assert_int_equal(host_objects_in_use(), objects_before);
    assert_true(disk_reads > 0 && disk_writes > 0);
}

static void a_failed_read_is_tried_again(void **state)
{
    struct page_cache cache;
    struct page *page;

    page_cache_init(&cache, &disk_source, NULL, sizeof(disk));
    disk_error = -EIO;
    assert_int_equal(page_cache_get(&cache, 3, &page), -EIO);
    disk_error = 0;
    assert_int_equal(page_cache_get(&cache, 3, &page), 0);
    page_release(page);
    assert_int_equal(page_cache_get(&cache, DISK_PAGES, &page), -ENXIO);
    page_cache_destroy(&cache);
}

/* A backing on this test's cache. */
static void backing_destroy(struct area_backing *backing)
{
}
static const struct area_backing_operations backing_operations = { .destroy = backing_destroy };

static uint64_t backing_map(struct address_space *space, struct area_backing *backing, uint32_t flags, uint64_t index, size_t pages)
{
    struct area_request request = { .length_bytes = pages * PAGE_SIZE, .protection = READ_WRITE, .flags = flags | AREA_MAY_WRITE,
                                    .backing = backing, .backing_index = index };
    uint64_t address;

    assert_int_equal(address_space_map(space, &request, &address), 0);
    return address;
}

static void mappings_follow_their_file(void **state)
{
    struct page_cache cache;
    struct address_space *space;
    struct area_backing backing = { .cache = &cache, .operations = &backing_operations };
    size_t pages_before = host_pages_in_use();
    uint8_t byte;

    for (size_t i = 0; i < sizeof(disk); i++)
        disk[i] = (uint8_t)(i / PAGE_SIZE);
    reference_init(&backing.reference);
    page_cache_init(&cache, &disk_source, NULL, sizeof(disk));
    assert_int_equal(address_space_create(&space), 0);
    uint64_t shared = backing_map(space, &backing, AREA_SHARED, 10, 20), own = backing_map(space, &backing, 0, 10, 20);

    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(address_space_read(space, shared + i * PAGE_SIZE, &byte, 1), 1);
        assert_int_equal(byte, 10 + i);
        assert_int_equal(address_space_read(space, own + i * PAGE_SIZE, &byte, 1), 1);
        assert_int_equal(byte, 10 + i);
    }
    assert_int_equal(cache.dirty_count, 0);
    byte = 200;
    assert_int_equal(address_space_write(space, shared + 3 * PAGE_SIZE, &byte, 1), 1);
    assert_int_equal(cache.dirty_count, 1);
    assert_int_equal(address_space_read(space, own + 3 * PAGE_SIZE, &byte, 1), 1);
    assert_int_equal(byte, 200); /* not copied yet: the file shows through */
    byte = 201;
    assert_int_equal(address_space_write(space, own + 4 * PAGE_SIZE, &byte, 1), 1);
    assert_int_equal(cache.dirty_count, 1);
    assert_int_equal(page_cache_synchronize(&cache, 0, UINT64_MAX), 0);
    assert_int_equal(disk[13 * PAGE_SIZE], 200);
    assert_int_equal(disk[14 * PAGE_SIZE], 14);
    byte = 202; /* after write-back the next store must be seen again */
    assert_int_equal(address_space_write(space, shared + 3 * PAGE_SIZE, &byte, 1), 1);
    assert_int_equal(cache.dirty_count, 1);

    assert_int_equal(page_cache_resize(&cache, 12 * PAGE_SIZE + 5), 0);
    assert_int_equal(address_space_fault(space, shared + 3 * PAGE_SIZE, PAGING_READ), -ENXIO);
    assert_int_equal(address_space_fault(space, own + 4 * PAGE_SIZE, PAGING_READ), -ENXIO);
    assert_int_equal(address_space_read(space, shared + 2 * PAGE_SIZE + 5, &byte, 1), 1);
    assert_int_equal(byte, 0);
    assert_int_equal(address_space_read(space, shared + 2 * PAGE_SIZE + 4, &byte, 1), 1);
    assert_int_equal(byte, 12);
    address_space_leave(space);
    address_space_release(space);
    assert_true(list_empty(&cache.areas));
    page_cache_destroy(&cache);
    assert_int_equal(host_pages_in_use(), pages_before);
}

/* A program that maps the file's pages 10 to 29 for itself; what it uses and writes are the marks that the processor would leave. */
static struct address_space *program_start(struct area_backing *backing, uint64_t *address)
{
    struct area_request request = { .length_bytes = 20 * PAGE_SIZE, .protection = READ_WRITE, .backing = backing, .backing_index = 10,
                                    .flags = AREA_MAY_WRITE, .ahead = true };
    struct address_space *space;

    assert_int_equal(address_space_create(&space), 0);
    assert_int_equal(address_space_map(space, &request, address), 0);
    return space;
}

static void program_end(struct address_space *space)
{
    address_space_leave(space);
    address_space_release(space);
}

static struct paging_entry entry_at(struct address_space *space, uint64_t address)
{
    struct paging_entry entry;

    paging_query(&space->root, address, &entry, 1);
    return entry;
}

static void pages_that_are_used_come_with_their_file(void **state)
{
    struct page_cache cache;
    struct area_backing backing = { .cache = &cache, .operations = &backing_operations };
    size_t pages_before = host_pages_in_use();
    uint64_t address;
    uint8_t byte = 7;

    reference_init(&backing.reference);
    page_cache_init(&cache, &disk_source, NULL, sizeof(disk));
    struct address_space *space = program_start(&backing, &address);
    assert_int_equal(atomic_load(&space->resident_pages), 0); /* nothing is known yet */
    assert_int_equal(address_space_read(space, address + 2 * PAGE_SIZE, &byte, 1), 1);
    assert_int_equal(address_space_write(space, address + 4 * PAGE_SIZE, &byte, 1), 1);
    host_paging_mark(&space->root, address + 2 * PAGE_SIZE, PAGING_ACCESSED);
    host_paging_mark(&space->root, address + 4 * PAGE_SIZE, PAGING_ACCESSED | PAGING_DIRTY);
    program_end(space);

    /* Three that use nothing of it: the copy is given up at once, the pages in the end. */
    for (int turn = 0; turn < 3; turn++) {
        space = program_start(&backing, &address);
        assert_int_equal(atomic_load(&space->resident_pages), 2);
        assert_int_equal(entry_at(space, address + 3 * PAGE_SIZE).flags, 0);
        assert_ptr_equal(page_from_pfn(entry_at(space, address + 2 * PAGE_SIZE).pfn)->owner, &cache);
        struct paging_entry written = entry_at(space, address + 4 * PAGE_SIZE);
        assert_int_equal((written.flags & PAGING_WRITE) != 0, turn == 0);
        assert_int_equal(page_from_pfn(written.pfn)->kind, turn == 0 ? PAGE_ANONYMOUS : PAGE_CACHE);
        program_end(space);
    }
    space = program_start(&backing, &address);
    assert_int_equal(atomic_load(&space->resident_pages), 0);
    program_end(space);
    page_cache_destroy(&cache);
    assert_int_equal(host_pages_in_use(), pages_before);
}

/* Areas that end tell how many pages the first fault of the next ones brings, for a few of them. */
static size_t touched_at_once(struct address_space *space, size_t used, uint32_t flags, bool end)
{
    struct area_request request = { .length_bytes = 16 * PAGE_SIZE, .protection = READ_WRITE, .flags = flags };
    uint64_t address;
    uint8_t byte = 1;

    assert_int_equal(address_space_map(space, &request, &address), 0);
    uint64_t before = atomic_load(&space->resident_pages);
    assert_int_equal(address_space_write(space, address, &byte, 1), 1);
    size_t came = (size_t)(atomic_load(&space->resident_pages) - before);
    for (size_t i = 0; i < used; i++) {
        assert_int_equal(address_space_write(space, address + i * PAGE_SIZE, &byte, 1), 1);
        host_paging_mark(&space->root, address + i * PAGE_SIZE, PAGING_ACCESSED);
    }
    if (end)
        assert_int_equal(address_space_unmap(space, address, request.length_bytes), 0);
    return came;
}

static void clusters_begin_as_areas_before_ended(void **state)
{
    struct address_space *space;

    assert_int_equal(address_space_create(&space), 0);
    assert_int_equal(touched_at_once(space, 16, 0, true), 1);
    assert_int_equal(touched_at_once(space, 16, 0, true), 16);
    assert_int_equal(touched_at_once(space, 1, 0, true), 16);
    assert_int_equal(touched_at_once(space, 8, 0, true), 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(touched_at_once(space, 1, i % 2 ? AREA_NO_RESERVE : 0, false), 8);
    assert_int_equal(touched_at_once(space, 1, 0, false), 1); /* none of them has confirmed it */
    program_end(space);
}

static void memory_that_runs_out_is_told(void **state)
{
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();

    for (long successes = 0; successes < 60; successes++) {
        struct address_space *space, *copy;
        uint64_t address;
        uint8_t byte = 1;
        if (address_space_create(&space) != 0)
            fail();
        struct area_request request = { .address = BASE, .length_bytes = 64 * PAGE_SIZE, .protection = READ_WRITE, .fixed = true };
        host_fail_allocations_after(successes);
        int error = address_space_map(space, &request, &address);
        for (size_t i = 0; i < 64 && error == 0; i += 7)
            error = address_space_write(space, page_at(i), &byte, 1) == 1 ? 0 : -ENOMEM;
        if (error == 0)
            error = address_space_protect(space, page_at(10), 5 * PAGE_SIZE, PAGING_READ);
        if (error == 0 && (error = address_space_duplicate(space, NULL, &copy)) == 0) {
            address_space_leave(copy);
            address_space_release(copy);
        }
        host_fail_allocations_after(-1);
        assert_true(error == 0 || error == -ENOMEM);
        address_space_leave(space);
        assert_int_equal(atomic_load(&space->resident_pages), 0);
        address_space_release(space);
        assert_int_equal(host_pages_in_use(), pages_before);
        assert_int_equal(host_objects_in_use(), objects_before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(areas_are_what_was_asked),
        cmocka_unit_test(places_do_not_overlap),
        cmocka_unit_test(stacks_grow_down),
        cmocka_unit_test(files_hold_what_was_written),
        cmocka_unit_test(a_failed_read_is_tried_again),
        cmocka_unit_test(mappings_follow_their_file),
        cmocka_unit_test(pages_that_are_used_come_with_their_file),
        cmocka_unit_test(clusters_begin_as_areas_before_ended),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
