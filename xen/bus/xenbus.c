/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bus: finds devices, follows their backends' states, and calls the drivers.
 *
 *   watch on "device" → xenbus_scan_new(), for each new directory: its keys → a watch on the backend's state, state and keys → probe, backend_changed
 *                     → xenbus_scan_gone(), for each that is gone: remove
 *   watch on the backend's state → state and keys → backend_changed
 *
 * Each arrow is one round trip to xenstored, for all devices together: a guest's start is mostly these.
 *
 * All of it happens in the thread of watches, so a device's life needs no lock; device_lock guards the list for xenbus_wait().
 */
#include "xen/bus/xenbus.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/wait_queue.h"

#define DOMAIN_LIMIT 0x7fefu /* DOMID_FIRST_RESERVED - 1 */
#define DRIVER_LIMIT 4u

static const struct xenbus_driver *const *bus_drivers;
static struct spinlock device_lock = SPINLOCK_INITIALIZER("xenbus devices", 0);
static struct list devices = LIST_INITIALIZER(devices); /* device_lock; written by the thread of watches only */
static bool scanned;                                    /* device_lock; the first scan is over */
static struct xenstore_watch bus_watch;
static struct xenstore_request bus_request; /* the watch's, until the first wait */
static bool bus_watched;
static struct wait_queue settled_queue = WAIT_QUEUE_INITIALIZER(settled_queue, "xenbus");

/* ---- Many keys at once --------------------------------------------------------------------------------------------- */

static struct xenbus_values *values_start(const char *directory, const char *const *keys)
{
    struct xenbus_values *values = memory_allocate_zeroed(sizeof(*values));

    if (!values)
        return NULL;
    values->keys = keys;
    for (; keys && keys[values->count]; values->count++) {
        assert(values->count < XENBUS_KEY_LIMIT);
        xenstore_start_read(&values->requests[values->count], directory, keys[values->count]);
    }
    return values;
}

static void values_await(struct xenbus_values *values)
{
    for (unsigned int i = 0; values && i < values->count; i++)
        values->errors[i] = xenstore_await_value(&values->requests[i], &values->texts[i], &values->lengths[i]);
}

static void values_free(struct xenbus_values *values)
{
    for (unsigned int i = 0; values && i < values->count; i++)
        if (values->errors[i] == 0)
            memory_free(values->texts[i]);
    memory_free(values);
}

int xenbus_number(const struct xenbus_device *device, const struct xenbus_values *values, unsigned int place, uint64_t limit, uint64_t *value)
{
    uint64_t number = 0;
    int error = place < values->count ? values->errors[place] : -ENOENT;

    if (error == 0)
        error = parse_unsigned(values->texts[place], values->lengths[place], 10, &number);
    if (error == 0 && number > limit)
        error = -ERANGE;
    if (error == 0)
        *value = number;
    else if (error != -ENOENT)
        log_warning("%s: %s is unusable (%d)", device->path, values->keys[place], error);
    return error;
}

const char *xenbus_text(const struct xenbus_values *values, unsigned int place)
{
    if (place >= values->count || values->errors[place] != 0 || memchr(values->texts[place], 0, values->lengths[place]))
        return NULL;
    return values->texts[place];
}

/* ---- States -------------------------------------------------------------------------------------------------------- */

/* Ours, as all see it from now on; it is also to be written. */
static void state_start_write(struct xenbus_device *device, enum xenbus_state state, struct xenstore_request *request)
{
    char text[4];
    int length = format_string(text, sizeof(text), "%d", (int)state);

    xenstore_start_write(request, device->path, "state", text, (size_t)length);
    device->state = (int)state;
    wait_queue_wake_all(&settled_queue, 0);
}

static int state_await(const struct xenbus_device *device, struct xenstore_request *request)
{
    int error = xenstore_await(request);

    if (error != 0 && error != -ENOENT)
        log_error("%s: cannot write state %d (%d)", device->path, device->state, error);
    return error;
}

void xenbus_set_state(struct xenbus_device *device, enum xenbus_state state)
{
    struct xenstore_request request;

    if (device->state == (int)state)
        return;
    state_start_write(device, state, &request);
    (void)state_await(device, &request);
}

int xenbus_offer(struct xenbus_device *device, const struct xenbus_entry *entries, unsigned int count, enum xenbus_state state)
{
    struct xenstore_request *requests = memory_allocate((count + 1) * sizeof(*requests));
    char number[24];
    int error = 0;

    if (!requests)
        return -ENOMEM;
    for (unsigned int i = 0; i < count; i++) {
        const char *text = entries[i].text;
        if (!text) {
            format_string(number, sizeof(number), "%llu", (unsigned long long)entries[i].number);
            text = number;
        }
        xenstore_start_write(&requests[i], device->path, entries[i].name, text, strlen(text));
    }
    state_start_write(device, state, &requests[count]);
    for (unsigned int i = 0; i <= count; i++) {
        int answer = xenstore_await(&requests[i]);
        error = error != 0 ? error : answer;
    }
    memory_free(requests);
    return error;
}

