/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Red-black trees: no red node has a red child, and every way down from a node passes the same number of black nodes,
 * so that no leaf is more than twice as deep as another. Bit 0 of parent_and_colour is set in red nodes; NULL counts
 * as black. Insertion and removal as in every textbook: recolour upwards, at most three rotations.
 */
#include "kernel/base/tree.h"

#define TREE_RED ((uintptr_t)1)

static struct tree_node *tree_parent(const struct tree_node *node)
{
    return (struct tree_node *)(node->parent_and_colour & ~TREE_RED);
}

static bool tree_is_red(const struct tree_node *node)
{
    return node && (node->parent_and_colour & TREE_RED);
}

static void tree_set_parent(struct tree_node *node, struct tree_node *parent)
{
    node->parent_and_colour = (uintptr_t)parent | (node->parent_and_colour & TREE_RED);
}

static void tree_set_red(struct tree_node *node)
{
    node->parent_and_colour |= TREE_RED;
}

static void tree_set_black(struct tree_node *node)
{
    node->parent_and_colour &= ~TREE_RED;
}

/* Puts `replacement` (may be NULL) where `node` hangs. */
static void tree_replace_child(struct tree *tree, struct tree_node *node, struct tree_node *replacement)
{
    struct tree_node *parent = tree_parent(node);

    if (!parent)
        tree->root = replacement;
    else if (parent->left == node)
        parent->left = replacement;
    else
        parent->right = replacement;
    if (replacement)
        tree_set_parent(replacement, parent);
}

static void tree_rotate_left(struct tree *tree, struct tree_node *node)
{
    struct tree_node *right = node->right;

    tree_replace_child(tree, node, right);
    node->right = right->left;
    if (node->right)
        tree_set_parent(node->right, node);
    right->left = node;
    tree_set_parent(node, right);
}

static void tree_rotate_right(struct tree *tree, struct tree_node *node)
{
    struct tree_node *left = node->left;

    tree_replace_child(tree, node, left);
    node->left = left->right;
    if (node->left)
        tree_set_parent(node->left, node);
    left->right = node;
    tree_set_parent(node, left);
}

void tree_insert(struct tree *tree, struct tree_node *node, struct tree_node *parent, struct tree_node **link)
{
    node->left = NULL;
    node->right = NULL;
    node->parent_and_colour = (uintptr_t)parent | TREE_RED;
    *link = node;

    while (tree_is_red(parent = tree_parent(node))) {
        struct tree_node *grandparent = tree_parent(parent); /* exists: a root is black */
        bool left = grandparent->left == parent;
        struct tree_node *uncle = left ? grandparent->right : grandparent->left;

        if (tree_is_red(uncle)) {
            tree_set_black(parent);
            tree_set_black(uncle);
            tree_set_red(grandparent);
            node = grandparent;
            continue;
        }
        if (left && parent->right == node) {
            tree_rotate_left(tree, parent);
            parent = node;
        } else if (!left && parent->left == node) {
            tree_rotate_right(tree, parent);
            parent = node;
        }
        tree_set_black(parent);
        tree_set_red(grandparent);
        if (left)
            tree_rotate_right(tree, grandparent);
        else
            tree_rotate_left(tree, grandparent);
        break;
    }
    tree_set_black(tree->root);
}

/* One black node is missing on the ways through `node` (may be NULL), a child of `parent`. */
static void tree_repair(struct tree *tree, struct tree_node *node, struct tree_node *parent)
{
    while (parent && !tree_is_red(node)) {
        bool left = parent->left == node;
        struct tree_node *sibling = left ? parent->right : parent->left; /* exists: the other side is longer */

        if (tree_is_red(sibling)) {
            tree_set_black(sibling);
            tree_set_red(parent);
            if (left)
                tree_rotate_left(tree, parent);
            else
                tree_rotate_right(tree, parent);
            sibling = left ? parent->right : parent->left;
        }
        if (!tree_is_red(sibling->left) && !tree_is_red(sibling->right)) {
            tree_set_red(sibling);
            node = parent;
            parent = tree_parent(node);
            continue;
        }
        if (left && !tree_is_red(sibling->right)) {
            tree_set_black(sibling->left);
            tree_set_red(sibling);
            tree_rotate_right(tree, sibling);
            sibling = parent->right;
        } else if (!left && !tree_is_red(sibling->left)) {
            tree_set_black(sibling->right);
            tree_set_red(sibling);
            tree_rotate_left(tree, sibling);
            sibling = parent->left;
        }
        if (tree_is_red(parent))
            tree_set_red(sibling);
        else
            tree_set_black(sibling);
        tree_set_black(parent);
        if (left) {
            tree_set_black(sibling->right);
            tree_rotate_left(tree, parent);
        } else {
            tree_set_black(sibling->left);
            tree_rotate_right(tree, parent);
        }
        return;
    }
    if (node)
        tree_set_black(node);
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *child, *parent;
    bool lost_black;

    if (node->left && node->right) {
        /* The successor, which has no left child, takes the node's place and colour. */
        struct tree_node *successor = node->right;
        while (successor->left)
            successor = successor->left;

        child = successor->right;
        parent = tree_parent(successor);
        lost_black = !tree_is_red(successor);
        if (parent == node) {
            parent = successor;
        } else {
            parent->left = child;
            if (child)
                tree_set_parent(child, parent);
            successor->right = node->right;
            tree_set_parent(successor->right, successor);
        }
        successor->left = node->left;
        tree_set_parent(successor->left, successor);
        tree_replace_child(tree, node, successor);
        successor->parent_and_colour = node->parent_and_colour;
    } else {
        child = node->left ? node->left : node->right;
        parent = tree_parent(node);
        lost_black = !tree_is_red(node);
        tree_replace_child(tree, node, child);
    }
    if (lost_black)
        tree_repair(tree, child, parent);
}

struct tree_node *tree_first(const struct tree *tree)
{
    struct tree_node *node = tree->root;
    while (node && node->left)
        node = node->left;
    return node;
}

struct tree_node *tree_last(const struct tree *tree)
{
    struct tree_node *node = tree->root;
    while (node && node->right)
        node = node->right;
    return node;
}

struct tree_node *tree_next(const struct tree_node *node)
{
    if (node->right) {
        struct tree_node *next = node->right;
        while (next->left)
            next = next->left;
        return next;
    }
    struct tree_node *parent = tree_parent(node);
    while (parent && parent->right == node) {
        node = parent;
        parent = tree_parent(node);
    }
    return parent;
}

struct tree_node *tree_previous(const struct tree_node *node)
{
    if (node->left) {
        struct tree_node *previous = node->left;
        while (previous->right)
            previous = previous->right;
        return previous;
    }
    struct tree_node *parent = tree_parent(node);
    while (parent && parent->left == node) {
        node = parent;
        parent = tree_parent(node);
    }
    return parent;
}
