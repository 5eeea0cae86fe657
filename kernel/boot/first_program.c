/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running the program. This build has no room that could load one: it finds out what should run, and says so.
 */
#include "kernel/boot/first_program.h"


#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "kernel/boot/guest_report.h"
#include "kernel/boot/program_settings.h"
#include "kernel/boot/root.h"
#include "libc-compat/native.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

static int linux_program_run(void)
{
    struct program_settings settings;
    struct fs_context context;

    if (root_mount(&context) != 0)
        return STATUS_NOT_FOUND;
    guest_report_step("root");
    if (program_settings_read(&context, &settings) != 0)
        return STATUS_NOT_EXECUTABLE;
    if (settings.arguments == NULL && settings.batch == NULL) {
        log_error("no program given: neither `-- PROGRAM ARGUMENTS` on the command line nor /etc/xenolith/args in the image");
        return STATUS_NOT_FOUND;
    }
    log_error("cannot run %s: this build has no program loader", settings.arguments ? settings.arguments[0] : "a batch");
    return STATUS_NOT_EXECUTABLE;
}

void first_program_run(void)
{
    int status;

    if (native_program) {
        size_t count;
        char *const *arguments = command_line_arguments(&count);
        struct native_environment environment = {.arguments = arguments, .argument_count = count};
        status = native_program->run(native_program, &environment);
        log_info("%s ended with status %d", native_program->name, status);
    } else {
        status = linux_program_run();
    }
    guest_report_end(status);
}
