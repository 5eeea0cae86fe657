/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which Debian packages a list of names means, and their .deb files.
 *
 * apt resolves, against an empty status file and with a cache of our own, so that the answer does not depend on what this
 * machine has installed and no root rights are needed. The system's package lists are used where there are any; otherwise
 * (apt-get update was never run) lists are fetched into our cache. An answer is kept under cache/resolved/KEY, where KEY
 * covers the names and the state of the lists, since apt takes a second to give it.
 *
 * Packages of another release than this machine's come from the same archive, with lists and .debs under cache/apt-RELEASE.
 */
#include "tools/image/package_set.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"

#define SYSTEM_LISTS "/var/lib/apt/lists"
#define DEBIAN_KEYS "/usr/share/keyrings/debian-archive-keyring.gpg"

/* A place below apt's cache for this release; the caller frees it. */
static char *apt_cache(const char *release, const char *below)
{
    char *directory = release != NULL ? text_join("apt-%s/%s", release, below) : text_join("apt/%s", below);
    char *path = path_cache(directory);

    free(directory);
    return path;
}

static bool lists_present(const char *directory)
{
    char *pattern = text_join("%s/*_Packages*", directory);
    glob_t found = {0};
    bool present = glob(pattern, GLOB_NOSORT, NULL, &found) == 0 && found.gl_pathc > 0;

    globfree(&found);
    free(pattern);
    return present;
}

/* apt-get with our own state; more arguments are added by the caller. */
static void apt_command(struct text_list *command, const char *release, const char *lists, const char *archives)
{
    char *cache = apt_cache(release, "");

    text_list_add(command, "apt-get");
    text_list_format(command, "-oDir::Cache=%s", cache);
    text_list_format(command, "-oDir::Cache::archives=%s%s", cache, archives);
    if (release != NULL) {
        text_list_format(command, "-oDir::Etc::sourcelist=%ssources.list", cache);
        text_list_add(command, "-oDir::Etc::sourceparts=/dev/null");
        text_list_add(command, "-oDir::Etc::preferencesparts=/dev/null");
        text_list_add(command, "-oAPT::Default-Release=");
    }
    text_list_add(command, "-oDir::Cache::pkgcache=pkgcache.bin");
    text_list_add(command, "-oDir::Cache::srcpkgcache=");
    text_list_add(command, "-oDir::State::status=/dev/null");
    text_list_format(command, "-oDir::State::lists=%s", lists);
    text_list_add(command, "-oDebug::NoLocking=true");
    text_list_add(command, "-oAPT::Sandbox::User=root");
    text_list_add(command, "-oAPT::Keep-Downloaded-Packages=true");
    text_list_add(command, "-oAPT::Get::Show-User-Simulation-Note=false");
    text_list_add(command, "--no-install-recommends");
    text_list_add(command, "-y");
    free(cache);
}

/* Names the release's source: the archive that apt has first here for Debian's main component. */
static int release_source_write(const char *release)
{
    static const char *const arguments[] = {"apt-get", "indextargets", "--format", "$(COMPONENT) $(REPO_URI)", "Created-By: Packages", NULL};
    struct process_request request = {.arguments = arguments, .stdin_fd = -1};
    struct text targets = {0};
    struct text line = {0};

    int error = process_capture(&request, &targets) == 0 ? 0 : -EIO;
    const char *main_component = error == 0 ? strstr(text_string(&targets), "main ") : NULL;
    if (main_component == NULL) {
        text_free(&targets);
        return report_error(0, "apt has no archive with Debian's main component here; see sources.list(5)");
    }
    const char *address = main_component + strlen("main ");
    text_format(&line, "deb [signed-by=" DEBIAN_KEYS "] %.*s %s main\n", (int)strcspn(address, "\n"), address, release);
    char *path = apt_cache(release, "sources.list");
    error = file_write(path, line.bytes, line.length);
    if (error < 0)
        report_error(error, "cannot write %s", path);
    free(path);
    text_free(&line);
    text_free(&targets);
    return error;
}

/* The directory of package lists to use; the caller frees it. NULL after a message. */
static char *lists_choose(const char *release)
{
    struct text_list command = {0};
    int error = 0;

    if (release == NULL && lists_present(SYSTEM_LISTS))
        return text_copy(SYSTEM_LISTS);
    char *lists = apt_cache(release, "lists");
    if (lists_present(lists))
        return lists;
    report_progress_start("fetching the lists of Debian packages%s%s", release != NULL ? " of " : "", release != NULL ? release : "");
    char *partial = text_join("%s/partial", lists);
    directory_make(partial);
    free(partial);
    if (release != NULL)
        error = release_source_write(release);
    apt_command(&command, release, lists, "archives");
    text_list_add(&command, "update");
    struct process_request request = {.arguments = (const char *const *)command.items};
    if (error == 0)
        error = process_run_quietly(&request, "fetching the package lists");
    text_list_free(&command);
    report_progress_end();
    if (error == 0)
        return lists;
    free(lists);
    return NULL;
}

