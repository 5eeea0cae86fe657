/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting tmpfs: options, statistics, and the end of everything in it.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/fs/tmpfs/node.h"
#include "kernel/memory/object_cache.h"

#define TMPFS_MAGIC 0x01021994

struct tmpfs_options {
    uint64_t limit_pages, limit_nodes;
    uint32_t mode, uid, gid;
};

static uint64_t total_pages(void)
{
    struct page_statistics statistics;

    page_statistics_get(&statistics);
    return statistics.total_pages;
}

/* "64k", "10m", "1g", "50%", or bytes; 0: no limit. */
static int parse_size(const char *text, size_t length, uint64_t *bytes)
{
    unsigned int shift = 0;
    bool percent = false;

    if (length > 0) {
        switch (text[length - 1] | 0x20) {
        case 'k': shift = 10; break;
        case 'm': shift = 20; break;
        case 'g': shift = 30; break;
        case 't': shift = 40; break;
        default: percent = text[length - 1] == '%'; break;
        }
        length -= shift != 0 || percent;
    }

    int error = parse_unsigned(text, length, 10, bytes);
    if (error)
        return error;
    if (percent)
        return __builtin_mul_overflow(*bytes, total_pages() * PAGE_SIZE / 100, bytes) ? -ERANGE : 0;
    return *bytes > UINT64_MAX >> shift ? -ERANGE : (*bytes <<= shift, 0);
}

static bool key_is(const char *text, size_t length, const char *key)
{
    return strlen(key) == length && memcmp(text, key, length) == 0;
}

static int parse_option(struct tmpfs_options *options, const char *key, size_t key_length, const char *value, size_t length)
{
    uint64_t number = 0;
    int error;

    if (key_is(key, key_length, "size")) {
        error = parse_size(value, length, &number);
        options->limit_pages = number ? number / PAGE_SIZE + (number % PAGE_SIZE != 0) : UINT64_MAX;
    } else if (key_is(key, key_length, "nr_blocks")) {
        error = parse_size(value, length, &number);
        options->limit_pages = number ? number : UINT64_MAX;
    } else if (key_is(key, key_length, "nr_inodes")) {
        error = parse_size(value, length, &number);
        options->limit_nodes = number ? number : UINT64_MAX;
    } else if (key_is(key, key_length, "mode")) {
        error = parse_unsigned(value, length, 8, &number);
        options->mode = number & 07777;
    } else if (key_is(key, key_length, "uid")) {
        error = parse_unsigned(value, length, 10, &number);
        options->uid = (uint32_t)number;
    } else if (key_is(key, key_length, "gid")) {
        error = parse_unsigned(value, length, 10, &number);
        options->gid = (uint32_t)number;
    } else {
        /* What only tunes Linux's (huge=, mpol=, inode64, noswap) changes nothing here. */
        error = key_is(key, key_length, "huge") || key_is(key, key_length, "mpol") || key_is(key, key_length, "inode64") ||
                        key_is(key, key_length, "inode32") || key_is(key, key_length, "noswap")
                    ? 0
                    : -EINVAL;
    }
    if (error)
        log_error("tmpfs: not mounted: option \"%.*s\" is wrong or unknown", (int)(value + length - key), key);
    return error ? -EINVAL : 0;
}

static int parse_options(struct tmpfs_options *options, const char *text)
{
    while (*text) {
        size_t length = 0, key_length;

        while (text[length] && text[length] != ',')
            length++;
        for (key_length = 0; key_length < length && text[key_length] != '='; key_length++)
            ;
        size_t value = minimum(key_length + 1, length);
        int error = length ? parse_option(options, text, key_length, text + value, length - value) : 0;

        if (error)
            return error;
        text += length + (text[length] == ',');
    }
    return 0;
}

static int tmpfs_statistics(struct file_system *file_system, struct file_system_statistics *statistics)
{
    struct tmpfs *tmpfs = file_system->data;
    uint64_t used = tmpfs_count_pages(tmpfs), nodes = atomic_load(&tmpfs->node_count);

    statistics->type = TMPFS_MAGIC;
    statistics->block_size = PAGE_SIZE;
    statistics->name_length = 255;
    if (tmpfs->limit_pages != UINT64_MAX) {
        statistics->blocks = tmpfs->limit_pages;
        statistics->blocks_free = statistics->blocks_available = used < tmpfs->limit_pages ? tmpfs->limit_pages - used : 0;
    }
    if (tmpfs->limit_nodes != UINT64_MAX) {
        statistics->files = tmpfs->limit_nodes;
        statistics->files_free = nodes < tmpfs->limit_nodes ? tmpfs->limit_nodes - nodes : 0;
    }
    return 0;
}

/*
 * The root's inode, once it is gone, has left its entries on the doomed list; each inode that they held last leaves its own
 * there. So a deep tree goes without recursion.
 */
static void tmpfs_release_entries(struct file_system *file_system)
{
    struct tmpfs *tmpfs = file_system->data;

    for (;;) {
        mutex_lock(&tmpfs->nodes_lock);
        struct tmpfs_entry *entry = list_first(&tmpfs->doomed, struct tmpfs_entry, doomed);
        if (entry)
            list_remove(&entry->doomed);
        mutex_unlock(&tmpfs->nodes_lock);
        if (!entry)
            break;
        inode_release(entry->inode);
        memory_free(entry);
    }
}

static void tmpfs_unmount(struct file_system *file_system)
{
    file_system_destroy(file_system);
    memory_free(file_system->data);
}

static const struct file_system_operations tmpfs_operations = {
    .release_inode = tmpfs_release_inode,
    .statistics = tmpfs_statistics,
    .prepare_write = tmpfs_prepare_write,
    .release_entries = tmpfs_release_entries,
    .unmount = tmpfs_unmount,
};

int tmpfs_create(const char *text, struct file_system **file_system)
{
    struct tmpfs_options options = {.limit_pages = total_pages() / 2, .limit_nodes = total_pages() / 2, .mode = MODE_STICKY | 0777};
    int error = parse_options(&options, text);

    if (error)
        return error;

    struct tmpfs *tmpfs = memory_allocate_zeroed(sizeof(*tmpfs));
    if (!tmpfs)
        return -ENOMEM;
    mutex_init(&tmpfs->nodes_lock, "tmpfs nodes", 0);
    list_init(&tmpfs->nodes);
    list_init(&tmpfs->doomed);
    tmpfs->limit_pages = options.limit_pages;
    tmpfs->limit_nodes = options.limit_nodes;
    atomic_init(&tmpfs->next_number, 1);
    error = file_system_init(&tmpfs->file_system, "tmpfs", &tmpfs_operations, tmpfs);
    if (error)
        goto undo_allocate;
    error = tmpfs_inode_create(tmpfs, NULL, MODE_DIRECTORY | options.mode, 0, NULL, &tmpfs->file_system.root);
    if (error)
        goto undo_init;
    tmpfs->file_system.root->uid = options.uid;
    tmpfs->file_system.root->gid = options.gid;
    *file_system = &tmpfs->file_system;
    return 0;

undo_init:
    file_system_destroy(&tmpfs->file_system);
undo_allocate:
    memory_free(tmpfs);
    return error;
}

static int tmpfs_mount(const char *source, unsigned long flags, const char *options, struct file_system **file_system)
{
    return tmpfs_create(options, file_system);
}

const struct file_system_type tmpfs_type = {.name = "tmpfs", .needs_device = false, .mount = tmpfs_mount};
