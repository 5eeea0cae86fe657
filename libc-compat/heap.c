/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc() and its kin for native programs, over the kernel's own memory (kernel/memory/object_cache.h); newlib's heap is
 * not used. A block is at most 4 MiB.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/memory/object_cache.h"

static void *heap_answer(void *memory)
{
    if (memory == NULL)
        errno = ENOMEM;
    return memory;
}

void *malloc(size_t size_bytes)
{
    return heap_answer(memory_allocate(size_bytes));
}

void free(void *memory)
{
    memory_free(memory);
}

void *calloc(size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total))
        return heap_answer(NULL);
    return heap_answer(memory_allocate_zeroed(total));
}

void *realloc(void *memory, size_t size_bytes)
{
    return heap_answer(memory_reallocate(memory, size_bytes));
}

/* What newlib itself calls. */
void *_malloc_r(struct _reent *reent, size_t size_bytes)
{
    return malloc(size_bytes);
}

void _free_r(struct _reent *reent, void *memory)
{
    free(memory);
}

void *_calloc_r(struct _reent *reent, size_t count, size_t size_bytes)
{
    return calloc(count, size_bytes);
}

void *_realloc_r(struct _reent *reent, void *memory, size_t size_bytes)
{
    return realloc(memory, size_bytes);
}
