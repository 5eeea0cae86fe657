/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Native programs: C programs against newlib, linked straight into a kernel image of their own (tests/guest/Makefrag.am shows
 * how). They run in a kernel thread, without a boundary and without floating point; a stray pointer is the kernel's.
 *
 * An image has one or none: the object with NATIVE_PROGRAM() comes before the archives; libc-compat's own native_none.c
 * says NULL. The roof runs it in place of the first Linux program, through the table, so that an image without one links nothing
 * of this room:
 *
 *     boot → program->run() = native_run() → a thread: program->main(argc, argv) → exit() → native_run() returns the status
 */
#pragma once

#include "kernel/base/compiler.h"

struct fs_context;

struct native_program;

struct native_environment {
    char *const *arguments;            /* NULL-terminated, without the program's own name; stay */
    size_t argument_count;
    const struct fs_context *files;    /* what open() walks; NULL: there are none */
};

struct native_program {
    const char *name;
    int (*main)(int argument_count, char **arguments);
    /* Runs it to its end in a thread of its own; its status, or -ENOMEM. Once. Thread context. */
    int (*run)(const struct native_program *program, const struct native_environment *environment);
};

extern const struct native_program *const native_program;

int native_run(const struct native_program *program, const struct native_environment *environment);

#define NATIVE_PROGRAM(program_name, main_function)                                              \
    static const struct native_program native_program_here = {program_name, main_function, native_run}; \
    const struct native_program *const native_program = &native_program_here

/* For the other files of this room. */
const struct native_environment *native_environment_current(void);
