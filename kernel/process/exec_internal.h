/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One exec on its way: what exec.c decides, exec_load.c maps and exec_stack.c writes. On the caller's stack or heap.
 */
#pragma once

#include "kernel/process/elf.h"
#include "kernel/process/process_internal.h"

struct exec {
    const char *path;                 /* as the program will see it in AT_EXECFN */
    struct file *file;                /* the program (of a script: its interpreter) */
    struct file *interpreter;         /* PT_INTERP's file, or NULL */
    char *const *arguments;
    char *const *environment;
    char **script_arguments;          /* arguments as a script changed them; freed with the strings below */
    char *script_strings[8];
    unsigned int script_depth;
    struct credentials *credentials;  /* after set-id bits */
    bool secure;
    struct address_space *space;
    struct elf_image image;
    uint64_t bias;
    uint64_t interpreter_base;
    uint64_t entry;                   /* where the thread starts */
    uint64_t stack_top, stack_pointer;
    uint64_t vdso;
    uint8_t *auxiliary;               /* memory_allocate()d copy for /proc */
    size_t auxiliary_bytes;
    bool randomize;
    unsigned int random_taken;        /* words of random[] that are used up */
    uint32_t random[8];               /* drawn once: places of the stack, mappings, program and heap; then AT_RANDOM's bytes */
};

#define EXEC_RANDOM_WORD 4u           /* the first of AT_RANDOM's */

/* Parses and maps the program and its interpreter into a fresh space. 0 or -Exxx, having said why where it is the file's fault. */
int exec_load(struct exec *exec, const struct fs_context *context);
/* Opens a file for execution with the caller's rights. */
int exec_open(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags, struct file **file);
/* Arguments, environment and auxiliary vector. 0, -E2BIG, -ENOMEM. */
int exec_build_stack(struct exec *exec);
/* A page-aligned random offset below 2^bits pages; 0 when not randomizing. */
uint64_t exec_random_pages(struct exec *exec, unsigned int bits);
