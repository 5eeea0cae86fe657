/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files: their life, and the checks common to all reads and writes before a file's own operations run.
 */
#include "kernel/vfs/file.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file_close.h"
#include "kernel/vfs/file_lock.h"
#include "kernel/vfs/notify.h"
#include "kernel/vfs/regular_file.h"
#include "kernel/vfs/vfs.h"

#define SEEK_FROM_START 0
#define SEEK_FROM_POSITION 1
#define SEEK_FROM_END 2
#define SEEK_TO_DATA 3
#define SEEK_TO_HOLE 4

static struct object_cache *file_cache;
static struct spinlock file_watch_lock = SPINLOCK_INITIALIZER("file watches", 0);

int file_init(void)
{
    file_cache = object_cache_create("file", sizeof(struct file), 8);
    return file_cache ? 0 : -ENOMEM;
}

/* An empty file with one reference; takes a reference on the credentials. NULL: out of memory. */
struct file *file_create(unsigned int flags, struct credentials *credentials)
{
    struct file *file = object_cache_allocate(file_cache);

    if (!file)
        return NULL;
    memset(file, 0, sizeof(*file));
    reference_init(&file->reference);
    atomic_init(&file->flags, flags);
    file->readable = (flags & FILE_ACCESS_MODE) != FILE_WRITE_ONLY;
    file->writable = (flags & FILE_ACCESS_MODE) != FILE_READ_ONLY;
    mutex_init(&file->position_lock, "file position", 0);
    list_init(&file->watches);
    if (credentials)
        credentials_take(credentials);
    file->credentials = credentials;
    return file;
}

/* A file whose opening failed half-way: without the operations' release. */
void file_discard(struct file *file)
{
    path_release(&file->path);
    credentials_release(file->credentials);
    object_cache_free(file_cache, file);
}

int file_create_anonymous(const struct file_operations *operations, void *data, unsigned int flags,
                          struct credentials *credentials, struct file **file)
{
    struct file *fresh = file_create(flags & ~FILE_CLOSE_ON_EXEC, credentials);

    if (!fresh)
        return -ENOMEM;
    fresh->operations = operations;
    fresh->data = data;
    *file = fresh;
    return 0;
}

void file_take(struct file *file)
{
    reference_take(&file->reference);
}

void file_watch_add(struct file *file, struct file_watch *watch)
{
    spinlock_lock(&file_watch_lock);
    list_add_last(&file->watches, &watch->link);
    spinlock_unlock(&file_watch_lock);
}

bool file_watch_remove(struct file_watch *watch)
{
    spinlock_lock(&file_watch_lock);
    bool linked = list_linked(&watch->link);
    list_remove(&watch->link);
    spinlock_unlock(&file_watch_lock);
    return linked;
}

static void tell_watches(struct file *file)
{
    for (;;) {
        spinlock_lock(&file_watch_lock);
        struct file_watch *watch = list_first(&file->watches, struct file_watch, link);
        if (watch)
            list_remove(&watch->link);
        spinlock_unlock(&file_watch_lock);
        if (!watch)
            return;
        watch->released(watch, file);
    }
}

void file_release(struct file *file)
{
    if (!reference_release(&file->reference))
        return;
    tell_watches(file);
    if (file->inode && !(atomic_load(&file->flags) & FILE_PATH)) {
        file_lock_release_file(file);
        notify_file(file, file->writable ? NOTIFY_CLOSE_WRITE : NOTIFY_CLOSE_NO_WRITE);
    }
    if (file->operations && file->operations->release)
        file->operations->release(file);
    file_discard(file);
}

void file_close(struct file *file)
{
    if (file->operations && file->operations->flush)
        file->operations->flush(file);
    if (file->inode)
        file_lock_release_process(file);
    file_release(file);
}

static long file_transfer(struct file *file, struct io_vector *vector, uint64_t *position,
                          long (*operation)(struct file *file, struct io_vector *vector, uint64_t *position))
{
    uint64_t none = 0;

    if (!operation)
        return -EINVAL;
    if (position) {
        if (!file->seekable)
            return -ESPIPE;
        if (*position > INT64_MAX || vector->remaining_bytes > INT64_MAX - *position)
            return -EINVAL;
        return operation(file, vector, position);
    }
    if (!file->seekable)
        return operation(file, vector, &none);
    mutex_lock(&file->position_lock);
    long answer = operation(file, vector, &file->position);
    mutex_unlock(&file->position_lock);
    return answer;
}

