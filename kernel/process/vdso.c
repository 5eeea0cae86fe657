/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO in programs' spaces: the clock's data page, and behind it the shared object that the build embeds
 * (kernel/process/vdso). Both are special areas' pages; the image is copied into pages of its own at boot.
 *
 * Where the clock cannot be read without the kernel (several vCPUs whose records may disagree), a program may ask for it more often than for all
 * else. So the image's calls go by a door, whose address stands in it. Its first page is there a second time, without one, for spaces that have
 * lost their doors. Indices of the backing: 0 the data page, from 1 on the image, behind it the image without a door.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/process/process_internal.h"
#include "kernel/vm/code_patch.h"
#include "xen/machine/clock.h"
#include "xen/machine/vdso_page.h"
#include "xen/x86/door.h"

#define VDSO_PAGES_LIMIT 8u

extern const uint8_t vdso_image_start[], vdso_image_end[];

static struct page *vdso_pages[1 + 2 * VDSO_PAGES_LIMIT]; /* by index; fixed after boot */
static unsigned int vdso_image_pages;

static void vdso_destroy(struct area_backing *backing)
{
    /* Its first reference is the kernel's own and never given back. */
}

static int vdso_special_page(struct area_backing *backing, uint64_t index, struct page **page)
{
    if (index > 2 * vdso_image_pages)
        return -EFAULT;
    *page = vdso_pages[index];
    page_take(*page);
    return 0;
}

static size_t vdso_describe(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device, uint64_t *inode)
{
    *device = *inode = 0;
    return (size_t)format_string(name, size_bytes, "[vdso]");
}

static size_t vvar_describe(struct area_backing *backing, char *name, size_t size_bytes, uint64_t *device, uint64_t *inode)
{
    *device = *inode = 0;
    return (size_t)format_string(name, size_bytes, "[vvar]");
}

static const struct area_backing_operations vdso_operations = {
    .destroy = vdso_destroy,
    .special_page = vdso_special_page,
    .describe = vdso_describe,
};
static const struct area_backing_operations vvar_operations = {
    .destroy = vdso_destroy,
    .special_page = vdso_special_page,
    .describe = vvar_describe,
};
static struct area_backing vdso_backing = { .operations = &vdso_operations };
static struct area_backing vvar_backing = { .operations = &vvar_operations };

int vdso_init(void)
{
    size_t size_bytes = (size_t)(vdso_image_end - vdso_image_start);
    unsigned int count = (unsigned int)(PAGE_ROUND_UP(size_bytes) >> PAGE_SHIFT);

    if (count == 0 || count > VDSO_PAGES_LIMIT)
        return -EINVAL;
    reference_init(&vdso_backing.reference);
    reference_init(&vvar_backing.reference);
    vdso_pages[0] = page_from_pfn(clock_vdso_page());
    /* It lies in the kernel's image, whose pages nobody counts; mappings will. */
    if (atomic_load(&vdso_pages[0]->reference.count) == 0)
        reference_init(&vdso_pages[0]->reference);
    for (unsigned int i = 0; i < count + 1; i++) {
        struct page *page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ZERO);
        unsigned int from = i < count ? i : 0;
        if (!page)
            return -ENOMEM;
        memcpy(page_address(page), vdso_image_start + from * PAGE_SIZE, minimum((size_t)PAGE_SIZE, size_bytes - from * PAGE_SIZE));
        vdso_pages[1 + i] = page;
    }
    for (unsigned int i = 1; i < count; i++)
        vdso_pages[1 + count + i] = vdso_pages[1 + i];
    *(uint64_t *)((uint8_t *)page_address(vdso_pages[1]) + VDSO_DOOR_OFFSET) = door_entry_address();
    vdso_image_pages = count;
    return 0;
}

static int vdso_map_image(struct address_space *space, uint64_t address, bool door)
{
    struct area_request request = { .address = address, .length_bytes = (uint64_t)vdso_image_pages << PAGE_SHIFT, .fixed = true,
                                    .populate = true,
                                    .flags = AREA_SPECIAL | AREA_SHARED, .protection = PAGING_READ | PAGING_EXECUTE,
                                    .backing = &vdso_backing, .backing_index = 1 + (door ? 0 : vdso_image_pages) };

    return address_space_map(space, &request, &address);
}

uint64_t vdso_map(struct address_space *space)
{
    uint64_t base, address;
    struct area_request place = { .length_bytes = (uint64_t)(1 + vdso_image_pages) << PAGE_SHIFT, .flags = AREA_NO_RESERVE };
    struct area_request data = { .length_bytes = PAGE_SIZE, .fixed = true, .flags = AREA_SPECIAL | AREA_SHARED, .protection = PAGING_READ,
                                 .backing = &vvar_backing };

    if (vdso_image_pages == 0 || address_space_map(space, &place, &base) != 0)
        return 0;
    data.address = base;
    int error = address_space_map(space, &data, &address);
    if (error == 0)
        error = vdso_map_image(space, base + PAGE_SIZE, code_patch_enabled);
    if (error == 0)
        return base + PAGE_SIZE;
    address_space_unmap(space, base, place.length_bytes);
    return 0;
}

int vdso_close_door(struct address_space *space)
{
    uint64_t address = 0;

    rw_lock_read(&space->lock);
    for (const struct area *area = address_space_find(space, 0); area && address == 0; area = area_next(area))
        if (area->backing == &vdso_backing && area->backing_index == 1)
            address = area->start;
    rw_unlock_read(&space->lock);
    return address != 0 ? vdso_map_image(space, address, false) : 0;
}
