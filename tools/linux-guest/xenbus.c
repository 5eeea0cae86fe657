/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing into xenstore from a Linux guest, through /dev/xen/xenbus: one message out, its answer in, no libraries.
 * The message is xenstore's own (xen/io/xs_wire.h): a header, then the path with its NUL and the value without one.
 */
#include "tools/linux-guest/xenbus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#include "tools/base/report.h"

static int xenbus_fd = -1;

/* While /dev is still the initramfs's. */
void xenbus_open(void)
{
    xenbus_fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
    if (xenbus_fd < 0)
        report_error(-errno, "/dev/xen/xenbus");
}

void xenbus_write(const char *path, const char *value)
{
    struct xsd_sockmsg header = {.type = XS_WRITE, .req_id = 1, .len = (uint32_t)(strlen(path) + 1 + strlen(value))};
    char message[sizeof(header) + XENSTORE_PAYLOAD_MAX];

    if (xenbus_fd < 0 || header.len > XENSTORE_PAYLOAD_MAX)
        return;
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), path, strlen(path) + 1);
    memcpy(message + sizeof(header) + strlen(path) + 1, value, strlen(value));
    if (write(xenbus_fd, message, sizeof(header) + header.len) != (ssize_t)(sizeof(header) + header.len)) {
        report_error(-errno, "cannot write %s into xenstore", path);
        return;
    }
    if (read(xenbus_fd, &header, sizeof(header)) == (ssize_t)sizeof(header) && header.len <= XENSTORE_PAYLOAD_MAX &&
        read(xenbus_fd, message, header.len) == (ssize_t)header.len && header.type == XS_ERROR)
        report_line("xenstore refuses %s: %.*s", path, (int)header.len, message);
}
