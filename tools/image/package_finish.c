/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What maintainer scripts would have done, for a tree of unpacked Debian packages that is to be a guest's root.
 *
 * No script of a package is run: they expect a running system. Instead the few things are made which programs need: users and
 * groups, name service files, mount points, the dynamic linker's cache, the bundle of certificates, commands that Debian
 * chooses by alternatives, and byte code for Python (a guest would compile its modules anew at each start).
 */
#include "tools/image/package_finish.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/image/tree.h"

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
                                  "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                                  "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
                                  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
static const char group_text[] = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n";

static bool tree_has(const char *root, const char *below)
{
    char *path = text_join("%s/%s", root, below);
    struct stat status;
    bool has = lstat(path, &status) == 0;

    free(path);
    return has;
}

static int directories_make(const char *root)
{
    static const char *const directories[] = {"dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/tmp",
        "var/log", "var/lib", "var/cache"};
    int error = 0;

    for (size_t i = 0; error == 0 && i < sizeof(directories) / sizeof(directories[0]); i++) {
        char *path = text_join("%s/%s", root, directories[i]);
        error = directory_make(path);
        if (error == 0 && strstr(directories[i], "tmp") != NULL && chmod(path, 01777) < 0)
            error = -errno;
        if (error < 0)
            report_error(error, "cannot make %s", path);
        free(path);
    }
    return error;
}

static void link_make(const char *root, const char *below, const char *target)
{
    char *path = text_join("%s/%s", root, below);

    if (symlink(target, path) < 0 && errno != EEXIST)
        report_error(-errno, "cannot make the link %s", path);
    free(path);
}

/* A file that Debian keeps as a master copy, or our short form of it. */
static int master_copy(const char *root, const char *master, const char *below, const char *text)
{
    struct text copy = {0};
    int error = 0;

    char *path = text_join("%s/%s", root, master);
    if (!tree_has(root, below)) {
        if (file_read(path, &copy) == 0)
            error = tree_write(root, below, copy.bytes, copy.length);
        else
            error = tree_write_string(root, below, text);
    }
    text_free(&copy);
    free(path);
    return error;
}

