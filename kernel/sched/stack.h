/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel stacks of THREAD_STACK_BYTES, each between two unmapped guard pages. For kernel/sched alone.
 */
#pragma once

#include "kernel/base/compiler.h"

struct page;

/* 0 or -ENOMEM; thread context. *pages is the block behind the mapping. */
int stack_allocate(void **base, struct page **pages);
/* Any context. */
void stack_free(void *base, struct page *pages);
void stack_init(void);
