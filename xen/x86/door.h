/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors: a program's `syscall` made a jump to the kernel. A site's first instruction becomes a jump of five bytes to a trampoline of its own, in
 * the program's memory within 2 GiB, which does what the jump displaced, loads rcx with the place to go on at, as `syscall` would, and jumps to
 * entry_door (entry_pv.S, entry_pvh.S). No word of the program's stack is touched, so a red zone stays whole.
 *
 * Two forms of sites, so that no instruction that may be a jump's target, or a thread's next one, is ever cut:
 *
 *   before   mov $n,%eax; ...; syscall         the first mov alone is replaced, by a jump of its length (or shorter). A thread after it, or who
 *            mov $n,%rax; ...; syscall         jumps behind it, finds everything from there to the syscall as it was; the trampoline
 *            mov $n,%edx; ...; syscall         does it all. What stands between is instructions that can be moved. Where a mov begins
 *            mov 8(%rsp),%rax; syscall         cannot be seen from behind it; that eax holds n, that reading on from it ends just at
 *            mov %r11,8(%rsp); syscall         the syscall, and that no instruction before it could hold it (is_inside_another()), tells.
 *                                              The third is glibc's, of a thread's end; the last two, known by all their bytes, are Go's and
 *                                              musl's.
 *   after    syscall; an instruction of 3      the jump covers the syscall and the start of the other, which the trampoline does. The byte where
 *            bytes or more, mostly             that one begins, the only place inside the jump where somebody may arrive, is made an opcode that
 *            cmp $n,%rax                       no processor knows, by choice of the trampoline's address: who does gets #UD, and goes on in
 *                                              the trampoline at door_go_on().
 *
 * Instructions can be moved if they do the same wherever they stand: they change registers and memory and name no place relative to
 * themselves. One may fault on memory: to a handler of signals, as to everything else that looks, a thread in a trampoline is where it would be
 * without a door (door_place()). Whoever goes on there comes to the same end.
 *
 * Pure but for door_entry_address(): bytes in, bytes out.
 */
#pragma once

#include "kernel/base/compiler.h"

#define SYSCALL_BYTES 2u          /* the instruction `syscall` */
#define DOOR_JUMP_BYTES 5u        /* what is written over a site */
#define DOOR_TRAMPOLINE_BYTES 32u
#define DOOR_MOVED_BYTES 15u
#define DOOR_BEFORE_BYTES 16u     /* so much before the syscall, and from it on, may matter to a site */
#define DOOR_AFTER_BYTES 10u
#define DOOR_REACH_BYTES 0x7fff0000ull

struct door_site {
    uint64_t call;                /* address of the syscall instruction */
    uint64_t start;               /* and of the first byte that is replaced */
    uint8_t moved_bytes;          /* what the trampoline does instead, before the call or after it */
    uint8_t moved[DOOR_MOVED_BYTES];
};

static inline bool door_site_is_after(const struct door_site *site)
{
    return site->start == site->call;
}

/* What can be made of a call at `code`, where so many bytes before it, and from it on, can be read. `number` is what eax holds: a mov of it is its source. */
bool door_site_read(struct door_site *site, uint64_t call, const uint8_t *code, size_t before, size_t from, uint32_t number);
/* The first place at `trampoline` or a multiple of DOOR_TRAMPOLINE_BYTES above where the site's may lie, if in reach. */
uint64_t door_trampoline_place(const struct door_site *site, uint64_t trampoline);
/* The jump's bytes, for a trampoline at that address; false: it may not lie there. */
bool door_jump_write(const struct door_site *site, uint64_t trampoline, uint8_t jump[DOOR_JUMP_BYTES]);
void door_trampoline_write(const struct door_site *site, uint64_t trampoline, uint8_t code[DOOR_TRAMPOLINE_BYTES], uint64_t entry);
/* Whether the code at a site's first byte, or behind its syscall, is that of a site without a door. None of it traps as the door did. */
bool door_site_is_whole(const uint8_t *code, size_t bytes, bool behind_syscall);
/* Where in its trampoline a site of the form `after` goes on behind its syscall. */
uint64_t door_go_on(uint64_t trampoline);
/* The place in the program's code that `rip`, in a site's trampoline, stands for. */
uint64_t door_place(const struct door_site *site, uint64_t trampoline, uint64_t rip);

/* The kernel's end of the jump, below 2^31 as a signed word; 0: there is none. */
uint64_t door_entry_address(void);
