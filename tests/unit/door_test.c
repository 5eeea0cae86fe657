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

/* A call site: what stands before its syscall and behind it, what eax holds, and what is made of it: from where on, with so many bytes moved. */
struct sample {
    const char *name;
    uint8_t before_bytes, before[DOOR_BEFORE_BYTES], behind_bytes, behind[DOOR_AFTER_BYTES - SYSCALL_BYTES];
    uint32_t number;
    int start;
    uint8_t moved_bytes;
};

#define BYTES(...) sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ }
#define CMP_RAX BYTES(0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff)
#define RET BYTES(0xc3)
#define XOR BYTES(0x31, 0xc0)

static const struct sample samples[] = {
    { "mov eax", BYTES(0xb8, 39, 0, 0, 0), RET, 39, -5, 5 },
    { "mov rax", BYTES(0x48, 0xc7, 0xc0, 39, 0, 0, 0), RET, 39, -7, 7 },
    { "mov 8(rsp), rax", BYTES(0x48, 0x8b, 0x44, 0x24, 0x08), RET, 0, -5, 5 },
    { "mov r11, 8(rsp)", BYTES(0x4c, 0x89, 0x5c, 0x24, 0x08), RET, 0, -5, 5 },
    { "mov eax; mov r12, rdi", BYTES(0xb8, 39, 0, 0, 0, 0x4c, 0x89, 0xe7), RET, 39, -8, 8 },
    { "mov eax; xor r10d; mov 8(rsp), r8", BYTES(0xb8, 39, 0, 0, 0, 0x45, 0x31, 0xd2, 0x4c, 0x8b, 0x44, 0x24, 0x08), RET, 39, -13, 13 },
    { "mov edx; nop; xor edi; mov edx, eax", BYTES(0xba, 60, 0, 0, 0, 0x66, 0x90, 0x31, 0xff, 0x89, 0xd0), BYTES(0xeb, 0xf8), 60, -11, 11 },
    { "mov rax; mov fs:0, rdi", BYTES(0x48, 0xc7, 0xc0, 39, 0, 0, 0, 0x64, 0x48, 0x8b, 0x3e), RET, 39, -11, 11 },
    { "the return from a handler, Go's", BYTES(0x48, 0xc7, 0xc0, 15, 0, 0, 0), BYTES(0xcd, 0x03), 15, -7, 7 },
    { "cmp rax", XOR, CMP_RAX, 0, 0, 6 },
    { "cmp eax", XOR, BYTES(0x3d, 0x00, 0xf0, 0xff, 0xff), 0, 0, 5 },
    { "cmp byte", XOR, BYTES(0x83, 0xf8, 0xfc), 0, 0, 3 },
    { "test rax", XOR, BYTES(0x48, 0x85, 0xc0), 0, 0, 3 },
    { "mov eax, 32(rsp)", XOR, BYTES(0x89, 0x44, 0x24, 0x20), 0, 0, 4 },
    { "mov r8d, edi", XOR, BYTES(0x44, 0x89, 0xc7), 0, 0, 3 },
    { "mov rax, disp32(rbp)", XOR, BYTES(0x48, 0x89, 0x85, 0, 1, 0, 0), 0, 0, 7 },
    { "sub disp32(rsp), rax", XOR, BYTES(0x48, 0x2b, 0x84, 0x24, 0, 1, 0, 0), 0, 0, 8 },
    { "mov eax first, cmp behind", BYTES(0xb8, 39, 0, 0, 0, 0x4c, 0x89, 0xe7), CMP_RAX, 39, 0, 6 },
    { "a prefix: not eax, then cmp", BYTES(0x41, 0xb8, 39, 0, 0, 0), CMP_RAX, 39, 0, 6 },
};
static const struct sample refused[] = {
    { "alone", XOR, RET, 0, 0, 0 },
    { "another number", BYTES(0xb8, 39, 0, 0, 0), RET, 40, 0, 0 },
    { "another number, long", BYTES(0x48, 0xc7, 0xc0, 39, 0, 0, 0), RET, 40, 0, 0 },
    { "another number, behind a mov", BYTES(0xb8, 39, 0, 0, 0, 0x4c, 0x89, 0xe7), RET, 40, 0, 0 },
    { "a constant for the stack", BYTES(0xc7, 0x45, 0xb8, 39, 0, 0, 0), RET, 39, 0, 0 },
    { "... and more behind it", BYTES(0x48, 0xc7, 0x44, 0x24, 0xb8, 1, 0, 0, 0, 0x44, 0x89, 0xc0), RET, 1, 0, 0 },
    { "a place in a structure", BYTES(0x48, 0x8b, 0xb8, 39, 0, 0, 0, 0x44, 0x89, 0xc0), RET, 39, 0, 0 },
    { "a comparison there", BYTES(0x83, 0xb8, 39, 0, 0, 0, 0x50, 0x44, 0x89, 0xc0), RET, 39, 0, 0 },
    { "a vector there", BYTES(0x66, 0x0f, 0x6f, 0xb8, 39, 0, 0, 0, 0x44, 0x89, 0xc0), RET, 39, 0, 0 },
    { "r8d", BYTES(0x41, 0xb8, 39, 0, 0, 0), RET, 39, 0, 0 },
    { "r8d, then eax", BYTES(0x41, 0xb8, 39, 0, 0, 0, 0x44, 0x89, 0xc0), RET, 39, 0, 0 },
    { "reading on does not end at the call", BYTES(0xb8, 39, 0, 0, 0, 0x4c, 0x89), RET, 39, 0, 0 },
    { "a jump between", BYTES(0xb8, 39, 0, 0, 0, 0x74, 0x00), RET, 39, 0, 0 },
    { "a place relative to itself between", BYTES(0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x3d, 0, 0, 0, 0), RET, 39, 0, 0 },
    { "the return from a handler, which unwinders know by its bytes", BYTES(0x48, 0xc7, 0xc0, 15, 0, 0, 0), RET, 15, 0, 0 },
    { "two bytes behind", XOR, BYTES(0x85, 0xc0, 0x48, 0x85, 0xc0), 0, 0, 0 },
    { "a place relative to itself behind", XOR, BYTES(0x48, 0x8b, 0x0d, 0, 0, 0, 0), 0, 0, 0 },
    { "too long behind", XOR, BYTES(0x48, 0x81, 0x7c, 0x24, 0x08, 0, 0, 0), 0, 0, 0 },
    { "a prefix behind", XOR, BYTES(0xf0, 0x48, 0x01, 0x07), 0, 0, 0 },
    { "a jump behind", XOR, BYTES(0x0f, 0x84, 0, 0, 0, 0), 0, 0, 0 },
    { "a transaction behind", XOR, BYTES(0xc7, 0xf8, 0, 0, 0, 0), 0, 0, 0 },
};
#define SAMPLES array_count(samples)
#define SAMPLE_CMP 9 /* "cmp rax" */

