/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest, created and destroyed by xl, watched through libxenctrl and libxenstore (domain.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <xenctrl.h>
#include <xenstore.h>

/* A guest, from its creation by xl to its destruction. */
struct domain {
    xc_interface *control;
    struct xs_handle *store;
    const char *name;
    uint32_t id;
    bool exists;
};

/* How a guest is, by the hypervisor's word. */
enum domain_state {
    DOMAIN_RUNS,
    DOMAIN_POWEROFF,
    DOMAIN_REBOOT,
    DOMAIN_SUSPEND,
    DOMAIN_CRASH,
    DOMAIN_WATCHDOG,
    DOMAIN_SOFT_RESET,
    DOMAIN_GONE,
};

/* What the hypervisor counts for a guest. */
struct domain_usage {
    uint64_t cpu_ns;
    uint64_t pages; /* of 4 KiB */
};

int domain_connect(struct domain *domain, const char *name);
int domain_create_paused(struct domain *domain, const char *config);
int domain_unpause(const struct domain *domain);
enum domain_state domain_state(const struct domain *domain, struct domain_usage *usage);
const char *domain_state_name(enum domain_state state);
char *domain_read(const struct domain *domain, const char *below);
void domain_destroy(struct domain *domain);
void domain_disconnect(struct domain *domain);
