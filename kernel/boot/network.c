/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing up kernel/net: the configuration word in the form of the command line becomes the room's own, devices are passed
 * on, and /run/resolv.conf is rewritten whenever DHCP names other resolvers.
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
#include "kernel/vfs/file.h"
#include "xen/machine/clock.h"

#define PATIENCE_NS 3000000000ull        /* nobody asked for an address */
#define PATIENCE_ASKED_NS 10000000000ull /* ip=dhcp */
#define RESOLVER_PATH "/run/resolv.conf"

static struct fs_context files;

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

static void resolver_write(void)
{
    char text[256];
    struct io_segment segment;
    struct io_vector vector;
    struct file *file;

    size_t length = network_resolver_text(text, sizeof(text));
    int error = file_open(&files, NULL, RESOLVER_PATH, FILE_WRITE_ONLY | FILE_CREATE | FILE_TRUNCATE, 0644, &file);
    if (error == 0) {
        io_vector_init_kernel(&vector, &segment, text, length);
        error = (int)minimum(file_write(file, &vector, NULL), 0l);
        file_release(file);
    }
    if (error != 0)
        log_notice("network: %s cannot be written: error %d", RESOLVER_PATH, error);
}

void boot_network_finish(const struct fs_context *context)
{
    struct net_device *device = net_device_next(NULL);
    char address[64];

    files = *context;
    network_set_resolver_listener(resolver_write);
    if (device == NULL)
        return;
    net_device_release(device);
    const char *word = command_line_value("ip");
    if (word && strcmp(word, "none") == 0)
        return;
    uint64_t start_ns = clock_monotonic_ns();
    if (!network_wait_configured(start_ns))
        devices_control_start(); /* this may take a while */
    if (!network_wait_configured(start_ns + (word ? PATIENCE_ASKED_NS : PATIENCE_NS))) {
        log_warning("network: no address yet; the program starts without one");
        return;
    }
    resolver_write();
    if (network_address_text(address, sizeof(address)) != 0)
        guest_report_address(address);
}
