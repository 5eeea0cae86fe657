/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program and its interpreter into a fresh address space: nothing of the caller's is touched, so that all can fail.
 *
 *   low   program (0x555555554000 + random if it may go anywhere), heap
 *         ...
 *         mappings, interpreter, vDSO: downwards from map_top
 *   high  stack, randomized downwards from the end of user space
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/exec_internal.h"

#define PIE_BASE 0x555555554000ull
#define STACK_PAGES 33u                  /* mapped at first, as in Linux */
#define STACK_GAP_LOW (128ull << 20)     /* kept below the stack's top even if its limit is small */
#define RANDOM_BITS 22u

uint64_t exec_random_pages(struct exec *exec, unsigned int bits)
{
    assert(exec->random_taken < EXEC_RANDOM_WORD && bits < 32);
    uint64_t value = exec->randomize ? exec->random[exec->random_taken++] : 0;

    return (value & ((1ull << bits) - 1)) << PAGE_SHIFT;
}

/* A text file is a shell's affair; a program that cannot run here is worth a line. */
static int exec_refuse(const char *path, const char *why)
{
    log_warning("%s: %s; it cannot be run", path, why);
    return -ENOEXEC;
}

static int exec_parse(struct file *file, const char *path, struct elf_image *image)
{
    uint8_t header[ELF_HEADER_BYTES];
    const char *why = "";

    long length = file_read_kernel(file, header, sizeof(header), 0);
    if (length < 0)
        return (int)length;
    if (elf_parse_header(header, (size_t)length, image, &why) != 0)
        return length >= 4 && memcmp(header, "\177ELF", 4) == 0 ? exec_refuse(path, why) : -ENOEXEC;
    size_t table_bytes = (size_t)image->table_count * ELF_PROGRAM_HEADER_BYTES;
    uint8_t *table = memory_allocate(table_bytes);
    if (!table)
        return -ENOMEM;
    length = file_read_kernel(file, table, table_bytes, image->table_offset);
    int error = length < 0 ? (int)length : 0;
    if (error == 0 && elf_parse_table(table, (size_t)length, image, &why) != 0)
        error = exec_refuse(path, why);
    memory_free(table);
    return error;
}

static int exec_map_file_part(struct address_space *space, struct file *file, const struct elf_segment *segment, uint64_t bias)
{
    uint64_t within = segment->address & PAGE_MASK, address;
    struct area_request request = {
        .address = segment->address - within + bias,
        .length_bytes = segment->file_bytes + within,
        .protection = segment->protection,
        .backing_index = (segment->offset - within) >> PAGE_SHIFT,
        .fixed = true,
        .ahead = true,
    };

    int error = file_map(file, &request);
    if (error != 0)
        return error;
    error = address_space_map(space, &request, &address);
    area_backing_release(request.backing);
    return error;
}

/* The bytes of a segment that the file does not hold: the rest of its last file page, and pages of zeroes. */
static int exec_map_zero_part(struct address_space *space, const struct elf_segment *segment, uint64_t bias)
{
    static const uint8_t zeroes[PAGE_SIZE];
    uint64_t start = segment->address + segment->file_bytes + bias, end = segment->address + segment->memory_bytes + bias;
    uint64_t page = PAGE_ROUND_UP(start), address;

    if (segment->file_bytes == 0)
        page = PAGE_ROUND_DOWN(start);
    else if (page > start && (segment->protection & PAGING_WRITE) &&
             address_space_write(space, start, zeroes, (size_t)(page - start)) != (long)(page - start))
        return -ENOMEM;
    if (PAGE_ROUND_UP(end) <= page)
        return 0;
    struct area_request request = { .address = page, .length_bytes = PAGE_ROUND_UP(end) - page,
                                    .protection = segment->protection, .fixed = true };
    return address_space_map(space, &request, &address);
}

static int exec_map(struct address_space *space, struct file *file, const struct elf_image *image, uint64_t bias)
{
    for (unsigned int i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        int error = segment->file_bytes != 0 ? exec_map_file_part(space, file, segment, bias) : 0;
        if (error == 0 && segment->memory_bytes > segment->file_bytes)
            error = exec_map_zero_part(space, segment, bias);
        if (error != 0)
            return error == -EPERM || error == -EEXIST ? -ENOEXEC : error;
    }
    return 0;
}

