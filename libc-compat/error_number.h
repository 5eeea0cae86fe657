/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the kernel's errors (negative Linux numbers) to newlib's errno, whose numbers differ from 35 up.
 */
#pragma once

/* newlib's number for a kernel error such as -ENOSYS; EIO for one newlib has no name for. */
int error_number_newlib(long kernel_error);
