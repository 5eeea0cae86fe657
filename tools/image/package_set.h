/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian packages with all they depend on: which, and their files (package_set.c). */
#pragma once

#include "tools/base/digest.h"
#include "tools/base/text.h"

/* Debian packages with all they depend on, at the versions this machine's sources give now. */
struct package_set {
    struct text_list files; /* paths of the .deb files, in the cache; there once package_set_fetch() has succeeded */
    char key[DIGEST_HEX_SIZE]; /* differs when any version differs */
    struct text_list names; /* what was asked for */
    const char *release; /* Debian's release by name, such as "trixie"; NULL: what this machine's sources give */
};

int package_set_resolve(struct package_set *set, const char *const *names, const char *release);
int package_set_fetch(const struct package_set *set);
void package_set_free(struct package_set *set);
