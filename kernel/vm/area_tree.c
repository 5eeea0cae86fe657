/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of areas: look-up by address, free places, neighbours that may become one.
 *
 * Free places are sought from the top down. A search that found its place remembers that nothing as large lies above
 * it, so that a program that maps much is not made to walk all its areas again and again.
 */
#include "kernel/vm/area_tree.h"

static struct area *area_of(struct tree_node *node)
{
    return node ? tree_entry(node, struct area, node) : NULL;
}

struct area *address_space_find(struct address_space *space, uint64_t address)
{
    struct tree_node *node = space->areas.root;
    struct area *best = NULL;

    while (node) {
        struct area *area = area_of(node);
        if (address < area->end) {
            best = area;
            if (address >= area->start)
                break;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

struct area *area_next(const struct area *area)
{
    return area_of(tree_next(&area->node));
}

struct area *area_previous(const struct area *area)
{
    return area_of(tree_previous(&area->node));
}

void area_tree_insert(struct address_space *space, struct area *area)
{
    struct tree_node **link = &space->areas.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = area->start < area_of(parent)->start ? &parent->left : &parent->right;
    }
    tree_insert(&space->areas, &area->node, parent, link);
    space->area_count++;
}

void area_tree_remove(struct address_space *space, struct area *area)
{
    tree_remove(&space->areas, &area->node);
    space->area_count--;
    area_tree_forget_gap(space, area->end);
}

bool area_tree_range_free(const struct address_space *space, uint64_t start, uint64_t end)
{
    struct area *area = address_space_find((struct address_space *)(uintptr_t)space, start);

    return !area || area->start >= end;
}

/* The last area that begins below `address`, or NULL. */
static struct area *area_tree_below(const struct address_space *space, uint64_t address)
{
    struct tree_node *node = space->areas.root;
    struct area *best = NULL;

    while (node) {
        struct area *area = area_of(node);
        if (area->start < address)
            best = area;
        node = area->start < address ? node->right : node->left;
    }
    return best;
}

/* Where a gap below this area must end. */
static uint64_t area_gap_end(const struct area *area)
{
    if (!(area->flags & AREA_GROWS_DOWN))
        return area->start;
    return area->start > AREA_STACK_GAP_BYTES ? area->start - AREA_STACK_GAP_BYTES : 0;
}

uint64_t area_tree_find_gap(const struct address_space *space, uint64_t length_bytes, uint64_t low, uint64_t high)
{
    struct area *below = area_tree_below(space, high);
    struct area *above = below ? area_next(below) : area_of(tree_first(&space->areas));
    uint64_t end = above ? minimum(high, area_gap_end(above)) : high;

    for (;;) {
        uint64_t start = below ? maximum(low, below->end) : low;
        if (end >= start && end - start >= length_bytes)
            return end - length_bytes;
        if (!below || below->start <= low)
            return 0;
        end = area_gap_end(below);
        below = area_previous(below);
    }
}

uint64_t area_tree_find_place(struct address_space *space, uint64_t length_bytes)
{
    uint64_t high = space->map_top, place = 0;

    if (space->gap_hint != 0 && length_bytes >= space->gap_hint_bytes && space->gap_hint < high)
        high = space->gap_hint;
    if (length_bytes <= high)
        place = area_tree_find_gap(space, length_bytes, USER_ADDRESS_LOW, high);
    if (place != 0) {
        if (high == space->map_top || length_bytes <= space->gap_hint_bytes || space->gap_hint == 0) {
            space->gap_hint = place + length_bytes;
            space->gap_hint_bytes = length_bytes;
        }
        return place;
    }
    return area_tree_find_gap(space, length_bytes, space->map_top, USER_ADDRESS_HIGH);
}

void area_tree_forget_gap(struct address_space *space, uint64_t end)
{
    if (end > space->gap_hint)
        space->gap_hint = 0;
}

bool area_mergeable(const struct area *lower, const struct area *upper)
{
    if (lower->end != upper->start || lower->protection != upper->protection || lower->flags != upper->flags ||
        lower->backing != upper->backing || lower->name != upper->name || (lower->flags & (AREA_SPECIAL | AREA_GROWS_DOWN)))
        return false;
    return !lower->backing || lower->backing_index + ((lower->end - lower->start) >> PAGE_SHIFT) == upper->backing_index;
}

bool area_tree_covered(struct address_space *space, uint64_t start, uint64_t end)
{
    struct area *area = address_space_find(space, start);

    while (area && area->start <= start) {
        if (area->end >= end)
            return true;
        start = area->end;
        area = area_next(area);
    }
    return false;
}
