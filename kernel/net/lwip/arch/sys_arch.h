/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's system layer: there is none (NO_SYS); sys_now() is in kernel/net/core.c.
 */
#pragma once
