/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names, files, descriptors and locks over a tmpfs: what Linux answers, step by step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/fs/tmpfs/tmpfs.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/directory.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/file_lock.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/transfer.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"
#include "tests/unit/vfs_tree.h"

static const struct file_system_type *const types[] = {&tmpfs_type, &devfs_type, &devpts_type};
static struct fs_context root;
static int current_pid = 1;

static bool test_identity(struct process_identity *identity)
{
    *identity = (struct process_identity){current_pid, current_pid, current_pid};
    return true;
}

static struct vfs_process_hooks hooks;

static int start(void **state)
{
    assert_int_equal(vfs_init(), 0);
    assert_int_equal(file_system_register_types(types, array_count(types)), 0);
    assert_int_equal(devfs_init(), 0);
    hooks = *vfs_process;
    hooks.identity = test_identity;
    vfs_process_hooks_set(&hooks);
    vfs_tree_start(&root);
    return 0;
}

static struct file *open_file(const char *name, unsigned int flags)
{
    struct file *file = NULL;
    int error = file_open(&root, NULL, name, flags, 0644, &file);

    if (error)
        fail_msg("open %s: %d", name, error);
    return file;
}

static int try_open(const char *name, unsigned int flags)
{
    return vfs_tree_try_open(&root, name, flags);
}

static long write_text(struct file *file, const char *text)
{
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)text, strlen(text));
    return file_write(file, &vector, NULL);
}

static long read_bytes(struct file *file, void *buffer, size_t size, uint64_t *position)
{
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, buffer, size);
    return file_read(file, &vector, position);
}

static void make_file(const char *name, const char *text)
{
    struct file *file = open_file(name, FILE_CREATE | FILE_WRITE_ONLY | FILE_TRUNCATE);

    assert_int_equal(write_text(file, text), strlen(text));
    file_release(file);
}

static void expect_text(const char *name, const char *text)
{
    char buffer[256] = {0};
    struct file *file = open_file(name, FILE_READ_ONLY);

    assert_int_equal(read_bytes(file, buffer, sizeof(buffer) - 1, NULL), strlen(text));
    assert_string_equal(buffer, text);
    file_release(file);
}

static int status_of(const char *name, struct inode_status *status)
{
    return vfs_tree_status(&root, name, status);
}

static void names_and_errors(void **state)
{
    struct inode_status status;
    char longer[300];

    memset(longer, 'x', sizeof(longer));
    longer[256] = 0;
    assert_int_equal(try_open("none", FILE_READ_ONLY), -ENOENT);
    assert_int_equal(path_make_directory(&root, NULL, "a", 0777), 0);
    assert_int_equal(path_make_directory(&root, NULL, "a", 0777), -EEXIST);
    assert_int_equal(path_make_directory(&root, NULL, "a/b/", 0777), 0);
    assert_int_equal(path_make_directory(&root, NULL, "none/b", 0777), -ENOENT);
    make_file("a/file", "text");
    assert_int_equal(try_open("a/file/x", FILE_READ_ONLY), -ENOTDIR);
    assert_int_equal(try_open("a/file/", FILE_READ_ONLY), -ENOTDIR);
    assert_int_equal(try_open("a", FILE_WRITE_ONLY), -EISDIR);
    assert_int_equal(try_open("a/file", FILE_READ_ONLY | FILE_DIRECTORY), -ENOTDIR);
    assert_int_equal(try_open("a/file", FILE_CREATE | FILE_EXCLUSIVE | FILE_WRITE_ONLY), -EEXIST);
    assert_int_equal(try_open(longer, FILE_READ_ONLY), -ENAMETOOLONG);
    assert_int_equal(try_open("", FILE_READ_ONLY), -ENOENT);
    expect_text("./a/../a/./b/../file", "text");
    expect_text("/../../a//file", "text");
    assert_int_equal(status_of("a", &status), 0);
    assert_int_equal(status.mode, MODE_DIRECTORY | 0755);
    assert_int_equal(status.links, 3);
    assert_int_equal(path_remove(&root, NULL, "a", true), -ENOTEMPTY);
    assert_int_equal(path_remove(&root, NULL, "a/b", false), -EISDIR);
    assert_int_equal(path_remove(&root, NULL, "a/file", true), -ENOTDIR);
    assert_int_equal(path_remove(&root, NULL, "a/.", true), -EINVAL);
    assert_int_equal(path_remove(&root, NULL, "a/..", true), -ENOTEMPTY);
    assert_int_equal(path_remove(&root, NULL, "a/b", true), 0);
    assert_int_equal(path_remove(&root, NULL, "a/file", false), 0);
    assert_int_equal(path_remove(&root, NULL, "a", true), 0);
    assert_int_equal(path_remove(&root, NULL, "a", true), -ENOENT);
}

