/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Object caches and memory of any size.
 *
 * A cache cuts single pages into equal objects. The page's struct says whose it is (owner) and holds the number of
 * objects in use and the first free one (index); free objects are chained by their first two bytes. Pages with free
 * objects are on the cache's partial list, full ones on none. One empty page is kept, others go back.
 *
 * In front of that each CPU has a magazine of free objects, filled and emptied half at a time; it is made at the CPU's
 * first use of the cache. memory_allocate() picks a cache by size, or a block of pages past 2 KiB; memory_free() tells
 * them apart by a flag of the page.
 *
 * Locks: cache->lock guards its pages; magazines are their CPU's, with events masked. The page allocator is inner to it.
 */
#include "kernel/memory/object_cache.h"

#include <stdatomic.h>

#include "kernel/base/list.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache_start.h"
#include "kernel/memory/page.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"

#define PAGE_FLAG_OBJECTS 0x100u
#define MAGAZINE_OBJECTS 14u
#define MAGAZINE_BYTES_LIMIT 2048u  /* no magazine holds more than this */
#define NO_OBJECT 0xffffu
#define OBJECT_BYTES_LIMIT 2048u
#define BLOCK_BYTES_LIMIT (PAGE_SIZE << (PAGE_ORDER_LIMIT - 1))

struct magazine {
    uint32_t count;
    void *objects[MAGAZINE_OBJECTS];
};

/* Locks: f fixed after creation; l lock; c its own CPU. */
struct object_cache {
    const char *name;                       /* f */
    uint32_t stride_bytes;                  /* f */
    uint32_t per_page;                      /* f */
    uint32_t magazine_limit;                /* f 0: no magazines */
    struct spinlock lock;
    struct list partial;                    /* l */
    uint32_t empty_pages;                   /* l of those on the partial list */
    uint32_t pages;                         /* l all it has */
    struct object_cache *_Atomic next;      /* a made after it; caches stay */
    struct magazine *magazines[CPU_LIMIT];  /* c */
};

static const uint16_t size_classes[] = { 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1360, 2048 };
static struct object_cache *size_caches[array_count(size_classes)];

/* The cache of caches, and of magazines: made by hand. */
static struct object_cache cache_of_caches;
static struct object_cache cache_of_magazines;
static struct object_cache *_Atomic last_cache = &cache_of_caches;

/* ---- Pages of objects ---------------------------------------------------------------------------------------------- */

static uint32_t page_first_free(const struct page *page)
{
    return (uint32_t)(page->index & 0xffff);
}

static uint32_t page_in_use(const struct page *page)
{
    return (uint32_t)(page->index >> 16);
}

static void page_set(struct page *page, uint32_t in_use, uint32_t first_free)
{
    page->index = ((uint64_t)in_use << 16) | first_free;
}

static uint16_t *object_link(const struct object_cache *cache, struct page *page, uint32_t number)
{
    return (uint16_t *)(void *)((char *)page_address(page) + (size_t)number * cache->stride_bytes);
}

/* cache->lock held. */
static struct page *page_of_objects_locked(struct object_cache *cache)
{
    struct page *page = list_first(&cache->partial, struct page, link);

    if (page)
        return page;
    page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ATOMIC);
    if (page == NULL)
        return NULL;
    cache->pages++;
    page->owner = cache;
    atomic_store_explicit(&page->flags, PAGE_FLAG_OBJECTS, memory_order_relaxed);
    for (uint32_t i = 0; i < cache->per_page; i++)
        *object_link(cache, page, i) = (uint16_t)(i + 1 < cache->per_page ? i + 1 : NO_OBJECT);
    page_set(page, 0, 0);
    list_add_first(&cache->partial, &page->link);
    cache->empty_pages++;
    return page;
}

static void *object_take_locked(struct object_cache *cache)
{
    struct page *page = page_of_objects_locked(cache);

    if (page == NULL)
        return NULL;
    uint32_t number = page_first_free(page);
    uint16_t *object = object_link(cache, page, number);
    if (page_in_use(page) == 0)
        cache->empty_pages--;
    page_set(page, page_in_use(page) + 1, *object);
    if (*object == NO_OBJECT)
        list_remove(&page->link);
    return object;
}

