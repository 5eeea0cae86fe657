/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of mounts and of what they hold: binds, watches and sockets on a file system that goes, and threads that mount, unmount,
 * visit and reclaim at once. ASan tells of what is touched after its end; at each end all memory of the file system is back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/devfs/devfs.h"
#include "kernel/fs/tmpfs/tmpfs.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/inotify.h"
#include "kernel/vfs/mount.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"
#include "tests/unit/vfs_tree.h"

#define DETACH 2
#define ROUNDS 300

static const struct file_system_type *const types[] = {&tmpfs_type, &devfs_type, &devpts_type};
static struct fs_context root;
static struct wait_queue queue;
static atomic_int running; /* threads that a test has started */
static atomic_bool stop;   /* for those that go on until told */
static atomic_int wrong;   /* the line where a thread was last disappointed: cmocka's own asserts are the first thread's */

#define EXPECT(condition) ((condition) ? (void)0 : atomic_store(&wrong, __LINE__))

static int start(void **state)
{
    assert_int_equal(vfs_init(), 0);
    assert_int_equal(file_system_register_types(types, array_count(types)), 0);
    wait_queue_init(&queue);
    vfs_tree_start(&root);
    const char *const points[] = {"a", "c", "m0", "m1"};
    for (size_t i = 0; i < array_count(points); i++)
        assert_int_equal(path_make_directory(&root, NULL, points[i], 0755), 0);
    return 0;
}

static int mount_tmpfs(const char *name)
{
    return mount_create(&root, "none", name, "tmpfs", 0, "");
}

static int open_error(const char *name, unsigned int flags)
{
    return vfs_tree_try_open(&root, name, flags);
}

static void make_file(const char *name)
{
    assert_int_equal(open_error(name, FILE_CREATE | FILE_WRITE_ONLY), 0);
}

/* What is in use when no name is cached that nobody uses. */
static size_t objects_now(void)
{
    host_reclaim(8);
    host_reclaim(8); /* the first one only asked whether they were used of late */
    return host_objects_in_use();
}

static void a_bind_outlives_its_origin(void **state)
{
    size_t before = objects_now();

    assert_int_equal(mount_tmpfs("/a"), 0);
    assert_int_equal(path_make_directory(&root, NULL, "/a/b", 0755), 0);
    make_file("/a/b/file");
    assert_int_equal(mount_create(&root, "/a/b", "/c", "", MOUNT_BIND, ""), 0);
    assert_int_equal(mount_remove(&root, "/a", 0), 0);
    assert_int_equal(open_error("/a/b", FILE_READ_ONLY), -ENOENT);
    assert_int_equal(open_error("/c/file", FILE_READ_ONLY), 0);
    make_file("/c/other");
    assert_int_equal(path_make_directory(&root, NULL, "/c/deep", 0755), 0);
    assert_int_equal(mount_remove(&root, "/c", 0), 0);
    assert_int_equal(open_error("/c/file", FILE_READ_ONLY), -ENOENT);
    assert_int_equal(objects_now(), before);
}

static void an_origin_outlives_its_binds(void **state)
{
    size_t before = objects_now();

    assert_int_equal(mount_tmpfs("/a"), 0);
    make_file("/a/file");
    assert_int_equal(mount_create(&root, "/a", "/c", "", MOUNT_BIND, ""), 0); /* of the root, this time */
    assert_int_equal(mount_remove(&root, "/c", 0), 0);
    assert_int_equal(mount_create(&root, "/a/file", "/a/file", "", MOUNT_BIND, ""), 0);
    assert_int_equal(mount_remove(&root, "/a", 0), -EBUSY);
    assert_int_equal(mount_remove(&root, "/a/file", 0), 0);
    assert_int_equal(open_error("/a/file", FILE_READ_ONLY), 0);
    assert_int_equal(mount_remove(&root, "/a/file", 0), -EINVAL);
    assert_int_equal(mount_remove(&root, "/a", 0), 0);
    assert_int_equal(objects_now(), before);
}

static void nothing_is_mounted_on_what_was_taken_down(void **state)
{
    size_t before = objects_now();
    struct file *directory;
    struct fs_context inside = root;

    assert_int_equal(mount_tmpfs("/a"), 0);
    assert_int_equal(path_make_directory(&root, NULL, "/a/b", 0755), 0);
    assert_int_equal(path_make_symlink(&root, "/c", NULL, "/a/link"), 0);
    assert_int_equal(file_open(&root, NULL, "/a", FILE_READ_ONLY, 0, &directory), 0);
    inside.working_directory = directory->path;
    assert_int_equal(mount_remove(&root, "/a", 0), -EBUSY);
    assert_int_equal(mount_remove(&root, "/a", DETACH), 0);
    assert_int_equal(mount_create(&inside, "none", "b", "tmpfs", 0, ""), -EINVAL);
    assert_int_equal(mount_create(&inside, "b", "b", "", MOUNT_BIND, ""), -EINVAL);
    assert_int_equal(mount_remove(&inside, ".", DETACH), -EINVAL);

    struct path found; /* a walk from there that leaves by a link */
    assert_int_equal(path_lookup(&inside, NULL, "link", PATH_FOLLOW, &found), 0);
    assert_ptr_equal(found.mount, root.root.mount);
    path_release(&found);
    file_release(directory);
    assert_int_equal(objects_now(), before);
}

