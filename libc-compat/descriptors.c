/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * newlib's system calls for native programs: the console as 0, 1 and 2, files of kernel/vfs from 3 up.
 *
 * What is typed goes from the console's event into a small ring, and from there to read(0), which waits for it; what finds the ring
 * full is lost, as on a serial line. The table has its own lock, as a native program may have several threads.
 */
#include "libc-compat/descriptors.h"

#include <errno.h>
#include <sys/fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "kernel/sched/mutex.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/file.h"
#include "libc-compat/error_number.h"
#include "libc-compat/native.h"
#include "libc-compat/newlib_hooks.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"
#include "xen/machine/spinlock.h"

#define FIRST_FILE 3
#define FILE_LIMIT 64
#define INPUT_BYTES 256u
#define CREATION_MODE 0666

static struct mutex table_mutex;
static struct file *table[FILE_LIMIT]; /* table_mutex */

static struct spinlock input_lock;
static struct wait_queue input_ready;
static char input[INPUT_BYTES];                /* input_lock */
static unsigned int input_head, input_tail;    /* input_lock; bytes ever put in and taken out */

/* Event context. */
static void input_receive(const char *bytes, size_t length_bytes)
{
    spinlock_lock(&input_lock);
    for (size_t i = 0; i < length_bytes && input_head - input_tail < INPUT_BYTES; i++)
        input[input_head++ % INPUT_BYTES] = bytes[i];
    spinlock_unlock(&input_lock);
    wait_queue_wake_all(&input_ready, 0);
}

void descriptors_start(void)
{
    mutex_init(&table_mutex, "native descriptors", 0);
    spinlock_init(&input_lock, "native input", 0);
    wait_queue_init(&input_ready);
    console_set_receiver(input_receive);
}

static long input_take(char *bytes, size_t length_bytes)
{
    size_t taken = 0;

    WAIT_UNTIL(&input_ready, read_once(input_head) != read_once(input_tail), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    spinlock_lock(&input_lock);
    while (taken < length_bytes && input_tail != input_head)
        bytes[taken++] = input[input_tail++ % INPUT_BYTES];
    spinlock_unlock(&input_lock);
    return (long)taken;
}

static int fail(long kernel_error)
{
    errno = error_number_newlib(kernel_error);
    return -1;
}

/* Referenced, or NULL: no such descriptor. */
static struct file *file_of(int descriptor)
{
    struct file *file = NULL;

    mutex_lock(&table_mutex);
    if (descriptor >= FIRST_FILE && descriptor < FILE_LIMIT)
        file = table[descriptor];
    if (file != NULL)
        file_take(file);
    mutex_unlock(&table_mutex);
    return file;
}

static unsigned int flags_linux(int flags)
{
    unsigned int linux_flags = (unsigned int)flags & O_ACCMODE;
    linux_flags |= flags & O_APPEND ? FILE_APPEND : 0;
    linux_flags |= flags & O_CREAT ? FILE_CREATE : 0;
    linux_flags |= flags & O_TRUNC ? FILE_TRUNCATE : 0;
    linux_flags |= flags & O_EXCL ? FILE_EXCLUSIVE : 0;
    linux_flags |= flags & O_NONBLOCK ? FILE_NONBLOCK : 0;
    return linux_flags;
}

int _open(const char *name, int flags, int mode)
{
    const struct fs_context *files = native_environment_current()->files;
    struct file *file;

    if (files == NULL) {
        errno = ENOENT;
        return -1;
    }
    int error = file_open(files, NULL, name, flags_linux(flags), flags & O_CREAT ? (uint32_t)mode : CREATION_MODE, &file);
    if (error != 0)
        return fail(error);
    mutex_lock(&table_mutex);
    int descriptor = FIRST_FILE;
    while (descriptor < FILE_LIMIT && table[descriptor] != NULL)
        descriptor++;
    if (descriptor < FILE_LIMIT)
        table[descriptor] = file;
    mutex_unlock(&table_mutex);
    if (descriptor < FILE_LIMIT)
        return descriptor;
    file_release(file);
    errno = EMFILE;
    return -1;
}

int _close(int descriptor)
{
    struct file *file = NULL;

    if (descriptor >= 0 && descriptor < FIRST_FILE)
        return 0;
    mutex_lock(&table_mutex);
    if (descriptor >= FIRST_FILE && descriptor < FILE_LIMIT) {
        file = table[descriptor];
        table[descriptor] = NULL;
    }
    mutex_unlock(&table_mutex);
    if (file == NULL) {
        errno = EBADF;
        return -1;
    }
    file_release(file);
    return 0;
}

static long transfer(int descriptor, void *bytes, size_t length_bytes, long (*move)(struct file *, struct io_vector *, uint64_t *))
{
    struct io_vector vector;
    struct io_segment segment;

    struct file *file = file_of(descriptor);
    if (file == NULL) {
        errno = EBADF;
        return -1;
    }
    io_vector_init_kernel(&vector, &segment, bytes, length_bytes);
    long moved = move(file, &vector, NULL);
    file_release(file);
    return moved < 0 ? fail(moved) : moved;
}

long _read(int descriptor, void *bytes, size_t length_bytes)
{
    if (length_bytes > 0 && descriptor >= 0 && descriptor < FIRST_FILE)
        return input_take(bytes, length_bytes);
    return transfer(descriptor, bytes, length_bytes, file_read);
}

long _write(int descriptor, const void *bytes, size_t length_bytes)
{
    if (descriptor >= 0 && descriptor < FIRST_FILE) {
        console_write_all(bytes, length_bytes);
        return (long)length_bytes;
    }
    return transfer(descriptor, (void *)bytes, length_bytes, file_write);
}

long _lseek(int descriptor, long offset, int whence)
{
    struct file *file = file_of(descriptor);
    if (file == NULL) {
        errno = _isatty(descriptor) ? ESPIPE : EBADF;
        return -1;
    }
    long position = file_seek(file, offset, whence);
    file_release(file);
    return position < 0 ? fail(position) : position;
}

int _fstat(int descriptor, struct stat *status)
{
    *status = (struct stat){.st_mode = S_IFCHR | 0620, .st_nlink = 1, .st_blksize = 1024};
    if (_isatty(descriptor))
        return 0;
    struct file *file = file_of(descriptor);
    if (file == NULL) {
        errno = EBADF;
        return -1;
    }
    status->st_mode = MODE_FIFO;
    if (file->inode != NULL) {
        rw_lock_read(&file->inode->lock);
        status->st_mode = file->inode->mode;
        status->st_size = (off_t)file->inode->size_bytes;
        status->st_ino = (ino_t)file->inode->number;
        rw_unlock_read(&file->inode->lock);
    }
    file_release(file);
    return 0;
}

int _isatty(int descriptor)
{
    return descriptor >= 0 && descriptor < FIRST_FILE;
}

int _gettimeofday(struct timeval *time, void *zone)
{
    uint64_t now_ns = clock_real_ns();
    time->tv_sec = (time_t)(now_ns / 1000000000);
    time->tv_usec = (suseconds_t)(now_ns % 1000000000 / 1000);
    return 0;
}
