/* SPDX-License-Identifier: BSD-2-Clause */
/* Directory trees that become images: laid over each other by links, measured, written as ext4 (tree.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What decides how large an image must be. */
struct tree_measure {
    uint64_t files;
    uint64_t blocks; /* of 4096 bytes, of contents and directories */
};

int tree_overlay(const char *from, const char *onto);
int tree_write(const char *root, const char *below, const void *bytes, size_t length);
int tree_write_string(const char *root, const char *below, const char *text);
int tree_measure(const char *root, struct tree_measure *out);
int tree_to_cpio(const char *parent, const char *below, const char *archive);
int tree_to_ext4(const char *root, const char *label, const char *image);
