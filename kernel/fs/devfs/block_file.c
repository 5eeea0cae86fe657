/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks as files (/dev/xvda): read and written through a page cache of their own, one for each disk that is open, shared
 * by its files. A file system on the disk does not see this cache: who writes to a mounted disk deserves it, as on Linux.
 *
 * A run of pages becomes one block request, and each of its pages is finished when the request is.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/block_device.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/file.h"
#include "xen/x86/user_access.h"

#define PAGE_SECTORS (PAGE_SIZE / BLOCK_SECTOR_BYTES)
enum { BLKROGET = 0x125e, BLKGETSIZE = 0x1260, BLKFLSBUF = 0x1261, BLKSSZGET = 0x1268, BLKIOMIN = 0x1278,
       BLKIOOPT = 0x1279, BLKPBSZGET = 0x127b };
#define BLKGETSIZE64 0x80081272u

/* Locks: d disks_lock. */
struct disk {
    struct list link;               /* d */
    unsigned int users;             /* d */
    struct block_device *device;    /* fixed, referenced */
    struct page_cache cache;
};

struct disk_request {
    struct block_request request;
    size_t count;
    struct page **pages;            /* behind the segments */
    struct block_segment segments[];
};

static struct mutex disks_lock = MUTEX_INITIALIZER(disks_lock, "open disks", 0);
static struct list disks = LIST_INITIALIZER(disks); /* disks_lock */

static void disk_complete(struct block_request *request)
{
    struct disk_request *transfer = container_of(request, struct disk_request, request);

    for (size_t i = 0; i < transfer->count; i++)
        page_cache_complete(transfer->pages[i], request->error);
    memory_free(transfer);
}

static void disk_transfer(struct page_cache *cache, struct page **pages, size_t count, enum block_operation operation)
{
    struct disk *disk = cache->owner;
    uint64_t first_sector = pages[0]->index * PAGE_SECTORS;
    uint64_t end_byte = atomic_load(&disk->device->sector_count) * BLOCK_SECTOR_BYTES;
    struct disk_request *transfer =
        memory_allocate_zeroed(sizeof(*transfer) + count * (sizeof(transfer->segments[0]) + sizeof(struct page *)));

    if (!transfer) {
        for (size_t i = 0; i < count; i++)
            page_cache_complete(pages[i], -ENOMEM);
        return;
    }
    transfer->pages = (struct page **)(void *)&transfer->segments[count];
    transfer->count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = pages[i]->index * PAGE_SIZE;
        uint64_t left = offset < end_byte ? end_byte - offset : 0;

        transfer->pages[i] = pages[i];
        transfer->segments[i] = (struct block_segment){.page = pages[i], .length_bytes = (uint32_t)minimum(left, (uint64_t)PAGE_SIZE)};
        if (left < PAGE_SIZE && operation == BLOCK_READ)
            memset((char *)page_address(pages[i]) + left, 0, (size_t)(PAGE_SIZE - left));
        if (left > 0)
            transfer->request.segment_count++;
    }
    transfer->request.operation = operation;
    transfer->request.sector = first_sector;
    transfer->request.segments = transfer->segments;
    transfer->request.complete = disk_complete;
    block_submit(disk->device, &transfer->request);
}

static void disk_read_pages(struct page_cache *cache, struct page **pages, size_t count)
{
    disk_transfer(cache, pages, count, BLOCK_READ);
}

static void disk_write_pages(struct page_cache *cache, struct page **pages, size_t count)
{
    disk_transfer(cache, pages, count, BLOCK_WRITE);
}

static const struct page_source disk_source = {.read_pages = disk_read_pages, .write_pages = disk_write_pages};

static uint64_t disk_bytes(const struct disk *disk)
{
    return atomic_load(&disk->device->sector_count) * BLOCK_SECTOR_BYTES;
}

/* The device of a node's number, referenced, or NULL. */
static struct block_device *device_of(uint64_t number)
{
    struct block_device *device = NULL;

    while ((device = block_device_next(device)) != NULL)
        if (DEVICE_NUMBER((device->number >> 8) & 0xfff, device->number & 0xff) == number)
            return device;
    return NULL;
}

/* Takes over the device's reference. Lock held. NULL: out of memory. */
static struct disk *disk_take(struct block_device *device)
{
    struct disk *disk;

