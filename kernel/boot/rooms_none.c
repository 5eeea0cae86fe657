/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/linux calls of parts that this build does not have yet: memory files. Every call is refused as on a
 * Linux without them. Whoever brings such a part takes its functions out of here.
 */
#include "kernel/base/error.h"
#include "kernel/vfs/file.h"

int memory_file_create(const char *name, unsigned int memfd_flags, struct credentials *credentials, struct file **file)
{
    return -ENOSYS;
}

int memory_file_add_seals(struct file *file, unsigned int seals)
{
    return -EINVAL;
}

long memory_file_get_seals(struct file *file)
{
    return -EINVAL;
}
