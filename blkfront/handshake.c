/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake of a disk: ring-ref, event-channel and protocol from us; sectors, sector-size, info and features from the backend.
 * Whatever it says is checked before it is believed. Source: Xen's io/blkif.h, docs/man/xen-vbd-interface.
 */
#include "blkfront/handshake.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "xen/bus/xenbus.h"

#define XVD_MAJOR 202u
#define SD_MAJOR 8u
#define HD_MAJOR 3u
#define HD2_MAJOR 22u
#define EXTENDED_FLAG (1u << 28)
#define DISK_LIMIT 18278u /* a..zzz */

#define INFO_REMOVABLE 2u
#define INFO_READ_ONLY 4u

enum { SECTORS, BLOCK, PHYSICAL, INFO, FLUSH, DISCARD, GRANULARITY, KEY_COUNT };

const char *const blkfront_connect_keys[] = {
    [SECTORS] = "sectors",
    [BLOCK] = "sector-size",
    [PHYSICAL] = "physical-sector-size",
    [INFO] = "info",
    [FLUSH] = "feature-flush-cache",
    [DISCARD] = "feature-discard",
    [GRANULARITY] = "discard-granularity",
    NULL,
};

/* No transaction is needed: the backend reads these only when our state, which is written after them, says so. */
static int offer_write(const struct blkfront_disk *disk)
{
    const struct xenbus_entry entries[] = {
        {.name = "ring-ref", .number = disk->ring_reference},
        {.name = "event-channel", .number = disk->port},
        {.name = "protocol", .text = "x86_64-abi"},
    };

    return xenbus_offer(disk->bus, entries, array_count(entries), XENBUS_INITIALISED);
}

int blkfront_handshake_offer(struct blkfront_disk *disk)
{
    event_port_t port;

    disk->backend_domain = disk->bus->backend_domain;
    disk->ring_page = page_allocate(0, PAGE_DEVICE, PAGE_ALLOCATE_ZERO);
    if (!disk->ring_page)
        return -ENOMEM;
    int error = grant_table_grant(disk->backend_domain, disk->ring_page, false, &disk->ring_reference);
    if (error != 0)
        goto undo_page;
    spinlock_lock(&disk->lock);
    blkfront_queue_init(&disk->queue, page_address(disk->ring_page));
    spinlock_unlock(&disk->lock);
    error = event_channel_allocate_unbound(disk->backend_domain, blkfront_event, disk, &port);
    if (error != 0)
        goto undo_grant;
    spinlock_lock(&disk->lock);
    disk->port = port;
    spinlock_unlock(&disk->lock);
    error = offer_write(disk);
    if (error == 0)
        return 0;
    spinlock_lock(&disk->lock);
    disk->port = 0;
    spinlock_unlock(&disk->lock);
    event_channel_close(port);
undo_grant:
    grant_table_end_later(disk->ring_reference, disk->ring_page);
    disk->ring_page = NULL;
    return error;
undo_page:
    page_release(disk->ring_page);
    disk->ring_page = NULL;
    return error;
}

void blkfront_handshake_withdraw(struct blkfront_disk *disk)
{
    spinlock_lock(&disk->lock);
    event_port_t port = disk->port;
    disk->port = 0;
    spinlock_unlock(&disk->lock);
    if (port == 0)
        return;
    event_channel_close(port);
    blkfront_transfer_recall(disk);
    grant_table_end_later(disk->ring_reference, disk->ring_page);
    disk->ring_page = NULL;
}

static int handshake_refuse(const struct blkfront_disk *disk, const char *name, uint64_t value)
{
    log_error("%s: the backend's %s is %llu, which is not possible", disk->bus->path, name, (unsigned long long)value);
    return -EINVAL;
}

int blkfront_handshake_read(struct blkfront_disk *disk)
{
    struct block_device *device = &disk->device;
    static const uint64_t limits[KEY_COUNT] = {
        [SECTORS] = UINT64_MAX / BLOCK_SECTOR_BYTES / 2, [BLOCK] = UINT32_MAX, [PHYSICAL] = UINT32_MAX, [INFO] = UINT32_MAX,
        [FLUSH] = 1, [DISCARD] = 1, [GRANULARITY] = UINT32_MAX,
    };
    uint64_t values[KEY_COUNT] = {[BLOCK] = BLOCK_SECTOR_BYTES}; /* what is not said is 0 */

    for (unsigned int key = 0; key < KEY_COUNT; key++)
        (void)xenbus_number(disk->bus, disk->bus->backend, key, limits[key], &values[key]);
    uint64_t sectors = values[SECTORS], block = values[BLOCK], physical = values[PHYSICAL];
    if (sectors == 0)
        return handshake_refuse(disk, "sectors", sectors);
    if (block < BLOCK_SECTOR_BYTES || block > PAGE_SIZE || (block & (block - 1)))
        return handshake_refuse(disk, "sector-size", block);
    atomic_store(&device->can_flush, values[FLUSH] == 1);
    atomic_store(&device->can_discard, values[DISCARD] == 1);
    if (disk->registered) {
        /* After a reconnect the disk must be the one it was; only its size may be new. */
        if (device->logical_block_bytes != block)
            return handshake_refuse(disk, "sector-size", block);
        block_device_resized(device, sectors);
        return 0;
    }
    atomic_store(&device->sector_count, sectors);
    device->logical_block_bytes = (uint32_t)block;
    device->physical_block_bytes = (uint32_t)(physical < block || physical > (1u << 20) ? block : physical);
    device->read_only = values[INFO] & INFO_READ_ONLY;
    device->removable = values[INFO] & INFO_REMOVABLE;
    uint64_t granularity = values[GRANULARITY];
    device->discard_granularity_bytes = (uint32_t)(granularity == 0 ? block : granularity);
    return 0;
}

/* a, b, ... z, aa, ab, ... */
static void name_letters(char *letters, uint32_t disk)
{
    char reversed[8];
    unsigned int count = 0;

    for (uint32_t rest = disk + 1; rest > 0; rest = (rest - 1) / 26)
        reversed[count++] = (char)('a' + (rest - 1) % 26);
    while (count > 0)
        *letters++ = reversed[--count];
    *letters = 0;
}

int blkfront_handshake_name(uint32_t virtual_device, char name[BLOCK_NAME_BYTES], uint32_t *number)
{
    uint32_t disk, partition, minor;
    char letters[8];

    if (virtual_device & EXTENDED_FLAG) {
        disk = (virtual_device & ~EXTENDED_FLAG) >> 8;
        partition = virtual_device & 0xff;
    } else {
        uint32_t major = virtual_device >> 8, shift = major == HD_MAJOR || major == HD2_MAJOR ? 6 : 4;
        disk = (virtual_device & 0xff) >> shift;
        partition = virtual_device & ((1u << shift) - 1);
        if (major == HD2_MAJOR)
            disk += 2;
        else if (major != XVD_MAJOR && major != SD_MAJOR && major != HD_MAJOR)
            return -EINVAL;
    }
    if (disk >= DISK_LIMIT)
        return -EINVAL;
    name_letters(letters, disk);
    /* All under the names of xvd, as Linux does. */
    if (partition)
        format_string(name, BLOCK_NAME_BYTES, "xvd%s%u", letters, partition);
    else
        format_string(name, BLOCK_NAME_BYTES, "xvd%s", letters);
    minor = virtual_device & EXTENDED_FLAG ? disk * 256 + partition : disk * 16 + partition;
    *number = (minor & 0xff) | XVD_MAJOR << 8 | (minor & ~0xffu) << 12;
    return 0;
}
