/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: directories, links, renames, status and attributes of files, and the errors of each.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "tests/linux/abi/tap.h"

static struct stat status;

static void make(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    close(fd);
}

static void directories(const char *top)
{
    char text[512];
    is(mkdir("d", 0755), 0, "mkdir");
    fails(mkdir("d", 0755), EEXIST, "mkdir again");
    fails(mkdir("none/d", 0755), ENOENT, "mkdir in nothing");
    is(stat("d", &status), 0, "stat");
    is(status.st_mode, S_IFDIR | 0755, "mode of a directory");
    is(status.st_nlink >= 1, 1, "links of a directory");
    make("d/f");
    fails(rmdir("d"), ENOTEMPTY, "rmdir of a full directory");
    fails(rmdir("d/f"), ENOTDIR, "rmdir of a file");
    fails(unlink("d"), EISDIR, "unlink of a directory");
    fails(rmdir("d/."), EINVAL, "rmdir of .");
    fails(rmdir("d/.."), ENOTEMPTY, "rmdir of ..");
    is(chdir("d"), 0, "chdir");
    snprintf(text, sizeof(text), "%s/d", top);
    char now[512];
    is(syscall(SYS_getcwd, now, sizeof(now)), (long)strlen(text) + 1, "getcwd's length");
    ok(strcmp(now, text) == 0, "getcwd");
    fails(syscall(SYS_getcwd, now, 3), ERANGE, "getcwd into 3 bytes");
    fails(chdir("f"), ENOTDIR, "chdir to a file");
    fails(chdir("none"), ENOENT, "chdir to nothing");
    chdir("..");
    int fd = open("d", O_RDONLY | O_DIRECTORY);
    is(fchdir(fd), 0, "fchdir");
    chdir("..");
    is(unlinkat(fd, "f", 0), 0, "unlinkat");
    fails(unlinkat(fd, "f", 0), ENOENT, "unlinkat again");
    fails(unlinkat(fd, "f", 1), EINVAL, "unlinkat with an unknown flag");
    is(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), 0, "unlinkat with AT_REMOVEDIR");
    fails(openat(fd, "x", O_CREAT | O_WRONLY, 0600), ENOENT, "create in a removed directory");
    close(fd);
}

static void links(void)
{
    char text[64];
    make("one");
    is(link("one", "two"), 0, "link");
    stat("one", &status);
    is(status.st_nlink, 2, "links");
    fails(link("one", "two"), EEXIST, "link again");
    fails(link("none", "x"), ENOENT, "link of nothing");
    fails(link(".", "x"), EPERM, "link of a directory");
    is(symlink("one", "soft"), 0, "symlink");
    is(readlink("soft", text, sizeof(text)), 3, "readlink");
    is(readlink("soft", text, 2), 2, "readlink into 2 bytes");
    fails(readlink("one", text, sizeof(text)), EINVAL, "readlink of a file");
    fails(readlink("soft", text, 0), EINVAL, "readlink into nothing");
    is(lstat("soft", &status), 0, "lstat");
    is(status.st_mode & S_IFMT, S_IFLNK, "type of a link");
    is(status.st_size, 3, "size of a link");
    fails(symlink("", "x"), ENOENT, "symlink to the empty name");
    is(symlink("none", "dangling"), 0, "a dangling link");
    fails(stat("dangling", &status), ENOENT, "stat through it");
    fails(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST, "O_EXCL on it");
    is(linkat(AT_FDCWD, "soft", AT_FDCWD, "hard", AT_SYMLINK_FOLLOW), 0, "linkat follows");
    lstat("hard", &status);
    is(status.st_mode & S_IFMT, S_IFREG, "type of what it linked");
    fails(linkat(AT_FDCWD, "one", AT_FDCWD, "x", 1), EINVAL, "linkat with an unknown flag");
}

static void renames(void)
{
    make("from");
    mkdir("box", 0755);
    mkdir("box/inner", 0755);
    is(rename("from", "to"), 0, "rename");
    fails(rename("from", "to"), ENOENT, "rename of nothing");
    is(rename("one", "two"), 0, "rename of a name to another of the same file");
    is(access("one", F_OK), 0, "which does nothing");
    fails(rename("box", "to"), ENOTDIR, "a directory onto a file");
    fails(rename("to", "box"), EISDIR, "a file onto a directory");
    fails(rename("box", "box/inner/x"), EINVAL, "a directory into itself");
    make("other");
    fails(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "to", 1), EEXIST, "RENAME_NOREPLACE");
    fails(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "to", 3), EINVAL, "NOREPLACE with EXCHANGE");
    fails(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "to", 64), EINVAL, "renameat2 with an unknown flag");
    is(syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "box", 2), 0, "RENAME_EXCHANGE");
    stat("other", &status);
    is(status.st_mode & S_IFMT, S_IFDIR, "type of what came");
    is(rename("to", "two"), 0, "rename over a file");
    fails(access("to", F_OK), ENOENT, "the old name is gone");
    rmdir("other/inner");
    rmdir("other");
    unlink("box");
}

