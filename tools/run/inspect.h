/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith inspect: where the time of a guest's start and the memory of a guest or a kernel went (inspect.c, inspect_kernel.c). */
#pragma once

int inspect_command(int count, char **arguments);
/* What the kernel file `path` is made of: sections, and its largest objects. 0, or an error that was told. */
int inspect_kernel(const char *path);
