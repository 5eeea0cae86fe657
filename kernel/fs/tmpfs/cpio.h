/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpio archives of the "newc" format (070701, and 070702 with checksums), as initramfs images are.
 */
#pragma once

#include "kernel/base/compiler.h"

struct fs_context;

/* One member. Pointers lead into the archive; the name is terminated there. */
struct cpio_member {
    const char *name;
    uint32_t mode, uid, gid, links;
    uint32_t modify_time_seconds;
    uint32_t inode_number;
    uint64_t device;        /* of the file system it came from */
    uint64_t device_number; /* of device nodes */
    const uint8_t *data;
    size_t size_bytes;
};

/*
 * Checks the archive and hands out its members in order; several archives may follow each other, padded with zeroes.
 * 0, -EINVAL (what is wrong is logged, with its place), or what `visit` answers but 0. No memory is allocated.
 */
int cpio_read(const void *archive, size_t size_bytes, int (*visit)(void *context, const struct cpio_member *member), void *context);

/*
 * Makes what the archive holds under context->root. 0 or -Exxx, having said why.
 *
 * `owned`: the archive begins with a page, and each page that it reaches into is one of PAGE_CACHE's kind whose only reference is the caller's. It is taken over, in
 * any case: pages of data that begin with a page become the file's own, uncopied; the others are released once all in them has been made.
 */
int cpio_unpack(const struct fs_context *context, const void *archive, size_t size_bytes, bool owned);
