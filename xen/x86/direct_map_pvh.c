/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start of day under PVH: from start_pvh.S's page tables to the final ones, which are the same pages. Each GiB of the direct
 * map is one page where it is all RAM and the processor has such pages, otherwise a table of 2 MiB pages for what is RAM, or
 * holds one of the rings, which lie in a hole. The 2 MiB around the image are mapped in 4 KiB, in the direct map (where code
 * and constants are read-only, and nothing is executable) and at the image's own address, each part with its rights. Tables
 * for memory above 4 GiB come out of free memory below.
 *
 * All of it is global, as every root has it. What the early tables mapped at physical addresses goes.
 *
 * The early tables map the image through the direct map's, whose new pages are not executable. So the image gets its own first, and
 * only then are the others written: the code stays executable whenever the processor looks.
 */
#include "xen/x86/direct_map_pvh.h"

#include "kernel/base/panic.h"
#include "xen/machine/boot_info.h"
#include "xen/x86/frames.h"
#include "xen/x86/memory_map_pvh.h"
#include "xen/x86/page_table.h"
#include "xen/x86/processor.h"

#define EARLY_L2_COUNT 4u
#define HUGE_PAGES 512ull       /* pages in 2 MiB */
#define GIGABYTE_PAGES 262144ull
#define CR4_GLOBAL_PAGES 0x80ull
#define LEAF_EXTENDED 0x80000001u
#define EXTENDED_EDX_GIGABYTE_PAGES (1u << 26)

#define DATA (PAGE_TABLE_KERNEL_DATA | PAGE_TABLE_GLOBAL)
#define CONSTANT (PAGE_TABLE_KERNEL_CONSTANT | PAGE_TABLE_GLOBAL)
#define CODE (PAGE_TABLE_KERNEL_CODE | PAGE_TABLE_GLOBAL)

typedef uint64_t table_t[PAGE_TABLE_ENTRIES];

extern table_t start_l4, start_l3, start_l3_image, start_l2[EARLY_L2_COUNT], start_l2_image, start_l1_image, start_l1_direct;
extern char image_start[], image_text_end[], image_constants_end[], image_end[], start_tables_end[];

static uint64_t image_pfn(const void *address)
{
    return frames_pfn_of_image(address).number;
}

static uint64_t link_to(const table_t table)
{
    return (image_pfn(table) << PAGE_SHIFT) | PAGE_TABLE_LINK;
}

/* A ring's page must be reachable before there are kernel mappings. */
static bool holds_ring(uint64_t first, uint64_t count)
{
    return boot_info.console_port != 0 && boot_info.console_frame.number - first < count;
}

static bool is_wanted(uint64_t first, uint64_t count)
{
    return memory_map_has_ram_pvh(first, count) || holds_ring(first, count);
}

static void memory_map_fill(void)
{
    memory_map_fill_pvh();
    memory_map_reserve(0, 1); /* so that no page's number is 0 */
    memory_map_reserve(image_pfn(image_start), image_pfn(start_l2) - image_pfn(image_start));
    if (boot_info.ramdisk_bytes != 0)
        memory_map_reserve(frames_pfn(boot_info.ramdisk).number, PAGE_ROUND_UP(boot_info.ramdisk_bytes) >> PAGE_SHIFT);
    if (boot_info.console_port != 0)
        memory_map_reserve(boot_info.console_frame.number, 1);
    if (boot_info.store_port != 0)
        memory_map_reserve(boot_info.store_frame.number, 1);
}

/* A free page for a table, where the first tables reach. */
static uint64_t *table_take(void)
{
    struct memory_range range;

    if (!memory_map_next_free(image_pfn(start_tables_end), &range) || range.first >= EARLY_L2_COUNT * GIGABYTE_PAGES)
        panic("no room for the first page tables");
    memory_map_reserve(range.first, 1);
    return frames_address((pfn_t){ range.first });
}

/* 2 MiB pages for what is wanted of a GiB. */
static void l2_fill(uint64_t *table, uint64_t first)
{
    for (uint64_t i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        uint64_t pfn = first + i * HUGE_PAGES;
        table[i] = is_wanted(pfn, HUGE_PAGES) ? (pfn << PAGE_SHIFT) | DATA | PAGE_TABLE_HUGE : 0;
    }
}

static void direct_map_build(void)
{
    bool gigabyte_pages = processor_cpuid(LEAF_EXTENDED, 0).edx & EXTENDED_EDX_GIGABYTE_PAGES;

    for (uint64_t chunk = 0; chunk < PAGE_TABLE_ENTRIES; chunk++) {
        uint64_t first = chunk * GIGABYTE_PAGES, own;
        uint64_t *table;
        if (!is_wanted(first, GIGABYTE_PAGES)) {
            start_l3[chunk] = 0;
            continue;
        }
        if (chunk != 0 && gigabyte_pages && memory_map_all_ram_pvh(first, GIGABYTE_PAGES)) {
            start_l3[chunk] = (first << PAGE_SHIFT) | DATA | PAGE_TABLE_HUGE;
            continue;
        }
        if (chunk < EARLY_L2_COUNT) {
            table = start_l2[chunk];
            own = image_pfn(table);
            memory_map_reserve(own, 1);
        } else {
            table = table_take();
            own = frames_pfn(table).number;
        }
        l2_fill(table, first);
        start_l3[chunk] = (own << PAGE_SHIFT) | PAGE_TABLE_LINK;
    }
}

static uint64_t image_rights(uint64_t address)
{
    if (address < (uint64_t)image_start || address >= (uint64_t)start_tables_end)
        return 0;
    if (address < (uint64_t)image_text_end)
        return CODE;
    return address < (uint64_t)image_constants_end ? CONSTANT : DATA;
}

pfn_t direct_map_root_pvh(void)
{
    return frames_pfn_of_image(start_l4);
}

static void root_load(void)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(direct_map_root_pvh().number << PAGE_SHIFT) : "memory");
}

/*
 * The 2 MiB around the image, at the image's address and, in a table that goes there later, in the direct map. Link script and
 * memory map see to it that it fits.
 */
static void image_map(void)
{
    uint64_t first = round_down(image_pfn(image_start), HUGE_PAGES);

    for (uint64_t i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        uint64_t address = KERNEL_IMAGE_BASE + ((first + i) << PAGE_SHIFT), physical = (first + i) << PAGE_SHIFT;
        uint64_t rights = image_rights(address);
        start_l1_image[i] = rights != 0 ? physical | rights : 0;
        start_l1_direct[i] = physical | (rights == CODE ? CONSTANT : rights == 0 ? DATA : rights);
    }
    start_l2_image[first / HUGE_PAGES] = link_to(start_l1_image);
    start_l3_image[page_table_index(KERNEL_IMAGE_BASE, 3)] = link_to(start_l2_image);
    root_load();
}

void direct_map_start_pvh(void)
{
    uint64_t cr4;

    memory_map_fill();
    image_map();
    direct_map_build();
    start_l2[0][image_pfn(image_start) / HUGE_PAGES] = link_to(start_l1_direct);
    start_l4[0] = 0;
    root_load();
    __asm__ volatile("mov %%cr4, %0\n or %1, %0\n mov %0, %%cr4" : "=&r"(cr4) : "r"(CR4_GLOBAL_PAGES) : "memory");
}
