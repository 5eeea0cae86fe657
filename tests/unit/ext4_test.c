/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext4 read by our code against the directory it was made from: every name, length, byte, link and attribute, for the
 * block sizes and layouts mke2fs makes; and what must be refused.
 */
#include "kernel/fs/ext4/ext4.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/memory/page.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/ext4_image.h"
#include "tests/unit/host/host.h"

#define IMAGE_BYTES (24ul << 20)
#define MANY_FILES 4000

static char source[64];

static void write_file(const char *name, const void *bytes, size_t length, off_t offset)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", source, name);

    int fd = open(path, O_CREAT | O_WRONLY, 0640);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, offset), (ssize_t)length);
    close(fd);
}

static int source_create(void **state)
{
    static char big[1 << 20];
    char path[512], target[200];

    assert_int_equal(vfs_init(), 0);
    strcpy(source, "/tmp/ext4-source-XXXXXX");
    assert_non_null(mkdtemp(source));
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 2654435761u >> 13);
    write_file("empty", "", 0, 0);
    write_file("short", "a short file\n", 13, 0);
    write_file("big", big, sizeof(big) - 77, 0);
    for (int i = 0; i < 40; i++) /* holes: 40 pieces of 5000 bytes, 60000 apart */
        write_file("sparse", big + i, 5000, i * 60000 + 1234);
    snprintf(path, sizeof(path), "%s/many", source);
    assert_int_equal(mkdir(path, 0755), 0);
    for (int i = 0; i < MANY_FILES; i++) {
        snprintf(path, sizeof(path), "many/name-of-file-%d-%s", i, i % 7 ? "x" : "which is a good deal longer \303\244");
        write_file(path, &i, sizeof(i), 0);
    }
    snprintf(path, sizeof(path), "%s/link-short", source);
    assert_int_equal(symlink("short", path), 0);
    memset(target, 'l', sizeof(target) - 1);
    target[sizeof(target) - 1] = 0;
    snprintf(path, sizeof(path), "%s/link-long", source);
    assert_int_equal(symlink(target, path), 0);
    return 0;
}

static int source_remove(void **state)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", source);
    return system(command);
}

