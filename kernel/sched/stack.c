/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread stacks. Under PV an overflow would silently destroy what lies below, and Xen kills a domain whose stack it
 * cannot write a frame to; so stacks are mapped with guard pages. Mapping costs hypercalls, hence the spares: stacks of dead
 * threads are kept for the next ones; those past SPARE_LIMIT are unmapped by deferred work, as threads die in contexts that may
 * not sleep. Reclaim takes the spares when memory is short.
 */
#include "kernel/sched/stack.h"

#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/log.h"
#include "kernel/memory/kernel_map.h"
#include "kernel/memory/page.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "xen/machine/spinlock.h"

#define STACK_ORDER 2
#define STACK_PAGES (1u << STACK_ORDER)
#define SPARE_LIMIT 16u

_Static_assert(STACK_PAGES * PAGE_SIZE == THREAD_STACK_BYTES, "a stack is one block");

/* A spare says so in its own lowest bytes. */
struct stack_spare {
    struct list link; /* spares_lock */
    struct page *pages;
};

static struct spinlock spares_lock = SPINLOCK_INITIALIZER("stack spares", 0);
static struct list spares = LIST_INITIALIZER(spares); /* spares_lock */
static unsigned int spare_count;                      /* spares_lock */
static struct deferred_work spares_trim;

static struct stack_spare *stack_take_spare(unsigned int keep)
{
    struct stack_spare *spare = NULL;

    spinlock_lock(&spares_lock);
    if (spare_count > keep) {
        spare = list_first(&spares, struct stack_spare, link);
        list_remove(&spare->link);
        spare_count--;
    }
    spinlock_unlock(&spares_lock);
    return spare;
}

int stack_allocate(void **base, struct page **pages)
{
    struct stack_spare *spare = stack_take_spare(0);

    if (spare) {
        *pages = spare->pages;
        *base = spare;
        return 0;
    }

    struct page *block = page_allocate(STACK_ORDER, PAGE_STACK, 0);
    if (!block)
        return -ENOMEM;
    gfn_t frames[STACK_PAGES];
    for (unsigned int i = 0; i < STACK_PAGES; i++)
        frames[i] = frames_gfn((pfn_t){ page_pfn(block).number + i });
    void *mapping = kernel_map_frames(frames, STACK_PAGES, true);
    if (!mapping) {
        page_release(block);
        return -ENOMEM;
    }
    *pages = block;
    *base = mapping;
    return 0;
}

void stack_free(void *base, struct page *pages)
{
    struct stack_spare *spare = base;
    bool too_many;

    spare->pages = pages;
    spinlock_lock(&spares_lock);
    list_add_first(&spares, &spare->link);
    spare_count++;
    too_many = spare_count > SPARE_LIMIT;
    spinlock_unlock(&spares_lock);
    if (too_many)
        deferred_work_schedule(&spares_trim);
}

/* Unmaps spares until `keep` are left; thread context. Returns the pages freed. */
static size_t stack_trim(unsigned int keep)
{
    struct stack_spare *spare;
    size_t freed = 0;

    while ((spare = stack_take_spare(keep)) != NULL) {
        struct page *pages = spare->pages;
        kernel_unmap(spare, STACK_PAGES);
        page_release(pages);
        freed += STACK_PAGES;
    }
    return freed;
}

static void stack_trim_work(struct deferred_work *work)
{
    stack_trim(SPARE_LIMIT / 2);
}

static size_t stack_reclaim(size_t target_pages)
{
    return stack_trim(0);
}

void stack_init(void)
{
    deferred_work_init(&spares_trim, stack_trim_work);
    if (page_register_reclaimer("stacks", stack_reclaim) != 0)
        log_warning("sched: stacks of dead threads will not be reclaimed");
}
