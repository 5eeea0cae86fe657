/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's segment bases, set while the kernel runs: FS's in the processor, GS's where the way back to the program
 * takes it from. mode_gates.S chooses the version.
 */
#pragma once

#include <stdint.h>

void segment_base_set_fs(uint64_t base);
void segment_base_set_user_gs(uint64_t base);

void segment_base_set_fs_pv(uint64_t base);
void segment_base_set_fs_pvh(uint64_t base);
void segment_base_set_user_gs_pv(uint64_t base);
void segment_base_set_user_gs_pvh(uint64_t base);
