/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's hypervisor, dom0 kernel and dom0 disk, kept by content (lab_image.c). The caller frees the directory's name. */
#pragma once

/* Which Xen, and the Debian release it comes from. */
struct lab_xen {
    const char *version;
    const char *release; /* NULL: this machine's own */
};

const struct lab_xen *lab_xen_find(const char *version);
int lab_image_provide(const struct lab_xen *xen, char **directory);
