/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start of day under PV: from the loader's page tables to ours.
 *
 * The loader maps pfn n at KERNEL_IMAGE_BASE + n * 4096 as far as its own lists reach. We build the direct map of all
 * memory at DIRECT_MAP_BASE out of the free pages below the image: one L3, its L2s, then L1s in order of the memory they
 * map. The L1s of the first memory (what the loader left, the page structs, and a little) are filled through the loader's mapping, then that
 * mapping of them is dropped (Xen takes a page as a table only while nobody can write it), and one update of the root makes Xen
 * validate the tree. The other L1s are linked one by one when the page allocator wants more memory (map_more()): Xen spends some 370
 * instructions on each page of a table. Above about 1 GiB the low pages run out: there L1s are at the top of the memory that the low ones map (the pool).
 *
 *     low pages:  [ L3 | L2 ... | L1 of 0-2 MiB | L1 of 2-4 MiB | ... ]      pool: [ L1 ... ]
 *
 * Where the ramdisk fills 2 MiB, the loader's L1 of them is linked instead, and the low page is free: Xen looked at that table's entries when the domain was built, and
 * does not again. What it maps is not global, so it leaves the TLB with each reload of CR3: mostly the pages of files, which programs have mapped by entries of their own.
 *
 * Table pages are read-only in the direct map, so is the image's code. The direct map is never executable. Afterwards the
 * loader's mapping is cut back to the image, and its tables, start_info and boot stack become free memory.
 */
#include "xen/x86/direct_map_pv.h"

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/boot_info_pv.h"
#include "xen/machine/shared_info.h"
#include "xen/x86/frames.h"
#include "xen/x86/frames_pv.h"
#include "xen/x86/memory_map.h"
#include "xen/x86/page_table.h"

#define INVALID_FRAME (~0ull)
#define KEPT_TABLES_LIMIT 8
#define SPARE_PAGES 512ull /* mapped at first beyond what is taken */

extern char image_start[], image_text_end[], image_constants_end[], image_end[];

static uint64_t page_count;     /* pages of the direct map */
static uint64_t l2_count;
static uint64_t low_l1_count;   /* L1s below the image */
static uint64_t pool_first;     /* pfn of the first L1 in the pool */
static uint64_t pool_count;
static uint64_t first_l1_count; /* L1s that are linked with the root, all low */
static uint64_t wanted_count;   /* L1s the start of day needs */
static uint64_t mapped_count;   /* L1s linked so far, in order */
static uint64_t reused_first;   /* first 2 MiB whose L1 is the loader's */
static uint64_t reused_count;
static uint64_t reused_first_l1;/* pfn of its L1; those of the others follow */
static pfn_t root;
static struct mmu_batch more_batch;

/* ---- Where things are ---------------------------------------------------------------------------------------------- */

static uint64_t image_pfn(const void *address)
{
    return frames_pfn_of_image(address).number;
}

static bool is_reused(uint64_t chunk)
{
    return chunk - reused_first < reused_count;
}

static pfn_t l1_pfn(uint64_t chunk)
{
    if (is_reused(chunk))
        return (pfn_t){ reused_first_l1 + chunk - reused_first };
    return (pfn_t){ chunk < low_l1_count ? 1 + l2_count + chunk : pool_first + chunk - low_l1_count };
}

static pfn_t l2_pfn(uint64_t chunk)
{
    return (pfn_t){ 1 + chunk / PAGE_TABLE_ENTRIES };
}

static uint64_t *loader_address(pfn_t pfn)
{
    return (uint64_t *)(KERNEL_IMAGE_BASE + (pfn.number << PAGE_SHIFT));
}

static uint64_t link_to(pfn_t table)
{
    return (frames_gfn(table).number << PAGE_SHIFT) | PAGE_TABLE_LINK;
}

static pfn_t linked_table(uint64_t entry)
{
    pfn_t pfn;

    if (!(entry & PAGE_TABLE_PRESENT) || !frames_pfn_of_gfn((gfn_t){ page_table_frame(entry) }, &pfn))
        panic("the loader's page tables have no entry for the image");
    return pfn;
}

static uint64_t loader_tables_first(void)
{
    return image_pfn((const void *)boot_start_info.pt_base);
}

static uint64_t list_pages(void)
{
    return PAGE_ROUND_UP(boot_start_info.nr_pages * sizeof(uint64_t)) >> PAGE_SHIFT;
}