static void exec_choose_layout(struct exec *exec)
{
    struct address_space *space = exec->space;
    struct process *process = process_current();
    uint64_t stack = process_limit(process, LIMIT_STACK);

    exec->stack_top = USER_ADDRESS_HIGH - exec_random_pages(exec, RANDOM_BITS);
    stack = stack > USER_ADDRESS_HIGH / 6 ? USER_ADDRESS_HIGH / 6 : maximum(stack, STACK_GAP_LOW);
    space->map_top = PAGE_ROUND_DOWN(exec->stack_top - stack - (2ull << 20)) - exec_random_pages(exec, RANDOM_BITS);
    space->stack_limit_bytes = process_limit(process, LIMIT_STACK);
}

static int exec_map_stack(struct exec *exec)
{
    uint64_t address;
    struct area_request request = {
        .address = exec->stack_top - STACK_PAGES * PAGE_SIZE,
        .length_bytes = STACK_PAGES * PAGE_SIZE,
        .protection = PAGING_READ | PAGING_WRITE | (exec->image.stack_executable ? PAGING_EXECUTE : 0),
        .flags = AREA_GROWS_DOWN,
        .fixed = true,
        .name = "[stack]",
    };

    return address_space_map(exec->space, &request, &address);
}

/* A place for the whole span of an image that may go anywhere. The space is nobody else's yet: found is taken. */
static int exec_find_place(struct address_space *space, const struct elf_image *image, uint64_t *base)
{
    uint64_t span = image->high - image->low + image->alignment;
    struct area_request request = { .length_bytes = span, .protection = 0, .flags = AREA_NO_RESERVE };

    int error = address_space_map(space, &request, base);
    if (error != 0)
        return error;
    address_space_unmap(space, *base, span);
    *base = round_up(*base, image->alignment);
    return 0;
}

static int exec_load_program(struct exec *exec)
{
    struct elf_image *image = &exec->image;

    if (image->relocatable)
        exec->bias = round_down(PIE_BASE + exec_random_pages(exec, RANDOM_BITS), image->alignment) - image->low;
    if (image->low + exec->bias < USER_ADDRESS_LOW || image->high + exec->bias > USER_ADDRESS_HIGH)
        return exec_refuse(exec->path, "it wants to lie outside user space");
    int error = exec_map(exec->space, exec->file, image, exec->bias);
    if (error != 0)
        return error;
    struct address_space *space = exec->space;
    space->code_start = UINT64_MAX;
    for (unsigned int i = 0; i < image->segment_count; i++) {
        uint64_t start = image->segments[i].address + exec->bias, end = start + image->segments[i].file_bytes;
        if (image->segments[i].protection & PAGING_EXECUTE) {
            space->code_start = minimum(space->code_start, start);
            space->code_end = maximum(space->code_end, end);
        } else {
            space->data_start = start;
            space->data_end = end;
        }
    }
    space->break_start = space->break_end = image->high + exec->bias + exec_random_pages(exec, 13);
    exec->entry = image->entry + exec->bias;
    return 0;
}

static int exec_load_interpreter(struct exec *exec, const struct fs_context *context)
{
    char name[ELF_INTERPRETER_LIMIT];
    struct elf_image *image;
    uint64_t base;

    long length = file_read_kernel(exec->file, name, (size_t)exec->image.interpreter_bytes, exec->image.interpreter_offset);
    if (length < 0)
        return (int)length;
    if ((uint64_t)length != exec->image.interpreter_bytes || name[length - 1] != '\0')
        return exec_refuse(exec->path, "the name of its interpreter is not terminated");
    int error = exec_open(context, NULL, name, 0, &exec->interpreter);
    if (error != 0) {
        log_warning("%s: its interpreter %s %s", exec->path, name, error == -ENOENT ? "is missing" : "cannot be opened");
        return error;
    }
    image = memory_allocate(sizeof(*image));
    if (!image)
        return -ENOMEM;
    error = exec_parse(exec->interpreter, name, image);
    if (error == 0)
        error = image->relocatable ? exec_find_place(exec->space, image, &base) : -ENOEXEC;
    if (error == 0) {
        exec->interpreter_base = base - image->low;
        exec->entry = image->entry + exec->interpreter_base;
        error = exec_map(exec->space, exec->interpreter, image, exec->interpreter_base);
    }
    memory_free(image);
    return error;
}

int exec_load(struct exec *exec, const struct fs_context *context)
{
    int error = exec_parse(exec->file, exec->path, &exec->image);

    if (error != 0)
        return error;
    error = address_space_create(&exec->space);
    if (error != 0)
        return error;
    exec_choose_layout(exec);
    error = exec_map_stack(exec);
    if (error == 0)
        error = exec_load_program(exec);
    if (error == 0 && exec->image.interpreter_bytes != 0)
        error = exec_load_interpreter(exec, context);
    if (error == 0)
        exec->vdso = vdso_map(exec->space);
    return error;
}
