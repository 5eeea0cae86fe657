/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options that `xenolith run` and `xenolith build` share: what is in the image, what the guest is like.
 */
#include "tools/run/run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/report.h"
#include "tools/guest/linux_guest.h"

enum {
    OPTION_TYPE = 256,
    OPTION_MEMORY,
    OPTION_VCPUS,
    OPTION_PACKAGE,
    OPTION_ROOTFS,
    OPTION_ADD,
    OPTION_ENV,
    OPTION_PUBLISH,
    OPTION_DISK,
    OPTION_ROOT,
    OPTION_KERNEL,
    OPTION_KERNEL_ARG,
    OPTION_LINUX,
    OPTION_TIMEOUT,
    OPTION_NAME,
    OPTION_USER,
    OPTION_WORKDIR,
    OPTION_DETACH,
    OPTION_BATCH,
    OPTION_HOST,
    OPTION_OUTPUT,
    OPTION_STATISTICS,
    OPTION_NO_NETWORK,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"type", required_argument, NULL, OPTION_TYPE},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"vcpus", required_argument, NULL, OPTION_VCPUS},
    {"package", required_argument, NULL, OPTION_PACKAGE},
    {"rootfs", required_argument, NULL, OPTION_ROOTFS},
    {"add", required_argument, NULL, OPTION_ADD},
    {"env", required_argument, NULL, OPTION_ENV},
    {"publish", required_argument, NULL, OPTION_PUBLISH},
    {"disk", required_argument, NULL, OPTION_DISK},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"kernel", required_argument, NULL, OPTION_KERNEL},
    {"kernel-arg", required_argument, NULL, OPTION_KERNEL_ARG},
    {"linux", no_argument, NULL, OPTION_LINUX},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"name", required_argument, NULL, OPTION_NAME},
    {"user", required_argument, NULL, OPTION_USER},
    {"workdir", required_argument, NULL, OPTION_WORKDIR},
    {"detach", no_argument, NULL, OPTION_DETACH},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"host", required_argument, NULL, OPTION_HOST},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"stats", no_argument, NULL, OPTION_STATISTICS},
    {"no-network", no_argument, NULL, OPTION_NO_NETWORK},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static int image_option(struct image_request *image, int option)
{
    switch (option) {
    case OPTION_PACKAGE:
        text_list_add(&image->packages, optarg);
        return 0;
    case OPTION_ROOTFS:
        text_list_add(&image->rootfs, optarg);
        return 0;
    case OPTION_ADD:
        text_list_add(&image->adds, optarg);
        return 0;
    case OPTION_ENV:
        text_list_add(&image->environment, optarg);
        return 0;
    case OPTION_USER:
        image->user = optarg;
        return 0;
    case OPTION_WORKDIR:
        image->directory = optarg;
        return optarg[0] == '/' ? 0 : report_error(0, "--workdir %s: an absolute path in the image is wanted", optarg);
    default:
        return 1;
    }
}

static int guest_option(struct guest_request *guest, int option)
{
    switch (option) {
    case OPTION_TYPE:
        guest->type = optarg;
        return 0;
    case OPTION_MEMORY:
        return guest_memory_parse(optarg, &guest->memory_mib);
    case OPTION_VCPUS:
        if (text_number(optarg, 1, 128, &guest->vcpus) < 0)
            return report_error(0, "--vcpus %s: a number from 1 to 128 is wanted", optarg);
        return 0;
    case OPTION_PUBLISH:
        text_list_add(&guest->publish, optarg);
        return 0;
    case OPTION_DISK:
        text_list_add(&guest->disks, optarg);
        return 0;
    case OPTION_TIMEOUT:
        if (text_number(optarg, 0, 100000000, &guest->timeout_seconds) < 0)
            return report_error(0, "--timeout %s: seconds are wanted", optarg);
        return 0;
    case OPTION_NAME:
        free(guest->name);
        guest->name = text_copy(optarg);
        return 0;
    case OPTION_DETACH:
        guest->detach = true;
        return 0;
    default:
        return 1;
    }
}