static void symbolic_links(void **state)
{
    struct path path;
    char name[32];

    make_file("real", "real");
    assert_int_equal(path_make_symlink(&root, "real", NULL, "link"), 0);
    assert_int_equal(path_make_symlink(&root, "loop", NULL, "loop"), 0);
    assert_int_equal(path_make_symlink(&root, "nowhere", NULL, "dangling"), 0);
    expect_text("link", "real");
    assert_int_equal(try_open("loop", FILE_READ_ONLY), -ELOOP);
    assert_int_equal(try_open("link", FILE_READ_ONLY | FILE_NO_FOLLOW), -ELOOP);
    assert_int_equal(try_open("dangling", FILE_CREATE | FILE_EXCLUSIVE | FILE_WRITE_ONLY), -EEXIST);
    make_file("dangling", "made");
    expect_text("nowhere", "made");
    /* 40 links may be followed, not 41. */
    for (int i = 0; i < 41; i++) {
        char target[32];

        format_string(name, sizeof(name), "chain%d", i);
        format_string(target, sizeof(target), i == 0 ? "real" : "chain%d", i - 1);
        assert_int_equal(path_make_symlink(&root, target, NULL, name), 0);
    }
    expect_text("chain39", "real");
    assert_int_equal(try_open("chain40", FILE_READ_ONLY), -ELOOP);
    assert_int_equal(path_lookup(&root, NULL, "link", PATH_FOLLOW | PATH_NO_SYMLINKS, &path), -ELOOP);
    assert_int_equal(path_make_symlink(&root, "/real", NULL, "absolute"), 0);
    assert_int_equal(path_lookup(&root, &root.root, "absolute", PATH_FOLLOW | PATH_BENEATH, &path), -EXDEV);
    assert_int_equal(path_lookup(&root, &root.root, "..", PATH_FOLLOW | PATH_BENEATH, &path), -EXDEV);
}

static void renames(void **state)
{
    struct inode_status one, two;
    char name[64];
    struct path path;

    assert_int_equal(path_make_directory(&root, NULL, "r", 0755), 0);
    assert_int_equal(path_make_directory(&root, NULL, "r/s", 0755), 0);
    assert_int_equal(path_make_directory(&root, NULL, "r/s/t", 0755), 0);
    make_file("r/f", "f");
    make_file("r/g", "g");
    assert_int_equal(path_rename(&root, NULL, "r", NULL, "r/s/t/u", 0), -EINVAL); /* into itself */
    assert_int_equal(path_rename(&root, NULL, "r/s/t", NULL, "r", 0), -ENOTEMPTY);
    assert_int_equal(path_rename(&root, NULL, "r/f", NULL, "r/s", 0), -EISDIR);
    assert_int_equal(path_rename(&root, NULL, "r/s", NULL, "r/f", 0), -ENOTDIR);
    assert_int_equal(path_rename(&root, NULL, "r/f", NULL, "r/g", 1), -EEXIST);
    assert_int_equal(path_rename(&root, NULL, "r/none", NULL, "r/g", 0), -ENOENT);
    assert_int_equal(path_rename(&root, NULL, "r/f", NULL, "r/g", 2), 0); /* exchange */
    expect_text("r/f", "g");
    expect_text("r/g", "f");
    assert_int_equal(path_rename(&root, NULL, "r/f", NULL, "r/g", 0), 0);
    expect_text("r/g", "g");
    assert_int_equal(try_open("r/f", FILE_READ_ONLY), -ENOENT);
    assert_int_equal(path_rename(&root, NULL, "r/s/t", NULL, "r/moved", 0), 0);
    assert_int_equal(status_of("r/s", &one), 0);
    assert_int_equal(one.links, 2);
    assert_int_equal(status_of("r", &two), 0);
    assert_int_equal(two.links, 4);
    assert_int_equal(path_lookup(&root, NULL, "r/moved", 0, &path), 0);
    assert_int_equal(path_name(&root, &path, name, sizeof(name), false), sizeof("/r/moved"));
    assert_string_equal(name, "/r/moved");
    path_release(&path);
    /* A name that leads to the same file: nothing happens. */
    assert_int_equal(path_link(&root, NULL, "r/g", NULL, "r/h", 0), 0);
    assert_int_equal(path_rename(&root, NULL, "r/g", NULL, "r/h", 0), 0);
    expect_text("r/g", "g");
    expect_text("r/h", "g");
}

