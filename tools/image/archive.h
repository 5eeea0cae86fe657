/* SPDX-License-Identifier: BSD-2-Clause */
/* Archives of roots that are to lie in a guest's memory (archive.c). */
#pragma once

/* Rewrites a cpio archive of the newc form, which ends with its trailer. 0, or -errno having said why. */
int archive_align(const char *path);