static int etc_make(const char *root)
{
    int error = master_copy(root, "usr/share/base-passwd/passwd.master", "etc/passwd", passwd_text);

    if (error == 0)
        error = master_copy(root, "usr/share/base-passwd/group.master", "etc/group", group_text);
    if (error == 0)
        error = master_copy(root, "usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    if (error == 0 && !tree_has(root, "etc/hosts"))
        error = tree_write_string(root, "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    link_make(root, "etc/mtab", "/proc/self/mounts");
    link_make(root, "etc/resolv.conf", "/run/resolv.conf"); /* the guest's kernel writes it, on its own tmpfs */
    link_make(root, "var/run", "/run");
    link_make(root, "var/lock", "/run/lock");
    return error;
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As update-ca-certificates: all certificates in one file. */
static int certificates_bundle(const char *root)
{
    char *directory = text_join("%s/usr/share/ca-certificates", root);
    char *const roots[] = {directory, NULL};
    struct text_list paths = {0};
    struct text bundle = {0};
    FTSENT *entry;
    int error = 0;

    FTS *walk = file_exists(directory) ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    while (walk != NULL && (entry = fts_read(walk)) != NULL)
        if (entry->fts_info == FTS_F && entry->fts_namelen > 4 && strcmp(entry->fts_name + entry->fts_namelen - 4, ".crt") == 0)
            text_list_add(&paths, entry->fts_path);
    if (walk != NULL)
        fts_close(walk);
    if (paths.count > 0)
        qsort(paths.items, paths.count, sizeof(paths.items[0]), text_order);
    for (size_t i = 0; i < paths.count; i++)
        if (file_read(paths.items[i], &bundle) == 0 && bundle.length > 0 && bundle.bytes[bundle.length - 1] != '\n')
            text_add(&bundle, "\n", 1);
    if (bundle.length > 0)
        error = tree_write(root, "etc/ssl/certs/ca-certificates.crt", bundle.bytes, bundle.length);
    text_free(&bundle);
    text_list_free(&paths);
    free(directory);
    return error;
}

/* Links LINK to PATH where a script says: update-alternatives --install LINK NAME PATH PRIORITY, all literal. */
static void alternatives_parse(const char *root, char *script)
{
    for (char *at = script; (at = strstr(at, "--install")) != NULL;) {
        char *words[3] = {NULL};
        char *rest = NULL;
        at += strlen("--install");
        char *line = text_join("%.*s", (int)strcspn(at, "\n;&|"), at);
        if (strchr(line, '\\') != NULL) { /* continued on the next line */
            free(line);
            line = text_join("%.300s", at);
        }
        for (int i = 0; i < 3; i++) {
            words[i] = strtok_r(i == 0 ? line : NULL, " \t\\\n", &rest);
            if (words[i] == NULL)
                break;
        }
        if (words[2] != NULL && words[0][0] == '/' && words[2][0] == '/' && strpbrk(words[0], "$`*\"'") == NULL &&
            strpbrk(words[2], "$`*\"'") == NULL && !tree_has(root, words[0] + 1) && tree_has(root, words[2] + 1))
            link_make(root, words[0] + 1, words[2]);
        free(line);
    }
}

static void alternatives_make(const struct package_set *set, const char *root)
{
    for (size_t i = 0; i < set->files.count; i++) {
        const char *arguments[] = {"dpkg-deb", "-I", set->files.items[i], "postinst", NULL};
        struct process_request request = {.arguments = arguments, .stdin_fd = -1, .stderr_fd = -1};
        struct text script = {0};
        if (process_capture(&request, &script) == 0 && script.length > 0 && strstr(script.bytes, "update-alternatives") != NULL)
            alternatives_parse(root, script.bytes);
        text_free(&script);
    }
}

/* Java's alternatives are made in a loop: every command of a run-time gets its link. */
static void java_links(const char *root)
{
    char *pattern = text_join("%s/usr/lib/jvm/java-*/bin/*", root);
    glob_t found = {0};

    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            char *link = text_join("usr/bin/%s", path_name(found.gl_pathv[i]));
            if (!tree_has(root, link))
                link_make(root, link, found.gl_pathv[i] + strlen(root));
            free(link);
        }
    globfree(&found);
    free(pattern);
}

static int linker_cache(const char *root)
{
    const char *arguments[] = {"/sbin/ldconfig", "-X", "-r", root, NULL};
    struct process_request request = {.arguments = arguments, .map_to_root = true};

    return process_run_quietly(&request, "making the dynamic linker's cache");
}

/* Compiles the tree's Python modules with the tree's own Python, started through the tree's own dynamic linker. */
static void python_compile(const char *root)
{
    char *pattern = text_join("%s/usr/bin/python3.[0-9]*", root);
    glob_t found = {0};

    char *linker = text_join("%s/usr/lib64/ld-linux-x86-64.so.2", root);
    if (glob(pattern, 0, NULL, &found) == 0 && file_exists(linker)) {
        char *libraries = text_join("%s/usr/lib/x86_64-linux-gnu:%s/usr/lib", root, root);
        char *modules = text_join("%s/usr/lib/%s", root, path_name(found.gl_pathv[0]));
        char *shared_modules = text_join("%s/usr/lib/python3", root);
        char *home = text_join("PYTHONHOME=%s/usr", root);
        const char *arguments[] = {linker, "--library-path", libraries, found.gl_pathv[0], "-S", "-m", "compileall", "-q", "-s", root, "-p",
            "/", "-x", "/(test|tests|idlelib|lib2to3|turtledemo|ensurepip)/", modules, file_exists(shared_modules) ? shared_modules : NULL,
            NULL};
        const char *environment[] = {home, "PYTHONDONTWRITEBYTECODE=", NULL};
        struct process_request request = {
            .arguments = arguments, .environment = environment, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        report_progress_start("compiling Python's modules");
        process_run(&request); /* without it the guest compiles them itself */
        free(home);
        free(shared_modules);
        free(modules);
        free(libraries);
    }
    globfree(&found);
    free(linker);
    free(pattern);
}

/* Makes a tree of unpacked packages usable. */
int package_finish(const struct package_set *set, const char *root)
{
    int error = directories_make(root);

    if (error == 0)
        error = etc_make(root);
    if (error == 0)
        error = certificates_bundle(root);
    if (error < 0)
        return error;
    alternatives_make(set, root);
    java_links(root);
    if (!tree_has(root, "usr/bin/sh") && tree_has(root, "usr/bin/dash"))
        link_make(root, "usr/bin/sh", "dash");
    error = linker_cache(root);
    if (error == 0)
        python_compile(root);
    return error;
}