static void permissions(void **state)
{
    struct credentials *user = credentials_copy(root.credentials, 0);
    struct fs_context other = root;
    struct file *file;

    user->uid = user->euid = user->suid = user->fsuid = 1000;
    user->gid = user->egid = user->sgid = user->fsgid = 1000;
    user->effective = user->permitted = 0;
    other.credentials = user;
    assert_int_equal(path_make_directory(&root, NULL, "p", 0755), 0);
    assert_int_equal(path_make_directory(&root, NULL, "p/open", 0755), 0);
    struct path path;
    assert_int_equal(path_lookup(&root, NULL, "p/open", 0, &path), 0);
    assert_int_equal(attributes_change_mode(&root, &path, MODE_STICKY | 0777), 0);
    path_release(&path);
    assert_int_equal(file_open(&other, NULL, "p/new", FILE_CREATE | FILE_WRITE_ONLY, 0644, &file), -EACCES);
    make_file("p/open/roots", "x");
    assert_int_equal(file_open(&other, NULL, "p/open/roots", FILE_WRITE_ONLY, 0, &file), -EACCES);
    assert_int_equal(file_open(&other, NULL, "p/open/roots", FILE_READ_ONLY, 0, &file), 0);
    file_release(file);
    assert_int_equal(path_remove(&other, NULL, "p/open/roots", false), -EPERM); /* sticky */
    assert_int_equal(file_open(&other, NULL, "p/open/mine", FILE_CREATE | FILE_WRITE_ONLY, 0666, &file), 0);
    assert_int_equal(file->inode->uid, 1000);
    assert_int_equal(file->inode->mode, MODE_REGULAR | 0644);
    file_release(file);
    assert_int_equal(path_remove(&other, NULL, "p/open/mine", false), 0);
    credentials_release(user);
}

/* Entries as a program's getdents loop sees them, while names come and go. */
struct listing {
    char names[1024];
    size_t limit, count;
};

static bool list_entry_add(void *context, const char *name, size_t length, uint64_t number, unsigned int type, uint64_t next)
{
    struct listing *listing = context;

    if (listing->count == listing->limit)
        return false;
    listing->count++;
    strncat(listing->names, name, length);
    strcat(listing->names, " ");
    return true;
}

static void reading_directories(void **state)
{
    struct listing listing = {.limit = 3};
    struct file *file;

    assert_int_equal(path_make_directory(&root, NULL, "d", 0755), 0);
    make_file("d/one", "");
    make_file("d/two", "");
    make_file("d/three", "");
    file = open_file("d", FILE_READ_ONLY | FILE_DIRECTORY);
    assert_int_equal(directory_read_entries(file, list_entry_add, &listing), 0);
    assert_string_equal(listing.names, ". .. one ");
    path_remove(&root, NULL, "d/one", false);
    path_remove(&root, NULL, "d/two", false);
    make_file("d/four", "");
    listing = (struct listing){.limit = 100};
    assert_int_equal(directory_read_entries(file, list_entry_add, &listing), 0);
    assert_string_equal(listing.names, "three four ");
    assert_int_equal(file_seek(file, 0, 0), 0);
    listing = (struct listing){.limit = 100};
    assert_int_equal(directory_read_entries(file, list_entry_add, &listing), 0);
    assert_string_equal(listing.names, ". .. three four ");
    file_release(file);
}

