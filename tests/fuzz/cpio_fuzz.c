/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Initramfs images nobody packed. Every member that is handed out must lie in the archive, its name terminated there, and the visitor's
 * own error must come back.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/fs/tmpfs/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct archive {
    const uint8_t *bytes;
    size_t size_bytes;
    unsigned int members;
    unsigned int stop_after;
};

static int visit(void *context, const struct cpio_member *member)
{
    struct archive *archive = context;
    const uint8_t *name = (const uint8_t *)member->name, *end = archive->bytes + archive->size_bytes;
    uint32_t sum = 0;

    if (name < archive->bytes || name >= end || strnlen(member->name, (size_t)(end - name)) == (size_t)(end - name))
        abort();
    if (member->data < name || member->data > end || member->size_bytes > (size_t)(end - member->data))
        abort();
    for (size_t i = 0; i < member->size_bytes; i++)
        sum += member->data[i];
    return ++archive->members == archive->stop_after && sum != UINT32_MAX ? -EINTR : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    log_set_level(LOG_ERROR);
    /* Its own block, so that ASan sees the first byte behind it. */
    struct archive archive = {.size_bytes = size - 1, .stop_after = data[0]};
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data + 1, size - 1);
    archive.bytes = bytes = realloc(bytes, size - 1 + (size == 1));
    int result = cpio_read(bytes, size - 1, visit, &archive);
    if (result == -EINTR && archive.members != archive.stop_after)
        abort();
    if (result != 0 && result != -EINTR && result != -EINVAL)
        abort();
    free(bytes);
    return 0;
}
