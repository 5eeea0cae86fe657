/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A root directory made of Debian packages: unpacked once for each set of versions, kept under cache/trees/KEY.
 *
 * The system's own dpkg-deb and tar unpack, as many at a time as there are processors. Manual pages and documentation are left
 * out: they are half of the files and no program reads them. Then package_finish.c does what maintainer scripts would have.
 * A tree appears whole (made aside, renamed) and is never written again; images link to its files.
 */
#include "tools/image/package_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/image/package_finish.h"

#define WORKERS_MAX 8

/* Changes when what is made of the same packages changes: then older trees are not used again. */
#define TREE_FORMAT "2"

struct worker {
    const char *package;
    pid_t reader; /* dpkg-deb */
    pid_t writer; /* tar */
};

static int worker_start(struct worker *worker, const char *package, const char *root)
{
    const char *read_arguments[] = {"dpkg-deb", "--fsys-tarfile", package, NULL};
    const char *write_arguments[] = {"tar", "-x", "-p", "--numeric-owner", "--keep-directory-symlink", "-C", root,
        "--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*", "--exclude=./usr/share/info/*",
        "--exclude=./usr/share/lintian/*", NULL};
    struct process_request reader = {.arguments = read_arguments, .stdin_fd = -1};
    struct process_request writer = {.arguments = write_arguments};
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return report_error(-errno, "cannot make a pipe");
    reader.stdout_fd = pipe_fds[1];
    writer.stdin_fd = pipe_fds[0];
    worker->package = package;
    int error = process_start(&reader, &worker->reader);
    if (error == 0)
        error = process_start(&writer, &worker->writer);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return error;
}

static int worker_wait(struct worker *worker)
{
    int read_status = process_wait(worker->reader);
    int write_status = process_wait(worker->writer);

    if (read_status != 0 || write_status != 0)
        return report_error(0, "cannot unpack %s (dpkg-deb %d, tar %d); remove it if it is damaged, and try again", worker->package,
            read_status, write_status);
    return 0;
}

static int packages_unpack(const struct package_set *set, const char *root)
{
    struct worker workers[WORKERS_MAX];
    size_t started = 0;
    size_t ended = 0;
    int error = 0;

    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t limit = processors < 2 ? 2 : processors > WORKERS_MAX ? WORKERS_MAX
                                                                 : (size_t)processors;
    while (ended < started || (error == 0 && started < set->files.count)) {
        if (error == 0 && started < set->files.count && started - ended < limit) {
            error = worker_start(&workers[started % WORKERS_MAX], set->files.items[started], root);
            if (error < 0)
                break;
            started++;
        } else {
            int waited = worker_wait(&workers[ended++ % WORKERS_MAX]);
            error = error < 0 ? error : waited;
        }
    }
    return error;
}

/* Debian's layout since 12: the old top directories are links into /usr. */
static int layout_make(const char *root)
{
    static const char *const directories[] = {"bin", "sbin", "lib", "lib64"};
    int error = 0;

    for (size_t i = 0; error == 0 && i < sizeof(directories) / sizeof(directories[0]); i++) {
        char *real = text_join("%s/usr/%s", root, directories[i]);
        char *link = text_join("%s/%s", root, directories[i]);
        char *target = text_join("usr/%s", directories[i]);
        error = directory_make(real);
        if (error == 0 && symlink(target, link) < 0)
            error = -errno;
        free(target);
        free(link);
        free(real);
    }
    return error < 0 ? report_error(error, "cannot lay out %s", root) : 0;
}

static int tree_build(const struct package_set *set, const char *directory)
{
    char *aside = text_join("%s.%d.new", directory, (int)getpid());

    int error = package_set_fetch(set);
    if (error == 0) {
        report_progress_start("unpacking %zu Debian packages", set->files.count);
        error = layout_make(aside);
    }
    if (error == 0)
        error = packages_unpack(set, aside);
    if (error == 0)
        error = package_finish(set, aside);
    report_progress_end();
    if (error == 0 && rename(aside, directory) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        error = report_error(-errno, "cannot rename %s", aside);
    if (file_exists(aside))
        tree_remove(aside);
    free(aside);
    return error;
}

/* Gives the directory, making it where needed; the caller frees the name and must not write below it. */
int package_tree_provide(const struct package_set *set, char **directory)
{
    char *below = text_join("trees/%.24s-" TREE_FORMAT, set->key);
    char *trees = path_cache("trees");
    int error = directory_make(trees);

    *directory = path_cache(below);
    if (error < 0)
        report_error(error, "cannot make %s", trees);
    if (error == 0 && !file_exists(*directory))
        error = tree_build(set, *directory);
    if (error < 0) {
        free(*directory);
        *directory = NULL;
    }
    free(trees);
    free(below);
    return error;
}
