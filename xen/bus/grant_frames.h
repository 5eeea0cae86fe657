/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the frames of the grant table come into our address space: one way under PV, another under PVH. For grant_table.c.
 */
#pragma once

/* Makes the table at least index + 1 frames long and maps frame `index`; NULL on failure. Thread context. */
void *grant_frames_map_pv(unsigned int index);
void *grant_frames_map_pvh(unsigned int index);
