/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a new program finds on its stack (System V ABI, x86-64 supplement, 3.4.1), from high to low:
 *
 *   zero word, file name, environment strings, argument strings, platform, 16 random bytes, auxiliary vector,
 *   environment pointers, argument pointers, count <- rsp
 *
 * Built in one kernel buffer as the stack's last bytes, then written once.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/exec_internal.h"

enum { AUXILIARY_END = 0, AUXILIARY_TABLE = 3, AUXILIARY_TABLE_ENTRY = 4, AUXILIARY_TABLE_COUNT = 5, AUXILIARY_PAGE_SIZE = 6,
       AUXILIARY_BASE = 7, AUXILIARY_FLAGS = 8, AUXILIARY_ENTRY = 9, AUXILIARY_UID = 11, AUXILIARY_EUID = 12,
       AUXILIARY_GID = 13, AUXILIARY_EGID = 14, AUXILIARY_PLATFORM = 15, AUXILIARY_HWCAP = 16, AUXILIARY_CLOCK_TICKS = 17,
       AUXILIARY_SECURE = 23, AUXILIARY_RANDOM = 25, AUXILIARY_HWCAP2 = 26, AUXILIARY_FILE_NAME = 31,
       AUXILIARY_VDSO = 33, AUXILIARY_MINIMUM_SIGNAL_STACK = 51 };

#define AUXILIARY_LIMIT 24u
#define RANDOM_BYTES 16u
#define SIGNAL_FRAME_BYTES 1024u /* context and siginfo with alignments, without the extended state */

/* The buffer is the end of the stack: `used` bytes from its end are written. */
struct stack_image {
    char *buffer;
    size_t size_bytes, used;
    uint64_t top;
};

static uint64_t stack_push(struct stack_image *stack, const void *bytes, size_t length)
{
    stack->used += length;
    memcpy(stack->buffer + stack->size_bytes - stack->used, bytes, length);
    return stack->top - stack->used;
}

static size_t strings_length(char *const *strings, size_t *count)
{
    size_t length = 0;

    for (*count = 0; strings && strings[*count]; (*count)++)
        length += strlen(strings[*count]) + 1;
    return length;
}

/* Pushes the strings so that they lie in order; the address of the first. */
static uint64_t push_strings(struct stack_image *stack, char *const *strings, size_t count)
{
    uint64_t address = stack->top - stack->used;

    while (count-- > 0)
        address = stack_push(stack, strings[count], strlen(strings[count]) + 1);
    return address;
}

/* Pushes the pointers to strings that lie from `address` on, ended by NULL. */
static void push_pointers(struct stack_image *stack, char *const *strings, size_t count, uint64_t address)
{
    uint64_t *pointers;

    stack->used += (count + 1) * sizeof(uint64_t);
    pointers = (uint64_t *)(void *)(stack->buffer + stack->size_bytes - stack->used);
    for (size_t i = 0; i < count; i++) {
        pointers[i] = address;
        address += strlen(strings[i]) + 1;
    }
    pointers[count] = 0;
}

static uint32_t processor_capabilities(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx;
}

struct auxiliary {
    uint64_t entries[AUXILIARY_LIMIT][2];
    unsigned int count;
};

static void auxiliary_add(struct auxiliary *auxiliary, uint64_t type, uint64_t value)
{
    assert(auxiliary->count < AUXILIARY_LIMIT);
    auxiliary->entries[auxiliary->count][0] = type;
    auxiliary->entries[auxiliary->count][1] = value;
    auxiliary->count++;
}

