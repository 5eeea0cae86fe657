/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading /etc/xenolith: lists whose elements end with a NUL byte each. The image is not trusted to be well made: a missing
 * last NUL is added, other faults are told by file. The command line's words go before the files.
 */
#include "kernel/boot/program_settings.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/frame_number.h"
#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "kernel/linux/system_names.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/path.h"
#include "kernel/vm/page_cache.h"

#define SETTINGS_BYTES_LIMIT (1u << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum settings_file { BATCH, ARGUMENTS, ENVIRONMENT, USER, DIRECTORY, HOST_NAME, FILE_COUNT };

static const char *const file_names[FILE_COUNT] = {"batch", "args", "environment", "user", "cwd", "hostname"};
static struct file *files[FILE_COUNT]; /* NULL: there is none, or it was read */

/* Opens what there is, and has it read: the disk's answers come together. */
static void files_open(const struct fs_context *context)
{
    char path[64];

    for (unsigned int i = 0; i < FILE_COUNT; i++) {
        format_string(path, sizeof(path), "/etc/xenolith/%s", file_names[i]);
        int error = file_open(context, NULL, path, FILE_READ_ONLY, 0, &files[i]);
        if (error != 0) {
            files[i] = NULL;
            if (error != -ENOENT && error != -ENOTDIR)
                log_error("%s: error %d", path, error);
        } else if (files[i]->inode && (files[i]->inode->mode & MODE_TYPE) == MODE_REGULAR) {
            page_cache_read_ahead(&files[i]->inode->cache, 0, 1);
        }
    }
}

static void files_close(void)
{
    for (unsigned int i = 0; i < FILE_COUNT; i++) {
        if (files[i])
            file_release(files[i]);
        files[i] = NULL;
    }
}

/* The file's bytes and one NUL more; *bytes without it. NULL: no such file (or an error, which is told). Once for each. */
static char *file_take_whole(enum settings_file which, size_t *bytes)
{
    struct file *file = files[which];

    if (file == NULL)
        return NULL;
    files[which] = NULL;
    uint64_t size = file->inode ? file->inode->size_bytes : 0;
    char *text = size < SETTINGS_BYTES_LIMIT ? memory_allocate(size + 1) : NULL;
    long count = text ? file_read_kernel(file, text, size, 0) : -E2BIG;
    file_release(file);
    if (count < 0) {
        log_error("/etc/xenolith/%s: cannot be read: error %ld", file_names[which], count);
        memory_free(text);
        return NULL;
    }
    text[count] = '\0';
    *bytes = (size_t)count;
    return text;
}

/* The elements of a list as a NULL-ended array that points into it. `more` places are left at the end. NULL: out of memory. */
static char **list_split(char *text, size_t bytes, size_t more)
{
    size_t count = 0, place = 0;

    for (size_t i = 0; i < bytes; i++)
        count += text[i] == '\0' || i + 1 == bytes;
    char **list = memory_allocate_zeroed((count + more + 1) * sizeof(*list));
    for (size_t i = 0; list && i < bytes; i += strlen(text + i) + 1)
        list[place++] = text + i;
    return list;
}

/* A batch: lists of words, each list ending with one NUL more. */
static char ***batch_split(char *text, size_t bytes)
{
    size_t count = 0, place = 0;

    for (size_t i = 0; i < bytes; i++)
        count += text[i] == '\0' && (i + 1 >= bytes || text[i + 1] == '\0');
    char ***batch = memory_allocate_zeroed((count + 2) * sizeof(*batch));
    for (size_t i = 0; batch && i < bytes;) {
        size_t end = i;
        while (end < bytes && text[end] != '\0')
            end += strlen(text + end) + 1;
        if (end > i)
            batch[place++] = list_split(text + i, minimum(end, bytes) - i, 0);
        i = end + 1;
    }
    return batch;
}

