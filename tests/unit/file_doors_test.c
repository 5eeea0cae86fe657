/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors that come with a file: from when on, for whom, what others see of them, and how they go: when code is made writable, unmapped, when the
 * file is written to or shortened, and where memory runs out. Nothing may be left in use at the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/code_patch.h"
#include "kernel/vm/file_doors.h"
#include "kernel/vm/page_cache_internal.h"
#include "tests/unit/host/host.h"
#include "xen/x86/door.h"

#define READ_WRITE (PAGING_READ | PAGING_WRITE)
#define READ_EXECUTE (PAGING_READ | PAGING_EXECUTE)
#define FILE_PAGES 4      /* a header, two of code, one of data */
#define SITES 8u          /* in each page of code */
#define DOORS_BYTES 0x10000ull

/* Instead of space_reaper.c, which visits CPUs: there is no CPU here that could have the root active. */
void space_retire(struct address_space *space)
{
    paging_root_destroy(&space->root);
    memory_free(space);
}

static uint8_t file[FILE_PAGES * PAGE_SIZE];

/* mov $n,%eax; syscall; ret */
#define SITE_BYTES 8u
#define SITE(page, i) ((page) * PAGE_SIZE + 256 * (i) + 32)

static void file_fill(void)
{
    memset(file, 0x90, sizeof(file));
    for (uint64_t page = 1; page < 3; page++)
        for (uint8_t i = 0; i < SITES; i++)
            memcpy(file + SITE(page, i), (uint8_t[]){ 0xb8, i, 0, 0, 0, 0x0f, 0x05, 0xc3 }, SITE_BYTES);
}

static void file_read(struct page_cache *cache, struct page **pages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(page_address(pages[i]), file + pages[i]->index * PAGE_SIZE, PAGE_SIZE);
        page_cache_complete(pages[i], 0);
    }
}

static void file_write(struct page_cache *cache, struct page **pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        page_cache_complete(pages[i], 0);
}

static void backing_destroy(struct area_backing *backing)
{
}

static const struct page_source source = { file_read, file_write };
static const struct area_backing_operations operations = { .destroy = backing_destroy };

struct library {
    struct page_cache cache;
    struct area_backing backing;
    size_t pages_before, objects_before;
};

static void library_open(struct library *library, bool in_memory)
{
    file_fill();
    library->pages_before = host_pages_in_use();
    library->objects_before = host_objects_in_use();
    page_cache_init(&library->cache, in_memory ? NULL : &source, NULL, sizeof(file));
    library->backing = (struct area_backing){ .cache = &library->cache, .operations = &operations };
    reference_init(&library->backing.reference);
    if (in_memory) {
        struct io_segment segment;
        struct io_vector vector;
        io_vector_init_kernel(&vector, &segment, file, sizeof(file));
        assert_int_equal(page_cache_write(&library->cache, 0, &vector), sizeof(file));
    }
}

static void library_close(struct library *library)
{
    page_cache_destroy(&library->cache);
    assert_int_equal(host_pages_in_use(), library->pages_before);
    assert_int_equal(host_objects_in_use(), library->objects_before);
}

/* As a dynamic linker does: the whole, then the code and the data over it. 0: no memory. */
static uint64_t library_map(struct library *library, struct address_space *space)
{
    struct area_request request = { .length_bytes = (FILE_PAGES + 1) * PAGE_SIZE, .protection = PAGING_READ, .backing = &library->backing };
    uint64_t base, address;

    if (address_space_map(space, &request, &base) != 0)
        return 0;
    request = (struct area_request){ .address = base + PAGE_SIZE, .length_bytes = 2 * PAGE_SIZE, .protection = READ_EXECUTE, .backing = &library->backing,
                                     .backing_index = 1, .fixed = true };
    if (address_space_map(space, &request, &address) != 0)
        return 0;
    request = (struct area_request){ .address = base + 3 * PAGE_SIZE, .length_bytes = PAGE_SIZE, .protection = READ_WRITE, .backing = &library->backing,
                                     .backing_index = 3, .fixed = true };
    return address_space_map(space, &request, &address) == 0 ? base : 0;
}

