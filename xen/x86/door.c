/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading sites and writing trampolines. Source: Intel SDM 2, opcode maps.
 */
#include "xen/x86/door.h"

#include <string.h>

#define OPCODE_JUMP 0xe9
#define OPCODE_MOV_EAX 0xb8
#define OPCODE_MOV_EDX 0xba
#define OPCODE_TWO_BYTES 0x0f
#define PREFIX_REX 0x40 /* to 0x4f */
#define PREFIX_REX_W 0x48
#define PREFIX_FS 0x64
#define RETURN_FROM_SIGNAL 15u
#define LONGEST_BEFORE 8u /* opcode and prefixes, ModRM, SIB, before a displacement or a constant */

static const uint8_t syscall_code[SYSCALL_BYTES] = { 0x0f, 0x05 };
static const uint8_t mov_rax_code[3] = { PREFIX_REX_W, 0xc7, 0xc0 };
static const uint8_t mov_stack_codes[2][5] = { { PREFIX_REX_W, 0x8b, 0x44, 0x24, 0x08 }, { 0x4c, 0x89, 0x5c, 0x24, 0x08 } };
static const uint8_t long_nop_code[2] = { 0x66, 0x90 };
static const uint8_t int_3_code[2] = { 0xcd, 0x03 };
/* lea disp32(%rip),%rcx; mov $imm32,%r11; jmp *%r11 */
static const uint8_t lea_code[3] = { PREFIX_REX_W, 0x8d, 0x0d };
static const uint8_t mov_r11_code[3] = { 0x49, 0xc7, 0xc3 };
static const uint8_t jump_r11_code[3] = { 0x41, 0xff, 0xe3 };

#define LEA_BYTES 7u
#define ENTER_BYTES (LEA_BYTES + sizeof(mov_r11_code) + 4 + sizeof(jump_r11_code))
#define GO_ON_OFFSET (ENTER_BYTES + SYSCALL_BYTES) /* after: behind a syscall of the trampoline's own */
#define BEHIND_LEAST_BYTES (DOOR_JUMP_BYTES - SYSCALL_BYTES)
#define BEHIND_MOST_BYTES (DOOR_TRAMPOLINE_BYTES - GO_ON_OFFSET - DOOR_JUMP_BYTES)

_Static_assert(DOOR_MOVED_BYTES + ENTER_BYTES <= DOOR_TRAMPOLINE_BYTES && SYSCALL_BYTES + BEHIND_MOST_BYTES <= DOOR_AFTER_BYTES, "a trampoline's room");
_Static_assert(DOOR_MOVED_BYTES < DOOR_BEFORE_BYTES, "a mov, and the byte before it");

/* One-byte opcodes that 64-bit mode refuses, none of which begins another encoding. */
static const uint8_t refused_opcodes[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0xce, 0xd6 };

