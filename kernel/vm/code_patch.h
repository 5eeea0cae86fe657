/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program's code, changed by the kernel: call sites made doors (xen/x86/door.h). A space keeps a table of its sites, and areas named
 * "[doors]" of 64 KiB for their trampolines, private memory like any other, so that fork shares them and exit frees them.
 *
 * Only private code that its program cannot write is changed, in pages of the space's own, or in ones that came with its file, already changed
 * (file_doors.h): the file, its cache and other programs see nothing of it. Who makes such a page writable gets it back as it was.
 */
#pragma once

#include "kernel/vm/address_space.h"

struct code_patch_statistics {
    uint64_t sites;    /* made so far, in spaces */
    uint64_t shared;   /* and in files */
    uint64_t refused;  /* looked at and left */
    uint64_t repairs;  /* threads that arrived inside a site and were sent on */
};

/* So many calls by `syscall` make a site worth a door: the first ones of a program cost it pages, for trampolines and for its code. */
#define CODE_PATCH_CALLS 8u

/*
 * A system call came by the instruction at `call`, with that number. When it is time, and it can be one, this makes a door of it, for this space, or
 * for all that will map its file (file_doors.h). The current thread's space; no lock; may sleep.
 */
void code_patch_seen(struct address_space *space, uint64_t call, uint32_t number);
/* A thread of this space trapped at `rip` (#UD there, or #BP before it): where it goes on, if that was our doing; else 0. */
uint64_t code_patch_repair(struct address_space *space, uint64_t rip);
/* The place in the program's own code that `rip` stands for, where it is a trampoline's; else rip. May sleep. */
uint64_t code_patch_place(struct address_space *space, uint64_t rip);
/* No doors in this space from now on. -ENOMEM */
int code_patch_stop(struct address_space *space);
void code_patch_statistics_get(struct code_patch_statistics *statistics);
/* Doors are made, or not (from then on). */
extern bool code_patch_enabled;
