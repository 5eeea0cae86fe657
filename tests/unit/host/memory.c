/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/memory on the host: RAM is one mapping at DIRECT_MAP_BASE with a struct page for each of its pages; free pages are poisoned for
 * ASan. Objects and memory of any size are malloc()'s, each its own block, so that ASan sees every byte over the end.
 */
#include "kernel/memory/page.h"

#include <malloc.h>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/base/error.h"
#include "kernel/memory/kernel_map.h"
#include "kernel/memory/object_cache.h"
#include "tests/unit/host/host.h"

#define HOST_PAGES 65536u /* 256 MiB */

static struct page pages[HOST_PAGES];
static unsigned int next_fit; /* page_mutex */
static pthread_mutex_t page_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_size_t pages_in_use, objects_in_use;
static atomic_long successes_left = -1;
static size_t (*reclaimers[4])(size_t target_pages);
static size_t reclaimer_count;

void host_fail_allocations_after(long successes)
{
    atomic_store(&successes_left, successes);
}

bool host_allocation_fails(void)
{
    long left = atomic_load(&successes_left);
    if (left > 0)
        atomic_fetch_sub(&successes_left, 1);
    return left == 0;
}

size_t host_pages_in_use(void)
{
    return pages_in_use;
}

size_t host_objects_in_use(void)
{
    return objects_in_use;
}

