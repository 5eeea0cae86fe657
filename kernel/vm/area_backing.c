/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References of backings, and the backing made here: shared anonymous memory, a page cache without a source.
 */
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/address_space_internal.h"

/* Locks: everything is fixed after creation but the cache, which has its own. */
struct shared_memory {
    struct area_backing backing;
    struct page_cache cache;
    uint64_t number;
};

static _Atomic uint64_t shared_memory_count;

void area_backing_take(struct area_backing *backing)
{
    reference_take(&backing->reference);
}

void area_backing_release(struct area_backing *backing)
{
    if (reference_release(&backing->reference))
        backing->operations->destroy(backing);
}

static void shared_memory_destroy(struct area_backing *backing)
{
    struct shared_memory *memory = container_of(backing, struct shared_memory, backing);

    page_cache_destroy(&memory->cache);
    memory_free(memory);
}

static size_t shared_memory_describe(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device,
                                     uint64_t *inode)
{
    *device = 1;
    *inode = container_of(backing, struct shared_memory, backing)->number;
    return (size_t)format_string(name, size_bytes, "/dev/zero (deleted)");
}

static const struct area_backing_operations shared_memory_operations = {
    .destroy = shared_memory_destroy,
    .describe = shared_memory_describe,
};

int area_backing_create_shared(uint64_t size_bytes, struct area_backing **backing)
{
    struct shared_memory *memory = memory_allocate_zeroed(sizeof(*memory));

    if (!memory)
        return -ENOMEM;
    reference_init(&memory->backing.reference);
    page_cache_init(&memory->cache, NULL, NULL, size_bytes);
    memory->backing.cache = &memory->cache;
    memory->backing.operations = &shared_memory_operations;
    memory->number = atomic_fetch_add(&shared_memory_count, 1) + 1;
    *backing = &memory->backing;
    return 0;
}
