/* SPDX-License-Identifier: BSD-2-Clause */
/* guests/NAME/, the directory of one guest: what was made for it and what it left (guest_record.c). */
#pragma once

#include <stdbool.h>

#include "tools/base/text.h"

/* The directory of one guest: what was made for it, and what it left. */
struct guest_record {
    char *directory;
    int owner_fd; /* locked while a tool in the foreground cares for the guest; -1 otherwise */
};

/* A file of "key=value" lines, in memory. */
struct guest_facts {
    struct text_list keys;
    struct text_list values;
};

int guest_record_create(struct guest_record *record, const char *guests, const char *name);
int guest_record_open(struct guest_record *record, const char *guests, const char *name);
char *guest_record_path(const struct guest_record *record, const char *file);
int guest_record_note(const struct guest_record *record, const char *format, ...) __attribute__((format(printf, 2, 3)));
int guest_record_facts(const struct guest_record *record, const char *file, struct guest_facts *out);
bool guest_record_released(const struct guest_record *record);
void guest_record_released_set(const struct guest_record *record);
void guest_record_close(struct guest_record *record);

const char *guest_fact(const struct guest_facts *facts, const char *key);
/* Adds the facts of a text of KEY=VALUE lines, which is changed; other lines are passed over. */
void guest_facts_parse(struct guest_facts *facts, struct text *text);
void guest_facts_free(struct guest_facts *facts);
