/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing up kernel/net: the configuration word in the form of the command line becomes the room's own, devices are passed on, and the host
 * hears of the address. The program does not wait for DHCP before it asks for the network: by a socket, or what /proc/net tells.
 */
#include "kernel/boot/network.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "kernel/boot/devices.h"
#include "kernel/boot/guest_report.h"
#include "kernel/boot/network_files.h"
#include "kernel/device/net_device.h"
#include "kernel/net/network.h"
#include "kernel/vfs/path.h"
#include "xen/machine/clock.h"

#define PATIENCE_NS 3000000000ull        /* nobody asked for an address */
#define PATIENCE_ASKED_NS 10000000000ull /* ip=dhcp */
#define RESOLVER_PATH "/run/resolv.conf"
#define RESOLVER_TARGET "/proc/net/pnp"

static void device_changed(struct net_watcher *watcher, struct net_device *device, enum net_change change)
{
    (void)watcher;
    if (change == NET_ADDED)
        network_attach(device);
    else
        network_detach(device);
}

static struct net_watcher watcher = { .changed = device_changed };

/* "ADDRESS/BITS,GATEWAY,RESOLVER" as kernel/net writes it, with colons; "none" is its "off". */
static void configure(const char *word)
{
    char text[64];

    if (word == NULL || strcmp(word, "none") == 0) {
        network_configure(word ? "off" : NULL);
        return;
    }
    format_string(text, sizeof(text), "%s", word);
    for (char *comma = text; (comma = strchr(comma, ',')) != NULL;)
        *comma = ':';
    network_configure(text);
}

void boot_network_start(void)
{
    const char *host = command_line_value("hostname");

    int error = network_start();
    if (error != 0) {
        log_error("network: not available: error %d", error);
        return;
    }
    error = network_files_start();
    if (error != 0)
        log_warning("network: no /proc/net: error %d", error);
    configure(command_line_value("ip"));
    if (host)
        network_set_host_name(host);
    net_watch(&watcher);
}

static void address_changed(void)
{
    static char told[64];
    char address[64];

    if (network_address_text(address, sizeof(address)) == 0 || strcmp(address, told) == 0)
        return;
    memcpy(told, address, sizeof(told));
    guest_report_address(address);
}

void boot_network_finish(const struct fs_context *context)
{
    struct net_device *device = net_device_next(NULL);
    const char *word = command_line_value("ip");

    int error = path_make_symlink(context, RESOLVER_TARGET, NULL, RESOLVER_PATH);
    if (error != 0)
        log_notice("network: %s cannot be made: error %d", RESOLVER_PATH, error);
    network_set_address_listener(address_changed);
    if (device == NULL)
        return;
    net_device_release(device);
    if (word == NULL || strcmp(word, "none") != 0)
        network_set_patience(clock_monotonic_ns() + (word ? PATIENCE_ASKED_NS : PATIENCE_NS));
}
