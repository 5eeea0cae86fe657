/* SPDX-License-Identifier: BSD-2-Clause */
/* Strings and lists of strings that grow (text.c). When memory runs out they end the program with a message. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A growing byte string; bytes[length] is always NUL once something was added. All zero is an empty one. */
struct text {
    char *bytes;
    size_t length;
    size_t capacity;
};

/* A growing list of strings, NULL-terminated once something was added, fit for execv. All zero is an empty one. */
struct text_list {
    char **items;
    size_t count;
    size_t capacity;
};

void text_add(struct text *text, const void *bytes, size_t length);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_string(const struct text *text);
void text_clear(struct text *text);
void text_free(struct text *text);

void text_list_add(struct text_list *list, const char *item);
void text_list_format(struct text_list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_list_free(struct text_list *list);

char *text_copy(const char *string);
char *text_join(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool text_starts(const char *string, const char *prefix);
char *text_trim(char *string);
int text_number(const char *string, long minimum, long maximum, long *out);
