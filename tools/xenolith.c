/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith: runs unmodified Linux programs as Xen guests of their own.
 *
 * This file only finds the subcommand; each has a file of its own, whose head says how it works.
 */
#include <stdio.h>
#include <string.h>

#include "tools/base/report.h"
#include "tools/lab/lab_command.h"
#include "tools/run/guest_list.h"
#include "tools/run/inspect.h"
#include "tools/run/run_command.h"

struct subcommand {
    const char *name;
    int (*run)(int count, char **arguments);
    const char *summary;
};

static const struct subcommand subcommands[] = {
    {"run", run_command, "a program in a guest of its own, as if it ran here"},
    {"build", build_command, "the image and configuration of such a guest"},
    {"ps", ps_command, "the guests that are there"},
    {"logs", logs_command, "what a guest said"},
    {"stop", stop_command, "the end of guests"},
    {"inspect", inspect_command, "where the time of a guest's start, and its memory, went"},
    {"lab", lab_command, "a real Xen on this machine, in QEMU: up, down, status, exec, boot"},
};

static void usage_print(FILE *to)
{
    fprintf(to, "usage: xenolith COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        fprintf(to, "  %-7s %s\n", subcommands[i].name, subcommands[i].summary);
    fprintf(to, "\nxenolith COMMAND --help tells more of each.\n");
}

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "";

    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(count - 1, arguments + 1);
    if (strcmp(name, "--version") == 0) {
        printf("xenolith %s\n", XENOLITH_VERSION);
        return 0;
    }
    bool asked = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (!asked && name[0] != '\0')
        report_error(0, "there is no command %s", name);
    usage_print(asked ? stdout : stderr);
    return asked ? 0 : EXIT_TOOL;
}
