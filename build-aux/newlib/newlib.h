/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What newlib's configure would write for us: the kernel's build of its libc wants none of the options.
 */
#pragma once

#include "_newlib_version.h"

#define _MB_LEN_MAX 1
