/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first program of the command line. This build has no room that could load it, and says so.
 */
#include "kernel/boot/first_program.h"

#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "libc-compat/native.h"

void first_program_run(void)
{
    size_t count;
    char *const *arguments = command_line_arguments(&count);

    if (native_program) {
        struct native_environment environment = {.arguments = arguments, .argument_count = count};
        log_info("%s ended with status %d", native_program->name, native_program->run(native_program, &environment));
        return;
    }
    if (count == 0)
        log_error("no program given: `-- PROGRAM ARGUMENTS` on the command line");
    else
        log_error("cannot run %s: this build has no program loader", arguments[0]);
}
