/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith-hotplug: the hotplug script of the lab's guests, as a program.
 *
 * libxl runs a script for each disk and network interface of a guest, told by environment variables (XENBUS_TYPE,
 * XENBUS_PATH, vif) what it is for. The stock ones are shell scripts with a lock around them: 2 s for each device
 * where processors are emulated. This does the same two things at once: a disk's device number is written into xenstore,
 * a network interface is brought up on its bridge; then hotplug-status says "connected".
 * The disk must be a block device already: no loop devices are made here.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xenstore.h>

#include <linux/if_arp.h>
#include <linux/sockios.h>

#include "tools/base/report.h"
#include "tools/base/text.h"

struct hotplug {
    struct xs_handle *store;
    const char *path; /* the backend's directory in xenstore */
};

static char *value_read(const struct hotplug *hotplug, const char *key)
{
    char *path = text_join("%s/%s", hotplug->path, key);
    char *value = xs_read(hotplug->store, XBT_NULL, path, NULL);

    free(path);
    return value;
}

static int value_write(const struct hotplug *hotplug, const char *key, const char *value)
{
    char *path = text_join("%s/%s", hotplug->path, key);
    int error = xs_write(hotplug->store, XBT_NULL, path, value, (unsigned)strlen(value)) ? 0 : -errno;

    free(path);
    return error < 0 ? report_error(error, "cannot write %s/%s", hotplug->path, key) : 0;
}

static int disk_add(const struct hotplug *hotplug)
{
    struct stat status;
    char numbers[32];
    int error;

    char *file = value_read(hotplug, "params");
    if (file == NULL)
        return report_error(-errno, "no params in %s", hotplug->path);
    if (stat(file, &status) < 0)
        error = report_error(-errno, "%s", file);
    else if (!S_ISBLK(status.st_mode))
        error = report_error(0, "%s is not a block device", file);
    else {
        snprintf(numbers, sizeof(numbers), "%x:%x", major(status.st_rdev), minor(status.st_rdev));
        error = value_write(hotplug, "physical-device", numbers);
        if (error == 0)
            error = value_write(hotplug, "physical-device-path", file);
    }
    free(file);
    return error;
}

static int interface_join(int fd, const char *interface, const char *bridge)
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, IFNAMSIZ, "%s", interface);
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        return report_error(-errno, "the interface %s", interface);
    int index = request.ifr_ifindex;
    /* The highest unicast address: a bridge takes its lowest port's address, which must not become a guest's. */
    static const unsigned char address[6] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff};
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, address, sizeof(address));
    if (ioctl(fd, SIOCSIFHWADDR, &request) < 0)
        return report_error(-errno, "cannot set the address of %s", interface);
    memset(&request, 0, sizeof(request));
    snprintf(request.ifr_name, IFNAMSIZ, "%s", bridge);
    request.ifr_ifindex = index;
    if (ioctl(fd, SIOCBRADDIF, &request) < 0 && errno != EBUSY)
        return report_error(-errno, "cannot put %s on the bridge %s", interface, bridge);
    memset(&request, 0, sizeof(request));
    snprintf(request.ifr_name, IFNAMSIZ, "%s", interface);
    request.ifr_flags = IFF_UP | IFF_BROADCAST | IFF_MULTICAST | IFF_NOARP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return report_error(-errno, "cannot bring %s up", interface);
    return 0;
}

static int interface_add(const struct hotplug *hotplug)
{
    const char *interface = getenv("vif");

    if (interface == NULL)
        return report_error(0, "no interface's name in the variable vif");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return report_error(-errno, "cannot open a socket");
    char *bridge = value_read(hotplug, "bridge");
    int error = interface_join(fd, interface, bridge != NULL ? bridge : "xenbr0");
    free(bridge);
    close(fd);
    return error;
}

int main(int count, char **arguments)
{
    const char *type = getenv("XENBUS_TYPE");
    struct hotplug hotplug = {.path = getenv("XENBUS_PATH")};
    const char *what = count > 1 ? arguments[1] : "";

    report_name_set("xenolith-hotplug");
    if (type == NULL || hotplug.path == NULL) {
        report_error(0, "libxl runs this, with XENBUS_TYPE and XENBUS_PATH set");
        return 1;
    }
    /* Backends undo the rest by themselves. */
    if (strcmp(what, "add") != 0 && strcmp(what, "online") != 0)
        return 0;
    hotplug.store = xs_open(0);
    if (hotplug.store == NULL) {
        report_error(-errno, "cannot reach xenstore");
        return 1;
    }
    int error = strcmp(type, "vbd") == 0 ? disk_add(&hotplug) : interface_add(&hotplug);
    if (error < 0)
        value_write(&hotplug, "hotplug-error", "see the output of xl");
    error = value_write(&hotplug, "hotplug-status", error < 0 ? "error" : "connected") < 0 ? -EIO : error;
    xs_close(hotplug.store);
    return error < 0 ? 1 : 0;
}
