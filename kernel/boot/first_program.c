/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first program of the command line. This build has no room that could load it, and says so.
 */
#include "kernel/boot/first_program.h"

#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"

void first_program_run(void)
{
    size_t count;
    char *const *arguments = command_line_arguments(&count);

    if (count == 0)
        log_error("no program given: `-- PROGRAM ARGUMENTS` on the command line");
    else
        log_error("cannot run %s: this build has no program loader", arguments[0]);
}
