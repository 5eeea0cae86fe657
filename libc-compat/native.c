/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a native program, and its end. One runs in an image, so that its state is static; it is written before the program
 * starts and only read afterwards.
 */
#include "libc-compat/native.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/memory/object_cache.h"
#include "libc-compat/descriptors.h"
#include "libc-compat/newlib_hooks.h"

#define ARGUMENT_LIMIT 64
#define STATUS_OUT_OF_MEMORY 127
#define STATUS_SIGNAL 128

static const struct native_environment *current;
static char *arguments[ARGUMENT_LIMIT + 1];

const struct native_environment *native_environment_current(void)
{
    return current;
}

/* Cuts `words` at blanks; quotes keep blanks together. Words past the limit are left out. */
static int arguments_cut(char *words, int count)
{
    char *to = words;

    while (count < ARGUMENT_LIMIT) {
        char quote = '\0';
        while (*words == ' ' || *words == '\t')
            words++;
        if (*words == '\0')
            break;
        arguments[count++] = to;
        for (; *words != '\0' && (quote != '\0' || (*words != ' ' && *words != '\t')); words++) {
            if (quote == '\0' && (*words == '"' || *words == '\''))
                quote = *words;
            else if (*words == quote)
                quote = '\0';
            else
                *to++ = *words;
        }
        if (*words != '\0')
            words++;
        *to++ = '\0';
    }
    arguments[count] = NULL;
    return count;
}

void native_run(const struct native_program *program, const struct native_environment *environment)
{
    const char *line = environment->command_line;
    const char *separator = strstr(line, "-- ");
    if (separator != NULL && (separator == line || separator[-1] == ' '))
        line = separator + 3;

    current = environment;
    char *words = memory_duplicate_string(line);
    char *name = memory_duplicate_string(program->name);
    if (words == NULL || name == NULL)
        environment->finish(STATUS_OUT_OF_MEMORY);
    descriptors_start();
    arguments[0] = name;
    exit(program->main(arguments_cut(words, 1), arguments));
}

/* newlib's exit() ends here, after the program's atexit() functions and the flush of its streams. */
void _exit(int status)
{
    current->finish(status);
}

/* abort() and newlib's own checks raise; there are no handlers of signals here. */
int raise(int signal)
{
    current->finish(STATUS_SIGNAL + signal);
}
