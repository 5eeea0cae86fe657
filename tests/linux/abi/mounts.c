/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts: what goes on, and what ends, when one is taken down: binds, watches, bound sockets; two that take down the same, and
 * /proc/mounts while mounts come and go. Needs the right to mount; on Linux it is done in a namespace of its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

#define ROUNDS 300

static char directory[64];
static struct stat status;

static void make(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    write(fd, "text", 4);
    close(fd);
}

static bool reads(const char *name)
{
    char text[8] = "";
    int fd = open(name, O_RDONLY);
    long got = read(fd, text, sizeof(text));
    close(fd);
    return got == 4 && memcmp(text, "text", 4) == 0;
}

static int mount_tmpfs(const char *where)
{
    return mount("none", where, "tmpfs", 0, "");
}

static void binds(void)
{
    is(mount_tmpfs("a"), 0, "mount");
    mkdir("a/b", 0755);
    make("a/b/f");
    is(mount("a/b", "c", NULL, MS_BIND, NULL), 0, "bind of a directory in it");
    ok(reads("c/f"), "a file through the bind");
    is(umount("a"), 0, "umount of what it was bound from");
    fails(stat("a/b", &status), ENOENT, "what was there");
    ok(reads("c/f"), "the file through the bind");
    make("c/g");
    ok(reads("c/g"), "a new one");
    is(umount("c"), 0, "umount of the bind");
    fails(stat("c/f", &status), ENOENT, "the file");
    is(mount_tmpfs("a"), 0, "mount");
    make("a/f");
    is(mount("a", "c", NULL, MS_BIND, NULL), 0, "bind of all of it");
    is(umount("c"), 0, "umount of the bind first");
    ok(reads("a/f"), "a file where it was");
    is(umount("a"), 0, "umount");
    fails(umount("a"), EINVAL, "umount of what is no mount");
}

static void detached(void)
{
    mount_tmpfs("a");
    mkdir("a/b", 0755);
    make("a/f");
    int fd = open("a", O_RDONLY | O_DIRECTORY);
    fails(umount("a"), EBUSY, "umount with an open directory");
    is(umount2("a", MNT_DETACH), 0, "umount with MNT_DETACH");
    fails(stat("a/f", &status), ENOENT, "a file in it by its name");
    is(fstatat(fd, "f", &status, 0), 0, "and by the descriptor");
    fchdir(fd);
    ok(mount_tmpfs("b") == -1 && (errno == EINVAL || errno == ENOENT), "mount in it fails"); /* Linux's answer has changed */
    chdir(directory);
    close(fd);
}

static void watches(void)
{
    struct inotify_event event;
    int queue = inotify_init1(IN_NONBLOCK);
    mount_tmpfs("a");
    make("a/f");
    int watch = inotify_add_watch(queue, "a/f", IN_OPEN);
    ok(watch > 0, "inotify_add_watch");
    is(umount("a"), 0, "umount of a watched file's");
    is(read(queue, &event, sizeof(event)), sizeof(event), "an event");
    is(event.mask & IN_UNMOUNT, IN_UNMOUNT, "it is IN_UNMOUNT");
    is(event.wd, watch, "of the watch");
    is(read(queue, &event, sizeof(event)), sizeof(event), "another");
    is(event.mask, IN_IGNORED, "it is IN_IGNORED");
    fails(read(queue, &event, sizeof(event)), EAGAIN, "and no more");
    fails(inotify_rm_watch(queue, watch), EINVAL, "inotify_rm_watch");
    mount_tmpfs("a");
    watch = inotify_add_watch(queue, "a", IN_ALL_EVENTS);
    is(umount("a"), 0, "umount of a watched root");
    close(queue);
}

static void sockets(void)
{
    struct sockaddr_un name = { AF_UNIX, "a/socket" };
    mount_tmpfs("a");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    is(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0, "bind of a socket");
    fails(umount("a"), EBUSY, "umount with a bound socket");
    unlink("a/socket");
    fails(umount("a"), EBUSY, "even where its name is gone");
    close(fd);
    is(umount("a"), 0, "umount after its close");
}

static atomic_int removed, wrong;

static void *remove_once(void *argument)
{
    int error;
    (void)argument;
    while ((error = umount("a") ? errno : 0) == EBUSY) /* the other one looks at it */
        ;
    atomic_fetch_add(error == 0 ? &removed : &wrong, error == 0 || error != EINVAL);
    return NULL;
}

static void two_at_once(void)
{
    pthread_t threads[2];
    for (int i = 0; i < ROUNDS; i++) {
        mount_tmpfs("a");
        for (int j = 0; j < 2; j++)
            pthread_create(&threads[j], NULL, remove_once, NULL);
        for (int j = 0; j < 2; j++)
            pthread_join(threads[j], NULL);
    }
    is(removed, ROUNDS, "mounts that two threads take down, each by one");
    is(wrong, 0, "other errors than EINVAL for the other");
}

static atomic_bool stop;

static void *come_and_go(void *argument)
{
    const char *point = argument;
    char name[16];
    snprintf(name, sizeof(name), "%s/f", point);
    for (int i = 0; i < ROUNDS; i++) {
        wrong += mount_tmpfs(point) != 0;
        make(name);
        wrong += !reads(name);
        wrong += umount(point) != 0;
    }
    return NULL;
}

static void *read_mounts(void *argument)
{
    static char text[65536];
    while (!stop) {
        int fd = open(argument, O_RDONLY);
        size_t length = 0;
        for (long got; (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0;)
            length += (size_t)got;
        text[length] = '\0';
        wrong += strstr(text, " /proc ") == NULL || text[length - 1] != '\n';
        close(fd);
    }
    return NULL;
}

static void read_while_they_come_and_go(void)
{
    static char points[2][2] = { "a", "c" };
    pthread_t makers[2], reader;
    for (int i = 0; i < 2; i++) {
        const char *list = i == 0 ? "/proc/self/mounts" : "/proc/self/mountinfo";
        stop = false;
        wrong = 0;
        pthread_create(&reader, NULL, read_mounts, (void *)list);
        for (int j = 0; j < 2; j++)
            pthread_create(&makers[j], NULL, come_and_go, points[j]);
        for (int j = 0; j < 2; j++)
            pthread_join(makers[j], NULL);
        stop = true;
        pthread_join(reader, NULL);
        ok(wrong == 0, "%s read while mounts come and go", list);
    }
}

int main(void)
{
    work_in_fresh_directory(directory, sizeof(directory));
    if (unshare(CLONE_NEWNS) == 0)
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mkdir("a", 0755);
    mkdir("c", 0755);
    if (mount_tmpfs("a") == 0) {
        umount("a");
        binds();
        detached();
        watches();
        sockets();
        two_at_once();
        read_while_they_come_and_go();
    } else {
        skip("mounts", "no right to mount");
    }
    int failed = done();
    rmdir("a");
    rmdir("c");
    return chdir("/") || rmdir(directory) || failed;
}
