/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata blocks: read through a page cache over the whole disk, so that inode tables, extent nodes and directories
 * stay in memory as long as there is room and are read ahead like files.
 *
 * A page holds one to four blocks; the bits of page->flags from EXT4_PAGE_VERIFIED up remember, block by block, that
 * a checksum was found right since the page was read, so that each is computed once.
 */
#include "kernel/fs/ext4/ext4.h"

#include <string.h>

#include "kernel/base/crc32c.h"
#include "kernel/base/error.h"
#include "kernel/device/block_device.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"

#define EXT4_PAGE_VERIFIED 0x1000u
#define SECTORS_PER_PAGE (PAGE_SIZE / BLOCK_SECTOR_BYTES)
/*
 * How many pages are read where one is not there, by how many the machine has: a trip to the backend costs more than many pages, and a directory's
 * inodes, and the directories below it, are near, on either side.
 */
#define WINDOW_PAGES_LEAST 8u
#define WINDOW_PAGES_MOST 64u
#define WINDOW_PART 512u

/* A read of consecutive pages of the disk, on its way. */
struct metadata_read {
    struct block_request request;
    size_t page_count;
    struct block_segment segments[];
};

/* Any context. */
static void metadata_read_complete(struct block_request *request)
{
    struct metadata_read *read = container_of(request, struct metadata_read, request);

    for (size_t i = 0; i < read->page_count; i++)
        page_cache_complete(read->segments[i].page, request->error);
    memory_free(read);
}

/* page_source: the disk's own pages. */
static void metadata_read_pages(struct page_cache *cache, struct page **pages, size_t count)
{
    struct ext4 *ext4 = cache->owner;
    uint64_t sectors = ext4->device->sector_count;
    struct metadata_read *read = memory_allocate_zeroed(sizeof(*read) + count * sizeof(read->segments[0]));

    if (!read) {
        for (size_t i = 0; i < count; i++)
            page_cache_complete(pages[i], -ENOMEM);
        return;
    }
    read->page_count = count;
    read->request.operation = BLOCK_READ;
    read->request.sector = pages[0]->index * SECTORS_PER_PAGE;
    read->request.segments = read->segments;
    read->request.segment_count = (uint32_t)count;
    read->request.complete = metadata_read_complete;
    for (size_t i = 0; i < count; i++) {
        uint64_t left = (sectors - pages[i]->index * SECTORS_PER_PAGE) * BLOCK_SECTOR_BYTES;
        uint32_t length_bytes = (uint32_t)minimum(left, PAGE_SIZE);

        if (length_bytes < PAGE_SIZE)
            memset((char *)page_address(pages[i]) + length_bytes, 0, PAGE_SIZE - length_bytes);
        read->segments[i] = (struct block_segment){ .page = pages[i], .length_bytes = length_bytes };
    }
    block_submit(ext4->device, &read->request);
}

static const struct page_source metadata_source = { .read_pages = metadata_read_pages };

void ext4_metadata_open(struct ext4 *ext4)
{
    page_cache_init(&ext4->metadata, &metadata_source, ext4, ext4->device->sector_count * BLOCK_SECTOR_BYTES);
}

void ext4_metadata_close(struct ext4 *ext4)
{
    page_cache_destroy(&ext4->metadata);
}

static uint64_t window_pages(void)
{
    struct page_statistics statistics;

    if (page_memory_is_short())
        return WINDOW_PAGES_LEAST;
    page_statistics_get(&statistics);
    return minimum(maximum(statistics.total_pages / WINDOW_PART, WINDOW_PAGES_LEAST), WINDOW_PAGES_MOST);
}

int ext4_metadata_page_get(struct ext4 *ext4, uint64_t index, struct page **page)
{
    if (page_cache_get_present(&ext4->metadata, index, page, 1) == 1)
        return 0;
    uint64_t window = window_pages();
    page_cache_read_ahead(&ext4->metadata, index - index % window, window);
    return page_cache_get(&ext4->metadata, index, page);
}

