/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asynchronous I/O (io_setup and kin), x86-64.
 */
#pragma once

#include "kernel/base/compiler.h"

#define LINUX_IOCB_CMD_PREAD 0
#define LINUX_IOCB_CMD_PWRITE 1
#define LINUX_IOCB_CMD_FSYNC 2
#define LINUX_IOCB_CMD_FDSYNC 3
#define LINUX_IOCB_CMD_PREADV 7
#define LINUX_IOCB_CMD_PWRITEV 8

#define LINUX_IOCB_FLAG_RESFD 1u
#define LINUX_IOCB_FLAG_IOPRIO 2u

struct linux_iocb {
    uint64_t data;
    uint32_t key;
    int32_t rw_flags;
    uint16_t opcode;
    int16_t priority;
    uint32_t fd;
    uint64_t buffer, length_bytes;
    int64_t offset;
    uint64_t reserved;
    uint32_t flags, event_fd;
};
_Static_assert(sizeof(struct linux_iocb) == 64, "struct iocb");

struct linux_io_event {
    uint64_t data, object;
    int64_t result, result2;
};
_Static_assert(sizeof(struct linux_io_event) == 32, "struct io_event");