static int environment_read(struct program_settings *settings)
{
    size_t bytes = 0, more = 0, cursor = 0;
    const char *value;
    char *text = file_take_whole(ENVIRONMENT, &bytes);

    while (command_line_next("env", &cursor))
        more++;
    settings->environment = list_split(text ? text : (char[1]){ 0 }, bytes, more + 1);
    if (settings->environment == NULL)
        return -ENOMEM;
    size_t place = 0;
    while (settings->environment[place])
        place++;
    if (place == 0 && more == 0)
        settings->environment[place++] = (char *)(uintptr_t) "PATH=" DEFAULT_PATH;
    for (cursor = 0; (value = command_line_next("env", &cursor)) != NULL;)
        settings->environment[place++] = (char *)(uintptr_t)value;
    return 0;
}

static int ids_read(const char *text, struct program_settings *settings)
{
    size_t length = strcspn(text, ":\n");
    uint64_t uid, gid = 0;

    int error = parse_unsigned(text, length, 10, &uid);
    if (error == 0 && text[length] == ':')
        error = parse_unsigned(text + length + 1, strcspn(text + length + 1, "\n"), 10, &gid);
    if (error != 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) {
        log_error("user: %s is no UID or UID:GID", text);
        return -EINVAL;
    }
    settings->uid = (uint32_t)uid;
    settings->gid = (uint32_t)gid;
    return 0;
}

/* A word of the command line, or the one line of a file; NULL where neither is. */
static const char *line_read(const char *word, enum settings_file file)
{
    const char *value = command_line_value(word);
    size_t bytes;

    if (value)
        return value;
    char *text = file_take_whole(file, &bytes);
    if (text)
        text[strcspn(text, "\n")] = '\0';
    return text && *text ? text : NULL;
}

static void arguments_read(struct program_settings *settings)
{
    size_t count, bytes;
    char *text;

    char *const *words = command_line_arguments(&count);
    if (count != 0) {
        settings->arguments = (char **)(uintptr_t)words;
    } else if (command_line_value("init")) {
        static char *init[2];
        init[0] = (char *)(uintptr_t)command_line_value("init");
        settings->arguments = init;
    } else if ((text = file_take_whole(BATCH, &bytes)) != NULL) {
        settings->batch = batch_split(text, bytes);
    } else if ((text = file_take_whole(ARGUMENTS, &bytes)) != NULL && bytes != 0) {
        settings->arguments = list_split(text, bytes, 0);
    }
}

static int settings_read(struct program_settings *settings)
{
    arguments_read(settings);
    int error = environment_read(settings);
    if (error != 0)
        return error;
    const char *user = line_read("user", USER);
    if (user && (error = ids_read(user, settings)) != 0)
        return error;
    settings->directory = line_read("workdir", DIRECTORY);
    const char *host = line_read("hostname", HOST_NAME);
    if (host && system_name_set(SYSTEM_NAME_NODE, host, strlen(host)) != 0)
        log_warning("hostname: %s is too long", host);
    return 0;
}

int program_settings_read(const struct fs_context *context, struct program_settings *settings)
{
    *settings = (struct program_settings){ .uid = 0 };
    files_open(context);
    int error = settings_read(settings);
    files_close();
    return error;
}

static const char *path_variable(const struct program_settings *settings)
{
    for (char **variable = settings->environment; *variable; variable++)
        if (strncmp(*variable, "PATH=", 5) == 0)
            return *variable + 5;
    return DEFAULT_PATH;
}

int program_settings_find(const struct fs_context *context, const struct program_settings *settings, const char *name,
                          char *buffer, size_t size_bytes)
{
    if (strchr(name, '/')) {
        int length = format_string(buffer, size_bytes, "%s", name);
        return (size_t)length < size_bytes ? 0 : -ENAMETOOLONG;
    }
    for (const char *from = path_variable(settings), *end; from; from = *end ? end + 1 : NULL) {
        struct path path;
        end = from + strcspn(from, ":");
        int length = format_string(buffer, size_bytes, "%.*s/%s", (int)(end - from), from, name);
        if ((size_t)length >= size_bytes || path_lookup(context, NULL, buffer, PATH_FOLLOW, &path) != 0)
            continue;
        path_release(&path);
        return 0;
    }
    return -ENOENT;
}