static int other_option(struct run_options *options, int option, const char *usage)
{
    switch (option) {
    case OPTION_KERNEL:
        free(options->kernel);
        options->kernel = text_copy(optarg);
        return 0;
    case OPTION_KERNEL_ARG:
        text_list_add(&options->kernel_arguments, optarg);
        return 0;
    case OPTION_ROOT:
        options->root = optarg;
        return 0;
    case OPTION_BATCH:
        options->batch_file = optarg;
        return 0;
    case OPTION_HOST:
        options->host = optarg;
        return 0;
    case OPTION_OUTPUT:
        options->output = optarg;
        return 0;
    case OPTION_STATISTICS:
        options->statistics = true;
        return 0;
    case OPTION_LINUX:
        free(options->kernel);
        options->kernel = NULL;
        return linux_guest_provide(&options->kernel, &options->ramdisk);
    case OPTION_NO_NETWORK:
        options->no_network = true;
        return 0;
    case OPTION_HELP:
        fputs(usage, stdout);
        options->help = true;
        return 0;
    default:
        fputs(usage, stderr);
        return -EINVAL;
    }
}

/*
 * Parses everything up to "--", and the program after it. arguments[0] is the command's name, arguments must live as long as
 * the options. help is set, and nothing more done, where --help was asked.
 */
int run_options_parse(struct run_options *options, int count, char **arguments, const char *usage)
{
    int option;

    *options = (struct run_options){.kernel = install_kernel()};
    guest_request_init(&options->guest, "xenolith");
    while ((option = getopt_long(count, arguments, "+h", long_options, NULL)) != -1) {
        int taken = image_option(&options->image, option);
        options->named |= option == OPTION_NAME;
        if (taken > 0)
            taken = guest_option(&options->guest, option);
        if (taken > 0)
            taken = other_option(options, option == 'h' ? OPTION_HELP : option, usage);
        if (taken < 0 || options->help)
            return taken;
    }
    if ((optind < count) == (options->batch_file != NULL))
        return report_error(0, "%s: %s", arguments[0],
            optind < count ? "a program and --batch exclude each other" : "no program; add -- PROGRAM [ARGUMENT]..., or --batch LIST");
    if (options->image.packages.count == 0 && options->image.rootfs.count == 0 && options->image.adds.count == 0)
        return report_error(0, "%s: nothing to put into the image; name a --package, --rootfs DIR or --add SRC:DST", arguments[0]);
    if (optind < count)
        options->image.program = (const char *const *)(arguments + optind);
    /* A made-up name is not in the image: it would be another image for each run. */
    options->image.hostname = options->named ? options->guest.name : "xenolith";
    options->guest.kernel = options->kernel;
    options->guest.ramdisk = options->ramdisk;
    options->guest.network = !options->no_network;
    if (options->batch_file == NULL)
        return 0;
    int error = batch_read(options->batch_file, &options->batch);
    options->image.batch = &options->batch;
    return error;
}

static bool has_kernel_word(const struct run_options *options, const char *prefix)
{
    for (size_t i = 0; i < options->kernel_arguments.count; i++)
        if (strncmp(options->kernel_arguments.items[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* The kernel's command line; the caller frees it. The console is the program's: of the kernel only what is wrong is shown. */
char *run_options_cmdline(const struct run_options *options)
{
    struct text text = {0};

    text_format(&text, "root=%s console=hvc0%s", options->image.form == IMAGE_DISK ? "/dev/xvda" : "ramdisk ro",
        options->no_network ? "" : " ip=dhcp");
    if (options->ramdisk != NULL)
        text_format(&text, " quiet loglevel=1");
    else if (!has_kernel_word(options, "loglevel="))
        text_format(&text, " loglevel=4");
    for (size_t i = 0; i < options->kernel_arguments.count; i++)
        text_format(&text, " %s", options->kernel_arguments.items[i]);
    return text.bytes;
}

void run_options_free(struct run_options *options)
{
    batch_free(&options->batch);
    image_request_free(&options->image);
    guest_request_free(&options->guest);
    text_list_free(&options->kernel_arguments);
    free(options->kernel);
    free(options->ramdisk);
}
