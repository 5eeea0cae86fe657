/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes: a list of entries inside the inode and one in a block of its own. Names are stored without
 * their prefix, which is a number.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"

/* Entries lie at the front of an area, their values in it at offsets from `base`. */
struct xattr_area {
    const uint8_t *entries;
    size_t entries_bytes;
    const uint8_t *base;
    size_t base_bytes;
};

/* Called for each attribute, with its full name's two parts and its value. Non-zero ends the walk and is its answer. */
typedef long (*xattr_visit_t)(void *context, const char *prefix, const char *name, size_t name_bytes,
                              const uint8_t *value, size_t value_bytes);

static const char *const xattr_prefixes[] = {
    [1] = "user.", [2] = "system.posix_acl_access", [3] = "system.posix_acl_default",
    [4] = "trusted.", [6] = "security.", [7] = "system.",
};

static long area_walk(struct inode *inode, const struct xattr_area *area, xattr_visit_t visit, void *context)
{
    size_t at = 0;

    while (at + 4 <= area->entries_bytes) {
        const struct ext4_xattr_entry *entry = (const void *)(area->entries + at);
        uint32_t first_word;

        memcpy(&first_word, entry, sizeof(first_word));
        if (first_word == 0) /* the end */
            return 0;
        if (at + sizeof(*entry) > area->entries_bytes || at + sizeof(*entry) + entry->name_bytes > area->entries_bytes ||
            entry->value_inode != 0 || entry->value_offset > area->base_bytes ||
            entry->value_bytes > area->base_bytes - entry->value_offset)
            return ext4_corrupt(ext4_of(inode), "attributes of inode %llu are malformed",
                                (unsigned long long)inode->number);

        const char *prefix = entry->name_index < array_count(xattr_prefixes) ? xattr_prefixes[entry->name_index] : NULL;

        if (prefix) {
            long answer = visit(context, prefix, entry->name, entry->name_bytes, area->base + entry->value_offset,
                                entry->value_bytes);

            if (answer)
                return answer;
        }
        at += round_up(sizeof(*entry) + entry->name_bytes, 4);
    }
    return 0;
}

static int xattr_block_check(struct inode *inode, struct ext4_block *block)
{
    struct ext4 *ext4 = ext4_of(inode);
    const struct ext4_xattr_header *header = (const void *)block->bytes;
    size_t checksum_offset = offsetof(struct ext4_xattr_header, checksum);
    uint32_t zero = 0;

    if (header->magic != EXT4_XATTR_MAGIC || header->blocks != 1)
        return ext4_corrupt(ext4, "attribute block %llu is malformed", (unsigned long long)block->number);
    if (!ext4->has_checksums || block->verified)
        return 0;

    uint32_t crc = crc32c(ext4->checksum_seed, &block->number, sizeof(block->number));

    crc = crc32c(crc, block->bytes, checksum_offset);
    crc = crc32c(crc, &zero, sizeof(zero));
    crc = crc32c(crc, block->bytes + checksum_offset + 4, ext4->block_bytes - checksum_offset - 4);
    if (crc != header->checksum)
        return ext4_corrupt(ext4, "checksum of attribute block %llu is wrong", (unsigned long long)block->number);
    ext4_block_set_verified(block, ext4);
    return 0;
}

/* Both lists, the inode's first. */
static long xattr_walk(struct inode *inode, xattr_visit_t visit, void *context)
{
    const struct ext4_inode_data *data = inode->data;
    struct xattr_area area = { .entries = data->xattrs, .entries_bytes = data->xattr_bytes,
                               .base = data->xattrs, .base_bytes = data->xattr_bytes };
    long answer = area_walk(inode, &area, visit, context);

    if (answer || data->xattr_block == 0)
        return answer;

    struct ext4_block block;
    uint32_t block_bytes = ext4_of(inode)->block_bytes;

    answer = ext4_block_get(ext4_of(inode), data->xattr_block, &block);
    if (answer)
        return answer;
    answer = xattr_block_check(inode, &block);
    if (!answer) {
        area = (struct xattr_area){ .entries = block.bytes + sizeof(struct ext4_xattr_header),
                                    .entries_bytes = block_bytes - sizeof(struct ext4_xattr_header),
                                    .base = block.bytes, .base_bytes = block_bytes };
        answer = area_walk(inode, &area, visit, context);
    }
    ext4_block_put(&block);
    return answer;
}

struct xattr_get {
    const char *name;
    void *value;
    size_t size_bytes;
    size_t found_bytes;
};

static long get_visit(void *context, const char *prefix, const char *name, size_t name_bytes, const uint8_t *value,
                      size_t value_bytes)
{
    struct xattr_get *get = context;
    size_t prefix_bytes = strlen(prefix);

    if (strlen(get->name) != prefix_bytes + name_bytes || memcmp(get->name, prefix, prefix_bytes) != 0 ||
        memcmp(get->name + prefix_bytes, name, name_bytes) != 0)
        return 0;
    if (get->size_bytes != 0) {
        if (value_bytes > get->size_bytes)
            return -ERANGE;
        memcpy(get->value, value, value_bytes);
    }
    get->found_bytes = value_bytes;
    return 1;
}

/* Contract: inode_operations.get_xattr. */
long ext4_get_xattr(struct inode *inode, const char *name, void *value, size_t size_bytes)
{
    struct xattr_get get = { .name = name, .value = value, .size_bytes = size_bytes };
    long answer = xattr_walk(inode, get_visit, &get);

    if (answer < 0)
        return answer;
    return answer == 1 ? (long)get.found_bytes : -ENODATA;
}

struct xattr_list {
    char *list;
    size_t size_bytes;
    size_t used_bytes;
};

static long list_visit(void *context, const char *prefix, const char *name, size_t name_bytes, const uint8_t *value,
                       size_t value_bytes)
{
    struct xattr_list *list = context;
    size_t prefix_bytes = strlen(prefix);
    size_t bytes = prefix_bytes + name_bytes + 1;

    if (list->size_bytes != 0) {
        if (bytes > list->size_bytes - list->used_bytes)
            return -ERANGE;
        memcpy(list->list + list->used_bytes, prefix, prefix_bytes);
        memcpy(list->list + list->used_bytes + prefix_bytes, name, name_bytes);
        list->list[list->used_bytes + bytes - 1] = 0;
    }
    list->used_bytes += bytes;
    return 0;
}

/* Contract: inode_operations.list_xattr. */
long ext4_list_xattr(struct inode *inode, char *list, size_t size_bytes)
{
    struct xattr_list listing = { .list = list, .size_bytes = size_bytes };
    long answer = xattr_walk(inode, list_visit, &listing);

    return answer < 0 ? answer : (long)listing.used_bytes;
}
