/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest as dom0 sees it: created and destroyed by the stock xl, watched through libxenctrl and libxenstore.
 *
 * xl makes it paused, so that its console and its end can be waited for before its first instruction; the configuration says
 * "preserve" for every end, so that what it left in xenstore can be read before it is gone.
 */
#include "tools/dom0-agent/domain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

/* Opens the ways to Xen. name is kept, not copied. */
int domain_connect(struct domain *domain, const char *name)
{
    *domain = (struct domain){.name = name};
    domain->control = xc_interface_open(NULL, NULL, 0);
    if (domain->control == NULL)
        return report_error(-errno, "cannot reach the hypervisor; this must run in dom0, as root");
    domain->store = xs_open(0);
    if (domain->store == NULL) {
        int error = report_error(-errno, "cannot reach xenstore; is xenstored running?");
        xc_interface_close(domain->control);
        return error;
    }
    return 0;
}

static int domain_find(struct domain *domain)
{
    unsigned count = 0;
    int error = -ENOENT;

    char **ids = xs_directory(domain->store, XBT_NULL, "/local/domain", &count);
    if (ids == NULL)
        return -errno;
    for (unsigned i = 0; i < count && error < 0; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/local/domain/%s/name", ids[i]);
        char *name = xs_read(domain->store, XBT_NULL, path, NULL);
        if (name != NULL && strcmp(name, domain->name) == 0) {
            domain->id = (uint32_t)strtoul(ids[i], NULL, 10);
            error = 0;
        }
        free(name);
    }
    free(ids);
    return error;
}

int domain_create_paused(struct domain *domain, const char *config)
{
    const char *arguments[] = {"xl", "create", "-p", "-e", "-q", config, NULL};
    /* In a session of its own: a signal that ends us must not kill xl half-way, which would leave a domain without a name. */
    struct process_request request = {.arguments = arguments, .stdin_fd = -1, .own_session = true};

    int created = process_run_quietly(&request, "creating the guest");
    int error = domain_find(domain);
    if (created < 0) {
        domain->exists = error == 0; /* an xl that crashed leaves what it had made */
        return created;
    }
    if (error < 0)
        return report_error(error, "xl made the guest %s, but xenstore does not know it", domain->name);
    domain->exists = true;
    return 0;
}

int domain_unpause(const struct domain *domain)
{
    if (xc_domain_unpause(domain->control, domain->id) < 0)
        return report_error(-errno, "cannot unpause the guest %s", domain->name);
    return 0;
}

/* By xc_domain_getinfolist(), which all releases of Xen have alike. */
enum domain_state domain_state(const struct domain *domain, struct domain_usage *usage)
{
    xc_domaininfo_t info = {0};

    int found = xc_domain_getinfolist(domain->control, domain->id, 1, &info);
    *usage = (struct domain_usage){.cpu_ns = info.cpu_time, .pages = info.tot_pages};
    if (found != 1 || info.domain != domain->id || (info.flags & XEN_DOMINF_dying) != 0)
        return DOMAIN_GONE;
    if ((info.flags & XEN_DOMINF_shutdown) == 0)
        return DOMAIN_RUNS;
    switch (info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask) {
    case SHUTDOWN_poweroff:
        return DOMAIN_POWEROFF;
    case SHUTDOWN_reboot:
        return DOMAIN_REBOOT;
    case SHUTDOWN_suspend:
        return DOMAIN_SUSPEND;
    case SHUTDOWN_watchdog:
        return DOMAIN_WATCHDOG;
    case SHUTDOWN_soft_reset:
        return DOMAIN_SOFT_RESET;
    default:
        return DOMAIN_CRASH;
    }
}

const char *domain_state_name(enum domain_state state)
{
    static const char *const names[] = {
        [DOMAIN_RUNS] = "runs",
        [DOMAIN_POWEROFF] = "poweroff",
        [DOMAIN_REBOOT] = "reboot",
        [DOMAIN_SUSPEND] = "suspend",
        [DOMAIN_CRASH] = "crash",
        [DOMAIN_WATCHDOG] = "watchdog",
        [DOMAIN_SOFT_RESET] = "soft-reset",
        [DOMAIN_GONE] = "destroyed",
    };

    return names[state];
}

/* A value below the guest's own xenstore directory, or NULL; the caller frees it. It is the guest's word: check it. */
char *domain_read(const struct domain *domain, const char *below)
{
    char *path = text_join("/local/domain/%u/%s", domain->id, below);
    char *value = xs_read(domain->store, XBT_NULL, path, NULL);

    free(path);
    return value;
}

/* Removes the guest and its devices; nothing to do when it is gone. */
void domain_destroy(struct domain *domain)
{
    struct domain_usage usage;
    char id[16];

    if (!domain->exists || domain_state(domain, &usage) == DOMAIN_GONE)
        return;
    snprintf(id, sizeof(id), "%u", domain->id);
    const char *arguments[] = {"xl", "destroy", id, NULL};
    struct process_request request = {.arguments = arguments, .stdin_fd = -1, .own_session = true};
    process_run_quietly(&request, "destroying the guest");
    domain->exists = false;
}

void domain_disconnect(struct domain *domain)
{
    if (domain->store != NULL)
        xs_close(domain->store);
    if (domain->control != NULL)
        xc_interface_close(domain->control);
}
