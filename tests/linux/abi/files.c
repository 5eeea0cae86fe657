/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: open and its flags, read and write in all forms, lseek, dup, fcntl, truncate, and what each refuses.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static void open_flags(void)
{
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0644);
    ok(fd >= 0, "open creates");
    is(fcntl(fd, F_GETFL), O_RDWR | 0100000, "F_GETFL");
    is(fcntl(fd, F_GETFD), 0, "F_GETFD");
    fails(open("a", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST, "O_EXCL on a file that is there");
    fails(open("none", O_RDONLY), ENOENT, "open of nothing");
    fails(open("", O_RDONLY), ENOENT, "open of the empty name");
    fails(open("a/b", O_RDONLY), ENOTDIR, "a file as directory");
    fails(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR, "O_DIRECTORY on a file");
    fails(open(".", O_WRONLY), EISDIR, "a directory for writing");
    fails(open(BAD, O_RDONLY), EFAULT, "open of a bad address");
    char name[300];
    memset(name, 'x', sizeof(name) - 1);
    name[299] = '\0';
    fails(open(name, O_RDONLY), ENAMETOOLONG, "a component of 299 bytes");
    fails(openat(99, "a", O_RDONLY), EBADF, "openat with a bad descriptor");
    fails(openat(fd, "a", O_RDONLY), ENOTDIR, "openat with a file's descriptor");
    symlink("a", "link");
    symlink("loop", "loop");
    fails(open("link", O_RDONLY | O_NOFOLLOW), ELOOP, "O_NOFOLLOW on a link");
    fails(open("loop", O_RDONLY), ELOOP, "a link to itself");
    int path = open("link", O_PATH | O_NOFOLLOW);
    ok(path >= 0, "O_PATH of a link");
    char byte;
    fails(read(path, &byte, 1), EBADF, "read of an O_PATH descriptor");
    fails(fcntl(path, F_SETFL, 0), EBADF, "F_SETFL of an O_PATH descriptor");
    is(fcntl(path, F_GETFL), O_PATH | O_NOFOLLOW, "F_GETFL of an O_PATH descriptor");
    close(path);
    int temporary = open(".", O_TMPFILE | O_RDWR, 0600);
    if (temporary >= 0) {
        struct stat status;
        fstat(temporary, &status);
        is(status.st_nlink, 0, "links of an O_TMPFILE");
        close(temporary);
    } else {
        skip("links of an O_TMPFILE", "this file system has none");
    }
    fails(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL, "O_TMPFILE for reading only");
    close(fd);
    fails(close(fd), EBADF, "close twice");
    fails(close(-1), EBADF, "close of -1");
}

static void reading_and_writing(void)
{
    char buffer[64];
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644);
    is(write(fd, "0123456789", 10), 10, "write");
    is(lseek(fd, 0, SEEK_CUR), 10, "position after it");
    is(read(fd, buffer, 4), 0, "read at the end");
    is(pread(fd, buffer, 4, 3), 4, "pread");
    ok(memcmp(buffer, "3456", 4) == 0, "pread's bytes");
    is(lseek(fd, 0, SEEK_CUR), 10, "pread moves nothing");
    is(pwrite(fd, "AB", 2, 12), 2, "pwrite behind the end");
    is(lseek(fd, 0, SEEK_END), 14, "size");
    is(pread(fd, buffer, 4, 9), 4, "pread over the hole");
    ok(memcmp(buffer, "9\0\0A", 4) == 0, "the hole reads as zeroes");
    fails(pread(fd, buffer, 4, -1), EINVAL, "pread at -1");
    fails(lseek(fd, -1, SEEK_SET), EINVAL, "lseek to -1");
    fails(lseek(fd, 0, 99), EINVAL, "lseek whence 99");
    is(lseek(fd, 0, SEEK_DATA), 0, "SEEK_DATA");
    fails(lseek(fd, 100, SEEK_DATA), ENXIO, "SEEK_DATA past the end");
    fails(write(fd, BAD, 4), EFAULT, "write from a bad address");
    lseek(fd, 0, SEEK_SET);
    fails(read(fd, BAD, 4), EFAULT, "read to a bad address");
    is(read(fd, BAD, 0), 0, "read of nothing to a bad address");
    int only = open("data", O_WRONLY);
    fails(read(only, buffer, 1), EBADF, "read of a write-only descriptor");
    close(only);
    only = open("data", O_RDONLY);
    fails(write(only, "x", 1), EBADF, "write to a read-only descriptor");
    close(only);
    only = open(".", O_RDONLY | O_DIRECTORY);
    fails(read(only, buffer, 1), EISDIR, "read of a directory");
    close(only);
    close(fd);
    fd = open("data", O_WRONLY | O_APPEND);
    is(write(fd, "end", 3), 3, "append");
    is(lseek(fd, 0, SEEK_CUR), 17, "position after appending");
    close(fd);
}