/* Its bytes, with the call at DOOR_BEFORE_BYTES. */
static void sample_write(const struct sample *sample, uint8_t look[LOOK_BYTES])
{
    memset(look, 0x90, LOOK_BYTES);
    memcpy(look + DOOR_BEFORE_BYTES - sample->before_bytes, sample->before, sample->before_bytes);
    memcpy(look + DOOR_BEFORE_BYTES, "\x0f\x05", SYSCALL_BYTES);
    memcpy(look + DOOR_BEFORE_BYTES + SYSCALL_BYTES, sample->behind, sample->behind_bytes);
}

static bool sample_read(const struct sample *sample, struct door_site *site, uint64_t call)
{
    uint8_t look[LOOK_BYTES];

    sample_write(sample, look);
    return door_site_read(site, call, look + DOOR_BEFORE_BYTES, DOOR_BEFORE_BYTES, DOOR_AFTER_BYTES, sample->number);
}

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
    uint8_t look[LOOK_BYTES];

    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *sample = &samples[i];
        assert_true(sample_read(sample, &site, 0x1010));
        assert_int_equal(site.call, 0x1010);
        assert_int_equal(site.start, 0x1010 + sample->start);
        assert_int_equal(site.moved_bytes, sample->moved_bytes);
        assert_int_equal(door_site_is_after(&site), sample->start == 0);
        sample_write(sample, look);
        const uint8_t *call = look + DOOR_BEFORE_BYTES;
        assert_memory_equal(site.moved, sample->start == 0 ? call + SYSCALL_BYTES : call + sample->start, sample->moved_bytes);
        assert_true(door_site_is_whole(sample->start == 0 ? call + SYSCALL_BYTES : call + sample->start, 8, sample->start == 0));
        /* Just what there is of it matters: at a page's start, and at its end. */
        size_t before = (size_t)-sample->start, from = SYSCALL_BYTES + (sample->start == 0 ? sample->moved_bytes : sample->number == 15 ? 2u : 0u);
        size_t named = before + (before && (call[sample->start] & 0xf8) == 0xb8); /* no prefix before it */
        assert_true(door_site_read(&site, 0x1010, call, named, from, sample->number));
        assert_int_equal(site.moved_bytes, sample->moved_bytes);
        if (named > 0)
            assert_false(door_site_read(&site, 0x1010, call, named - 1, from, sample->number));
        assert_false(door_site_read(&site, 0x1010, call, before, from - 1, sample->number));
        look[DOOR_BEFORE_BYTES + 1] = 0x34; /* sysenter: somebody has changed the code meanwhile */
        assert_false(door_site_read(&site, 0x1010, call, DOOR_BEFORE_BYTES, DOOR_AFTER_BYTES, sample->number));
    }
    for (size_t i = 0; i < array_count(refused); i++)
        assert_false(sample_read(&refused[i], &site, 0x1010));
    assert_false(door_site_is_whole((const uint8_t *)"\x0f\x0b\x90\x90", 4, true)); /* ud2 is the program's */
    assert_false(door_site_is_whole((const uint8_t *)"\x06\x90\x90\x90", 4, true));
    assert_false(door_site_is_whole((const uint8_t *)"\xcc", 1, false));
    assert_false(door_site_is_whole((const uint8_t *)"\x03", 1, false)); /* the second byte of int $3 */
}

