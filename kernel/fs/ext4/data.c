/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File pages from the disk: the page_source of regular files.
 *
 * A batch of consecutive pages is cut into runs of consecutive disk blocks, one request each, all submitted before any
 * is waited for. Holes are zeroed at once. The batch ends, and its pages are completed, with the last of its requests.
 */
#include "kernel/fs/ext4/ext4.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/device/block_device.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"

/* Locks: a atomic; f fixed before the first request; e a page's error is set by the requests that fill it, any value wins. */
struct read_batch {
    atomic_uint pending;         /* a requests under way, and one for who builds them */
    size_t page_count;           /* f */
    uint64_t size_bytes;         /* f of the file, to zero what lies behind it */
    struct read_page {
        struct page *page;       /* f */
        atomic_int error;        /* e */
    } pages[];
};

struct read_run {
    struct block_request request;
    struct read_batch *batch;
    size_t first_page, page_count;
    struct block_segment segments[];
};

/* Any context. */
static void batch_release(struct read_batch *batch)
{
    if (atomic_fetch_sub_explicit(&batch->pending, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < batch->page_count; i++) {
        struct page *page = batch->pages[i].page;
        uint64_t start = page->index << PAGE_SHIFT;

        if (batch->size_bytes < start + PAGE_SIZE) {
            size_t kept = batch->size_bytes > start ? (size_t)(batch->size_bytes - start) : 0;

            memset((char *)page_address(page) + kept, 0, PAGE_SIZE - kept);
        }
        page_cache_complete(page, atomic_load_explicit(&batch->pages[i].error, memory_order_relaxed));
    }
    memory_free(batch);
}

static void batch_fail(struct read_batch *batch, size_t first_page, size_t page_count, int error)
{
    for (size_t i = first_page; i < first_page + page_count; i++)
        atomic_store_explicit(&batch->pages[i].error, error, memory_order_relaxed);
}

/* Any context. */
static void run_complete(struct block_request *request)
{
    struct read_run *run = container_of(request, struct read_run, request);

    if (request->error)
        batch_fail(run->batch, run->first_page, run->page_count, request->error);
    batch_release(run->batch);
    memory_free(run);
}

/* The bytes [from, to) of the batch, from its first page's start, are to be zeroes. */
static void batch_zero(struct read_batch *batch, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t within = from & PAGE_MASK;
        uint64_t length = minimum(to - from, PAGE_SIZE - within);

        memset((char *)page_address(batch->pages[from >> PAGE_SHIFT].page) + within, 0, length);
        from += length;
    }
}

/* The bytes [from, to) of the batch come from the disk at `sector`. */
static void batch_read(struct ext4 *ext4, struct read_batch *batch, uint64_t from, uint64_t to, uint64_t sector)
{
    size_t first_page = from >> PAGE_SHIFT;
    size_t page_count = ((to - 1) >> PAGE_SHIFT) - first_page + 1;
    struct read_run *run = memory_allocate_zeroed(sizeof(*run) + page_count * sizeof(run->segments[0]));

    if (!run) {
        batch_fail(batch, first_page, page_count, -ENOMEM);
        return;
    }
    for (size_t i = 0; i < page_count; i++) {
        uint64_t within = i == 0 ? from & PAGE_MASK : 0;
        uint64_t end = minimum(to - ((first_page + i) << PAGE_SHIFT), PAGE_SIZE);

        run->segments[i] = (struct block_segment){ .page = batch->pages[first_page + i].page,
                                                   .offset_bytes = (uint32_t)within,
                                                   .length_bytes = (uint32_t)(end - within) };
    }
    run->batch = batch;
    run->first_page = first_page;
    run->page_count = page_count;
    run->request.operation = BLOCK_READ;
    run->request.sector = sector;
    run->request.segments = run->segments;
    run->request.segment_count = (uint32_t)page_count;
    run->request.complete = run_complete;
    atomic_fetch_add_explicit(&batch->pending, 1, memory_order_relaxed);
    block_submit(ext4->device, &run->request);
}

/* Cuts the batch into runs. An error of the map fails the pages from there on. */
static void batch_start(struct inode *inode, struct read_batch *batch, uint64_t first_block)
{
    struct ext4 *ext4 = ext4_of(inode);
    uint64_t bytes = (uint64_t)batch->page_count << PAGE_SHIFT;
    uint64_t at = 0;

    while (at < bytes) {
        struct ext4_run run;
        uint64_t left = (bytes - at) >> ext4->block_shift;
        int error = ext4_map(inode, first_block + (at >> ext4->block_shift), left, &run);

        if (error) {
            size_t page = at >> PAGE_SHIFT;

            batch_fail(batch, page, batch->page_count - page, error);
            return;
        }

        uint64_t end = at + (run.count << ext4->block_shift);

        if (run.start == 0)
            batch_zero(batch, at, end);
        else
            batch_read(ext4, batch, at, end, run.start << (ext4->block_shift - 9));
        at = end;
    }
}

static void ext4_read_pages(struct page_cache *cache, struct page **pages, size_t count)
{
    struct inode *inode = cache->owner;
    struct read_batch *batch = memory_allocate(sizeof(*batch) + count * sizeof(batch->pages[0]));

    if (!batch) {
        for (size_t i = 0; i < count; i++)
            page_cache_complete(pages[i], -ENOMEM);
        return;
    }
    atomic_init(&batch->pending, 1);
    batch->page_count = count;
    batch->size_bytes = inode->size_bytes;
    for (size_t i = 0; i < count; i++) {
        batch->pages[i].page = pages[i];
        atomic_init(&batch->pages[i].error, 0);
    }
    batch_start(inode, batch, pages[0]->index << (PAGE_SHIFT - ext4_of(inode)->block_shift));
    batch_release(batch);
}

const struct page_source ext4_page_source = { .read_pages = ext4_read_pages };

int ext4_file_block_get(struct inode *inode, uint64_t file_block, struct ext4_block *block)
{
    struct ext4_run run;
    int error = ext4_map(inode, file_block, 1, &run);

    if (error)
        return error;
    if (run.start == 0)
        return ext4_corrupt(ext4_of(inode), "inode %llu has a hole at block %llu", (unsigned long long)inode->number,
                            (unsigned long long)file_block);
    return ext4_block_get(ext4_of(inode), run.start, block);
}
