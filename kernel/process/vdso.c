/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO in programs' spaces: the clock's data page, and behind it the shared object that the build embeds
 * (kernel/process/vdso). Both are one special area's pages; the image is copied into pages of its own at boot.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/process/process_internal.h"
#include "xen/machine/clock.h"

#define VDSO_PAGES_LIMIT 8u

extern const uint8_t vdso_image_start[], vdso_image_end[];

static struct page *vdso_pages[1 + VDSO_PAGES_LIMIT]; /* the data page first; fixed after boot */
static unsigned int vdso_page_count;

static void vdso_destroy(struct area_backing *backing)
{
    /* Its first reference is the kernel's own and never given back. */
}

static int vdso_special_page(struct area_backing *backing, uint64_t index, struct page **page)
{
    if (index >= vdso_page_count)
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
    for (unsigned int i = 0; i < count; i++) {
        struct page *page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ZERO);
        if (!page)
            return -ENOMEM;
        memcpy(page_address(page), vdso_image_start + i * PAGE_SIZE, minimum((size_t)PAGE_SIZE, size_bytes - i * PAGE_SIZE));
        vdso_pages[1 + i] = page;
    }
    vdso_page_count = 1 + count;
    return 0;
}

uint64_t vdso_map(struct address_space *space)
{
    uint64_t base, address;
    struct area_request place = { .length_bytes = (uint64_t)vdso_page_count << PAGE_SHIFT, .flags = AREA_NO_RESERVE };
    struct area_request request = { .flags = AREA_SPECIAL | AREA_SHARED, .fixed = true };

    if (vdso_page_count == 0 || address_space_map(space, &place, &base) != 0)
        return 0;
    request.address = base;
    request.length_bytes = PAGE_SIZE;
    request.protection = PAGING_READ;
    request.backing = &vvar_backing;
    int error = address_space_map(space, &request, &address);
    request.address = base + PAGE_SIZE;
    request.length_bytes = (uint64_t)(vdso_page_count - 1) << PAGE_SHIFT;
    request.protection = PAGING_READ | PAGING_EXECUTE;
    request.backing = &vdso_backing;
    request.backing_index = 1;
    if (error == 0)
        error = address_space_map(space, &request, &address);
    if (error == 0)
        return base + PAGE_SIZE;
    address_space_unmap(space, base, place.length_bytes);
    return 0;
}
