/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases of micro.c: context switches, threads and processes.
 *
 * The switches are half a round trip between two that wait for each other, kept on one CPU, with everything made before the watch
 * starts: to make and reap the other one costs more than hundreds of switches.
 */
#include "tests/bench/micro.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

const char *micro_program_path;
char *micro_dynamic_path;

/* Keeps the caller, and whom it makes, on the first CPU that it may use; before gets what was. */
static int cpu_pin(cpu_set_t *before)
{
    cpu_set_t one;
    int cpu = 0;

    if (sched_getaffinity(0, sizeof(*before), before) < 0)
        return -errno;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

/* There and back; index 0 is read from. */
struct pipes {
    int there[2], back[2];
};

/* On one CPU from here on; before gets what was. */
static int pipes_open(struct pipes *pipes, cpu_set_t *before)
{
    int error = cpu_pin(before);

    if (error < 0)
        return error;
    return pipe(pipes->there) < 0 || pipe(pipes->back) < 0 ? -errno : 0;
}

static void *pipe_echo(void *argument)
{
    const struct pipes *pipes = argument;
    char byte;

    while (read(pipes->there[0], &byte, 1) == 1 && write(pipes->back[1], &byte, 1) == 1)
        ;
    return NULL;
}

static int byte_pass(const struct pipes *pipes, uint64_t count)
{
    char byte = 'x';

    while (count-- > 0)
        if (write(pipes->there[1], &byte, 1) != 1 || read(pipes->back[0], &byte, 1) != 1)
            return -EPIPE;
    return 0;
}

/* Once unwatched, so that the other one has come to its place. */
static int byte_pass_watched(const struct pipes *pipes, uint64_t count)
{
    int error = byte_pass(pipes, 1);

    watch_start();
    if (error == 0)
        error = byte_pass(pipes, count);
    watch_stop();
    return error;
}

/* Against a process of its own. */
int pipe_switch(uint64_t count)
{
    struct pipes pipes;
    cpu_set_t before;
    int error = pipes_open(&pipes, &before);

    if (error < 0)
        return error;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        close(pipes.there[1]);
        close(pipes.back[0]);
        pipe_echo(&pipes);
        _exit(0);
    }
    close(pipes.there[0]);
    close(pipes.back[1]);
    error = byte_pass_watched(&pipes, count);
    close(pipes.there[1]);
    close(pipes.back[0]);
    waitpid(pid, NULL, 0);
    sched_setaffinity(0, sizeof(before), &before);
    return error;
}

/* Against a thread of the same process. */
int pipe_switch_thread(uint64_t count)
{
    struct pipes pipes;
    cpu_set_t before;
    pthread_t thread;
    int error = pipes_open(&pipes, &before);

    if (error < 0)
        return error;
    error = -pthread_create(&thread, NULL, pipe_echo, &pipes);
    if (error == 0)
        error = byte_pass_watched(&pipes, count);
    close(pipes.there[1]);
    if (error == 0)
        error = -pthread_join(thread, NULL);
    close(pipes.there[0]);
    close(pipes.back[0]);
    close(pipes.back[1]);
    sched_setaffinity(0, sizeof(before), &before);
    return error;
}

static _Atomic uint32_t futex_turn;

static void turn_await(uint32_t wanted)
{
    uint32_t seen;

    while ((seen = atomic_load(&futex_turn)) != wanted)
        syscall(SYS_futex, &futex_turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void turn_give(uint32_t next)
{
    atomic_store(&futex_turn, next);
    syscall(SYS_futex, &futex_turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_echo(void *argument)
{
    for (uint64_t left = *(uint64_t *)argument; left > 0; left--) {
        turn_await(1);
        turn_give(0);
    }
    return NULL;
}

int futex_switch(uint64_t count)
{
    uint64_t rounds = count + 1;
    cpu_set_t before;
    pthread_t thread;
    int error = cpu_pin(&before);

    if (error < 0)
        return error;
    error = -pthread_create(&thread, NULL, futex_echo, &rounds);
    if (error == 0) {
        turn_give(1);
        turn_await(0);
        watch_start();
        while (count-- > 0) {
            turn_give(1);
            turn_await(0);
        }
        watch_stop();
        pthread_join(thread, NULL);
    }
    sched_setaffinity(0, sizeof(before), &before);
    return error;
}

static void *thread_body(void *argument)
{
    return argument;
}

int thread_create_join(uint64_t count)
{
    pthread_t thread;

    while (count-- > 0) {
        int error = pthread_create(&thread, NULL, thread_body, NULL);
        if (error != 0 || (error = pthread_join(thread, NULL)) != 0)
            return -error;
    }
    return 0;
}

static int child_wait(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

int fork_exit(uint64_t count)
{
    for (int error; count-- > 0;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if ((error = child_wait(pid)) < 0)
            return error;
    }
    return 0;
}

int fork_exec(uint64_t count)
{
    char *const arguments[] = {(char *)(uintptr_t)micro_program_path, "--nothing", NULL};

    for (int error; count-- > 0;) {
        pid_t pid = fork();
        if (pid == 0) {
            execv(micro_program_path, arguments);
            _exit(127);
        }
        if ((error = child_wait(pid)) < 0)
            return error;
    }
    return 0;
}

/*
 * A program with an interpreter and libraries, which tells its version and ends. At the same addresses each time: an emulator translates code anew
 * for each new place, which takes ten times what exec does.
 */
int spawn_dynamic(uint64_t count)
{
    char *const arguments[] = {micro_dynamic_path, (char *)(uintptr_t)"-V", NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    int before = personality(ADDR_NO_RANDOMIZE);
    int error = -posix_spawn_file_actions_init(&actions);
    if (error == 0)
        error = -posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    while (error == 0 && count-- > 0) {
        error = -posix_spawn(&pid, micro_dynamic_path, &actions, NULL, arguments, environment);
        if (error == 0)
            error = child_wait(pid);
    }
    posix_spawn_file_actions_destroy(&actions);
    personality((unsigned long)before);
    return error;
}
