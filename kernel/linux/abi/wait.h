/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of wait4 and waitid.
 */
#pragma once

#define WAIT_TYPE_ALL 0
#define WAIT_TYPE_PID 1
#define WAIT_TYPE_GROUP 2
#define WAIT_TYPE_PIDFD 3

#define WAIT_NO_HANG 1u
#define WAIT_STOPPED 2u
#define WAIT_EXITED 4u
#define WAIT_CONTINUED 8u
#define WAIT_NO_WAIT 0x01000000u
#define WAIT_NO_THREAD 0x20000000u
#define WAIT_ALL_CHILDREN 0x40000000u
#define WAIT_CLONE 0x80000000u