long file_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    if (!file->readable || (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PATH))
        return -EBADF;

    long answer = file_transfer(file, vector, position, file->operations->read);

    if (answer > 0)
        notify_file(file, NOTIFY_ACCESS);
    return answer;
}

long file_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    if (!file->writable || (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PATH))
        return -EBADF;

    long answer = file_transfer(file, vector, position, file->operations->write);

    if (answer > 0)
        notify_file(file, NOTIFY_MODIFY);
    return answer;
}

long file_read_kernel(struct file *file, void *buffer, size_t length_bytes, uint64_t offset)
{
    struct io_segment segment;
    struct io_vector vector;
    size_t total = 0;

    while (total < length_bytes) {
        uint64_t position = offset + total;

        io_vector_init_kernel(&vector, &segment, (char *)buffer + total, length_bytes - total);

        long got = file->operations->read ? file->operations->read(file, &vector, &position) : -EINVAL;

        if (got < 0)
            return total ? (long)total : got;
        if (got == 0)
            break;
        total += (size_t)got;
    }
    return (long)total;
}

/* The place that offset and whence name, or -Exxx. position_lock held. */
static int64_t seek_target(struct file *file, int64_t offset, int whence)
{
    int64_t size = file->inode ? (int64_t)file->inode->size_bytes : 0;
    int64_t base;

    switch (whence) {
    case SEEK_FROM_START:
        base = 0;
        break;
    case SEEK_FROM_POSITION:
        base = (int64_t)file->position;
        break;
    case SEEK_FROM_END:
        base = size;
        break;
    case SEEK_TO_DATA: /* all is data, but for the hole that begins at the end */
        return offset < 0 || offset >= size ? -ENXIO : offset;
    case SEEK_TO_HOLE:
        return offset < 0 || offset >= size ? -ENXIO : size;
    default:
        return -EINVAL;
    }
    int64_t target;

    if (__builtin_add_overflow(base, offset, &target))
        return -EOVERFLOW;
    return target < 0 ? -EINVAL : target;
}

long file_seek(struct file *file, int64_t offset, int whence)
{
    if (atomic_load(&file->flags) & FILE_PATH)
        return -EBADF;
    if (file->operations->seek)
        return file->operations->seek(file, offset, whence);
    if (!file->seekable)
        return -ESPIPE;
    mutex_lock(&file->position_lock);
    int64_t target = seek_target(file, offset, whence);
    if (target >= 0)
        file->position = (uint64_t)target;
    mutex_unlock(&file->position_lock);
    return target;
}

uint32_t file_poll(struct file *file, struct poll_table *table)
{
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PATH)
        return POLL_INVALID;
    if (!file->operations->poll)
        return POLL_IN | POLL_OUT | POLL_READ_NORMAL | POLL_WRITE_NORMAL;
    return file->operations->poll(file, table);
}

int file_synchronize(struct file *file, uint64_t first_byte, uint64_t last_byte, bool data_only)
{
    if (atomic_load(&file->flags) & FILE_PATH)
        return -EBADF;
    if (file->operations->synchronize)
        return file->operations->synchronize(file, first_byte, last_byte, data_only);

    struct inode *inode = file->inode;

    if (!inode)
        return -EINVAL;

    int error = inode->has_cache ? page_cache_synchronize(&inode->cache, first_byte, last_byte) : 0;

    if (!error && inode->file_system->operations->synchronize && !inode->file_system->read_only)
        error = inode->file_system->operations->synchronize(inode->file_system);
    return error;
}

int file_set_flags(struct file *file, unsigned int flags)
{
    const unsigned int changeable = FILE_APPEND | FILE_NONBLOCK | FILE_ASYNC | FILE_DIRECT | FILE_NO_ACCESS_TIME;
    unsigned int old = atomic_load(&file->flags);

    while (!atomic_compare_exchange_weak(&file->flags, &old, (old & ~changeable) | (flags & changeable)))
        ;
    if (file->operations && file->operations->flags_changed)
        file->operations->flags_changed(file, old);
    return 0;
}
