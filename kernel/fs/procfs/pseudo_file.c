/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open generated files. Each open file has its own text, printed anew whenever a read begins at position 0, so that a program that
 * keeps /proc/stat open and rewinds sees fresh numbers, and one that reads piecewise sees one consistent text.
 */
#include "kernel/fs/procfs/pseudo_tree.h"

#include "kernel/base/error.h"
#include "kernel/base/frame_number.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"

/* Locks: m lock; f fixed. */
struct open_text {
    struct mutex lock;
    struct text_buffer text;                                        /* m */
    bool printed;                                                   /* m */
    int (*print)(struct text_buffer *text, void *data);             /* f */
    int (*write)(const char *text, size_t length_bytes, void *data);/* f */
    void *data;                                                     /* f */
    void (*release)(void *data);                                    /* f */
};

static int open_text_print(struct open_text *open)
{
    text_buffer_destroy(&open->text);
    open->printed = false;

    int error = open->print ? open->print(&open->text, open->data) : -EACCES;

    if (!error && open->text.failed)
        error = -ENOMEM;
    open->printed = !error;
    return error;
}

static long pseudo_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct open_text *open = file->data;
    long answer = 0;

    mutex_lock(&open->lock);
    if (*position == 0 || !open->printed)
        answer = open_text_print(open);
    if (answer == 0 && *position < open->text.length_bytes) {
        size_t wanted = minimum(open->text.length_bytes - *position, vector->remaining_bytes);
        size_t copied = io_vector_put(vector, open->text.bytes + *position, wanted);

        *position += copied;
        answer = copied > 0 || wanted == 0 ? (long)copied : -EFAULT;
    }
    mutex_unlock(&open->lock);
    return answer;
}

static long pseudo_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct open_text *open = file->data;
    size_t length = vector->remaining_bytes;

    if (!open->write)
        return -EACCES;
    if (length >= PAGE_SIZE)
        return -EINVAL;

    char *text = memory_allocate(length + 1);

    if (!text)
        return -ENOMEM;

    long answer = -EFAULT;

    if (io_vector_get(vector, text, length) == length) {
        text[length] = 0;
        answer = open->write(text, length, open->data);
        if (answer == 0) {
            *position += length;
            answer = (long)length;
        }
    }
    memory_free(text);
    return answer;
}

static void pseudo_release(struct file *file)
{
    struct open_text *open = file->data;

    if (open->release)
        open->release(open->data);
    text_buffer_destroy(&open->text);
    memory_free(open);
}

static const struct file_operations pseudo_file_operations = {
    .read = pseudo_read,
    .write = pseudo_write,
    .release = pseudo_release,
};

/* Turns a file being opened into one of generated text; `release` is called with `data` at the end (not on failure). 0 or -ENOMEM. */
int pseudo_file_open(struct file *file, int (*print)(struct text_buffer *text, void *data),
                     int (*write)(const char *text, size_t length_bytes, void *data), void *data,
                     void (*release)(void *data))
{
    struct open_text *open = memory_allocate_zeroed(sizeof(*open));

    if (!open)
        return -ENOMEM;
    mutex_init(&open->lock, "generated text", 0);
    text_buffer_init(&open->text);
    open->print = print;
    open->write = write;
    open->data = data;
    open->release = release;
    file->operations = &pseudo_file_operations;
    file->data = open;
    return 0;
}
