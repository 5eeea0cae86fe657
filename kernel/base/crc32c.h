/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC-32C, continued from `crc` over more bytes; no inversion at either end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *bytes, size_t length_bytes);
