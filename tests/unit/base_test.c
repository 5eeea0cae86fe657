/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/base on the host: trees against a sorted array, formatting against the host's snprintf(), number parsing,
 * bitmaps, hashes, the message ring.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/hash.h"
#include "kernel/base/log.h"
#include "kernel/base/tree.h"

struct item {
    struct tree_node node;
    int key;
    bool present;
};

#define ITEM_COUNT 300

static int tree_check(const struct tree_node *node, const struct tree_node *parent)
{
    if (!node)
        return 1;
    assert_ptr_equal((void *)(node->parent_and_colour & ~(uintptr_t)1), parent);
    bool red = node->parent_and_colour & 1;
    if (red)
        assert_false(parent && (parent->parent_and_colour & 1));
    int left = tree_check(node->left, node), right = tree_check(node->right, node);
    assert_int_equal(left, right);
    return left + !red;
}

static void tree_test_add(struct tree *tree, struct item *item)
{
    struct tree_node **link = &tree->root, *parent = NULL;
    while (*link) {
        parent = *link;
        link = item->key < tree_entry(parent, struct item, node)->key ? &parent->left : &parent->right;
    }
    tree_insert(tree, &item->node, parent, link);
    item->present = true;
}

static void tree_keeps_order_and_balance(void **state)
{
    static struct item items[ITEM_COUNT];
    struct tree tree = TREE_INITIALIZER;

    srandom(7);
    for (int i = 0; i < ITEM_COUNT; i++)
        items[i] = (struct item){ .key = i };
    for (int step = 0; step < 20000; step++) {
        struct item *item = &items[random() % ITEM_COUNT];
        if (item->present) {
            tree_remove(&tree, &item->node);
            item->present = false;
        } else {
            tree_test_add(&tree, item);
        }
        if (step % 64 == 0)
            tree_check(tree.root, NULL);
    }
    struct tree_node *node = tree_first(&tree), *previous = NULL;
    for (int i = 0; i < ITEM_COUNT; i++) {
        if (!items[i].present)
            continue;
        assert_ptr_equal(node, &items[i].node);
        assert_ptr_equal(tree_previous(node), previous);
        previous = node;
        node = tree_next(node);
    }
    assert_null(node);
    assert_ptr_equal(tree_last(&tree), previous);
}

#define FORMAT_SAME(...)                                                                                              \
    do {                                                                                                              \
        char ours[200], theirs[200];                                                                                  \
        int our_length = format_string(ours, sizeof(ours), __VA_ARGS__);                                              \
        int their_length = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                             \
        assert_string_equal(ours, theirs);                                                                            \
        assert_int_equal(our_length, their_length);                                                                   \
    } while (0)

static void format_agrees_with_the_host(void **state)
{
    FORMAT_SAME("plain %% text");
    FORMAT_SAME("%d %i %5d|%-5d|%05d|%+d|% d", -1, 2, 42, 42, -42, 7, 7);
    FORMAT_SAME("%u %lu %llu %zu", 1u, ~0ul, ~0ull, (size_t)9);
    FORMAT_SAME("%x %X %#x %#X %#o %08lx %.5d %8.3x", 255, 255, 255, 0, 8, 0xdeadul, 42, 10);
    FORMAT_SAME("%hhd %hd %hhu %hu", 300, 70000, 300, 70000);
    FORMAT_SAME("%lld %ld", (long long)INT64_MIN, (long)INT64_MAX);
    FORMAT_SAME("%s|%10s|%-10s|%.2s|%*s|%-*s|%.*s", "abc", "abc", "abc", "abc", 6, "abc", 6, "abc", 1, "abc");
    FORMAT_SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
    FORMAT_SAME("%p", (void *)0x1234);
    FORMAT_SAME("%.0d|%.0x", 0, 0);
}

static void format_cuts_and_terminates(void **state)
{
    char buffer[4] = "xxx";
    assert_int_equal(format_string(buffer, sizeof(buffer), "%s", "hello"), 5);
    assert_string_equal(buffer, "hel");
    assert_int_equal(format_string(NULL, 0, "%d", 12345), 5);
    assert_int_equal(format_string(buffer, 1, "abc"), 3);
    assert_string_equal(buffer, "");
}

static void parse_is_strict(void **state)
{
    uint64_t value = 5;
    assert_int_equal(parse_unsigned("18446744073709551615", 20, 10, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(parse_unsigned("18446744073709551616", 20, 10, &value), -ERANGE);
    assert_int_equal(parse_unsigned("", 0, 10, &value), -EINVAL);
    assert_int_equal(parse_unsigned("1 ", 2, 10, &value), -EINVAL);
    assert_int_equal(parse_unsigned("-1", 2, 10, &value), -EINVAL);
    assert_int_equal(parse_unsigned("fF", 2, 16, &value), 0);
    assert_true(value == 255);
    assert_int_equal(parse_unsigned("8", 1, 8, &value), -EINVAL);
}

static void bitmaps_find(void **state)
{
    uint64_t map[3] = { ~0ull, ~0ull, 0 };
    assert_int_equal(bitmap_find_clear(map, 192, 0), 128);
    assert_int_equal(bitmap_find_clear(map, 128, 0), 128);
    assert_int_equal(bitmap_find_set(map, 192, 128), 192);
    bitmap_set(map, 190);
    assert_int_equal(bitmap_find_set(map, 192, 128), 190);
    assert_int_equal(bitmap_find_set(map, 190, 128), 190);
    bitmap_clear(map, 3);
    assert_int_equal(bitmap_find_clear(map, 192, 0), 3);
    assert_false(bitmap_test(map, 3));
}

static void hashes_differ(void **state)
{
    assert_true(hash_bytes("abcdefgh", 8, 0) != hash_bytes("abcdefgi", 8, 0));
    assert_true(hash_bytes("a\0", 2, 0) != hash_bytes("a", 1, 0));
    assert_true(hash_bytes("a", 1, 0) != hash_bytes("a", 1, 1));
    assert_true(hash_bytes("", 0, 3) == hash_bytes("x", 0, 3));
}

static char sunk[4096];

static void sink(const char *line, size_t length_bytes)
{
    strncat(sunk, line, length_bytes);
}

static uint64_t clock_of_test(void)
{
    return 1234567890;
}

static void log_keeps_and_sinks(void **state)
{
    static char copy[20000];

    log_set_sink(sink);
    log_set_clock(clock_of_test);
    log_info("disk %s: %d", "xv\nda", 7);
    log_debug("hidden");
    assert_string_equal(sunk, "[    1.234567] disk xv?da: 7\n");
    log_set_level(LOG_ANSWER);
    log_error("hidden, too");
    log_answer("asked for");
    assert_string_equal(sunk, "[    1.234567] disk xv?da: 7\n[    1.234567] asked for\n");
    log_set_level(LOG_INFO);
    log_set_sink(NULL);
    for (int i = 0; i < 2000; i++)
        log_info("line %d", i);
    size_t length = log_copy(copy, sizeof(copy));
    assert_int_equal(length, 16384);
    const char *tail = "[    1.234567] line 1999\n";
    assert_memory_equal(copy + length - strlen(tail), tail, strlen(tail));
    assert_int_equal(log_copy(copy, 5), 5);
    assert_memory_equal(copy, "1999\n", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_keeps_order_and_balance),
        cmocka_unit_test(format_agrees_with_the_host),
        cmocka_unit_test(format_cuts_and_terminates),
        cmocka_unit_test(parse_is_strict),
        cmocka_unit_test(bitmaps_find),
        cmocka_unit_test(hashes_differ),
        cmocka_unit_test(log_keeps_and_sinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
