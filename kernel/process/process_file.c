/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pidfds: a process as a file, readable when it has ended.
 */
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/process/process_internal.h"

static uint32_t process_file_poll(struct file *file, struct poll_table *table)
{
    struct process *process = file->data;

    poll_wait(table, &process->exit_wait);
    return read_once(process->zombie) ? POLL_IN | POLL_READ_NORMAL : 0;
}

static void process_file_release(struct file *file)
{
    process_release(file->data);
}

static size_t process_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:[pidfd]");
}

static const struct file_operations process_file_operations = {
    .poll = process_file_poll,
    .release = process_file_release,
    .describe = process_file_describe,
};

int process_file_create(struct process *process, unsigned int flags, struct file **file)
{
    process_take(process);
    int error = file_create_anonymous(&process_file_operations, process, FILE_READ_WRITE | flags, task_current()->credentials, file);
    if (error != 0)
        process_release(process);
    return error;
}

struct process *process_of_file(struct file *file)
{
    if (file->operations != &process_file_operations)
        return NULL;
    process_take(file->data);
    return file->data;
}
