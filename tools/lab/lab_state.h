/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's state directory, one per user (lab_state.c). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Where the lab of this user lives, and what runs there. */
struct lab_state {
    char *directory;
    char *share; /* /share in dom0 */
    char *serial_log; /* Xen's and dom0's console */
    char *qmp_socket; /* QEMU's monitor */
    char *pid_file;
    char *token_file;
    char *state_file;
    char *lock_file; /* beside the directory: outlives it */
    pid_t qemu_pid; /* 0: not running */
    long agent_port;
    char *accelerator;
    char *build_tree; /* /host in dom0 */
    char *xen; /* its version, such as "4.17" */
    char *helpers; /* the programs of tools/dom0-agent for this dom0, where not the build tree's; or NULL */
};

int lab_state_open(struct lab_state *state);
int lab_state_load(struct lab_state *state);
int lab_state_save(const struct lab_state *state);
int lab_state_directory_make(const struct lab_state *state);
bool lab_state_running(const struct lab_state *state);
int lab_state_require(struct lab_state *state);
void lab_state_free(struct lab_state *state);
