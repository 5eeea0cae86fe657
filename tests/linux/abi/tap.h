/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP for small programs that compare what a kernel answers with what Linux does. Lines are the same on every right kernel:
 * no addresses, times or pids, so that outputs can be compared byte by byte too. The plan comes last.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An address that is never mapped. The compiler must not know. */
static void *volatile bad_address __attribute__((unused)) = (void *)16;
#define BAD bad_address

static int tap_number, tap_failures;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool condition, const char *format, ...)
{
    va_list list;
    printf("%sok %d - ", condition ? "" : "not ", ++tap_number);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    fflush(stdout);
    tap_failures += !condition;
    return condition;
}

/* A number that must be this one; what came instead is said. */
__attribute__((unused)) static bool is(long got, long wanted, const char *what)
{
    bool right = got == wanted;
    ok(right, "%s: %ld", what, wanted);
    if (!right)
        printf("# got %ld (errno %d, %s)\n", got, errno, strerror(errno));
    return right;
}

/* A call that must fail with this errno. */
__attribute__((unused)) static bool fails(long got, int wanted, const char *what)
{
    int error = errno;
    bool right = got == -1 && error == wanted;
    ok(right, "%s: fails with %d (%s)", what, wanted, strerror(wanted));
    if (!right)
        printf("# got %ld, errno %d (%s)\n", got, error, got == -1 ? strerror(error) : "no failure");
    return right;
}

__attribute__((unused)) static void skip(const char *what, const char *why)
{
    printf("ok %d - %s # SKIP %s\n", ++tap_number, what, why);
    fflush(stdout);
}

/* A fresh directory to work in, which is the working directory afterwards. */
__attribute__((unused)) static void work_in_fresh_directory(char *name, size_t size)
{
    char *chdir_to;
    snprintf(name, size, "/tmp/abi-XXXXXX");
    chdir_to = mkdtemp(name);
    extern int chdir(const char *);
    if (!chdir_to || chdir(chdir_to) != 0) {
        printf("Bail out! no directory to work in: %s\n", strerror(errno));
        exit(99);
    }
}

__attribute__((unused)) static int done(void)
{
    printf("1..%d\n", tap_number);
    return tap_failures != 0;
}
