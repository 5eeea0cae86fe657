/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll: a set of watched (file, descriptor) pairs, and the list of those that became ready since it was looked at.
 *
 *   file's wait queue wakes --item_wake--> item on epoll->ready --wake--> epoll_wait_events() takes the list, asks each
 *   file, reports it, and puts level-triggered ones back at the end, where the next call asks again.
 *
 * An item holds no reference on its file: the file's end takes its items out (struct file_watch) before it releases
 * anything, so an item's file can always be asked under epoll->lock.
 * Lock order: nesting (changes of who watches whom among epolls; ends of files and epolls) > epoll->lock (outer epolls
 * first) > a wait queue's lock > epoll->ready_lock. The epoll's queues are woken under other queues' locks.
 */
#include "kernel/vfs/epoll.h"

#include <stdatomic.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/tree.h"
#include "kernel/memory/object_cache.h"
#include "xen/machine/clock.h"

#define EVENT_EXCLUSIVE (1u << 28)
#define EVENT_WAKE_UP (1u << 29)
#define EVENT_ONE_SHOT (1u << 30)
#define EVENT_EDGE (1u << 31)
#define EVENT_MODES (EVENT_EXCLUSIVE | EVENT_WAKE_UP | EVENT_ONE_SHOT | EVENT_EDGE)
#define EVENT_ALWAYS (POLL_ERROR | POLL_HANGUP)
#define EVENT_EXCLUSIVE_ALLOWED \
    (POLL_IN | POLL_OUT | POLL_READ_NORMAL | POLL_WRITE_NORMAL | EVENT_ALWAYS | EVENT_WAKE_UP | EVENT_EDGE | EVENT_EXCLUSIVE)

enum { CONTROL_ADD = 1, CONTROL_REMOVE = 2, CONTROL_MODIFY = 3 };

/* Locks: l lock; r ready_lock; n nesting; a atomic. */
struct epoll {
    struct mutex lock;
    struct tree items;            /* l by file and descriptor */
    struct spinlock ready_lock;
    struct list ready;            /* r */
    atomic_bool looking;          /* a the ready ones are off the list for a look (lock is held) */
    struct wait_queue queue;      /* epoll_wait's sleepers */
    atomic_uint sleepers;         /* a on queue: nobody is woken where there are none */
    struct wait_queue poll_queue; /* pollers of the epoll itself */
    atomic_bool polled;           /* a somebody hung there once */
    struct list watchers;         /* n items that watch this epoll, by watcher_link */
};

/* One place in a file's wait queues. */
struct epoll_hook {
    struct wait_entry wait;
    struct epoll_item *item;
    struct epoll_hook *next;
};

/* Locks: l epoll->lock; r epoll->ready_lock; n nesting; f fixed. */
struct epoll_item {
    struct tree_node node;        /* l */
    struct epoll *epoll;          /* f; n NULL once the epoll is gone and only the file's end knows the item */
    struct file *file;            /* f not referenced */
    int fd;                       /* f */
    _Atomic uint32_t events;      /* l to change; read by wakes. Without event bits: spent (one-shot) */
    uint64_t data;                /* l */
    struct list ready_link;       /* r */
    struct file_watch watch;
    struct list watcher_link;     /* n where the file is an epoll */
    struct epoll_hook first_hook; /* l */
    struct epoll_hook *hooks;     /* l */
};

/* Hangs an item's hooks during the first ask. */
struct epoll_table {
    struct poll_table table;
    struct epoll_item *item;
    int error;
};

static struct mutex nesting = MUTEX_INITIALIZER(nesting, "epoll nesting", 0);
static const struct file_operations epoll_operations;

bool file_is_epoll(const struct file *file)
{
    return file->operations == &epoll_operations;
}

