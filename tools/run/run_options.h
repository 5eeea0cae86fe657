/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that `xenolith run` and `xenolith build` share (run_options.c). */
#pragma once

#include "tools/guest/guest_request.h"
#include "tools/image/image.h"

struct run_options {
    struct image_request image;
    struct guest_request guest;
    struct text_list kernel_arguments;
    const char *batch_file;
    struct batch batch;
    long batch_timeout_seconds; /* for each program */
    bool batch_stopped; /* by a signal */
    char *kernel;
    char *ramdisk; /* --linux: then kernel is Linux */
    const char *root; /* --root, or NULL */
    const char *output; /* build */
    const char *host;
    bool statistics;
    bool named; /* --name was given */
    bool no_network;
    bool help;
};

int run_options_parse(struct run_options *options, int count, char **arguments, const char *usage);
char *run_options_cmdline(const struct run_options *options);
void run_options_free(struct run_options *options);
