/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors without a program: which bytes around a `syscall` are taken for which form, where jumps and trampolines lead, and what
 * a space's code is after sites were made, copied for fork, made writable, unmapped, and while memory runs out.
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
#include "tests/unit/host/host.h"
#include "xen/x86/door.h"

#define BASE 0x20000000ull
#define READ_WRITE (PAGING_READ | PAGING_WRITE)
#define READ_EXECUTE (PAGING_READ | PAGING_EXECUTE)
#define LOOK_BYTES (DOOR_BEFORE_BYTES + DOOR_AFTER_BYTES)

/* Instead of space_reaper.c, which visits CPUs: there is no CPU here that could have the root active. */
void space_retire(struct address_space *space)
{
    paging_root_destroy(&space->root);
    memory_free(space);
}

static const uint8_t mov_eax[LOOK_BYTES] = { 0x90, 0x90, 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 };
static const uint8_t mov_rax[LOOK_BYTES] = { 0x48, 0xc7, 0xc0, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 };
static const uint8_t mov_stack[LOOK_BYTES] = { 0x90, 0x90, 0x48, 0x8b, 0x44, 0x24, 0x08, 0x0f, 0x05, 0xc3 };
static const uint8_t cmp_rax[LOOK_BYTES] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff };
static const uint8_t cmp_eax[LOOK_BYTES] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x31, 0xc0, 0x0f, 0x05, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3 };
static const uint8_t alone[LOOK_BYTES] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x31, 0xc0, 0x0f, 0x05, 0xc3 };

static uint64_t jump_target(uint64_t address, const uint8_t *code)
{
    int32_t distance;

    assert_int_equal(code[0], 0xe9);
    memcpy(&distance, code + 1, sizeof(distance));
    return address + 5 + (uint64_t)(int64_t)distance;
}

static void sites_are_read(void **state)
{
    struct door_site site;

    assert_true(door_site_read(&site, 0x1007, mov_eax, 39));
    assert_int_equal(site.start, 0x1002);
    assert_int_equal(site.moved_bytes, 5);
    assert_false(door_site_is_after(&site));
    assert_true(door_site_read(&site, 0x1007, mov_rax, 39));
    assert_int_equal(site.start, 0x1000);
    assert_int_equal(site.moved_bytes, 7);
    assert_true(door_site_read(&site, 0x1007, mov_stack, 1));
    assert_int_equal(site.start, 0x1002);
    assert_true(door_site_read(&site, 0x1007, cmp_rax, 0));
    assert_int_equal(site.start, 0x1007);
    assert_int_equal(site.moved_bytes, 6);
    assert_true(door_site_is_after(&site));
    assert_true(door_site_read(&site, 0x1007, cmp_eax, 0));
    assert_int_equal(site.moved_bytes, 5);

    /* Another number than the mov's: it is no mov, or it is not where the number came from. */
    assert_false(door_site_read(&site, 0x1007, mov_eax, 40));
    assert_false(door_site_read(&site, 0x1007, mov_rax, 40));
    assert_false(door_site_read(&site, 0x1007, alone, 0));
    uint8_t other[LOOK_BYTES];
    memcpy(other, mov_eax, sizeof(other));
    other[8] = 0x34; /* sysenter: somebody has changed the code meanwhile */
    assert_false(door_site_read(&site, 0x1007, other, 39));
}