static void files_and_space(void **state)
{
    static char block[65536];
    struct file_system_statistics statistics;
    struct inode_status status;
    struct io_segment segment;
    struct io_vector vector;
    struct path path;
    uint64_t position = 1000;
    char buffer[16];
    long answer = 0;

    struct file *file = open_file("space", FILE_CREATE | FILE_READ_WRITE);
    io_vector_init_kernel(&vector, &segment, "hello", 5);
    assert_int_equal(file_write(file, &vector, &position), 5);
    assert_int_equal(file->inode->size_bytes, 1005);
    position = 996;
    assert_int_equal(read_bytes(file, buffer, sizeof(buffer), &position), 9);
    assert_memory_equal(buffer, "\0\0\0\0hello", 9);
    assert_int_equal(attributes_truncate_file(file, 1002), 0);
    assert_int_equal(attributes_truncate_file(file, 1005), 0);
    position = 1000;
    assert_int_equal(read_bytes(file, buffer, 5, &position), 5);
    assert_memory_equal(buffer, "he\0\0\0", 5);
    /* The limit of 4 MiB holds, and what is freed can be used again. */
    assert_int_equal(file_seek(file, 0, 0), 0);
    while (answer >= 0) {
        io_vector_init_kernel(&vector, &segment, block, sizeof(block));
        answer = file_write(file, &vector, NULL);
    }
    assert_int_equal(answer, -ENOSPC);
    assert_true(file->inode->size_bytes >= 3 << 20);
    assert_int_equal(path_lookup(&root, NULL, "/", 0, &path), 0);
    assert_int_equal(attributes_file_system(&path, &statistics), 0);
    assert_int_equal(statistics.blocks, 1024);
    assert_true(statistics.blocks_free < 64);
    position = 0;
    io_vector_init_kernel(&vector, &segment, block, sizeof(block));
    assert_int_equal(file_write(file, &vector, &position), sizeof(block)); /* onto pages that are there */
    assert_int_equal(attributes_allocate(file, 3, 4096, 8192), 0);         /* punch a hole */
    assert_int_equal(attributes_truncate_file(file, 0), 0);
    assert_int_equal(status_of("space", &status), 0);
    assert_int_equal(status.blocks, 0);
    attributes_file_system(&path, &statistics);
    assert_true(statistics.blocks_free > 900);
    path_release(&path);
    file_release(file);
    path_remove(&root, NULL, "space", false);
}

static void removed_but_open(void **state)
{
    struct file *file = open_file("gone", FILE_CREATE | FILE_READ_WRITE);
    size_t pages = host_pages_in_use();
    char buffer[8];
    uint64_t position = 0;

    assert_int_equal(write_text(file, "still"), 5);
    assert_int_equal(path_remove(&root, NULL, "gone", false), 0);
    assert_int_equal(read_bytes(file, buffer, 8, &position), 5);
    file_release(file);
    assert_int_equal(host_pages_in_use(), pages);
}

static void attributes_extended(void **state)
{
    char value[16], list[64];
    struct path path;

    make_file("x", "");
    assert_int_equal(path_lookup(&root, NULL, "x", 0, &path), 0);
    assert_int_equal(attributes_get_xattr(&root, &path, "user.a", value, 16), -ENODATA);
    assert_int_equal(attributes_set_xattr(&root, &path, "user.a", "123", 3, 0), 0);
    assert_int_equal(attributes_set_xattr(&root, &path, "user.a", "1234", 4, 1), -EEXIST);
    assert_int_equal(attributes_set_xattr(&root, &path, "trusted.b", "", 0, 0), 0);
    assert_int_equal(attributes_get_xattr(&root, &path, "user.a", NULL, 0), 3);
    assert_int_equal(attributes_get_xattr(&root, &path, "user.a", value, 2), -ERANGE);
    assert_int_equal(attributes_get_xattr(&root, &path, "user.a", value, 16), 3);
    assert_memory_equal(value, "123", 3);
    assert_int_equal(attributes_list_xattr(&root, &path, list, sizeof(list)), 17);
    assert_memory_equal(list, "user.a\0trusted.b", 17);
    assert_int_equal(attributes_remove_xattr(&root, &path, "user.a"), 0);
    assert_int_equal(attributes_remove_xattr(&root, &path, "user.a"), -ENODATA);
    assert_int_equal(attributes_set_xattr(&root, &path, "other.a", "", 0, 0), -EOPNOTSUPP);
    path_release(&path);
}

