/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: made, copied, never changed once others can see them.
 */
#include "kernel/vfs/credentials.h"

#include <string.h>

#include "kernel/memory/object_cache.h"

static struct credentials *credentials_allocate(uint32_t group_count)
{
    struct credentials *credentials =
        memory_allocate_zeroed(sizeof(*credentials) + group_count * sizeof(credentials->groups[0]));

    if (credentials) {
        reference_init(&credentials->reference);
        credentials->group_count = group_count;
    }
    return credentials;
}

struct credentials *credentials_create_root(void)
{
    struct credentials *credentials = credentials_allocate(0);

    if (credentials)
        credentials->permitted = credentials->effective = credentials->bounding = CAPABILITY_ALL;
    return credentials;
}

struct credentials *credentials_copy(const struct credentials *from, uint32_t group_count)
{
    struct credentials *credentials = credentials_allocate(group_count);
    uint32_t copied = minimum(group_count, from->group_count);

    if (!credentials)
        return NULL;
    memcpy(&credentials->uid, &from->uid,
           offsetof(struct credentials, group_count) - offsetof(struct credentials, uid));
    memcpy(credentials->groups, from->groups, copied * sizeof(from->groups[0]));
    return credentials;
}

void credentials_take(struct credentials *credentials)
{
    reference_take(&credentials->reference);
}

void credentials_release(struct credentials *credentials)
{
    if (credentials && reference_release(&credentials->reference))
        memory_free(credentials);
}

bool credentials_in_group(const struct credentials *credentials, uint32_t gid)
{
    uint32_t low = 0, high = credentials->group_count;

    if (gid == credentials->fsgid)
        return true;
    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (credentials->groups[middle] == gid)
            return true;
        if (credentials->groups[middle] < gid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
