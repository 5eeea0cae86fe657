/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of page-table roots. A CPU keeps the last root it was given while it runs kernel threads or idles; a root may go
 * only when no CPU has it. A dying space that some CPU still has is handed to a thread, which makes them leave it and waits for them.
 */
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/address_space_internal.h"
#include "xen/machine/cpu.h"

static struct spinlock dying_lock = SPINLOCK_INITIALIZER("dying spaces", 0);
static struct list dying = LIST_INITIALIZER(dying); /* dying_lock */
static struct wait_queue dying_wait;
static bool started;

void address_space_leave_cpu(void)
{
    struct thread *thread = thread_current();

    cpu_events_mask();
    if (thread->context.root)
        thread->context.root = NULL;
    paging_leave();
    cpu_events_unmask();
}

static void space_destroy(struct address_space *space)
{
    paging_root_destroy(&space->root);
    memory_free(space);
}

static bool space_active(struct address_space *space)
{
    return space->root.cpu_mask != 0;
}

static struct address_space *space_take_dying(void)
{
    struct address_space *space = NULL;

    spinlock_lock(&dying_lock);
    if (!list_empty(&dying)) {
        space = list_first(&dying, struct address_space, dying_link);
        list_remove(&space->dying_link);
    }
    spinlock_unlock(&dying_lock);
    return space;
}

static bool space_any_dying(void)
{
    spinlock_lock(&dying_lock);
    bool any = !list_empty(&dying);
    spinlock_unlock(&dying_lock);
    return any;
}

static void space_reaper(void *argument)
{
    struct address_space *space;

    for (;;) {
        WAIT_UNTIL(&dying_wait, space_any_dying(), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        while ((space = space_take_dying()))
            space_destroy(space);
    }
}

void space_retire(struct address_space *space)
{
    if (!started || !space_active(space)) {
        space_destroy(space);
        return;
    }
    spinlock_lock(&dying_lock);
    list_add_last(&dying, &space->dying_link);
    spinlock_unlock(&dying_lock);
    wait_queue_wake_all(&dying_wait, 0);
}

int address_space_start(void)
{
    struct thread *thread;

    wait_queue_init(&dying_wait);
    int error = thread_create(&thread, "space-reaper", space_reaper, NULL);
    if (error != 0)
        return error;
    thread_start(thread);
    thread_release(thread);
    started = true;
    return 0;
}
