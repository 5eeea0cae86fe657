/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running the program, or the programs of a batch one after the other, and what the host's wish to end does to them.
 *
 * The wish (control/shutdown) comes in the thread of xenstore's watches: it sends SIGNAL_TERM, SIGNAL_KILL after a while, and
 * waits until this file's thread has reported; so there is one report, and it is the program's own.
 */
#include "kernel/boot/first_program.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/boot/command_line.h"
#include "kernel/boot/console_plain.h"
#include "kernel/boot/devices.h"
#include "kernel/boot/guest_report.h"
#include "kernel/boot/network.h"
#include "kernel/boot/processors.h"
#include "kernel/boot/program_settings.h"
#include "kernel/boot/root.h"
#include "kernel/process/process.h"
#include "kernel/process/signal.h"
#include "kernel/sched/completion.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/file.h"
#include "libc-compat/native.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127
#define PATIENCE_NS 5000000000ull
#define LEFTOVERS_NS 2000000000ull
#define LEFTOVERS_STEP_NS 2000000ull
#define FIRST_PROGRAM_PID 2 /* 1 is the kernel's own */

/* The running program, for the thread that stops it. */
static struct spinlock running_lock = SPINLOCK_INITIALIZER("running program", 0);
static struct process *running;   /* running_lock; referenced */
static atomic_bool stopping;
static struct completion ended;

/* As a shell tells it. */
static int status_of(int wait_status)
{
    return (wait_status & 0x7f) == 0 ? (wait_status >> 8) & 0xff : 128 + (wait_status & 0x7f);
}

static void running_set(struct process *process)
{
    spinlock_lock(&running_lock);
    running = process;
    spinlock_unlock(&running_lock);
}

static void running_signal(int number)
{
    spinlock_lock(&running_lock);
    struct process *process = running;
    if (process)
        process_take(process);
    spinlock_unlock(&running_lock);
    if (process == NULL)
        return;
    signal_send_process(process, number, NULL);
    process_release(process);
}

/* The host wants an end. Thread of watches. */
static void program_stop(void)
{
    atomic_store(&stopping, true);
    running_signal(SIGNAL_TERM);
    if (completion_wait(&ended, clock_monotonic_ns() + PATIENCE_NS, false) == 0)
        return;
    running_signal(SIGNAL_KILL);
    completion_wait(&ended, clock_monotonic_ns() + PATIENCE_NS, false);
}

/* The first program of all has its first instruction before it. */
static void boot_done(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    guest_report_step("program");
    guest_report_boot();
    devices_control_start();
    guest_report_listen();
}

static int program_run(const struct fs_context *context, const struct program_settings *settings, char **arguments,
                       struct file *console)
{
    char path[PATH_LENGTH_LIMIT / 4];
    struct process *process;

    int error = program_settings_find(context, settings, arguments[0], path, sizeof(path));
    if (error != 0) {
        log_error("%s: not found", arguments[0]);
        return STATUS_NOT_FOUND;
    }
    struct spawn_request request = {
        .path = path,
        .arguments = arguments,
        .environment = settings->environment,
        .working_directory = settings->directory,
        .console = console,
        .uid = settings->uid,
        .gid = settings->gid,
    };
    error = process_spawn(&request, &process);
    if (error < 0) /* else the pid */
        return error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    boot_done();
    running_set(process);
    if (atomic_load(&stopping))
        running_signal(SIGNAL_TERM);
    int status = status_of(process_wait_kernel(process));
    running_set(NULL);
    process_release(process);
    return status;
}

/* What a program of a batch left running must not disturb the next one. */
static void leftovers_kill(void)
{
    uint64_t deadline_ns = clock_monotonic_ns() + LEFTOVERS_NS;
    struct process *process;

    while ((process = process_next(FIRST_PROGRAM_PID)) != NULL && clock_monotonic_ns() < deadline_ns) {
        int pid = FIRST_PROGRAM_PID;
        for (; process; process = process_next(pid)) {
            pid = process->pid + 1;
            signal_send_process(process, SIGNAL_KILL, NULL);
            process_release(process);
        }
        thread_pause(LEFTOVERS_STEP_NS);
    }
    if (process)
        process_release(process);
}

static void mark_print(const char *format, ...) attribute_printf(1, 2);
static void mark_print(const char *format, ...)
{
    char line[80];
    va_list list;

    if (!console_at_line_start())
        console_write_all("\n", 1);
    va_start(list, format);
    int length = format_string_list(line, sizeof(line), format, list);
    va_end(list);
    console_write_all(line, minimum((size_t)length, sizeof(line) - 1));
}

static int batch_run(const struct fs_context *context, const struct program_settings *settings, struct file *console)
{
    int worst = 0;

    for (unsigned int number = 1; settings->batch[number - 1] && !atomic_load(&stopping); number++) {
        uint64_t start_ns = clock_monotonic_ns();
        mark_print("##xenolith batch %u start##\n", number);
        int status = program_run(context, settings, settings->batch[number - 1], console);
        leftovers_kill();
        mark_print("##xenolith batch %u end %d##\n", number, status);
        guest_report_batch(number, status, clock_monotonic_ns() - start_ns);
        if (status != 0)
            worst = status;
    }
    return worst;
}

static struct file *console_open(const struct fs_context *context)
{
    struct file *console;

    int error = file_open(context, NULL, "/dev/console", FILE_READ_WRITE | FILE_NO_CONTROLLING_TERMINAL, 0, &console);
    if (error != 0)
        error = console_plain_create(context->credentials, &console);
    return error == 0 ? console : NULL;
}

static int linux_program_run(void)
{
    struct program_settings settings;
    struct fs_context context;

    if (root_mount(&context) != 0)
        return STATUS_NOT_FOUND;
    process_set_root(&context.root);
    guest_report_step("root");
    if (program_settings_read(&context, &settings) != 0)
        return STATUS_NOT_EXECUTABLE;
    if (settings.arguments == NULL && settings.batch == NULL) {
        log_error("no program given: neither `-- PROGRAM ARGUMENTS` on the command line nor /etc/xenolith/args in the image");
        return STATUS_NOT_FOUND;
    }
    guest_report_step("settings");
    devices_settle();
    guest_report_step("devices");
    processors_wait();
    boot_network_finish(&context);
    struct file *console = console_open(&context);
    int status = settings.batch ? batch_run(&context, &settings, console)
                                : program_run(&context, &settings, settings.arguments, console);
    if (console)
        file_release(console);
    return status;
}

void first_program_run(void)
{
    int status;

    completion_init(&ended);
    devices_set_program_stop(program_stop);
    if (native_program) {
        size_t count;
        devices_settle();
        devices_control_start();
        processors_wait();
        char *const *arguments = command_line_arguments(&count);
        struct native_environment environment = {.arguments = arguments, .argument_count = count};
        status = native_program->run(native_program, &environment);
        log_info("%s ended with status %d", native_program->name, status);
    } else {
        status = linux_program_run();
    }
    log_debug("the program has ended with status %d", status);
    guest_report_end(status);
    mount_synchronize_all();
    completion_complete(&ended);
    /* It is the host's wish that then decides between poweroff and reboot. */
    while (atomic_load(&stopping)) {
        thread_sleep_prepare();
        thread_sleep(WAIT_FOREVER, false);
    }
}
