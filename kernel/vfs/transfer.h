/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From file to file inside the kernel: sendfile, copy_file_range, splice, tee. Positions: NULL is the file's own; else the
 * caller's, which is moved. Answers are bytes moved (short counts are allowed), 0 at the end, or -Exxx.
 */
#pragma once

#include "kernel/base/compiler.h"

struct file;

#define SPLICE_NONBLOCK 2u /* SPLICE_F_NONBLOCK */

/* -EINVAL: `in` cannot seek, or `out` appends. */
long transfer_send(struct file *out, struct file *in, uint64_t *in_position, uint64_t length_bytes);
/* Regular files only (-EINVAL; -EISDIR), not onto itself where ranges overlap; -EBADF: out appends, or the access modes. */
long transfer_copy_range(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position, uint64_t length_bytes);
/* One of them at least is a pipe (-EINVAL); a position for a pipe is -ESPIPE. */
long transfer_splice(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position, uint64_t length_bytes, unsigned int flags);
/* Between two pipes; what was copied stays readable in the first. */
long transfer_tee(struct file *in, struct file *out, uint64_t length_bytes, unsigned int flags);
