/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends as its arguments say: "exit N", "segfault", "abort", "echo WORD...", "environment NAME", or "memory BYTES" (touches so much).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "exit";

    if (strcmp(what, "segfault") == 0)
        *(volatile int *)8 = 1;
    if (strcmp(what, "abort") == 0)
        abort();
    if (strcmp(what, "environment") == 0 && count > 2)
        return puts(getenv(arguments[2]) ? getenv(arguments[2]) : "(unset)") < 0;
    if (strcmp(what, "memory") == 0 && count > 2) {
        size_t bytes = strtoul(arguments[2], NULL, 0);
        char *memory = malloc(bytes);
        for (size_t i = 0; memory != NULL && i < bytes; i += 4096)
            memory[i] = 1;
        printf("touched %zu\n", memory ? bytes : 0);
        return memory == NULL;
    }
    for (int i = 2; strcmp(what, "echo") == 0 && i < count; i++)
        printf("<%s>\n", arguments[i]);
    return strcmp(what, "exit") == 0 && count > 2 ? atoi(arguments[2]) : 0;
}
