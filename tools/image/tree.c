/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directory trees that become images.
 *
 * A tree is put together from cached ones by hard links (copies where the file system forbids them), so laying a few files
 * over a whole Debian root takes milliseconds. Nothing in a tree is ever written in place: a file that is to change is
 * removed and made anew, since its other links belong to the cache. mke2fs -d or cpio writes the image, in a user namespace in
 * which an ordinary user's files are root's.
 */
#include "tools/image/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

#define BLOCK_SIZE 4096u
/* Room for what a guest may write once its root is writable, and for the file system's own tables. */
#define SPARE_BLOCKS 4096u
#define SPARE_FILES 1024u
/* Names that surely fit into a block of a directory, as they go. */
#define NAMES_PER_BLOCK 48

static int directory_overlay(const char *to, mode_t mode)
{
    struct stat status;

    if (mkdir(to, mode & 07777) == 0)
        return chmod(to, mode & 07777) < 0 ? -errno : 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(to, &status) == 0 && S_ISDIR(status.st_mode))
        return 0; /* also a link to a directory, as /bin is */
    if (unlink(to) < 0 || mkdir(to, mode & 07777) < 0)
        return -errno;
    return 0;
}

static int link_overlay(const char *from, const char *to)
{
    char target[PATH_MAX];

    ssize_t length = readlink(from, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    unlink(to);
    return symlink(target, to) < 0 ? -errno : 0;
}

static int file_overlay(const char *from, const char *to, const struct stat *status)
{
    if (unlink(to) < 0 && errno == EISDIR)
        return -EISDIR;
    if (link(from, to) == 0)
        return 0;
    int error = file_copy(from, to);
    if (error == 0) {
        struct timespec times[2] = {status->st_atim, status->st_mtim};
        chmod(to, status->st_mode & 07777);
        utimensat(AT_FDCWD, to, times, 0);
    }
    return error;
}

static int entry_overlay(const FTSENT *entry, const char *to)
{
    switch (entry->fts_info) {
    case FTS_D:
        return directory_overlay(to, entry->fts_statp->st_mode);
    case FTS_F:
        return file_overlay(entry->fts_path, to, entry->fts_statp);
    case FTS_SL:
    case FTS_SLNONE:
        return link_overlay(entry->fts_path, to);
    case FTS_DP:
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return -entry->fts_errno;
    default:
        report_line("%s is neither file, directory nor link: left out", entry->fts_path);
        return 0;
    }
}

/* Lays the file or directory from over onto, which is made with the directories that lead to it. */
int tree_overlay(const char *from, const char *onto)
{
    char *const roots[] = {(char *)(uintptr_t)from, NULL};
    size_t prefix = strlen(from);
    int error = 0;
    FTSENT *entry;

    char *parent = text_copy(onto);
    char *slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        error = directory_make(parent);
    }
    free(parent);
    if (error < 0)
        return report_error(error, "%s", onto);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return report_error(-errno, "%s", from);
    while (error == 0 && (entry = fts_read(walk)) != NULL) {
        char *to = text_join("%s%s", onto, entry->fts_path + prefix);
        error = entry_overlay(entry, to);
        if (error < 0)
            report_error(error, "cannot put %s into the image's tree", entry->fts_path);
        free(to);
    }
    fts_close(walk);
    return error;
}

/* Makes a file in the tree, with the directories that lead to it, in place of what was there. */
int tree_write(const char *root, const char *below, const void *bytes, size_t length)
{
    char *path = text_join("%s/%s", root, below);
    char *parent = text_join("%.*s", (int)(strrchr(path, '/') - path), path);

    int error = directory_make(parent);
    if (error == 0) {
        unlink(path);
        error = file_write(path, bytes, length);
    }
    if (error < 0)
        report_error(error, "cannot write %s", path);
    free(parent);
    free(path);
    return error;
}

int tree_write_string(const char *root, const char *below, const char *text)
{
    return tree_write(root, below, text, strlen(text));
}

