/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user may ask of a guest, and the checks of it: every refusal names the thing and says what would be right.
 */
#include "tools/guest/guest_request.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

#define NAME_LENGTH_MAX 48
/* The hypervisor's start_info holds 1024 bytes; what is longer would be cut silently. */
#define CMDLINE_LENGTH_MAX 1023

void guest_request_init(struct guest_request *request, const char *name_prefix)
{
    uint32_t random = (uint32_t)getpid();

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint32_t)getpid();
    *request = (struct guest_request){.type = "pv", .cmdline = "", .memory_mib = 64, .vcpus = 1};
    request->name = text_join("%s-%06x", name_prefix, random & 0xffffff);
}

static bool name_is_good(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_LENGTH_MAX || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
            return false;
    return !isdigit((unsigned char)name[0]); /* xl would take it for a domain's number */
}

static int file_check(const char *path, const char *what)
{
    if (access(path, R_OK) < 0)
        return report_error(-errno, "the %s %s", what, path);
    return 0;
}

int guest_request_check(const struct guest_request *request)
{
    struct guest_publish publish;
    struct guest_disk disk;
    int error = 0;

    if (!name_is_good(request->name))
        return report_error(0, "%s is no name for a guest: letters, digits, '.', '_', '-', at most %d, a letter first",
            request->name, NAME_LENGTH_MAX);
    if (strcmp(request->type, "pv") != 0 && strcmp(request->type, "pvh") != 0)
        return report_error(0, "--type %s: it is pv or pvh", request->type);
    if (request->memory_mib < 1 || request->memory_mib > 1024 * 1024)
        return report_error(0, "%ld MiB of memory cannot be", request->memory_mib);
    if (request->vcpus < 1 || request->vcpus > 128)
        return report_error(0, "--vcpus %ld: between 1 and 128", request->vcpus);
    if (strlen(request->cmdline) > CMDLINE_LENGTH_MAX)
        return report_error(0, "the kernel's command line has %zu bytes; Xen carries %d", strlen(request->cmdline),
            CMDLINE_LENGTH_MAX);
    if (file_check(request->kernel, "kernel") < 0 ||
        (request->ramdisk != NULL && file_check(request->ramdisk, "ramdisk") < 0))
        return -ENOENT;
    for (size_t i = 0; error == 0 && i < request->publish.count; i++)
        error = guest_publish_parse(request->publish.items[i], &publish);
    for (size_t i = 0; error == 0 && i < request->disks.count; i++) {
        error = guest_disk_parse(request->disks.items[i], &disk);
        if (error == 0 && access(disk.path, disk.writable ? R_OK | W_OK : R_OK) < 0)
            error = report_error(-errno, "the disk %s", disk.path);
        free(disk.path);
    }
    return error;
}

/* "64M", "1G", or a number of MiB. */
int guest_memory_parse(const char *text, long *mib)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*end == 'G' || *end == 'g')
        value *= 1024;
    else if (*end == 'K' || *end == 'k')
        value /= 1024;
    else if (*end != 'M' && *end != 'm' && *end != '\0')
        value = 0;
    if (end == text || value <= 0 || (*end != '\0' && end[1] != '\0'))
        return report_error(0, "--memory %s: a size such as 64M or 1G is wanted", text);
    *mib = value;
    return 0;
}

int guest_publish_parse(const char *text, struct guest_publish *out)
{
    char host[16] = "";
    const char *colon = strchr(text, ':');
    char guest[16] = "";

    out->protocol = "tcp";
    if (colon != NULL && (size_t)(colon - text) < sizeof(host)) {
        memcpy(host, text, (size_t)(colon - text));
        const char *slash = strchrnul(colon, '/');
        if ((size_t)(slash - colon - 1) < sizeof(guest))
            memcpy(guest, colon + 1, (size_t)(slash - colon - 1));
        if (strcmp(slash, "/udp") == 0)
            out->protocol = "udp";
        else if (*slash != '\0' && strcmp(slash, "/tcp") != 0)
            guest[0] = '\0';
    }
    if (text_number(host, 1, 65535, &out->host_port) < 0 || text_number(guest, 1, 65535, &out->guest_port) < 0)
        return report_error(0, "--publish %s: HOST:GUEST port numbers are wanted, such as 8080:80 or 5353:53/udp", text);
    return 0;
}

int guest_disk_parse(const char *text, struct guest_disk *out)
{
    size_t length = strlen(text);
    bool suffix = length > 2 && text[length - 2] == ':' && strchr("rw", text[length - 1]) != NULL;
    char *path = text_join("%.*s", (int)(suffix ? length - 2 : length), text);

    out->writable = !suffix || text[length - 1] == 'w';
    out->path = path_absolute(path);
    free(path);
    return 0;
}

void guest_request_free(struct guest_request *request)
{
    free(request->name);
    text_list_free(&request->disks);
    text_list_free(&request->publish);
    *request = (struct guest_request){0};
}
