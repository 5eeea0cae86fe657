/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith run: a program in a guest of its own, as if it ran here. xenolith build: the image and configuration alone.
 *
 * The guest's console is our output and its program's exit status is ours. The guest leaves that status in xenstore; when it
 * did not, it crashed or was ended from outside, and we say so and exit with 125 (124 when its time was over).
 */
#include "tools/run/run_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/guest/guest_config.h"
#include "tools/run/run_batch.h"
#include "tools/run/run_root.h"

#define GUEST_OPTIONS_TEXT \
    "What is in the image:\n" \
    "  --package DEB        a Debian package with all it depends on; may be repeated\n" \
    "  --rootfs DIR         a directory that becomes the root, over the packages; may be repeated\n" \
    "  --add SRC:DST        a file or directory of this machine; may be repeated\n" \
    "  --env NAME=VALUE     a variable of the program's environment; may be repeated\n" \
    "  --user USER          UID[:GID], or a name of the image's /etc/passwd (root)\n" \
    "  --workdir DIR        the program's working directory (/)\n" \
    "The guest:\n" \
    "  --type pv|pvh        its kind (pv)\n" \
    "  --memory SIZE        its memory (64M)\n" \
    "  --vcpus N            its virtual processors (1)\n" \
    "  --disk FILE[:r]      a further disk, in turn xvdb, xvdc ...; :r read-only; may be repeated\n" \
    "  --root disk|ramdisk  where the root is: on a disk, or in the guest's memory, which starts sooner\n" \
    "                       (run: in memory if it has up to 4 MiB and a sixteenth of it; build: a disk)\n" \
    "  --no-network         no network interface\n" \
    "  --kernel FILE        another kernel ELF\n" \
    "  --kernel-arg WORD    a word of the kernel's command line; may be repeated\n" \
    "  --linux              Debian's own kernel instead of ours, for comparison (it needs 192M or more)\n" \
    "  --name NAME          its name\n"

static const char run_usage[] =
    "usage: xenolith run [OPTION]... -- PROGRAM [ARGUMENT]...\n"
    "       xenolith run [OPTION]... --batch LIST\n"
    "\n"
    "Runs a Linux program in a Xen guest of its own: on this machine's Xen, else in the lab (xenolith lab up).\n"
    "Its output is the guest's console; its exit status is ours (128+N after signal N, 124 when its time is over, 125 when\n"
    "the guest could not run or crashed, 126 and 127 when the program cannot be started or is not there).\n"
    "\n" GUEST_OPTIONS_TEXT
    "Running it:\n"
    "  --publish HOST:GUEST forward 127.0.0.1:HOST to the guest's port; may be repeated; HOST:GUEST/udp too\n"
    "  --timeout SECONDS    end the guest after this time; with --batch: a program\n"
    "  --detach             let it run in the background: xenolith ps, logs, stop\n"
    "  --batch LIST         run a file of command lines one after another in one guest; results as TAP\n"
    "  --stats              say at the end how long it took to boot and what it used\n"
    "  --host lab|local     where: the lab, or this machine's own Xen\n";

static const char build_usage[] =
    "usage: xenolith build [OPTION]... --output DIR -- PROGRAM [ARGUMENT]...\n"
    "\n"
    "Makes DIR/root.ext4 (DIR/ramdisk.cpio for --root ramdisk) and DIR/guest.cfg, with which xl create starts the program as a guest\n"
    "of any Xen host.\n"
    "\n" GUEST_OPTIONS_TEXT "  --output DIR         where the two files go\n";

static void statistics_print(const struct guest_outcome *outcome)
{
    static const char *const keys[] = {"boot", "memory", "create_ns", "run_ns", "output_ns", "unpaused_ns", "cpu_ns", "memory_kib", "address"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *value = guest_fact(&outcome->facts, keys[i]);
        if (value != NULL)
            report_line("%s: %s", keys[i], value);
    }
}

/* Builds the image for the options as they are, and runs the guest to its end or into the background. */
int run_guest(struct guest_host *host, struct run_options *options, struct guest_outcome *outcome)
{
    char *image = NULL;

    int error = image_provide(&options->image, &image);
    if (error < 0)
        return error;
    char *cmdline = run_options_cmdline(options);
    struct guest_request guest = options->guest;
    guest.disks = (struct text_list){0};
    guest.cmdline = cmdline;
    error = run_root_give(options, image, &guest);
    for (size_t i = 0; i < options->guest.disks.count; i++)
        text_list_add(&guest.disks, options->guest.disks.items[i]);
    if (error == 0)
        error = guest_start(host, &guest, outcome);
    text_list_free(&guest.disks);
    free(cmdline);
    free(image);
    return error;
}

/* Turns what became of a guest into our exit status, with a line where it was not the program's own end. */
int run_outcome_status(const struct run_options *options, const struct guest_outcome *outcome)
{
    const char *end = guest_fact(&outcome->facts, "end");
    const char *status_text = guest_fact(&outcome->facts, "exit-status");
    long status;

    if (status_text != NULL && text_number(status_text, 0, 255, &status) == 0)
        return (int)status;
    if (end == NULL)
        return EXIT_TOOL;
    if (strcmp(end, "timeout") == 0) {
        report_line("%s: still running after %ld s; ended", options->guest.name, options->guest.timeout_seconds);
        return EXIT_TIMED_OUT;
    }
    if (strcmp(end, "signal") == 0)
        return 130;
    report_line("%s: the guest ended (%s) without its program's exit status; its console is in %s", options->guest.name, end,
        outcome->console_log);
    return EXIT_TOOL;
}

