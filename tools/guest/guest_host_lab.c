/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests in the lab.
 *
 * Disks: the file is plugged into QEMU as a SCSI disk while the lab runs, and dom0's blkback serves that to the guest. Reads and
 * writes so go to the user's own file, through one layer less than a loop device over 9p.
 * Network: QEMU's user network, which reaches the guests themselves: dom0 routes to xenbr0 and answers ARP for it. A guest's
 * address is told by its MAC (dom0/start), so a forward can be made before the guest runs.
 */
#include "tools/guest/guest_host.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools/base/digest.h"
#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/report.h"
#include "tools/lab/channel.h"
#include "tools/lab/monitor.h"

#define ADDRESS_FIRST 130
#define ADDRESS_LAST 254

static const char *const helpers[] = {"xenolith-guest", "xenolith-hotplug"};

#define HELPERS_COUNT (sizeof(helpers) / sizeof(helpers[0]))

/* In dom0: the programs are run from memory, since each page of them costs milliseconds over 9p. */
static const char local_copy[] = "key=$1; shift; cd /run/xenolith/tools/$key 2> /dev/null || {\n"
                                 "new=/run/xenolith/tools/$key.$$; mkdir -p $new && cp /share/tools/$key/* $new/ && chmod 755 $new/*;\n"
                                 "mv -T $new /run/xenolith/tools/$key 2> /dev/null || rm -rf $new; }\n"
                                 "exec /run/xenolith/tools/$key/xenolith-guest \"$@\"";

/* The caller frees it. */
static char *helper_program(const struct guest_host *host, const char *name)
{
    return host->lab.helpers != NULL ? text_join("%s/%s", host->lab.helpers, name) : install_program("dom0-agent", name);
}

static int helper_copy(const struct guest_host *host, const char *directory, const char *name)
{
    char *program = helper_program(host, name);
    char *place = text_join("%s/%s", directory, name);
    char *aside = text_join("%s.%d", place, (int)getpid());
    int error = 0;

    if (!file_exists(place)) {
        error = file_copy(program, aside);
        if (error == 0 && rename(aside, place) < 0)
            error = -errno;
        if (error < 0)
            report_error(error, "cannot put %s into the lab's share", program);
    }
    free(aside);
    free(place);
    free(program);
    return error;
}

/*
 * Puts what dom0 runs into the share, under a name made of its contents: build trees that share the lab may have different ones.
 */
static int helper_provide(struct guest_host *host, struct text_list *command)
{
    char key[DIGEST_HEX_SIZE];
    struct digest digest;
    int error = 0;

    digest_start(&digest);
    for (size_t i = 0; error == 0 && i < HELPERS_COUNT; i++) {
        char *program = helper_program(host, helpers[i]);
        error = digest_add_file(&digest, program);
        if (error < 0)
            report_error(error, "%s, a part of this tool", program);
        free(program);
    }
    digest_end(&digest, key);
    key[16] = '\0';
    char *directory = text_join("%s/tools/%s", host->lab.share, key);
    if (error == 0 && (error = directory_make(directory)) < 0)
        report_error(error, "cannot make %s", directory);
    for (size_t i = 0; error == 0 && i < HELPERS_COUNT; i++)
        error = helper_copy(host, directory, helpers[i]);
    free(host->helpers_inside);
    host->helpers_inside = text_join("/run/xenolith/tools/%s", key);
    text_list_add(command, "sh");
    text_list_add(command, "-c");
    text_list_add(command, local_copy);
    text_list_add(command, "xenolith-guest");
    text_list_add(command, key);
    free(directory);
    return error;
}

static int monitor_object(struct guest_host *host, const char *command, struct json_object *arguments)
{
    int error = monitor_command(host->lab.qmp_socket, command, json_object_to_json_string(arguments));

    json_object_put(arguments);
    return error;
}

static struct json_object *object_of(const char *key, const char *value)
{
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, key, json_object_new_string(value));
    return object;
}

static int block_add(struct guest_host *host, const char *serial, const struct guest_disk *disk)
{
    struct json_object *file = object_of("driver", "file");
    struct json_object *node = object_of("driver", "raw");
    struct json_object *cache = json_object_new_object();

    json_object_object_add(file, "filename", json_object_new_string(disk->path));
    json_object_object_add(file, "read-only", json_object_new_boolean(!disk->writable));
    json_object_object_add(cache, "no-flush", json_object_new_boolean(0));
    json_object_object_add(node, "file", file);
    json_object_object_add(node, "node-name", json_object_new_string(serial));
    json_object_object_add(node, "read-only", json_object_new_boolean(!disk->writable));
    json_object_object_add(node, "discard", json_object_new_string("unmap"));
    json_object_object_add(node, "cache", cache);
    return monitor_object(host, "blockdev-add", node);
}

/*
 * At a target of its own choice, most likely one that was never used: dom0's kernel does not look anew at a target whose disk
 * was pulled without its knowledge.
 */