static void trampolines_lead_back(void **state)
{
    static const uint8_t *const codes[] = { mov_eax, mov_rax, mov_stack, cmp_rax, cmp_eax };
    uint8_t code[DOOR_TRAMPOLINE_BYTES], jump[DOOR_JUMP_BYTES];
    const uint64_t call = 0x7f1234560ff0, entry = 0xffffffff80201230;

    for (size_t form = 0; form < 5; form++) {
        struct door_site site;
        unsigned int places = 0;
        assert_true(door_site_read(&site, call, codes[form], form < 2 ? 39 : 0));
        for (uint64_t trampoline = call - 0x20000; trampoline < call + 0x20000; trampoline += DOOR_TRAMPOLINE_BYTES) {
            if (!door_jump_write(&site, trampoline, jump))
                continue;
            places++;
            assert_int_equal(jump_target(site.start, jump), trampoline);
            door_trampoline_write(&site, trampoline, code, entry);
            size_t at = door_site_is_after(&site) ? 0 : site.moved_bytes;
            int32_t distance, target;
            if (!door_site_is_after(&site))
                assert_memory_equal(code, site.moved, site.moved_bytes);
            assert_memory_equal(code + at, "\x48\x8d\x0d", 3); /* lea distance(%rip), %rcx */
            memcpy(&distance, code + at + 3, 4);
            uint64_t go_on = trampoline + at + 7 + (uint64_t)(int64_t)distance;
            assert_memory_equal(code + at + 7, "\x49\xc7\xc3", 3); /* mov $target, %r11 */
            memcpy(&target, code + at + 10, 4);
            assert_int_equal((uint64_t)(int64_t)target, entry);
            assert_memory_equal(code + at + 14, "\x41\xff\xe3", 3); /* jmp *%r11 */
            if (!door_site_is_after(&site)) {
                assert_int_equal(go_on, call + 2);
                continue;
            }
            /* Two bytes before the place to go on is a syscall, to have it done again. */
            assert_int_equal(go_on, door_go_on(trampoline));
            assert_memory_equal(code + (go_on - trampoline) - 2, "\x0f\x05", 2);
            assert_memory_equal(code + (go_on - trampoline), site.moved, site.moved_bytes);
            at = go_on - trampoline + site.moved_bytes;
            assert_int_equal(jump_target(trampoline + at, code + at), call + 2 + site.moved_bytes);
            assert_true(jump[2] != 0x48 && jump[2] != 0x3d && jump[2] != 0x0f);
        }
        assert_true(places > 50);
        assert_false(door_jump_write(&site, call + 0x80000000ull, jump));
        assert_false(door_jump_write(&site, call - 0x80000000ull, jump));
    }
}

/* A page of code with a site of each form, 64 bytes apart; its syscalls are at +7. */
static int code_map(struct address_space *space, uint64_t address)
{
    static const uint8_t *const codes[] = { mov_eax, mov_rax, mov_stack, cmp_rax, cmp_eax, alone };
    struct area_request request = { .address = address, .length_bytes = PAGE_SIZE, .protection = READ_WRITE, .fixed = true };
    int error = address_space_map(space, &request, &address);

    for (size_t form = 0; form < 6 && error == 0; form++)
        error = address_space_write(space, address + 64 * form, codes[form], LOOK_BYTES) == LOOK_BYTES ? 0 : -ENOMEM;
    return error ? error : address_space_protect(space, address, PAGE_SIZE, READ_EXECUTE);
}

static void sites_make(struct address_space *space, uint64_t address)
{
    for (size_t form = 0; form < 6; form++)
        code_patch_call(space, address + 64 * form + 7, form < 2 ? 39 : 0);
}

static unsigned int jumps_count(struct address_space *space, uint64_t address)
{
    static const uint8_t starts[] = { 2, 0, 2, 7, 7, 7 };
    unsigned int count = 0;

    for (size_t form = 0; form < 6; form++) {
        uint8_t code = 0;
        assert_int_equal(address_space_read(space, address + 64 * form + starts[form], &code, 1), 1);
        count += code == 0xe9;
    }
    return count;
}