static void mounts(void **state)
{
    struct path path;

    assert_int_equal(path_make_directory(&root, NULL, "m", 0755), 0);
    make_file("m/under", "under");
    assert_int_equal(mount_create(&root, "none", "/m", "nosuch", 0, ""), -ENODEV);
    assert_int_equal(mount_create(&root, "none", "/m", "tmpfs", 0, "size=1x"), -EINVAL);
    assert_int_equal(mount_create(&root, "none", "/m", "tmpfs", 0, "size=1m,mode=700"), 0);
    assert_int_equal(try_open("m/under", FILE_READ_ONLY), -ENOENT);
    make_file("m/over", "over");
    path_make_directory(&root, NULL, "m/deep", 0755);
    path_make_directory(&root, NULL, "m/deep/deeper", 0755);
    make_file("m/deep/deeper/file", "x");
    assert_int_equal(path_rename(&root, NULL, "m/over", NULL, "over", 0), -EXDEV);
    assert_int_equal(path_link(&root, NULL, "m/over", NULL, "over", 0), -EXDEV);
    assert_int_equal(path_remove(&root, NULL, "m", true), -EBUSY);
    expect_text("m/../m/over", "over");
    assert_int_equal(path_lookup(&root, NULL, "m/over", PATH_NO_XDEV, &path), -EXDEV);
    struct file *busy = open_file("m/over", FILE_READ_ONLY);
    assert_int_equal(mount_remove(&root, "/m", 0), -EBUSY);
    file_release(busy);
    assert_int_equal(mount_remove(&root, "/m", 0), 0);
    expect_text("m/under", "under");
}

static void descriptors(void **state)
{
    struct fd_table *table, *copy;
    struct file *file = open_file("fd", FILE_CREATE | FILE_READ_WRITE);

    assert_int_equal(fd_table_create(&table), 0);
    for (int i = 0; i < 300; i++) {
        file_take(file);
        assert_int_equal(fd_table_install(table, file, i % 2, 0, 1000), i);
    }
    assert_int_equal(fd_table_close(table, 70), 0);
    assert_int_equal(fd_table_close(table, 70), -EBADF);
    assert_null(fd_table_get(table, 70));
    assert_null(fd_table_get(table, -1));
    assert_null(fd_table_get(table, 1 << 30));
    file_take(file);
    assert_int_equal(fd_table_install(table, file, false, 0, 1000), 70);
    assert_int_equal(fd_table_install(table, file, false, 0, 300), -EMFILE);
    file_take(file);
    assert_int_equal(fd_table_install_at(table, file, false, 900, 1000), 900);
    assert_int_equal(fd_table_next(table, 300), 900);
    assert_int_equal(fd_table_next(table, 901), -1);
    assert_int_equal(fd_table_duplicate(table, &copy), 0);
    fd_table_close_on_exec(copy);
    assert_null(fd_table_get(copy, 1));
    fd_table_close_range(copy, 2, ~0u, false);
    assert_int_equal(fd_table_next(copy, 1), -1);
    fd_table_release(copy);
    assert_int_equal(atomic_load(&file->reference.count), 302);
    fd_table_release(table);
    assert_int_equal(atomic_load(&file->reference.count), 1);
    file_release(file);
}

