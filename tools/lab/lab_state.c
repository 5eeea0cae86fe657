/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state directory of the lab: one lab per user, shared by all build trees of that user.
 *
 *   ${XENOLITH_LAB_DIR:-${XDG_RUNTIME_DIR:-/tmp}/xenolith-lab-UID}/
 *     state         pid, port, accelerator, build tree, Xen: "key=value" lines
 *     helpers/      where dom0 is of another Debian release: what runs in it, built for it
 *     serial.log    console of Xen and dom0            qmp.sock   QEMU's monitor
 *     share/        /share in dom0: token, bin/ and dom0/ (what dom0 runs of ours), guests/NAME/ (one directory a guest)
 *
 * `lab up` and `lab down` exclude each other by the lock file beside the directory. Everything else only reads.
 */
#include "tools/lab/lab_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

/* Fills the names; says nothing of whether the lab runs. */
int lab_state_open(struct lab_state *state)
{
    const char *directory = getenv("XENOLITH_LAB_DIR");
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    *state = (struct lab_state){0};
    if (directory != NULL && directory[0] != '\0')
        state->directory = path_absolute(directory);
    else
        state->directory = text_join("%s/xenolith-lab-%u", runtime != NULL && runtime[0] == '/' ? runtime : "/tmp",
            (unsigned)getuid());
    state->share = text_join("%s/share", state->directory);
    state->serial_log = text_join("%s/serial.log", state->directory);
    state->qmp_socket = text_join("%s/qmp.sock", state->directory);
    state->pid_file = text_join("%s/qemu.pid", state->directory);
    state->token_file = text_join("%s/token", state->share);
    state->state_file = text_join("%s/state", state->directory);
    state->lock_file = text_join("%s.lock", state->directory);
    if (strlen(state->qmp_socket) > 100)
        return report_error(0, "%s: too long for a socket's path; set XENOLITH_LAB_DIR to a shorter one", state->directory);
    return 0;
}

/* The directory must be this user's alone: in /tmp another could have made it first. */
static int directory_check(const char *path)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return -errno;
    if (!S_ISDIR(status.st_mode) || status.st_uid != getuid())
        return report_error(0, "%s is not a directory of yours; set XENOLITH_LAB_DIR to another place", path);
    return 0;
}

int lab_state_directory_make(const struct lab_state *state)
{
    char *parent = text_copy(state->directory);
    char *slash = strrchr(parent, '/');
    int error = 0;

    if (slash != NULL && slash != parent) {
        *slash = '\0';
        error = directory_make(parent);
    }
    free(parent);
    if (error == 0 && mkdir(state->directory, 0700) < 0 && errno != EEXIST)
        error = -errno;
    if (error < 0)
        return report_error(error, "cannot make %s", state->directory);
    error = directory_check(state->directory);
    if (error < 0)
        return error;
    error = directory_make(state->share);
    return error < 0 ? report_error(error, "cannot make %s", state->share) : 0;
}

static void state_line(struct lab_state *state, const char *key, const char *value)
{
    long number = 0;

    if (strcmp(key, "pid") == 0 && text_number(value, 1, 1L << 30, &number) == 0)
        state->qemu_pid = (pid_t)number;
    else if (strcmp(key, "port") == 0)
        text_number(value, 1, 65535, &state->agent_port);
    else if (strcmp(key, "accelerator") == 0)
        state->accelerator = text_copy(value);
    else if (strcmp(key, "build_tree") == 0)
        state->build_tree = text_copy(value);
    else if (strcmp(key, "xen") == 0)
        state->xen = text_copy(value);
    else if (strcmp(key, "helpers") == 0)
        state->helpers = text_copy(value);
}

/* Reads the state file. qemu_pid is 0 afterwards when no lab runs. */
int lab_state_load(struct lab_state *state)
{
    struct text text = {0};
    char *rest = NULL;

    state->qemu_pid = 0;
    int error = file_read(state->state_file, &text);
    if (error == -ENOENT)
        return 0;
    if (error < 0)
        return report_error(error, "%s", state->state_file);
    for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        state_line(state, line, equals + 1);
    }
    text_free(&text);
    if (state->xen == NULL)
        state->xen = text_copy("unknown");
    if (!lab_state_running(state))
        state->qemu_pid = 0;
    return 0;
}

int lab_state_save(const struct lab_state *state)
{
    struct text text = {0};

    text_format(&text, "pid=%d\nport=%ld\naccelerator=%s\nbuild_tree=%s\nxen=%s\n", (int)state->qemu_pid, state->agent_port,
        state->accelerator, state->build_tree, state->xen);
    if (state->helpers != NULL)
        text_format(&text, "helpers=%s\n", state->helpers);
    int error = file_write(state->state_file, text.bytes, text.length);
    text_free(&text);
    return error < 0 ? report_error(error, "%s", state->state_file) : 0;
}

/* Whether qemu_pid is alive and a QEMU of this state directory (pids come again). */
bool lab_state_running(const struct lab_state *state)
{
    struct text command = {0};
    bool ours = false;

    if (!process_alive(state->qemu_pid))
        return false;
    char *path = text_join("/proc/%d/cmdline", (int)state->qemu_pid);
    if (file_read(path, &command) == 0 && command.length > 0)
        ours = memmem(command.bytes, command.length, state->qmp_socket, strlen(state->qmp_socket)) != NULL;
    free(path);
    text_free(&command);
    return ours;
}

/* Opens and loads the state of a lab that must be running. */
int lab_state_require(struct lab_state *state)
{
    int error = lab_state_open(state);

    if (error == 0)
        error = lab_state_load(state);
    if (error == 0 && state->qemu_pid == 0)
        error = report_error(0, "the lab is not running; start it with: xenolith lab up");
    return error;
}

void lab_state_free(struct lab_state *state)
{
    free(state->directory);
    free(state->share);
    free(state->serial_log);
    free(state->qmp_socket);
    free(state->pid_file);
    free(state->token_file);
    free(state->state_file);
    free(state->lock_file);
    free(state->accelerator);
    free(state->build_tree);
    free(state->xen);
    free(state->helpers);
    *state = (struct lab_state){0};
}