int tree_measure(const char *root, struct tree_measure *out)
{
    char *const roots[] = {(char *)(uintptr_t)root, NULL};
    FTSENT *entry;

    *out = (struct tree_measure){0};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL)
        return -errno;
    while ((entry = fts_read(walk)) != NULL) {
        if (entry->fts_info == FTS_DP)
            continue;
        out->files++;
        if (entry->fts_info == FTS_F)
            out->blocks += ((uint64_t)entry->fts_statp->st_size + BLOCK_SIZE - 1) / BLOCK_SIZE;
        else if (entry->fts_info == FTS_D)
            out->blocks++;
        if (++entry->fts_parent->fts_number % NAMES_PER_BLOCK == 0)
            out->blocks++; /* its directory has one more block */
    }
    fts_close(walk);
    return 0;
}

/* The names below the current directory's `below`, each ending with a NUL byte, as cpio -0 wants them. */
static int names_list(const char *parent, const char *below, struct text *out)
{
    char *root = text_join("%s/%s", parent, below);
    char *const roots[] = {root, NULL};
    size_t prefix = strlen(parent) + 1;
    FTSENT *entry;

    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, tree_entry_order);
    int error = walk == NULL ? -errno : 0;
    while (error == 0 && (entry = fts_read(walk)) != NULL)
        if (entry->fts_info != FTS_DP)
            text_add(out, entry->fts_path + prefix, strlen(entry->fts_path + prefix) + 1);
    if (walk != NULL)
        fts_close(walk);
    free(root);
    return error;
}

/* Writes what is below parent/below, a directory, as a cpio archive of the newc form; its names begin with below (which may be "."). */
int tree_to_cpio(const char *parent, const char *below, const char *archive)
{
    const char *arguments[] = {"cpio", "--create", "--format=newc", "--null", "--quiet", "--reproducible", "--file", archive, NULL};
    struct process_request request = {.arguments = arguments, .directory = parent, .map_to_root = true};
    struct text names = {0};

    if (!program_exists("cpio"))
        return report_error(0, "cpio is needed to make images; install the package cpio");
    int error = names_list(parent, below, &names);
    FILE *list = error == 0 ? tmpfile() : NULL;
    if (error == 0 && (list == NULL || fwrite(names.bytes, 1, names.length, list) != names.length || fflush(list) != 0))
        error = -errno;
    if (error < 0)
        report_error(error, "cannot list %s", parent);
    if (error == 0) {
        rewind(list);
        request.stdin_fd = fileno(list);
        error = process_run_quietly(&request, "making the root's archive");
    }
    if (list != NULL)
        fclose(list);
    text_free(&names);
    return error;
}

static int make_ext4(const char *root, const char *label, const char *image, uint64_t blocks, uint64_t inodes)
{
    char inodes_text[24];
    char blocks_text[24];

    snprintf(inodes_text, sizeof(inodes_text), "%llu", (unsigned long long)inodes);
    snprintf(blocks_text, sizeof(blocks_text), "%llu", (unsigned long long)blocks);
    const char *arguments[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-N", inodes_text,
        "-L", label, "-E", "root_owner=0:0,lazy_itable_init=1", "-d", root, image, blocks_text, NULL};
    struct process_request request = {.arguments = arguments, .map_to_root = true};

    unlink(image);
    return process_run_quietly(&request, "making the root file system");
}

/* Writes the tree as an ext4 image with 16 MiB and a tenth to spare. */
int tree_to_ext4(const char *root, const char *label, const char *image)
{
    struct tree_measure measure;

    if (!program_exists("mke2fs"))
        return report_error(0, "mke2fs is needed to make images; install the package e2fsprogs");
    int error = tree_measure(root, &measure);
    if (error < 0)
        return report_error(error, "%s", root);
    uint64_t inodes = measure.files + measure.files / 10 + SPARE_FILES;
    uint64_t blocks = measure.blocks + measure.blocks / 10 + inodes / 16 + SPARE_BLOCKS;
    uint64_t journal = blocks < 32768 ? 1024 : blocks < 262144 ? 4096
                                                               : 16384; /* mke2fs's own choice */
    return make_ext4(root, label, image, blocks + journal + blocks / 64, inodes);
}
