/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel objects: caches of equal-sized objects on pages of their own, with a per-CPU magazine, and memory of any size
 * over a set of such caches (or whole pages past 2 KiB).
 */
#pragma once

#include "kernel/base/compiler.h"

struct object_cache;

/* For objects of size_bytes (≤ 4096), aligned to align_bytes (a power of two ≤ 64). NULL when memory is out. `name`, without blanks, is kept. */
struct object_cache *object_cache_create(const char *name, size_t size_bytes, size_t align_bytes);
/* Uninitialised memory, or NULL. May be called with spinlocks held and in event context (then without reclaim). */
void *object_cache_allocate(struct object_cache *cache);
void object_cache_free(struct object_cache *cache, void *object);

/* Any size up to 4 MiB, aligned to 16 (to 4096 from one page up). NULL when memory is out. Any context, as above. */
void *memory_allocate(size_t size_bytes);
void *memory_allocate_zeroed(size_t size_bytes);
void memory_free(void *memory); /* NULL is allowed */
/* As realloc(); on NULL the old block is untouched. */
void *memory_reallocate(void *memory, size_t size_bytes);
/* A terminated copy of so many bytes, and of a string. The caller frees it. NULL when memory is out. */
char *memory_duplicate_text(const void *text, size_t length_bytes);
static inline char *memory_duplicate_string(const char *string)
{
    return memory_duplicate_text(string, __builtin_strlen(string));
}

/* For reports: each cache's name and pages, in order of making. */
void object_cache_visit(void (*visit)(const char *name, uint32_t pages, void *data), void *data);
