/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's hypervisor, dom0 kernel and dom0 disk: built once, kept by content.
 *
 * cache/lab/KEY/ holds xen, vmlinuz, initramfs.gz, dom0.img, made by dom0/make-image.sh from Debian packages. KEY covers the
 * versions of all packages and the script, so that an update of either makes a new image; older ones of the same Xen are removed then.
 * Two builders at once are kept apart by a lock file; a half-made image is never seen (made aside, renamed).
 */
#include "tools/lab/lab_image.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/base/digest.h"
#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/image/package_set.h"

/* The first is what the lab has where nothing is asked for. Others bring what a compiler needs, as our programs for dom0 must be linked
 * against the libraries there (make-helpers.sh). */
static const struct lab_xen xens[] = {{"4.17", NULL}, {"4.14", "bullseye"}, {"4.20", "trixie"}};

static const char *const dom0_packages[] = {
    "linux-image-amd64",
    "xen-utils-common",
    "xenstore-utils",
    "busybox-static",
    "bash",
    "coreutils",
    "dash",
    "libc-bin",
    "util-linux",
    "iproute2",
    "kmod",
    "e2fsprogs",
    "socat",
    "ethtool",
    "tcpdump",
    "strace",
    "gdb-minimal",
    "python3",
    "iptables",
    "iputils-ping",
    "curl",
    NULL,
};

/* NULL gives the default; of an unknown version NULL is returned, after a message. */
const struct lab_xen *lab_xen_find(const char *version)
{
    for (size_t i = 0; i < sizeof(xens) / sizeof(xens[0]); i++)
        if (version == NULL || strcmp(version, xens[i].version) == 0)
            return &xens[i];
    report_error(0, "there is no lab with Xen %s: 4.14, 4.17 or 4.20", version);
    return NULL;
}

static int packages_find(struct package_set *set, const struct lab_xen *xen)
{
    struct text_list names = {0};

    text_list_format(&names, "xen-hypervisor-%s-amd64", xen->version);
    text_list_format(&names, "xen-utils-%s", xen->version);
    if (xen->release != NULL) {
        text_list_add(&names, "libxen-dev");
        text_list_add(&names, "libc6-dev");
    }
    for (size_t i = 0; dom0_packages[i] != NULL; i++)
        text_list_add(&names, dom0_packages[i]);
    int error = package_set_resolve(set, (const char *const *)names.items, xen->release);
    text_list_free(&names);
    return error;
}

static void image_key(const struct package_set *packages, const char *script, char key[DIGEST_HEX_SIZE])
{
    struct digest digest;

    digest_start(&digest);
    digest_add_string(&digest, packages->key);
    digest_add_file(&digest, script);
    digest_end(&digest, key);
    key[24] = '\0';
}

static int image_build(const struct package_set *packages, const char *script, const char *directory)
{
    struct text list = {0};
    char *aside = text_join("%s.%d.new", directory, (int)getpid());
    char *list_file = text_join("%s/packages", aside);

    int error = package_set_fetch(packages);
    if (error < 0)
        goto out;
    error = directory_make(aside);
    if (error < 0) {
        report_error(error, "cannot make %s", aside);
        goto out;
    }
    for (size_t i = 0; i < packages->files.count; i++)
        text_format(&list, "%s\n", packages->files.items[i]);
    error = file_write(list_file, list.bytes, list.length);
    report_progress_start("building the lab's dom0 from %zu packages", packages->files.count);
    const char *arguments[] = {"sh", script, list_file, aside, NULL};
    struct process_request request = {.arguments = arguments, .map_to_root = true};
    if (error == 0)
        error = process_run_quietly(&request, "building the lab's dom0");
    report_progress_end();
    if (error == 0 && rename(aside, directory) < 0)
        error = report_error(-errno, "cannot rename %s", aside);
    if (error < 0)
        tree_remove(aside);
out:
    text_free(&list);
    free(list_file);
    free(aside);
    return error;
}

/* Removes images of former keys, which nothing will ask for again; a lab that still runs from one keeps its open files. */
static void images_prune(const char *cache, const char *key)
{
    struct dirent *entry;
    DIR *directory = opendir(cache);

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' || entry->d_type != DT_DIR || strcmp(entry->d_name, key) == 0)
            continue;
        char *path = text_join("%s/%s", cache, entry->d_name);
        tree_remove(path);
        free(path);
    }
    closedir(directory);
}

static int tools_check(void)
{
    static const char *const needed[][2] = {{"apt-get", "apt"}, {"dpkg-deb", "dpkg"}, {"depmod", "kmod"},
        {"cpio", "cpio"}, {"tar", "tar"},
        {"xz", "xz-utils"}, {"mke2fs", "e2fsprogs"}};

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!program_exists(needed[i][0]))
            return report_error(0, "%s is needed to build the lab's dom0; install the package %s", needed[i][0], needed[i][1]);
    return 0;
}

/* Gives the directory with the image's files, building them where needed; the caller frees the name. */
int lab_image_provide(const struct lab_xen *xen, char **directory)
{
    struct package_set packages = {0};
    char key[DIGEST_HEX_SIZE];
    char *name = xen->release != NULL ? text_join("lab-%s", xen->version) : text_copy("lab");
    char *cache = path_cache(name);
    char *script = install_data("tools/lab/dom0/make-image.sh");
    char *lock_file = text_join("%s/lock", cache);

    *directory = NULL;
    int lock_fd = -1;
    int error = tools_check();
    if (error == 0 && (error = directory_make(cache)) < 0)
        report_error(error, "cannot make the cache %s", cache);
    if (error == 0)
        error = packages_find(&packages, xen);
    if (error < 0)
        goto out;
    image_key(&packages, script, key);
    *directory = text_join("%s/%s", cache, key);
    lock_fd = file_lock(lock_file, true);
    if (!file_exists(*directory)) {
        error = image_build(&packages, script, *directory);
        if (error == 0)
            images_prune(cache, key);
    }
out:
    if (lock_fd >= 0)
        close(lock_fd);
    package_set_free(&packages);
    free(lock_file);
    free(script);
    free(cache);
    free(name);
    if (error < 0) {
        free(*directory);
        *directory = NULL;
    }
    return error;
}
