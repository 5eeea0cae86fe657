/* SPDX-License-Identifier: BSD-2-Clause */
/* What maintainer scripts would have done to unpacked packages (package_finish.c). */
#pragma once

#include "tools/image/package_set.h"

int package_finish(const struct package_set *set, const char *root);
