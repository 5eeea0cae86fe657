/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * first_answer ADDRESS PORT SECONDS REQUEST: in dom0, when a server that is only coming up first answers REQUEST.
 *
 * Prints CLOCK_MONOTONIC in nanoseconds, to be held against unpaused_ns of the guest's result, which is the same clock. A lost SYN
 * is only repeated after a second, so one connection would measure in seconds: a new one is begun each STEP_MS, and the old ones
 * go on (ATTEMPTS of them at most). The first one that is open asks, and its first byte is the answer. dom0 must know the
 * guest's MAC already (ip neigh replace), as questions for it are also repeated only each second. The request is given as printf(1) would
 * take it: \r and \n are understood. Exit status 1 when SECONDS have passed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 10
#define ATTEMPTS 100

static struct pollfd attempts[ATTEMPTS];
static bool asked[ATTEMPTS];

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t unescape(char *text)
{
    char *to = text;

    for (const char *c = text; *c != '\0'; c++) {
        if (c[0] == '\\' && (c[1] == 'r' || c[1] == 'n'))
            *to++ = *++c == 'r' ? '\r' : '\n';
        else
            *to++ = *c;
    }
    *to = '\0';
    return (size_t)(to - text);
}

static void attempt_end(size_t i)
{
    close(attempts[i].fd);
    attempts[i].fd = -1;
}

static void attempt_begin(size_t i, const struct sockaddr_in *address)
{
    if (attempts[i].fd >= 0)
        attempt_end(i);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    attempts[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
    asked[i] = false;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno != EINPROGRESS)
        attempt_end(i);
}

/* Returns whether the answer is there. */
static bool attempt_go_on(size_t i, const char *request, size_t length)
{
    char byte;

    if ((attempts[i].revents & (POLLERR | POLLHUP)) != 0 && !asked[i])
        attempt_end(i);
    else if (!asked[i]) {
        asked[i] = true;
        attempts[i].events = POLLIN;
        if (length == 0)
            return true;
        if (write(attempts[i].fd, request, length) != (ssize_t)length)
            attempt_end(i);
    } else {
        if (read(attempts[i].fd, &byte, 1) == 1)
            return true;
        attempt_end(i);
    }
    return false;
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    size_t next = 0;

    if (count != 5 || inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) {
        fprintf(stderr, "usage: first_answer ADDRESS PORT SECONDS REQUEST\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(arguments[2]));
    size_t length = unescape(arguments[4]);
    uint64_t end_ns = now_ns() + strtoull(arguments[3], NULL, 10) * 1000000000u;
    uint64_t step_ns = 0;
    for (size_t i = 0; i < ATTEMPTS; i++)
        attempts[i].fd = -1;
    while (now_ns() < end_ns) {
        if (now_ns() >= step_ns) {
            attempt_begin(next, &address);
            next = (next + 1) % ATTEMPTS;
            step_ns = now_ns() + STEP_MS * 1000000u;
        }
        if (poll(attempts, ATTEMPTS, STEP_MS) <= 0)
            continue;
        for (size_t i = 0; i < ATTEMPTS; i++)
            if (attempts[i].fd >= 0 && attempts[i].revents != 0 && attempt_go_on(i, arguments[4], length)) {
                printf("%llu\n", (unsigned long long)now_ns());
                return 0;
            }
    }
    fprintf(stderr, "first_answer: no answer from %s port %s in %s s\n", arguments[1], arguments[2], arguments[3]);
    return 1;
}