static void object_give_locked(struct object_cache *cache, void *object)
{
    struct page *page = page_from_address(object);
    uint32_t number = (uint32_t)(((uint64_t)object & PAGE_MASK) / cache->stride_bytes);
    uint32_t in_use = page_in_use(page) - 1;

    assert(page->owner == cache && page_in_use(page) > 0);
    *(uint16_t *)object = (uint16_t)page_first_free(page);
    if (page_first_free(page) == NO_OBJECT)
        list_add_first(&cache->partial, &page->link);
    page_set(page, in_use, number);
    if (in_use != 0)
        return;
    if (cache->empty_pages > 0) {
        list_remove(&page->link);
        cache->pages--;
        page_release(page);
    } else {
        cache->empty_pages++;
    }
}

/* ---- Magazines ----------------------------------------------------------------------------------------------------- */

/* Events masked. NULL where the cache has none or memory is out. */
static struct magazine *magazine_current(struct object_cache *cache)
{
    if (cache->magazine_limit == 0)
        return NULL;
    struct magazine **place = &cache->magazines[cpu_current()->number];
    if (*place == NULL) {
        spinlock_lock(&cache_of_magazines.lock);
        *place = object_take_locked(&cache_of_magazines);
        spinlock_unlock(&cache_of_magazines.lock);
        if (*place)
            (*place)->count = 0;
    }
    return *place;
}

static void magazine_fill(struct object_cache *cache, struct magazine *magazine)
{
    spinlock_lock(&cache->lock);
    while (magazine->count < (cache->magazine_limit + 1) / 2) {
        /* Only the first object is worth a new page. */
        if (magazine->count != 0 && list_empty(&cache->partial))
            break;
        void *object = object_take_locked(cache);
        if (object == NULL)
            break;
        magazine->objects[magazine->count++] = object;
    }
    spinlock_unlock(&cache->lock);
}

static void magazine_empty(struct object_cache *cache, struct magazine *magazine)
{
    spinlock_lock(&cache->lock);
    while (magazine->count > cache->magazine_limit / 2)
        object_give_locked(cache, magazine->objects[--magazine->count]);
    spinlock_unlock(&cache->lock);
}

static void *object_take(struct object_cache *cache)
{
    void *object;

    cpu_events_mask();
    struct magazine *magazine = magazine_current(cache);
    if (magazine) {
        if (magazine->count == 0)
            magazine_fill(cache, magazine);
        object = magazine->count != 0 ? magazine->objects[--magazine->count] : NULL;
    } else {
        spinlock_lock(&cache->lock);
        object = object_take_locked(cache);
        spinlock_unlock(&cache->lock);
    }
    cpu_events_unmask();
    return object;
}

/* Callers may hold spinlocks or be in event context: then nothing may sleep for memory. */
static bool may_reclaim(void)
{
    return !cpu_events_masked() && cpu_current()->event_context_depth == 0;
}

void *object_cache_allocate(struct object_cache *cache)
{
    void *object = object_take(cache);

    if (likely(object != NULL) || !may_reclaim())
        return object;
    /* An ordinary page request reclaims. */
    struct page *page = page_allocate(0, PAGE_KERNEL, 0);
    if (page == NULL)
        return NULL;
    page_release(page);
    return object_take(cache);
}

void object_cache_free(struct object_cache *cache, void *object)
{
    if (object == NULL)
        return;
    if (DEBUG_BUILD)
        __builtin_memset(object, 0x5a, cache->stride_bytes);
    cpu_events_mask();
    struct magazine *magazine = magazine_current(cache);
    if (magazine) {
        if (magazine->count == cache->magazine_limit)
            magazine_empty(cache, magazine);
        magazine->objects[magazine->count++] = object;
    } else {
        spinlock_lock(&cache->lock);
        object_give_locked(cache, object);
        spinlock_unlock(&cache->lock);
    }
    cpu_events_unmask();
}

static void cache_init(struct object_cache *cache, const char *name, size_t size_bytes, size_t align_bytes, bool magazines)
{
    size_t stride = round_up(maximum(size_bytes, sizeof(void *)), maximum(align_bytes, sizeof(void *)));

    __builtin_memset(cache, 0, sizeof(*cache));
    cache->name = name;
    cache->stride_bytes = (uint32_t)stride;
    cache->per_page = (uint32_t)(PAGE_SIZE / stride);
    if (magazines)
        cache->magazine_limit = minimum(MAGAZINE_OBJECTS, maximum(2u, (uint32_t)(MAGAZINE_BYTES_LIMIT / stride)));
    spinlock_init(&cache->lock, name, 0xe000);
    list_init(&cache->partial);
    if (cache != &cache_of_caches)
        atomic_store(&atomic_exchange(&last_cache, cache)->next, cache);
}

