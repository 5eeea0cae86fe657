/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenbus: devices as two directories of xenstore, ours (device/CLASS/ID) and the backend's, each with a `state`.
 *
 *   Unknown 0, Initialising 1, InitWait 2, Initialised 3, Connected 4, Closing 5, Closed 6
 *
 * The usual course, ours left, the backend's right; each change of the right side is a backend_changed():
 *
 *   Initialising → InitWait: the driver writes its rings and port → Initialised → Connected: it reads what the disk is
 *   like → Connected ... → Closing: it ends its I/O → Closed. When the backend then is in Initialising or InitWait again,
 *   the driver begins anew (reconnect).
 *
 * All calls of a driver come from the thread of watches, one at a time for all devices: they may sleep and use xenstore.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "xen/bus/xenstore.h"

enum xenbus_state {
    XENBUS_UNKNOWN,
    XENBUS_INITIALISING,
    XENBUS_INIT_WAIT,
    XENBUS_INITIALISED,
    XENBUS_CONNECTED,
    XENBUS_CLOSING,
    XENBUS_CLOSED,
    XENBUS_RECONFIGURING,
    XENBUS_RECONFIGURED,
};

struct xenbus_device;

struct xenbus_driver {
    const char *class_name; /* "vbd", "vif" */
    /* A device appeared. The driver allocates its own struct into device->data. 0, or an error: the device is left alone. */
    int (*probe)(struct xenbus_device *device);
    /* The backend's state is (still or newly) this; the first call follows probe. Calls may repeat a state. */
    void (*backend_changed)(struct xenbus_device *device, enum xenbus_state state);
    /* Its directory is gone: end all I/O with errors, take back grants and port, free device->data. `device` is freed on return. */
    void (*remove)(struct xenbus_device *device);
};

/* Locks: f fixed; x the thread of watches only; a atomic. */
struct xenbus_device {
    const struct xenbus_driver *driver;  /* f */
    char path[64];                       /* f "device/vbd/51712" */
    char backend_path[XENSTORE_PATH_BYTES - 64]; /* x */
    uint32_t id;                         /* f */
    uint16_t backend_domain;             /* x */
    _Atomic int state;                   /* a ours */
    enum xenbus_state backend_state;     /* x */
    struct xenstore_watch watch;         /* x the backend's state */
    void *data;                          /* the driver's */
    struct list link;                    /* device list lock */
};

/*
 * Starts looking for devices of these drivers (the table ends with NULL, and is kept). Returns when those that are there now were probed.
 * 0, -ENODEV where there is no xenstore, -ENOMEM.
 */
int xenbus_start(const struct xenbus_driver *const drivers[]);
/* Waits until every device that is there is connected, closed or given up: 0 or -ETIMEDOUT. */
int xenbus_wait_settled(uint64_t deadline_ns);

/* For drivers. Writes our state, if it is another; says so in the log where that fails. */
void xenbus_set_state(struct xenbus_device *device, enum xenbus_state state);
/* A violation or failure: one line naming the device and what was wrong; our state becomes Closing, and ~/error/... says why. Thread context. */
void xenbus_fail(struct xenbus_device *device, int error, const char *what);
/* Reads numbers from the backend's directory; where one is missing its value stays, where it is no such number also, with a line. */
void xenbus_backend_numbers(struct xenbus_device *device, struct xenstore_number *numbers, unsigned int count);
