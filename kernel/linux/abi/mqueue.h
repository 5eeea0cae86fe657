/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX message queues.
 */
#pragma once

#include "kernel/base/compiler.h"

struct linux_mq_attr {
    int64_t flags, messages_most, message_bytes, messages, reserved[4];
};
_Static_assert(sizeof(struct linux_mq_attr) == 64, "struct mq_attr");

#define LINUX_MQ_PRIORITY_LIMIT 32768u
#define LINUX_SI_MESGQ (-3)
