/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith inspect --kernel FILE: what a kernel's memory is taken by before anything runs: its sections, as the loader puts them into memory, and
 * the largest objects in them, by name. A file without symbols shows its sections. The file is not trusted: every offset is checked.
 */
#include "tools/run/inspect.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

#define LARGEST 20

struct image {
    struct text file;
    const Elf64_Shdr *sections;
    unsigned count;
};

/* `count` elements of `size` bytes at an offset of the file; NULL where they are not all there. */
static const void *image_part(const struct image *image, uint64_t offset, uint64_t count, uint64_t size)
{
    if (offset > image->file.length || offset % 8 != 0 || (count != 0 && (image->file.length - offset) / size < count))
        return NULL;
    return image->file.bytes + offset;
}

/* The name at an offset of a section of strings; "?" where there is none. */
static const char *image_name(const struct image *image, unsigned section, uint64_t offset)
{
    const Elf64_Shdr *names = section < image->count ? &image->sections[section] : NULL;

    if (names == NULL || names->sh_offset > image->file.length || names->sh_size > image->file.length - names->sh_offset ||
        offset >= names->sh_size)
        return "?";
    const char *name = image->file.bytes + names->sh_offset + offset;
    return memchr(name, 0, names->sh_size - offset) != NULL ? name : "?";
}

static int image_open(struct image *image, const char *path)
{
    int error = file_read(path, &image->file);

    if (error < 0)
        return report_error(error, "%s", path);
    const Elf64_Ehdr *header = image_part(image, 0, 1, sizeof(*header));
    if (header == NULL || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_shentsize != sizeof(Elf64_Shdr))
        return report_error(0, "%s is no 64-bit ELF file", path);
    image->count = header->e_shnum;
    image->sections = image_part(image, header->e_shoff, image->count, sizeof(*image->sections));
    if (image->sections == NULL || image->count == 0)
        return report_error(0, "%s has no sections", path);
    return 0;
}

static void sections_print(const struct image *image, unsigned names)
{
    uint64_t loaded = 0, zeroed = 0;

    printf("%-40s %10s\n", "SECTION", "bytes");
    for (unsigned i = 0; i < image->count; i++) {
        const Elf64_Shdr *section = &image->sections[i];
        if ((section->sh_flags & SHF_ALLOC) == 0 || section->sh_size == 0)
            continue;
        *(section->sh_type == SHT_NOBITS ? &zeroed : &loaded) += section->sh_size;
        printf("%-40s %10llu%s\n", image_name(image, names, section->sh_name), (unsigned long long)section->sh_size,
            section->sh_type == SHT_NOBITS ? "  zeroed" : "");
    }
    printf("%-40s %10llu\n%-40s %10llu\n", "loaded", (unsigned long long)loaded, "zeroed", (unsigned long long)zeroed);
}

static int larger_first(const void *left, const void *right)
{
    const Elf64_Sym *a = left, *b = right;

    return a->st_size < b->st_size ? 1 : a->st_size > b->st_size ? -1 : 0;
}

static void objects_print(const struct image *image, const Elf64_Shdr *table)
{
    uint64_t count = table->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *symbols = image_part(image, table->sh_offset, count, sizeof(*symbols));

    if (symbols == NULL || count == 0)
        return;
    Elf64_Sym *sorted = malloc(count * sizeof(*sorted));
    if (sorted == NULL)
        return;
    memcpy(sorted, symbols, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), larger_first);
    printf("\n%-40s %10s\n", "LARGEST OBJECTS", "bytes");
    for (uint64_t i = 0; i < count && i < LARGEST && sorted[i].st_size > 0; i++)
        printf("%-40s %10llu  %s\n", image_name(image, table->sh_link, sorted[i].st_name), (unsigned long long)sorted[i].st_size,
            ELF64_ST_TYPE(sorted[i].st_info) == STT_FUNC ? "code" : "data");
    free(sorted);
}

int inspect_kernel(const char *path)
{
    struct image image = {0};

    int error = image_open(&image, path);
    if (error == 0) {
        sections_print(&image, ((const Elf64_Ehdr *)(const void *)image.file.bytes)->e_shstrndx);
        for (unsigned i = 0; i < image.count; i++)
            if (image.sections[i].sh_type == SHT_SYMTAB)
                objects_print(&image, &image.sections[i]);
    }
    text_free(&image.file);
    return error;
}
