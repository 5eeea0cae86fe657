/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the Linux ABI has state of its own, in the order in which it is made ready.
 */
#include "kernel/linux/linux.h"

#include "kernel/linux/async_io.h"
#include "kernel/linux/message_queue.h"
#include "kernel/linux/sysv_ipc.h"

int linux_init(void)
{
    int error = shared_memory_init();
    if (!error)
        error = semaphores_init();
    if (!error)
        error = messages_init();
    if (!error)
        error = message_queues_init();
    if (!error)
        error = async_io_init();
    return error;
}
