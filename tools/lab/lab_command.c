/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith lab: a real Xen with a Debian dom0 on this machine, as a service.
 *
 * up starts it (lab_image.c, lab_machine.c), down ends it, status tells, exec runs a command in dom0 (channel.c), boot starts
 * any guest kernel (lab_boot.c). up and down exclude each other by the lock file.
 */
#include "tools/lab/lab_command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/lab-agent/frame.h"
#include "tools/lab/channel.h"
#include "tools/lab/lab_boot.h"
#include "tools/lab/lab_image.h"
#include "tools/lab/lab_machine.h"
#include "tools/lab/lab_state.h"

static const char usage_text[] =
    "usage: xenolith lab up [--memory SIZE] [--xen VERSION]\n"
    "                                                start Xen and dom0 in QEMU (nothing to do when they run);\n"
    "                                                VERSION: 4.14, 4.17 (the default) or 4.20, each with the dom0 of its Debian\n"
    "       xenolith lab down                        end them with all guests; nothing stays behind\n"
    "       xenolith lab status                      what runs, and where its files are\n"
    "       xenolith lab exec [-n] [-C DIR] -- COMMAND [ARGUMENT]...\n"
    "                                                run a command in dom0; -n: no standard input\n"
    "       xenolith lab boot KERNEL [OPTION]...     start any guest kernel and show its console (lab boot --help)\n"
    "\n"
    "The lab's files are under ${XENOLITH_LAB_DIR:-${XDG_RUNTIME_DIR:-/tmp}/xenolith-lab-UID}: share/ is /share in dom0,\n"
    "serial.log is the console of Xen and dom0. The build tree that started the lab is /host in dom0.\n"
    "XENOLITH_LAB_ACCELERATOR=kvm|tcg|icount chooses the accelerator; without it KVM is used where it can run Xen. icount is\n"
    "emulation on one processor, with a clock that counts instructions.\n";

static int token_make(const struct lab_state *state)
{
    uint8_t random[FRAME_TOKEN_LENGTH / 2];
    char token[FRAME_TOKEN_LENGTH + 1];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return report_error(-errno, "no random bytes for the lab's token");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    int error = file_write(state->token_file, token, FRAME_TOKEN_LENGTH);
    if (error == 0 && chmod(state->token_file, 0600) < 0)
        error = -errno;
    return error < 0 ? report_error(error, "%s", state->token_file) : 0;
}

static int share_copy(const struct lab_state *state, const char *from, const char *below)
{
    char *to = text_join("%s/%s", state->share, below);

    int error = file_copy(from, to);
    if (error < 0)
        report_error(error, "cannot copy %s to %s", from, to);
    else
        chmod(to, 0755);
    free(to);
    return error;
}

/* What dom0 runs of ours. */
static int share_fill(const struct lab_state *state)
{
    static const char *const directories[] = {"bin", "dom0", "guests"};
    int error = 0;

    for (size_t i = 0; error == 0 && i < 3; i++) {
        char *path = text_join("%s/%s", state->share, directories[i]);
        error = directory_make(path);
        free(path);
    }
    char *start = install_data("tools/lab/dom0/start");
    char *agent = install_program("lab-agent", "xenolith-lab-agent");
    if (error == 0)
        error = share_copy(state, start, "dom0/start");
    if (error == 0)
        error = share_copy(state, agent, "bin/xenolith-lab-agent");
    free(start);
    free(agent);
    return error == 0 ? token_make(state) : error;
}

static int size_mib(const char *text, long *out)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*end == 'G' || *end == 'g')
        value *= 1024;
    else if (*end != 'M' && *end != 'm' && *end != '\0')
        return -EINVAL;
    if (end == text || value < 2048 || value > 1024 * 1024)
        return -EINVAL;
    *out = value;
    return 0;
}

/* The programs that run in dom0 are this machine's own, unless dom0 is of another Debian release. */
static int helpers_make(struct lab_state *state, const struct lab_xen *xen, const char *image)
{
    char *source = install_data("");
    char *script = install_data("tools/lab/dom0/make-helpers.sh");
    char *sysroot = text_join("%s/sysroot", image);
    const char *arguments[] = {"sh", script, source, sysroot, NULL, NULL};
    struct process_request request = {.arguments = arguments};
    int error = 0;

    if (xen->release != NULL) {
        state->helpers = text_join("%s/helpers", state->directory);
        arguments[4] = state->helpers;
        error = process_run_quietly(&request, "building what runs in dom0 (a source tree and a C compiler are needed)");
    }
    free(sysroot);
    free(script);
    free(source);
    return error;
}

static int lab_start_locked(struct lab_state *state, const struct lab_xen *xen, long memory_mib)
{
    char *image = NULL;
    double started = report_seconds_now();

    int error = lab_state_load(state);
    if (error < 0)
        return error;
    if (state->qemu_pid != 0) {
        if (strcmp(state->xen, xen->version) != 0)
            return report_error(0, "the lab is up with Xen %s; end it first: xenolith lab down", state->xen);
        report_line("the lab is already up (%s, started by pid %d)", state->accelerator, (int)state->qemu_pid);
        return 0;
    }
    free(state->xen);
    state->xen = text_copy(xen->version);
    error = lab_image_provide(xen, &image);
    if (error == 0)
        error = lab_state_directory_make(state);
    if (error == 0)
        error = share_fill(state);
    if (error == 0)
        error = helpers_make(state, xen, image);
    state->build_tree = install_tree();
    if (error == 0)
        error = lab_machine_start(state, image, memory_mib);
    if (error == 0)
        error = lab_state_save(state);
    if (error == 0)
        report_line("the lab is up after %.1f s (%s)", report_seconds_now() - started, state->accelerator);
    free(image);
    return error;
}