/* How far it is from the opcode to the next one, in the order of numbers and round, that is refused. */
static uint32_t refused_distance(uint8_t opcode)
{
    for (size_t i = 0; i < sizeof(refused_opcodes); i++)
        if (refused_opcodes[i] >= opcode)
            return refused_opcodes[i] - opcode;
    return 0x100 + refused_opcodes[0] - opcode;
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

/* Opcodes with a ModRM byte and no more behind it than that says: a bit each, of the one-byte map and of the one behind 0f. */
static const uint32_t operand_opcodes[2][8] = {
    /* add or and sub xor cmp | movsxd | test mov lea */
    { 0x00000a0a, 0x0a0a0a0a, 0, 0x00000008, 0x00002f30, 0, 0, 0 },
    /* nop | cmovcc | setcc | imul movzx movsx */
    { 0x80000000, 0, 0x0000ffff, 0, 0xffff0000, 0xc0c08000, 0, 0 },
};

/* ModRM, and SIB and displacement; 0: relative to the instruction, or not all in `room`. */
static size_t operand_bytes(const uint8_t *code, size_t room)
{
    uint8_t mode = room > 0 ? code[0] >> 6 : 3, base = room > 0 ? code[0] & 7 : 0;
    size_t bytes = 1;

    if (mode != 3 && base == 4) {
        base = room > 1 ? code[1] & 7 : 0;
        bytes++;
    } else if (mode == 0 && base == 5) {
        return 0;
    }
    bytes += mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0;
    return bytes <= room ? bytes : 0;
}

/* The length of an instruction that may be moved; 0: it is none, or is not known, or not all in `room`. */
static size_t movable_bytes(const uint8_t *code, size_t room)
{
    if (room >= sizeof(long_nop_code) && memcmp(code, long_nop_code, sizeof(long_nop_code)) == 0)
        return sizeof(long_nop_code);
    size_t at = room > 0 && code[0] == PREFIX_FS, immediate = 0, operand = 0;
    bool has_operand = false, two_bytes = false;
    uint8_t rex = at < room && (code[at] & 0xf0) == PREFIX_REX ? code[at++] : 0;

    if (at < room && code[at] == OPCODE_TWO_BYTES) {
        two_bytes = true;
        at++;
    }
    if (at + 1 > room)
        return 0;
    uint8_t opcode = code[at++], field = at < room ? code[at] >> 3 & 7 : 0, mode = at < room ? code[at] >> 6 : 0;
    if (operand_opcodes[two_bytes][opcode / 32] & 1u << opcode % 32) {
        has_operand = true;
        if (!two_bytes && opcode == 0x8d && mode == 3)
            return 0;
    } else if (two_bytes) {
        return 0;
    } else if (opcode == 0x80 || opcode == 0x83 || opcode == 0xc1 || (opcode == 0xc6 && field == 0)) { /* arithmetic, shifts, mov: $imm8 */
        has_operand = true;
        immediate = 1;
    } else if (opcode == 0x81 || opcode == 0x69 || (opcode == 0xc7 && field == 0) || (opcode == 0xf7 && field == 0)) { /* arithmetic, mov, test: $imm32 */
        has_operand = true;
        immediate = 4;
    } else if (opcode == 0xf7 && (field == 2 || field == 3)) { /* not, neg */
        has_operand = true;
    } else if ((opcode & 0xf8) == 0xb8) { /* mov */
        immediate = rex & 8 ? 8 : 4;
    } else if ((opcode & 0xc7) == 0x05 || opcode == 0xa9) { /* arithmetic, test: $imm32 with eax */
        immediate = 4;
    } else if ((opcode & 0xf0) != 0x50 && opcode != 0x90 && opcode != 0x98) { /* push, pop, nop, cdqe */
        return 0;
    }
    if (has_operand) {
        operand = operand_bytes(code + at, room - at);
        if (operand == 0)
            return 0;
    }
    at += operand + immediate;
    return at <= room ? at : 0;
}

/* Whole instructions from `code` on that can be moved, and that end just `bytes` further on. */
static bool all_movable(const uint8_t *code, size_t bytes)
{
    for (size_t at = 0, length; at < bytes; at += length) {
        length = movable_bytes(code + at, bytes - at);
        if (length == 0)
            return false;
    }
    return true;
}

/*
 * Whether what stands before `at` can be read as an instruction that holds it, with such as can be moved from there to the call: then a mov there may
 * be none, but another register's, a constant behind a displacement of b8, or a displacement behind a ModRM of b8; not the last where it would
 * end at the call: at an address of the number twice there is nothing.
 */
static bool is_inside_another(const uint8_t *at, size_t before, const uint8_t *call)
{
    for (size_t back = 1; back <= before && back < LONGEST_BEFORE; back++) {
        const uint8_t *code = at - back;
        size_t room = (size_t)(call - code), length = movable_bytes(code, room);
        if (length == 0 && code[0] == OPCODE_TWO_BYTES && back > 1)
            length = 2 + operand_bytes(code + 2, room - 2); /* vectors */
        if (back == 1 && length == room && (code[0] & 0xf0) != PREFIX_REX)
            continue;
        if (length > back && all_movable(code + length, room - length))
            return true;
    }
    return false;
}

/* How many bytes before the call a mov of its number begins, `nearest` or more; 0: none. */
static size_t mov_find(const uint8_t *code, size_t before, size_t nearest, size_t farthest, uint32_t number)
{
    for (size_t back = nearest; back <= farthest && back <= before; back++) {
        const uint8_t *at = code - back;
        bool long_form = back >= 7 && memcmp(at, mov_rax_code, sizeof(mov_rax_code)) == 0 && word_read(at + 3) == number;
        bool short_form = (*at == OPCODE_MOV_EAX || *at == OPCODE_MOV_EDX) && word_read(at + 1) == number && back < before && !is_inside_another(at, before - back, code);
        if ((long_form || short_form) && all_movable(at, back))
            return back;
    }
    return 0;
}

bool door_site_read(struct door_site *site, uint64_t call, const uint8_t *code, size_t before, size_t from, uint32_t number)
{
    size_t back, length;

    memset(site, 0, sizeof(*site));
    site->call = call;
    if (from < SYSCALL_BYTES || memcmp(code, syscall_code, SYSCALL_BYTES) != 0)
        return false;
    back = mov_find(code, before, 5, 7, number);
    /* rt_sigreturn's: by just these bytes unwinders without tables (libgcc's, for musl) know a signal's frame. Go, which stops goroutines by signals, has an
     * int $3 behind it, and tables of its own. */
    if (back == 7 && number == RETURN_FROM_SIGNAL && code[-7] == PREFIX_REX_W &&
        (from < SYSCALL_BYTES + sizeof(int_3_code) || memcmp(code + SYSCALL_BYTES, int_3_code, sizeof(int_3_code)) != 0))
        return false;
    for (int i = 0; i < 2 && back == 0; i++)
        if (before >= sizeof(mov_stack_codes[i]) && memcmp(code - sizeof(mov_stack_codes[i]), mov_stack_codes[i], sizeof(mov_stack_codes[i])) == 0)
            back = sizeof(mov_stack_codes[i]);
    length = movable_bytes(code + SYSCALL_BYTES, from - SYSCALL_BYTES);
    if (back == 0 && length >= BEHIND_LEAST_BYTES && length <= BEHIND_MOST_BYTES) {
        site_take(site, call, code + SYSCALL_BYTES, (uint8_t)length);
        return true;
    }
    if (back == 0)
        back = mov_find(code, before, 8, DOOR_MOVED_BYTES, number);
    if (back == 0)
        return false;
    site_take(site, call - back, code - back, (uint8_t)back);
    return true;
}

bool door_site_is_whole(const uint8_t *code, size_t bytes, bool behind_syscall)
{
    if (behind_syscall)
        return movable_bytes(code, bytes) >= BEHIND_LEAST_BYTES;
    return bytes > 0 && (code[0] == OPCODE_MOV_EAX || code[0] == OPCODE_MOV_EDX || code[0] == PREFIX_REX_W || code[0] == mov_stack_codes[1][0] || code[0] == syscall_code[0]);
}

static void jump_write(uint8_t *code, uint64_t from, uint64_t to)
{
    uint32_t distance = (uint32_t)(to - (from + DOOR_JUMP_BYTES));

    code[0] = OPCODE_JUMP;
    memcpy(code + 1, &distance, sizeof(distance));
}

/* The byte that matters is the distance's second: it is the same, on average, for eight places. */
uint64_t door_trampoline_place(const struct door_site *site, uint64_t trampoline)
{
    uint32_t distance = (uint32_t)(trampoline - (site->start + DOOR_JUMP_BYTES));
    uint32_t more = door_site_is_after(site) ? refused_distance((uint8_t)(distance >> 8)) : 0;

    if (more == 0)
        return trampoline;
    return trampoline + (((more << 8) - (distance & 0xff) + DOOR_TRAMPOLINE_BYTES - 1) & ~(DOOR_TRAMPOLINE_BYTES - 1));
}

bool door_jump_write(const struct door_site *site, uint64_t trampoline, uint8_t jump[DOOR_JUMP_BYTES])
{
    uint64_t distance = trampoline - site->start;

    if (distance + DOOR_REACH_BYTES > 2 * DOOR_REACH_BYTES)
        return false;
    jump_write(jump, site->start, trampoline);
    return !door_site_is_after(site) || refused_distance(jump[SYSCALL_BYTES]) == 0;
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

uint64_t door_place(const struct door_site *site, uint64_t trampoline, uint64_t rip)
{
    uint64_t offset = rip - trampoline;

    if (!door_site_is_after(site))
        return offset < site->moved_bytes ? site->start + offset : site->call;
    return offset < GO_ON_OFFSET ? site->call : site->call + SYSCALL_BYTES + offset - GO_ON_OFFSET;
}
