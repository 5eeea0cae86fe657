/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files, directories and the places the tool keeps things in.
 *
 * Functions return 0 or a negative errno and print nothing; only their callers know what the file was for.
 * file_write() replaces a file in one step (write beside it, rename), so that a reader never sees half of it.
 */
#include "tools/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Adds the whole file to out. */
int file_read(const char *path, struct text *out)
{
    char block[16384];
    ssize_t got;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((got = read(fd, block, sizeof(block))) > 0)
        text_add(out, block, (size_t)got);
    int error = got < 0 ? -errno : 0;
    close(fd);
    return error;
}

static int write_whole(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        bytes += put;
        length -= (size_t)put;
    }
    return 0;
}

int file_write(const char *path, const void *bytes, size_t length)
{
    char *beside = text_join("%s.%d.new", path, (int)getpid());
    int error = 0;

    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        error = -errno;
        free(beside);
        return error;
    }
    error = write_whole(fd, bytes, length);
    close(fd);
    if (error == 0 && rename(beside, path) < 0)
        error = -errno;
    if (error < 0)
        unlink(beside);
    free(beside);
    return error;
}

int file_write_string(const char *path, const char *string)
{
    return file_write(path, string, strlen(string));
}

static int copy_contents(int from, int to)
{
    char block[65536];
    ssize_t got;

    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    do
        got = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
    while (got > 0);
    if (got == 0)
        return 0;
    while ((got = read(from, block, sizeof(block))) > 0) {
        int error = write_whole(to, block, (size_t)got);
        if (error < 0)
            return error;
    }
    return got < 0 ? -errno : 0;
}

/* Copies contents and permission bits, sharing blocks where the file system can. */
int file_copy(const char *from, const char *to)
{
    struct stat copied;
    struct stat status;
    int error;

    int from_fd = open(from, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0)
        return -errno;
    if (fstat(from_fd, &status) < 0) {
        error = -errno;
        goto undo_from;
    }
    unlink(to);
    int to_fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, status.st_mode & 0777);
    if (to_fd < 0) {
        error = -errno;
        goto undo_from;
    }
    error = copy_contents(from_fd, to_fd);
    if (error == 0 && fstat(to_fd, &copied) == 0 && S_ISREG(status.st_mode) && copied.st_size != status.st_size)
        error = -EIO; /* it changed under us, or a file system told half the truth */
    close(to_fd);
undo_from:
    close(from_fd);
    return error;
}

/* Adds a file's contents to the end of another. */
int file_append(const char *from, const char *to)
{
    int from_fd = open(from, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0)
        return -errno;
    int to_fd = open(to, O_WRONLY | O_CLOEXEC);
    int error = to_fd < 0 || lseek(to_fd, 0, SEEK_END) < 0 ? -errno : copy_contents(from_fd, to_fd);
    if (to_fd >= 0)
        close(to_fd);
    close(from_fd);
    return error;
}

/* An exclusive lock on a file made for it: a descriptor to close, or -EWOULDBLOCK when another holds it and wait is false. */
int file_lock(const char *path, bool wait)
{
    struct stat locked;
    struct stat named;

    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
            if (errno == EINTR)
                continue;
            int error = -errno;
            close(fd);
            return error;
        }
        /* Whoever held it may have removed the file: then this lock is nobody's, and the next one is made. */
        if (fstat(fd, &locked) == 0 && stat(path, &named) == 0 && locked.st_ino == named.st_ino)
            return fd;
        close(fd);
    }
}

/* Makes a directory and what leads to it; no error when it is there. */
int directory_make(const char *path)
{
    char *partial = text_copy(path);
    int error = 0;

    for (char *slash = partial + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char kept = *slash;
        *slash = '\0';
        if (mkdir(partial, 0755) < 0 && errno != EEXIST) {
            error = -errno;
            break;
        }
        *slash = kept;
        if (kept == '\0')
            break;
    }
    free(partial);
    return error;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)where;
    if (kind == FTW_DP || kind == FTW_D)
        return rmdir(path) < 0 ? -errno : 0;
    return unlink(path) < 0 ? -errno : 0;
}

static int open_up_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)where;
    if (kind == FTW_D && (status->st_mode & 0700) != 0700)
        chmod(path, 0700);
    return 0;
}

/* Removes a directory with all below it; no error when it is not there. Directories without rights are opened first. */
int tree_remove(const char *path)
{
    if (!file_exists(path))
        return 0;
    nftw(path, open_up_entry, 64, FTW_PHYS);
    return nftw(path, remove_entry, 64, FTW_PHYS | FTW_DEPTH);
}

/* For fts_open(): by name, the same on each machine. */
int tree_entry_order(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The absolute form of a path that need not exist; the caller frees it. */
char *path_absolute(const char *path)
{
    char *resolved = realpath(path, NULL);
    char here[PATH_MAX];

    if (resolved != NULL)
        return resolved;
    if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
        return text_copy(path);
    return text_join("%s/%s", here, path);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* A path below ${XDG_CACHE_HOME:-~/.cache}/xenolith; the caller frees it. */
char *path_cache(const char *below)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (cache != NULL && cache[0] == '/')
        return text_join("%s/xenolith/%s", cache, below);
    return text_join("%s/.cache/xenolith/%s", home != NULL ? home : "/root", below);
}

/* The directory this program was started from; the caller frees it. */
char *path_program_directory(void)
{
    char path[PATH_MAX];

    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length < 0)
        return text_copy(".");
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
    return text_copy(path);
}
