/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What to run and how, from the command line and /etc/xenolith (docs/guest-contract.md).
 */
#pragma once

#include "kernel/base/compiler.h"

struct fs_context;

struct program_settings {
    char **arguments;           /* NULL-ended; argument 0 is the program; NULL: none was given */
    char **environment;         /* NULL-ended, never NULL */
    char ***batch;              /* NULL-ended lists of arguments, NULL-ended; NULL: no batch */
    const char *directory;      /* NULL: / */
    uint32_t uid, gid;
};

/* 0, or an error that was told. Everything stays allocated: there is one. */
int program_settings_read(const struct fs_context *context, struct program_settings *settings);
/* The program's path: a name without a slash is looked for along PATH of the environment. Into buffer; 0 or -ENOENT, -ENAMETOOLONG. */
int program_settings_find(const struct fs_context *context, const struct program_settings *settings, const char *name,
                          char *buffer, size_t size_bytes);