static void places_are_told(const struct door_site *site, uint64_t trampoline, size_t enter)
{
    uint64_t go_on = door_go_on(trampoline);

    assert_int_equal(door_place(site, trampoline, trampoline), site->start);
    for (size_t at = enter; at < enter + 17; at++)
        assert_int_equal(door_place(site, trampoline, trampoline + at), site->call);
    if (!door_site_is_after(site))
        return;
    assert_int_equal(door_place(site, trampoline, go_on - SYSCALL_BYTES), site->call);
    assert_int_equal(door_place(site, trampoline, go_on), site->call + SYSCALL_BYTES);
    assert_int_equal(door_place(site, trampoline, go_on + site->moved_bytes), site->call + SYSCALL_BYTES + site->moved_bytes);
}

static void trampolines_lead_back(void **state)
{
    uint8_t code[DOOR_TRAMPOLINE_BYTES], jump[DOOR_JUMP_BYTES];
    const uint64_t call = 0x7f1234560ff0, entry = 0xffffffff80201230;

    for (size_t form = 0; form < SAMPLES; form++) {
        struct door_site site;
        unsigned int places = 0;
        assert_true(sample_read(&samples[form], &site, call));
        for (uint64_t trampoline = call - 0x20000; trampoline < call + 0x20000; trampoline += DOOR_TRAMPOLINE_BYTES) {
            if (!door_jump_write(&site, trampoline, jump)) {
                assert_true(door_trampoline_place(&site, trampoline) > trampoline);
                continue;
            }
            assert_int_equal(door_trampoline_place(&site, trampoline), trampoline);
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
            places_are_told(&site, trampoline, at);
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
            assert_false(door_site_is_whole(jump + 2, 3, true));
        }
        assert_true(places > 50);
        assert_false(door_jump_write(&site, call + 0x80000000ull, jump));
        assert_false(door_jump_write(&site, call - 0x80000000ull, jump));
    }
}

/* A page of code with a site of each form, 64 bytes apart, and one that cannot be a door. */
#define SITES (SAMPLES + 1)
#define CALL(address, form) ((address) + 64 * (form) + DOOR_BEFORE_BYTES)
#define FIRST_SITE CALL(BASE, 0)

static const struct sample *site_sample(size_t form)
{
    return form < SAMPLES ? &samples[form] : &refused[0];
}

static int code_map(struct address_space *space, uint64_t address)
{
    struct area_request request = { .address = address, .length_bytes = PAGE_SIZE, .protection = READ_WRITE, .fixed = true };
    int error = address_space_map(space, &request, &address);
    uint8_t look[LOOK_BYTES];

    for (size_t form = 0; form < SITES && error == 0; form++) {
        sample_write(site_sample(form), look);
        error = address_space_write(space, address + 64 * form, look, LOOK_BYTES) == LOOK_BYTES ? 0 : -ENOMEM;
    }
    return error ? error : address_space_protect(space, address, PAGE_SIZE, READ_EXECUTE);
}

static void calls_come(struct address_space *space, uint64_t call, uint32_t number, unsigned int times)
{
    while (times-- > 0)
        code_patch_seen(space, call, number);
}