static void vectors(void)
{
    char a[4], b[4];
    struct iovec in[2] = { { "abc", 3 }, { "defg", 4 } }, out[2] = { { a, 4 }, { b, 4 } };
    struct iovec many[1025];
    for (unsigned int i = 0; i < 1025; i++)
        many[i] = (struct iovec){ "", 0 };
    int fd = open("vector", O_RDWR | O_CREAT | O_TRUNC, 0644);
    is(writev(fd, in, 2), 7, "writev");
    is(preadv(fd, out, 2, 0), 7, "preadv");
    ok(memcmp(a, "abcd", 4) == 0 && memcmp(b, "efg", 3) == 0, "preadv's bytes");
    is(pwritev(fd, in, 1, 7), 3, "pwritev");
    is(preadv2(fd, out, 1, 6, 0), 4, "preadv2");
    ok(memcmp(a, "gabc", 4) == 0, "preadv2's bytes");
    fails(preadv2(fd, out, 1, 0, 0x4000), EOPNOTSUPP, "preadv2 with an unknown flag");
    is(pwritev2(fd, in, 1, 0, RWF_APPEND), 3, "pwritev2 with RWF_APPEND");
    is(lseek(fd, 0, SEEK_END), 13, "size after it");
    is(writev(fd, in, 0), 0, "writev of no pieces");
    volatile int negative = -1;
    fails(writev(fd, in, negative), EINVAL, "writev of -1 pieces");
    fails(writev(fd, many, 1025), EINVAL, "writev of 1025 pieces");
    is(writev(fd, many, 1024), 0, "writev of 1024 empty pieces");
    in[1].iov_len = (size_t)-1;
    fails(writev(fd, in, 2), EINVAL, "a piece of negative length");
    in[1] = (struct iovec){ BAD, 4 };
    is(pwritev(fd, in, 2, 0), 3, "a second piece at a bad address: the first is written");
    close(fd);
}

static void duplicates(void)
{
    int fd = open("data", O_RDONLY);
    int copy = dup(fd);
    ok(copy > fd, "dup gives a higher descriptor");
    lseek(fd, 5, SEEK_SET);
    is(lseek(copy, 0, SEEK_CUR), 5, "they share the position");
    is(dup2(fd, 50), 50, "dup2");
    is(dup2(fd, fd), fd, "dup2 to itself");
    fails(dup2(99, 99), EBADF, "dup2 of a bad one to itself");
    fails(dup2(fd, -1), EBADF, "dup2 to -1");
    fails(dup3(fd, fd, 0), EINVAL, "dup3 to itself");
    fails(dup3(fd, 51, 1), EINVAL, "dup3 with an unknown flag");
    is(dup3(fd, 51, O_CLOEXEC), 51, "dup3");
    is(fcntl(51, F_GETFD), FD_CLOEXEC, "its close-on-exec");
    is(fcntl(50, F_GETFD), 0, "dup2's close-on-exec");
    is(fcntl(fd, F_DUPFD, 60), 60, "F_DUPFD");
    is(fcntl(fd, F_DUPFD_CLOEXEC, 60), 61, "F_DUPFD_CLOEXEC");
    is(fcntl(61, F_GETFD), FD_CLOEXEC, "its close-on-exec");
    fails(fcntl(fd, F_DUPFD, -1), EINVAL, "F_DUPFD from -1");
    is(syscall(SYS_close_range, 50, 70, 4), 0, "close_range with CLOEXEC");
    is(fcntl(60, F_GETFD), FD_CLOEXEC, "it marked 60");
    is(syscall(SYS_close_range, 50, 70, 0), 0, "close_range");
    fails(fcntl(60, F_GETFD), EBADF, "60 is closed");
    fails(syscall(SYS_close_range, 70, 50, 0), EINVAL, "close_range the wrong way round");
    fails(syscall(SYS_close_range, 50, 70, 8), EINVAL, "close_range with an unknown flag");
    struct rlimit limit, low = { 40, 4096 };
    getrlimit(RLIMIT_NOFILE, &limit);
    low.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &low);
    fails(fcntl(fd, F_DUPFD, 40), EINVAL, "F_DUPFD at the limit");
    fails(dup2(fd, 40), EBADF, "dup2 at the limit");
    int last = fd, next;
    while ((next = dup(fd)) >= 0)
        last = next;
    is(last, 39, "the last descriptor");
    fails(next, EMFILE, "one more");
    setrlimit(RLIMIT_NOFILE, &limit);
    close_range(copy, ~0u, 0);
    close(fd);
}

