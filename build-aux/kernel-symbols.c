/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A build tool: reads `nm -n KERNEL` on standard input and writes, as C, the table of function names that
 * kernel/base/symbols.h declares. One name an address (the first in nm's order), names of the compiler's clones
 * (.part.0, .constprop.0, .cold) cut to the function's own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    symbols[symbol_count].name = strndup(name, strcspn(name, "."));
    if (symbols[symbol_count].name == NULL)
        abort();
    symbol_count++;
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
    printf("const uint32_t kernel_symbol_offsets[] = {\n");
    for (size_t index = 0; index < symbol_count; index++)
        printf("0x%" PRIx64 ",\n", symbols[index].address - base);
    printf("};\nconst char kernel_symbol_names[] =\n");
    for (size_t index = 0; index < symbol_count; index++)
        printf("\"%s\\0\"\n", symbols[index].name);
    printf("\"\";\n");
    return 0;
}
