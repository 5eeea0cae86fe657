/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's root image, kept by content: cache/images/KEY.ext4, or KEY.cpio where the root is to be in the guest's memory.
 *
 *   packages --> tree (cached) --+
 *   --rootfs ... ----------------+--> one tree, by links --> texts of /etc/xenolith --> mke2fs -d, or cpio --> image
 *   --add ... -------------------+
 *
 * KEY covers the packages' versions, the shape (names, sizes, times) of the directories and files laid over them, and the texts
 * of /etc/xenolith. An image is only read by its guests, so that several may use one. The oldest go when there are many.
 */
#include "tools/image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/digest.h"
#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/image/archive.h"
#include "tools/image/package_set.h"
#include "tools/image/package_tree.h"
#include "tools/image/tree.h"

#define IMAGE_FORMAT "image 4"
#define CACHE_BYTES_MAX (12ull << 30)
#define BLOCK_BYTES 4096ull

static const char *const suffixes[] = {[IMAGE_DISK] = "ext4", [IMAGE_RAMDISK] = "cpio", [IMAGE_LINUX_RAMDISK] = "linux.cpio"};

/* What every Debian root needs for its programs to work, though no package says so: names of users and services, /bin/sh. */
static const char *const implied_packages[] = {"base-files", "base-passwd", "dash", "libc-bin", "netbase"};

static const char *const default_environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=linux"};

struct image {
    const struct image_request *request;
    char *package_tree; /* or NULL */
    char package_key[DIGEST_HEX_SIZE];
    struct text user;
    struct text arguments;
    struct text environment;
    struct text batch;
};

/* SRC:DST; DST is a path in the image, and names the copy itself unless it ends in a slash. */
static int add_split(const char *text, char **source, char **target)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || colon == text || colon[1] != '/')
        return report_error(0, "--add %s: SRC:DST is wanted, DST beginning with /", text);
    *source = text_join("%.*s", (int)(colon - text), text);
    size_t length = strlen(*source);
    while (length > 1 && (*source)[length - 1] == '/')
        (*source)[--length] = '\0';
    if (!file_exists(*source)) {
        report_error(-ENOENT, "--add %s", *source);
        free(*source);
        return -ENOENT;
    }
    if (colon[strlen(colon) - 1] == '/' && colon[2] != '\0')
        *target = text_join("%s%s", colon + 1, path_name(*source));
    else
        *target = text_copy(colon + 1);
    return 0;
}

static int packages_provide(struct image *image)
{
    const struct text_list *wanted = &image->request->packages;
    struct text_list names = {0};
    struct package_set set;

    if (wanted->count == 0)
        return 0;
    for (size_t i = 0; i < sizeof(implied_packages) / sizeof(implied_packages[0]); i++)
        text_list_add(&names, implied_packages[i]);
    for (size_t i = 0; i < wanted->count; i++)
        text_list_add(&names, wanted->items[i]);
    int error = package_set_resolve(&set, (const char *const *)names.items, NULL);
    if (error == 0) {
        memcpy(image->package_key, set.key, sizeof(set.key));
        error = package_tree_provide(&set, &image->package_tree);
    }
    package_set_free(&set);
    text_list_free(&names);
    return error;
}

/* A line of passwd: name:password:uid:gid:... */
static bool passwd_match(const char *line, const char *name, struct text *out)
{
    size_t length = strlen(name);
    unsigned uid;
    unsigned gid;

    if (strncmp(line, name, length) != 0 || line[length] != ':' || sscanf(line + length, ":%*[^:]:%u:%u", &uid, &gid) != 2)
        return false;
    text_format(out, "%u:%u", uid, gid);
    return true;
}

static int user_find(struct image *image)
{
    const char *user = image->request->user;
    struct text passwd = {0};
    char *rest = NULL;
    bool found = false;

    if (user == NULL || user[strspn(user, "0123456789:")] == '\0') {
        text_format(&image->user, "%s", user != NULL ? user : "0:0");
        return 0;
    }
    const char *root = image->package_tree != NULL ? image->package_tree
        : image->request->rootfs.count > 0         ? image->request->rootfs.items[0]
                                                   : "";
    char *path = text_join("%s/etc/passwd", root);
    file_read(path, &passwd);
    for (char *line = passwd.length > 0 ? strtok_r(passwd.bytes, "\n", &rest) : NULL; line != NULL && !found;
         line = strtok_r(NULL, "\n", &rest))
        found = passwd_match(line, user, &image->user);
    text_free(&passwd);
    free(path);
    return found ? 0 : report_error(0, "--user %s: the image's /etc/passwd has no such user; give a number, such as 1000:1000", user);
}

