/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard streams where there is no /dev/console: writes go to the console as they are, reads find the end.
 */
#include "kernel/boot/console_plain.h"

#include "kernel/base/error.h"
#include "kernel/vfs/credentials.h"
#include "xen/machine/console.h"

static long plain_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    return 0;
}

static long plain_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    char bytes[256];
    long written = 0;

    while (vector->remaining_bytes != 0) {
        size_t count = minimum(vector->remaining_bytes, sizeof(bytes));
        size_t taken = io_vector_get(vector, bytes, count);
        if (taken == 0)
            return written != 0 ? written : -EFAULT;
        console_write_all(bytes, taken);
        written += (long)taken;
    }
    return written;
}

static const struct file_operations plain_operations = { .read = plain_read, .write = plain_write, .anonymous_mode = 0 };

int console_plain_create(struct credentials *credentials, struct file **file)
{
    return file_create_anonymous(&plain_operations, NULL, FILE_READ_WRITE, credentials, file);
}