void xenbus_fail(struct xenbus_device *device, int error, const char *what)
{
    char path[96];

    log_error("%s: %s (%d): closed", device->path, what, error);
    format_string(path, sizeof(path), "error/%s", device->path);
    (void)xenstore_print(XENSTORE_NO_TRANSACTION, path, "error", "%d %s", -error, what); /* a courtesy to the host */
    xenbus_set_state(device, XENBUS_CLOSING);
}

/* ---- The backend's news -------------------------------------------------------------------------------------------- */

/* What is read at each of them, at once. */
struct backend_reading {
    struct xenstore_request state;
    struct xenbus_values *values;
};

static void backend_start_read(struct xenbus_device *device, struct backend_reading *reading)
{
    bool offered = device->state == XENBUS_INITIALISED || device->state == XENBUS_CONNECTED;

    xenstore_start_read(&reading->state, device->backend_path, "state");
    reading->values = values_start(device->backend_path, offered ? device->driver->connect_keys : device->driver->offer_keys);
}

/* False: the state cannot be had, nothing is told. */
static bool backend_await_read(struct xenbus_device *device, struct backend_reading *reading)
{
    uint64_t state = XENBUS_UNKNOWN;
    int error = xenstore_await_unsigned(&reading->state, XENBUS_RECONFIGURED, &state);

    values_await(reading->values);
    if (error == -ENOENT)
        state = device->backend_state == XENBUS_UNKNOWN ? XENBUS_UNKNOWN : XENBUS_CLOSED;
    if (!reading->values)
        error = -ENOMEM;
    if (error != 0 && error != -ENOENT) {
        log_warning("%s: the backend's state is unusable (%d)", device->path, error);
        return false;
    }
    device->backend_state = (enum xenbus_state)state;
    return true;
}

static void backend_tell(struct xenbus_device *device, struct xenbus_values *values)
{
    device->backend = values;
    device->driver->backend_changed(device, device->backend_state);
    device->backend = NULL;
    wait_queue_wake_all(&settled_queue, 0);
}

static void xenbus_backend_event(struct xenstore_watch *watch, const char *changed_path)
{
    struct xenbus_device *device = watch->data;
    struct backend_reading reading;

    backend_start_read(device, &reading);
    if (backend_await_read(device, &reading))
        backend_tell(device, reading.values);
    values_free(reading.values);
}

/* ---- New devices --------------------------------------------------------------------------------------------------- */

/* One on its way into the list: all that is asked before it is known. */
struct newcomer {
    struct list link;
    struct xenbus_device *device;
    struct xenstore_request backend, domain, watch;
    struct xenbus_values *own;
    struct backend_reading reading;
};

/* Asks for what its own directory says. */
static attribute_cold void newcomer_start(struct list *newcomers, const struct xenbus_driver *driver, const char *name)
{
    uint64_t id;

    if (parse_unsigned(name, strlen(name), 10, &id) != 0 || id > UINT32_MAX)
        return;
    struct newcomer *newcomer = memory_allocate_zeroed(sizeof(*newcomer));
    struct xenbus_device *device = memory_allocate_zeroed(sizeof(*device));
    if (!newcomer || !device) {
        log_error("device/%s/%s: out of memory", driver->class_name, name);
        memory_free(newcomer);
        memory_free(device);
        return;
    }
    device->driver = driver;
    device->id = (uint32_t)id;
    device->state = XENBUS_INITIALISING;
    device->watch.changed = xenbus_backend_event;
    device->watch.data = device;
    list_init(&device->link);
    format_string(device->path, sizeof(device->path), "device/%s/%u", driver->class_name, device->id);
    newcomer->device = device;
    xenstore_start_read(&newcomer->backend, device->path, "backend");
    xenstore_start_read(&newcomer->domain, device->path, "backend-id");
    newcomer->own = values_start(device->path, driver->keys);
    list_add_last(newcomers, &newcomer->link);
}

/* The device's own directory is read: asks for what the backend says, and will say. False: this is no device, or none yet. */
static attribute_cold bool newcomer_meet(struct newcomer *newcomer)
{
    struct xenbus_device *device = newcomer->device;
    uint64_t domain = 0;
    int error = xenstore_await_string(&newcomer->backend, device->backend_path, sizeof(device->backend_path));
    int domain_error = xenstore_await_unsigned(&newcomer->domain, DOMAIN_LIMIT, &domain);

    values_await(newcomer->own);
    error = error != 0 ? error : domain_error;
    if (error == 0)
        error = xenstore_join(device->watch.path, sizeof(device->watch.path), device->backend_path, "state");
    if (error == 0 && !newcomer->own)
        error = -ENOMEM;
    if (error != 0) {
        /* Half written by the toolstack: the watch will call again. */
        if (error != -ENOENT)
            log_error("%s: its backend cannot be read (%d)", device->path, error);
        return false;
    }
    device->backend_domain = (uint16_t)domain;
    xenstore_watch_start_add(&device->watch, &newcomer->watch);
    backend_start_read(device, &newcomer->reading);
    return true;
}

