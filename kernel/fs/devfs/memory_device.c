/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of major 1: null, zero, full, random, urandom and kmsg. One table by minor.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/device/random.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/device_file.h"
#include "kernel/vfs/file.h"
#include "xen/x86/user_access.h"

#define RANDOM_GET_ENTROPY 0x80045200u
#define RANDOM_ADD_TO_ENTROPY 0x40045201u
#define RANDOM_ADD_ENTROPY 0x40085203u
#define RANDOM_BOUNCE_BYTES 256
#define LOG_BYTES 16384
#define LOG_LINE_LIMIT 400

static long null_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    return 0;
}

static long null_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    long length = (long)vector->remaining_bytes;

    io_vector_skip(vector, vector->remaining_bytes);
    return length;
}

static long zero_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    size_t length = io_vector_put_zeroes(vector, vector->remaining_bytes);

    return length > 0 || vector->remaining_bytes == 0 ? (long)length : -EFAULT;
}

static long full_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    return vector->remaining_bytes ? -ENOSPC : 0;
}

/* Private: plain anonymous memory. */
static int zero_map(struct file *file, struct area_request *request)
{
    if (!(request->flags & AREA_SHARED))
        return 0;
    return area_backing_create_shared(request->length_bytes, &request->backing);
}

static long seek_nowhere(struct file *file, int64_t offset, int whence)
{
    return 0;
}

static long urandom_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    uint8_t bounce[RANDOM_BOUNCE_BYTES];
    long done = 0;

    while (vector->remaining_bytes > 0) {
        size_t length = minimum(vector->remaining_bytes, sizeof(bounce));

        random_bytes(bounce, length);
        size_t moved = io_vector_put(vector, bounce, length);
        done += (long)moved;
        if (moved < length) {
            done = done > 0 ? done : -EFAULT;
            break;
        }
        thread_yield_if_due();
    }
    memset(bounce, 0, sizeof(bounce));
    return done;
}

static long random_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    if (!random_ready()) {
        if (atomic_load(&file->flags) & FILE_NONBLOCK)
            return -EAGAIN;
        if (random_wait(WAIT_FOREVER, true))
            return -ERESTARTSYS;
    }
    return urandom_read(file, vector, position);
}

/* Stirred in, credited with nothing. */
static long random_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    uint8_t bounce[RANDOM_BOUNCE_BYTES];
    long done = 0;

    while (vector->remaining_bytes > 0) {
        size_t length = io_vector_get(vector, bounce, sizeof(bounce));

        if (length == 0)
            return done > 0 ? done : -EFAULT;
        random_add_entropy(bounce, length, 0);
        done += (long)length;
    }
    return done;
}

