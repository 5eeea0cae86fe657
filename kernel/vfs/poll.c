/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll() over many files: ask each; if none is ready, hang an entry on every wait queue they name and sleep.
 *
 * The first round hangs the entries (a file that is ready ends the hanging: nobody will sleep); later rounds only ask
 * again. An entry that is woken marks the poller before it wakes the thread, so that a change between a round and the
 * sleep is not lost. Few entries lie on the stack, more in blocks. The poller is its own thread's; `triggered` is atomic.
 */
#include "kernel/vfs/poll.h"

#include <stdatomic.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"

#define POLL_ALWAYS (POLL_ERROR | POLL_HANGUP | POLL_INVALID)
#define POLL_ENTRIES_INLINE 8
#define POLL_ENTRIES_BLOCK 64

struct poller;

struct poll_entry {
    struct wait_entry wait;
    struct poller *poller;
    uint32_t events;
};

struct poll_block {
    struct poll_block *next;
    unsigned int used;
    struct poll_entry entries[POLL_ENTRIES_BLOCK];
};

struct poller {
    struct poll_table table;
    struct thread *thread;
    atomic_bool triggered;
    int error;
    uint32_t events;             /* of the file that is being asked */
    unsigned int used;
    struct poll_block *blocks;
    struct poll_entry entries[POLL_ENTRIES_INLINE];
};

static bool poller_wake(struct wait_entry *wait, uint32_t key)
{
    struct poll_entry *entry = container_of(wait, struct poll_entry, wait);
    struct poller *poller = entry->poller;

    if (key != 0 && !(key & entry->events))
        return false;
    atomic_store(&poller->triggered, true);
    return thread_wake(poller->thread);
}

static struct poll_entry *poller_entry(struct poller *poller)
{
    struct poll_block *block = poller->blocks;

    if (poller->used < POLL_ENTRIES_INLINE)
        return &poller->entries[poller->used++];
    if (!block || block->used == POLL_ENTRIES_BLOCK) {
        block = memory_allocate(sizeof(*block));
        if (!block)
            return NULL;
        block->used = 0;
        block->next = poller->blocks;
        poller->blocks = block;
    }
    return &block->entries[block->used++];
}

static void poller_add(struct poll_table *table, struct wait_queue *queue)
{
    struct poller *poller = container_of(table, struct poller, table);
    struct poll_entry *entry = poller_entry(poller);

    if (!entry) {
        poller->error = -ENOMEM;
        return;
    }
    *entry = (struct poll_entry){ .poller = poller, .events = poller->events };
    entry->wait.wake = poller_wake;
    entry->wait.thread = poller->thread;
    wait_queue_add(queue, &entry->wait);
}

static void poller_end(struct poller *poller)
{
    for (unsigned int i = 0; i < poller->used; i++)
        wait_queue_remove(&poller->entries[i].wait);
    while (poller->blocks) {
        struct poll_block *block = poller->blocks;

        for (unsigned int i = 0; i < block->used; i++)
            wait_queue_remove(&block->entries[i].wait);
        poller->blocks = block->next;
        memory_free(block);
    }
}

/* One round; hangs entries while `hang` and nothing is ready yet. The number ready. */
static int poller_ask(struct poller *poller, struct poll_request *requests, size_t count, bool hang)
{
    int ready = 0;

    for (size_t i = 0; i < count; i++) {
        struct poll_request *request = &requests[i];

        request->ready = 0;
        if (!request->file)
            continue;
        poller->events = request->events | POLL_ALWAYS;
        request->ready = file_poll(request->file, hang && ready == 0 ? &poller->table : NULL) & poller->events;
        if (request->ready)
            ready++;
    }
    return ready;
}

static int poller_sleep(struct poller *poller, struct poll_request *requests, size_t count, uint64_t deadline_ns)
{
    int ready = 0, result = 0;

    while (ready == 0 && result == 0) {
        thread_sleep_prepare();
        if (!atomic_exchange(&poller->triggered, false))
            result = thread_sleep(deadline_ns, WAIT_INTERRUPTIBLE);
        else
            thread_sleep_cancel();
        ready = poller_ask(poller, requests, count, false);
    }
    return ready > 0 || result == -ETIMEDOUT ? ready : result;
}

int poll_requests(struct poll_request *requests, size_t count, uint64_t deadline_ns)
{
    struct poller poller;
    bool wait = deadline_ns != 0;

    poller.table.add = poller_add;
    poller.thread = thread_current();
    poller.error = 0;
    poller.used = 0;
    poller.blocks = NULL;
    atomic_init(&poller.triggered, false);

    int ready = poller_ask(&poller, requests, count, wait);
    if (ready == 0 && poller.error)
        ready = poller.error;
    if (ready == 0 && wait)
        ready = poller_sleep(&poller, requests, count, deadline_ns);
    poller_end(&poller);
    return ready;
}