static void sites_make(struct address_space *space, uint64_t address)
{
    for (size_t form = 0; form < SITES; form++)
        calls_come(space, CALL(address, form), site_sample(form)->number, CODE_PATCH_CALLS);
}

static uint64_t refused_count(void)
{
    struct code_patch_statistics statistics;

    code_patch_statistics_get(&statistics);
    return statistics.refused;
}

static unsigned int jumps_count(struct address_space *space, uint64_t address)
{
    unsigned int count = 0;

    for (size_t form = 0; form < SITES; form++) {
        uint8_t code = 0;
        uint64_t start = CALL(address, form) + (uint64_t)(int64_t)site_sample(form)->start;
        assert_int_equal(address_space_read(space, start, &code, 1), 1);
        count += code == 0xe9;
    }
    return count;
}

/* The patch's trampoline, by its jump. */
static uint64_t trampoline_of(struct address_space *space, uint64_t start)
{
    uint8_t code[DOOR_JUMP_BYTES];

    assert_int_equal(address_space_read(space, start, code, sizeof(code)), sizeof(code));
    return jump_target(start, code);
}

static void code_comes_and_goes(void **state)
{
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();
    struct address_space *space, *copy;
    uint8_t code[LOOK_BYTES], look[LOOK_BYTES];

    assert_int_equal(address_space_create(&space), 0);
    assert_int_equal(code_map(space, BASE), 0);
    calls_come(space, FIRST_SITE, site_sample(0)->number, CODE_PATCH_CALLS - 1);
    assert_int_equal(jumps_count(space, BASE), 0);
    code_patch_seen(space, FIRST_SITE, site_sample(0)->number);
    assert_int_equal(jumps_count(space, BASE), 1);
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), SAMPLES);
    uint64_t refused_before = refused_count();
    sites_make(space, BASE); /* as threads do that were inside */
    assert_int_equal(jumps_count(space, BASE), SAMPLES);
    assert_int_equal(refused_count(), refused_before); /* for good */

    /* Who trapped inside is sent on, nobody else; who is in a trampoline is told to be at the site. */
    uint64_t cmp = CALL(BASE, SAMPLE_CMP), mov = CALL(BASE, 0) - 5;
    for (size_t form = 0; form < SAMPLES; form++) {
        uint64_t start = CALL(BASE, form) + (uint64_t)(int64_t)samples[form].start, trampoline = trampoline_of(space, start);
        assert_int_equal(code_patch_repair(space, start + 1), trampoline);
        assert_int_equal(code_patch_repair(space, start + 2), samples[form].start == 0 ? door_go_on(trampoline) : 0);
        assert_int_equal(code_patch_repair(space, start), 0);
        assert_int_equal(code_patch_repair(space, start + 3), 0);
        assert_int_equal(code_patch_place(space, trampoline), start);
        assert_int_equal(code_patch_place(space, trampoline + 16), CALL(BASE, form));
        assert_int_equal(code_patch_place(space, start), start);
    }
    assert_int_equal(code_patch_repair(space, CALL(BASE, SAMPLES) + 2), 0);

    /* A child has them too, and loses its own alone. */
    assert_int_equal(address_space_duplicate(space, NULL, &copy), 0);
    assert_int_equal(jumps_count(copy, BASE), SAMPLES);
    assert_true(code_patch_repair(copy, cmp + 2) != 0);
    assert_int_equal(code_patch_place(copy, trampoline_of(copy, mov)), mov);
    assert_int_equal(code_patch_stop(copy), 0);
    assert_int_equal(jumps_count(copy, BASE), 0);
    sites_make(copy, BASE);
    assert_int_equal(jumps_count(copy, BASE), 0);
    assert_int_equal(jumps_count(space, BASE), SAMPLES);
    address_space_leave(copy);
    address_space_release(copy);

    /* Writable code is what was written; it can be made doors again. */
    assert_int_equal(address_space_protect(space, BASE, PAGE_SIZE, READ_WRITE | PAGING_EXECUTE), 0);
    for (size_t form = 0; form < SITES; form++) {
        sample_write(site_sample(form), look);
        assert_int_equal(address_space_read(space, BASE + 64 * form, code, LOOK_BYTES), LOOK_BYTES);
        assert_memory_equal(code, look, LOOK_BYTES);
    }
    assert_int_equal(jumps_count(space, BASE), 0);
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), 0);
    assert_int_equal(address_space_protect(space, BASE, PAGE_SIZE, READ_EXECUTE), 0);
    sites_make(space, BASE);
    assert_int_equal(jumps_count(space, BASE), SAMPLES);

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
        assert_int_equal(jumps_count(space, BASE), SAMPLES);
    }
    assert_true(space->area_count <= 4);
    address_space_leave(space);
    assert_int_equal(atomic_load(&space->resident_pages), 0);
    address_space_release(space);
    assert_int_equal(host_pages_in_use(), pages_before);
    assert_int_equal(host_objects_in_use(), objects_before);
}

