/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/vm on the host: areas and faults against a plain table of what each page must be (map, unmap, protect, move,
 * forget, copy for fork), and free places. Nothing may be left in use at the end.
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
    address_space_leave(space);
    address_space_release(space);
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
        cmocka_unit_test(clusters_begin_as_areas_before_ended),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