static int lab_up(int count, char **arguments)
{
    static const struct option options[] = {{"memory", required_argument, NULL, 'm'}, {"xen", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'}, {0}};
    const char *version = NULL;
    struct lab_state state;
    long memory_mib = 4096;
    int option;

    while ((option = getopt_long(count, arguments, "m:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage_text, stdout);
            return 0;
        }
        if (option == 'x')
            version = optarg;
        else if (option != 'm' || size_mib(optarg, &memory_mib) < 0) {
            report_error(0, "lab up: --memory takes at least 2G, such as 4G");
            return EXIT_TOOL;
        }
    }
    const struct lab_xen *xen = lab_xen_find(version);
    if (xen == NULL || lab_state_open(&state) < 0)
        return EXIT_TOOL;
    int lock_fd = file_lock(state.lock_file, true);
    if (lock_fd < 0) {
        report_error(lock_fd, "%s", state.lock_file);
        return EXIT_TOOL;
    }
    int error = lab_start_locked(&state, xen, memory_mib);
    close(lock_fd);
    lab_state_free(&state);
    return error < 0 ? EXIT_TOOL : 0;
}

static int lab_down(void)
{
    struct lab_state state;

    if (lab_state_open(&state) < 0)
        return EXIT_TOOL;
    int lock_fd = file_lock(state.lock_file, true);
    if (lock_fd < 0 || lab_state_load(&state) < 0)
        return EXIT_TOOL;
    if (state.qemu_pid == 0)
        report_line("the lab was not running");
    lab_machine_stop(&state);
    int error = tree_remove(state.directory);
    if (error != 0)
        report_error(-EIO, "cannot remove all of %s", state.directory);
    unlink(state.lock_file);
    close(lock_fd);
    lab_state_free(&state);
    return error != 0 ? EXIT_TOOL : 0;
}

static int lab_exec_arguments(const struct lab_state *state, const char *const *arguments, const char *directory, int stdin_fd)
{
    struct channel_command command = {
        .port = state->agent_port,
        .token_file = state->token_file,
        .arguments = arguments,
        .directory = directory,
        .stdin_fd = stdin_fd,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
        .pass_signals = true,
    };

    int status = channel_run(&command);
    return status < 0 ? EXIT_TOOL : status;
}

static int lab_status(void)
{
    static const char *const list[] = {"xl", "list", NULL};
    struct lab_state state;

    if (lab_state_open(&state) < 0 || lab_state_load(&state) < 0)
        return EXIT_TOOL;
    if (state.qemu_pid == 0) {
        printf("the lab is not running\n");
        lab_state_free(&state);
        return 1;
    }
    printf("xen          %s\naccelerator  %s\nqemu         pid %d\ncontrol      127.0.0.1:%ld\ndirectory    %s\nconsole      %s\n", state.xen, state.accelerator,
        (int)state.qemu_pid, state.agent_port, state.directory, state.serial_log);
    printf("/share       %s\n/host        %s\n\n", state.share, state.build_tree);
    fflush(stdout);
    int status = lab_exec_arguments(&state, list, NULL, -1);
    lab_state_free(&state);
    return status;
}

static int lab_exec(int count, char **arguments)
{
    static const struct option options[] = {{"no-input", no_argument, NULL, 'n'},
        {"directory", required_argument, NULL, 'C'},
        {"help", no_argument, NULL, 'h'},
        {0}};
    struct lab_state state;
    const char *directory = NULL;
    int stdin_fd = STDIN_FILENO;
    int option;

    while ((option = getopt_long(count, arguments, "+nC:h", options, NULL)) != -1) {
        if (option == 'n')
            stdin_fd = -1;
        else if (option == 'C')
            directory = optarg;
        else {
            fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_TOOL;
        }
    }
    if (optind >= count) {
        report_error(0, "lab exec: no command; for example: xenolith lab exec -- xl list");
        return EXIT_TOOL;
    }
    if (lab_state_require(&state) < 0)
        return EXIT_TOOL;
    int status = lab_exec_arguments(&state, (const char *const *)(arguments + optind), directory, stdin_fd);
    lab_state_free(&state);
    return status;
}

/* arguments[0] is "lab". */
int lab_command(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";

    if (strcmp(what, "up") == 0)
        return lab_up(count - 1, arguments + 1);
    if (strcmp(what, "down") == 0)
        return lab_down();
    if (strcmp(what, "status") == 0)
        return lab_status();
    if (strcmp(what, "exec") == 0)
        return lab_exec(count - 1, arguments + 1);
    if (strcmp(what, "boot") == 0)
        return lab_boot(count - 1, arguments + 1);
    bool asked = strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0;
    fputs(usage_text, asked ? stdout : stderr);
    return asked ? 0 : EXIT_TOOL;
}
