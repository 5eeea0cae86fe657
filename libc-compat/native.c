/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a native program, and its end. One runs in an image, so that its state is static; it is written before the program
 * starts and only read afterwards. The program's thread ends in exit(), wherever it is called.
 */
#include "libc-compat/native.h"

#include <stdlib.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/thread.h"
#include "libc-compat/descriptors.h"
#include "libc-compat/newlib_hooks.h"

#define STATUS_SIGNAL 128

static const struct native_program *current_program;
static const struct native_environment *current;
static struct completion ended;
static int exit_status;

const struct native_environment *native_environment_current(void)
{
    return current;
}

static void native_thread(void *arguments)
{
    exit(current_program->main((int)current->argument_count + 1, arguments));
}

int native_run(const struct native_program *program, const struct native_environment *environment)
{
    struct thread *thread;

    current_program = program;
    current = environment;
    completion_init(&ended);
    descriptors_start();

    char **arguments = memory_allocate((environment->argument_count + 2) * sizeof(*arguments));
    if (arguments == NULL)
        return -ENOMEM;
    arguments[0] = (char *)program->name;
    for (size_t i = 0; i <= environment->argument_count; i++)
        arguments[i + 1] = environment->arguments[i];
    int error = thread_create(&thread, program->name, native_thread, arguments);
    if (error == 0) {
        thread_start(thread);
        completion_wait(&ended, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
        thread_release(thread);
    }
    memory_free(arguments);
    return error != 0 ? error : exit_status;
}

/* newlib's exit() ends here, after the program's atexit() functions and the flush of its streams. */
void _exit(int status)
{
    exit_status = status & 0xff;
    completion_complete(&ended);
    thread_exit();
}

/* abort() and newlib's own checks raise; there are no handlers of signals here. */
int raise(int signal)
{
    _exit(STATUS_SIGNAL + signal);
}
