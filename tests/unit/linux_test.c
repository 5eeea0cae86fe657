/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pure parts of kernel/linux on the host: times, strace's words and decoders (over the test's own memory), and that
 * every kind of argument in syscalls.def is one that strace knows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/file.h"
#include "kernel/linux/abi/poll.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/abi/socket.h"
#include "kernel/linux/strace_kinds.h"
#include "kernel/linux/times.h"
#include "tests/unit/host/host.h"

static char line[1024];
static struct strace_text text;

static void text_start(size_t size_bytes)
{
    memset(line, '#', sizeof(line));
    line[0] = '\0';
    text = (struct strace_text){ .buffer = line, .size_bytes = size_bytes };
}

static const char *words(const struct strace_word *table, uint64_t value)
{
    text_start(sizeof(line));
    strace_words(&text, table, value);
    return line;
}

static const char *shown_with(const char *kind, uint64_t value, uint64_t next, long result)
{
    const uint64_t arguments[6] = { value, next };
    text_start(sizeof(line));
    strace_argument(&text, kind, strlen(kind), arguments, 0, result);
    return line;
}

static const char *shown(const char *kind, uint64_t value)
{
    return shown_with(kind, value, 0, 0);
}

static void test_timespec(void **state)
{
    uint64_t ns;
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ 1, 5 }, &ns), 0);
    assert_int_equal(ns, 1000000005);
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ 0, 999999999 }, &ns), 0);
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ 0, 1000000000 }, &ns), -EINVAL);
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ 0, -1 }, &ns), -EINVAL);
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ -1, 0 }, &ns), -EINVAL);
    assert_int_equal(timespec_to_ns(&(struct linux_timespec){ INT64_MAX, 999999999 }, &ns), 0);
    assert_true(ns == TIME_LIMIT_NS);
    struct linux_timespec back = timespec_from_ns(3000000007);
    assert_int_equal(back.seconds, 3);
    assert_int_equal(back.nanoseconds, 7);
}

static void test_timeval(void **state)
{
    uint64_t ns;
    assert_int_equal(timeval_to_ns(&(struct linux_timeval){ 2, 999999 }, &ns), 0);
    assert_int_equal(ns, 2999999000);
    assert_int_equal(timeval_to_ns(&(struct linux_timeval){ 2, 1000000 }, &ns), -EINVAL);
    assert_int_equal(timeval_to_ns(&(struct linux_timeval){ 2, -1 }, &ns), -EINVAL);
    assert_int_equal(timeval_from_ns(2999999999).microseconds, 999999);
}

static void test_deadline(void **state)
{
    assert_true(deadline_after(10, 5) == 15);
    assert_true(deadline_after(10, TIME_LIMIT_NS) == UINT64_MAX);
    assert_true(deadline_after(TIME_LIMIT_NS - 1, 5) == UINT64_MAX);
    assert_true(deadline_after(10, 0) == 10);
}

