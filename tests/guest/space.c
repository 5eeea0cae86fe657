/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces on real page tables: the kernel uses user_copy on them as a program would use its memory, and this file's page
 * fault goes to kernel/vm. Random maps, protections, moves and copies are checked against a plain table of what must be there, on
 * few pages and on so many that large entries come, where there are any (PVH), and are split in all ways.
 */
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
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
#define MANY_PAGES 4096
#define LARGE 512          /* pages of a large entry */
#define ROUNDS 3000
#define READ_WRITE (PAGING_READ | PAGING_WRITE)
#define DONT_NEED 4        /* Linux's advice */
#define HUGE_PAGE 14

/* What a page of the table's range must be. */
struct model {
    bool mapped;
    uint32_t protection;
    uint64_t value;      /* its first word */
};

static struct address_space *current;
static size_t page_limit, step_limit; /* of the random test that runs */

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

static size_t large_count(struct address_space *space, size_t first, size_t count)
{
    struct paging_entry entry;
    size_t large = 0;

    for (size_t page = first; page < first + count; page++) {
        paging_query(&space->root, address_of(page), &entry, 1);
        large += (entry.flags & PAGING_LARGE) != 0;
    }
    return large;
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
    for (size_t page = 0; page < page_limit; page++)
        if (!page_check(&models[page], page)) {
            tap_case(false, "page %zu: mapped %d, protection %u", page, models[page].mapped, models[page].protection);
            return false;
        }
    return true;
}

static bool store(struct model *models, size_t page, size_t count, uint64_t value)
{
    bool good = true;

    for (size_t i = page; i < page + count; i++, value++) {
        int error = user_store(address_of(i), &value);
        bool writable = models[i].mapped && (models[i].protection & PAGING_WRITE);
        if (writable)
            models[i].value = value;
        good &= error == (writable ? 0 : -EFAULT);
    }
    return good;
}

/* Half of [page, page + 2 * count) moves over the other one, if it is one mapping. */
static bool move(struct address_space *space, struct model *models, size_t page, size_t count)
{
    uint64_t result;

    for (size_t i = page; i < page + count; i++)
        if (!models[i].mapped || models[i].protection != models[page].protection)
            return true;
    if (count == 0)
        return true;
    int error = address_space_remap(space, address_of(page), count * PAGE_SIZE, count * PAGE_SIZE, 3, address_of(page + count), &result);
    for (size_t i = page; i < page + count; i++) {
        models[i + count] = models[i];
        models[i] = (struct model){ .mapped = false };
    }
    return error == 0 && result == address_of(page + count);
}

static bool step(struct address_space *space, struct model *models)
{
    size_t page = random_next() % page_limit;
    size_t count = minimum((size_t)(random_next() % step_limit + 1), page_limit - page);
    uint64_t value = random_next();
    bool all = true;

    switch (random_next() % 12) {
    case 0:
        for (size_t i = page; i < page + count; i++)
            models[i] = (struct model){ true, READ_WRITE, 0 };
        return map_at(space, page, count, READ_WRITE) == 0 &&
               address_space_advise(space, address_of(page), count * PAGE_SIZE, page_limit > PAGES ? HUGE_PAGE : 0) == 0;
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
    case 3: {
        int error = address_space_advise(space, address_of(page), count * PAGE_SIZE, DONT_NEED);
        for (size_t i = page; i < page + count; i++) {
            all &= models[i].mapped;
            models[i].value = 0;
        }
        return error == (all ? 0 : -ENOMEM);
    }
    case 4:
        return move(space, models, page, count / 2);
    default:
        return store(models, page, value % 4 == 0 ? count : 1, value);
    }
}