static void record_locks(void **state)
{
    struct file *file = open_file("locks", FILE_CREATE | FILE_READ_WRITE), *other = open_file("locks", FILE_READ_WRITE);
    struct file_lock_range range = {.type = FILE_LOCK_WRITE, .start = 10, .end = 20};

    current_pid = 1;
    assert_int_equal(file_lock_range_set(file, &range, false, false), 0);
    range = (struct file_lock_range){.type = FILE_LOCK_READ, .start = 12, .end = 14};
    current_pid = 2;
    assert_int_equal(file_lock_range_set(other, &range, false, false), -EAGAIN);
    file_lock_range_get(other, &range, false);
    assert_int_equal(range.type, FILE_LOCK_WRITE);
    assert_int_equal(range.start, 10);
    assert_int_equal(range.pid, 1);
    current_pid = 1; /* splits its own: 10-12 and 14-20 stay for writing */
    range = (struct file_lock_range){.type = FILE_LOCK_UNLOCK, .start = 12, .end = 14};
    assert_int_equal(file_lock_range_set(file, &range, false, false), 0);
    current_pid = 2;
    range = (struct file_lock_range){.type = FILE_LOCK_WRITE, .start = 12, .end = 14};
    assert_int_equal(file_lock_range_set(other, &range, false, false), 0);
    range.end = 15;
    assert_int_equal(file_lock_range_set(other, &range, false, false), -EAGAIN);
    /* Whole-file locks are another kind. */
    assert_int_equal(file_lock_whole(file, FILE_LOCK_WRITE, false), 0);
    assert_int_equal(file_lock_whole(other, FILE_LOCK_READ, false), -EWOULDBLOCK);
    file_release(file);
    assert_int_equal(file_lock_whole(other, FILE_LOCK_READ, false), 0);
    file_lock_release_process(other);
    current_pid = 1;
    file_lock_release_process(other);
    file_release(other);
    assert_int_equal(file_lock_count(), 0);
}

static void transfers(void **state)
{
    static char bytes[200000], back[200000];
    struct file *in = open_file("in", FILE_CREATE | FILE_READ_WRITE), *out = open_file("out", FILE_CREATE | FILE_READ_WRITE);
    struct file *read_end, *write_end;
    struct io_segment segment;
    struct io_vector vector;
    uint64_t position = 100, zero = 0;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 2654435761u >> 11);
    io_vector_init_kernel(&vector, &segment, bytes, sizeof(bytes));
    assert_int_equal(file_write(in, &vector, NULL), sizeof(bytes));
    assert_int_equal(transfer_send(out, in, &position, 1 << 20), sizeof(bytes) - 100);
    assert_int_equal(position, sizeof(bytes));
    assert_int_equal(read_bytes(out, back, sizeof(back), &zero), sizeof(bytes) - 100);
    assert_memory_equal(back, bytes + 100, sizeof(bytes) - 100);
    position = zero = 0;
    assert_int_equal(transfer_copy_range(in, &position, in, &zero, 100), -EINVAL);
    zero = sizeof(bytes);
    assert_int_equal(transfer_copy_range(in, &position, in, &zero, 100), 100);
    /* Through a pipe: as much as fits, and out again. */
    assert_int_equal(pipe_create(FILE_NONBLOCK, root.credentials, &read_end, &write_end), 0);
    position = 0;
    assert_int_equal(transfer_splice(in, &position, write_end, NULL, 150000, 0), 65536);
    assert_int_equal(transfer_splice(in, &position, write_end, NULL, 1, 0), -EAGAIN);
    zero = 5;
    assert_int_equal(transfer_splice(read_end, NULL, out, &zero, 150000, 0), 65536);
    zero = 5;
    assert_int_equal(read_bytes(out, back, 65536, &zero), 65536);
    assert_memory_equal(back, bytes, 65536);
    assert_int_equal(transfer_splice(read_end, NULL, out, &zero, 1, 0), -EAGAIN);
    file_release(write_end);
    assert_int_equal(transfer_splice(read_end, NULL, out, &zero, 1, 0), 0);
    file_release(read_end);
    file_release(in);
    file_release(out);
}

