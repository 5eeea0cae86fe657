/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Archives unpacked into a tmpfs: members of all kinds, links, refusals; and archives whose pages are given away with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/tmpfs/cpio.h"
#include "kernel/memory/page.h"
#include "kernel/vfs/inode.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"
#include "tests/unit/vfs_tree.h"

#define ARCHIVE_ORDER 6u
#define ARCHIVE_BYTES (PAGE_SIZE << ARCHIVE_ORDER)
#define LARGE_PAGES 20u /* not all of one chunk of the cache, the last one not full */
#define LARGE_BYTES ((LARGE_PAGES - 1) * PAGE_SIZE + 100)

static const struct file_system_type *const types[] = {&tmpfs_type};
static struct fs_context root;

static int start(void **state)
{
    assert_int_equal(vfs_init(), 0);
    assert_int_equal(file_system_register_types(types, array_count(types)), 0);
    vfs_tree_start(&root);
    return 0;
}

/* What newc looks like. The name's length counts zeroes behind it up to name_bytes. */
static size_t add_data(char *archive, size_t at, const char *name, size_t name_bytes, uint32_t mode, uint32_t inode, uint32_t links, const char *data, size_t length)
{
    at += (size_t)format_string(archive + at, 111, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08X%08x", inode, mode, 7, 8, links,
                                1000000, (unsigned int)length, 0, 0, 0, 0, (unsigned int)name_bytes, 0);
    memset(archive + at, 0, name_bytes);
    strcpy(archive + at, name);
    at = round_up(at + name_bytes, 4u);
    memcpy(archive + at, data, length);
    return round_up(at + length, 4u);
}

static size_t add_member(char *archive, size_t at, const char *name, uint32_t mode, uint32_t inode, uint32_t links, const char *data)
{
    return add_data(archive, at, name, strlen(name) + 1, mode, inode, links, data, strlen(data));
}

static size_t add_trailer(char *archive, size_t at)
{
    return add_member(archive, at, "TRAILER!!!", 0, 0, 1, "");
}

static int status_of(const char *name, struct inode_status *status)
{
    return vfs_tree_status(&root, name, status);
}

static void expect_bytes(const char *name, const char *bytes, size_t length)
{
    static char buffer[ARCHIVE_BYTES];
    struct file *file;

    assert_int_equal(file_open(&root, NULL, name, FILE_READ_ONLY, 0, &file), 0);
    assert_int_equal(file_read_kernel(file, buffer, sizeof(buffer), 0), length);
    assert_memory_equal(buffer, bytes, length);
    file_release(file);
}

static void members(void **state)
{
    static char archive[4096];
    struct inode_status status, again;
    size_t at = 0, trailer;

    at = add_member(archive, at, ".", 040755, 1, 2, "");
    at = add_member(archive, at, "c/sub/file", 0100640, 2, 2, "");
    at = add_member(archive, at, "c/link", 0100640, 2, 2, "shared");
    at = add_member(archive, at, "./c/sub//second/", 040711, 4, 2, "");
    at = trailer = add_member(archive, at, "c/symbolic", 0120777, 3, 1, "sub/file");
    at = add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, at + 512, false), 0); /* padded with zeroes */
    expect_bytes("c/symbolic", "shared", 6);
    assert_int_equal(status_of("c/sub/file", &status), 0);
    assert_int_equal(status_of("c/link", &again), 0);
    assert_int_equal(status.inode_number, again.inode_number);
    assert_int_equal(status.links, 2);
    assert_int_equal(status.mode, 0100640);
    assert_int_equal(status.uid, 7);
    assert_int_equal(status.gid, 8);
    assert_int_equal(status.modify_time.seconds, 1000000);
    assert_int_equal(status_of("c/sub/second", &status), 0);
    assert_int_equal(status.mode, 040711);
    assert_int_equal(cpio_unpack(&root, archive, trailer, false), -EINVAL); /* no trailer */
    archive[3] = 'x';
    assert_int_equal(cpio_unpack(&root, archive, at, false), -EINVAL);
    memset(archive, 0, sizeof(archive));
    at = add_member(archive, 0, "inner/side", 0100640, 2, 1, "");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), 0);
    memset(archive, 0, sizeof(archive));
    at = add_member(archive, 0, "../out", 0100640, 2, 1, "");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), -EINVAL);
}

