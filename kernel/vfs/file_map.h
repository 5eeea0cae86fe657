/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For map operations that end in the inode's page cache after checks of their own; file_map() is in file.h.
 */
#pragma once

struct area_request;
struct file;

/* request->backing is the inode's page cache; the mapping holds the file. 0 or -ENOMEM. */
int file_map_cache(struct file *file, struct area_request *request);