/* Pages that must not be writable: tables, ours and the loader's, and the image's code and constants. */
static bool must_be_constant(uint64_t pfn)
{
    uint64_t loader_tables = loader_tables_first();

    return (pfn < 1 + l2_count + first_l1_count && !is_reused(pfn - 1 - l2_count)) ||
           (pfn >= loader_tables && pfn < loader_tables + boot_start_info.nr_pt_frames) ||
           (pfn >= image_pfn(image_start) && pfn < image_pfn(image_constants_end));
}

/* ---- The direct map ------------------------------------------------------------------------------------------------ */

/* The first memory's end: past it nothing is constant. */
static uint64_t loader_end(void)
{
    return loader_tables_first() + boot_start_info.nr_pt_frames + 1;
}

/* How much the start of day needs: all that the loader left, then page structs for all memory in one piece, which the pool must not cut. */
static void plan_first(uint64_t l1_count)
{
    uint64_t structs = PAGE_ROUND_UP(page_count * MEMORY_MAP_STRUCT_BYTES) >> PAGE_SHIFT, taken = loader_end();
    pfn_t ring;

    if (boot_info.console_port != 0 && frames_pfn_of_gfn(boot_info.console_frame, &ring))
        taken = maximum(taken, ring.number + 1);
    if (boot_info.store_port != 0 && frames_pfn_of_gfn(boot_info.store_frame, &ring))
        taken = maximum(taken, ring.number + 1);
    if (boot_info.ramdisk_bytes != 0)
        taken = maximum(taken, frames_pfn(boot_info.ramdisk).number + (PAGE_ROUND_UP(boot_info.ramdisk_bytes) >> PAGE_SHIFT));
    if (pool_count != 0 && taken + structs + SPARE_PAGES > pool_first)
        taken = pool_first + pool_count;
    wanted_count = minimum((taken + structs + SPARE_PAGES + PAGE_TABLE_ENTRIES - 1) / PAGE_TABLE_ENTRIES, l1_count);
    first_l1_count = minimum(wanted_count, low_l1_count);
}

static void plan(void)
{
    const uint64_t *list = (const uint64_t *)boot_start_info.mfn_list;
    uint64_t low_capacity = image_pfn(image_start);

    page_count = minimum(boot_start_info.nr_pages, (uint64_t)PAGE_TABLE_ENTRIES * PAGE_TABLE_ENTRIES * PAGE_TABLE_ENTRIES);
    for (uint64_t pfn = 0; pfn < page_count; pfn++)
        if (list[pfn] == INVALID_FRAME)
            page_count = pfn;
    uint64_t l1_count = (page_count + PAGE_TABLE_ENTRIES - 1) / PAGE_TABLE_ENTRIES;
    l2_count = (l1_count + PAGE_TABLE_ENTRIES - 1) / PAGE_TABLE_ENTRIES;
    if (l2_count + 2 > low_capacity)
        panic("more memory than the start of day can map");
    low_l1_count = minimum(l1_count, low_capacity - 1 - l2_count);
    pool_count = l1_count - low_l1_count;
    pool_first = low_l1_count * PAGE_TABLE_ENTRIES - pool_count;
    if (loader_tables_first() < low_capacity || (pool_count != 0 && pool_first < loader_end()))
        panic("no room for the first page tables: the ramdisk is too large for this much memory");
    plan_first(l1_count);
}

/* The loader's L1s follow each other; what does not is not reused. */
static void plan_reuse(const uint64_t *loader_l2)
{
    uint64_t first = frames_pfn(boot_info.ramdisk).number, end = first + boot_info.ramdisk_bytes / PAGE_SIZE;

    if (boot_info.ramdisk_bytes == 0)
        return;
    first = (first + PAGE_TABLE_ENTRIES - 1) / PAGE_TABLE_ENTRIES;
    end = minimum(minimum(end / PAGE_TABLE_ENTRIES, first_l1_count), (uint64_t)PAGE_TABLE_ENTRIES);
    for (uint64_t chunk = first; chunk < end && loader_l2[chunk] != 0; chunk++) {
        uint64_t l1 = linked_table(loader_l2[chunk]).number;
        if (reused_count == 0) {
            reused_first = chunk;
            reused_first_l1 = l1;
        }
        if (l1 != reused_first_l1 + reused_count)
            break;
        reused_count++;
    }
}

static void l1_fill(uint64_t *table, uint64_t chunk)
{
    bool mixed = chunk * PAGE_TABLE_ENTRIES < loader_end();

    for (uint64_t i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        uint64_t pfn = chunk * PAGE_TABLE_ENTRIES + i;
        if (pfn >= page_count) {
            table[i] = 0;
            continue;
        }
        uint64_t rights = mixed && must_be_constant(pfn) ? PAGE_TABLE_KERNEL_CONSTANT : PAGE_TABLE_KERNEL_DATA;
        table[i] = (frames_gfn((pfn_t){ pfn }).number << PAGE_SHIFT) | rights;
    }
}