static void epoll_wake_waiters(struct epoll *epoll)
{
    /* Pairs with the fence of who comes to wait: it counts itself, then looks at the list; we put on the list, then look at the count. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&epoll->sleepers, memory_order_relaxed) != 0)
        wait_queue_wake_one(&epoll->queue, POLL_IN | POLL_READ_NORMAL);
}

/* Something became ready: for sleepers, and for those who poll the epoll as a file. */
static void epoll_tell(struct epoll *epoll)
{
    epoll_wake_waiters(epoll);
    if (unlikely(atomic_load_explicit(&epoll->polled, memory_order_relaxed)))
        wait_queue_wake_all(&epoll->poll_queue, POLL_IN | POLL_READ_NORMAL);
}

/* Any context. True if it was not on the list. */
static bool item_make_ready(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;

    spinlock_lock(&epoll->ready_lock);
    bool added = !list_linked(&item->ready_link);
    if (added)
        list_add_last(&epoll->ready, &item->ready_link);
    spinlock_unlock(&epoll->ready_lock);
    return added;
}

/* Any context, under the lock of the file's wait queue. */
static bool item_wake(struct wait_entry *wait, uint32_t key)
{
    struct epoll_item *item = container_of(wait, struct epoll_hook, wait)->item;
    uint32_t events = atomic_load_explicit(&item->events, memory_order_relaxed);

    if (!(events & ~EVENT_MODES) || (key != 0 && !(key & events)))
        return false;

    bool sleepers = atomic_load(&item->epoll->sleepers) != 0;
    item_make_ready(item);
    epoll_tell(item->epoll);
    /* EPOLLEXCLUSIVE: counts as the one woken only where somebody was there to be. */
    return sleepers;
}

static void item_hook(struct poll_table *table, struct wait_queue *queue)
{
    struct epoll_table *hooks = container_of(table, struct epoll_table, table);
    struct epoll_item *item = hooks->item;
    struct epoll_hook *hook = item->hooks ? memory_allocate(sizeof(*hook)) : &item->first_hook;

    if (!hook) {
        hooks->error = -ENOMEM;
        return;
    }
    *hook = (struct epoll_hook){ .item = item, .next = item->hooks };
    hook->wait.wake = item_wake;
    hook->wait.exclusive = (atomic_load(&item->events) & EVENT_EXCLUSIVE) != 0;
    item->hooks = hook;
    wait_queue_add(queue, &hook->wait);
}

static int item_order(const struct epoll_item *item, const struct file *file, int fd)
{
    if (item->file != file)
        return file < item->file ? -1 : 1;
    return fd < item->fd ? -1 : fd > item->fd;
}

/* Caller holds epoll->lock. */
static struct epoll_item *item_find(struct epoll *epoll, const struct file *file, int fd)
{
    struct tree_node *node = epoll->items.root;

    while (node) {
        struct epoll_item *item = tree_entry(node, struct epoll_item, node);
        int order = item_order(item, file, fd);

        if (order == 0)
            return item;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

static void item_insert(struct epoll *epoll, struct epoll_item *item)
{
    struct tree_node **link = &epoll->items.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = item_order(tree_entry(parent, struct epoll_item, node), item->file, item->fd) < 0 ? &parent->left : &parent->right;
    }
    tree_insert(&epoll->items, &item->node, parent, link);
    if (file_is_epoll(item->file))
        list_add_last(&((struct epoll *)item->file->data)->watchers, &item->watcher_link);
    file_watch_add(item->file, &item->watch);
}

/* Takes it out of the epoll; the file's watch is left. Caller holds epoll->lock (and nesting where the file is an epoll). */
static void item_detach(struct epoll *epoll, struct epoll_item *item)
{
    while (item->hooks) {
        struct epoll_hook *hook = item->hooks;

        wait_queue_remove(&hook->wait);
        item->hooks = hook->next;
        if (hook != &item->first_hook)
            memory_free(hook);
    }
    spinlock_lock(&epoll->ready_lock);
    list_remove(&item->ready_link);
    spinlock_unlock(&epoll->ready_lock);
    tree_remove(&epoll->items, &item->node);
    list_remove(&item->watcher_link);
}

/* The file is held by the caller, or nesting is: its end may then be waiting in item_file_released(), which frees the item. */
static void item_remove(struct epoll *epoll, struct epoll_item *item)
{
    item_detach(epoll, item);
    if (file_watch_remove(&item->watch))
        memory_free(item);
    else
        item->epoll = NULL;
}

/* The file's last reference is gone; it stands until this returns. */
static void item_file_released(struct file_watch *watch, struct file *file)
{
    struct epoll_item *item = container_of(watch, struct epoll_item, watch);

    mutex_lock(&nesting);
    struct epoll *epoll = item->epoll;
    if (epoll) {
        mutex_lock(&epoll->lock);
        item_detach(epoll, item);
        mutex_unlock(&epoll->lock);
    }
    mutex_unlock(&nesting);
    memory_free(item);
}

/* What of the wanted events is there now. Caller holds epoll->lock. */
static uint32_t item_ask(const struct epoll_item *item)
{
    uint32_t events = atomic_load_explicit(&item->events, memory_order_relaxed);

    return events & ~EVENT_MODES ? file_poll(item->file, NULL) & events & ~EVENT_MODES : 0;
}

/* How many epolls lie under this one, itself included; stops at the limit. Caller holds nesting. */
static int depth_below(struct epoll *epoll, const struct epoll *looked_for, int depth)
{
    int deepest = 1;

    if (epoll == looked_for || depth > EPOLL_NESTING_LIMIT)
        return EPOLL_NESTING_LIMIT + 1;
    mutex_lock(&epoll->lock);
    for (struct tree_node *node = tree_first(&epoll->items); node; node = tree_next(node)) {
        struct epoll_item *item = tree_entry(node, struct epoll_item, node);

        if (file_is_epoll(item->file))
            deepest = maximum(deepest, 1 + depth_below(item->file->data, looked_for, depth + 1));
    }
    mutex_unlock(&epoll->lock);
    return deepest;
}

/* How many lie above it, itself included. Caller holds nesting. */
static int depth_above(const struct epoll *epoll, int depth)
{
    struct epoll_item *item;
    int highest = 1;

    if (depth > EPOLL_NESTING_LIMIT)
        return depth;
    list_for_each(item, &epoll->watchers, watcher_link)
        highest = maximum(highest, 1 + depth_above(item->epoll, depth + 1));
    return highest;
}

static int item_create(struct epoll *epoll, int fd, struct file *file, uint32_t events, uint64_t data)
{
    struct epoll_item *item = memory_allocate_zeroed(sizeof(*item));

    if (!item)
        return -ENOMEM;
    item->epoll = epoll;
    item->file = file;
    item->fd = fd;
    atomic_init(&item->events, events);
    item->data = data;
    list_init(&item->ready_link);
    list_init(&item->watcher_link);
    list_init(&item->watch.link);
    item->watch.released = item_file_released;
    item_insert(epoll, item);

    struct epoll_table hooks = { .table.add = item_hook, .item = item };
    uint32_t ready = file_poll(file, &hooks.table) & events & ~EVENT_MODES;
    if (hooks.error) {
        item_remove(epoll, item);
        return hooks.error;
    }
    if (ready && item_make_ready(item))
        epoll_tell(epoll);
    return 0;
}

static int epoll_add(struct epoll *epoll, int fd, struct file *target, uint32_t events, uint64_t data)
{
    bool nested = file_is_epoll(target);
    int error = 0;

    if (events & EVENT_EXCLUSIVE && (nested || events & ~(EVENT_EXCLUSIVE_ALLOWED)))
        return -EINVAL;
    if (nested) {
        mutex_lock(&nesting);
        if (depth_below(target->data, epoll, 1) + depth_above(epoll, 1) > EPOLL_NESTING_LIMIT)
            error = -ELOOP;
    }
    if (!error) {
        mutex_lock(&epoll->lock);
        error = item_find(epoll, target, fd) ? -EEXIST : item_create(epoll, fd, target, events | EVENT_ALWAYS, data);
        mutex_unlock(&epoll->lock);
    }
    if (nested)
        mutex_unlock(&nesting);
    return error;
}

static int item_modify(struct epoll_item *item, uint32_t events, uint64_t data)
{
    if ((events | atomic_load(&item->events)) & EVENT_EXCLUSIVE)
        return -EINVAL;
    item->data = data;
    /* The new wishes stand before the file is asked: a wake in between goes by them. */
    atomic_store(&item->events, events | EVENT_ALWAYS);
    if (item_ask(item) && item_make_ready(item))
        epoll_tell(item->epoll);
    return 0;
}

int epoll_control(struct file *file, int operation, int fd, struct file *target, const struct epoll_event_kernel *event)
{
    struct epoll *epoll = file->data;
    int error;

    if (!target->operations->poll)
        return -EPERM;
    if (!file_is_epoll(file) || file == target)
        return -EINVAL;
    if (operation == CONTROL_ADD)
        return epoll_add(epoll, fd, target, event->events, event->data);
    if (operation != CONTROL_REMOVE && operation != CONTROL_MODIFY)
        return -EINVAL;

    bool nested = file_is_epoll(target);
    if (nested)
        mutex_lock(&nesting);
    mutex_lock(&epoll->lock);
    struct epoll_item *item = item_find(epoll, target, fd);
    if (!item) {
        error = -ENOENT;
    } else if (operation == CONTROL_MODIFY) {
        error = item_modify(item, event->events, event->data);
    } else {
        item_remove(epoll, item);
        error = 0;
    }
    mutex_unlock(&epoll->lock);
    if (nested)
        mutex_unlock(&nesting);
    return error;
}

/*
 * Takes the next item off a batch; puts `again`, if any, back on a list first (at its end), unless a wake was quicker.
 * An item off all lists can be put on `ready` by a wake, so that what happens while its file is asked is not lost.
 */
static struct epoll_item *batch_next(struct epoll *epoll, struct list *batch, struct list *back, struct epoll_item *again)
{
    spinlock_lock(&epoll->ready_lock);
    if (again && !list_linked(&again->ready_link))
        list_add_last(back, &again->ready_link);
    struct epoll_item *item = list_first(batch, struct epoll_item, ready_link);
    if (item)
        list_remove(&item->ready_link);
    spinlock_unlock(&epoll->ready_lock);
    return item;
}

static void batch_begin(struct epoll *epoll, struct list *batch)
{
    list_init(batch);
    spinlock_lock(&epoll->ready_lock);
    atomic_store_explicit(&epoll->looking, true, memory_order_relaxed);
    list_move_all(batch, &epoll->ready);
    spinlock_unlock(&epoll->ready_lock);
}

/* What was not looked at stays first, what was reported and is still ready goes last. True if anything is left. */
static bool batch_end(struct epoll *epoll, struct list *batch, struct list *back)
{
    spinlock_lock(&epoll->ready_lock);
    list_move_all(batch, &epoll->ready);
    list_move_all(batch, back);
    list_move_all(&epoll->ready, batch);
    bool left = !list_empty(&epoll->ready);
    atomic_store_explicit(&epoll->looking, false, memory_order_release);
    spinlock_unlock(&epoll->ready_lock);
    return left;
}

/* Was just reported: true where it is to be asked again next time. */
static bool item_reported(struct epoll_item *item)
{
    uint32_t events = atomic_load_explicit(&item->events, memory_order_relaxed);

    if (events & EVENT_ONE_SHOT)
        atomic_store(&item->events, events & EVENT_MODES);
    return !(events & (EVENT_ONE_SHOT | EVENT_EDGE));
}

static void put_back(struct epoll *epoll, struct list *list, struct epoll_item *item)
{
    spinlock_lock(&epoll->ready_lock);
    if (!list_linked(&item->ready_link))
        list_add_first(list, &item->ready_link);
    spinlock_unlock(&epoll->ready_lock);
}

/* One pass over what is ready, each item at most once: the number reported, or what `emit` answered if that is none. */
static int epoll_collect(struct epoll *epoll, int limit, epoll_emit_t emit, void *context)
{
    struct epoll_item *again = NULL, *item;
    struct list batch, back;
    int count = 0, error = 0;

    list_init(&back);
    mutex_lock(&epoll->lock);
    batch_begin(epoll, &batch);
    while (count < limit && (item = batch_next(epoll, &batch, &back, again)) != NULL) {
        struct epoll_event_kernel event = {.events = item_ask(item), .data = item->data};

        again = NULL;
        if (!event.events)
            continue;
        error = emit(context, &event);
        if (error) {
            put_back(epoll, &batch, item);
            break;
        }
        again = item_reported(item) ? item : NULL;
        count++;
    }
    if (again && count == limit) {
        spinlock_lock(&epoll->ready_lock);
        if (!list_linked(&again->ready_link))
            list_add_last(&back, &again->ready_link);
        spinlock_unlock(&epoll->ready_lock);
    }
    bool left = batch_end(epoll, &batch, &back);
    mutex_unlock(&epoll->lock);
    if (left && count > 0)
        epoll_wake_waiters(epoll); /* there is work for another thread */
    return count > 0 ? count : error;
}

static bool epoll_has_ready(struct epoll *epoll)
{
    /* Who looks while another thread has the items in hand goes on and waits for its lock. */
    return read_once(epoll->ready.next) != &epoll->ready || atomic_load_explicit(&epoll->looking, memory_order_acquire);
}

/* Counts itself, then looks: see epoll_wake_waiters(). */
static int epoll_sleep(struct epoll *epoll, uint64_t deadline_ns)
{
    struct wait_entry entry = {0};
    int error = 0;

    wait_begin_exclusive(&epoll->queue, &entry);
    atomic_fetch_add(&epoll->sleepers, 1);
    atomic_thread_fence(memory_order_seq_cst);
    while (error == 0) {
        thread_sleep_prepare();
        if (epoll_has_ready(epoll))
            break;
        error = wait_sleep(&entry, deadline_ns, WAIT_INTERRUPTIBLE);
    }
    atomic_fetch_sub(&epoll->sleepers, 1);
    wait_end(&entry);
    return error;
}

int epoll_wait_each(struct file *file, int limit, uint64_t timeout_ns, epoll_emit_t emit, void *context)
{
    struct epoll *epoll = file->data;
    uint64_t deadline_ns = timeout_ns == WAIT_FOREVER ? WAIT_FOREVER : 0;

    if (!file_is_epoll(file) || limit <= 0)
        return -EINVAL;
    for (;;) {
        int count = epoll_has_ready(epoll) ? epoll_collect(epoll, limit, emit, context) : 0;

        if (count != 0 || timeout_ns == 0)
            return count;
        if (deadline_ns == 0) /* who finds something need not look at the clock */
            deadline_ns = clock_monotonic_ns() + timeout_ns;

        int error = epoll_sleep(epoll, deadline_ns);
        if (error == 0)
            continue;
        /* A wake that came with the deadline or the signal must not be lost on us. */
        count = epoll_collect(epoll, limit, emit, context);
        if (count != 0)
            return count;
        return error == -ETIMEDOUT ? 0 : -EINTR;
    }
}

static int emit_to_array(void *context, const struct epoll_event_kernel *event)
{
    struct epoll_event_kernel **next = context;

    *(*next)++ = *event;
    return 0;
}

int epoll_wait_events(struct file *file, struct epoll_event_kernel *events, int limit, uint64_t timeout_ns)
{
    return epoll_wait_each(file, limit, timeout_ns, emit_to_array, &events);
}

/* Ready where one watched file is; items that are not any more leave the list. */
static uint32_t epoll_poll(struct file *file, struct poll_table *table)
{
    struct epoll *epoll = file->data;
    struct epoll_item *item, *found = NULL;
    struct list batch, back;

    if (table) {
        atomic_store(&epoll->polled, true);
        poll_wait(table, &epoll->poll_queue);
    }
    if (!table && !epoll_has_ready(epoll))
        return 0;
    list_init(&back);
    mutex_lock(&epoll->lock);
    batch_begin(epoll, &batch);
    while (!found && (item = batch_next(epoll, &batch, &back, NULL)) != NULL)
        if (item_ask(item))
            found = item;
    if (found) {
        spinlock_lock(&epoll->ready_lock);
        if (!list_linked(&found->ready_link))
            list_add_first(&batch, &found->ready_link);
        spinlock_unlock(&epoll->ready_lock);
    }
    batch_end(epoll, &batch, &back);
    mutex_unlock(&epoll->lock);
    return found ? POLL_IN | POLL_READ_NORMAL : 0;
}

/* nesting is held all along, so that a file which ends at the same time does not find an epoll that is gone. */
static void epoll_release(struct file *file)
{
    struct epoll *epoll = file->data;
    struct tree_node *node;

    mutex_lock(&nesting);
    mutex_lock(&epoll->lock);
    while ((node = tree_first(&epoll->items)) != NULL)
        item_remove(epoll, tree_entry(node, struct epoll_item, node));
    mutex_unlock(&epoll->lock);
    mutex_unlock(&nesting);
    memory_free(epoll);
}

void epoll_for_each(struct file *file, void (*visit)(void *context, int fd, uint32_t events, uint64_t data), void *context)
{
    struct epoll *epoll = file->data;

    mutex_lock(&epoll->lock);
    for (struct tree_node *node = tree_first(&epoll->items); node; node = tree_next(node)) {
        struct epoll_item *item = tree_entry(node, struct epoll_item, node);

        visit(context, item->fd, atomic_load(&item->events), item->data);
    }
    mutex_unlock(&epoll->lock);
}

static size_t epoll_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:[eventpoll]");
}

static const struct file_operations epoll_operations = {
    .poll = epoll_poll,
    .release = epoll_release,
    .describe = epoll_describe,
};

int epoll_create(unsigned int flags, struct credentials *credentials, struct file **file)
{
    struct epoll *epoll = memory_allocate_zeroed(sizeof(*epoll));

    if (!epoll)
        return -ENOMEM;
    mutex_init(&epoll->lock, "epoll", 0);
    spinlock_init(&epoll->ready_lock, "epoll ready", 0);
    list_init(&epoll->ready);
    wait_queue_init(&epoll->queue);
    wait_queue_init(&epoll->poll_queue);
    list_init(&epoll->watchers);

    int error = file_create_anonymous(&epoll_operations, epoll, flags | FILE_READ_WRITE, credentials, file);
    if (error)
        memory_free(epoll);
    return error;
}