__attribute__((constructor)) static void host_memory_start(void)
{
    void *ram = mmap((void *)DIRECT_MAP_BASE, HOST_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (ram != (void *)DIRECT_MAP_BASE)
        abort();
    ASAN_POISON_MEMORY_REGION(ram, HOST_PAGES * PAGE_SIZE);
}

static bool block_free(unsigned int first, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        if (pages[first + i].kind != PAGE_FREE)
            return false;
    return true;
}

/* Next fit, so that a freed page is not soon given out again; -1 where no block is free. */
static long block_find(unsigned int count)
{
    for (unsigned int tried = 0; tried < HOST_PAGES; tried += count) {
        unsigned int first = (next_fit + count - 1) / count * count;
        if (first + count > HOST_PAGES)
            first = 0;
        next_fit = first + count;
        if (block_free(first, count))
            return first;
    }
    return -1;
}

struct page *page_allocate(unsigned int order, enum page_kind kind, unsigned int flags)
{
    unsigned int count = 1u << order;

    if (order >= PAGE_ORDER_LIMIT || host_allocation_fails())
        return NULL;
    pthread_mutex_lock(&page_mutex);
    long first = block_find(count);
    for (unsigned int i = 0; first >= 0 && i < count; i++)
        pages[first + i].kind = kind;
    pthread_mutex_unlock(&page_mutex);
    if (first < 0)
        return NULL;

    struct page *page = &pages[first];
    reference_init(&page->reference);
    list_init(&page->link);
    page->flags = 0;
    page->order = order;
    page->owner = NULL;
    page->index = 0;
    atomic_fetch_add(&pages_in_use, count);
    ASAN_UNPOISON_MEMORY_REGION(page_address(page), count * PAGE_SIZE);
    memset(page_address(page), (flags & PAGE_ALLOCATE_ZERO) ? 0 : 0xa5, count * PAGE_SIZE);
    return page;
}

void page_split(struct page *block)
{
    unsigned int count = 1u << block->order;

    for (unsigned int i = 0; i < count; i++) {
        reference_init(&block[i].reference);
        list_init(&block[i].link);
        block[i].order = 0;
    }
}

void page_take(struct page *page)
{
    reference_take(&page->reference);
}

void page_release(struct page *page)
{
    if (!reference_release(&page->reference))
        return;
    unsigned int count = 1u << page->order;
    ASAN_POISON_MEMORY_REGION(page_address(page), count * PAGE_SIZE);
    pthread_mutex_lock(&page_mutex);
    for (unsigned int i = 0; i < count; i++)
        page[i].kind = PAGE_FREE;
    pthread_mutex_unlock(&page_mutex);
    atomic_fetch_sub(&pages_in_use, count);
}

struct page *page_from_pfn(pfn_t pfn)
{
    return pfn.number < HOST_PAGES ? &pages[pfn.number] : NULL;
}

pfn_t page_pfn(const struct page *page)
{
    return (pfn_t){(uint64_t)(page - pages)};
}

struct page *page_from_address(const void *direct_map_address)
{
    return page_from_pfn(frames_pfn(direct_map_address));
}

gfn_t frames_gfn(pfn_t pfn)
{
    return (gfn_t){pfn.number};
}

bool frames_pfn_of_gfn(gfn_t gfn, pfn_t *pfn)
{
    *pfn = (pfn_t){gfn.number};
    return gfn.number < HOST_PAGES;
}

void page_statistics_get(struct page_statistics *statistics)
{
    *statistics = (struct page_statistics){.total_pages = HOST_PAGES, .free_pages = HOST_PAGES - pages_in_use};
}

int page_register_reclaimer(const char *name, size_t (*reclaim)(size_t target_pages))
{
    if (reclaimer_count == array_count(reclaimers))
        return -ENOMEM;
    reclaimers[reclaimer_count++] = reclaim;
    return 0;
}

void host_reclaim(size_t target_pages)
{
    for (size_t i = 0; i < reclaimer_count; i++)
        reclaimers[i](target_pages);
}

/* Consecutive frames only: their place in the direct map. */
void *kernel_map_frames(const gfn_t *frames, size_t count, bool writable)
{
    for (size_t i = 1; i < count; i++)
        if (frames[i].number != frames[0].number + i)
            return NULL;
    return frames_address((pfn_t){frames[0].number});
}

void kernel_unmap(void *address, size_t count)
{
}

struct object_cache {
    size_t size_bytes;
    size_t align_bytes;
};

static void *block_allocate(size_t size_bytes, size_t align_bytes)
{
    void *block = NULL;

    if (host_allocation_fails() || posix_memalign(&block, maximum(align_bytes, sizeof(void *)), maximum(size_bytes, (size_t)1)) != 0)
        return NULL;
    atomic_fetch_add(&objects_in_use, 1);
    memset(block, 0xa5, size_bytes);
    return block;
}

static void block_release(void *block)
{
    if (block)
        atomic_fetch_sub(&objects_in_use, 1);
    free(block);
}

struct object_cache *object_cache_create(const char *name, size_t size_bytes, size_t align_bytes)
{
    struct object_cache *cache = malloc(sizeof(*cache)); /* never destroyed, as in the kernel */
    if (cache)
        *cache = (struct object_cache){size_bytes, align_bytes};
    return cache;
}

void *object_cache_allocate(struct object_cache *cache)
{
    return block_allocate(cache->size_bytes, cache->align_bytes);
}

void object_cache_free(struct object_cache *cache, void *object)
{
    block_release(object);
}

void *memory_allocate(size_t size_bytes)
{
    return size_bytes > (4u << 20) ? NULL : block_allocate(size_bytes, size_bytes >= PAGE_SIZE ? PAGE_SIZE : 16);
}

void *memory_allocate_zeroed(size_t size_bytes)
{
    void *memory = memory_allocate(size_bytes);
    return memory ? memset(memory, 0, size_bytes) : NULL;
}

void memory_free(void *memory)
{
    block_release(memory);
}

void *memory_reallocate(void *memory, size_t size_bytes)
{
    void *moved = memory_allocate(size_bytes);
    if (moved && memory) {
        memcpy(moved, memory, minimum(malloc_usable_size(memory), size_bytes));
        memory_free(memory);
    }
    return moved;
}

char *memory_duplicate_text(const void *text, size_t length_bytes)
{
    char *copy = memory_allocate(length_bytes + 1);

    if (copy) {
        memcpy(copy, text, length_bytes);
        copy[length_bytes] = 0;
    }
    return copy;
}
