/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables. Slots are an array of file pointers with two bitmaps (in use, close-on-exec) under one spinlock; a
 * look-up takes the file's reference inside it, so that a concurrent close cannot free the file under it.
 */
#include "kernel/vfs/fd_table.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/reference.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/file_close.h"
#include "xen/machine/spinlock.h"

#define FD_FIRST_SLOTS 64
#define FD_SLOTS_LIMIT (1 << 20)

/* Locks: l lock; a atomic. */
struct fd_table {
    struct reference reference; /* a */
    struct spinlock lock;
    struct fd_slots *slots;     /* l */
    size_t next_free;           /* l no free slot below */
};

struct fd_slots {
    size_t count;
    uint64_t *open;
    uint64_t *close_on_exec;
    struct file *files[];
};

/* Slots and both bitmaps in one block; count is a multiple of 64. */
static struct fd_slots *slots_create(size_t count)
{
    size_t words = BITMAP_WORDS(count);
    struct fd_slots *slots =
        memory_allocate_zeroed(sizeof(*slots) + count * sizeof(slots->files[0]) + 2 * words * sizeof(uint64_t));

    if (!slots)
        return NULL;
    slots->count = count;
    slots->open = (uint64_t *)(slots->files + count);
    slots->close_on_exec = slots->open + words;
    return slots;
}

static struct fd_table *table_create(size_t count)
{
    struct fd_table *table = memory_allocate_zeroed(sizeof(*table));
    struct fd_slots *slots = slots_create(count);

    if (!table || !slots) {
        memory_free(table);
        memory_free(slots);
        return NULL;
    }
    reference_init(&table->reference);
    spinlock_init(&table->lock, "fd table", 0);
    table->slots = slots;
    return table;
}

int fd_table_create(struct fd_table **table)
{
    *table = table_create(FD_FIRST_SLOTS);
    return *table ? 0 : -ENOMEM;
}

/* The slots may be exchanged for more, and freed, as soon as the lock is let go. */
static size_t table_slot_count(struct fd_table *table)
{
    spinlock_lock(&table->lock);
    size_t count = table->slots->count;
    spinlock_unlock(&table->lock);
    return count;
}

int fd_table_duplicate(struct fd_table *table, struct fd_table **copy)
{
    for (;;) {
        size_t count = table_slot_count(table);
        struct fd_table *fresh = table_create(count);

        if (!fresh)
            return -ENOMEM;
        spinlock_lock(&table->lock);
        struct fd_slots *slots = table->slots;
        bool fits = slots->count <= count;
        if (fits) {
            size_t words = BITMAP_WORDS(slots->count);

            memcpy(fresh->slots->open, slots->open, words * sizeof(uint64_t));
            memcpy(fresh->slots->close_on_exec, slots->close_on_exec, words * sizeof(uint64_t));
            for (size_t fd = 0; fd < slots->count; fd++) {
                fresh->slots->files[fd] = slots->files[fd];
                if (slots->files[fd])
                    file_take(slots->files[fd]);
            }
            fresh->next_free = table->next_free;
        }
        spinlock_unlock(&table->lock);
        if (fits) {
            *copy = fresh;
            return 0;
        }
        fd_table_release(fresh);
    }
}

void fd_table_take(struct fd_table *table)
{
    reference_take(&table->reference);
}

void fd_table_release(struct fd_table *table)
{
    if (!table || !reference_release(&table->reference))
        return;
    for (size_t fd = 0; fd < table->slots->count; fd++)
        if (table->slots->files[fd])
            file_close(table->slots->files[fd]);
    memory_free(table->slots);
    memory_free(table);
}

struct file *fd_table_get(struct fd_table *table, int fd)
{
    struct file *file = NULL;

    spinlock_lock(&table->lock);
    if (fd >= 0 && (size_t)fd < table->slots->count)
        file = table->slots->files[fd];
    if (file)
        file_take(file);
    spinlock_unlock(&table->lock);
    return file;
}

/* Makes room for slot fd. Unlocked; 0, -EMFILE, -ENOMEM. */
static int table_grow(struct fd_table *table, size_t fd)
{
    size_t count = FD_FIRST_SLOTS;

    if (fd >= FD_SLOTS_LIMIT)
        return -EMFILE;
    while (count <= fd)
        count *= 2;

    struct fd_slots *larger = slots_create(count);

    if (!larger)
        return -ENOMEM;
    spinlock_lock(&table->lock);
    struct fd_slots *old = table->slots;
    if (old->count < count) {
        size_t words = BITMAP_WORDS(old->count);

        memcpy(larger->files, old->files, old->count * sizeof(old->files[0]));
        memcpy(larger->open, old->open, words * sizeof(uint64_t));
        memcpy(larger->close_on_exec, old->close_on_exec, words * sizeof(uint64_t));
        table->slots = larger;
        larger = old;
    }
    spinlock_unlock(&table->lock);
    memory_free(larger);
    return 0;
}

static void set_bit(uint64_t *map, size_t index, bool value)
{
    if (value)
        bitmap_set(map, index);
    else
        bitmap_clear(map, index);
}