static int device_add(struct guest_host *host, const char *serial)
{
    int error = -EBUSY;

    for (int tries = 0; error < 0 && tries < 16; tries++) {
        struct json_object *device = object_of("driver", "scsi-hd");
        uint8_t target = 0;
        if (getrandom(&target, sizeof(target), 0) != sizeof(target) || target == 255)
            target = (uint8_t)tries;
        json_object_object_add(device, "id", json_object_new_string(serial));
        json_object_object_add(device, "drive", json_object_new_string(serial));
        json_object_object_add(device, "serial", json_object_new_string(serial));
        json_object_object_add(device, "bus", json_object_new_string("disks.0"));
        json_object_object_add(device, "scsi-id", json_object_new_int(target));
        error = monitor_command_quietly(host->lab.qmp_socket, "device_add", json_object_to_json_string(device));
        json_object_put(device);
    }
    return error;
}

static int disk_plug(struct guest_host *host, const struct guest_record *record, const struct guest_disk *disk, const char *device,
    struct text *element, struct text_list *helper_arguments)
{
    uint32_t random[2];
    char serial[20];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return report_error(-errno, "no random bytes for the disk's serial number");
    snprintf(serial, sizeof(serial), "xl%08x%08x", random[0], random[1]);
    int error = guest_record_note(record, "disk=%s", serial);
    if (error == 0)
        error = block_add(host, serial, disk);
    if (error == 0)
        error = device_add(host, serial);
    if (error < 0)
        return report_error(0, "cannot plug the disk %s into the lab", disk->path);
    text_format(element, "format=raw,backendtype=phy,vdev=%s,access=%s,script=%s/xenolith-hotplug,target=/dev/xenolith/%s", device,
        disk->writable ? "rw" : "ro", host->helpers_inside, serial);
    text_list_add(helper_arguments, "--disk");
    text_list_add(helper_arguments, serial);
    return 0;
}

/* QEMU lets go of the file a moment after the device is gone. */
static void disk_unplug(struct guest_host *host, const char *serial)
{
    struct json_object *node = object_of("node-name", serial);

    monitor_object(host, "device_del", object_of("id", serial));
    for (int tries = 0; tries < 40; tries++) {
        if (monitor_command_quietly(host->lab.qmp_socket, "blockdev-del", json_object_to_json_string(node)) == 0)
            break;
        usleep(50 * 1000);
    }
    json_object_put(node);
}

/* Which addresses the guests' records hold; the caller holds the lock on guests. */
static void addresses_mark(const struct guest_host *host, bool taken[256])
{
    struct dirent *entry;
    DIR *directory = opendir(host->guests);

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct guest_record record = {.directory = text_join("%s/%s", host->guests, entry->d_name), .owner_fd = -1};
        struct guest_facts facts;
        unsigned last;
        if (entry->d_name[0] != '.' && !guest_record_released(&record) && guest_record_facts(&record, "record", &facts) == 0) {
            const char *address = guest_fact(&facts, "address");
            if (address != NULL && sscanf(address, "10.0.2.%u", &last) == 1 && last < 256)
                taken[last] = true;
            guest_facts_free(&facts);
        }
        guest_record_close(&record);
    }
    if (directory != NULL)
        closedir(directory);
}

static int network_plug(struct guest_host *host, const struct guest_record *record, struct text *element, struct text *address)
{
    bool taken[256] = {false};
    int last = ADDRESS_FIRST;

    char *lock_path = text_join("%s/../guests.lock", host->guests);
    int lock_fd = file_lock(lock_path, true);
    free(lock_path);
    addresses_mark(host, taken);
    while (last <= ADDRESS_LAST && taken[last])
        last++;
    int error = last > ADDRESS_LAST ? report_error(0, "all of the lab's %d addresses are taken; stop some guests",
                                          ADDRESS_LAST - ADDRESS_FIRST + 1)
                                    : guest_record_note(record, "address=10.0.2.%d", last);
    if (lock_fd >= 0)
        close(lock_fd);
    text_format(address, "10.0.2.%d", last);
    text_format(element, "mac=00:16:3e:10:02:%02x,bridge=xenbr0,script=%s/xenolith-hotplug", last, host->helpers_inside);
    return error;
}

static int publish(struct guest_host *host, const char *address, const struct guest_publish *publish)
{
    char *line = text_join("hostfwd_add net0 %s:127.0.0.1:%ld-%s:%ld", publish->protocol, publish->host_port, address,
        publish->guest_port);
    int error = monitor_human(host->lab.qmp_socket, line);

    free(line);
    if (error < 0)
        return report_error(0, "cannot publish port %ld on 127.0.0.1; is it in use?", publish->host_port);
    return 0;
}

static void unpublish(struct guest_host *host, const char *address, const struct guest_publish *publish)
{
    char *line = text_join("hostfwd_remove net0 %s:127.0.0.1:%ld", publish->protocol, publish->host_port);

    (void)address;
    monitor_human_quietly(host->lab.qmp_socket, line);
    free(line);
}

static int execute(struct guest_host *host, const char *const *arguments, bool input, struct text *output)
{
    struct channel_command command = {
        .port = host->lab.agent_port,
        .token_file = host->lab.token_file,
        .arguments = arguments,
        .stdin_fd = input ? STDIN_FILENO : -1,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
        .output = output,
        .pass_signals = true,
    };

    return channel_run(&command);
}

const struct guest_host_operations guest_host_lab_operations = {
    .helper_provide = helper_provide,
    .disk_plug = disk_plug,
    .disk_unplug = disk_unplug,
    .network_plug = network_plug,
    .publish = publish,
    .unpublish = unpublish,
    .execute = execute,
};
