/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 headers (System V ABI, and its x86-64 supplement), read from what the file holds, wherever it lies.
 */
#include "kernel/process/elf.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/frame_number.h"

#define TYPE_EXECUTABLE 2
#define TYPE_SHARED 3
#define MACHINE_X86_64 62
#define SEGMENT_LOAD 1u
#define SEGMENT_INTERPRETER 3u
#define SEGMENT_TABLE 6u
#define SEGMENT_STACK 0x6474e551u
#define FLAG_EXECUTE 1u
#define FLAG_WRITE 2u
#define FLAG_READ 4u
#define ADDRESS_LIMIT 0x7ffffffff000ull

/* A constant count makes it one load: the file's order of bytes is the processor's. */
static inline uint64_t read_little(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;

    memcpy(&value, bytes, count);
    return value;
}

static int elf_refuse(const char **why, const char *reason)
{
    *why = reason;
    return -ENOEXEC;
}

int elf_parse_header(const uint8_t *bytes, size_t length_bytes, struct elf_image *image, const char **why)
{
    *image = (struct elf_image){ 0 };
    if (length_bytes < 20 || bytes[0] != 0x7f || bytes[1] != 'E' || bytes[2] != 'L' || bytes[3] != 'F')
        return elf_refuse(why, "not an ELF file");
    if (bytes[4] == 1)
        return elf_refuse(why, "a 32-bit program");
    if (bytes[4] != 2 || bytes[5] != 1 || bytes[6] != 1)
        return elf_refuse(why, "not a little-endian 64-bit ELF file");
    if (read_little(bytes + 18, 2) != MACHINE_X86_64)
        return elf_refuse(why, "built for another machine than x86-64");
    if (length_bytes < ELF_HEADER_BYTES)
        return elf_refuse(why, "cut off in its ELF header");
    uint64_t type = read_little(bytes + 16, 2);
    if (type != TYPE_EXECUTABLE && type != TYPE_SHARED)
        return elf_refuse(why, "neither an executable nor a shared object");
    if (read_little(bytes + 54, 2) != ELF_PROGRAM_HEADER_BYTES)
        return elf_refuse(why, "its program headers have an unknown size");
    image->relocatable = type == TYPE_SHARED;
    image->entry = read_little(bytes + 24, 8);
    image->table_offset = read_little(bytes + 32, 8);
    image->table_count = (uint32_t)read_little(bytes + 56, 2);
    if (image->table_count == 0 || image->table_count > ELF_PROGRAM_HEADER_LIMIT)
        return elf_refuse(why, "it has no program headers, or too many");
    if (image->table_offset > (uint64_t)INT64_MAX - image->table_count * ELF_PROGRAM_HEADER_BYTES)
        return elf_refuse(why, "its program headers lie outside the file");
    return 0;
}

static int elf_parse_load(const uint8_t *header, struct elf_image *image, const char **why)
{
    uint32_t flags = (uint32_t)read_little(header + 4, 4);
    uint64_t alignment = read_little(header + 48, 8);
    struct elf_segment segment = {
        .offset = read_little(header + 8, 8),
        .address = read_little(header + 16, 8),
        .file_bytes = read_little(header + 32, 8),
        .memory_bytes = read_little(header + 40, 8),
    };

    if (segment.memory_bytes == 0)
        return 0;
    if (segment.file_bytes > segment.memory_bytes)
        return elf_refuse(why, "a segment is larger in the file than in memory");
    if (segment.address > ADDRESS_LIMIT || segment.memory_bytes > ADDRESS_LIMIT - segment.address)
        return elf_refuse(why, "a segment lies outside user space");
    if (segment.offset > (uint64_t)INT64_MAX || segment.file_bytes > (uint64_t)INT64_MAX - segment.offset)
        return elf_refuse(why, "a segment lies outside the file");
    if (((segment.address ^ segment.offset) & PAGE_MASK) != 0 && segment.file_bytes != 0)
        return elf_refuse(why, "a segment is not aligned to pages as its file part is");
    if (alignment > PAGE_SIZE && (!bits_is_power_of_two(alignment) || alignment > 1ull << 30))
        return elf_refuse(why, "a segment has an impossible alignment");
    if (image->segment_count == ELF_SEGMENT_LIMIT)
        return elf_refuse(why, "it has too many segments");
    if (image->segment_count > 0 && segment.address < image->segments[image->segment_count - 1].address)
        return elf_refuse(why, "its segments are not in order");
    segment.protection = (flags & FLAG_READ ? 1u : 0) | (flags & FLAG_WRITE ? 2u : 0) | (flags & FLAG_EXECUTE ? 4u : 0);
    image->segments[image->segment_count++] = segment;
    image->alignment = maximum(image->alignment, alignment);
    image->low = minimum(image->low, PAGE_ROUND_DOWN(segment.address));
    image->high = maximum(image->high, PAGE_ROUND_UP(segment.address + segment.memory_bytes));
    return 0;
}

/* Where the program headers appear in memory, for AT_PHDR. */
static void elf_find_table(struct elf_image *image)
{
    for (unsigned int i = 0; i < image->segment_count && image->table_address == 0; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (image->table_offset >= segment->offset && image->table_offset - segment->offset < segment->file_bytes)
            image->table_address = segment->address + (image->table_offset - segment->offset);
    }
}

int elf_parse_table(const uint8_t *bytes, size_t length_bytes, struct elf_image *image, const char **why)
{
    if (length_bytes < (size_t)image->table_count * ELF_PROGRAM_HEADER_BYTES)
        return elf_refuse(why, "cut off in its program headers");
    image->low = UINT64_MAX;
    image->high = 0;
    image->alignment = PAGE_SIZE;
    image->segment_count = 0;
    for (uint32_t i = 0; i < image->table_count; i++) {
        const uint8_t *header = bytes + i * ELF_PROGRAM_HEADER_BYTES;
        uint32_t type = (uint32_t)read_little(header, 4);
        int error = 0;
        if (type == SEGMENT_LOAD) {
            error = elf_parse_load(header, image, why);
        } else if (type == SEGMENT_INTERPRETER && image->interpreter_bytes == 0) {
            image->interpreter_offset = read_little(header + 8, 8);
            image->interpreter_bytes = read_little(header + 32, 8);
            if (image->interpreter_bytes < 2 || image->interpreter_bytes > ELF_INTERPRETER_LIMIT ||
                image->interpreter_offset > INT64_MAX - ELF_INTERPRETER_LIMIT)
                error = elf_refuse(why, "the name of its interpreter has an impossible length");
        } else if (type == SEGMENT_TABLE) {
            image->table_address = read_little(header + 16, 8);
        } else if (type == SEGMENT_STACK) {
            image->stack_executable = read_little(header + 4, 4) & FLAG_EXECUTE;
        }
        if (error != 0)
            return error;
    }
    if (image->segment_count == 0)
        return elf_refuse(why, "it has nothing to load");
    elf_find_table(image);
    if (image->entry >= ADDRESS_LIMIT)
        return elf_refuse(why, "its entry lies outside user space");
    return 0;
}