static void attributes(void)
{
    make("file");
    is(chmod("file", 0604), 0, "chmod");
    stat("file", &status);
    is(status.st_mode, S_IFREG | 0604, "mode");
    is(fchmodat(AT_FDCWD, "file", 04755, 0), 0, "fchmodat");
    stat("file", &status);
    is(status.st_mode & 07777, 04755, "mode with set-user-id");
    fails(chmod("none", 0600), ENOENT, "chmod of nothing");
    fails(chmod(BAD, 0600), EFAULT, "chmod of a bad address");
    is(access("file", R_OK | X_OK), 0, "access");
    fails(access("file", 99), EINVAL, "access with an unknown mode");
    fails(access("none", F_OK), ENOENT, "access of nothing");
    is(faccessat(AT_FDCWD, "file", R_OK, AT_EACCESS), 0, "faccessat with AT_EACCESS");
    struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
    is(utimensat(AT_FDCWD, "file", times, 0), 0, "utimensat");
    stat("file", &status);
    is(status.st_atim.tv_sec, 1000000000, "access time");
    is(status.st_mtim.tv_sec, 1100000000, "modification time");
    is(status.st_mtim.tv_nsec, 987654321, "its nanoseconds");
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = (struct timespec){ 5, 0 };
    is(utimensat(AT_FDCWD, "file", times, 0), 0, "utimensat with UTIME_OMIT");
    stat("file", &status);
    is(status.st_atim.tv_sec, 1000000000, "access time as it was");
    is(status.st_mtim.tv_sec, 5, "modification time");
    times[1].tv_nsec = 1000000000;
    fails(utimensat(AT_FDCWD, "file", times, 0), EINVAL, "a billion nanoseconds");
    struct utimbuf old = { 7, 8 };
    is(utime("file", &old), 0, "utime");
    struct timeval micro[2] = { { 9, 999999 }, { 10, 1 } };
    is(utimes("file", micro), 0, "utimes");
    stat("file", &status);
    is(status.st_mtim.tv_nsec, 1000, "its microsecond");
    micro[0].tv_usec = 1000000;
    fails(utimes("file", micro), EINVAL, "a million microseconds");
    is(umask(027), 022, "umask");
    make("masked");
    stat("masked", &status);
    is(status.st_mode & 0777, 0640 & ~027u & 0644, "mode under the umask");
    umask(022);
    is(mkfifo("fifo", 0600), 0, "mkfifo");
    stat("fifo", &status);
    is(status.st_mode, S_IFIFO | 0600, "mode of a fifo");
    fails(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO, "a fifo's write end without a reader");
    fails(mknod("x", S_IFDIR | 0755, 0), EPERM, "mknod of a directory");
    fails(mknod("x", 0170000 | 0755, 0), EINVAL, "mknod of an unknown type");
    unlink("fifo");
    unlink("masked");
    unlink("file");
}

