/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loaded into the lab's QEMU (LD_PRELOAD) for one thing: a published port takes more than one connection at a time.
 *
 * QEMU's user-mode network listens on a forwarded port with a backlog of 1. Of twenty clients that connect at once, this
 * machine's kernel then drops most SYNs, and each of those waits 1, 2, 4 ... 32 s to try again: it looks as if the guest hung.
 * There is no option for it.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/socket.h>

#define BACKLOG_MIN 1024 /* the kernel takes no more than net.core.somaxconn of it */

int listen(int fd, int backlog)
{
    int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");

    if (next == NULL)
        return -1;
    return next(fd, backlog < BACKLOG_MIN ? BACKLOG_MIN : backlog);
}
