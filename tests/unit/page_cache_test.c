/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page cache on the host, over a fake source, against a plain array of bytes: reads, writes, truncation, write-back, shared and private
 * mappings, and what is read and mapped before it is asked for. Nothing may be left in use at the end.
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
#include "kernel/vm/page_cache_internal.h"
#include "tests/unit/host/host.h"

#define READ_WRITE (PAGING_READ | PAGING_WRITE)

/* Instead of space_reaper.c, which visits CPUs: there is no CPU here that could have the root active. */
void space_retire(struct address_space *space)
{
    paging_root_destroy(&space->root);
    memory_free(space);
}

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

/* Pages that are there keep their place, and get the bytes; what does not fit into the file goes. */
static void runs_of_pages_are_adopted(void **state)
{
    static uint8_t model[sizeof(disk)];
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();

    for (int kind = 0; kind < 2; kind++) {
        struct page_cache cache;
        struct page *block = page_allocate(6, PAGE_CACHE, 0);

        memset(disk, 0, sizeof(disk));
        memset(model, 0, sizeof(model));
        page_cache_init(&cache, kind == 0 ? &disk_source : NULL, NULL, 60 * PAGE_SIZE);
        file_write(&cache, model, 15 * PAGE_SIZE, PAGE_SIZE);
        file_write(&cache, model, 20 * PAGE_SIZE, 2 * PAGE_SIZE);
        for (size_t i = 0; i < 64 * PAGE_SIZE; i++)
            ((uint8_t *)page_address(block))[i] = (uint8_t)random();
        memcpy(model + 5 * PAGE_SIZE, page_address(block), 40 * PAGE_SIZE);
        memcpy(model + 50 * PAGE_SIZE, (uint8_t *)page_address(block) + 40 * PAGE_SIZE, 10 * PAGE_SIZE);
        page_split(block);
        assert_int_equal(page_cache_adopt(&cache, 5, block, 40), 0);
        assert_int_equal(page_cache_adopt(&cache, 50, block + 40, 24), -ENXIO);
        for (uint64_t page = 0; page < 60; page++)
            file_check(&cache, model, page * PAGE_SIZE, PAGE_SIZE);
        assert_int_equal(page_cache_synchronize(&cache, 0, UINT64_MAX), 0);
        if (kind == 0)
            assert_memory_equal(disk, model, sizeof(disk));
        page_cache_destroy(&cache);
        assert_int_equal(host_pages_in_use(), pages_before);
        assert_int_equal(host_objects_in_use(), objects_before);
    }
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

/* Stores to a small private area take copies of ever more pages around; each page has its own bytes all the same, and the file its. */
static void copies_come_with_those_around(void **state)
{
    enum { PAGES = 48 };
    struct page_cache cache;
    struct address_space *space;
    struct area_backing backing = { .cache = &cache, .operations = &backing_operations };
    size_t pages_before = host_pages_in_use();
    uint8_t bytes[2];

    for (size_t i = 0; i < sizeof(disk); i++)
        disk[i] = (uint8_t)(i / PAGE_SIZE);
    reference_init(&backing.reference);
    page_cache_init(&cache, &disk_source, NULL, PAGES * PAGE_SIZE);
    assert_int_equal(address_space_create(&space), 0);
    uint64_t small = backing_map(space, &backing, 0, 0, PAGES), large = backing_map(space, &backing, 0, 0, SPACE_TABLE_BYTES / PAGE_SIZE + 1);
    for (size_t i = 0; i < 2 * PAGES; i++)
        assert_int_equal(address_space_read(space, (i < PAGES ? small : large) + i % PAGES * PAGE_SIZE, bytes, 1), 1);
    for (size_t at = 0; at < 2; at++) {
        uint64_t own = at == 0 ? small : large;
        size_t before = host_pages_in_use(), half = 0;
        for (size_t i = 0; i < PAGES; i++) {
            size_t page = i * 7 % PAGES;
            if (i == PAGES / 2)
                half = host_pages_in_use() - before;
            bytes[0] = (uint8_t)(100 + page + at);
            if (i == PAGES / 6 - 1) { /* still with a page of its own to come */
                for (long successes = 0; successes < 2; successes++) {
                    host_fail_allocations_after(successes);
                    assert_int_equal(address_space_write(space, own + page * PAGE_SIZE + 1, bytes, 1), -EFAULT);
                }
                host_fail_allocations_after(-1);
            }
            assert_int_equal(address_space_write(space, own + page * PAGE_SIZE + 1, bytes, 1), 1);
        }
        assert_true(at == 0 ? half > PAGES * 3 / 4 : half == PAGES / 2);
        assert_int_equal(host_pages_in_use() - before, PAGES);
        for (size_t page = 0; page < PAGES; page++) {
            assert_int_equal(address_space_read(space, own + page * PAGE_SIZE, bytes, 2), 2);
            assert_int_equal(bytes[0], page);
            assert_int_equal(bytes[1], 100 + page + at);
        }
    }
    assert_int_equal(cache.dirty_count, 0);
    for (size_t i = 0; i < PAGES * PAGE_SIZE; i++)
        assert_int_equal(disk[i], i / PAGE_SIZE);
    address_space_leave(space);
    address_space_release(space);
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

/* A file of zeroes, as large as it says. */
static size_t zeroes_read;

static void zeroes_read_pages(struct page_cache *cache, struct page **pages, size_t count)
{
    zeroes_read += count;
    for (size_t i = 0; i < count; i++) {
        memset(page_address(pages[i]), 0, PAGE_SIZE);
        page_cache_complete(pages[i], 0);
    }
}

static const struct page_source zeroes = { .read_pages = zeroes_read_pages };

static void programs_are_read_ahead(void **state)
{
    struct page_cache small, large;
    struct area_backing small_backing = { .cache = &small, .operations = &backing_operations };
    struct area_backing large_backing = { .cache = &large, .operations = &backing_operations };
    struct area_request request = { .length_bytes = 20 * PAGE_SIZE, .protection = PAGING_READ, .backing = &small_backing };
    struct address_space *space;
    uint64_t address;
    uint8_t byte;

    reference_init(&small_backing.reference);
    reference_init(&large_backing.reference);
    page_cache_init(&small, &zeroes, NULL, 100 * PAGE_SIZE - 1);
    page_cache_init(&large, &zeroes, NULL, 2049 * PAGE_SIZE);
    assert_int_equal(address_space_create(&space), 0);
    zeroes_read = 0;
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(zeroes_read, 0); /* nobody executes it */
    request.protection |= PAGING_EXECUTE;
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(zeroes_read, 100);
    assert_int_equal(page_cache_resize(&small, 0), 0);
    assert_int_equal(page_cache_resize(&small, 100 * PAGE_SIZE), 0);
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(zeroes_read, 100); /* once only */

    request.backing = &large_backing;
    request.length_bytes = 2049 * PAGE_SIZE;
    zeroes_read = 0;
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(zeroes_read, 0);
    for (size_t fault = 0, pages = 32, read = 32; fault < 6; fault++) {
        assert_int_equal(address_space_read(space, address + fault * 320 * PAGE_SIZE, &byte, 1), 1);
        assert_int_equal(zeroes_read, read);
        pages = pages < 256 ? pages * 2 : 256;
        read += pages;
    }
    address_space_leave(space);
    address_space_release(space);
    page_cache_destroy(&small);
    page_cache_destroy(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_what_was_written),
        cmocka_unit_test(runs_of_pages_are_adopted),
        cmocka_unit_test(a_failed_read_is_tried_again),
        cmocka_unit_test(mappings_follow_their_file),
        cmocka_unit_test(copies_come_with_those_around),
        cmocka_unit_test(pages_that_are_used_come_with_their_file),
        cmocka_unit_test(programs_are_read_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
