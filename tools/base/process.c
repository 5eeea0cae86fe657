/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting other programs and waiting for them.
 *
 * Exit statuses are told as a shell tells them: 0-255, or 128+N after signal N, 127 when the program is not there and
 * 126 when it cannot be started. Negative values are errors of our own.
 *
 * map_to_root puts the child in a user namespace where the caller's uid is 0: how files come to belong to root in an image
 * which an ordinary user builds (mke2fs -d copies the owners it sees).
 */
#include "tools/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

static void place_fd(int fd, int target)
{
    if (fd == 0)
        return;
    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0 && fd != target)
        dup2(fd, target);
}

static int put_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t put = write(fd, line, strlen(line));
    int error = put < 0 ? -errno : 0;
    close(fd);
    return error;
}

static int enter_user_namespace(void)
{
    char line[64];
    uid_t uid = getuid();
    gid_t gid = getgid();

    if (uid == 0)
        return 0;
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    put_line("/proc/self/setgroups", "deny");
    snprintf(line, sizeof(line), "0 %u 1", (unsigned)uid);
    int error = put_line("/proc/self/uid_map", line);
    snprintf(line, sizeof(line), "0 %u 1", (unsigned)gid);
    return error < 0 ? error : put_line("/proc/self/gid_map", line);
}

static void child_main(const struct process_request *request)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (request->own_session)
        setsid();
    place_fd(request->stdin_fd, 0);
    place_fd(request->stdout_fd, 1);
    place_fd(request->stderr_fd, 2);
    if (request->directory != NULL && chdir(request->directory) < 0) {
        report_error(-errno, "%s", request->directory);
        _exit(EXIT_TOOL);
    }
    for (size_t i = 0; request->environment != NULL && request->environment[i] != NULL; i++)
        putenv((char *)(uintptr_t)request->environment[i]);
    if (request->map_to_root && enter_user_namespace() < 0) {
        report_error(0, "this system gives users no namespaces of their own, which are needed to make root's files; "
                        "set kernel.unprivileged_userns_clone=1, or run as root");
        _exit(EXIT_TOOL);
    }
    execvp(request->arguments[0], (char *const *)(uintptr_t)request->arguments);
    int error = errno;
    report_error(-error, "%s", request->arguments[0]);
    _exit(error == ENOENT ? 127 : 126);
}

int process_start(const struct process_request *request, pid_t *out)
{
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0)
        return report_error(-errno, "cannot start %s", request->arguments[0]);
    if (pid == 0)
        child_main(request);
    *out = pid;
    return 0;
}

int process_wait(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int process_run(const struct process_request *request)
{
    pid_t pid;

    int error = process_start(request, &pid);
    return error < 0 ? error : process_wait(pid);
}

/* Collects the program's standard output, and its status as the result. */
int process_capture(const struct process_request *request, struct text *out)
{
    struct process_request child = *request;
    char block[4096];
    int pipe_fds[2];
    ssize_t got;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return report_error(-errno, "cannot make a pipe");
    child.stdout_fd = pipe_fds[1];
    if (request->stderr_fd == 1)
        child.stderr_fd = pipe_fds[1];
    int error = process_start(&child, &pid);
    close(pipe_fds[1]);
    if (error == 0) {
        while ((got = read(pipe_fds[0], block, sizeof(block))) != 0) {
            if (got < 0 && errno != EINTR)
                break;
            if (got > 0)
                text_add(out, block, (size_t)got);
        }
        error = process_wait(pid);
    }
    close(pipe_fds[0]);
    return error;
}

/* Runs a program whose output matters only when it fails; then prints its last lines and returns -EIO. */
int process_run_quietly(const struct process_request *request, const char *what)
{
    struct process_request child = *request;
    struct text output = {0};

    child.stderr_fd = 1;
    if (child.stdin_fd == 0)
        child.stdin_fd = -1;
    int status = process_capture(&child, &output);
    if (status != 0) {
        size_t shown = output.length > 2000 ? 2000 : output.length;
        if (shown > 0)
            fprintf(stderr, "%s\n", text_string(&output) + output.length - shown);
        report_error(0, "%s failed: %s ended with status %d", what, request->arguments[0], status);
    }
    text_free(&output);
    return status == 0 ? 0 : -EIO;
}

bool process_alive(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Whether a program is found in PATH. */
bool program_exists(const char *name)
{
    const char *path = getenv("PATH");
    bool found = false;

    for (const char *part = path; part != NULL && !found;) {
        const char *end = strchrnul(part, ':');
        char *candidate = text_join("%.*s/%s", (int)(end - part), part, name);
        found = access(candidate, X_OK) == 0;
        free(candidate);
        part = *end == ':' ? end + 1 : NULL;
    }
    return found;
}