static uint16_t verified_bit(const struct ext4 *ext4, uint64_t number)
{
    unsigned int blocks_per_page_shift = PAGE_SHIFT - ext4->block_shift;

    return (uint16_t)(EXT4_PAGE_VERIFIED << (number & ((1u << blocks_per_page_shift) - 1)));
}

/* Reads metadata block `number`, which the disk named, so it is checked here. 0, -EUCLEAN, -EIO, -ENOMEM. May sleep. */
int ext4_block_get(struct ext4 *ext4, uint64_t number, struct ext4_block *block)
{
    if (number >= ext4->block_count)
        return ext4_corrupt(ext4, "block %llu is past the end", (unsigned long long)number);

    uint64_t byte = number << ext4->block_shift;
    int error = ext4_metadata_page_get(ext4, byte >> PAGE_SHIFT, &block->page);

    if (error)
        return error;
    block->bytes = (const uint8_t *)page_address(block->page) + (byte & PAGE_MASK);
    block->number = number;
    block->verified = atomic_load_explicit(&block->page->flags, memory_order_relaxed) & verified_bit(ext4, number);
    return 0;
}

void ext4_block_put(struct ext4_block *block)
{
    if (block->page)
        page_release(block->page);
    block->page = NULL;
}

void ext4_block_set_verified(struct ext4_block *block, const struct ext4 *ext4)
{
    atomic_fetch_or_explicit(&block->page->flags, verified_bit(ext4, block->number), memory_order_relaxed);
    block->verified = true;
}

/* The block that holds a group's descriptor: behind the super block, or with META_BG in the first group of its meta group. */
static uint64_t descriptor_block(const struct ext4 *ext4, uint32_t group)
{
    uint32_t per_block = ext4->block_bytes / ext4->descriptor_bytes;
    uint32_t index = group / per_block;

    if (!(ext4->feature_incompat & EXT4_INCOMPAT_META_BG) || index < ext4->first_meta_block_group)
        return (uint64_t)ext4->first_data_block + 1 + index;

    uint64_t first_group = (uint64_t)index * per_block;
    uint64_t first_block = ext4->first_data_block + first_group * ext4->blocks_per_group;

    /* Group 0 always begins with a super block; other first groups of meta groups may: sparse_super keeps 3^n, 5^n, 7^n. */
    bool has_super = first_group <= 1;
    for (unsigned int base = 3; base <= 7 && !has_super; base += 2)
        for (uint64_t power = base; power <= first_group; power *= base)
            has_super |= power == first_group;
    return first_block + (has_super ? 1 : 0);
}

/* 0, -EUCLEAN, -EIO, -ENOMEM. */
int ext4_group_descriptor_read(struct ext4 *ext4, uint32_t group, struct ext4_group_descriptor *descriptor)
{
    uint32_t per_block = ext4->block_bytes / ext4->descriptor_bytes;
    size_t bytes = minimum((size_t)ext4->descriptor_bytes, sizeof(*descriptor));
    struct ext4_block block;
    int error = ext4_block_get(ext4, descriptor_block(ext4, group), &block);

    if (error)
        return error;

    const uint8_t *raw = block.bytes + (group % per_block) * ext4->descriptor_bytes;

    memset(descriptor, 0, sizeof(*descriptor));
    memcpy(descriptor, raw, bytes);
    if (ext4->has_checksums) {
        uint16_t zero = 0;
        uint32_t crc = crc32c(ext4->checksum_seed, &group, sizeof(group));
        size_t rest = EXT4_DESCRIPTOR_CHECKSUM_OFFSET + sizeof(zero);

        crc = crc32c(crc, raw, EXT4_DESCRIPTOR_CHECKSUM_OFFSET);
        crc = crc32c(crc, &zero, sizeof(zero));
        crc = crc32c(crc, raw + rest, ext4->descriptor_bytes - rest);
        if ((uint16_t)crc != descriptor->checksum)
            error = ext4_corrupt(ext4, "checksum of group descriptor %u is wrong", group);
    }
    ext4_block_put(&block);
    return error;
}
