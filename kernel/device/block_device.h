/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between disks (blkfront) and those who read and write them (page cache, ext4, /dev).
 *
 * A driver embeds struct block_device in its own struct, fills it, and registers it. A user finds it by name, which
 * gives him a reference, and submits requests. A request belongs to its submitter; from block_submit() until its
 * complete() has been called it is the driver's, together with the segment array and the pages.
 *
 *     block_device_find("xvda") → block_submit(request) → ops->submit → ... backend ... → request->complete(request)
 *
 * Requests of one device may complete in any order, and nothing but a FLUSH orders them: a FLUSH covers the writes that had
 * completed when it was submitted. A reader of several may submit them all before waiting.
 */
#pragma once

#include <stdatomic.h>

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/memory/page.h"

#define BLOCK_SECTOR_BYTES 512u /* the unit of every sector number and count, whatever the disk's own block size */
#define BLOCK_NAME_BYTES 16

struct block_device;
struct block_request;

enum block_operation {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,   /* no segments; completes when all writes completed before it are on stable storage */
    BLOCK_DISCARD, /* no segments; sector and discard_sectors. Content is undefined afterwards */
};

/* Part of one page: offset + length ≤ PAGE_SIZE, both multiples of the device's logical block size. */
struct block_segment {
    struct page *page;     /* the struct page of this very 4 KiB page, also inside larger blocks */
    uint32_t offset_bytes;
    uint32_t length_bytes;
};

struct block_request {
    /* The submitter's. Filled before block_submit(), untouched until complete(). */
    enum block_operation operation;
    uint64_t sector;
    uint64_t discard_sectors;
    const struct block_segment *segments; /* any number: the driver splits what does not fit into one ring request */
    uint32_t segment_count;
    /*
     * Called once, by the driver, in event context or in any other (also before block_submit() returns, where the request is
     * refused): must not sleep. request->error is 0, or -EIO (the disk failed or went away), -EROFS, -EINVAL (range, alignment),
     * -EOPNOTSUPP (FLUSH or DISCARD that this disk does not know). It may free or resubmit the request.
     */
    void (*complete)(struct block_request *request);
    void *data;
    int error;

    /* The driver's. */
    struct list link;
    atomic_uint pieces_left;
    atomic_int first_error;
    uint32_t next_segment;
    uint32_t next_offset_bytes;
    uint64_t next_sector;
};

/* What a driver does. */
struct block_device_ops {
    /*
     * Takes a request that block_submit() has checked (range, alignment, read-only). Any context, callers may hold spinlocks. Never fails by return:
     * errors come through complete(). Where the ring is full the driver queues.
     */
    void (*submit)(struct block_device *device, struct block_request *request);
    /* The last reference is gone after block_device_unregister(): frees the driver's struct. Thread context, may sleep. */
    void (*destroy)(struct block_device *device);
};

/* Locks: f fixed while registered; a atomic; t table lock. */
struct block_device {
    char name[BLOCK_NAME_BYTES];           /* f "xvda", "xvda1", "sda1": as Linux would name it */
    const struct block_device_ops *ops;    /* f */
    uint32_t number;                       /* f Linux's device number (major << 8 | minor, as makedev of old) */
    _Atomic uint64_t sector_count;         /* a may change (resize) */
    uint32_t logical_block_bytes;          /* f ≥ 512, a power of two ≤ 4096 */
    uint32_t physical_block_bytes;         /* f hint */
    bool read_only;                        /* f */
    bool removable;                        /* f */
    _Atomic bool can_flush;                /* a false: writes are stable when complete, as far as the backend says; FLUSH completes with 0 */
    _Atomic bool can_discard;              /* a */
    uint32_t discard_granularity_bytes;    /* f */
    uint32_t segments_per_request;         /* f hint: what fits into one ring request */
    uint32_t bytes_per_request;            /* f hint: the best size of a large transfer */
    _Atomic bool gone;                     /* a removed or broken: every request ends with -EIO */
    _Atomic uint64_t read_requests, read_sectors, write_requests, write_sectors, flush_requests; /* a counted by block_submit() */
    struct reference reference;            /* a */
    struct list link;                      /* t */
};

/*
 * Driver's side. Register makes the device known (its initial reference is the table's) and tells the watchers; 0 or -EEXIST. Unregister
 * marks it gone, takes it out of the table, tells the watchers and drops the table's reference: the driver has
 * completed every request by then. Thread context.
 */
int block_device_register(struct block_device *device);
void block_device_unregister(struct block_device *device);
/* The driver noticed a new size: tells the watchers. Thread context. */
void block_device_resized(struct block_device *device, uint64_t sector_count);

/* Ends a request, or one of its pieces: the driver's way to complete(). Any context. */
void block_request_complete(struct block_request *request, int error);

/* User's side. Look-up takes a reference (NULL: no such disk); iterate with after = NULL, then the last answer, whose reference it drops. */
struct block_device *block_device_find(const char *name);
struct block_device *block_device_next(struct block_device *after);
void block_device_take(struct block_device *device);
void block_device_release(struct block_device *device);

/* Checks and passes on; always answers through request->complete(). Any context; may not sleep. */
void block_submit(struct block_device *device, struct block_request *request);

/*
 * Submits and sleeps until it is done; 0 or the request's error. Thread context, no spinlocks. `segments` stay the
 * caller's. block_device_flush() is the same for FLUSH.
 */
int block_device_transfer(struct block_device *device, enum block_operation operation, uint64_t sector,
                          const struct block_segment *segments, uint32_t segment_count);
int block_device_flush(struct block_device *device);
/* Reads whole sectors into kernel memory of any kind, through pages of its own: for superblocks and partition tables. */
int block_device_read(struct block_device *device, uint64_t sector, void *buffer, size_t length_bytes);

/* Hears of disks that come, go and change size. Called in thread context, may sleep, may not (un)register watchers. */
enum block_change { BLOCK_ADDED, BLOCK_REMOVED, BLOCK_RESIZED };

struct block_watcher {
    void (*changed)(struct block_watcher *watcher, struct block_device *device, enum block_change change);
    struct list link;
};

/* Also tells of the disks that are there already, as BLOCK_ADDED, before it returns. */
void block_watch(struct block_watcher *watcher);
void block_unwatch(struct block_watcher *watcher);
