/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, directories, locks, and the places the tool keeps things in (file.c). */
#pragma once

#include <fts.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/base/text.h"

bool file_exists(const char *path);
int file_read(const char *path, struct text *out);
int file_write(const char *path, const void *bytes, size_t length);
int file_write_string(const char *path, const char *string);
int file_copy(const char *from, const char *to);
int file_append(const char *from, const char *to);
int file_lock(const char *path, bool wait);
int directory_make(const char *path);
int tree_remove(const char *path);
int tree_entry_order(const FTSENT **a, const FTSENT **b);
char *path_absolute(const char *path);
const char *path_name(const char *path);
char *path_cache(const char *below);
char *path_program_directory(void);
