/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard streams where there is no /dev/console.
 */
#pragma once

#include "kernel/vfs/file.h"

int console_plain_create(struct credentials *credentials, struct file **file);
