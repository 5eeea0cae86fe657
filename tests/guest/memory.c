/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages, objects and kernel mappings: blocks of random orders and sizes come and go, each carrying a pattern of its own,
 * and none of them meets another. Then memory is used up and given back.
 */
#include "kernel/base/error.h"
#include "kernel/boot/first_program.h"
#include "kernel/boot/processors.h"
#include "kernel/memory/kernel_map.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "tests/guest/tap.h"

#define SLOTS 256
#define ROUNDS 20000

static uint64_t seed = 88172645463325252ull;

static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void fill(uint64_t *words, size_t bytes, uint64_t pattern)
{
    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = pattern + i;
}

static bool intact(const uint64_t *words, size_t bytes, uint64_t pattern)
{
    for (size_t i = 0; i < bytes / 8; i++)
        if (words[i] != pattern + i)
            return false;
    return true;
}

static void blocks_test(void)
{
    static struct { struct page *page; uint64_t pattern; } slots[SLOTS];
    bool good = true;

    for (unsigned int round = 0; round < ROUNDS; round++) {
        size_t slot = random_next() % SLOTS;
        struct page *page = slots[slot].page;
        if (page) {
            good &= intact(page_address(page), PAGE_SIZE << page->order, slots[slot].pattern);
            page_release(page);
            slots[slot].page = NULL;
            continue;
        }
        unsigned int order = (unsigned int)(random_next() % 16 == 0 ? random_next() % 4 : 0);
        page = page_allocate(order, PAGE_ANONYMOUS, 0);
        if (!page)
            continue;
        good &= (((uint64_t)page_address(page) >> PAGE_SHIFT) & ((1u << order) - 1)) == 0;
        slots[slot].page = page;
        slots[slot].pattern = random_next();
        fill(page_address(page), PAGE_SIZE << order, slots[slot].pattern);
    }
    for (size_t slot = 0; slot < SLOTS; slot++)
        if (slots[slot].page) {
            good &= intact(page_address(slots[slot].page), PAGE_SIZE << slots[slot].page->order, slots[slot].pattern);
            page_release(slots[slot].page);
            slots[slot].page = NULL;
        }
    tap_case(good, "%u blocks of pages came and went intact", ROUNDS);
}

static void objects_test(void)
{
    static struct { void *memory; size_t bytes; uint64_t pattern; } slots[SLOTS];
    bool good = true;

    for (unsigned int round = 0; round < ROUNDS * 2; round++) {
        size_t slot = random_next() % SLOTS;
        if (slots[slot].memory) {
            good &= intact(slots[slot].memory, slots[slot].bytes, slots[slot].pattern);
            memory_free(slots[slot].memory);
            slots[slot].memory = NULL;
            continue;
        }
        size_t bytes = random_next() % 3000 + 1;
        void *memory = memory_allocate(bytes);
        if (!memory)
            continue;
        good &= ((uint64_t)memory & 15) == 0;
        slots[slot].memory = memory;
        slots[slot].bytes = bytes;
        slots[slot].pattern = random_next();
        fill(memory, bytes, slots[slot].pattern);
    }
    for (size_t slot = 0; slot < SLOTS; slot++) {
        if (slots[slot].memory)
            good &= intact(slots[slot].memory, slots[slot].bytes, slots[slot].pattern);
        memory_free(slots[slot].memory);
        slots[slot].memory = NULL;
    }
    tap_case(good, "%u objects of all sizes came and went intact", ROUNDS * 2);

    uint64_t *grown = NULL;
    good = true;
    for (size_t bytes = 8; bytes <= 256 * 1024; bytes *= 2) {
        grown = memory_reallocate(grown, bytes);
        good &= grown != NULL && (bytes == 8 || intact(grown, bytes / 2, 42));
        fill(grown, bytes, 42);
    }
    memory_free(grown);
    tap_case(good, "memory keeps its content as it grows to 256 KiB");
}

static void zeroing_test(void)
{
    struct page *page = page_allocate(3, PAGE_ANONYMOUS, 0);
    __builtin_memset(page_address(page), 0xff, PAGE_SIZE << 3);
    page_release(page);
    page = page_allocate(3, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    bool zero = true;
    const uint64_t *words = page_address(page);
    for (size_t i = 0; i < (PAGE_SIZE << 3) / 8; i++)
        zero &= words[i] == 0;
    page_release(page);
    tap_case(zero, "a block asked for zeroed is zero");
    tap_case(page_allocate(PAGE_ORDER_LIMIT, PAGE_KERNEL, 0) == NULL, "a block past the largest order is refused");
    tap_case(memory_allocate((4u << 20) + 1) == NULL, "memory past 4 MiB is refused");
}

static void kernel_map_test(void)
{
    gfn_t frames[40];
    struct page *pages[40];
    bool good = true;

    for (size_t i = 0; i < array_count(frames); i++) {
        pages[i] = page_allocate(0, PAGE_KERNEL, 0);
        frames[i] = frames_gfn(page_pfn(pages[i]));
        fill(page_address(pages[i]), PAGE_SIZE, i << 32);
    }
    for (unsigned int round = 0; round < 200; round++) {
        size_t count = random_next() % array_count(frames) + 1;
        char *mapped = kernel_map_frames(frames, count, true);
        good &= mapped != NULL;
        for (size_t i = 0; mapped && i < count; i++)
            good &= intact((uint64_t *)(void *)(mapped + i * PAGE_SIZE), PAGE_SIZE, i << 32);
        kernel_unmap(mapped, count);
    }
    for (size_t i = 0; i < array_count(frames); i++)
        page_release(pages[i]);
    tap_case(good, "200 kernel mappings show the frames they were made of");
}

static struct page *hoard; /* chained by owner */

static size_t hoard_reclaim(size_t target)
{
    size_t freed = 0;
    for (; hoard && freed < target; freed++) {
        struct page *page = hoard;
        hoard = page->owner;
        page_release(page);
    }
    return freed;
}

static void exhaustion_test(void)
{
    size_t count = 0;
    struct page *page;

    while ((page = page_allocate(0, PAGE_ANONYMOUS, 0)) != NULL) {
        page->owner = hoard;
        hoard = page;
        count++;
    }
    struct page_statistics statistics;
    page_statistics_get(&statistics);
    tap_case(statistics.free_pages > 0, "ordinary requests leave a reserve: %llu pages",
             (unsigned long long)statistics.free_pages);
    page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ATOMIC);
    tap_case(page != NULL, "an atomic request takes from it");
    page_release(page);
    tap_case(page_register_reclaimer("hoard", hoard_reclaim) == 0, "a reclaimer registers");
    page = page_allocate(4, PAGE_KERNEL, 0);
    tap_case(page != NULL, "with it a block of 16 pages is found");
    if (page)
        page_release(page);
    hoard_reclaim(~0ul);
    tap_case(count > 1000, "%zu pages were handed out", count);
}

void first_program_run(void)
{
    processors_wait();
    zeroing_test();
    kernel_map_test(); /* its tables stay */
    objects_test();
    tap_count_resources();
    blocks_test();
    objects_test();
    kernel_map_test();
    exhaustion_test();
    tap_check_leaks();
    tap_done();
}