static void control(void)
{
    int fd = open("data", O_RDWR), other = open("data", O_RDWR);
    is(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0, "F_SETFL");
    is(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | 0100000, "F_GETFL after it");
    fails(fcntl(fd, 12345), EINVAL, "an unknown command");
    is(flock(fd, LOCK_EX), 0, "flock");
    fails(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK, "flock by another open file");
    is(flock(fd, LOCK_UN), 0, "unlock");
    is(flock(other, LOCK_SH | LOCK_NB), 0, "flock after it");
    fails(flock(fd, 16), EINVAL, "flock with an unknown operation");
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 4 };
    is(fcntl(fd, F_SETLK, &lock), 0, "F_SETLK");
    lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
    is(fcntl(other, F_OFD_GETLK, &lock), 0, "F_OFD_GETLK");
    ok(lock.l_type == F_WRLCK && lock.l_start == 2 && lock.l_len == 4 && lock.l_pid == getpid(), "it finds the process's lock");
    lock = (struct flock){ .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1 };
    fails(fcntl(other, F_OFD_SETLK, &lock), EAGAIN, "F_OFD_SETLK in its way");
    lock.l_start = 6;
    is(fcntl(other, F_OFD_SETLK, &lock), 0, "F_OFD_SETLK beside it");
    lock.l_whence = 9;
    lock.l_pid = 0;
    fails(fcntl(fd, F_SETLK, &lock), EINVAL, "a lock with a bad whence");
    int pending = -1;
    is(ioctl(fd, FIONREAD, &pending), 0, "FIONREAD");
    is(pending, 17, "bytes left");
    fails(ioctl(fd, 0x5401, &pending), ENOTTY, "TCGETS on a file");
    close(fd);
    close(other);
}

static void sizes(void)
{
    struct stat status;
    int fd = open("size", O_RDWR | O_CREAT | O_TRUNC, 0644);
    is(ftruncate(fd, 10000), 0, "ftruncate up");
    fstat(fd, &status);
    is(status.st_size, 10000, "size");
    is(truncate("size", 5), 0, "truncate down");
    fstat(fd, &status);
    is(status.st_size, 5, "size");
    fails(ftruncate(fd, -1), EINVAL, "ftruncate to -1");
    fails(truncate("none", 0), ENOENT, "truncate of nothing");
    fails(truncate(".", 0), EISDIR, "truncate of a directory");
    int only = open("size", O_RDONLY);
    fails(ftruncate(only, 0), EINVAL, "ftruncate of a read-only descriptor");
    fails(fallocate(only, 0, 0, 10), EBADF, "fallocate of a read-only descriptor");
    close(only);
    fails(fallocate(fd, 0, -1, 10), EINVAL, "fallocate at -1");
    fails(fallocate(fd, 0, 0, 0), EINVAL, "fallocate of nothing");
    is(fsync(fd), 0, "fsync");
    is(fdatasync(fd), 0, "fdatasync");
    fails(fsync(99), EBADF, "fsync of a bad descriptor");
    is(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0, "fadvise");
    is(posix_fadvise(fd, 0, 0, 99), EINVAL, "fadvise with unknown advice");
    int ends[2];
    is(pipe(ends), 0, "pipe");
    fails(lseek(ends[0], 0, SEEK_CUR), ESPIPE, "lseek on a pipe");
    char byte;
    fails(pread(ends[0], &byte, 1, 0), ESPIPE, "pread on a pipe");
    fails(ftruncate(ends[1], 0), EINVAL, "ftruncate on a pipe");
    fails(fsync(ends[0]), EINVAL, "fsync on a pipe");
    is(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE, "fadvise on a pipe");
    fails(pipe2(ends, 1), EINVAL, "pipe2 with an unknown flag");
    fails(pipe(BAD), EFAULT, "pipe to a bad address");
    close(fd);
}

int main(void)
{
    char directory[64];
    work_in_fresh_directory(directory, sizeof(directory));
    umask(022);
    open_flags();
    reading_and_writing();
    vectors();
    duplicates();
    control();
    sizes();
    int failed = done();
    const char *names[] = { "a", "link", "loop", "data", "vector", "size" };
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(names[i]);
    return chdir("/") || rmdir(directory) || failed;
}
