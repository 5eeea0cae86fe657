/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline, seen from a pty's two sides: what is typed, what is echoed, what is read, who is signalled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/error.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/process_hooks.h"
#include "kernel/vfs/pty.h"
#include "kernel/vfs/terminal.h"
#include "kernel/vfs/terminal_line.h"
#include "kernel/vfs/vfs.h"
#include "tests/unit/host/host.h"

static struct credentials *credentials;
static struct process_identity self = {100, 100, 100};
static int signalled_group, signalled;

static bool test_identity(struct process_identity *identity)
{
    *identity = self;
    return true;
}

static void test_signal_group(int group_id, int number)
{
    signalled_group = group_id;
    signalled = number;
}

static bool not_ignored(int number)
{
    return false;
}

static bool not_orphaned(int group_id)
{
    return false;
}

static bool in_session(int group_id, int session_id)
{
    return group_id >= 100;
}

static int start(void **state)
{
    static struct vfs_process_hooks hooks;

    assert_int_equal(vfs_init(), 0);
    hooks = *vfs_process;
    hooks.identity = test_identity;
    hooks.signal_group = test_signal_group;
    hooks.signal_ignored = not_ignored;
    hooks.group_orphaned = not_orphaned;
    hooks.group_in_session = in_session;
    vfs_process_hooks_set(&hooks);
    credentials = credentials_create_root();
    return 0;
}

static struct file *new_file(unsigned int flags)
{
    static const struct file_operations none;
    struct file *file;

    assert_int_equal(file_create_anonymous(&none, NULL, flags | FILE_NONBLOCK, credentials, &file), 0);
    return file;
}

static long put(struct file *file, const char *text)
{
    struct io_segment segment;
    struct io_vector vector;

    io_vector_init_kernel(&vector, &segment, (void *)(uintptr_t)text, strlen(text));
    return file_write(file, &vector, NULL);
}

static long get(struct file *file, char *buffer, size_t size)
{
    struct io_segment segment;
    struct io_vector vector;

    memset(buffer, 0, size);
    io_vector_init_kernel(&vector, &segment, buffer, size - 1);
    return file_read(file, &vector, NULL);
}

static void expect(struct file *file, const char *text)
{
    char buffer[256];

    assert_int_equal(get(file, buffer, sizeof(buffer)), strlen(text));
    assert_string_equal(buffer, text);
}

static int32_t number_of(struct file *master)
{
    int32_t number;

    assert_int_equal(master->operations->ioctl(master, 0x80045430u, (uintptr_t)&number), 0);
    return number;
}

static void unlock(struct file *master)
{
    int32_t zero = 0;

    assert_int_equal(master->operations->ioctl(master, 0x40045431u, (uintptr_t)&zero), 0);
}

static void open_pair(struct file **master, struct file **slave)
{
    *master = new_file(FILE_READ_WRITE);
    assert_int_equal(pty_open_master(*master), 0);
    *slave = new_file(FILE_READ_WRITE);
    assert_int_equal(pty_open_slave(number_of(*master), *slave), -EIO); /* locked */
    unlock(*master);
    assert_int_equal(pty_open_slave(number_of(*master), *slave), 0);
}

static void close_pair(struct file *master, struct file *slave)
{
    file_release(slave);
    file_release(master);
    assert_int_equal(pty_next(0), -1);
}

static void set_local(struct file *slave, uint32_t clear, uint32_t set, uint8_t minimum_bytes, uint8_t time)
{
    struct terminal_settings settings;

    assert_int_equal(slave->operations->ioctl(slave, 0x5401, (uintptr_t)&settings), 0);
    settings.local = (settings.local & ~clear) | set;
    settings.characters[CHARACTER_MINIMUM] = minimum_bytes;
    settings.characters[CHARACTER_TIME] = time;
    assert_int_equal(slave->operations->ioctl(slave, 0x5402, (uintptr_t)&settings), 0);
}

static void canonical_lines(void **state)
{
    struct file *master, *slave;
    char buffer[16];

    open_pair(&master, &slave);
    assert_int_equal(put(master, "hel"), 3);
    assert_int_equal(get(slave, buffer, sizeof(buffer)), -EAGAIN); /* no line yet */
    assert_int_equal(file_poll(slave, NULL) & POLL_IN, 0);
    put(master, "lo\r");
    expect(master, "hello\r\n"); /* echo, with CR as NL and NL as CR NL */
    assert_int_equal(file_poll(slave, NULL) & POLL_IN, POLL_IN);
    assert_int_equal(get(slave, buffer, 4), 3); /* part of a line */
    expect(slave, "lo\n");
    put(master, "ab\177c\025xy\027z w\027\n"); /* erase, kill, word erase */
    expect(slave, "z \n");
    get(master, buffer, sizeof(buffer));
    put(master, "one\ntwo\n");
    expect(slave, "one\n"); /* a read ends with the line */
    expect(slave, "two\n");
    put(master, "end\004");
    expect(slave, "end");
    put(master, "\004");
    assert_int_equal(get(slave, buffer, sizeof(buffer)), 0); /* end of file */
    put(master, "\026\003\n"); /* literal ^C */
    expect(slave, "\003\n");
    close_pair(master, slave);
}

static void erasing_on_the_screen(void **state)
{
    struct file *master, *slave;

    open_pair(&master, &slave);
    put(master, "a\002\177\177");
    expect(master, "a^B\b \b\b \b\b \b");
    put(master, "\n");
    expect(slave, "\n");
    close_pair(master, slave);
}

