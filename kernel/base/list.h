/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doubly linked intrusive list with a head of the same type. The caller holds whatever lock guards the list.
 * An unlinked node points to itself, so list_remove() twice is harmless and list_linked() can ask.
 */
#pragma once

#include "kernel/base/compiler.h"

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_INITIALIZER(name) { &(name), &(name) }

static inline void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_insert_between(struct list *node, struct list *previous, struct list *next)
{
    node->previous = previous;
    node->next = next;
    previous->next = node;
    next->previous = node;
}

static inline void list_add_first(struct list *head, struct list *node)
{
    list_insert_between(node, head, head->next);
}

static inline void list_add_last(struct list *head, struct list *node)
{
    list_insert_between(node, head->previous, head);
}

static inline void list_add_before(struct list *position, struct list *node)
{
    list_insert_between(node, position->previous, position);
}

static inline void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) (list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last(head, type, member) (list_empty(head) ? NULL : list_entry((head)->previous, type, member))

#define list_for_each(entry, head, member)                                                         \
    for (entry = list_entry((head)->next, __typeof__(*entry), member); &entry->member != (head);  \
         entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* As list_for_each, but the body may remove `entry` (and nothing else) from the list. */
#define list_for_each_safe(entry, following, head, member)                                          \
    for (entry = list_entry((head)->next, __typeof__(*entry), member),                              \
        following = list_entry(entry->member.next, __typeof__(*entry), member);                     \
         &entry->member != (head);                                                                  \
         entry = following, following = list_entry(following->member.next, __typeof__(*entry), member))
