/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding Xen, for a start that may have happened elsewhere.
 */
#pragma once

#include "kernel/base/compiler.h"

/* Points the hypercall gate at vmcall or vmmcall; false where there is no Xen. Before the image is write-protected. */
bool hypercall_start_pvh(void);