/* Hundreds of sites, some at the very ends of a page; parts of them go. */
static void many_sites(void **state)
{
    enum { PAGES = 4, IN_PAGE = 64 };
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();
    struct area_request request = { .address = BASE, .length_bytes = PAGES * PAGE_SIZE, .protection = READ_WRITE, .fixed = true };
    struct address_space *space;
    uint64_t address;
    uint8_t look[LOOK_BYTES], code;

    assert_int_equal(address_space_create(&space), 0);
    assert_int_equal(address_space_map(space, &request, &address), 0);
    sample_write(&samples[SAMPLE_CMP], look);
    /* Each 64 bytes, the last one so that its cmp ends with the page. */
#define MANY(i) (BASE + 64 * (uint64_t)(i) + ((i) % IN_PAGE == IN_PAGE - 1 ? 64 - SYSCALL_BYTES - 6 : 32))
    for (int i = 0; i < PAGES * IN_PAGE; i++)
        assert_int_equal(address_space_write(space, MANY(i), look + DOOR_BEFORE_BYTES, SYSCALL_BYTES + 6), SYSCALL_BYTES + 6);
    assert_int_equal(address_space_protect(space, BASE, PAGES * PAGE_SIZE, READ_EXECUTE), 0);
    for (int i = 0; i < PAGES * IN_PAGE; i++) /* not in their order */
        calls_come(space, MANY(i * 37 % (PAGES * IN_PAGE)), 0, CODE_PATCH_CALLS);
    for (int i = 0; i < PAGES * IN_PAGE; i++) {
        uint64_t trampoline = trampoline_of(space, MANY(i));
        assert_int_equal(code_patch_repair(space, MANY(i) + 2), door_go_on(trampoline));
        assert_int_equal(code_patch_place(space, trampoline + 3), MANY(i));
    }
    assert_int_equal(address_space_unmap(space, BASE + PAGE_SIZE, PAGE_SIZE), 0);
    assert_int_equal(address_space_protect(space, BASE + 2 * PAGE_SIZE, PAGE_SIZE, READ_WRITE), 0);
    for (int i = 0; i < PAGES * IN_PAGE; i++) {
        int page = i / IN_PAGE;
        bool door = page == 0 || page == 3;
        assert_int_equal(code_patch_repair(space, MANY(i) + 2) != 0, door);
        if (page == 1)
            continue;
        assert_int_equal(address_space_read(space, MANY(i), &code, 1), 1);
        assert_int_equal(code, door ? 0xe9 : 0x0f);
    }
    address_space_leave(space);
    address_space_release(space);
    assert_int_equal(host_pages_in_use(), pages_before);
    assert_int_equal(host_objects_in_use(), objects_before);
}

/* Sites that come by turns, more of them than one place of the table has room for. */
static void sites_are_counted(void **state)
{
    struct address_space *space;

    assert_int_equal(address_space_create(&space), 0);
    for (uint64_t site = 0; site < 4; site++)
        assert_int_equal(code_map(space, BASE + site * 0x2000000ull), 0);
    for (unsigned int turn = 0; turn < CODE_PATCH_CALLS; turn++)
        for (uint64_t site = 0; site < 4; site++) {
            assert_int_equal(jumps_count(space, BASE + site * 0x2000000ull), 0);
            code_patch_seen(space, FIRST_SITE + site * 0x2000000ull, site_sample(0)->number);
        }
    for (uint64_t site = 0; site < 4; site++)
        assert_int_equal(jumps_count(space, BASE + site * 0x2000000ull), 1);
    address_space_leave(space);
    address_space_release(space);
}

static void memory_that_runs_out_leaves_code_alone(void **state)
{
    size_t pages_before = host_pages_in_use(), objects_before = host_objects_in_use();

    for (long successes = 0; successes < 40; successes++) {
        struct address_space *space, *copy;
        assert_int_equal(address_space_create(&space), 0);
        assert_int_equal(code_map(space, BASE), 0);
        host_fail_allocations_after(successes);
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
        cmocka_unit_test(many_sites),
        cmocka_unit_test(sites_are_counted),
        cmocka_unit_test(memory_that_runs_out_leaves_code_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
