/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Balanced (red-black) intrusive tree. The user descends by himself to find the place, as the order is his:
 *
 *     struct tree_node **link = &tree->root, *parent = NULL;
 *     while (*link) { parent = *link; link = key < key_of(parent) ? &parent->left : &parent->right; }
 *     tree_insert(tree, node, parent, link);
 *
 * The caller holds whatever lock guards the tree.
 */
#pragma once

#include "kernel/base/compiler.h"

struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    uintptr_t parent_and_colour;
};

struct tree {
    struct tree_node *root;
};

#define TREE_INITIALIZER { NULL }

void tree_insert(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **link);
void tree_remove(struct tree *tree, struct tree_node *node);

/* In-order neighbours; NULL at the ends. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_previous(const struct tree_node *node);

#define tree_entry(node, type, member) container_of(node, type, member)