/* arguments[0] is "run". */
int run_command(int count, char **arguments)
{
    struct guest_outcome outcome = {0};
    struct run_options options;
    struct guest_host host;
    int status = EXIT_TOOL;

    int error = run_options_parse(&options, count, arguments, run_usage);
    if (error == 0 && !options.help)
        error = run_root_choose(&options, true);
    if (error < 0 || options.help) {
        run_options_free(&options);
        return options.help ? 0 : EXIT_TOOL;
    }
    options.guest.input = options.image.program != NULL && !options.guest.detach;
    if (guest_host_open(&host, options.host) == 0) {
        if (options.batch_file != NULL)
            status = run_batch(&host, &options);
        else if (run_guest(&host, &options, &outcome) == 0)
            status = options.guest.detach ? 0 : run_outcome_status(&options, &outcome);
        guest_host_close(&host);
    }
    if (status != EXIT_TOOL && options.guest.detach)
        printf("%s\n", options.guest.name);
    if (options.statistics)
        statistics_print(&outcome);
    guest_outcome_free(&outcome);
    run_options_free(&options);
    return status;
}

/* The files that the configuration names: the root's disk, or a ramdisk, or Linux's own beside either. */
static int build_files(const struct run_options *options, const char *image, const char *disk, const char *ramdisk)
{
    bool on_disk = options->image.form == IMAGE_DISK;
    int error = 0;

    if (on_disk && (error = file_copy(image, disk)) < 0)
        return report_error(error, "cannot write %s", disk);
    if (options->ramdisk != NULL)
        error = file_copy(options->ramdisk, ramdisk);
    else if (!on_disk)
        error = file_copy(image, ramdisk);
    if (error == 0 && options->ramdisk != NULL && !on_disk)
        error = file_append(image, ramdisk);
    return error < 0 ? report_error(error, "cannot write %s", ramdisk) : 0;
}

/* The elements of xl's disk list: the root's, if it is one, then those of --disk, from xvdb on. */
static int build_disks(const struct run_options *options, const char *root, struct text_list *out)
{
    struct guest_disk disk;

    if (options->image.form == IMAGE_DISK)
        text_list_format(out, "format=raw,vdev=xvda,access=ro,target=%s", root);
    for (size_t i = 0; i < options->guest.disks.count; i++) {
        if (i >= 25)
            return report_error(0, "more than 26 disks");
        guest_disk_parse(options->guest.disks.items[i], &disk);
        text_list_format(out, "format=raw,vdev=xvd%c,access=%s,target=%s", (int)('b' + i), disk.writable ? "rw" : "ro", disk.path);
        free(disk.path);
    }
    return 0;
}

static int build_config(const struct run_options *options, const char *root, const char *ramdisk, const char *path)
{
    struct text_list disks = {0};
    struct text_list vifs = {0};
    struct text text = {0};
    char *kernel = path_absolute(options->kernel);
    char *cmdline = run_options_cmdline(options);
    struct guest_request guest = options->guest;

    guest.cmdline = cmdline;
    if (!options->no_network)
        text_list_add(&vifs, "bridge=xenbr0");
    struct guest_config config = {.request = &guest,
        .kernel = kernel,
        .ramdisk = options->ramdisk != NULL || options->image.form != IMAGE_DISK ? ramdisk : NULL,
        .disks = &disks,
        .vifs = &vifs};
    int error = build_disks(options, root, &disks);
    if (error == 0)
        error = guest_config_fill(&config, &text);
    if (error == 0 && (error = file_write(path, text.bytes, text.length)) < 0)
        report_error(error, "cannot write %s", path);
    text_free(&text);
    text_list_free(&disks);
    text_list_free(&vifs);
    free(cmdline);
    free(kernel);
    return error;
}

static int build_outputs(const struct run_options *options)
{
    char *image = NULL;

    int error = image_provide(&options->image, &image);
    if (error == 0 && (error = directory_make(options->output)) < 0)
        report_error(error, "cannot make %s", options->output);
    if (error < 0)
        return error;
    char *directory = path_absolute(options->output);
    char *root = text_join("%s/root.ext4", directory);
    char *ramdisk = text_join("%s/ramdisk.cpio", directory);
    char *config_path = text_join("%s/guest.cfg", directory);
    error = build_files(options, image, root, ramdisk);
    if (error == 0)
        error = build_config(options, root, ramdisk, config_path);
    free(config_path);
    free(ramdisk);
    free(root);
    free(directory);
    free(image);
    return error;
}

/* arguments[0] is "build". */
int build_command(int count, char **arguments)
{
    struct run_options options;

    int error = run_options_parse(&options, count, arguments, build_usage);
    if (error == 0 && !options.help)
        error = run_root_choose(&options, false);
    if (error == 0 && !options.help) {
        if (options.output == NULL)
            error = report_error(0, "build: no --output DIR");
        else
            error = build_outputs(&options);
    }
    run_options_free(&options);
    return error < 0 ? EXIT_TOOL : 0;
}