static bool environment_has(const struct text_list *list, const char *setting)
{
    size_t length = (size_t)(strchr(setting, '=') - setting) + 1;

    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->items[i], setting, length) == 0)
            return true;
    return false;
}

/* The texts of /etc/xenolith (docs/guest-contract.md). */
static int texts_make(struct image *image)
{
    const struct image_request *request = image->request;

    for (size_t i = 0; request->program != NULL && request->program[i] != NULL; i++)
        text_add(&image->arguments, request->program[i], strlen(request->program[i]) + 1);
    for (size_t i = 0; i < sizeof(default_environment) / sizeof(default_environment[0]); i++)
        if (!environment_has(&request->environment, default_environment[i]))
            text_add(&image->environment, default_environment[i], strlen(default_environment[i]) + 1);
    for (size_t i = 0; i < request->environment.count; i++) {
        const char *setting = request->environment.items[i];
        if (strchr(setting, '=') == NULL || setting[0] == '=')
            return report_error(0, "--env %s: NAME=VALUE is wanted", setting);
        text_add(&image->environment, setting, strlen(setting) + 1);
    }
    if (request->batch != NULL)
        batch_encode(request->batch, request->batch_from, &image->batch);
    return user_find(image);
}

/* Calls visit() with each --rootfs (target "") and each --add, in the order in which they lie over each other, until one fails. */
static int sources_visit(const struct image_request *request, int (*visit)(void *context, const char *source, const char *target), void *context)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < request->rootfs.count; i++)
        error = visit(context, request->rootfs.items[i], "");
    for (size_t i = 0; error == 0 && i < request->adds.count; i++) {
        char *source = NULL;
        char *target = NULL;
        error = add_split(request->adds.items[i], &source, &target);
        if (error < 0)
            break;
        error = visit(context, source, target);
        free(source);
        free(target);
    }
    return error;
}

static int source_refuse(int error, const char *source, const char *target)
{
    return report_error(error, "%s %s", target[0] != '\0' ? "--add" : "--rootfs", source);
}

static int source_digest(void *context, const char *source, const char *target)
{
    struct digest *digest = context;

    if (target[0] != '\0')
        digest_add_string(digest, target);
    int error = digest_add_tree_shape(digest, source);
    return error < 0 ? source_refuse(error, source, target) : 0;
}

static int key_make(const struct image *image, char key[DIGEST_HEX_SIZE])
{
    const struct image_request *request = image->request;
    struct digest digest;

    digest_start(&digest);
    digest_add_string(&digest, IMAGE_FORMAT);
    digest_add_string(&digest, image->package_tree != NULL ? path_name(image->package_tree) : "");
    int error = sources_visit(request, source_digest, &digest);
    const struct text *const texts[] = {&image->user, &image->arguments, &image->environment, &image->batch};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        digest_add(&digest, &texts[i]->length, sizeof(texts[i]->length));
        digest_add(&digest, text_string(texts[i]), texts[i]->length);
    }
    digest_add_string(&digest, request->directory != NULL ? request->directory : "/");
    digest_add_string(&digest, request->hostname != NULL ? request->hostname : "");
    digest_end(&digest, key);
    return error;
}

static int source_overlay(void *context, const char *source, const char *target)
{
    /* The file that SRC stands for, where SRC is a link to it. */
    char *real = path_absolute(source);
    char *place = text_join("%s%s", (const char *)context, target);

    int error = tree_overlay(real, place);
    free(place);
    free(real);
    return error;
}

static int texts_write(const struct image *image, const char *root)
{
    const struct image_request *request = image->request;
    const char *name = request->hostname != NULL ? request->hostname : "xenolith";

    int error = tree_write(root, "etc/xenolith/environment", text_string(&image->environment), image->environment.length);
    if (error == 0 && request->program != NULL)
        error = tree_write(root, "etc/xenolith/args", image->arguments.bytes, image->arguments.length);
    if (error == 0 && request->batch != NULL)
        error = tree_write(root, "etc/xenolith/batch", text_string(&image->batch), image->batch.length);
    if (error == 0)
        error = tree_write_string(root, "etc/xenolith/user", text_string(&image->user));
    if (error == 0)
        error = tree_write_string(root, "etc/xenolith/cwd", request->directory != NULL ? request->directory : "/");
    if (error == 0)
        error = tree_write_string(root, "etc/xenolith/hostname", name);
    if (error == 0) {
        char *line = text_join("%s\n", name);
        error = tree_write_string(root, "etc/hostname", line);
        free(line);
    }
    return error;
}

