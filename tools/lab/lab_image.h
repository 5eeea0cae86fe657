/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's hypervisor, dom0 kernel and dom0 disk, kept by content (lab_image.c). The caller frees the directory's name. */
#pragma once

int lab_image_provide(char **directory);
