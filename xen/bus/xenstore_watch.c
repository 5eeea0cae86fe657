/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches. xenstored sends "path, token" whenever something under a watched path changes; the token, a number in hexadecimal, says
 * which watch. The event handler queues it, and the thread of watches calls the watch's call-back, which may use xenstore itself.
 *
 * Whoever may write under a watched path could flood us: an event that already waits for the same watch and path is not queued again, and past
 * EVENT_LIMIT waiting ones (or without memory) only `lost` is noted: then every watch is called once, as if its
 * path had changed, which watches must bear anyway. Lock: watch_lock.
 */
#include "xen/bus/xenstore_watch.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait_queue.h"
#include "xen/bus/xenstore.h"

#define EVENT_LIMIT 128u

struct watch_event {
    struct list link; /* watch_lock */
    uint32_t token;
    char path[];
};

static struct spinlock watch_lock = SPINLOCK_INITIALIZER("xenstore watches", 0);
static struct list watches = LIST_INITIALIZER(watches); /* watch_lock */
static struct list events = LIST_INITIALIZER(events);   /* watch_lock */
static unsigned int event_count;                        /* watch_lock */
static bool lost;                                       /* watch_lock */
static uint32_t last_token;                             /* watch_lock */
static struct xenstore_watch *running;                  /* watch_lock whose call-back runs */
static struct thread *watch_thread;
static struct wait_queue event_queue = WAIT_QUEUE_INITIALIZER(event_queue, "xenstore events");
static struct wait_queue idle_queue = WAIT_QUEUE_INITIALIZER(idle_queue, "xenstore call-backs");

static bool watch_event_waits(uint32_t token, const char *path)
{
    struct watch_event *event;

    list_for_each(event, &events, link)
        if (event->token == token && strcmp(event->path, path) == 0)
            return true;
    return false;
}

static void watch_event_add(uint32_t token, const char *path)
{
    struct watch_event *event = NULL;
    size_t size_bytes = strlen(path) + 1;

    spinlock_lock(&watch_lock);
    if (!watch_event_waits(token, path)) {
        if (event_count < EVENT_LIMIT)
            event = memory_allocate(sizeof(*event) + size_bytes);
        if (event) {
            event->token = token;
            memcpy(event->path, path, size_bytes);
            list_add_last(&events, &event->link);
            event_count++;
        } else {
            lost = true;
        }
    }
    spinlock_unlock(&watch_lock);
    wait_queue_wake_all(&event_queue, 0);
}

void xenstore_watch_event(const char *path, const char *token)
{
    uint64_t number;

    /* A watch of who ran before us in this domain (a boot loader) has a token of its own making. */
    if (parse_unsigned(token, strlen(token), 16, &number) == 0 && number <= UINT32_MAX)
        watch_event_add((uint32_t)number, path);
}

static struct xenstore_watch *watch_find(uint32_t token)
{
    struct xenstore_watch *watch;

    list_for_each(watch, &watches, link)
        if (watch->token == token)
            return watch;
    return NULL;
}

static struct watch_event *watch_event_take(bool *all)
{
    struct watch_event *event;

    spinlock_lock(&watch_lock);
    event = list_first(&events, struct watch_event, link);
    if (event) {
        list_remove(&event->link);
        event_count--;
    }
    *all = !event && lost;
    if (*all)
        lost = false;
    spinlock_unlock(&watch_lock);
    return event;
}

/* Calls the watch with this token, if it still exists; path NULL: its own. */
static void watch_call(uint32_t token, const char *path)
{
    spinlock_lock(&watch_lock);
    struct xenstore_watch *watch = watch_find(token);
    running = watch;
    spinlock_unlock(&watch_lock);
    if (!watch)
        return;
    watch->changed(watch, path ? path : watch->path);

    spinlock_lock(&watch_lock);
    running = NULL; /* the watch may be gone: its call-back may have removed and freed it */
    spinlock_unlock(&watch_lock);
    wait_queue_wake_all(&idle_queue, 0);
}

/* By token, as watches come and go meanwhile. */
static void watch_call_all(void)
{
    uint32_t token = 0;

    log_warning("xenstore: too many events: all watches are looked at");
    for (;;) {
        struct xenstore_watch *watch;
        uint32_t next = UINT32_MAX;
        spinlock_lock(&watch_lock);
        list_for_each(watch, &watches, link)
            if (watch->token > token && watch->token < next)
                next = watch->token;
        spinlock_unlock(&watch_lock);
        if (next == UINT32_MAX)
            return;
        token = next;
        watch_call(token, NULL);
    }
}

static void watch_thread_main(void *argument)
{
    for (;;) {
        struct watch_event *event = NULL;
        bool all = false;
        WAIT_UNTIL(&event_queue, (event = watch_event_take(&all)) != NULL || all, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        if (event)
            watch_call(event->token, event->path);
        else
            watch_call_all();
        memory_free(event);
    }
}

int xenstore_watch_start(void)
{
    int error = thread_create(&watch_thread, "xenwatch", watch_thread_main, NULL);

    if (error == 0)
        thread_start(watch_thread);
    return error;
}

static void watch_token(char text[16], uint32_t token)
{
    format_string(text, 16, "%x", token);
}

void xenstore_watch_start_add(struct xenstore_watch *watch, struct xenstore_request *request)
{
    char token[16];

    spinlock_lock(&watch_lock);
    watch->token = ++last_token;
    list_add_last(&watches, &watch->link);
    spinlock_unlock(&watch_lock);
    watch_token(token, watch->token);
    xenstore_start_watch(request, true, watch->path, token);
}

int xenstore_watch_await_add(struct xenstore_watch *watch, struct xenstore_request *request)
{
    int error = xenstore_await(request);

    if (error != 0) {
        spinlock_lock(&watch_lock);
        list_remove(&watch->link);
        spinlock_unlock(&watch_lock);
    }
    return error;
}

int xenstore_watch_add(struct xenstore_watch *watch)
{
    struct xenstore_request request;

    xenstore_watch_start_add(watch, &request);
    return xenstore_watch_await_add(watch, &request);
}

static bool watch_is_idle(const struct xenstore_watch *watch)
{
    spinlock_lock(&watch_lock);
    bool idle = running != watch;
    spinlock_unlock(&watch_lock);
    return idle;
}

void xenstore_watch_remove(struct xenstore_watch *watch)
{
    struct watch_event *event, *following;
    struct xenstore_request request;
    char token[16];
    struct list dropped;

    list_init(&dropped);
    watch_token(token, watch->token);
    xenstore_start_watch(&request, false, watch->path, token);
    (void)xenstore_await(&request); /* if it fails, its events find nobody */
    spinlock_lock(&watch_lock);
    list_remove(&watch->link);
    list_for_each_safe(event, following, &events, link) {
        if (event->token != watch->token)
            continue;
        list_remove(&event->link);
        list_add_last(&dropped, &event->link);
        event_count--;
    }
    spinlock_unlock(&watch_lock);
    list_for_each_safe(event, following, &dropped, link) {
        list_remove(&event->link);
        memory_free(event);
    }
    if (thread_current() != watch_thread)
        WAIT_UNTIL(&idle_queue, watch_is_idle(watch), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
}