static struct address_space *space_make(void)
{
    struct address_space *space;

    assert_int_equal(address_space_create(&space), 0);
    return space;
}

static void space_end(struct address_space *space)
{
    address_space_leave(space);
    assert_int_equal(atomic_load(&space->resident_pages), 0);
    address_space_release(space);
}

/* A program that calls once from each site. */
static void program_run(struct library *library)
{
    struct address_space *space = space_make();
    uint64_t base = library_map(library, space);

    assert_true(base != 0);
    for (uint64_t page = 1; page < 3; page++)
        for (uint32_t i = 0; i < SITES; i++) {
            assert_int_equal(address_space_fault(space, base + SITE(page, i), PAGING_EXECUTE), 0);
            code_patch_seen(space, base + SITE(page, i) + 5, i);
        }
    space_end(space);
}

static unsigned int jumps_count(struct address_space *space, uint64_t base)
{
    unsigned int count = 0;
    uint8_t code[SITE_BYTES];

    for (uint64_t page = 1; page < 3; page++)
        for (uint32_t i = 0; i < SITES; i++) {
            assert_int_equal(address_space_read(space, base + SITE(page, i), code, sizeof(code)), sizeof(code));
            if (code[0] == 0xe9)
                count++;
            else
                assert_memory_equal(code, file + SITE(page, i), SITE_BYTES);
            assert_memory_equal(code + DOOR_JUMP_BYTES, file + SITE(page, i) + DOOR_JUMP_BYTES, SITE_BYTES - DOOR_JUMP_BYTES);
        }
    return count;
}

static struct area *doors_area(struct address_space *space)
{
    struct area *area = address_space_find(space, 0);

    while (area && !code_patch_owns(area))
        area = area_next(area);
    return area;
}

/* Each site leads to a trampoline of its own, which leads back, and is the table's. */
static void doors_check(struct address_space *space, uint64_t base)
{
    uint8_t jump[DOOR_JUMP_BYTES], trampoline[DOOR_TRAMPOLINE_BYTES], expected[DOOR_TRAMPOLINE_BYTES];
    struct door_site site;
    int32_t distance;

    for (uint64_t page = 1; page < 3; page++)
        for (uint32_t i = 0; i < SITES; i++) {
            uint64_t start = base + SITE(page, i);
            assert_int_equal(address_space_read(space, start, jump, sizeof(jump)), sizeof(jump));
            memcpy(&distance, jump + 1, sizeof(distance));
            uint64_t at = start + DOOR_JUMP_BYTES + (uint64_t)(int64_t)distance;
            assert_in_range(at, base - DOORS_BYTES, base - 1);
            assert_int_equal(address_space_read(space, at, trampoline, sizeof(trampoline)), sizeof(trampoline));
            assert_true(door_site_read(&site, start + 5, file + SITE(page, i) + 5, DOOR_BEFORE_BYTES, DOOR_AFTER_BYTES, i));
            door_trampoline_write(&site, at, expected, door_entry_address());
            assert_memory_equal(trampoline, expected, sizeof(expected));
            assert_int_equal(code_patch_repair(space, start + 1), at);
            assert_int_equal(code_patch_place(space, at), start);
        }
}

static struct page *page_at(struct address_space *space, uint64_t address)
{
    struct page *page;

    assert_int_equal(address_space_get_page(space, address, PAGING_READ, &page), 0);
    page_release(page);
    return page;
}

static uint64_t shared_count(void)
{
    struct code_patch_statistics statistics;

    code_patch_statistics_get(&statistics);
    return statistics.shared;
}

