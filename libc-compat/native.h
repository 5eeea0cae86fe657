/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Native programs: C programs against newlib, linked straight into a kernel image of their own (tests/guest/Makefrag.am shows
 * how). They run in a kernel thread, without a boundary and without floating point; a stray pointer is the kernel's.
 *
 * An image has one or none: the object that defines `native_program` comes before the archives; libc-compat's own native_none.c
 * says NULL. The roof starts it in place of the first Linux program:
 *
 *     boot → native_run() → program->main(argc, argv) → exit() → finish(status)
 */
#pragma once

#include "kernel/base/compiler.h"

struct fs_context;

struct native_program {
    const char *name;
    int (*main)(int argument_count, char **arguments);
};

extern const struct native_program *const native_program;

struct native_environment {
    const char *command_line;          /* words after "--" are the arguments; without it, all words */
    const struct fs_context *files;    /* what open() walks; NULL: there are none */
    void (*finish)(int status) attribute_noreturn; /* called once, by exit() or the end of main() */
};

/* Runs it in the calling thread. The environment must stay. */
void native_run(const struct native_program *program, const struct native_environment *environment) attribute_noreturn;
/* For the other files of this room. */
const struct native_environment *native_environment_current(void);