static void watching(void **state)
{
    struct { int32_t watch; uint32_t mask, cookie, length; char name[16]; } event;
    struct file *inotify, *file;
    struct path path;

    assert_int_equal(path_make_directory(&root, NULL, "w", 0755), 0);
    assert_int_equal(path_lookup(&root, NULL, "w", 0, &path), 0);
    assert_int_equal(inotify_create(FILE_NONBLOCK, root.credentials, &inotify), 0);
    int watch = inotify_add_watch(inotify, &path, 0x100 | 0x8 | 0x40 | 0x80 | 0x400); /* create, close_write, moves, delete_self */
    assert_int_equal(watch, 1);
    assert_int_equal(read_bytes(inotify, &event, sizeof(event), NULL), -EAGAIN);
    file = open_file("w/new", FILE_CREATE | FILE_WRITE_ONLY);
    assert_int_equal(read_bytes(inotify, &event, 8, NULL), -EINVAL);
    assert_int_equal(read_bytes(inotify, &event, sizeof(event), NULL), 32);
    assert_int_equal(event.mask, 0x100);
    assert_string_equal(event.name, "new");
    file_release(file);
    assert_int_equal(read_bytes(inotify, &event, sizeof(event), NULL), 32);
    assert_int_equal(event.mask, 0x8);
    assert_int_equal(path_rename(&root, NULL, "w/new", NULL, "w/newer", 0), 0);
    assert_int_equal(read_bytes(inotify, &event, sizeof(event), NULL), 32);
    uint32_t cookie = event.cookie;
    assert_int_equal(event.mask, 0x40);
    assert_int_equal(read_bytes(inotify, &event, sizeof(event), NULL), 32);
    assert_int_equal(event.mask, 0x80);
    assert_int_equal(event.cookie, cookie);
    assert_int_not_equal(cookie, 0);
    path_release(&path);
    assert_int_equal(path_remove(&root, NULL, "w/newer", false), 0);
    assert_int_equal(path_remove(&root, NULL, "w", true), 0);
    assert_int_equal(read_bytes(inotify, &event, 16, NULL), 16);
    assert_int_equal(event.mask & 0xfff, 0x400);
    assert_int_equal(read_bytes(inotify, &event, 16, NULL), 16);
    assert_int_equal(event.mask, 0x8000);
    assert_int_equal(inotify_remove_watch(inotify, watch), -EINVAL);
    file_release(inotify);
}

static void memory_files(void **state)
{
    struct file *file;

    assert_int_equal(memory_file_create("name", 2, root.credentials, &file), 0);
    assert_int_equal(attributes_truncate_file(file, 100), 0);
    assert_int_equal(write_text(file, "abc"), 3);
    assert_int_equal(memory_file_add_seals(file, 4), 0); /* grow */
    assert_int_equal(attributes_truncate_file(file, 101), -EPERM);
    assert_int_equal(attributes_truncate_file(file, 99), 0);
    assert_int_equal(memory_file_add_seals(file, 8 | 1), 0); /* write, seal */
    assert_int_equal(write_text(file, "abc"), -EPERM);
    assert_int_equal(memory_file_add_seals(file, 2), -EPERM);
    assert_int_equal(memory_file_get_seals(file), 13);
    file_release(file);
}

static void device_nodes(void **state)
{
    char buffer[16] = "xxxxxxxxxxxxxxx";
    struct inode_status status;

    assert_int_equal(path_make_directory(&root, NULL, "dev", 0755), 0);
    assert_int_equal(mount_create(&root, "dev", "/dev", "devtmpfs", 0, "mode=755"), 0);
    assert_int_equal(mount_create(&root, "devpts", "/dev/pts", "devpts", 0, ""), 0);
    struct file *file = open_file("/dev/zero", FILE_READ_WRITE);
    assert_int_equal(read_bytes(file, buffer, 4, NULL), 4);
    assert_memory_equal(buffer, "\0\0\0\0x", 5);
    file_release(file);
    file = open_file("/dev/full", FILE_READ_WRITE);
    assert_int_equal(write_text(file, "a"), -ENOSPC);
    file_release(file);
    file = open_file("/dev/null", FILE_READ_WRITE);
    assert_int_equal(write_text(file, "abc"), 3);
    assert_int_equal(read_bytes(file, buffer, 4, NULL), 0);
    file_release(file);
    file = open_file("/dev/ptmx", FILE_READ_WRITE);
    assert_int_equal(status_of("/dev/pts/0", &status), 0);
    assert_int_equal(status.rdevice, 136 << 8);
    file_release(file);
    assert_int_equal(status_of("/dev/pts/0", &status), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_errors),
        cmocka_unit_test(symbolic_links),
        cmocka_unit_test(renames),
        cmocka_unit_test(permissions),
        cmocka_unit_test(reading_directories),
        cmocka_unit_test(files_and_space),
        cmocka_unit_test(removed_but_open),
        cmocka_unit_test(attributes_extended),
        cmocka_unit_test(mounts),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(record_locks),
        cmocka_unit_test(transfers),
        cmocka_unit_test(watching),
        cmocka_unit_test(memory_files),
        cmocka_unit_test(device_nodes),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
