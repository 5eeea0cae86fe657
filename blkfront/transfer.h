/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's data path: requests of the block contract into ring requests, responses back into completions.
 */
#pragma once

#include "blkfront/queue.h"
#include "kernel/base/compiler.h"
#include "kernel/device/block_device.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/timer.h"
#include "kernel/sched/wait_queue.h"
#include "xen/bus/grant_table.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/spinlock.h"

struct xenbus_device;

enum blkfront_state {
    BLKFRONT_DISCONNECTED, /* requests wait */
    BLKFRONT_CONNECTED,
    BLKFRONT_DRAINING,     /* what is in the ring is awaited, nothing new goes in */
    BLKFRONT_DEAD,         /* broken or removed: every request ends with -EIO */
};

/* What one ring request is about; the slot's index is its id. Locks: d disk->lock; f fixed once connected. */
struct blkfront_slot {
    bool busy;                                            /* d */
    uint8_t operation;                                    /* d enum blkfront_operation */
    uint8_t segment_count;                                /* d */
    uint64_t sector;                                      /* d */
    uint64_t discard_sectors;                             /* d */
    struct block_request *request;                        /* d */
    struct block_segment segments[BLKFRONT_SEGMENT_LIMIT];/* d */
    grant_reference_t references[BLKFRONT_SEGMENT_LIMIT]; /* f, but replaced after one that could not be revoked */
    struct page *bounce[BLKFRONT_SEGMENT_LIMIT];          /* d untrusted backends only see these */
};

/* Locks: d lock; x connection; f fixed. */
struct blkfront_disk {
    struct block_device device;
    struct xenbus_device *bus;             /* f */
    struct mutex connection;               /* outside `lock`: connects and disconnects one at a time */
    struct spinlock lock;
    enum blkfront_state state;             /* d */
    struct blkfront_queue queue;           /* d */
    struct blkfront_slot slots[BLKFRONT_RING_SIZE];
    uint32_t free_slots;                   /* d a bit each */
    struct list waiting;                   /* d requests not wholly in the ring */
    struct page *ring_page;                /* x */
    grant_reference_t ring_reference;      /* x */
    event_port_t port;                     /* x; 0: none */
    uint16_t backend_domain;               /* x */
    uint16_t handle;                       /* f the virtual device's number, as requests carry it */
    bool trusted;                          /* x */
    bool registered;                       /* x */
    struct wait_queue drained;
    const char *violation;                 /* d what the backend did */
    struct deferred_work violation_work;   /* closes the device, in a thread */
};

/* Fresh disk: allocates its grant references. 0, -ENOSPC, -ENOMEM. Thread context. */
int blkfront_transfer_init(struct blkfront_disk *disk);
/* Frees what init took; no request is left. */
void blkfront_transfer_destroy(struct blkfront_disk *disk);

/* ops->submit. */
void blkfront_submit(struct block_device *device, struct block_request *request);
/* The event handler; data is the disk. Event context. */
void blkfront_event(event_port_t port, void *data);

/* The ring is new and the backend connected: what was in the old ring goes into it first, then what waits. */
void blkfront_transfer_resume(struct blkfront_disk *disk);
/* No new ring requests from now on. */
void blkfront_transfer_pause(struct blkfront_disk *disk);
/* Waits, for a while, until the ring is empty; false: it is not. */
bool blkfront_transfer_drain(struct blkfront_disk *disk, uint64_t deadline_ns);
/* The event channel is closed: takes back the grants of what is still in the ring, to send it again some day. */
void blkfront_transfer_recall(struct blkfront_disk *disk);
/* Ends every request with -EIO, now and in future. */
void blkfront_transfer_fail(struct blkfront_disk *disk);
