/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encoding of user entries. PROT_NONE is a not-present entry that keeps the page's number inverted, so that its address lies
 * above all memory (Xen accepts no other on processors with L1TF), with the accessed, dirty and copy-on-write bits in place.
 */
#include "xen/x86/page_entry.h"

#include "kernel/base/panic.h"

uint64_t page_entry_rights(uint32_t flags)
{
    uint64_t rights = PAGE_TABLE_PRESENT | PAGE_TABLE_USER | (flags & PAGING_UNUSED ? 0 : PAGE_TABLE_ACCESSED);

    if ((flags & PAGING_WRITE) && !(flags & PAGING_COPY_ON_WRITE))
        rights |= PAGE_TABLE_WRITE;
    if (!(flags & PAGING_EXECUTE))
        rights |= PAGE_TABLE_NO_EXECUTE;
    if (flags & PAGING_COPY_ON_WRITE)
        rights |= PAGE_TABLE_COPY_ON_WRITE;
    return rights;
}

static uint64_t entry_prot_none(pfn_t pfn, uint64_t kept)
{
    return (~(pfn.number << PAGE_SHIFT) & PAGE_TABLE_FRAME_MASK) | (kept & PAGE_ENTRY_KEPT);
}

uint64_t page_entry_encode(const struct paging_entry *entry)
{
    if (!(entry->flags & (PAGING_READ | PAGING_WRITE | PAGING_EXECUTE)))
        return entry_prot_none(entry->pfn, entry->flags & PAGING_COPY_ON_WRITE ? PAGE_TABLE_COPY_ON_WRITE : 0);
    return (frames_gfn(entry->pfn).number << PAGE_SHIFT) | page_entry_rights(entry->flags);
}

/* Bits move, without a branch for each. */
_Static_assert(PAGE_TABLE_COPY_ON_WRITE >> 2 == PAGING_COPY_ON_WRITE && PAGE_TABLE_ACCESSED >> 1 == PAGING_ACCESSED && PAGE_TABLE_DIRTY >> 1 == PAGING_DIRTY &&
                   PAGE_TABLE_WRITE == PAGING_WRITE && PAGE_TABLE_NO_EXECUTE >> 61 == PAGING_EXECUTE,
               "where flags lie");

struct paging_entry page_entry_decode(uint64_t value)
{
    uint64_t kept = (value >> 2 & PAGING_COPY_ON_WRITE) | (value >> 1 & (PAGING_ACCESSED | PAGING_DIRTY)) | PAGING_MAPPED;
    struct paging_entry entry = { .flags = (uint32_t)kept };

    if (value == 0)
        return (struct paging_entry){ .flags = 0 };
    if (!(value & PAGE_TABLE_PRESENT)) {
        entry.pfn.number = page_table_frame(~value);
        return entry;
    }
    entry.flags |= (uint32_t)((value & PAGING_WRITE) | (~value >> 61 & PAGING_EXECUTE)) | PAGING_PRESENT | PAGING_READ;
    if (!frames_pfn_of_gfn((gfn_t){ page_table_frame(value) }, &entry.pfn))
        panic("a user page-table entry names a frame that is not ours: 0x%llx", (unsigned long long)value);
    return entry;
}

uint64_t page_entry_protect(uint64_t old, uint32_t protection)
{
    struct paging_entry entry = page_entry_decode(old);

    if (protection == 0)
        return entry_prot_none(entry.pfn, old);
    entry.flags = (entry.flags & PAGING_COPY_ON_WRITE) | protection | (old & PAGE_TABLE_ACCESSED ? 0 : PAGING_UNUSED);
    return page_entry_encode(&entry) | (old & PAGE_ENTRY_KEPT);
}

uint64_t page_entry_kernel(gfn_t frame, uint32_t protection)
{
    uint64_t rights = PAGE_TABLE_PRESENT | PAGE_TABLE_USER | PAGE_TABLE_ACCESSED | PAGE_TABLE_NO_EXECUTE;

    if (protection & PAGING_WRITE)
        rights |= PAGE_TABLE_WRITE | PAGE_TABLE_DIRTY;
    return (frame.number << PAGE_SHIFT) | rights;
}