/* All is read: probes the device and tells it what the backend's state is. */
static attribute_cold void newcomer_add(struct newcomer *newcomer)
{
    struct xenbus_device *device = newcomer->device;
    int watch_error = xenstore_watch_await_add(&device->watch, &newcomer->watch);
    bool told = backend_await_read(device, &newcomer->reading);
    int error = newcomer->reading.values ? 0 : -ENOMEM;

    device->own = newcomer->own;
    device->backend = newcomer->reading.values;
    if (error == 0)
        error = device->driver->probe(device);
    device->own = device->backend = NULL;
    if (error != 0) {
        log_error("%s: not usable (%d)", device->path, error);
        if (watch_error == 0)
            xenstore_watch_remove(&device->watch);
        device->driver = NULL; /* known, so as not to be tried again with every event */
        device->state = XENBUS_CLOSED;
    }
    spinlock_lock(&device_lock);
    list_add_last(&devices, &device->link);
    spinlock_unlock(&device_lock);
    if (error == 0 && watch_error != 0)
        xenbus_fail(device, watch_error, "its backend's state cannot be watched");
    else if (error == 0 && told)
        backend_tell(device, newcomer->reading.values);
}

static attribute_cold void newcomer_free(struct newcomer *newcomer)
{
    values_free(newcomer->own);
    values_free(newcomer->reading.values);
    memory_free(newcomer);
}

static attribute_cold void xenbus_drop(struct xenbus_device *device)
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

/* Looks for devices that are not known, and takes all of them a step at a time: what is asked about one is under way with the others'. */
static attribute_cold void xenbus_scan_new(void)
{
    struct xenstore_request requests[DRIVER_LIMIT];
    struct newcomer *newcomer, *following;
    struct list newcomers;
    char path[64];

    list_init(&newcomers);
    for (unsigned int i = 0; bus_drivers[i]; i++) {
        format_string(path, sizeof(path), "device/%s", bus_drivers[i]->class_name);
        xenstore_start_list(&requests[i], path);
    }
    for (unsigned int i = 0; bus_drivers[i]; i++) {
        char *names;
        unsigned int count;
        format_string(path, sizeof(path), "device/%s", bus_drivers[i]->class_name);
        if (xenstore_await_list(&requests[i], path, &names, &count) != 0)
            continue; /* no device of this class */
        const char *name = names;
        for (unsigned int k = 0; k < count; k++, name += strlen(name) + 1) {
            format_string(path, sizeof(path), "device/%s/%s", bus_drivers[i]->class_name, name);
            if (!xenbus_known(path))
                newcomer_start(&newcomers, bus_drivers[i], name);
        }
        memory_free(names);
    }
    list_for_each_safe(newcomer, following, &newcomers, link) {
        if (newcomer_meet(newcomer))
            continue;
        list_remove(&newcomer->link);
        memory_free(newcomer->device);
        newcomer_free(newcomer);
    }
    list_for_each_safe(newcomer, following, &newcomers, link) {
        newcomer_add(newcomer);
        newcomer_free(newcomer);
    }
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
    xenbus_scan_new();
    spinlock_lock(&device_lock);
    scanned = true;
    spinlock_unlock(&device_lock);
    wait_queue_wake_all(&settled_queue, 0);
}

void xenbus_start(const struct xenbus_driver *const drivers[])
{
    unsigned int count = 0;

    while (drivers[count])
        count++;
    assert(count <= DRIVER_LIMIT);
    bus_drivers = drivers;
    bus_watch.changed = xenbus_event;
    format_string(bus_watch.path, sizeof(bus_watch.path), "device");
    xenstore_watch_start_add(&bus_watch, &bus_request);
    xenstore_push();
}

static bool xenbus_settled(void)
{
    struct xenbus_device *device;

    spinlock_lock(&device_lock);
    bool settled = scanned;
    list_for_each(device, &devices, link) {
        int state = device->state;
        if (state != XENBUS_CONNECTED && state != XENBUS_CLOSING && state != XENBUS_CLOSED)
            settled = false;
    }
    spinlock_unlock(&device_lock);
    return settled;
}

int xenbus_wait(bool (*enough)(void *data), void *data, uint64_t deadline_ns)
{
    int error = bus_watched ? 0 : xenstore_watch_await_add(&bus_watch, &bus_request);

    bus_watched = true;
    if (error != 0) {
        log_error("xenbus: not available (%d)", error);
        spinlock_lock(&device_lock);
        scanned = true; /* there will be none */
        spinlock_unlock(&device_lock);
    }
    return WAIT_UNTIL(&settled_queue, (enough && enough(data)) || xenbus_settled(), deadline_ns, WAIT_UNINTERRUPTIBLE);
}
