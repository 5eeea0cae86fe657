/* SPDX-License-Identifier: BSD-2-Clause */
/* A root directory made of Debian packages, kept in the cache (package_tree.c). */
#pragma once

#include "tools/image/package_set.h"

int package_tree_provide(const struct package_set *set, char **directory);
