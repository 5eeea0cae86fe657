/* SPDX-License-Identifier: BSD-2-Clause */
/* The place where guests run: one table of functions for the lab, one for a Xen host (guest_host*.c). */
#pragma once

#include <stdbool.h>

#include "tools/base/text.h"
#include "tools/guest/guest_record.h"
#include "tools/guest/guest_request.h"
#include "tools/lab/lab_state.h"

struct guest_host;

/*
 * The place where guests run: the lab, or the Xen host that this is. All functions print their own errors; none is called
 * with a lock held. What is plugged in or forwarded is noted in the guest's record first, under the key of the function.
 */
struct guest_host_operations {
    /* Adds the words of the command that starts xenolith-guest in dom0; its own arguments follow. */
    int (*helper_provide)(struct guest_host *host, struct text_list *command);
    /* Makes a disk of a file; adds an element of xl's disk list, and helper arguments. device is "xvda" .... */
    int (*disk_plug)(struct guest_host *host, const struct guest_record *record, const struct guest_disk *disk, const char *device,
        struct text *element, struct text_list *helper_arguments);
    void (*disk_unplug)(struct guest_host *host, const char *serial);
    /* Adds an element of xl's vif list, and notes the address where it is known. */
    int (*network_plug)(struct guest_host *host, const struct guest_record *record, struct text *element, struct text *address);
    int (*publish)(struct guest_host *host, const char *address, const struct guest_publish *publish);
    void (*unpublish)(struct guest_host *host, const char *address, const struct guest_publish *publish);
    /* Runs a command in dom0 with our stdout and stderr, or into output. Returns its status, or a negative errno. */
    int (*execute)(struct guest_host *host, const char *const *arguments, bool input, struct text *output);
};

struct guest_host {
    const struct guest_host_operations *operations;
    char *guests; /* the directory of guests here */
    char *guests_inside; /* and in dom0 */
    const char *stage; /* where xenolith-guest puts kernel and ramdisk first, in dom0; NULL: xl reads them in guests_inside */
    bool helper_forwards; /* published ports are served by xenolith-guest */
    char *helpers_inside; /* the directory of our programs in dom0; the lab's, once helper_provide was called */
    struct lab_state lab;
};

int guest_host_open(struct guest_host *host, const char *which);
void guest_host_close(struct guest_host *host);
int guest_release(struct guest_host *host, struct guest_record *record, bool destroyed);
void guest_host_sweep(struct guest_host *host);

extern const struct guest_host_operations guest_host_lab_operations;
extern const struct guest_host_operations guest_host_local_operations;