static void code_comes_and_goes(void **state)
{
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();
    struct address_space *space, *copy;
    uint8_t code[LOOK_BYTES];

    assert_int_equal(address_space_create(&space), 0);
    assert_int_equal(code_map(space, BASE), 0);
    for (uint32_t i = 1; i < CODE_PATCH_CALLS; i++)
        assert_false(code_patch_due(space, BASE + 7));
    assert_true(code_patch_due(space, BASE + 7));
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), 5);
    assert_false(code_patch_due(space, BASE + 64 * 5 + 7)); /* refused for good */
    sites_make(space, BASE); /* as another thread would that came at the same time */
    assert_int_equal(jumps_count(space, BASE), 5);

    /* Who trapped inside is sent on; nobody else. */
    assert_true(code_patch_repair(space, BASE + 64 * 3 + 9) != 0);
    assert_true(code_patch_repair(space, BASE + 64 * 3 + 8) != 0);
    assert_int_equal(code_patch_repair(space, BASE + 9), 0);
    assert_int_equal(code_patch_repair(space, BASE + 64 * 5 + 9), 0);

    /* A child has them too, and loses its own alone. */
    assert_int_equal(address_space_duplicate(space, NULL, &copy), 0);
    assert_int_equal(jumps_count(copy, BASE), 5);
    assert_true(code_patch_repair(copy, BASE + 64 * 3 + 9) != 0);
    assert_int_equal(code_patch_stop(copy), 0);
    assert_int_equal(jumps_count(copy, BASE), 0);
    sites_make(copy, BASE);
    assert_int_equal(jumps_count(copy, BASE), 0);
    assert_int_equal(jumps_count(space, BASE), 5);
    address_space_leave(copy);
    address_space_release(copy);

    /* Writable code is what was written; it can be made doors again. */
    assert_int_equal(address_space_protect(space, BASE, PAGE_SIZE, READ_WRITE | PAGING_EXECUTE), 0);
    assert_int_equal(address_space_read(space, BASE + 64 * 3, code, LOOK_BYTES), LOOK_BYTES);
    assert_memory_equal(code, cmp_rax, LOOK_BYTES);
    assert_int_equal(jumps_count(space, BASE), 0);
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), 0);
    assert_int_equal(address_space_protect(space, BASE, PAGE_SIZE, READ_EXECUTE), 0);
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), 5);

    /* Without its trampolines a door is none. */
    struct area *area = address_space_find(space, 0);
    while (area && !code_patch_owns(area))
        area = area_next(area);
    assert_non_null(area);
    assert_int_equal(address_space_advise(space, area->start, PAGE_SIZE, 4), -EINVAL); /* MADV_DONTNEED */
    assert_int_equal(address_space_unmap(space, area->start, PAGE_SIZE), 0);
    assert_int_equal(jumps_count(space, BASE), 0);

    for (int turn = 0; turn < 200; turn++) {
        assert_int_equal(address_space_unmap(space, BASE, PAGE_SIZE), 0);
        assert_int_equal(code_map(space, BASE), 0);
        sites_make(space, BASE);
        assert_int_equal(jumps_count(space, BASE), 5);
    }
    assert_true(space->area_count <= 4);
    address_space_leave(space);
    assert_int_equal(atomic_load(&space->resident_pages), 0);
    address_space_release(space);
    assert_int_equal(host_pages_in_use(), pages_before);
    assert_int_equal(host_objects_in_use(), objects_before);
}

static void memory_that_runs_out_leaves_code_alone(void **state)
{
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();

    for (long successes = 0; successes < 40; successes++) {
        struct address_space *space, *copy;
        assert_int_equal(address_space_create(&space), 0);
        assert_int_equal(code_map(space, BASE), 0);
        host_fail_allocations_after(successes);
        if (code_patch_due(space, BASE + 7) || code_patch_due(space, BASE + 7))
            sites_make(space, BASE);
        int error = address_space_duplicate(space, NULL, &copy);
        host_fail_allocations_after(-1);
        assert_true(error == 0 || error == -ENOMEM);
        unsigned int count = jumps_count(space, BASE);
        if (error == 0) {
            assert_int_equal(jumps_count(copy, BASE), count);
            address_space_leave(copy);
            address_space_release(copy);
        }
        assert_int_equal(code_patch_stop(space), 0);
        assert_int_equal(jumps_count(space, BASE), 0);
        address_space_leave(space);
        address_space_release(space);
        assert_int_equal(host_pages_in_use(), pages_before);
        assert_int_equal(host_objects_in_use(), objects_before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sites_are_read),
        cmocka_unit_test(trampolines_lead_back),
        cmocka_unit_test(code_comes_and_goes),
        cmocka_unit_test(memory_that_runs_out_leaves_code_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
