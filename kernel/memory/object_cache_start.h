/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object caches' beginning, for the roof: after page_start().
 */
#pragma once

void object_cache_start(void);
