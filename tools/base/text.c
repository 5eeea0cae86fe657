/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings and lists of strings that grow.
 *
 * The tool is a short-lived process: when memory runs out it says so and exits, so that no caller has to carry an
 * out-of-memory path that nobody ever runs.
 */
#include "tools/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/report.h"

static void *grow(void *block, size_t size)
{
    void *grown = realloc(block, size);

    if (grown == NULL) {
        report_error(-ENOMEM, "cannot allocate %zu bytes", size);
        exit(EXIT_TOOL);
    }
    return grown;
}

void text_add(struct text *text, const void *bytes, size_t length)
{
    if (text->length + length + 1 > text->capacity) {
        text->capacity = (text->length + length + 1) * 2;
        text->bytes = grow(text->bytes, text->capacity);
    }
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void text_format_list(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return;
    if (text->length + (size_t)length + 1 > text->capacity) {
        text->capacity = (text->length + (size_t)length + 1) * 2;
        text->bytes = grow(text->bytes, text->capacity);
    }
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    text->length += (size_t)length;
}

void text_format(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_format_list(text, format, arguments);
    va_end(arguments);
}

const char *text_string(const struct text *text)
{
    return text->bytes == NULL ? "" : text->bytes;
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void text_list_add(struct text_list *list, const char *item)
{
    if (list->count + 2 > list->capacity) {
        list->capacity = (list->count + 2) * 2;
        list->items = grow(list->items, list->capacity * sizeof(list->items[0]));
    }
    list->items[list->count++] = text_copy(item);
    list->items[list->count] = NULL;
}

void text_list_format(struct text_list *list, const char *format, ...)
{
    struct text item = {0};
    va_list arguments;

    va_start(arguments, format);
    text_format_list(&item, format, arguments);
    va_end(arguments);
    text_list_add(list, text_string(&item));
    text_free(&item);
}

void text_list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

char *text_copy(const char *string)
{
    size_t size = strlen(string) + 1;

    return memcpy(grow(NULL, size), string, size);
}

/* A fresh string made by a format; the caller frees it. */
char *text_join(const char *format, ...)
{
    struct text text = {0};
    va_list arguments;

    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    return text.bytes != NULL ? text.bytes : text_copy("");
}

bool text_starts(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* Cuts white space off both ends, in place. */
char *text_trim(char *string)
{
    string += strspn(string, " \t\r\n");
    size_t length = strlen(string);
    while (length > 0 && strchr(" \t\r\n", string[length - 1]) != NULL)
        string[--length] = '\0';
    return string;
}

/* A whole decimal number within bounds; -EINVAL or -ERANGE otherwise. */
int text_number(const char *string, long minimum, long maximum, long *out)
{
    char *end;

    errno = 0;
    long value = strtol(string, &end, 10);
    if (end == string || *end != '\0')
        return -EINVAL;
    if (errno != 0 || value < minimum || value > maximum)
        return -ERANGE;
    *out = value;
    return 0;
}
