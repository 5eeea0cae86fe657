/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an image without a native program is linked with: there is none.
 */
#include "libc-compat/native.h"

const struct native_program *const native_program = NULL;
