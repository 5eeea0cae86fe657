/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says that it is ready and waits for SIGTERM, upon which it says so and ends.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    puts("ready");
    fflush(stdout);
    sigwait(&set, &number);
    puts("terminated");
    return 0;
}