/* The places the guest's kernel mounts its own file systems on. */
static void mount_points_make(const char *root)
{
    static const char *const points[] = {"dev", "proc", "sys", "run", "tmp"};

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        char *path = text_join("%s/%s", root, points[i]);
        directory_make(path);
        if (strcmp(points[i], "tmp") == 0)
            chmod(path, 01777);
        free(path);
    }
}

static int image_write(const struct image *image, const char *parent, const char *root, const char *path)
{
    int error;

    switch (image->request->form) {
    case IMAGE_RAMDISK:
        error = tree_to_cpio(root, ".", path);
        return error < 0 ? error : archive_align(path);
    case IMAGE_LINUX_RAMDISK:
        return tree_to_cpio(parent, path_name(root), path);
    default:
        return tree_to_ext4(root, "root", path);
    }
}

static int image_build(const struct image *image, const char *path)
{
    char *parent = text_join("%s.%d.tree", path, (int)getpid());
    char *work = text_join("%s/root", parent);
    char *aside = text_join("%s.%d.new", path, (int)getpid());

    report_progress_start("building the root image");
    int error = directory_make(work);
    if (error < 0)
        report_error(error, "cannot make %s", work);
    if (error == 0 && image->package_tree != NULL)
        error = tree_overlay(image->package_tree, work);
    if (error == 0)
        error = sources_visit(image->request, source_overlay, work);
    if (error == 0) {
        mount_points_make(work);
        error = texts_write(image, work);
    }
    if (error == 0)
        error = image_write(image, parent, work, aside);
    if (error == 0 && rename(aside, path) < 0)
        error = report_error(-errno, "cannot rename %s", aside);
    unlink(aside);
    tree_remove(parent);
    report_progress_end();
    free(aside);
    free(work);
    free(parent);
    return error;
}

/* Removes the images unused for longest while all together are too large. */
static void images_prune(const char *directory)
{
    for (;;) {
        unsigned long long total = 0;
        struct timespec oldest_time = {0};
        char *oldest = NULL;
        struct dirent *entry;
        DIR *images = opendir(directory);
        while (images != NULL && (entry = readdir(images)) != NULL) {
            char *path = text_join("%s/%s", directory, entry->d_name);
            struct stat status;
            if (lstat(path, &status) == 0 && S_ISREG(status.st_mode)) {
                total += (unsigned long long)status.st_blocks * 512;
                if (oldest == NULL || status.st_mtim.tv_sec < oldest_time.tv_sec) {
                    free(oldest);
                    oldest = text_copy(path);
                    oldest_time = status.st_mtim;
                }
            }
            free(path);
        }
        if (images != NULL)
            closedir(images);
        bool again = total > CACHE_BYTES_MAX && oldest != NULL && unlink(oldest) == 0;
        free(oldest);
        if (!again)
            return;
    }
}

static int source_measure(void *context, const char *source, const char *target)
{
    struct tree_measure measure;
    uint64_t *bytes = context;
    char *real = path_absolute(source);

    int error = tree_measure(real, &measure);
    free(real);
    *bytes += measure.blocks * BLOCK_BYTES;
    return error < 0 ? source_refuse(error, source, target) : 0;
}

/* About what the files of --rootfs and --add take in memory; what packages bring is not in it. */
int image_measure(const struct image_request *request, uint64_t *bytes)
{
    *bytes = 0;
    return sources_visit(request, source_measure, bytes);
}

/* Gives the image's path, building it where needed; the caller frees the path and must not write the file. */
int image_provide(const struct image_request *request, char **path)
{
    struct image image = {.request = request};
    char key[DIGEST_HEX_SIZE];

    *path = NULL;
    char *directory = path_cache("images");
    int error = directory_make(directory);
    if (error < 0)
        report_error(error, "cannot make %s", directory);
    if (error == 0)
        error = packages_provide(&image);
    if (error == 0)
        error = texts_make(&image);
    if (error == 0)
        error = key_make(&image, key);
    if (error == 0) {
        *path = text_join("%s/%.32s.%s", directory, key, suffixes[request->form]);
        if (!file_exists(*path)) {
            images_prune(directory);
            error = image_build(&image, *path);
        } else
            utimensat(AT_FDCWD, *path, NULL, 0);
    }
    if (error < 0) {
        free(*path);
        *path = NULL;
    }
    text_free(&image.user);
    text_free(&image.arguments);
    text_free(&image.environment);
    text_free(&image.batch);
    free(image.package_tree);
    free(directory);
    return error;
}

void image_request_free(struct image_request *request)
{
    text_list_free(&request->packages);
    text_list_free(&request->rootfs);
    text_list_free(&request->adds);
    text_list_free(&request->environment);
    *request = (struct image_request){0};
}