static void statx_and_stat(void)
{
    struct statx big;
    struct statfs system;
    int ends[2];
    make("s");
    is(statx(AT_FDCWD, "s", 0, STATX_BASIC_STATS, &big), 0, "statx");
    is((big.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, 1, "its mask");
    stat("s", &status);
    is(big.stx_ino == status.st_ino && big.stx_mode == status.st_mode && big.stx_nlink == 1, 1, "it says what stat says");
    fails(statx(AT_FDCWD, "s", 0x8, STATX_BASIC_STATS, &big), EINVAL, "statx with an unknown flag");
    fails(statx(AT_FDCWD, "s", 0x6000, STATX_BASIC_STATS, &big), EINVAL, "statx with both ways of synchronising");
    fails(statx(AT_FDCWD, "s", 0, 0x80000000u, &big), EINVAL, "statx with the reserved bit");
    fails(stat("s", BAD), EFAULT, "stat to a bad address");
    fails(fstat(99, &status), EBADF, "fstat of a bad descriptor");
    fails(fstatat(AT_FDCWD, "s", &status, 1), EINVAL, "fstatat with an unknown flag");
    fails(fstatat(AT_FDCWD, "", &status, 0), ENOENT, "fstatat of the empty name");
    is(pipe(ends), 0, "pipe");
    is(fstatat(ends[0], "", &status, AT_EMPTY_PATH), 0, "AT_EMPTY_PATH of a pipe");
    is(status.st_mode & S_IFMT, S_IFIFO, "type of a pipe");
    close(ends[0]);
    close(ends[1]);
    is(statfs("/tmp", &system), 0, "statfs");
    ok(system.f_bsize > 0 && system.f_namelen >= 255, "it knows block size and name length");
    fails(statfs("none", &system), ENOENT, "statfs of nothing");
    char value[16];
    fails(getxattr("s", "user.none", value, sizeof(value)), ENODATA, "getxattr of none");
    fails(getxattr("s", "", value, sizeof(value)), ERANGE, "getxattr of the empty name");
    fails(setxattr("s", "user.x", "v", 1, 99), EINVAL, "setxattr with unknown flags");
    unlink("s");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void reading_directories(void)
{
    char *names[64] = { 0 };
    size_t count = 0;
    mkdir("list", 0755);
    for (char name[] = "list/a"; name[5] < 'u'; name[5]++)
        make(name);
    symlink("x", "list/link");
    DIR *list = opendir("list");
    for (struct dirent *entry; (entry = readdir(list)) && count < 64;)
        names[count++] = strdup(entry->d_name);
    qsort(names, count, sizeof(names[0]), compare_names);
    is((long)count, 23, "entries of a directory");
    ok(strcmp(names[0], ".") == 0 && strcmp(names[1], "..") == 0 && strcmp(names[2], "a") == 0 && strcmp(names[22], "t") == 0, "their names");
    rewinddir(list);
    size_t again = 0;
    int links_seen = 0;
    for (struct dirent *entry; (entry = readdir(list));) {
        again++;
        links_seen += entry->d_type == DT_LNK;
    }
    is((long)again, 23, "entries after rewinding");
    is(links_seen, 1, "of which links");
    char buffer[1024];
    int fd = open("list", O_RDONLY | O_DIRECTORY);
    fails(syscall(SYS_getdents64, fd, buffer, 8), EINVAL, "getdents64 into 8 bytes");
    long bytes, records = 0;
    while ((bytes = syscall(SYS_getdents64, fd, buffer, 200)) > 0)
        for (long at = 0; at < bytes; at += ((struct dirent64 *)(buffer + at))->d_reclen)
            records++;
    is(bytes, 0, "getdents64 at the end");
    is(records, 23, "records in small pieces");
    int file = open("list/a", O_RDONLY);
    fails(syscall(SYS_getdents64, file, buffer, sizeof(buffer)), ENOTDIR, "getdents64 of a file");
    close(file);
    close(fd);
    closedir(list);
    for (char name[] = "list/a"; name[5] < 'u'; name[5]++)
        unlink(name);
    unlink("list/link");
    is(rmdir("list"), 0, "rmdir");
}

static void restricted_walks(void)
{
    struct open_how how = { .flags = O_RDONLY };
    mkdir("jail", 0755);
    make("jail/f");
    symlink("/etc", "jail/out");
    int fd = open("jail", O_RDONLY | O_DIRECTORY);
    long opened = syscall(SYS_openat2, fd, "f", &how, sizeof(how));
    ok(opened >= 0, "openat2");
    close((int)opened);
    how.resolve = RESOLVE_BENEATH;
    fails(syscall(SYS_openat2, fd, "../one", &how, sizeof(how)), EXDEV, "RESOLVE_BENEATH and ..");
    fails(syscall(SYS_openat2, fd, "/etc", &how, sizeof(how)), EXDEV, "RESOLVE_BENEATH and an absolute name");
    how.resolve = RESOLVE_NO_SYMLINKS;
    fails(syscall(SYS_openat2, fd, "out", &how, sizeof(how)), ELOOP, "RESOLVE_NO_SYMLINKS");
    how.resolve = RESOLVE_IN_ROOT;
    opened = syscall(SYS_openat2, fd, "/f", &how, sizeof(how));
    ok(opened >= 0, "RESOLVE_IN_ROOT and an absolute name");
    close((int)opened);
    fails(syscall(SYS_openat2, fd, "out", &how, sizeof(how)), ENOENT, "RESOLVE_IN_ROOT and a link that leads out");
    how.resolve = 1 << 20;
    fails(syscall(SYS_openat2, fd, "f", &how, sizeof(how)), EINVAL, "openat2 with an unknown restriction");
    how.resolve = 0;
    how.flags = 1ull << 40;
    fails(syscall(SYS_openat2, fd, "f", &how, sizeof(how)), EINVAL, "openat2 with an unknown flag");
    how.flags = O_RDONLY;
    how.mode = 0600;
    fails(syscall(SYS_openat2, fd, "f", &how, sizeof(how)), EINVAL, "openat2 with a mode for nothing");
    fails(syscall(SYS_openat2, fd, "f", &how, 8), EINVAL, "openat2 with a short struct");
    close(fd);
    unlink("jail/f");
    unlink("jail/out");
    rmdir("jail");
}

int main(void)
{
    char directory[64];
    work_in_fresh_directory(directory, sizeof(directory));
    umask(022);
    directories(directory);
    links();
    renames();
    attributes();
    statx_and_stat();
    reading_directories();
    restricted_walks();
    int failed = done();
    const char *names[] = { "one", "two", "soft", "dangling", "hard" };
    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(names[i]);
    return chdir("/") || rmdir(directory) || failed;
}