/* The last member of a name stays, also where the name was a link to the directory that members came into. */
static void replacements(void **state)
{
    static char archive[4096];
    size_t at = 0;

    at = add_member(archive, at, "r/real", 040755, 1, 2, "");
    at = add_member(archive, at, "r/way", 0120777, 2, 1, "real");
    at = add_member(archive, at, "r/way/first", 0100644, 3, 1, "one");
    at = add_member(archive, at, "r/way", 0100644, 4, 1, "a file now");
    at = add_member(archive, at, "r/real/first", 0100644, 5, 1, "two");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), 0);
    expect_bytes("r/real/first", "two", 3);
    expect_bytes("r/way", "a file now", 10);
    memset(archive, 0, sizeof(archive));
    at = add_member(archive, 0, "r/way/second", 0100644, 6, 1, "");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), -ENOTDIR);
}

/* The names of a directory are short cuts only where they can be. */
static void names(void **state)
{
    static const char *const refused[] = {"n/..", "n/../n/c", "n/./../../n/c"};
    static char archive[4096];
    struct inode_status status;
    size_t at = 0;

    at = add_member(archive, at, "n/a", 0100600, 1, 1, "a");
    at = add_member(archive, at, "n/.hidden", 0100600, 2, 1, "hidden");
    at = add_member(archive, at, "n/b", 0100600, 3, 1, "b");
    at = add_member(archive, at, "nn/b", 0100600, 4, 1, "other");
    at = add_member(archive, at, "nn/deep/b", 0100600, 5, 1, "deeper");
    at = add_member(archive, at, "nn/", 0040711, 6, 2, "");
    at = add_member(archive, at, "n", 0040700, 7, 2, "");
    at = add_member(archive, at, "n-top", 0100600, 8, 1, "top");
    at = add_member(archive, at, "/n-absolute", 0100600, 9, 1, "absolute");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), 0);
    expect_bytes("n/a", "a", 1);
    expect_bytes("n/.hidden", "hidden", 6);
    expect_bytes("n/b", "b", 1);
    expect_bytes("nn/b", "other", 5);
    expect_bytes("nn/deep/b", "deeper", 6);
    expect_bytes("n-top", "top", 3);
    expect_bytes("n-absolute", "absolute", 8);
    assert_int_equal(status_of("nn", &status), 0);
    assert_int_equal(status.mode, 0040711);
    assert_int_equal(status_of("n", &status), 0);
    assert_int_equal(status.mode, 0040700);
    for (size_t i = 0; i < array_count(refused); i++) {
        memset(archive, 0, sizeof(archive));
        at = add_member(archive, 0, "n/b", 0100600, 1, 1, "");
        at = add_member(archive, at, refused[i], 0100600, 2, 1, "");
        add_trailer(archive, at);
        assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), -EINVAL);
    }
}

/* Links whose first name has become something else, data that comes with each of them, and data of what is no file. */
static void strange_links(void **state)
{
    static char archive[4096];
    struct inode_status status;
    size_t at = 0;

    at = add_member(archive, at, "l/one", 0100600, 1, 2, "the first and longer");
    at = add_member(archive, at, "l/two", 0100644, 1, 2, "the second");
    at = add_member(archive, at, "l/lost", 0100600, 2, 2, "");
    at = add_member(archive, at, "l/lost", 0120777, 3, 1, "one");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), 0);
    expect_bytes("l/one", "the second", 10);
    assert_int_equal(status_of("l/one", &status), 0);
    assert_int_equal(status.mode, 0100644);
    assert_int_equal(status.links, 2);
    at = add_member(archive, at, "l/found", 0100600, 2, 2, "into a symbolic link");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), -EINVAL);
    memset(archive, 0, sizeof(archive));
    at = add_member(archive, 0, ".", 0100600, 1, 1, "data of the root");
    add_trailer(archive, at);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), -EINVAL);
}

static void digits(void **state)
{
    static char archive[4096];

    for (unsigned int byte = 0; byte < 256; byte++) {
        bool fine = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
        memset(archive, 0, sizeof(archive));
        size_t at = add_member(archive, 0, "digits", 0100644, 1, 1, "");
        add_trailer(archive, at);
        archive[49] = (char)byte; /* of the time */
        assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), fine ? 0 : -EINVAL);
    }
    struct inode_status status;
    memset(archive, 0, sizeof(archive));
    size_t at = add_member(archive, 0, "digits", 0100644, 1, 1, "");
    add_trailer(archive, at);
    memcpy(archive + 46, "0aBcDeF9", 8);
    assert_int_equal(cpio_unpack(&root, archive, sizeof(archive), false), 0);
    assert_int_equal(status_of("digits", &status), 0);
    assert_int_equal(status.modify_time.seconds, 0x0abcdef9);
}

