/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guests/NAME/: one directory for each guest, in the lab's share (or /run/xenolith on a Xen host).
 *
 *   record       what was plugged in and forwarded for it, written as it is done, so that anyone can undo it
 *   owner        locked by the tool that runs the guest in the foreground
 *   released     there when all of record has been undone
 *   guest.cfg, kernel, ramdisk, System.map     what it was started from
 *   console.log, result, watcher.log           what it left (written by xenolith-guest)
 *
 * A tool that dies leaves record without released and the lock free: the next tool finds and undoes it.
 */
#include "tools/guest/guest_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

char *guest_record_path(const struct guest_record *record, const char *file)
{
    return text_join("%s/%s", record->directory, file);
}

static int owner_lock(struct guest_record *record, const char *directory)
{
    char *path = text_join("%s/owner", directory);
    record->owner_fd = file_lock(path, false);
    free(path);
    return record->owner_fd < 0 ? record->owner_fd : 0;
}

/*
 * Makes the directory of a new guest. A former guest's is replaced, a living one's refused. It is made aside and renamed when
 * it is locked, so that a sweep never meets it without its owner.
 */
int guest_record_create(struct guest_record *record, const char *guests, const char *name)
{
    *record = (struct guest_record){.directory = text_join("%s/%s", guests, name), .owner_fd = -1};
    if (file_exists(record->directory)) {
        if (!guest_record_released(record))
            return report_error(0, "a guest named %s is there already; stop it (xenolith stop %s) or choose another --name", name,
                name);
        tree_remove(record->directory);
    }
    char *aside = text_join("%s/.%s.%d", guests, name, (int)getpid());
    int error = directory_make(guests);
    if (error == 0 && mkdir(aside, 0755) < 0)
        error = -errno;
    if (error == 0)
        error = owner_lock(record, aside);
    if (error == 0 && rename(aside, record->directory) < 0)
        error = -errno;
    free(aside);
    return error < 0 ? report_error(error, "cannot make %s", record->directory) : 0;
}

/* A guest that may still be alive. Returns -EBUSY (and no lock) when a tool in the foreground cares for it. */
int guest_record_open(struct guest_record *record, const char *guests, const char *name)
{
    *record = (struct guest_record){.directory = text_join("%s/%s", guests, name), .owner_fd = -1};
    if (!file_exists(record->directory))
        return -ENOENT;
    return owner_lock(record, record->directory) < 0 ? -EBUSY : 0;
}

/* Adds a line to the record, before the thing it tells of is done. */
int guest_record_note(const struct guest_record *record, const char *format, ...)
{
    struct text line = {0};
    va_list arguments;
    char buffer[1024];

    va_start(arguments, format);
    vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    text_format(&line, "%s\n", buffer);
    char *path = guest_record_path(record, "record");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int error = fd < 0 || write(fd, line.bytes, line.length) != (ssize_t)line.length ? -errno : 0;
    if (error < 0)
        report_error(error, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    text_free(&line);
    free(path);
    return error;
}

void guest_facts_parse(struct guest_facts *facts, struct text *text)
{
    char *rest = NULL;

    for (char *line = text->length > 0 ? strtok_r(text->bytes, "\n", &rest) : NULL; line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        text_list_add(&facts->keys, line);
        text_list_add(&facts->values, equals + 1);
    }
}

/* Reads record or result. A file that is not there is an empty one. */
int guest_record_facts(const struct guest_record *record, const char *file, struct guest_facts *out)
{
    char *path = guest_record_path(record, file);
    struct text text = {0};

    *out = (struct guest_facts){0};
    int error = file_read(path, &text);
    if (error == 0)
        guest_facts_parse(out, &text);
    text_free(&text);
    free(path);
    return error == -ENOENT ? 0 : error;
}

bool guest_record_released(const struct guest_record *record)
{
    char *path = guest_record_path(record, "released");
    bool released = file_exists(path);

    free(path);
    return released;
}

void guest_record_released_set(const struct guest_record *record)
{
    char *path = guest_record_path(record, "released");

    file_write_string(path, "");
    free(path);
}

void guest_record_close(struct guest_record *record)
{
    if (record->owner_fd >= 0)
        close(record->owner_fd);
    free(record->directory);
    *record = (struct guest_record){.owner_fd = -1};
}

/* The value of the first line with this key, or NULL. */
const char *guest_fact(const struct guest_facts *facts, const char *key)
{
    for (size_t i = 0; i < facts->keys.count; i++)
        if (strcmp(facts->keys.items[i], key) == 0)
            return facts->values.items[i];
    return NULL;
}

void guest_facts_free(struct guest_facts *facts)
{
    text_list_free(&facts->keys);
    text_list_free(&facts->values);
}
