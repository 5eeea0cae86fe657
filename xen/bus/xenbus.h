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

#define XENBUS_KEY_LIMIT 8u

struct xenbus_device;

struct xenbus_driver {
    const char *class_name; /* "vbd", "vif" */
    /*
     * What the driver wants to know, as NULL-ended lists of up to XENBUS_KEY_LIMIT names, or NULL: of the device's own directory, in probe; of
     * the backend's, in probe and whenever it has news while we are not (offer_keys), or are (connect_keys), in Initialised or Connected. The
     * bus asks for all of it at once; xenbus_number() and xenbus_text() have the answers, by their places in the lists.
     */
    const char *const *keys, *const *offer_keys, *const *connect_keys;
    /* A device appeared. The driver allocates its own struct into device->data. 0, or an error: the device is left alone. */
    int (*probe)(struct xenbus_device *device);
    /* The backend's state is (still or newly) this; the first call follows probe. Calls may repeat a state. */
    void (*backend_changed)(struct xenbus_device *device, enum xenbus_state state);
    /* Its directory is gone: end all I/O with errors, take back grants and port, free device->data. `device` is freed on return. */
    void (*remove)(struct xenbus_device *device);
};

/* Answers, or why there is none. */
struct xenbus_values {
    struct xenstore_request requests[XENBUS_KEY_LIMIT];
    const char *const *keys;
    unsigned int count;
    int errors[XENBUS_KEY_LIMIT];
    char *texts[XENBUS_KEY_LIMIT];  /* terminated, memory_allocate()d */
    size_t lengths[XENBUS_KEY_LIMIT];
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
    struct xenbus_values *own, *backend; /* x while the driver is called: own in probe only, backend in both */
    void *data;                          /* the driver's */
    struct list link;                    /* device list lock */
};

/*
 * Starts looking for devices of these drivers (the table ends with NULL, and is kept), and does not wait for anything. xenstore is
 * there.
 */
void xenbus_start(const struct xenbus_driver *const drivers[]);
/*
 * Waits until enough(data), which is asked again whenever a device got further, or (also with enough NULL) until every device that was there at the
 * start is connected, closed or given up: 0 or -ETIMEDOUT. One thread's.
 */
int xenbus_wait(bool (*enough)(void *data), void *data, uint64_t deadline_ns);

/* For drivers. Writes our state, if it is another; says so in the log where that fails. */
void xenbus_set_state(struct xenbus_device *device, enum xenbus_state state);
/* A violation or failure: one line naming the device and what was wrong; our state becomes Closing, and ~/error/... says why. Thread context. */
void xenbus_fail(struct xenbus_device *device, int error, const char *what);
/*
 * The value of the list's key at `place`, a decimal number up to `limit`: 0 and *value, or why not. Where it is another's fault than that it
 * is missing, there is a line.
 */
int xenbus_number(const struct xenbus_device *device, const struct xenbus_values *values, unsigned int place, uint64_t limit, uint64_t *value);
/* NULL where there is none, or none without NUL bytes. */
const char *xenbus_text(const struct xenbus_values *values, unsigned int place);

/* What we tell the backend: a text, or where that is NULL, a number. */
struct xenbus_entry {
    const char *name;
    const char *text;
    uint64_t number;
};

/* Writes the entries, then our state, all at once: whoever sees the state, sees the entries. The first error, or 0. */
int xenbus_offer(struct xenbus_device *device, const struct xenbus_entry *entries, unsigned int count, enum xenbus_state state);
