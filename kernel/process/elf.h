/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 programs, as far as exec needs them. Pure: works on bytes it is given, checks all of them, allocates nothing;
 * runs on the host and under a fuzzer.
 */
#pragma once

#include "kernel/base/compiler.h"

#define ELF_HEADER_BYTES 64u
#define ELF_PROGRAM_HEADER_BYTES 56u
#define ELF_PROGRAM_HEADER_LIMIT 128u
#define ELF_SEGMENT_LIMIT 32u
#define ELF_INTERPRETER_LIMIT 256u  /* with the NUL */

struct elf_segment {
    uint64_t address;        /* of its first byte, before the load bias */
    uint64_t offset;         /* in the file; same place within a page as address */
    uint64_t file_bytes, memory_bytes;
    uint32_t protection;     /* PAGING_READ 1, PAGING_WRITE 2, PAGING_EXECUTE 4 */
};

struct elf_image {
    bool relocatable;        /* ET_DYN: goes anywhere */
    uint64_t entry;
    uint64_t table_offset;   /* program headers in the file */
    uint32_t table_count;
    /* Filled by elf_parse_table(). */
    uint64_t table_address;  /* program headers in memory, 0: not mapped */
    uint64_t low, high;      /* span of all segments, page-aligned */
    uint64_t alignment;      /* largest of the segments', at least a page */
    uint64_t interpreter_offset, interpreter_bytes; /* 0 bytes: none; with the NUL */
    bool stack_executable;
    unsigned int segment_count;
    struct elf_segment segments[ELF_SEGMENT_LIMIT];
};

/* The first bytes of a file (at least ELF_HEADER_BYTES of them if it is long enough). 0 or -ENOEXEC, with *why what is wrong in words. */
int elf_parse_header(const uint8_t *bytes, size_t length_bytes, struct elf_image *image, const char **why);
/* The program headers, table_count * ELF_PROGRAM_HEADER_BYTES bytes from table_offset. */
int elf_parse_table(const uint8_t *bytes, size_t length_bytes, struct elf_image *image, const char **why);
