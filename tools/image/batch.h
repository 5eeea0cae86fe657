/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of command lines to be run one after another in one guest (batch.c). */
#pragma once

#include "tools/base/text.h"

struct batch {
    struct text_list lines; /* as written, for reports */
    struct text_list *words; /* one list for each line */
};

int batch_read(const char *path, struct batch *out);
void batch_encode(const struct batch *batch, size_t from, struct text *out);
void batch_free(struct batch *batch);