/* The next event's mask, or -EAGAIN. */
static long next_event(struct file *inotify)
{
    struct {
        int32_t watch;
        uint32_t mask, cookie, name_bytes;
    } event;
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, &event, sizeof(event));
    long got = file_read(inotify, &vector, NULL);
    return got == (long)sizeof(event) ? (long)event.mask : got;
}

static void watches_end_with_their_file_system(void **state)
{
    struct file *inotify;
    struct path path;

    assert_int_equal(inotify_create(FILE_NONBLOCK, root.credentials, &inotify), 0);
    assert_int_equal(mount_tmpfs("/a"), 0);
    make_file("/a/file");
    assert_int_equal(path_lookup(&root, NULL, "/a/file", 0, &path), 0);
    int watch = inotify_add_watch(inotify, &path, 0x100);
    assert_true(watch > 0);
    path_release(&path);
    assert_int_equal(mount_create(&root, "/a", "/c", "", MOUNT_BIND, ""), 0);
    assert_int_equal(mount_remove(&root, "/a", 0), 0);
    assert_int_equal(next_event(inotify), -EAGAIN); /* there still is the other mount */
    assert_int_equal(mount_remove(&root, "/c", 0), 0);
    assert_int_equal(next_event(inotify), 0x2000);
    assert_int_equal(next_event(inotify), 0x8000);
    assert_int_equal(next_event(inotify), -EAGAIN);
    assert_int_equal(inotify_remove_watch(inotify, watch), -EINVAL);
    file_release(inotify);
}

static void thread_begin(void (*entry)(void *), void *argument)
{
    struct thread *thread;

    atomic_fetch_add(&running, 1);
    assert_int_equal(thread_create(&thread, "test", entry, argument), 0);
    thread_start(thread);
    thread_release(thread);
}

static void thread_end(void)
{
    atomic_fetch_sub(&running, 1);
    wait_queue_wake_all(&queue, 0);
}

static void threads_wait(int left)
{
    assert_int_equal(WAIT_UNTIL(&queue, atomic_load(&running) == left, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE), 0);
    if (left == 0)
        assert_int_equal(atomic_load(&wrong), 0);
}

static atomic_int removed;

static void remove_once(void *argument)
{
    int error;

    do {
        error = mount_remove(&root, "/m0", 0);
    } while (error == -EBUSY); /* the other one looks at it */
    if (error == 0)
        atomic_fetch_add(&removed, 1);
    else
        EXPECT(error == -EINVAL);
    thread_end();
}

static void two_take_down_the_same(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&removed, 0);
        assert_int_equal(mount_tmpfs("/m0"), 0);
        thread_begin(remove_once, NULL);
        thread_begin(remove_once, NULL);
        threads_wait(0);
        assert_int_equal(atomic_load(&removed), 1);
    }
}

/* Mounts come and go at argument, with names and inodes to forget. */
static void come_and_go(void *argument)
{
    const char *point = argument;
    char name[32];

    for (int i = 0; i < ROUNDS; i++) {
        EXPECT(mount_tmpfs(point) == 0);
        format_string(name, sizeof(name), "%s/d", point);
        EXPECT(path_make_directory(&root, NULL, name, 0755) == 0);
        for (int j = 0; j < 8; j++) {
            format_string(name, sizeof(name), "%s/d/%d", point, j);
            EXPECT(open_error(name, FILE_CREATE | FILE_WRITE_ONLY) == 0);
        }
        EXPECT(mount_remove(&root, point, 0) == 0);
    }
    thread_end();
}

static void count_mount(void *context, struct mount *mount)
{
    int *count = context;

    EXPECT(mount->mounted);
    EXPECT(strcmp(mount_file_system(mount)->type, "tmpfs") == 0);
    ++*count;
}

static void visit(void *argument)
{
    while (!atomic_load(&stop)) {
        int count = 0;

        mount_for_each(count_mount, &count);
        EXPECT(count >= 1 && count <= 3);
    }
    thread_end();
}

static void reclaim(void *argument)
{
    while (!atomic_load(&stop))
        host_reclaim(1);
    thread_end();
}

static void beside(void (*entry)(void *))
{
    static char points[2][4] = {"/m0", "/m1"};

    atomic_store(&stop, false);
    thread_begin(entry, NULL);
    for (size_t i = 0; i < array_count(points); i++)
        thread_begin(come_and_go, points[i]);
    threads_wait(1);
    atomic_store(&stop, true);
    threads_wait(0);
}

static void mounts_are_visited_while_they_come_and_go(void **state)
{
    beside(visit);
}

static void names_are_reclaimed_while_mounts_come_and_go(void **state)
{
    beside(reclaim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bind_outlives_its_origin),
        cmocka_unit_test(an_origin_outlives_its_binds),
        cmocka_unit_test(nothing_is_mounted_on_what_was_taken_down),
        cmocka_unit_test(watches_end_with_their_file_system),
        cmocka_unit_test(two_take_down_the_same),
        cmocka_unit_test(mounts_are_visited_while_they_come_and_go),
        cmocka_unit_test(names_are_reclaimed_while_mounts_come_and_go),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
