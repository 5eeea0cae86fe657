/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables on the host: what is mapped is remembered in one list, and nothing is truly mapped. Tests may look at it
 * through paging_query().
 */
#include "xen/x86/paging.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernel/base/error.h"
#include "tests/unit/host/host.h"

struct host_mapping {
    struct paging_root *root;
    uint64_t address;
    struct paging_entry entry;
    struct host_mapping *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_mapping *mappings;

/* The link that points to the mapping of this address, or the end's. Lock held. */
static struct host_mapping **find(struct paging_root *root, uint64_t address)
{
    struct host_mapping **link = &mappings;

    while (*link && ((*link)->root != root || (*link)->address != address))
        link = &(*link)->next;
    return link;
}

static struct paging_entry look(struct paging_root *root, uint64_t address)
{
    struct host_mapping *mapping = *find(root, address);

    return mapping ? mapping->entry : (struct paging_entry){ .flags = 0 };
}

int paging_root_create(struct paging_root *root)
{
    spinlock_init(&root->lock, "paging root", 0);
    root->cpu_mask = root->table_pages = 0;
    return host_allocation_fails() ? -ENOMEM : 0;
}

void paging_root_destroy(struct paging_root *root)
{
    for (struct host_mapping *mapping = mappings; mapping; mapping = mapping->next)
        if (mapping->root == root)
            abort(); /* all user pages must have been unmapped */
}

int paging_root_seal(struct paging_root *root)
{
    return host_allocation_fails() ? -ENOMEM : 0;
}

bool paging_root_empty(struct paging_root *root, paging_gone gone, void *context)
{
    struct host_mapping **link, **lowest;

    pthread_mutex_lock(&lock);
    do {
        lowest = NULL;
        for (link = &mappings; *link; link = &(*link)->next)
            if ((*link)->root == root && (!lowest || (*link)->address < (*lowest)->address))
                lowest = link;
        struct host_mapping *mapping = lowest ? *lowest : NULL;
        if (mapping) {
            *lowest = mapping->next;
            gone(context, mapping->address, &mapping->entry);
            free(mapping);
        }
    } while (lowest);
    pthread_mutex_unlock(&lock);
    return true;
}

void host_paging_mark(struct paging_root *root, uint64_t address, uint32_t flags)
{
    struct host_mapping *mapping = *find(root, address);

    if (!mapping)
        abort();
    mapping->entry.flags |= flags;
}

void paging_leave(void)
{
}

void paging_root_activate(struct paging_root *root)
{
}

int paging_map(struct paging_root *root, uint64_t address, const struct paging_entry *entries, size_t count)
{
    if (host_allocation_fails())
        return -ENOMEM;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++, address += PAGE_SIZE) {
        struct host_mapping **link = find(root, address);

        if (entries[i].flags == 0)
            continue;
        if (!*link) {
            *link = calloc(1, sizeof(**link));
            (*link)->root = root;
            (*link)->address = address;
        }
        (*link)->entry = entries[i];
        (*link)->entry.flags |= PAGING_PRESENT;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

/* Small entries only, as PV's tables. */
bool paging_has_large(void)
{
    return false;
}

bool paging_large_vacant(struct paging_root *root, uint64_t address)
{
    return false;
}

int paging_map_large(struct paging_root *root, uint64_t address, const struct paging_entry *entry)
{
    abort();
}

void paging_unmap(struct paging_root *root, uint64_t address, struct paging_entry *old, size_t count)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++, address += PAGE_SIZE) {
        struct host_mapping **link = find(root, address), *gone = *link;

        if (old)
            old[i] = gone ? gone->entry : (struct paging_entry){ .flags = 0 };
        if (gone) {
            *link = gone->next;
            free(gone);
        }
    }
    pthread_mutex_unlock(&lock);
}

void paging_protect(struct paging_root *root, uint64_t address, size_t count, uint32_t protection)
{
    const uint32_t changed = PAGING_READ | PAGING_WRITE | PAGING_EXECUTE;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++, address += PAGE_SIZE) {
        struct host_mapping *mapping = *find(root, address);

        if (!mapping)
            continue;
        mapping->entry.flags = (mapping->entry.flags & ~changed) | (protection & changed);
        if (mapping->entry.flags & PAGING_COPY_ON_WRITE)
            mapping->entry.flags &= ~PAGING_WRITE;
    }
    pthread_mutex_unlock(&lock);
}

void paging_query(struct paging_root *root, uint64_t address, struct paging_entry *entries, size_t count)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++)
        entries[i] = look(root, address + i * PAGE_SIZE);
    pthread_mutex_unlock(&lock);
}

bool paging_test_accessed(struct paging_root *root, uint64_t address)
{
    pthread_mutex_lock(&lock);
    struct host_mapping *mapping = *find(root, address);
    bool accessed = mapping && (mapping->entry.flags & PAGING_ACCESSED);
    if (mapping)
        mapping->entry.flags &= ~PAGING_ACCESSED;
    pthread_mutex_unlock(&lock);
    return accessed;
}