static void compare_data(struct inode *inode, const char *path)
{
    static uint8_t ours[4 << 20], theirs[4 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t length = read(fd, theirs, sizeof(theirs));
    struct io_segment segment;
    struct io_vector vector;
    long got = 0, total = 0;

    close(fd);
    assert_int_equal(inode->size_bytes, length);
    memset(ours, 0xaa, sizeof(ours));
    do { /* odd pieces, so that pages are met at every offset */
        io_vector_init_kernel(&vector, &segment, ours + total, 77777);
        got = page_cache_read(&inode->cache, (uint64_t)total, &vector);
        assert_true(got >= 0);
        total += got;
    } while (got > 0);
    assert_int_equal(total, length);
    assert_memory_equal(ours, theirs, (size_t)length);
}

static void compare_tree(struct inode *directory, const char *path);

static void compare_inode(struct inode *inode, const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(inode->mode, status.st_mode);
    assert_int_equal(inode->uid, status.st_uid);
    assert_int_equal(inode->modify_time.seconds, status.st_mtim.tv_sec);
    if (S_ISLNK(status.st_mode)) {
        char ours[4096], theirs[4096];
        long length = readlink(path, theirs, sizeof(theirs));

        assert_int_equal(inode->operations->read_link(inode, ours, sizeof(ours)), length);
        assert_memory_equal(ours, theirs, (size_t)length);
    } else if (S_ISREG(status.st_mode)) {
        compare_data(inode, path);
    } else if (S_ISDIR(status.st_mode)) {
        compare_tree(inode, path);
    }
}

struct names {
    size_t count;
    size_t room;     /* of this read */
    uint64_t offset; /* behind the last entry taken */
};

static bool count_name(void *context, const char *name, size_t length, uint64_t number, unsigned int type, uint64_t next)
{
    struct names *names = context;

    assert_true(length > 0 && length <= 255 && number > 0 && type != 0);
    if (names->room == 0)
        return false;
    names->room--;
    names->count++;
    names->offset = next;
    return true;
}

/* 100 names a read, as a reader with a small buffer does it. */
static size_t count_names(struct inode *directory)
{
    struct names names = { 0 };
    size_t before;

    do {
        before = names.count;
        names.room = 100;
        assert_int_equal(directory->operations->read_directory(directory, names.offset, count_name, &names), 0);
    } while (names.count != before);
    return names.count;
}

static void compare_tree(struct inode *directory, const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *entry;
    struct inode *inode;

    assert_non_null(stream);
    while ((entry = readdir(stream))) {
        char child[1024];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        assert_int_equal(directory->operations->lookup(directory, entry->d_name, strlen(entry->d_name), &inode), 0);
        compare_inode(inode, child);
        inode_release(inode);
    }
    closedir(stream);
    assert_int_equal(directory->operations->lookup(directory, "absent", 6, &inode), -ENOENT);
}

struct mounted {
    struct test_disk disk;
    struct file_system *file_system;
    uint8_t *bytes;
};

static int image_mount(struct mounted *mounted, uint8_t *bytes)
{
    mounted->bytes = bytes;
    test_disk_attach(&mounted->disk, "xvda", bytes, IMAGE_BYTES);
    return ext4_type.mount("/dev/xvda", 0, "", &mounted->file_system);
}

static void image_unmount(struct mounted *mounted)
{
    inode_release(mounted->file_system->root);
    mounted->file_system->operations->unmount(mounted->file_system);
    test_disk_detach(&mounted->disk);
    free(mounted->bytes);
}

static void compare_with_hash(const char *options, const char *hash)
{
    struct mounted mounted;
    size_t pages = host_pages_in_use();

    assert_int_equal(image_mount(&mounted, ext4_image_create(options, IMAGE_BYTES, source, hash)), 0);
    compare_tree(mounted.file_system->root, source);

    struct inode *many;

    assert_int_equal(ext4_lookup(mounted.file_system->root, "many", 4, &many), 0);
    assert_int_equal(count_names(many), MANY_FILES);
    inode_release(many);
    image_unmount(&mounted);
    assert_int_equal(host_pages_in_use(), pages);
}

static void compare_with_options(const char *options)
{
    compare_with_hash(options, NULL);
}

static void reads_mke2fs_defaults(void **state) { compare_with_options(""); }
static void reads_4k_blocks(void **state) { compare_with_options("-b 4096"); }
static void reads_1k_blocks(void **state) { compare_with_options("-b 1024"); }
static void reads_2k_blocks(void **state) { compare_with_options("-b 2048"); }
static void reads_block_maps(void **state) { compare_with_options("-b 1024 -O ^extents,^64bit,^metadata_csum"); }
static void reads_32bit_without_checksums(void **state) { compare_with_options("-O ^64bit,^metadata_csum"); }
static void reads_small_inodes(void **state) { compare_with_options("-I 128"); }
static void reads_meta_block_groups(void **state) { compare_with_options("-b 1024 -O meta_bg,^resize_inode"); }
static void reads_half_md4_directories(void **state) { compare_with_hash("", "half_md4"); }
static void reads_deep_hash_directories(void **state) { compare_with_hash("-b 1024", "half_md4"); }
static void reads_tea_directories(void **state) { compare_with_hash("-b 1024 -O ^metadata_csum", "tea"); }
static void reads_legacy_hash_directories(void **state) { compare_with_hash("", "legacy"); }

static void refuses_a_journal_to_replay(void **state)
{
    struct mounted mounted;
    uint8_t *bytes = ext4_image_create("-O ^metadata_csum", IMAGE_BYTES, NULL, NULL);

    bytes[EXT4_SUPER_OFFSET + offsetof(struct ext4_super_block, feature_incompat)] |= EXT4_INCOMPAT_RECOVER;
    assert_int_equal(image_mount(&mounted, bytes), -EROFS);
    test_disk_detach(&mounted.disk);
    free(bytes);
}

static void refuses_a_wrong_super_block(void **state)
{
    struct mounted mounted;
    uint8_t *bytes = ext4_image_create("", IMAGE_BYTES, NULL, NULL);

    bytes[EXT4_SUPER_OFFSET + offsetof(struct ext4_super_block, uuid)] ^= 1; /* only the checksum can tell */
    assert_int_equal(image_mount(&mounted, bytes), -EUCLEAN);
    test_disk_detach(&mounted.disk);
    bytes[EXT4_SUPER_OFFSET + offsetof(struct ext4_super_block, magic)] ^= 1;
    assert_int_equal(image_mount(&mounted, bytes), -EINVAL);
    test_disk_detach(&mounted.disk);
    free(bytes);
}

static void finds_a_wrong_root_inode(void **state) /* by its checksum alone */
{
    struct mounted mounted;
    uint8_t *bytes = ext4_image_create("-b 4096", IMAGE_BYTES, NULL, NULL);
    const struct ext4_group_descriptor *group = (const void *)(bytes + 4096);
    uint8_t *root = bytes + (size_t)group->inode_table_low * 4096 + 256;

    root[offsetof(struct ext4_inode, uid_low)] ^= 1;
    assert_int_equal(image_mount(&mounted, bytes), -EUCLEAN);
    test_disk_detach(&mounted.disk);
    free(bytes);
}

/* The directory is read twice before: what marks its page as used must not pass for "its checksum was right". */
static void finds_a_wrong_directory_block(void **state)
{
    struct mounted mounted;
    struct ext4_block block;
    struct inode *directory, *found;

    assert_int_equal(image_mount(&mounted, ext4_image_create("-b 4096", IMAGE_BYTES, source, NULL)), 0);
    assert_int_equal(ext4_lookup(mounted.file_system->root, "many", 4, &directory), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ext4_file_block_get(directory, 1, &block), 0);
        assert_false(block.verified);
        *(uint8_t *)(uintptr_t)(block.bytes + 4000) ^= i == 1;
        ext4_block_put(&block);
    }
    assert_int_equal(ext4_lookup(directory, "absent", 6, &found), -EUCLEAN);
    inode_release(directory);
    image_unmount(&mounted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_wrong_directory_block),
        cmocka_unit_test(reads_mke2fs_defaults),
        cmocka_unit_test(reads_4k_blocks),
        cmocka_unit_test(reads_1k_blocks),
        cmocka_unit_test(reads_2k_blocks),
        cmocka_unit_test(reads_block_maps),
        cmocka_unit_test(reads_32bit_without_checksums),
        cmocka_unit_test(reads_small_inodes),
        cmocka_unit_test(reads_meta_block_groups),
        cmocka_unit_test(reads_half_md4_directories),
        cmocka_unit_test(reads_deep_hash_directories),
        cmocka_unit_test(reads_tea_directories),
        cmocka_unit_test(reads_legacy_hash_directories),
        cmocka_unit_test(refuses_a_journal_to_replay),
        cmocka_unit_test(refuses_a_wrong_super_block),
        cmocka_unit_test(finds_a_wrong_root_inode),
    };

    return cmocka_run_group_tests(tests, source_create, source_remove);
}