static void random_test(size_t pages, size_t most)
{
    static struct model models[MANY_PAGES];
    struct address_space *space;
    size_t large = 0;

    page_limit = pages;
    step_limit = most;
    __builtin_memset(models, 0, sizeof(models));
    bool good = address_space_create(&space) == 0;

    space_use(space);
    for (unsigned int round = 0; good && round < ROUNDS; round++) {
        good = step(space, models);
        if (!good)
            tap_case(false, "step %u", round);
        else if (round % 100 == 99)
            good = model_check(models);
        large = maximum(large, round % 100 == 99 ? large_count(space, 0, pages) : 0);
    }
    tap_case(good && model_check(models), "%u random maps, unmaps, protections, moves and writes of %zu pages", ROUNDS, pages);
    tap_case((large >= LARGE) == (paging_has_large() && most >= LARGE), "%zu of them large at once", large);

    static struct model copies[MANY_PAGES];
    struct address_space *copy;
    __builtin_memcpy(copies, models, sizeof(copies));
    good = address_space_duplicate(space, NULL, &copy) == 0;
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

/* All pages hold their numbers, those of [hole, hole + count) zeroes or nothing. */
static bool numbers_check(size_t hole, size_t count, bool mapped)
{
    for (uint64_t i = 0, value; i < MANY_PAGES; i++) {
        int error = user_load(&value, address_of(i));
        bool inside = i >= hole && i < hole + count;
        if (inside && !mapped ? error != -EFAULT : error != 0 || value != (inside ? 0 : i + 1))
            return false;
    }
    return true;
}

static bool numbers_store(size_t first, size_t count)
{
    bool good = true;

    for (uint64_t i = first; i < first + count; i++)
        good &= user_store(address_of(i), &(uint64_t){ i + 1 }) == 0;
    return good;
}

/* Large entries, one way after the other. `whole` is how many pages of the 16 MiB they have at first. */
static void large_test(bool advised)
{
    struct address_space *space, *copy;
    size_t has = paging_has_large(), whole = has * (advised ? 8 : 7) * LARGE;
    uint64_t other = 7, value = 0;

    bool good = address_space_create(&space) == 0;
    space_use(space);
    good &= map_at(space, 0, MANY_PAGES, READ_WRITE) == 0;
    if (advised)
        good &= address_space_advise(space, BASE, MANY_PAGES * PAGE_SIZE, HUGE_PAGE) == 0;
    good &= numbers_store(0, MANY_PAGES);
    size_t large = large_count(space, 0, MANY_PAGES);
    tap_case(good && large == whole && space->resident_pages == MANY_PAGES, "16 MiB written%s: %zu pages are large",
             advised ? " after advice" : "", large);

    good = address_space_protect(space, BASE, MANY_PAGES * PAGE_SIZE, PAGING_READ) == 0 && user_store(BASE, &other) == -EFAULT &&
           address_space_protect(space, BASE, MANY_PAGES * PAGE_SIZE, READ_WRITE) == 0 && numbers_store(MANY_PAGES - LARGE, LARGE);
    tap_case(good && large_count(space, 0, MANY_PAGES) == whole, "they stay so when the rights to all change");

    good = address_space_duplicate(space, NULL, &copy) == 0 && large_count(space, 0, MANY_PAGES) == whole &&
           large_count(copy, 0, MANY_PAGES) == whole && user_store(address_of(7 * LARGE + 3), &other) == 0;
    space_use(copy);
    good &= numbers_check(0, 0, true) && user_store(address_of(6 * LARGE), &other) == 0;
    space_use(space);
    good &= user_load(&value, address_of(7 * LARGE + 3)) == 0 && value == 7 && numbers_store(7 * LARGE + 3, 1) && numbers_check(0, 0, true);
    tap_case(good && large_count(space, 0, MANY_PAGES) == whole - has * LARGE && large_count(copy, 0, MANY_PAGES) == whole - has * LARGE,
             "a copy shares them; only what is written splits");
    address_space_leave(copy);
    address_space_release(copy);
    good = numbers_store(5 * LARGE + 9, 1) && numbers_check(0, 0, true);
    tap_case(good && large_count(space, 5 * LARGE, LARGE) == has * LARGE, "without the copy they are written whole again");

    good = address_space_advise(space, address_of(5 * LARGE + 10), 20 * PAGE_SIZE, DONT_NEED) == 0 && numbers_check(5 * LARGE + 10, 20, true) &&
           numbers_store(5 * LARGE + 10, 20);
    tap_case(good && large_count(space, 5 * LARGE, LARGE) == 0, "a part forgotten is zero, the rest stays");
    good = address_space_protect(space, address_of(4 * LARGE + 500), 12 * PAGE_SIZE, 0) == 0 && numbers_check(4 * LARGE + 500, 12, false) &&
           address_space_protect(space, address_of(4 * LARGE + 500), 12 * PAGE_SIZE, READ_WRITE) == 0 && numbers_check(0, 0, true);
    tap_case(good && large_count(space, 4 * LARGE, LARGE) == 0, "a part without rights keeps what it holds");
    uint64_t moved;
    good = address_space_remap(space, address_of(3 * LARGE + 1), LARGE * PAGE_SIZE, LARGE * PAGE_SIZE, 3,
                               address_of(2 * MANY_PAGES + 7), &moved) == 0 &&
           numbers_check(3 * LARGE + 1, LARGE, false);
    for (uint64_t i = 0; i < LARGE; i++)
        good &= user_load(&value, moved + i * PAGE_SIZE) == 0 && value == 3 * LARGE + 2 + i;
    tap_case(good, "a part moves with what it holds");
    good = map_at(space, 3 * LARGE + 1, LARGE, READ_WRITE) == 0 && numbers_store(3 * LARGE + 1, LARGE) &&
           address_space_unmap(space, address_of(2 * LARGE + 100), PAGE_SIZE) == 0 && numbers_check(2 * LARGE + 100, 1, false);
    tap_case(good && space->resident_pages == MANY_PAGES + LARGE - 1, "a page in the middle goes alone");
    current = NULL;
    address_space_leave(space);
    address_space_release(space);
}

/* Who touches little gets little. */
static void sparse_test(void)
{
    struct address_space *space;
    uint64_t one = 1;

    bool good = address_space_create(&space) == 0;
    space_use(space);
    good &= map_at(space, 0, 2 * MANY_PAGES, READ_WRITE) == 0;
    for (size_t i = 0; i < 8; i++)
        good &= user_store(address_of(i * LARGE + 5), &one) == 0;
    uint64_t jumps = space->resident_pages;
    for (size_t i = 1; i <= 3 * LARGE; i++)
        good &= user_store(address_of(2 * MANY_PAGES - i), &one) == 0;
    tap_case(good && jumps == 8 && large_count(space, 0, 2 * MANY_PAGES) == 0, "jumps, and a stack used downwards, get no large ones");
    current = NULL;
    address_space_leave(space);
    address_space_release(space);
}

void first_program_run(void)
{
    processors_wait();
    thread_set_cpu_mask(thread_current(), 1); /* a kernel thread's root is its CPU's */
    touch_test();
    tap_count_resources();
    random_test(PAGES, 24);
    random_test(MANY_PAGES, 3 * LARGE);
    large_test(false);
    large_test(true);
    sparse_test();
    touch_test();
    tap_check_leaks();
    tap_done();
}
