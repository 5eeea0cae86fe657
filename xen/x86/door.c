/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading sites and writing trampolines. Source: Intel SDM 2, opcode maps.
 */
#include "xen/x86/door.h"

#include <string.h>

#define OPCODE_JUMP 0xe9
#define OPCODE_MOV_EAX 0xb8
#define OPCODE_CMP_EAX 0x3d
#define PREFIX_REX_W 0x48

static const uint8_t syscall_code[SYSCALL_BYTES] = { 0x0f, 0x05 };
static const uint8_t mov_rax_code[3] = { PREFIX_REX_W, 0xc7, 0xc0 };
static const uint8_t mov_stack_code[5] = { PREFIX_REX_W, 0x8b, 0x44, 0x24, 0x08 };
/* lea disp32(%rip),%rcx; mov $imm32,%r11; jmp *%r11 */
static const uint8_t lea_code[3] = { PREFIX_REX_W, 0x8d, 0x0d };
static const uint8_t mov_r11_code[3] = { 0x49, 0xc7, 0xc3 };
static const uint8_t jump_r11_code[3] = { 0x41, 0xff, 0xe3 };

#define LEA_BYTES 7u
#define ENTER_BYTES (LEA_BYTES + sizeof(mov_r11_code) + 4 + sizeof(jump_r11_code))
#define GO_ON_OFFSET (ENTER_BYTES + SYSCALL_BYTES) /* after: behind a syscall of the trampoline's own */

_Static_assert(7 + ENTER_BYTES <= DOOR_TRAMPOLINE_BYTES && GO_ON_OFFSET + 6 + DOOR_JUMP_BYTES <= DOOR_TRAMPOLINE_BYTES, "a trampoline's room");

/* One-byte opcodes that 64-bit mode refuses, none of which begins another encoding. */
static bool opcode_is_refused(uint8_t opcode)
{
    switch (opcode) {
    case 0x06: case 0x07: case 0x0e: case 0x16: case 0x17: case 0x1e: case 0x1f: case 0x27: case 0x2f: case 0x37: case 0x3f:
    case 0x60: case 0x61: case 0xce: case 0xd6:
        return true;
    default:
        return false;
    }
}

static uint32_t word_read(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static void site_take(struct door_site *site, uint64_t start, const uint8_t *moved, uint8_t bytes)
{
    site->start = start;
    site->moved_bytes = bytes;
    memcpy(site->moved, moved, bytes);
}

bool door_site_read(struct door_site *site, uint64_t call, const uint8_t bytes[DOOR_BEFORE_BYTES + DOOR_AFTER_BYTES], uint32_t number)
{
    const uint8_t *at = bytes + DOOR_BEFORE_BYTES, *after = at + SYSCALL_BYTES;

    memset(site, 0, sizeof(*site));
    site->call = call;
    if (memcmp(at, syscall_code, SYSCALL_BYTES) != 0)
        return false;
    if (memcmp(at - 7, mov_rax_code, sizeof(mov_rax_code)) == 0 && word_read(at - 4) == number)
        site_take(site, call - 7, at - 7, 7);
    else if (at[-5] == OPCODE_MOV_EAX && word_read(at - 4) == number)
        site_take(site, call - 5, at - 5, 5);
    else if (memcmp(at - 5, mov_stack_code, sizeof(mov_stack_code)) == 0)
        site_take(site, call - 5, at - 5, 5);
    else if (after[0] == PREFIX_REX_W && after[1] == OPCODE_CMP_EAX)
        site_take(site, call, after, 6);
    else if (after[0] == OPCODE_CMP_EAX)
        site_take(site, call, after, 5);
    else
        return false;
    return true;
}

bool door_site_is_whole(const uint8_t code[2], bool behind_syscall)
{
    if (behind_syscall)
        return code[0] == OPCODE_CMP_EAX || (code[0] == PREFIX_REX_W && code[1] == OPCODE_CMP_EAX);
    return code[0] == OPCODE_MOV_EAX || code[0] == PREFIX_REX_W || code[0] == syscall_code[0];
}

static void jump_write(uint8_t *code, uint64_t from, uint64_t to)
{
    uint32_t distance = (uint32_t)(to - (from + DOOR_JUMP_BYTES));

    code[0] = OPCODE_JUMP;
    memcpy(code + 1, &distance, sizeof(distance));
}

bool door_jump_write(const struct door_site *site, uint64_t trampoline, uint8_t jump[DOOR_JUMP_BYTES])
{
    uint64_t distance = trampoline - site->start;

    if (distance + DOOR_REACH_BYTES > 2 * DOOR_REACH_BYTES)
        return false;
    jump_write(jump, site->start, trampoline);
    return !door_site_is_after(site) || opcode_is_refused(jump[SYSCALL_BYTES]);
}

/* rcx = `go_on`, and to the kernel. */
static size_t enter_write(uint8_t *code, uint64_t address, uint64_t go_on, uint64_t entry)
{
    uint32_t distance = (uint32_t)(go_on - (address + LEA_BYTES)), target = (uint32_t)entry;
    size_t at = 0;

    memcpy(code + at, lea_code, sizeof(lea_code));
    at += sizeof(lea_code);
    memcpy(code + at, &distance, sizeof(distance));
    at += sizeof(distance);
    memcpy(code + at, mov_r11_code, sizeof(mov_r11_code));
    at += sizeof(mov_r11_code);
    memcpy(code + at, &target, sizeof(target));
    at += sizeof(target);
    memcpy(code + at, jump_r11_code, sizeof(jump_r11_code));
    return at + sizeof(jump_r11_code);
}

void door_trampoline_write(const struct door_site *site, uint64_t trampoline, uint8_t code[DOOR_TRAMPOLINE_BYTES], uint64_t entry)
{
    size_t at = 0;

    memset(code, 0xcc, DOOR_TRAMPOLINE_BYTES);
    if (!door_site_is_after(site)) {
        memcpy(code, site->moved, site->moved_bytes);
        enter_write(code + site->moved_bytes, trampoline + site->moved_bytes, site->call + SYSCALL_BYTES, entry);
        return;
    }
    /* The kernel finds a syscall before the place where it goes on, to have it done again. */
    at = enter_write(code, trampoline, door_go_on(trampoline), entry);
    memcpy(code + at, syscall_code, SYSCALL_BYTES);
    at += SYSCALL_BYTES;
    memcpy(code + at, site->moved, site->moved_bytes);
    at += site->moved_bytes;
    jump_write(code + at, trampoline + at, site->call + SYSCALL_BYTES + site->moved_bytes);
}

uint64_t door_go_on(uint64_t trampoline)
{
    return trampoline + GO_ON_OFFSET;
}
