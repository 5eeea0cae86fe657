/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs nobody compiled: the header and the program headers of an ELF file. What is accepted must keep the promises
 * exec counts on: segments inside user space and the span, in order, no longer in the file than in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/frame_number.h"
#include "kernel/process/elf.h"

#define USER_END 0x7ffffffff000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_segments(const struct elf_image *image)
{
    must(image->segment_count >= 1 && image->segment_count <= ELF_SEGMENT_LIMIT);
    must(image->low % PAGE_SIZE == 0 && image->high % PAGE_SIZE == 0 && image->low < image->high);
    must(image->entry < USER_END && image->alignment >= PAGE_SIZE);
    must((image->alignment & (image->alignment - 1)) == 0);
    for (unsigned int i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        must(segment->file_bytes <= segment->memory_bytes && segment->memory_bytes > 0);
        must(segment->address >= image->low && segment->address + segment->memory_bytes <= image->high);
        must(segment->address + segment->memory_bytes <= USER_END);
        must(segment->offset + segment->file_bytes >= segment->offset);
        must(segment->protection <= 7);
        must(i == 0 || segment->address >= segment[-1].address);
    }
    must(image->interpreter_bytes == 0 || (image->interpreter_bytes >= 2 && image->interpreter_bytes <= ELF_INTERPRETER_LIMIT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image image;
    const char *why = NULL;

    if (elf_parse_header(data, size, &image, &why) != 0) {
        must(why != NULL);
        return 0;
    }
    must(image.table_count >= 1 && image.table_count <= ELF_PROGRAM_HEADER_LIMIT);
    if (image.table_offset > size)
        return 0;
    /* A copy of just the table, so that ASan sees the first byte behind it. */
    size_t table_bytes = size - image.table_offset;
    if (table_bytes > image.table_count * ELF_PROGRAM_HEADER_BYTES)
        table_bytes = image.table_count * ELF_PROGRAM_HEADER_BYTES;
    uint8_t *table = malloc(table_bytes + (table_bytes == 0));
    if (table_bytes > 0)
        memcpy(table, data + image.table_offset, table_bytes);
    if (elf_parse_table(table, table_bytes, &image, &why) == 0)
        check_segments(&image);
    else
        must(why != NULL);
    free(table);
    return 0;
}
