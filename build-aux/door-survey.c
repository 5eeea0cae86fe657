/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The judge of build-aux/door-survey: for each line "ADDRESS BYTES-BEFORE BYTES-FROM-IT-ON" (in hexadecimal) of its input, the form that
 * door_site_read() makes a door of, or "none". What eax holds at the call is not known here: any word before it is tried.
 */
#include <stdio.h>
#include <string.h>

#include "xen/x86/door.h"

static size_t bytes_read(const char *text, uint8_t *bytes, size_t room)
{
    size_t count = 0;
    unsigned int byte;

    while (count < room && sscanf(text + 2 * count, "%2x", &byte) == 1)
        bytes[count++] = (uint8_t)byte;
    return count;
}

static bool site_read(struct door_site *site, uint64_t call, const uint8_t *code, size_t before, size_t from)
{
    for (size_t back = sizeof(uint32_t); back <= before; back++) {
        uint32_t number;
        memcpy(&number, code - back, sizeof(number));
        if (number < 1000 && door_site_read(site, call, code, before, from, number))
            return true;
    }
    return door_site_read(site, call, code, before, from, ~0u);
}

int main(void)
{
    char before[512], from[512];
    unsigned long long call;

    while (scanf("%llx %511s %511s", &call, before, from) == 3) {
        uint8_t code[256 + DOOR_AFTER_BYTES];
        size_t count = bytes_read(before, code, 256), behind = bytes_read(from, code + count, DOOR_AFTER_BYTES);
        struct door_site site;

        if (!site_read(&site, call, code + count, count < DOOR_BEFORE_BYTES ? count : DOOR_BEFORE_BYTES, behind))
            puts("none");
        else
            printf("%s, %u bytes moved\n", door_site_is_after(&site) ? "after" : "before", site.moved_bytes);
    }
    return 0;
}
