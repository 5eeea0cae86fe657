/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * launch ROUNDS PROGRAM [ARGUMENT]...: how long a program takes from fork to its end, as lines "name value unit".
 *
 * The first start, in a guest that has just booted, reads everything from the disk and is told as "first"; the ROUNDS that follow
 * find it in the page cache, and each is an "again". The program's standard output goes to /dev/null. A program that does not
 * end with status 0 gives a line "first ! reason" or "again ! reason", and nothing follows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int program_run(char **arguments)
{
    int status;

    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null_fd >= 0)
            dup2(null_fd, 1);
        execvp(arguments[0], arguments);
        fprintf(stderr, "launch: %s: %s\n", arguments[0], strerror(errno));
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Returns whether the program ended well. */
static int round_run(const char *name, char **arguments)
{
    uint64_t start_ns = now_ns();
    int status = program_run(arguments);
    uint64_t took_ns = now_ns() - start_ns;

    if (status == 0)
        printf("%s %.3f ms\n", name, (double)took_ns / 1e6);
    else if (status < 0)
        printf("%s ! no process for %s: %s\n", name, arguments[0], strerror(-status));
    else
        printf("%s ! %s ended with status %d\n", name, arguments[0], status);
    return status == 0;
}

int main(int count, char **arguments)
{
    long rounds = count > 2 ? strtol(arguments[1], NULL, 10) : -1;

    if (rounds < 0) {
        fprintf(stderr, "usage: launch ROUNDS PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int good = round_run("first", arguments + 2);
    while (good && rounds-- > 0)
        good = round_run("again", arguments + 2);
    return 0;
}