static void raw_bytes(void **state)
{
    struct file *master, *slave;
    char buffer[16];

    open_pair(&master, &slave);
    set_local(slave, LOCAL_CANONICAL | LOCAL_ECHO | LOCAL_SIGNALS, 0, 1, 0);
    put(master, "\003x");
    expect(slave, "\003x");
    assert_int_equal(get(master, buffer, sizeof(buffer)), -EAGAIN); /* no echo */
    set_local(slave, 0, 0, 3, 0);
    put(master, "ab");
    assert_int_equal(file_poll(slave, NULL) & POLL_IN, 0); /* MIN 3 */
    put(master, "c");
    assert_int_equal(file_poll(slave, NULL) & POLL_IN, POLL_IN);
    expect(slave, "abc");
    set_local(slave, 0, 0, 0, 1);
    atomic_fetch_and(&slave->flags, ~(unsigned int)FILE_NONBLOCK);
    assert_int_equal(get(slave, buffer, sizeof(buffer)), 0); /* MIN 0, TIME 1: a tenth of a second */
    assert_int_equal(put(slave, "out\n"), 4);
    expect(master, "out\r\n");
    close_pair(master, slave);
}

static void jobs(void **state)
{
    struct file *master, *slave;
    char buffer[16];
    int32_t group = 0;

    open_pair(&master, &slave); /* the session's leader opened it: it is the controlling terminal */
    uint64_t device;
    assert_true(terminal_of_session(100, &device, &group));
    assert_int_equal(group, 100);
    put(master, "x\003");
    assert_int_equal(signalled, 2);
    assert_int_equal(signalled_group, 100);
    put(master, "\n");
    expect(slave, "\n"); /* what was typed before is gone */
    group = 200;
    assert_int_equal(slave->operations->ioctl(slave, 0x5410, (uintptr_t)&group), 0); /* TIOCSPGRP */
    assert_int_equal(get(slave, buffer, sizeof(buffer)), -ERESTARTSYS);              /* we are behind: SIGTTIN */
    assert_int_equal(signalled, 21);
    assert_int_equal(signalled_group, 100);
    self.group_id = 200;
    put(master, "y\n");
    expect(slave, "y\n");
    self.session_id = 300;
    assert_int_equal(slave->operations->ioctl(slave, 0x540f, (uintptr_t)&group), -ENOTTY);
    self = (struct process_identity){100, 100, 100};
    struct terminal_window window = {.rows = 50, .columns = 132};
    assert_int_equal(master->operations->ioctl(master, 0x5414, (uintptr_t)&window), 0);
    assert_int_equal(signalled, 28);
    file_release(master); /* the line hangs up */
    assert_int_equal(signalled, 18);
    assert_int_equal(get(slave, buffer, sizeof(buffer)), 0);
    assert_int_equal(put(slave, "x"), -EIO);
    assert_false(terminal_of_session(100, &device, &group));
    file_release(slave);
}

static void flow_and_ends(void **state)
{
    struct file *master, *slave;
    char buffer[16];

    open_pair(&master, &slave);
    put(master, "\023"); /* ^S */
    assert_int_equal(put(slave, "held"), 4);
    assert_int_equal(get(master, buffer, sizeof(buffer)), -EAGAIN);
    put(master, "\021");
    expect(master, "held");
    file_release(slave);
    assert_int_equal(get(master, buffer, sizeof(buffer)), -EIO);
    assert_int_equal(file_poll(master, NULL) & POLL_HANGUP, POLL_HANGUP);
    slave = new_file(FILE_READ_WRITE);
    assert_int_equal(pty_open_slave(number_of(master), slave), 0); /* opened again: alive again */
    assert_int_equal(get(master, buffer, sizeof(buffer)), -EAGAIN);
    close_pair(master, slave);
}

static void full_rings(void **state)
{
    static char text[20000];
    struct file *master, *slave;
    char buffer[256];
    long total = 0, answer;

    memset(text, 'a', sizeof(text) - 1);
    open_pair(&master, &slave);
    assert_int_equal(put(slave, text), OUTPUT_BYTES);
    assert_int_equal(put(slave, text), -EAGAIN);
    assert_int_equal(file_poll(slave, NULL) & POLL_OUT, 0);
    while ((answer = get(master, buffer, sizeof(buffer))) > 0)
        total += answer;
    assert_int_equal(total, OUTPUT_BYTES);
    set_local(slave, LOCAL_CANONICAL | LOCAL_ECHO, 0, 1, 0);
    assert_int_equal(put(master, text), INPUT_BYTES);
    assert_int_equal(put(master, text), -EAGAIN);
    total = 0;
    while ((answer = get(slave, buffer, sizeof(buffer))) > 0)
        total += answer;
    assert_int_equal(total, INPUT_BYTES);
    close_pair(master, slave);
}

static void the_console(void **state)
{
    struct file *console;

    terminal_console_start();
    assert_int_equal(terminal_console_open(FILE_READ_WRITE, credentials, &console), 0);
    host_console_output();
    assert_int_equal(put(console, "line\n"), 5);
    assert_string_equal(host_console_output(), "line\r\n");
    host_console_set_room(3);
    assert_int_equal(put(console, "abcdef"), 6);
    assert_string_equal(host_console_output(), "abc");
    host_console_set_room(SIZE_MAX);
    assert_string_equal(host_console_output(), "def");
    host_console_type("typed\r");
    expect(console, "typed\n"); /* waits for the deferred work */
    file_release(console);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_lines),
        cmocka_unit_test(erasing_on_the_screen),
        cmocka_unit_test(raw_bytes),
        cmocka_unit_test(jobs),
        cmocka_unit_test(flow_and_ends),
        cmocka_unit_test(full_rings),
        cmocka_unit_test(the_console),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