static void low_tables_build(void)
{
    uint64_t *l3 = loader_address((pfn_t){ 0 });

    for (uint64_t i = 0; i < PAGE_TABLE_ENTRIES; i++)
        l3[i] = i < l2_count ? link_to((pfn_t){ 1 + i }) : 0;
    for (uint64_t chunk = 0; chunk < l2_count * PAGE_TABLE_ENTRIES; chunk++) {
        uint64_t *l2 = loader_address(l2_pfn(chunk));
        l2[chunk % PAGE_TABLE_ENTRIES] = chunk < first_l1_count ? link_to(l1_pfn(chunk)) : 0;
        if (is_reused(chunk))
            l2[chunk % PAGE_TABLE_ENTRIES] |= PAGE_TABLE_NO_EXECUTE;
    }
    for (uint64_t chunk = 0; chunk < first_l1_count; chunk++)
        if (!is_reused(chunk))
            l1_fill(loader_address(l1_pfn(chunk)), chunk);
}

void direct_map_set_writable(struct mmu_batch *batch, pfn_t pfn, bool writable)
{
    uint64_t rights = writable ? PAGE_TABLE_KERNEL_DATA : PAGE_TABLE_KERNEL_CONSTANT;

    mmu_batch_add(batch, l1_pfn(pfn.number / PAGE_TABLE_ENTRIES), pfn.number % PAGE_TABLE_ENTRIES,
                  (frames_gfn(pfn).number << PAGE_SHIFT) | rights, MMU_NORMAL_PT_UPDATE);
}

static uint64_t mapped_end(void)
{
    return minimum(mapped_count * PAGE_TABLE_ENTRIES, page_count);
}

/* The next L1, which lies in mapped memory: l1_pfn() sees to it. Contract: memory_map_more(). */
static uint64_t map_more(void)
{
    if (mapped_end() == page_count)
        return page_count;
    pfn_t table = l1_pfn(mapped_count);
    l1_fill(frames_address(table), mapped_count);
    mmu_batch_init(&more_batch);
    direct_map_set_writable(&more_batch, table, false);
    mmu_batch_add(&more_batch, l2_pfn(mapped_count), mapped_count % PAGE_TABLE_ENTRIES, link_to(table), MMU_NORMAL_PT_UPDATE);
    if (mmu_batch_flush(&more_batch) != 0)
        panic("Xen refuses the direct map past page 0x%llx: error %d", (unsigned long long)mapped_end(), more_batch.error);
    mapped_count++;
    return mapped_end();
}

/* ---- Cutting the loader's mapping back ----------------------------------------------------------------------------- */

struct loader_tables {
    pfn_t l3, l2;
    pfn_t kept[KEPT_TABLES_LIMIT];
    size_t kept_count;
};

static void table_keep(struct loader_tables *tables, pfn_t pfn)
{
    if (tables->kept_count == KEPT_TABLES_LIMIT)
        panic("the kernel image is too large for the start of day");
    tables->kept[tables->kept_count++] = pfn;
}

static uint64_t image_rights(uint64_t address)
{
    if (address < (uint64_t)image_text_end)
        return PAGE_TABLE_KERNEL_CODE;
    return address < (uint64_t)image_constants_end ? PAGE_TABLE_KERNEL_CONSTANT : PAGE_TABLE_KERNEL_DATA;
}

/* One L1 of the loader's, at least part of which maps the image. */
static void image_l1_cut(struct mmu_batch *batch, pfn_t l1, uint64_t address)
{
    const uint64_t *table = frames_address(l1);

    for (unsigned int i = 0; i < PAGE_TABLE_ENTRIES; i++, address += PAGE_SIZE) {
        uint64_t frame = table[i] & PAGE_TABLE_FRAME_MASK;
        if (address >= (uint64_t)image_start && address < (uint64_t)image_end)
            mmu_batch_add(batch, l1, i, frame | image_rights(address), MMU_NORMAL_PT_UPDATE);
        else if (table[i] != 0)
            mmu_batch_add(batch, l1, i, 0, MMU_NORMAL_PT_UPDATE);
    }
}

