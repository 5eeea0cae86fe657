/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus: finds devices, follows their backends' states, and calls the drivers.
 *
 *   watch on "device" → xenbus_scan() → new directory: probe, and a watch on the backend's state
 *                                     → directory gone: remove
 *   watch on the backend's state → backend_changed
 *
 * All of it happens in the thread of watches, so a device's life needs no lock; device_lock guards the list for xenbus_wait_settled().
 */
#include "xen/bus/xenbus.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/wait_queue.h"

#define DOMAIN_LIMIT 0x7fefu /* DOMID_FIRST_RESERVED - 1 */

static const struct xenbus_driver *const *bus_drivers;
static struct spinlock device_lock = SPINLOCK_INITIALIZER("xenbus devices", 0);
static struct list devices = LIST_INITIALIZER(devices); /* device_lock; written by the thread of watches only */
static bool scanned;                                    /* device_lock the first scan is over */
static struct xenstore_watch bus_watch;
static struct wait_queue settled_queue = WAIT_QUEUE_INITIALIZER(settled_queue, "xenbus");

void xenbus_backend_numbers(struct xenbus_device *device, struct xenstore_number *numbers, unsigned int count)
{
    xenstore_read_numbers(device->backend_path, numbers, count);
    for (unsigned int i = 0; i < count; i++)
        if (numbers[i].error != 0 && numbers[i].error != -ENOENT)
            log_warning("%s: the backend's %s is unusable (%d)", device->path, numbers[i].name, numbers[i].error);
}

void xenbus_set_state(struct xenbus_device *device, enum xenbus_state state)
{
    if (device->state == (int)state)
        return;
    int error = xenstore_print(XENSTORE_NO_TRANSACTION, device->path, "state", "%d", (int)state);
    if (error != 0 && error != -ENOENT)
        log_error("%s: cannot write state %d (%d)", device->path, (int)state, error);
    device->state = (int)state;
    wait_queue_wake_all(&settled_queue, 0);
}

void xenbus_fail(struct xenbus_device *device, int error, const char *what)
{
    char path[96];

    log_error("%s: %s (%d): closed", device->path, what, error);
    format_string(path, sizeof(path), "error/%s", device->path);
    (void)xenstore_print(XENSTORE_NO_TRANSACTION, path, "error", "%d %s", -error, what); /* a courtesy to the host */
    xenbus_set_state(device, XENBUS_CLOSING);
}

static void xenbus_backend_event(struct xenstore_watch *watch, const char *changed_path)
{
    struct xenbus_device *device = watch->data;
    uint64_t state = XENBUS_UNKNOWN;
    int error = xenstore_read_unsigned(XENSTORE_NO_TRANSACTION, device->backend_path, "state", XENBUS_RECONFIGURED, &state);

    if (error == -ENOENT)
        state = device->backend_state == XENBUS_UNKNOWN ? XENBUS_UNKNOWN : XENBUS_CLOSED;
    else if (error != 0)
        log_warning("%s: the backend's state is unusable (%d)", device->path, error);
    if (error != 0 && error != -ENOENT)
        return;
    device->backend_state = (enum xenbus_state)state;
    device->driver->backend_changed(device, device->backend_state);
    wait_queue_wake_all(&settled_queue, 0);
}

static int xenbus_read_backend(struct xenbus_device *device)
{
    uint64_t domain;
    int error = xenstore_read_string(XENSTORE_NO_TRANSACTION, device->path, "backend", device->backend_path,
                                     sizeof(device->backend_path));

    if (error == 0)
        error = xenstore_read_unsigned(XENSTORE_NO_TRANSACTION, device->path, "backend-id", DOMAIN_LIMIT, &domain);
    if (error != 0)
        return error;
    device->backend_domain = (uint16_t)domain;
    return xenstore_join(device->watch.path, sizeof(device->watch.path), device->backend_path, "state");
}

