/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setting up PV's frame lists, for the start of day.
 */
#pragma once

#include "kernel/base/compiler.h"

/* The loader's list, at its address in the loader's mapping. */
void frames_start_pv(const uint64_t *list, uint64_t count);
/* From now on everything is reached by the direct map, the list too. */
void frames_direct_map_stands(const uint64_t *list, uint64_t count);
