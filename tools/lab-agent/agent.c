/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenolith-lab-agent: the lab's door into dom0.
 *
 *   usage: xenolith-lab-agent TOKEN-FILE
 *
 * Listens on TCP port 7777 of dom0, which QEMU forwards from a port of 127.0.0.1 outside, and starts the commands that
 * `xenolith lab exec` sends (frame.h, session.c). One process per connection. A command needs the token of TOKEN-FILE, since
 * other users of the machine outside can reach the forwarded port. Linked statically: dom0's image need not match the
 * machine it was built on.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/lab-agent/frame.h"
#include "tools/lab-agent/session.h"

static int token_read(const char *path, char token[FRAME_TOKEN_LENGTH + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, token, FRAME_TOKEN_LENGTH);
    close(fd);
    token[FRAME_TOKEN_LENGTH] = '\0';
    return got == FRAME_TOKEN_LENGTH ? 0 : -EINVAL;
}

static int listen_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(FRAME_AGENT_PORT)};
    int on = 1;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int main(int count, char **arguments)
{
    char token[FRAME_TOKEN_LENGTH + 1];
    int on = 1;

    if (count != 2) {
        fprintf(stderr, "usage: %s TOKEN-FILE\n", arguments[0]);
        return 125;
    }
    int error = token_read(arguments[1], token);
    if (error < 0) {
        fprintf(stderr, "%s: %s: %s\n", arguments[0], arguments[1], strerror(-error));
        return 125;
    }
    int listen_fd = listen_open();
    if (listen_fd < 0) {
        fprintf(stderr, "%s: port %d: %s\n", arguments[0], FRAME_AGENT_PORT, strerror(-listen_fd));
        return 125;
    }
    signal(SIGCHLD, SIG_IGN); /* sessions are reaped by the kernel */
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGCHLD, SIG_DFL);
            close(listen_fd);
            _exit(session_serve(fd, token) < 0 ? 1 : 0);
        }
        close(fd);
    }
}
