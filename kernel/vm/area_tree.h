/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Areas of one space, ordered by address and not overlapping. Pure: touches no page table and takes no lock (the
 * caller holds space->lock), so it runs on the host.
 */
#pragma once

#include "kernel/vm/address_space.h"

#define AREA_STACK_GAP_BYTES (256ull * PAGE_SIZE) /* kept free below areas that grow down */

void area_tree_insert(struct address_space *space, struct area *area);
void area_tree_remove(struct address_space *space, struct area *area);
/* True when [start, end) touches no area. */
bool area_tree_range_free(const struct address_space *space, uint64_t start, uint64_t end);
/* The highest free place of that length with its end at or below `high` and its start at or above `low`; 0: none. */
uint64_t area_tree_find_gap(const struct address_space *space, uint64_t length_bytes, uint64_t low, uint64_t high);
/* Same with the memory of the last search (space->gap_hint) below map_top; then above it. 0: none. */
uint64_t area_tree_find_place(struct address_space *space, uint64_t length_bytes);
/* [start, end) became free. */
void area_tree_forget_gap(struct address_space *space, uint64_t end);
/* True when `upper` continues `lower` in every respect. */
bool area_mergeable(const struct area *lower, const struct area *upper);
/* True when every byte of [start, end) lies in an area. */
bool area_tree_covered(struct address_space *space, uint64_t start, uint64_t end);