void object_cache_visit(void (*visit)(const char *name, uint32_t pages, void *data), void *data)
{
    for (struct object_cache *cache = &cache_of_caches; cache; cache = atomic_load(&cache->next))
        visit(cache->name, read_once(cache->pages), data);
}

struct object_cache *object_cache_create(const char *name, size_t size_bytes, size_t align_bytes)
{
    assert(size_bytes <= PAGE_SIZE && align_bytes <= 64);
    struct object_cache *cache = object_cache_allocate(&cache_of_caches);
    if (cache)
        cache_init(cache, name, size_bytes, align_bytes, true);
    return cache;
}

/* ---- Memory of any size -------------------------------------------------------------------------------------------- */

static unsigned int order_for(size_t size_bytes)
{
    unsigned int order = 0;

    while ((PAGE_SIZE << order) < size_bytes)
        order++;
    return order;
}

void *memory_allocate(size_t size_bytes)
{
    if (size_bytes <= OBJECT_BYTES_LIMIT) {
        size_t class = 0;
        while (size_classes[class] < size_bytes)
            class++;
        return object_cache_allocate(size_caches[class]);
    }
    if (size_bytes > BLOCK_BYTES_LIMIT)
        return NULL;
    struct page *page = page_allocate(order_for(size_bytes), PAGE_KERNEL, may_reclaim() ? 0 : PAGE_ALLOCATE_ATOMIC);
    return page ? page_address(page) : NULL;
}

void *memory_allocate_zeroed(size_t size_bytes)
{
    void *memory = memory_allocate(size_bytes);

    if (memory)
        __builtin_memset(memory, 0, size_bytes);
    return memory;
}

static struct object_cache *cache_of(const void *memory)
{
    struct page *page = page_from_address(memory);

    if (page == NULL)
        panic("memory_free: %p is no memory of the allocator", memory);
    return atomic_load_explicit(&page->flags, memory_order_relaxed) & PAGE_FLAG_OBJECTS ? page->owner : NULL;
}

void memory_free(void *memory)
{
    if (memory == NULL)
        return;
    struct object_cache *cache = cache_of(memory);
    if (cache)
        object_cache_free(cache, memory);
    else
        page_release(page_from_address(memory));
}

void *memory_reallocate(void *memory, size_t size_bytes)
{
    if (memory == NULL)
        return memory_allocate(size_bytes);
    struct object_cache *cache = cache_of(memory);
    size_t old_bytes = cache ? cache->stride_bytes : PAGE_SIZE << page_from_address(memory)->order;
    if (size_bytes <= old_bytes && size_bytes > old_bytes / 4)
        return memory;
    void *moved = memory_allocate(size_bytes);
    if (moved == NULL)
        return NULL;
    __builtin_memcpy(moved, memory, minimum(old_bytes, size_bytes));
    memory_free(memory);
    return moved;
}

char *memory_duplicate_text(const void *text, size_t length_bytes)
{
    char *copy = memory_allocate(length_bytes + 1);

    if (copy) {
        __builtin_memcpy(copy, text, length_bytes);
        copy[length_bytes] = 0;
    }
    return copy;
}

void object_cache_start(void)
{
    static const char *const names[array_count(size_classes)] = {
        "memory-16",  "memory-32",  "memory-48",  "memory-64",  "memory-96",   "memory-128",  "memory-192",
        "memory-256", "memory-384", "memory-512", "memory-768", "memory-1024", "memory-1360", "memory-2048",
    };

    cache_init(&cache_of_caches, "caches", sizeof(struct object_cache), 64, false);
    cache_init(&cache_of_magazines, "magazines", sizeof(struct magazine), 8, false);
    for (size_t i = 0; i < array_count(size_classes); i++) {
        size_caches[i] = object_cache_create(names[i], size_classes[i], 16);
        if (size_caches[i] == NULL)
            panic("no memory for the first object caches");
    }
}
