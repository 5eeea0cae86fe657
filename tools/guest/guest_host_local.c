/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests on the Xen host that this is: dom0 itself, through its own xl.
 *
 * Disks are files that blkback serves through a loop device; the network is the host's bridge (XENOLITH_BRIDGE, xenbr0 when
 * unset), whose DHCP server gives the guest its address. That address is known only when the guest tells it
 * (data/xenolith/address), so a published port is served by a forwarder that xenolith-guest runs beside the guest.
 */
#include "tools/guest/guest_host.h"

#include <stdlib.h>
#include <unistd.h>

#include "tools/base/install.h"
#include "tools/base/process.h"

static int helper_provide(struct guest_host *host, struct text_list *command)
{
    char *program = install_program("dom0-agent", "xenolith-guest");

    (void)host;
    text_list_add(command, program);
    free(program);
    return 0;
}

static int disk_plug(struct guest_host *host, const struct guest_record *record, const struct guest_disk *disk, const char *device,
    struct text *element, struct text_list *helper_arguments)
{
    (void)host;
    (void)record;
    (void)helper_arguments;
    text_format(element, "format=raw,vdev=%s,access=%s,target=%s", device, disk->writable ? "rw" : "ro", disk->path);
    return 0;
}

static void disk_unplug(struct guest_host *host, const char *serial)
{
    (void)host;
    (void)serial;
}

static int network_plug(struct guest_host *host, const struct guest_record *record, struct text *element, struct text *address)
{
    const char *bridge = getenv("XENOLITH_BRIDGE");

    (void)host;
    (void)record;
    (void)address;
    text_format(element, "bridge=%s", bridge != NULL && bridge[0] != '\0' ? bridge : "xenbr0");
    return 0;
}

/* The forwarder of xenolith-guest does it. */
static int publish(struct guest_host *host, const char *address, const struct guest_publish *publish)
{
    (void)host;
    (void)address;
    (void)publish;
    return 0;
}

static void unpublish(struct guest_host *host, const char *address, const struct guest_publish *publish)
{
    (void)host;
    (void)address;
    (void)publish;
}

static int execute(struct guest_host *host, const char *const *arguments, bool input, struct text *output)
{
    struct process_request request = {.arguments = arguments, .stdin_fd = input ? 0 : -1};

    (void)host;
    if (output == NULL)
        return process_run(&request);
    request.stderr_fd = 1;
    return process_capture(&request, output);
}

const struct guest_host_operations guest_host_local_operations = {
    .helper_provide = helper_provide,
    .disk_plug = disk_plug,
    .disk_unplug = disk_unplug,
    .network_plug = network_plug,
    .publish = publish,
    .unpublish = unpublish,
    .execute = execute,
};
