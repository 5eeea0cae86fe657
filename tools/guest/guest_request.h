/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest as the user asked for it, and the checks of it (guest_request.c). */
#pragma once

#include <stdbool.h>

#include "tools/base/text.h"

/* A guest to be started, as the user asked for it. */
struct guest_request {
    char *name;
    const char *type; /* "pv" or "pvh" */
    const char *kernel;
    const char *ramdisk; /* or NULL */
    const char *ramdisk_more; /* what is added to its end, or NULL */
    const char *cmdline;
    long memory_mib;
    long vcpus;
    struct text_list disks; /* FILE or FILE:r, FILE:w (the default is w) */
    unsigned first_disk; /* its number: 0 is xvda */
    bool network;
    struct text_list publish; /* HOST:GUEST[/udp] */
    long timeout_seconds;
    bool detach;
    bool input; /* standard input goes to the console */
    bool keep_output; /* the console is collected in output, not printed */
    struct text *output;
};

/* HOST:GUEST[/udp] taken apart. */
struct guest_publish {
    long host_port;
    long guest_port;
    const char *protocol;
};

/* FILE[:r|:w] taken apart; path is to be freed. */
struct guest_disk {
    char *path;
    bool writable;
};

void guest_request_init(struct guest_request *request, const char *name_prefix);
int guest_request_check(const struct guest_request *request);
int guest_memory_parse(const char *text, long *mib);
int guest_publish_parse(const char *text, struct guest_publish *out);
int guest_disk_parse(const char *text, struct guest_disk *out);
void guest_request_free(struct guest_request *request);
