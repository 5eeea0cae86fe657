/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith lab boot: starts any guest kernel in the lab and shows its console, the developers' way to try one.
 *
 * Nothing is expected of the guest: it prints, and ends as it likes. Exit status 0 when it powered off or asked for a reboot,
 * 1 when it crashed, 124 when its time was over, 125 when it could not be started.
 */
#include "tools/lab/lab_boot.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/guest/guest_host.h"
#include "tools/guest/guest_start.h"

static const char usage_text[] =
    "usage: xenolith lab boot KERNEL [OPTION]...\n"
    "\n"
    "Starts KERNEL (an ELF, or a Linux bzImage) as a guest, shows its console until it ends, and says how it ended.\n"
    "\n"
    "  --type pv|pvh        the kind of guest (pv)\n"
    "  --memory SIZE        its memory (64M)\n"
    "  --vcpus N            its virtual processors (1)\n"
    "  --extra TEXT         the kernel's command line\n"
    "  --ramdisk FILE       its initial ramdisk\n"
    "  --disk FILE[:r]      a disk, in turn xvda, xvdb ...; :r read-only; may be repeated\n"
    "  --net                a network interface on xenbr0\n"
    "  --publish HOST:GUEST forward 127.0.0.1:HOST to the guest's port; may be repeated; means --net\n"
    "  --timeout SECONDS    end the guest after this time, with its registers (60; 0: never)\n"
    "  --input              send standard input to the guest's console\n"
    "  --name NAME          the guest's name\n"
    "  --host lab|local     where: the lab, or this machine's own Xen\n";

enum { OPTION_TYPE = 256,
    OPTION_MEMORY,
    OPTION_VCPUS,
    OPTION_EXTRA,
    OPTION_RAMDISK,
    OPTION_DISK,
    OPTION_NET,
    OPTION_PUBLISH,
    OPTION_TIMEOUT,
    OPTION_INPUT,
    OPTION_NAME,
    OPTION_HOST,
    OPTION_HELP };

static const struct option options[] = {
    {"type", required_argument, NULL, OPTION_TYPE},
    {"memory", required_argument, NULL, OPTION_MEMORY},
    {"vcpus", required_argument, NULL, OPTION_VCPUS},
    {"extra", required_argument, NULL, OPTION_EXTRA},
    {"ramdisk", required_argument, NULL, OPTION_RAMDISK},
    {"disk", required_argument, NULL, OPTION_DISK},
    {"net", no_argument, NULL, OPTION_NET},
    {"publish", required_argument, NULL, OPTION_PUBLISH},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"input", no_argument, NULL, OPTION_INPUT},
    {"name", required_argument, NULL, OPTION_NAME},
    {"host", required_argument, NULL, OPTION_HOST},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static int option_take(struct guest_request *request, int option, const char **where)
{
    switch (option) {
    case OPTION_TYPE:
        request->type = optarg;
        return 0;
    case OPTION_MEMORY:
        return guest_memory_parse(optarg, &request->memory_mib);
    case OPTION_VCPUS:
        return text_number(optarg, 1, 128, &request->vcpus) < 0 ? report_error(0, "--vcpus %s: a number is wanted", optarg) : 0;
    case OPTION_EXTRA:
        request->cmdline = optarg;
        return 0;
    case OPTION_RAMDISK:
        request->ramdisk = optarg;
        return 0;
    case OPTION_DISK:
        text_list_add(&request->disks, optarg);
        return 0;
    case OPTION_PUBLISH:
        text_list_add(&request->publish, optarg);
        request->network = true;
        return 0;
    case OPTION_NET:
        request->network = true;
        return 0;
    case OPTION_TIMEOUT:
        return text_number(optarg, 0, 1000000, &request->timeout_seconds) < 0
            ? report_error(0, "--timeout %s: seconds are wanted", optarg)
            : 0;
    case OPTION_INPUT:
        request->input = true;
        return 0;
    case OPTION_NAME:
        free(request->name);
        request->name = text_copy(optarg);
        return 0;
    case OPTION_HOST:
        *where = optarg;
        return 0;
    default:
        fputs(usage_text, stderr);
        return -1;
    }
}

/* Says how the guest ended and turns that into an exit status. */
static int outcome_tell(const struct guest_request *request, const struct guest_outcome *outcome)
{
    const char *end = guest_fact(&outcome->facts, "end");
    const char *run = guest_fact(&outcome->facts, "run_ns");
    const char *create = guest_fact(&outcome->facts, "create_ns");

    if (end == NULL)
        return EXIT_TOOL;
    report_line("guest %s: %s (created in %.1f s, ran %.2f s); console in %s", request->name, end,
        create != NULL ? atof(create) / 1e9 : 0, run != NULL ? atof(run) / 1e9 : 0, outcome->console_log);
    if (strcmp(end, "poweroff") == 0 || strcmp(end, "reboot") == 0)
        return 0;
    return strcmp(end, "timeout") == 0 ? EXIT_TIMED_OUT : strcmp(end, "signal") == 0 ? 130
                                                                                     : 1;
}

/* arguments[0] is "boot". */
int lab_boot(int count, char **arguments)
{
    struct guest_request request;
    struct guest_outcome outcome = {0};
    struct guest_host host;
    const char *where = NULL;
    int status = EXIT_TOOL;
    int option;

    guest_request_init(&request, "boot");
    request.timeout_seconds = 60;
    while ((option = getopt_long(count, arguments, "h", options, NULL)) != -1) {
        if (option == OPTION_HELP || option == 'h') {
            fputs(usage_text, stdout);
            return 0;
        }
        if (option_take(&request, option, &where) < 0)
            return EXIT_TOOL;
    }
    if (count - optind != 1) {
        fputs(usage_text, stderr);
        return EXIT_TOOL;
    }
    request.kernel = arguments[optind];
    if (guest_host_open(&host, where) == 0) {
        if (guest_start(&host, &request, &outcome) == 0)
            status = outcome_tell(&request, &outcome);
        guest_host_close(&host);
    }
    guest_outcome_free(&outcome);
    guest_request_free(&request);
    return status;
}