static void auxiliary_fill(struct auxiliary *auxiliary, const struct exec *exec, uint64_t platform, uint64_t random, uint64_t name)
{
    const struct credentials *credentials = exec->credentials;

    auxiliary->count = 0;
    if (exec->vdso != 0)
        auxiliary_add(auxiliary, AUXILIARY_VDSO, exec->vdso);
    auxiliary_add(auxiliary, AUXILIARY_MINIMUM_SIGNAL_STACK, SIGNAL_FRAME_BYTES + context_extended_bytes());
    auxiliary_add(auxiliary, AUXILIARY_HWCAP, processor_capabilities());
    auxiliary_add(auxiliary, AUXILIARY_PAGE_SIZE, PAGE_SIZE);
    auxiliary_add(auxiliary, AUXILIARY_CLOCK_TICKS, 100);
    auxiliary_add(auxiliary, AUXILIARY_TABLE, exec->image.table_address != 0 ? exec->image.table_address + exec->bias : 0);
    auxiliary_add(auxiliary, AUXILIARY_TABLE_ENTRY, ELF_PROGRAM_HEADER_BYTES);
    auxiliary_add(auxiliary, AUXILIARY_TABLE_COUNT, exec->image.table_count);
    auxiliary_add(auxiliary, AUXILIARY_BASE, exec->interpreter_base);
    auxiliary_add(auxiliary, AUXILIARY_FLAGS, 0);
    auxiliary_add(auxiliary, AUXILIARY_ENTRY, exec->image.entry + exec->bias);
    auxiliary_add(auxiliary, AUXILIARY_UID, credentials->uid);
    auxiliary_add(auxiliary, AUXILIARY_EUID, credentials->euid);
    auxiliary_add(auxiliary, AUXILIARY_GID, credentials->gid);
    auxiliary_add(auxiliary, AUXILIARY_EGID, credentials->egid);
    auxiliary_add(auxiliary, AUXILIARY_SECURE, exec->secure);
    auxiliary_add(auxiliary, AUXILIARY_RANDOM, random);
    auxiliary_add(auxiliary, AUXILIARY_HWCAP2, 0); /* the program's own writes of GS would not be kept: no FSGSBASE bit */
    auxiliary_add(auxiliary, AUXILIARY_FILE_NAME, name);
    auxiliary_add(auxiliary, AUXILIARY_PLATFORM, platform);
    auxiliary_add(auxiliary, AUXILIARY_END, 0);
}

int exec_build_stack(struct exec *exec)
{
    struct address_space *space = exec->space;
    struct auxiliary auxiliary;
    struct stack_image stack = { .top = exec->stack_top };
    size_t argument_count, environment_count;
    uint64_t zero = 0;

    size_t strings = strings_length(exec->arguments, &argument_count) + strings_length(exec->environment, &environment_count);
    size_t pointers = (argument_count + environment_count + 3) * sizeof(uint64_t);
    uint64_t limit = maximum(process_limit(process_current(), LIMIT_STACK) / 4, 128ull << 10);
    if (strings + pointers > minimum(limit, 3ull << 20))
        return -E2BIG;
    stack.size_bytes = round_up(strings + pointers + strlen(exec->path) + sizeof(auxiliary) + 256, 16);
    stack.buffer = memory_allocate_zeroed(stack.size_bytes);
    if (!stack.buffer)
        return -ENOMEM;

    stack_push(&stack, &zero, sizeof(zero));
    uint64_t name = stack_push(&stack, exec->path, strlen(exec->path) + 1);
    space->environment_end = stack.top - stack.used;
    uint64_t environment = push_strings(&stack, exec->environment, environment_count);
    uint64_t arguments = push_strings(&stack, exec->arguments, argument_count);
    space->environment_start = environment;
    space->arguments_start = arguments;
    space->arguments_end = environment;
    uint64_t platform = stack_push(&stack, "x86_64", sizeof("x86_64"));
    stack.used = round_up(stack.used, 16);
    uint64_t random_at = stack_push(&stack, exec->random + EXEC_RANDOM_WORD, RANDOM_BYTES);

    auxiliary_fill(&auxiliary, exec, platform, random_at, name);
    size_t vector_bytes = auxiliary.count * sizeof(auxiliary.entries[0]);
    /* rsp is to be 16-byte aligned when all is pushed. */
    if ((stack.used + vector_bytes + pointers) % 16 != 0)
        stack.used += 8;
    stack_push(&stack, auxiliary.entries, vector_bytes);
    push_pointers(&stack, exec->environment, environment_count, environment);
    push_pointers(&stack, exec->arguments, argument_count, arguments);
    uint64_t count = argument_count;
    exec->stack_pointer = stack_push(&stack, &count, sizeof(count));
    space->stack_start = exec->stack_pointer;

    int error = 0;
    if (address_space_write(space, exec->stack_pointer, stack.buffer + stack.size_bytes - stack.used, stack.used) != (long)stack.used)
        error = -ENOMEM;
    else
        (void)address_space_fault(space, exec->stack_pointer - PAGE_SIZE, PAGING_WRITE); /* where the program will be in a moment: while entries cost little */
    memory_free(stack.buffer);
    if (error != 0)
        return error;
    exec->auxiliary = memory_allocate(vector_bytes);
    if (!exec->auxiliary)
        return -ENOMEM;
    memcpy(exec->auxiliary, auxiliary.entries, vector_bytes);
    exec->auxiliary_bytes = vector_bytes;
    return 0;
}