static void xenbus_add(const struct xenbus_driver *driver, const char *name)
{
    uint64_t id;

    if (parse_unsigned(name, strlen(name), 10, &id) != 0 || id > UINT32_MAX)
        return;
    struct xenbus_device *device = memory_allocate_zeroed(sizeof(*device));
    if (!device) {
        log_error("device/%s/%s: out of memory", driver->class_name, name);
        return;
    }
    device->driver = driver;
    device->id = (uint32_t)id;
    device->state = XENBUS_INITIALISING;
    device->watch.changed = xenbus_backend_event;
    device->watch.data = device;
    list_init(&device->link);
    format_string(device->path, sizeof(device->path), "device/%s/%u", driver->class_name, device->id);

    int error = xenbus_read_backend(device);
    if (error != 0) {
        /* Half written by the toolstack: the watch will call again. */
        if (error != -ENOENT)
            log_error("%s: its backend cannot be read (%d)", device->path, error);
        memory_free(device);
        return;
    }
    error = driver->probe(device);
    if (error != 0) {
        log_error("%s: not usable (%d)", device->path, error);
        device->driver = NULL; /* known, so as not to be tried again with every event */
        device->state = XENBUS_CLOSED;
    }
    spinlock_lock(&device_lock);
    list_add_last(&devices, &device->link);
    spinlock_unlock(&device_lock);
    if (error != 0)
        return;
    error = xenstore_watch_add(&device->watch);
    if (error != 0)
        xenbus_fail(device, error, "its backend's state cannot be watched");
}

static void xenbus_drop(struct xenbus_device *device)
{
    spinlock_lock(&device_lock);
    list_remove(&device->link);
    spinlock_unlock(&device_lock);
    if (device->driver) {
        xenstore_watch_remove(&device->watch);
        device->driver->remove(device);
    }
    memory_free(device);
    wait_queue_wake_all(&settled_queue, 0);
}

static bool xenbus_known(const char *path)
{
    struct xenbus_device *device;

    list_for_each(device, &devices, link)
        if (strcmp(device->path, path) == 0)
            return true;
    return false;
}

static void xenbus_scan_class(const struct xenbus_driver *driver)
{
    char path[64];
    char *names;
    unsigned int count;

    format_string(path, sizeof(path), "device/%s", driver->class_name);
    if (xenstore_list(XENSTORE_NO_TRANSACTION, path, &names, &count) != 0)
        return; /* no device of this class */
    const char *name = names;
    for (unsigned int i = 0; i < count; i++, name += strlen(name) + 1) {
        format_string(path, sizeof(path), "device/%s/%s", driver->class_name, name);
        if (!xenbus_known(path))
            xenbus_add(driver, name);
    }
    memory_free(names);
}

static void xenbus_scan_gone(void)
{
    struct xenbus_device *device, *following;

    list_for_each_safe(device, following, &devices, link) {
        char *value;
        size_t length;
        int error = xenstore_read(XENSTORE_NO_TRANSACTION, device->path, "backend", &value, &length);
        if (error == 0)
            memory_free(value);
        else if (error == -ENOENT)
            xenbus_drop(device);
    }
}

/*
 * "device" changed somewhere. Our own writes of states and keys come back here too, hence the look at the path: only a
 * device's directory or its backend key makes a scan necessary.
 */
static bool xenbus_needs_scan(const char *changed_path)
{
    unsigned int depth = 0;
    const char *last = changed_path;

    for (const char *cursor = changed_path; *cursor; cursor++) {
        if (*cursor != '/')
            continue;
        depth++;
        last = cursor + 1;
    }
    return depth <= 2 || (depth == 3 && strcmp(last, "backend") == 0);
}

static void xenbus_event(struct xenstore_watch *watch, const char *changed_path)
{
    if (scanned && !xenbus_needs_scan(changed_path))
        return;
    xenbus_scan_gone();
    for (unsigned int i = 0; bus_drivers[i]; i++)
        xenbus_scan_class(bus_drivers[i]);
    spinlock_lock(&device_lock);
    scanned = true;
    spinlock_unlock(&device_lock);
    wait_queue_wake_all(&settled_queue, 0);
}

static bool xenbus_scanned(void)
{
    spinlock_lock(&device_lock);
    bool result = scanned;
    spinlock_unlock(&device_lock);
    return result;
}

int xenbus_start(const struct xenbus_driver *const drivers[])
{
    bus_drivers = drivers;
    bus_watch.changed = xenbus_event;
    format_string(bus_watch.path, sizeof(bus_watch.path), "device");
    int error = xenstore_watch_add(&bus_watch);
    if (error != 0)
        return error;
    return WAIT_UNTIL(&settled_queue, xenbus_scanned(), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}

static bool xenbus_settled(void)
{
    struct xenbus_device *device;
    bool settled = true;

    spinlock_lock(&device_lock);
    list_for_each(device, &devices, link) {
        int state = device->state;
        if (state != XENBUS_CONNECTED && state != XENBUS_CLOSING && state != XENBUS_CLOSED)
            settled = false;
    }
    spinlock_unlock(&device_lock);
    return settled;
}

int xenbus_wait_settled(uint64_t deadline_ns)
{
    return WAIT_UNTIL(&settled_queue, xenbus_settled(), deadline_ns, WAIT_UNINTERRUPTIBLE);
}