static void doors_come_with_the_file(void **state)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        uint64_t shared_before = shared_count();
        struct library library;
        library_open(&library, in_memory);
        for (uint32_t turn = 1; turn < FILE_DOORS_SPACES; turn++)
            program_run(&library);
        assert_int_equal(shared_count(), shared_before);
        program_run(&library);
        assert_int_equal(shared_count(), shared_before + 2 * SITES);

        /* From now on they come at once, in pages that are the same for all; the file has none of it. */
        struct address_space *space = space_make(), *other = space_make();
        uint64_t base = library_map(&library, space), other_base = library_map(&library, other);
        assert_true(base != 0 && other_base != 0);
        assert_int_equal(doors_area(space)->end, base);
        assert_int_equal(jumps_count(space, base), 2 * SITES);
        doors_check(space, base);
        doors_check(other, other_base);
        assert_ptr_equal(page_at(space, base + PAGE_SIZE), page_at(other, other_base + PAGE_SIZE));
        for (uint64_t page = 0; page < FILE_PAGES; page++) {
            struct page *cached;
            assert_int_equal(page_cache_get(&library.cache, page, &cached), 0);
            assert_memory_equal(page_address(cached), file + page * PAGE_SIZE, PAGE_SIZE);
            page_release(cached);
        }
        program_run(&library); /* one more changes nothing */
        assert_int_equal(shared_count(), shared_before + 2 * SITES);

        /* A child has them, and others keep them when one makes its code writable. */
        struct address_space *copy;
        assert_int_equal(address_space_duplicate(space, NULL, &copy), 0);
        doors_check(copy, base);
        assert_int_equal(address_space_protect(space, base + PAGE_SIZE, PAGE_SIZE, READ_WRITE | PAGING_EXECUTE), 0);
        assert_int_equal(jumps_count(space, base), SITES);
        assert_int_equal(code_patch_repair(space, base + SITE(1, 0) + 1), 0);
        assert_int_equal(address_space_protect(space, base + PAGE_SIZE, PAGE_SIZE, READ_EXECUTE), 0);
        assert_int_equal(address_space_advise(space, base + PAGE_SIZE, PAGE_SIZE, 4), 0); /* MADV_DONTNEED: it comes from the file */
        assert_int_equal(jumps_count(space, base), SITES);
        doors_check(copy, base);
        doors_check(other, other_base);
        assert_int_equal(code_patch_stop(copy), 0);
        assert_int_equal(jumps_count(copy, base), 0);
        assert_int_equal(address_space_advise(copy, base, FILE_PAGES * PAGE_SIZE, 4), 0);
        assert_int_equal(jumps_count(copy, base), 0);
        space_end(copy);
        space_end(space);

        /* What was forgotten by the system comes with its doors again. */
        assert_int_equal(address_space_advise(other, other_base + PAGE_SIZE, 2 * PAGE_SIZE, 4), 0);
        doors_check(other, other_base);
        /* With the library, its trampolines go; not with half of it. */
        uint64_t areas = other->area_count;
        assert_int_equal(address_space_unmap(other, other_base + PAGE_SIZE, PAGE_SIZE), 0);
        assert_non_null(doors_area(other));
        assert_int_equal(address_space_unmap(other, other_base, (FILE_PAGES + 1) * PAGE_SIZE), 0);
        assert_null(doors_area(other));
        assert_true(areas > other->area_count && other->area_count == 0);
        for (int turn = 0; turn < 50; turn++) {
            other_base = library_map(&library, other);
            doors_check(other, other_base);
            assert_int_equal(address_space_unmap(other, other_base, (FILE_PAGES + 1) * PAGE_SIZE), 0);
        }
        assert_int_equal(other->area_count, 0);
        space_end(other);
        library_close(&library);
    }
}

/* A space that has shared pages makes further doors in copies of its own. */
static void more_doors_are_ones_own(void **state)
{
    struct library library;

    library_open(&library, false);
    for (uint32_t turn = 0; turn < FILE_DOORS_SPACES; turn++) {
        struct address_space *space = space_make();
        uint64_t base = library_map(&library, space);
        assert_int_equal(address_space_fault(space, base + SITE(1, 0), PAGING_EXECUTE), 0);
        code_patch_seen(space, base + SITE(1, 0) + 5, 0);
        space_end(space);
    }
    struct address_space *space = space_make(), *other = space_make();
    uint64_t base = library_map(&library, space), other_base = library_map(&library, other);
    assert_int_equal(jumps_count(space, base), 1);
    for (uint32_t times = 0; times < CODE_PATCH_CALLS; times++)
        for (uint64_t page = 1; page < 3; page++)
            for (uint32_t i = 0; i < SITES; i++)
                code_patch_seen(space, base + SITE(page, i) + 5, i);
    assert_int_equal(jumps_count(space, base), 2 * SITES);
    assert_int_equal(jumps_count(other, other_base), 1);
    doors_check(space, base);
    /* Trampolines taken away, none is left. */
    assert_int_equal(address_space_unmap(space, base - DOORS_BYTES, DOORS_BYTES), 0);
    assert_int_equal(jumps_count(space, base), 0);
    assert_int_equal(address_space_advise(space, base, FILE_PAGES * PAGE_SIZE, 4), 0);
    assert_int_equal(jumps_count(space, base), 0);
    space_end(space);
    space_end(other);
    library_close(&library);
}

