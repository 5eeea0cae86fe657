/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A native program: newlib's printf(), malloc() and exit() in a kernel image of its own. Its status is 7 when all is well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libc-compat/native.h"

static void say_goodbye(void)
{
    printf("goodbye\n");
}

static int hello_main(int argument_count, char **arguments)
{
    char *copy = malloc(100);
    if (copy == NULL)
        return 1;
    snprintf(copy, 100, "%s has %d arguments", arguments[0], argument_count - 1);
    printf("hello: %s\n", copy);
    for (int i = 1; i < argument_count; i++)
        printf("argument %2d: %-8s|%08lx\n", i, arguments[i], strtoul(arguments[i], NULL, 0));
    free(copy);
    atexit(say_goodbye);
    return 7;
}

NATIVE_PROGRAM("hello", hello_main);
