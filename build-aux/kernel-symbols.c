/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A build tool: reads `nm -n KERNEL` on standard input and writes, as C, the table of function names that
 * kernel/base/symbols.h declares and describes. One name an address (the first in nm's order), names of the compiler's clones
 * (.part.0, .constprop.0, .cold) cut to the function's own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64 /* SYMBOL_NAME_BYTES */

struct symbol {
    uint64_t address;
    char *name;
};

static struct symbol *symbols;
static size_t symbol_count;

static void symbol_add(uint64_t address, const char *name)
{
    if (symbol_count > 0 && symbols[symbol_count - 1].address == address)
        return;
    if ((symbol_count & (symbol_count + 1)) == 0) {
        symbols = realloc(symbols, 2 * (symbol_count + 1) * sizeof(*symbols));
        if (symbols == NULL)
            abort();
    }
    symbols[symbol_count].address = address;
    size_t length = strcspn(name, ".");
    symbols[symbol_count].name = strndup(name, length < NAME_BYTES ? length : NAME_BYTES - 1);
    if (symbols[symbol_count].name == NULL)
        abort();
    symbol_count++;
}

static void symbol_print(const struct symbol *symbol, uint64_t before, const char *name_before)
{
    uint64_t delta = symbol->address - before;
    size_t shared = 0;

    for (; delta >= 0x80; delta >>= 7)
        printf("%u,", (unsigned int)(delta & 0x7f) | 0x80);
    printf("%u,", (unsigned int)delta);
    while (name_before[shared] != '\0' && name_before[shared] == symbol->name[shared])
        shared++;
    printf("%zu,", shared);
    for (const char *letter = symbol->name + shared; *letter != '\0'; letter++)
        printf("%d,", *letter);
    printf("0, /* %s */\n", symbol->name);
}

int main(void)
{
    char line[1024], name[sizeof(line)], type;
    uint64_t address;
    while (fgets(line, sizeof(line), stdin) != NULL)
        if (sscanf(line, "%" SCNx64 " %c %s", &address, &type, name) == 3 && strchr("tTwW", type) != NULL &&
            name[0] != '.')
            symbol_add(address, name);

    uint64_t base = symbol_count > 0 ? symbols[0].address : 0;
    printf("#include \"kernel/base/symbols.h\"\n");
    printf("const uint32_t kernel_symbol_count = %zu;\n", symbol_count);
    printf("const uintptr_t kernel_symbol_base = 0x%" PRIx64 ";\n", base);
    printf("const uint8_t kernel_symbol_table[] = {\n");
    for (size_t index = 0; index < symbol_count; index++)
        symbol_print(&symbols[index], index > 0 ? symbols[index - 1].address : base, index > 0 ? symbols[index - 1].name : "");
    printf("0};\n");
    return 0;
}
