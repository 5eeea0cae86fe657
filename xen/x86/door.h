/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors: a program's `syscall` made a jump to the kernel. A site's first instruction becomes a jump of five bytes to a trampoline of its own, in
 * the program's memory within 2 GiB, which does what the jump displaced, loads rcx with the place to go on at, as `syscall` would, and jumps to
 * entry_door (entry_pv.S, entry_pvh.S). No word of the program's stack is touched, so a red zone stays whole.
 *
 * Two forms of sites, so that no instruction that may be a jump's target, or a thread's next one, is ever cut:
 *
 *   before   mov $n,%eax; syscall            the mov alone is replaced, by a jump of its length (or shorter). A thread after it, or who jumps
 *            mov $n,%rax; syscall            to the syscall, finds that as it was.
 *            mov 8(%rsp),%rax; syscall
 *   after    syscall; cmp $n,%rax (or %eax)  the jump covers both. The byte where the cmp begins is made an opcode that no processor
 *                                            knows, by choice of the trampoline's address: who arrives there gets #UD, and goes on in the
 *                                            trampoline at door_go_on().
 *
 * Pure but for door_entry_address(): bytes in, bytes out.
 */
#pragma once

#include "kernel/base/compiler.h"

#define SYSCALL_BYTES 2u          /* the instruction `syscall` */
#define DOOR_JUMP_BYTES 5u        /* what is written over a site */
#define DOOR_TRAMPOLINE_BYTES 32u
#define DOOR_BEFORE_BYTES 7u      /* what door_site_read() wants to see before the syscall, */
#define DOOR_AFTER_BYTES 8u       /* and from it on */
#define DOOR_REACH_BYTES 0x7fff0000ull

struct door_site {
    uint64_t call;                /* address of the syscall instruction */
    uint64_t start;               /* and of the first byte that is replaced */
    uint8_t moved_bytes;          /* what the trampoline does instead, before the call or after it */
    uint8_t moved[7];
};

static inline bool door_site_is_after(const struct door_site *site)
{
    return site->start == site->call;
}

/* What can be made of a call: `bytes` are those from call - 7 to call + 8. `number` is what eax held, which the mov must be the source of: so it is one. */
bool door_site_read(struct door_site *site, uint64_t call, const uint8_t bytes[DOOR_BEFORE_BYTES + DOOR_AFTER_BYTES], uint32_t number);
/* The jump's bytes, for a trampoline at that address; false: it may not lie there. */
bool door_jump_write(const struct door_site *site, uint64_t trampoline, uint8_t jump[DOOR_JUMP_BYTES]);
void door_trampoline_write(const struct door_site *site, uint64_t trampoline, uint8_t code[DOOR_TRAMPOLINE_BYTES], uint64_t entry);
/* Whether the code at a site's first byte, or at the cmp behind its syscall, is that of a site without a door. None of it traps as the door did. */
bool door_site_is_whole(const uint8_t code[2], bool behind_syscall);
/* Where in its trampoline a site of the form `after` goes on behind its syscall. */
uint64_t door_go_on(uint64_t trampoline);

/* The kernel's end of the jump, below 2^31 as a signed word; 0: there is none. */
uint64_t door_entry_address(void);
