/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions newlib leaves to its host, by the names it calls. They set newlib's errno and answer -1, as it expects.
 */
#pragma once

#include <stddef.h>

#include "kernel/base/compiler.h"

struct _reent;
struct stat;
struct timeval;

int _open(const char *name, int flags, int mode);
int _close(int descriptor);
long _read(int descriptor, void *bytes, size_t length_bytes);
long _write(int descriptor, const void *bytes, size_t length_bytes);
long _lseek(int descriptor, long offset, int whence);
int _fstat(int descriptor, struct stat *status);
int _isatty(int descriptor);
int _gettimeofday(struct timeval *time, void *zone);
void _exit(int status) attribute_noreturn;
int raise(int signal) attribute_noreturn;