static void broken_headers(void **state)
{
    static const struct {
        size_t at;
        char byte;
    } changes[] = {{20, 'g'}, {20, ' '}, {20, '@'}, {94, 'f'}, {101, '0'}, {101, '4'} /* ends within the name */, {54, '8'}};
    static char archive[4096];

    for (size_t i = 0; i < array_count(changes); i++) {
        memset(archive, 0, sizeof(archive));
        size_t at = add_member(archive, 0, "broken", 0100644, 1, 1, "data");
        at = add_trailer(archive, at);
        archive[changes[i].at] = changes[i].byte;
        assert_int_equal(cpio_unpack(&root, archive, at, false), -EINVAL);
    }
}

/* A name padded so that the data begins with the archive's second page; a file that does not; and a small one. Names are of that directory. */
static char *archive_make(const char *large, size_t *bytes)
{
    struct page *block = page_allocate(ARCHIVE_ORDER, PAGE_CACHE, PAGE_ALLOCATE_ZERO);
    char *archive = page_address(block);
    size_t at = add_member(archive, 0, "owned", 040755, 1, 2, "");

    page_split(block);
    at = add_data(archive, at, "owned/large", PAGE_SIZE - at - 110, 0100755, 2, 1, large, LARGE_BYTES);
    assert_int_equal(at, PAGE_SIZE + LARGE_BYTES);
    at = add_data(archive, at, "owned/astray", sizeof("owned/astray"), 0100755, 3, 1, large, LARGE_BYTES);
    at = add_member(archive, at, "owned/small", 0100644, 4, 1, "small");
    *bytes = add_trailer(archive, at);
    for (size_t rest = PAGE_ROUND_UP(*bytes); rest < ARCHIVE_BYTES; rest += PAGE_SIZE)
        page_release(page_from_address(archive + rest));
    return archive;
}

static void owned_remove(void)
{
    static const char *const names[] = {"owned/large", "owned/astray", "owned/small"};

    for (size_t i = 0; i < array_count(names); i++)
        (void)path_remove(&root, NULL, names[i], false);
    (void)path_remove(&root, NULL, "owned", true);
}

static void pages_given(void **state)
{
    static char large[LARGE_BYTES];
    struct page *pages[LARGE_PAGES];
    struct file *file;
    size_t bytes;

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 7 + (i >> 12));
    size_t pages_before = host_pages_in_use();
    char *archive = archive_make(large, &bytes);
    assert_int_equal(cpio_unpack(&root, archive, bytes, true), 0);
    expect_bytes("owned/large", large, sizeof(large));
    expect_bytes("owned/astray", large, sizeof(large));
    expect_bytes("owned/small", "small", 5);
    assert_int_equal(host_pages_in_use(), pages_before + LARGE_PAGES + LARGE_PAGES + 1);
    assert_int_equal(file_open(&root, NULL, "owned/large", FILE_READ_ONLY, 0, &file), 0);
    assert_int_equal(page_cache_get_present(&file->inode->cache, 0, pages, LARGE_PAGES), LARGE_PAGES);
    for (size_t i = 0; i + 1 < LARGE_PAGES; i++)
        assert_ptr_equal(page_address(pages[i]), archive + (1 + i) * PAGE_SIZE);
    assert_int_equal(*((char *)page_address(pages[LARGE_PAGES - 1]) + LARGE_BYTES % PAGE_SIZE), 0); /* what a map of it shows behind the end */
    for (size_t i = 0; i < LARGE_PAGES; i++)
        page_release(pages[i]);
    file_release(file);
    owned_remove();
    assert_int_equal(host_pages_in_use(), pages_before);
}

/* The archive is gone in any case, and nothing else is left of it. */
static void pages_given_without_memory(void **state)
{
    static const char large[LARGE_BYTES];
    size_t pages_before = host_pages_in_use(), bytes;
    long successes = 0;
    int error;

    do {
        char *archive = archive_make(large, &bytes);
        host_fail_allocations_after(successes++);
        error = cpio_unpack(&root, archive, bytes, true);
        host_fail_allocations_after(-1);
        owned_remove();
        assert_int_equal(host_pages_in_use(), pages_before);
    } while (error == -ENOMEM || error == -ENOSPC || error == -ENFILE); /* of memory, a directory's entry, an open file */
    assert_int_equal(error, 0);
    assert_true(successes > 20);
    char *archive = archive_make(large, &bytes);
    assert_int_equal(cpio_unpack(&root, archive, bytes - 200, true), -EINVAL);
    owned_remove();
    assert_int_equal(host_pages_in_use(), pages_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(replacements),
        cmocka_unit_test(names),
        cmocka_unit_test(strange_links),
        cmocka_unit_test(digits),
        cmocka_unit_test(broken_headers),
        cmocka_unit_test(pages_given),
        cmocka_unit_test(pages_given_without_memory),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
