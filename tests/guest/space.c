/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces on real page tables: the kernel uses user_copy on them as a program would use its memory, and this file's page
 * fault goes to kernel/vm. Random maps, protections, moves and copies are checked against a plain table of what must be there.
 */
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "kernel/vm/address_space.h"
#include "tests/guest/tap.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/hypercall.h"
#include "xen/machine/upcalls.h"
#include "xen/x86/trap_frame.h"
#include "xen/x86/user_access.h"

#define BASE 0x20000000ull
#define PAGES 512
#define ROUNDS 3000
#define READ_WRITE (PAGING_READ | PAGING_WRITE)

/* What a page of the table's range must be. */
struct model {
    bool mapped;
    uint32_t protection;
    uint64_t value;      /* its first word */
};

static struct address_space *current;

bool upcall_page_fault(struct trap_frame *frame, uint64_t address, uint64_t error)
{
    (void)frame;
    return current && address_space_fault(current, address, error & 2 ? PAGING_WRITE : PAGING_READ) == 0;
}

static void space_use(struct address_space *space)
{
    current = space;
    cpu_events_mask();
    paging_root_activate(&space->root);
    cpu_events_unmask();
}

static uint64_t seed = 0x9e3779b97f4a7c15ull;
static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t address_of(size_t page)
{
    return BASE + page * PAGE_SIZE;
}

static int map_at(struct address_space *space, size_t page, size_t count, uint32_t protection)
{
    struct area_request request = { .address = address_of(page), .length_bytes = count * PAGE_SIZE, .protection = protection,
                                    .fixed = true };
    uint64_t address;
    return address_space_map(space, &request, &address);
}

/* One page against its model; false, and a line, where they differ. */
static bool page_check(const struct model *model, size_t page)
{
    uint64_t value = 0;

    int error = user_load(&value, address_of(page));
    if (!model->mapped || !(model->protection & PAGING_READ))
        return error == -EFAULT;
    return error == 0 && value == model->value;
}

static bool model_check(const struct model *models)
{
    for (size_t page = 0; page < PAGES; page++)
        if (!page_check(&models[page], page)) {
            tap_case(false, "page %zu: mapped %d, protection %u", page, models[page].mapped, models[page].protection);
            return false;
        }
    return true;
}

static bool step(struct address_space *space, struct model *models)
{
    size_t page = random_next() % PAGES;
    size_t count = minimum((size_t)(random_next() % 24 + 1), PAGES - page);
    uint64_t value = random_next();
    bool all = true;

    switch (random_next() % 8) {
    case 0:
        for (size_t i = page; i < page + count; i++)
            models[i] = (struct model){ true, READ_WRITE, 0 };
        return map_at(space, page, count, READ_WRITE) == 0;
    case 1:
        for (size_t i = page; i < page + count; i++)
            models[i] = (struct model){ .mapped = false };
        return address_space_unmap(space, address_of(page), count * PAGE_SIZE) == 0;
    case 2: {
        static const uint32_t protections[] = { 0, PAGING_READ, READ_WRITE, READ_WRITE };
        uint32_t protection = protections[random_next() % 4];
        for (size_t i = page; i < page + count; i++)
            all &= models[i].mapped;
        int error = address_space_protect(space, address_of(page), count * PAGE_SIZE, protection);
        /* As Linux: what lies before a hole has changed. */
        for (size_t i = page; i < page + count && models[i].mapped; i++)
            models[i].protection = protection;
        return all ? error == 0 : error == -ENOMEM;
    }
    default: {
        int error = user_store(address_of(page), &value);
        bool writable = models[page].mapped && (models[page].protection & PAGING_WRITE);
        if (writable)
            models[page].value = value;
        return error == (writable ? 0 : -EFAULT);
    }
    }
}

static void random_test(void)
{
    static struct model models[PAGES];
    struct address_space *space;
    bool good = address_space_create(&space) == 0;

    space_use(space);
    for (unsigned int round = 0; good && round < ROUNDS; round++) {
        good = step(space, models);
        if (!good)
            tap_case(false, "step %u", round);
        else if (round % 100 == 99)
            good = model_check(models);
    }
    tap_case(good && model_check(models), "%u random maps, unmaps, protections and writes", ROUNDS);

    static struct model copies[PAGES];
    struct address_space *copy;
    __builtin_memcpy(copies, models, sizeof(copies));
    good = address_space_duplicate(space, &copy) == 0;
    for (unsigned int round = 0; good && round < 400; round++) {
        bool first = random_next() % 2;
        space_use(first ? space : copy);
        good = step(current, first ? models : copies);
    }
    space_use(space);
    good &= model_check(models);
    space_use(copy);
    tap_case(good && model_check(copies), "two copies of a space go their own ways");
    current = NULL;
    address_space_leave(copy);
    address_space_release(copy);
    address_space_leave(space);
    address_space_release(space);
}

static void touch_test(void)
{
    struct address_space *space;
    uint64_t before[64], after[64];
    uint64_t one = 1;
    bool good = address_space_create(&space) == 0;

    space_use(space);
    good &= map_at(space, 0, 4096, READ_WRITE) == 0;
    hypercall_counts(before);
    uint64_t start_ns = clock_monotonic_ns();
    for (size_t page = 0; page < 4096; page++)
        good &= user_store(address_of(page), &one) == 0;
    uint64_t took_ns = clock_monotonic_ns() - start_ns;
    hypercall_counts(after);
    uint64_t hypercalls = 0;
    for (size_t i = 0; i < 64; i++)
        hypercalls += after[i] - before[i];
    tap_case(good, "first touch of 4096 pages: %llu ns and %llu/1000 hypercalls a page", (unsigned long long)took_ns / 4096,
             (unsigned long long)hypercalls * 1000 / 4096);
    start_ns = clock_monotonic_ns();
    good = address_space_unmap(space, BASE, 4096 * PAGE_SIZE) == 0;
    took_ns = clock_monotonic_ns() - start_ns;
    tap_case(good, "their unmapping: %llu ns a page", (unsigned long long)took_ns / 4096);

    good = map_at(space, 0, 4, READ_WRITE) == 0 && user_store(BASE + 8, &one) == 0;
    uint64_t moved, value = 0;
    good &= address_space_remap(space, BASE, 4 * PAGE_SIZE, 700 * PAGE_SIZE, 1, 0, &moved) == 0;
    good &= user_load(&value, moved + 8) == 0 && value == 1 && user_store(moved + 699 * PAGE_SIZE, &one) == 0;
    tap_case(good, "mremap keeps the content and grows");
    current = NULL;
    address_space_leave(space);
    address_space_release(space);
}

void first_program_run(void)
{
    thread_set_cpu_mask(thread_current(), 1); /* a kernel thread's root is its CPU's */
    touch_test();
    tap_count_resources();
    random_test();
    touch_test();
    tap_check_leaks();
    tap_done();
}
