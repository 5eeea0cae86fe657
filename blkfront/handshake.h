/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk and its backend tell each other through xenstore. Thread context; disk->connection held.
 */
#pragma once

#include "blkfront/transfer.h"

/* What of the backend's is to be known for blkfront_handshake_read(). */
extern const char *const blkfront_connect_keys[];

/* Makes ring and event channel and writes them for the backend, with the state Initialised. 0 or an error, then no ring or port is left. */
int blkfront_handshake_offer(struct blkfront_disk *disk);
/* Takes ring and event channel down; requests in flight are kept for the next connection. */
void blkfront_handshake_withdraw(struct blkfront_disk *disk);
/* Takes what the connected backend says about the disk, as the bus has read it: into disk->device, where it is not registered yet. 0, or -EINVAL with a line. */
int blkfront_handshake_read(struct blkfront_disk *disk);
/* "xvda" or "xvda1" for the virtual device's number; -EINVAL where it is none. */
int blkfront_handshake_name(uint32_t virtual_device, char name[BLOCK_NAME_BYTES], uint32_t *number);
