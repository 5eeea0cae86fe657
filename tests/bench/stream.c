/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bulk TCP, one connection at a time.
 *
 *   stream serve PORT                          in the guest: serves connections one after the other, until it is killed
 *   stream send|receive ADDRESS PORT BYTES     in dom0: moves so many bytes, and prints the rate, "12.345" in MB/s (10^6)
 *
 * A connection opens with a header of 9 bytes: 's' or 'r' as the client's verb, and the count, big endian. The receiver counts what
 * it gets and answers with one byte once it has all; only then the clock of either direction stops. A connection without a header
 * (somebody who looks whether the server is there) is closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES 65536u
#define HEADER_BYTES 9
#define LIMIT_BYTES (1ull << 40)

static unsigned char block[BLOCK_BYTES];

static bool put_all(int fd, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

static bool get_all(int fd, unsigned char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t got = read(fd, bytes, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        length -= (size_t)got;
    }
    return true;
}

/* The sender's side, up to the receiver's word that all has come. */
static bool bytes_send(int fd, uint64_t count)
{
    while (count > 0) {
        size_t part = count < BLOCK_BYTES ? (size_t)count : BLOCK_BYTES;
        if (!put_all(fd, block, part))
            return false;
        count -= part;
    }
    return get_all(fd, block, 1);
}

static bool bytes_receive(int fd, uint64_t count)
{
    while (count > 0) {
        ssize_t got = read(fd, block, count < BLOCK_BYTES ? (size_t)count : BLOCK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        count -= (uint64_t)got;
    }
    return put_all(fd, block, 1);
}

static void connection_serve(int fd)
{
    unsigned char header[HEADER_BYTES];
    uint64_t count = 0;

    if (!get_all(fd, header, sizeof(header)))
        return;
    for (int i = 1; i < HEADER_BYTES; i++)
        count = count << 8 | header[i];
    if (count > LIMIT_BYTES)
        return;
    if (header[0] == 's')
        bytes_receive(fd, count);
    else if (header[0] == 'r')
        bytes_send(fd, count);
}

static int serve(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0) {
        fprintf(stderr, "stream: cannot listen on port %u: %s\n", port, strerror(errno));
        return 1;
    }
    for (;;) {
        int connection = accept(fd, NULL, NULL);
        if (connection < 0 && errno != EINTR && errno != ECONNABORTED) {
            fprintf(stderr, "stream: accept: %s\n", strerror(errno));
            return 1;
        }
        if (connection >= 0) {
            connection_serve(connection);
            close(connection);
        }
    }
}

static int move(char verb, const char *host, uint16_t port, uint64_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    unsigned char header[HEADER_BYTES] = {(unsigned char)verb};
    struct timespec start, end;

    for (int i = 1; i < HEADER_BYTES; i++)
        header[i] = (unsigned char)(count >> (8 * (HEADER_BYTES - 1 - i)));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fprintf(stderr, "stream: cannot reach %s port %u: %s\n", host, port, strerror(errno));
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (!put_all(fd, header, sizeof(header)) || !(verb == 's' ? bytes_send(fd, count) : bytes_receive(fd, count))) {
        fprintf(stderr, "stream: the connection to %s broke off: %s\n", host, strerror(errno));
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double took = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%.3f\n", (double)count / took / 1e6);
    return 0;
}

int main(int count, char **arguments)
{
    signal(SIGPIPE, SIG_IGN);
    if (count == 3 && strcmp(arguments[1], "serve") == 0)
        return serve((uint16_t)atoi(arguments[2]));
    if (count == 5 && (strcmp(arguments[1], "send") == 0 || strcmp(arguments[1], "receive") == 0))
        return move(arguments[1][0], arguments[2], (uint16_t)atoi(arguments[3]), strtoull(arguments[4], NULL, 10));
    fprintf(stderr, "usage: stream serve PORT | stream send|receive ADDRESS PORT BYTES\n");
    return 2;
}