/* Calls so near to each other that a door takes the other's instructions: one of them is made, in whichever order they come. */
static void neighbours(void **state)
{
    static const uint8_t code[] = { 0x31, 0xc0, 0x0f, 0x05, 0x48, 0xc7, 0xc0, 9, 0, 0, 0, 0x0f, 0x05, 0xc3 }; /* xor %eax,%eax; syscall; mov $9,%rax; syscall; ret */
    enum { AT = PAGE_SIZE + 3000, FIRST = 2, SECOND = 11, SECOND_MOV = 4 };

    for (int order = 0; order < 2; order++) {
        struct library library;
        uint8_t found[sizeof(code)];
        library_open(&library, false);
        memcpy(file + AT, code, sizeof(code));
        for (uint32_t turn = 0; turn < FILE_DOORS_SPACES; turn++) {
            struct address_space *space = space_make();
            uint64_t at = library_map(&library, space) + AT;
            assert_int_equal(address_space_fault(space, at, PAGING_EXECUTE), 0);
            for (int call = 0; call < 2; call++)
                code_patch_seen(space, at + (call == order ? FIRST : SECOND), call == order ? 0 : 9);
            space_end(space);
        }
        struct address_space *space = space_make();
        uint64_t base = library_map(&library, space), start = order == 0 ? FIRST : SECOND_MOV;
        assert_int_equal(address_space_read(space, base + AT, found, sizeof(found)), sizeof(found));
        assert_int_equal(found[start], 0xe9);
        assert_int_equal(code_patch_repair(space, base + AT + (order == 0 ? SECOND_MOV : FIRST) + 1), 0);
        memcpy(found + start, code + start, DOOR_JUMP_BYTES);
        assert_memory_equal(found, code, sizeof(code));
        assert_int_equal(address_space_protect(space, base + PAGE_SIZE, PAGE_SIZE, READ_WRITE), 0);
        assert_int_equal(address_space_read(space, base + AT, found, sizeof(found)), sizeof(found));
        assert_memory_equal(found, code, sizeof(code));
        space_end(space);
        library_close(&library);
    }
}

/* Code that is mapped over itself comes as the file has it, since its places for trampolines may be others' by then. */
static void code_over_itself(void **state)
{
    struct library library;

    library_open(&library, false);
    for (uint32_t turn = 0; turn < FILE_DOORS_SPACES; turn++)
        program_run(&library);
    struct address_space *space = space_make(), *other = space_make();
    uint64_t base = library_map(&library, space), other_base = library_map(&library, other), address;
    struct area_request request = { .address = base + PAGE_SIZE, .length_bytes = PAGE_SIZE, .protection = READ_EXECUTE, .backing = &library.backing,
                                    .backing_index = 1, .fixed = true };
    doors_check(space, base);
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(jumps_count(space, base), SITES);
    for (uint32_t times = 0; times < CODE_PATCH_CALLS; times++)
        for (uint32_t i = SITES; i-- > 0;)
            code_patch_seen(space, base + SITE(1, i) + 5, i);
    doors_check(space, base);
    doors_check(other, other_base);
    request.length_bytes = 2 * PAGE_SIZE; /* all of it: then there is nothing left that came with the file */
    assert_int_equal(address_space_map(space, &request, &address), 0);
    assert_int_equal(jumps_count(space, base), 0);
    assert_null(doors_area(space));
    space_end(space);
    space_end(other);
    library_close(&library);
}