    list_for_each(disk, &disks, link)
        if (disk->device == device) {
            block_device_release(device);
            disk->users++;
            return disk;
        }
    disk = memory_allocate_zeroed(sizeof(*disk));
    if (!disk) {
        block_device_release(device);
        return NULL;
    }
    disk->device = device;
    disk->users = 1;
    page_cache_init(&disk->cache, &disk_source, disk, disk_bytes(disk));
    list_add_last(&disks, &disk->link);
    return disk;
}

static void disk_release(struct file *file)
{
    struct disk *disk = file->data;

    if (file->writable)
        page_cache_synchronize(&disk->cache, 0, UINT64_MAX);
    mutex_lock(&disks_lock);
    bool last = --disk->users == 0;
    if (last)
        list_remove(&disk->link);
    mutex_unlock(&disks_lock);
    if (!last)
        return;
    page_cache_synchronize(&disk->cache, 0, UINT64_MAX);
    page_cache_destroy(&disk->cache);
    block_device_release(disk->device);
    memory_free(disk);
}

static long disk_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct disk *disk = file->data;
    long answer = page_cache_read(&disk->cache, *position, vector);

    if (answer > 0)
        *position += (uint64_t)answer;
    return answer;
}

static long disk_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct disk *disk = file->data;
    uint64_t size = disk_bytes(disk);

    if (*position >= size)
        return vector->remaining_bytes ? -ENOSPC : 0;
    size_t over = vector->remaining_bytes > size - *position ? vector->remaining_bytes - (size_t)(size - *position) : 0;
    vector->remaining_bytes -= over;
    long answer = page_cache_write(&disk->cache, *position, vector);
    vector->remaining_bytes += over;
    if (answer > 0)
        *position += (uint64_t)answer;
    return answer;
}

static long disk_seek(struct file *file, int64_t offset, int whence)
{
    struct disk *disk = file->data;
    int64_t target;

    mutex_lock(&file->position_lock);
    int64_t base = whence == 0 ? 0 : whence == 1 ? (int64_t)file->position : (int64_t)disk_bytes(disk);
    bool wrong = whence < 0 || whence > 2 || __builtin_add_overflow(base, offset, &target) || target < 0;
    if (!wrong)
        file->position = (uint64_t)target;
    mutex_unlock(&file->position_lock);
    return wrong ? -EINVAL : target;
}

static int disk_synchronize(struct file *file, uint64_t first_byte, uint64_t last_byte, bool data_only)
{
    struct disk *disk = file->data;
    int error = page_cache_synchronize(&disk->cache, first_byte, last_byte);

    return error ? error : block_device_flush(disk->device);
}

static long disk_tell(uint64_t argument, uint32_t value)
{
    return user_store(argument, &value);
}

static long disk_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct disk *disk = file->data;
    uint64_t size = disk_bytes(disk), sectors = size / BLOCK_SECTOR_BYTES;

    switch (command) {
    case BLKGETSIZE64:
        return user_store(argument, &size);
    case BLKGETSIZE:
        return user_store(argument, &sectors);
    case BLKSSZGET:
        return disk_tell(argument, disk->device->logical_block_bytes);
    case BLKPBSZGET:
    case BLKIOMIN:
        return disk_tell(argument, maximum(disk->device->physical_block_bytes, disk->device->logical_block_bytes));
    case BLKIOOPT:
        return disk_tell(argument, 0);
    case BLKROGET:
        return disk_tell(argument, disk->device->read_only);
    case BLKFLSBUF:
        return page_cache_synchronize(&disk->cache, 0, UINT64_MAX);
    default:
        return -ENOTTY;
    }
}

static const struct file_operations disk_operations = {
    .read = disk_read,
    .write = disk_write,
    .seek = disk_seek,
    .ioctl = disk_ioctl,
    .synchronize = disk_synchronize,
    .release = disk_release,
};

int block_file_open(struct inode *inode, struct file *file)
{
    struct block_device *device = device_of(inode->device);

    if (!device)
        return -ENXIO;
    if (file->writable && device->read_only) {
        block_device_release(device);
        return -EACCES;
    }
    mutex_lock(&disks_lock);
    file->data = disk_take(device);
    mutex_unlock(&disks_lock);
    if (!file->data)
        return -ENOMEM;
    file->operations = &disk_operations;
    file->seekable = true;
    return 0;
}
