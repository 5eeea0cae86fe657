/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The version of newlib that build-aux/checksums pins, as newlib's own headers ask for it.
 */
#pragma once

#define _NEWLIB_VERSION "3.3.0"
#define __NEWLIB__ 3
#define __NEWLIB_MINOR__ 3
#define __NEWLIB_PATCHLEVEL__ 0
