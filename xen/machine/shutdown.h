/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the domain, told to Xen with its reason.
 */
#pragma once

#include "kernel/base/compiler.h"

enum shutdown_reason { SHUTDOWN_REASON_POWEROFF = 0, SHUTDOWN_REASON_REBOOT = 1, SHUTDOWN_REASON_CRASH = 3 };

/* Drains the console first. Any context. */
void shutdown(enum shutdown_reason reason) attribute_noreturn;