static long random_ioctl(struct file *file, unsigned int command, uint64_t argument)
{
    struct { int32_t entropy_bits, length_bytes; } header;
    uint8_t bytes[RANDOM_BOUNCE_BYTES];

    if (command == RANDOM_GET_ENTROPY) {
        int32_t bits = (int32_t)random_entropy_bits();

        return user_store(argument, &bits);
    }
    if (command != RANDOM_ADD_ENTROPY && command != RANDOM_ADD_TO_ENTROPY)
        return -ENOTTY;
    if (!credentials_capable(file->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    if (command == RANDOM_ADD_TO_ENTROPY)
        return 0; /* a count without bytes adds nothing */
    if (user_load(&header, argument))
        return -EFAULT;
    if (header.entropy_bits < 0 || header.length_bytes < 0)
        return -EINVAL;
    uint32_t length = minimum((uint32_t)header.length_bytes, (uint32_t)sizeof(bytes));
    if (user_copy_in(bytes, argument + sizeof(header), length))
        return -EFAULT;
    random_add_entropy(bytes, length, minimum((unsigned int)header.entropy_bits, length * 8));
    return 0;
}

static uint32_t random_poll(struct file *file, struct poll_table *table)
{
    return POLL_OUT | POLL_WRITE_NORMAL | (random_ready() ? POLL_IN | POLL_READ_NORMAL : 0);
}

/* The kernel's messages as they were when this file was first read; one line a read. */
struct message_reader {
    size_t length_bytes, offset_bytes;
    uint64_t sequence;
    char text[LOG_BYTES];
};

/* "[    1.234567] text": the time in microseconds, and where the text begins. */
static const char *line_text(const char *line, size_t length, uint64_t *microseconds)
{
    size_t i = 1;
    uint64_t value = 0;

    *microseconds = 0;
    if (length < 2 || line[0] != '[')
        return line;
    for (; i < length && line[i] != ']'; i++)
        if (line[i] >= '0' && line[i] <= '9')
            value = value * 10 + (uint64_t)(line[i] - '0');
    if (i + 2 > length)
        return line;
    *microseconds = value;
    return line + i + 2;
}

static long kmsg_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct message_reader *reader = file->data;
    char record[LOG_LINE_LIMIT + 64];
    uint64_t microseconds;

    if (reader->sequence == 0)
        reader->length_bytes = log_copy(reader->text, sizeof(reader->text));
    if (reader->offset_bytes >= reader->length_bytes)
        return atomic_load(&file->flags) & FILE_NONBLOCK ? -EAGAIN : 0;

    const char *line = reader->text + reader->offset_bytes;
    const char *end = memchr(line, '\n', reader->length_bytes - reader->offset_bytes);
    size_t length = end ? (size_t)(end - line) : reader->length_bytes - reader->offset_bytes;
    const char *text = line_text(line, length, &microseconds);
    int text_length = (int)minimum((size_t)(line + length - text), (size_t)LOG_LINE_LIMIT);
    int written = format_string(record, sizeof(record), "6,%llu,%llu,-;%.*s\n", (unsigned long long)reader->sequence,
                                (unsigned long long)microseconds, text_length, text);

    reader->sequence++;
    reader->offset_bytes += length + 1;
    if (vector->remaining_bytes < (size_t)written)
        return -EINVAL;
    return io_vector_put(vector, record, (size_t)written) == (size_t)written ? written : -EFAULT;
}

static long kmsg_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    char line[LOG_LINE_LIMIT];
    long length = (long)vector->remaining_bytes;
    size_t taken = io_vector_get(vector, line, sizeof(line) - 1);

    if (taken == 0 && length > 0)
        return -EFAULT;
    while (taken > 0 && line[taken - 1] == '\n')
        taken--;
    line[taken] = 0;
    log_notice("%s", line);
    return length;
}

static long kmsg_seek(struct file *file, int64_t offset, int whence)
{
    struct message_reader *reader = file->data;

    if (offset != 0 || whence < 0 || whence > 2)
        return offset != 0 ? -ESPIPE : -EINVAL;
    reader->offset_bytes = whence == 2 ? reader->length_bytes : 0;
    reader->sequence = whence == 2 ? reader->sequence : 0;
    return 0;
}

static void kmsg_release(struct file *file)
{
    memory_free(file->data);
}

static const struct file_operations null_operations = {.read = null_read, .write = null_write, .seek = seek_nowhere};
static const struct file_operations zero_operations = {.read = zero_read, .write = null_write, .seek = seek_nowhere, .map = zero_map};
static const struct file_operations full_operations = {.read = zero_read, .write = full_write, .seek = seek_nowhere};
static const struct file_operations random_operations = {
    .read = random_read, .write = random_write, .ioctl = random_ioctl, .poll = random_poll, .seek = seek_nowhere};
static const struct file_operations urandom_operations = {
    .read = urandom_read, .write = random_write, .ioctl = random_ioctl, .poll = random_poll, .seek = seek_nowhere};
static const struct file_operations kmsg_operations = {
    .read = kmsg_read, .write = kmsg_write, .seek = kmsg_seek, .release = kmsg_release};

static const struct file_operations *const by_minor[] = {
    [3] = &null_operations, [5] = &zero_operations, [7] = &full_operations,
    [8] = &random_operations, [9] = &urandom_operations, [11] = &kmsg_operations};

int memory_device_open(struct inode *inode, struct file *file)
{
    unsigned int minor = DEVICE_MINOR(inode->device);

    if (minor >= array_count(by_minor) || !by_minor[minor])
        return -ENXIO;
    if (by_minor[minor] == &kmsg_operations) {
        file->data = memory_allocate(sizeof(struct message_reader));
        if (!file->data)
            return -ENOMEM;
        memset(file->data, 0, offsetof(struct message_reader, text));
    }
    file->operations = by_minor[minor];
    file->seekable = by_minor[minor] != &kmsg_operations; /* positions mean nothing here, but pread() is allowed */
    return 0;
}