static void slot_fill_locked(struct fd_table *table, size_t fd, struct file *file, bool close_on_exec)
{
    table->slots->files[fd] = file;
    bitmap_set(table->slots->open, fd);
    set_bit(table->slots->close_on_exec, fd, close_on_exec);
}

/* Empties the slot; its file, or NULL. */
static struct file *slot_clear_locked(struct fd_table *table, size_t fd)
{
    struct file *file = table->slots->files[fd];

    table->slots->files[fd] = NULL;
    bitmap_clear(table->slots->open, fd);
    bitmap_clear(table->slots->close_on_exec, fd);
    if (fd < table->next_free)
        table->next_free = fd;
    return file;
}

int fd_table_install(struct fd_table *table, struct file *file, bool close_on_exec, int minimum_fd, uint64_t limit)
{
    if (minimum_fd < 0 || (uint64_t)minimum_fd >= limit)
        return minimum_fd < 0 ? -EINVAL : -EMFILE;
    for (;;) {
        spinlock_lock(&table->lock);
        size_t from = maximum((size_t)minimum_fd, table->next_free);
        size_t count = table->slots->count;
        size_t fd = from < count ? bitmap_find_clear(table->slots->open, count, from) : from;
        bool fits = fd < count && fd < limit;
        if (fits) {
            slot_fill_locked(table, fd, file, close_on_exec);
            if (from == table->next_free)
                table->next_free = fd + 1;
        }
        spinlock_unlock(&table->lock);
        if (fits)
            return (int)fd;
        if (fd >= limit)
            return -EMFILE;

        int error = table_grow(table, fd);

        if (error)
            return error;
    }
}

int fd_table_install_at(struct fd_table *table, struct file *file, bool close_on_exec, int fd, uint64_t limit)
{
    if (fd < 0 || (uint64_t)fd >= limit)
        return -EBADF;

    int error = (size_t)fd >= table_slot_count(table) ? table_grow(table, (size_t)fd) : 0;

    if (error)
        return error == -EMFILE ? -EBADF : error;
    spinlock_lock(&table->lock);
    struct file *old = slot_clear_locked(table, (size_t)fd);
    slot_fill_locked(table, (size_t)fd, file, close_on_exec);
    spinlock_unlock(&table->lock);
    if (old)
        file_close(old);
    return fd;
}

int fd_table_close(struct fd_table *table, int fd)
{
    struct file *file = NULL;

    spinlock_lock(&table->lock);
    if (fd >= 0 && (size_t)fd < table->slots->count && table->slots->files[fd])
        file = slot_clear_locked(table, (size_t)fd);
    spinlock_unlock(&table->lock);
    if (!file)
        return -EBADF;
    file_close(file);
    return 0;
}

/* The lowest open descriptor in [first, last] whose close-on-exec bit is set, or any if all; taken out. */
static struct file *take_next(struct fd_table *table, size_t *first, size_t last, bool all)
{
    struct file *file = NULL;

    spinlock_lock(&table->lock);
    size_t end = minimum(last < SIZE_MAX ? last + 1 : last, table->slots->count);
    size_t fd = *first < end ? bitmap_find_set(all ? table->slots->open : table->slots->close_on_exec, end, *first) : end;
    if (fd < end)
        file = slot_clear_locked(table, fd);
    *first = fd + 1;
    spinlock_unlock(&table->lock);
    return file;
}

void fd_table_close_range(struct fd_table *table, unsigned int first, unsigned int last, bool mark_only)
{
    size_t fd = first;
    struct file *file;

    if (!mark_only) {
        while ((file = take_next(table, &fd, last, true)))
            file_close(file);
        return;
    }
    spinlock_lock(&table->lock);
    for (; fd <= last && fd < table->slots->count; fd++)
        if (table->slots->files[fd])
            bitmap_set(table->slots->close_on_exec, fd);
    spinlock_unlock(&table->lock);
}

void fd_table_close_on_exec(struct fd_table *table)
{
    size_t fd = 0;
    struct file *file;

    while ((file = take_next(table, &fd, SIZE_MAX, false)))
        file_close(file);
}

int fd_table_get_close_on_exec(struct fd_table *table, int fd)
{
    int answer = -EBADF;

    spinlock_lock(&table->lock);
    if (fd >= 0 && (size_t)fd < table->slots->count && table->slots->files[fd])
        answer = bitmap_test(table->slots->close_on_exec, (size_t)fd);
    spinlock_unlock(&table->lock);
    return answer;
}

int fd_table_set_close_on_exec(struct fd_table *table, int fd, bool close_on_exec)
{
    int answer = -EBADF;

    spinlock_lock(&table->lock);
    if (fd >= 0 && (size_t)fd < table->slots->count && table->slots->files[fd]) {
        set_bit(table->slots->close_on_exec, (size_t)fd, close_on_exec);
        answer = 0;
    }
    spinlock_unlock(&table->lock);
    return answer;
}

int fd_table_next(struct fd_table *table, int fd)
{
    int next = -1;

    spinlock_lock(&table->lock);
    size_t count = table->slots->count;
    size_t found = fd < 0 ? 0 : (size_t)fd;
    if (found < count)
        found = bitmap_find_set(table->slots->open, count, found);
    if (found < count)
        next = (int)found;
    spinlock_unlock(&table->lock);
    return next;
}
