/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of strings, files and the shape of directory trees (digest.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DIGEST_HEX_SIZE 65

/* A SHA-256 in the making. */
struct digest {
    uint32_t state[8];
    uint64_t length_bytes;
    uint8_t block[64];
};

void digest_start(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t length);
void digest_add_string(struct digest *digest, const char *string);
int digest_add_file(struct digest *digest, const char *path);
int digest_add_tree_shape(struct digest *digest, const char *path);
void digest_end(struct digest *digest, char hex[DIGEST_HEX_SIZE]);