static void loader_mapping_cut(struct mmu_batch *batch, struct loader_tables *tables)
{
    const uint64_t *l3 = frames_address(tables->l3);
    const uint64_t *l2 = frames_address(tables->l2);
    unsigned int own = page_table_index(KERNEL_IMAGE_BASE, 3);

    for (unsigned int i = 0; i < PAGE_TABLE_ENTRIES; i++)
        if (i != own && l3[i] != 0)
            mmu_batch_add(batch, tables->l3, i, 0, MMU_NORMAL_PT_UPDATE);
    for (unsigned int i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        uint64_t address = KERNEL_IMAGE_BASE + i * PAGE_TABLE_L1_SPAN;
        if (l2[i] == 0)
            continue;
        if (address >= (uint64_t)image_end || address + PAGE_TABLE_L1_SPAN <= (uint64_t)image_start) {
            mmu_batch_add(batch, tables->l2, i, 0, MMU_NORMAL_PT_UPDATE);
            continue;
        }
        pfn_t l1 = linked_table(l2[i]);
        table_keep(tables, l1);
        image_l1_cut(batch, l1, address);
    }
}

static bool is_kept(const struct loader_tables *tables, uint64_t pfn)
{
    for (size_t i = 0; i < tables->kept_count; i++)
        if (tables->kept[i].number == pfn)
            return true;
    return false;
}

static void loader_tables_release(struct mmu_batch *batch, const struct loader_tables *tables)
{
    uint64_t first = loader_tables_first();

    for (uint64_t pfn = first; pfn < first + boot_start_info.nr_pt_frames; pfn++) {
        if (is_kept(tables, pfn) || pfn - reused_first_l1 < reused_count)
            memory_map_reserve(pfn, 1);
        else
            direct_map_set_writable(batch, (pfn_t){ pfn }, true);
    }
}

static void memory_map_fill(void)
{
    uint64_t shared = image_pfn(&shared_info_page);
    pfn_t pfn;

    memory_map_set_end(page_count);
    memory_map_set_mapped(mapped_end(), map_more);
    memory_map_reserve(0, 1 + l2_count + reused_first);
    memory_map_reserve(1 + l2_count + reused_first + reused_count, low_l1_count - reused_first - reused_count);
    memory_map_reserve(pool_first, pool_count);
    /* The frame under the shared info page is not what is mapped there: it is free. */
    memory_map_reserve(image_pfn(image_start), shared - image_pfn(image_start));
    memory_map_reserve(shared + 1, image_pfn(image_end) - shared - 1);
    memory_map_reserve(image_pfn((const void *)boot_start_info.mfn_list), list_pages());
    if (boot_info.console_port != 0 && frames_pfn_of_gfn(boot_info.console_frame, &pfn))
        memory_map_reserve(pfn.number, 1);
    if (boot_info.store_port != 0 && frames_pfn_of_gfn(boot_info.store_frame, &pfn))
        memory_map_reserve(pfn.number, 1);
    if (boot_info.ramdisk_bytes != 0)
        memory_map_reserve(frames_pfn(boot_info.ramdisk).number, PAGE_ROUND_UP(boot_info.ramdisk_bytes) >> PAGE_SHIFT);
}

pfn_t direct_map_root(void)
{
    return root;
}

void direct_map_start_pv(void)
{
    struct loader_tables tables = { .kept_count = 0 };
    struct mmu_batch batch;

    root.number = image_pfn((const void *)boot_start_info.pt_base);
    tables.l3 = linked_table(loader_address(root)[page_table_index(KERNEL_IMAGE_BASE, 4)]);
    tables.l2 = linked_table(loader_address(tables.l3)[page_table_index(KERNEL_IMAGE_BASE, 3)]);
    mmu_batch_init(&batch);
    plan();
    plan_reuse(loader_address(tables.l2));
    low_tables_build();

    table_keep(&tables, root);
    table_keep(&tables, tables.l3);
    table_keep(&tables, tables.l2);
    /* The low 2 MiB leave the loader's mapping, and with it the last writable view of the new tables. */
    mmu_batch_add(&batch, tables.l2, 0, 0, MMU_NORMAL_PT_UPDATE);
    mmu_batch_add(&batch, root, page_table_index(DIRECT_MAP_BASE, 4), link_to((pfn_t){ 0 }), MMU_NORMAL_PT_UPDATE);
    if (mmu_batch_flush(&batch) != 0)
        panic("Xen refuses the direct map: error %d", batch.error);

    mapped_count = first_l1_count;
    while (mapped_count < wanted_count)
        (void)map_more();
    frames_direct_map_stands(frames_address((pfn_t){ image_pfn((const void *)boot_start_info.mfn_list) }), page_count);
    loader_mapping_cut(&batch, &tables);
    memory_map_fill();
    loader_tables_release(&batch, &tables);
    if (mmu_batch_flush(&batch) != 0)
        panic("Xen refuses our page tables: error %d", batch.error);
}