static void bytes_write(struct library *library, uint64_t offset, uint8_t value)
{
    struct io_segment segment;
    struct io_vector vector;

    file[offset] = value;
    io_vector_init_kernel(&vector, &segment, &value, 1);
    assert_int_equal(page_cache_write(&library->cache, offset, &vector), 1);
}

/* Who maps the file after a change sees the change, and makes doors anew; who has it mapped keeps what was there, or gets the new. */
static void changes_of_the_file_end_them(void **state)
{
    for (int way = 0; way < 3; way++) {
        struct library library;
        library_open(&library, way == 1);
        for (uint32_t turn = 0; turn < FILE_DOORS_SPACES; turn++)
            program_run(&library);
        struct address_space *before = space_make(), *after = space_make(), *writer = space_make();
        uint64_t base = library_map(&library, before), address = 0;
        doors_check(before, base);
        if (way == 0) {
            bytes_write(&library, SITE(2, SITES) + 3, 0x55);
        } else if (way == 1) {
            struct area_request request = { .length_bytes = FILE_PAGES * PAGE_SIZE, .protection = READ_WRITE, .backing = &library.backing,
                                            .flags = AREA_SHARED | AREA_MAY_WRITE };
            assert_int_equal(address_space_map(writer, &request, &address), 0);
            file[SITE(2, SITES) + 3] = 0x55;
            assert_int_equal(address_space_write(writer, address + SITE(2, SITES) + 3, file + SITE(2, SITES) + 3, 1), 1);
        } else {
            assert_int_equal(page_cache_resize(&library.cache, 3 * PAGE_SIZE), 0);
        }
        assert_int_equal(jumps_count(before, base), 2 * SITES);
        uint64_t after_base = library_map(&library, after);
        uint8_t page[PAGE_SIZE];
        assert_int_equal(jumps_count(after, after_base), 0);
        assert_null(doors_area(after));
        for (uint64_t index = 1; index < 3; index++) {
            assert_int_equal(address_space_read(after, after_base + index * PAGE_SIZE, page, PAGE_SIZE), PAGE_SIZE);
            assert_memory_equal(page, file + index * PAGE_SIZE, PAGE_SIZE);
        }
        /* In a file that somebody may write by stores none are made. */
        for (uint32_t turn = 0; turn < FILE_DOORS_SPACES + 1; turn++)
            program_run(&library);
        struct address_space *last = space_make();
        uint64_t last_base = library_map(&library, last);
        assert_int_equal(jumps_count(last, last_base), way == 1 ? 0 : 2 * SITES);
        space_end(last);
        space_end(writer);
        space_end(before);
        space_end(after);
        library_close(&library);
    }
}

static void memory_that_runs_out_leaves_files_alone(void **state)
{
    for (long successes = 0; successes < 200; successes++) {
        struct library library;
        library_open(&library, false);
        for (uint32_t turn = 1; turn < FILE_DOORS_SPACES; turn++)
            program_run(&library);
        struct address_space *space = space_make(), *user = space_make();
        uint64_t base = library_map(&library, space);
        for (uint64_t page = 1; page < 3; page++)
            assert_int_equal(address_space_fault(space, base + page * PAGE_SIZE, PAGING_EXECUTE), 0);
        host_fail_allocations_after(successes);
        for (uint64_t page = 1; page < 3; page++)
            for (uint32_t i = 0; i < SITES; i++)
                code_patch_seen(space, base + SITE(page, i) + 5, i);
        host_fail_allocations_after(-1);
        space_end(space);
        host_fail_allocations_after(successes / 4);
        base = library_map(&library, user);
        host_fail_allocations_after(-1);
        if (base == 0)
            base = library_map(&library, user);
        assert_true(jumps_count(user, base) <= 2 * SITES);
        assert_int_equal(address_space_unmap(user, base, (FILE_PAGES + 1) * PAGE_SIZE), 0);
        space_end(user);
        library_close(&library);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doors_come_with_the_file),
        cmocka_unit_test(more_doors_are_ones_own),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(code_over_itself),
        cmocka_unit_test(changes_of_the_file_end_them),
        cmocka_unit_test(memory_that_runs_out_leaves_files_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
