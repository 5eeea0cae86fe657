/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-up in the exception table. It has a few dozen entries: a walk is quick enough for a fault.
 */
#include "xen/x86/exception_table.h"

struct exception_entry {
    uint64_t instruction;
    uint64_t fixup;
};

extern const struct exception_entry exception_table_start[], exception_table_end[];

uint64_t exception_table_find(uint64_t rip)
{
    for (const struct exception_entry *entry = exception_table_start; entry < exception_table_end; entry++)
        if (entry->instruction == rip)
            return entry->fixup;
    return 0;
}