static void resolution_key(const char *const *names, const char *lists, char key[DIGEST_HEX_SIZE])
{
    struct digest digest;
    struct stat status = {0};

    digest_start(&digest);
    digest_add_string(&digest, "resolution 2");
    for (size_t i = 0; names[i] != NULL; i++)
        digest_add_string(&digest, names[i]);
    digest_add_string(&digest, lists);
    if (stat(lists, &status) == 0)
        digest_add(&digest, &status.st_mtim, sizeof(status.st_mtim));
    digest_add_tree_shape(&digest, "/etc/apt/sources.list.d");
    digest_add_tree_shape(&digest, "/etc/apt/preferences.d");
    if (file_exists("/etc/apt/sources.list"))
        digest_add_file(&digest, "/etc/apt/sources.list");
    digest_end(&digest, key);
}

/* apt's lines 'URI' FILE SIZE HASH become lines "FILE SIZE". */
static void uris_parse(char *text, struct text *out)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *quote = line[0] == '\'' ? strchr(line + 1, '\'') : NULL;
        char *end = quote != NULL ? strchr(quote + 2, ' ') : NULL;
        end = end != NULL ? strchr(end + 1, ' ') : NULL;
        if (end != NULL)
            text_format(out, "%.*s\n", (int)(end - quote - 2), quote + 2);
    }
}

static int resolve_by_apt(const char *const *names, const char *release, const char *lists, struct text *out)
{
    struct text_list command = {0};
    struct text answer = {0};

    /* apt prints only what its archives lack, so it is shown some that are always empty. */
    char *partial = apt_cache(release, "empty/partial");
    int error = directory_make(partial);
    free(partial);
    if (error < 0)
        return report_error(error, "cannot make the package cache");
    apt_command(&command, release, lists, "empty");
    text_list_add(&command, "--print-uris");
    text_list_add(&command, "install");
    for (size_t i = 0; names[i] != NULL; i++)
        text_list_add(&command, names[i]);
    struct process_request request = {.arguments = (const char *const *)command.items, .stdin_fd = -1};
    int status = process_capture(&request, &answer);
    if (status == 0)
        uris_parse(answer.bytes, out);
    else
        error = report_error(0, "apt-get cannot find these packages with all they need (its words are above); "
                                "if a name is right, refresh the lists: apt-get update");
    text_list_free(&command);
    text_free(&answer);
    return error;
}

static void set_fill(struct package_set *set, char *lines)
{
    struct digest digest;
    char *rest = NULL;
    char *archives = apt_cache(set->release, "archives");

    digest_start(&digest);
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        digest_add_string(&digest, line);
        *strchrnul(line, ' ') = '\0';
        text_list_format(&set->files, "%s/%s", archives, line);
    }
    digest_end(&digest, set->key);
    free(archives);
}

/* Finds the packages that names (NULL-terminated) mean. Nothing is downloaded yet. release is kept, not copied. */
int package_set_resolve(struct package_set *set, const char *const *names, const char *release)
{
    char key[DIGEST_HEX_SIZE];
    struct text lines = {0};

    *set = (struct package_set){.release = release};
    for (size_t i = 0; names[i] != NULL; i++)
        text_list_add(&set->names, names[i]);
    char *lists = lists_choose(release);
    if (lists == NULL)
        return -EIO;
    resolution_key(names, lists, key);
    char *below = text_join("resolved/%s", key);
    char *kept = path_cache(below);
    int error = file_read(kept, &lines);
    if (error < 0) {
        report_progress_start("resolving Debian packages");
        error = resolve_by_apt(names, release, lists, &lines);
        report_progress_end();
        char *directory = path_cache("resolved");
        if (error == 0 && (error = directory_make(directory)) == 0)
            error = file_write(kept, lines.bytes, lines.length);
        free(directory);
    }
    if (error == 0 && lines.length > 0)
        set_fill(set, lines.bytes);
    text_free(&lines);
    free(below);
    free(kept);
    free(lists);
    return error;
}

/* Downloads what is not in the cache yet. */
int package_set_fetch(const struct package_set *set)
{
    struct text_list command = {0};
    size_t missing = 0;

    for (size_t i = 0; i < set->files.count; i++)
        missing += !file_exists(set->files.items[i]);
    if (missing == 0)
        return 0;
    char *lists = lists_choose(set->release);
    if (lists == NULL)
        return -EIO;
    report_progress_start("fetching %zu Debian packages", missing);
    char *partial = apt_cache(set->release, "archives/partial");
    int error = directory_make(partial);
    free(partial);
    apt_command(&command, set->release, lists, "archives");
    text_list_add(&command, "--download-only");
    text_list_add(&command, "install");
    for (size_t i = 0; i < set->names.count; i++)
        text_list_add(&command, set->names.items[i]);
    struct process_request request = {.arguments = (const char *const *)command.items};
    if (error == 0)
        error = process_run_quietly(&request, "fetching packages");
    report_progress_end();
    for (size_t i = 0; error == 0 && i < set->files.count; i++)
        if (!file_exists(set->files.items[i]))
            error = report_error(0, "apt-get did not leave %s; remove the directory's partial files and try again",
                set->files.items[i]);
    text_list_free(&command);
    free(lists);
    return error;
}

void package_set_free(struct package_set *set)
{
    text_list_free(&set->files);
    text_list_free(&set->names);
    *set = (struct package_set){0};
}