static void test_words(void **state)
{
    assert_string_equal(words(strace_open_words, 0), "O_RDONLY");
    assert_string_equal(words(strace_open_words, 0102), "O_RDWR|O_CREAT");
    assert_string_equal(words(strace_open_words, 04010001), "O_WRONLY|O_SYNC");
    assert_string_equal(words(strace_open_words, 010001), "O_WRONLY|O_DSYNC");
    assert_string_equal(words(strace_open_words, 020200002), "O_RDWR|O_TMPFILE");
    assert_string_equal(words(strace_open_words, 0200000), "O_RDONLY|O_DIRECTORY");
    assert_string_equal(words(strace_protection_words, 0), "PROT_NONE");
    assert_string_equal(words(strace_protection_words, 5), "PROT_READ|PROT_EXEC");
    assert_string_equal(words(strace_map_words, 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
    assert_string_equal(words(strace_at_words, 0), "0");
    assert_string_equal(words(strace_at_words, 0x100000), "0x100000");
    assert_string_equal(words(strace_access_words, 0), "F_OK");
    assert_string_equal(words(strace_access_words, 6), "R_OK|W_OK");
    assert_string_equal(words(strace_clock_words, 1), "CLOCK_MONOTONIC");
    assert_string_equal(words(strace_clock_words, 77), "0x4d");
    assert_string_equal(words(strace_futex_words, 128), "FUTEX_WAIT|PRIVATE");
    assert_string_equal(words(strace_futex_words, 9 | 128 | 256), "FUTEX_WAIT_BITSET|PRIVATE|REALTIME");
    assert_string_equal(words(strace_clone_words, 0x3d0f00),
                        "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID");
    assert_string_equal(words(strace_error_words, ENOENT), "ENOENT");
}

static void test_numbers(void **state)
{
    assert_string_equal(shown("int", (uint64_t)-1), "-1");
    assert_string_equal(shown("int", 0xdeadbeef00000003), "3");
    assert_string_equal(shown("at", (uint64_t)-100), "AT_FDCWD");
    assert_string_equal(shown("hex", 255), "0xff");
    assert_string_equal(shown("octal", 0644), "0644");
    assert_string_equal(shown("no such kind", 16), "0x10");
    assert_string_equal(shown("signal", 11), "SIGSEGV");
    assert_string_equal(shown("signal", 34), "SIGRT_2");
}

static void test_strings(void **state)
{
    static char name[256] = "a\n\"b\\"; /* more than its string is read */
    assert_string_equal(shown("path", (uint64_t)name), "\"a\\n\\\"b\\\\\"");
    assert_string_equal(shown("path", 0), "NULL");
    assert_string_equal(shown("path", 0x20), "0x20");
    assert_string_equal(shown_with("bytes", (uint64_t)"ab\1" "2\377x", 6, 0), "\"ab\\0012\\377x\"");
    char longer[64];
    memset(longer, 'x', sizeof(longer));
    assert_string_equal(shown_with("bytes", (uint64_t)longer, sizeof(longer), 0), "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"...");
    assert_string_equal(shown_with(">bytes", (uint64_t)longer, sizeof(longer), 3), "\"xxx\"");
    assert_int_equal(strncmp(shown_with(">bytes", (uint64_t)longer, sizeof(longer), -EFAULT), "0x", 2), 0);
}

static void test_structs(void **state)
{
    struct linux_sockaddr_in in = { LINUX_AF_INET, 0x5000, { 127, 0, 0, 1 }, { 0 } };
    assert_string_equal(shown_with("sockaddr", (uint64_t)&in, sizeof(in), 0), "{AF_INET, 127.0.0.1:80}");
    struct { uint16_t family; char name[20]; } local = { LINUX_AF_UNIX, "/run/s" };
    assert_string_equal(shown_with("sockaddr", (uint64_t)&local, sizeof(local), 0), "{AF_UNIX, \"/run/s\"}");
    struct linux_timespec time = { 1, 2 };
    assert_string_equal(shown("timespec", (uint64_t)&time), "{1, 2}");
    struct linux_pollfd polled[2] = { { 3, 1, 1 }, { 4, 4, 0 } };
    assert_string_equal(shown_with(">pollfd", (uint64_t)polled, 2, 1), "[{3, POLLIN -> POLLIN}, {4, POLLOUT -> 0}]");
    struct linux_epoll_event event = { 0x80000001, 7 };
    assert_string_equal(shown("epoll_event", (uint64_t)&event), "{EPOLLIN|EPOLLET, 0x7}");
    uint64_t set = 1ull << 1 | 1ull << 9;
    assert_string_equal(shown("sigset", (uint64_t)&set), "[SIGINT SIGUSR1]");
    set = ~(1ull << 8);
    assert_string_equal(shown("sigset", (uint64_t)&set), "~[SIGKILL]");
    struct linux_iovec vector[2] = { { (uint64_t)"abc", 3 }, { (uint64_t)"de", 2 } };
    assert_string_equal(shown_with("iovec", (uint64_t)vector, 2, 0), "[{\"abc\", 3}, {\"de\", 2}]");
    assert_string_equal(shown_with(">iovec", (uint64_t)vector, 2, 4), "[{\"abc\", 3}, {\"d\", 2}]");
    int32_t status = 7 << 8;
    assert_string_equal(shown_with(">wait_status", (uint64_t)&status, 0, 1), "[exited 7]");
    status = 9;
    assert_string_equal(shown_with(">wait_status", (uint64_t)&status, 0, 1), "[killed SIGKILL]");
}

/* A text that is full stays terminated, whatever is printed. */
static void test_full(void **state)
{
    for (size_t size = 1; size < 40; size++) {
        text_start(size);
        strace_quote(&text, (const uint8_t *)"0123456789012345678901234567890123456789", 40, true);
        strace_words(&text, strace_open_words, 0777777);
        assert_true(text.length < size);
        assert_int_equal(line[text.length], '\0');
        assert_int_equal(line[size], '#');
    }
}

static void test_result(void **state)
{
    text_start(sizeof(line));
    strace_result(&text, -EAGAIN);
    assert_string_equal(line, "-EAGAIN");
    text_start(sizeof(line));
    strace_result(&text, 12);
    assert_string_equal(line, "12");
    text_start(sizeof(line));
    strace_result(&text, 0x7f0000001000);
    assert_string_equal(line, "0x7f0000001000");
}

#define CALL(number, name, status, prototype, kinds, missing) { #name, kinds },
#define REFUSED(number, name, error, kinds, reason) { #name, kinds },
#define UNUSED(first, last)
static const struct {
    const char *name, *kinds;
} calls[] = {
#include "kernel/linux/syscalls.def"
};

static void test_kinds(void **state)
{
    for (size_t i = 0; i < array_count(calls); i++) {
        unsigned int count = 0;
        for (const char *kind = calls[i].kinds; *kind;) {
            size_t length = strcspn(kind, " ");
            if (!strace_kind_known(kind, length))
                fail_msg("%s: unknown kind %.*s", calls[i].name, (int)length, kind);
            kind += length + (kind[length] == ' ');
            count++;
        }
        assert_true(count <= 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timespec), cmocka_unit_test(test_timeval), cmocka_unit_test(test_deadline), cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_strings), cmocka_unit_test(test_structs),  cmocka_unit_test(test_full),
        cmocka_unit_test(test_result),   cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
