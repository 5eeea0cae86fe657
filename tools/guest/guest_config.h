/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's xl configuration, filled from the templates in xl-configs/ (guest_config.c). */
#pragma once

#include "tools/base/text.h"
#include "tools/guest/guest_request.h"

/* What only the place where the guest runs knows. */
struct guest_config {
    const struct guest_request *request;
    const char *kernel; /* paths as dom0 sees them */
    const char *ramdisk;
    const struct text_list *disks; /* elements of xl's disk list, without quotes */
    const struct text_list *vifs;
};

int guest_config_fill(const struct guest_config *config, struct text *out);
