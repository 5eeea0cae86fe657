/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwards of TCP ports of this machine to a guest, on a Xen host; in the lab QEMU does it.
 *
 * One process for each published port: it listens on 127.0.0.1, and for each connection makes one to the guest, at the address
 * that the guest has told in xenstore (read by the parent, handed over in a file). Bytes go through two pipes with splice(), both
 * directions in one epoll loop; the end of one direction is passed on as such (shutdown), so half-closed connections work.
 *
 *   client socket <--> pipe <--> guest socket
 */
#include "tools/dom0-agent/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/base/text.h"

#define SPLICE_BYTES 65536
#define EVENTS 64

/* One direction of a connection. */
struct flow {
    int pipe_fds[2];
    size_t held; /* bytes in the pipe */
    bool ended; /* the source has nothing more */
    bool passed; /* and the sink was told */
};

struct connection {
    int fds[2]; /* client, guest */
    struct flow flows[2]; /* flows[i] goes from fds[i] to fds[1 - i] */
    bool dead;
};

static void connection_close(struct connection *connection)
{
    for (int i = 0; i < 2; i++) {
        if (connection->fds[i] >= 0)
            close(connection->fds[i]);
        if (connection->flows[i].pipe_fds[0] >= 0) {
            close(connection->flows[i].pipe_fds[0]);
            close(connection->flows[i].pipe_fds[1]);
        }
    }
    free(connection);
}

static struct connection *connection_open(int client_fd, const char *address, uint16_t port, int epoll_fd)
{
    struct sockaddr_in guest = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.fds = {client_fd, -1}, .flows = {{.pipe_fds = {-1, -1}}, {.pipe_fds = {-1, -1}}}};
    connection->fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool good = connection->fds[1] >= 0 && inet_pton(AF_INET, address, &guest.sin_addr) == 1 &&
        (connect(connection->fds[1], (struct sockaddr *)&guest, sizeof(guest)) == 0 || errno == EINPROGRESS);
    for (int i = 0; good && i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
        good = pipe2(connection->flows[i].pipe_fds, O_NONBLOCK | O_CLOEXEC) == 0 &&
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fds[i], &event) == 0;
    }
    if (good)
        return connection;
    connection_close(connection);
    return NULL;
}

/* Moves what can be moved from one socket to the other. Returns false when the connection broke. */
static bool flow_move(struct flow *flow, int from_fd, int to_fd)
{
    for (;;) {
        bool moved = false;
        if (!flow->ended && flow->held < SPLICE_BYTES) {
            ssize_t got = splice(from_fd, NULL, flow->pipe_fds[1], NULL, SPLICE_BYTES - flow->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (got > 0) {
                flow->held += (size_t)got;
                moved = true;
            } else if (got == 0)
                flow->ended = true;
            else if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
                return false;
        }
        if (flow->held > 0) {
            ssize_t put = splice(flow->pipe_fds[0], NULL, to_fd, NULL, flow->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (put > 0) {
                flow->held -= (size_t)put;
                moved = true;
            } else if (put < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
                return false;
        }
        if (flow->ended && flow->held == 0 && !flow->passed) {
            shutdown(to_fd, SHUT_WR);
            flow->passed = true;
        }
        if (!moved)
            return true;
    }
}

static bool connection_work(struct connection *connection)
{
    for (int i = 0; i < 2; i++)
        if (!flow_move(&connection->flows[i], connection->fds[i], connection->fds[1 - i]))
            return false;
    return !(connection->flows[0].passed && connection->flows[1].passed);
}

static void accept_all(int listen_fd, int epoll_fd, const char *address_path, uint16_t port)
{
    struct text address = {0};
    int fd;

    file_read(address_path, &address);
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        if (address.length == 0)
            close(fd); /* the guest has no address yet: refused, as by a host that is not up */
        else
            connection_open(fd, text_trim(address.bytes), port, epoll_fd);
    text_free(&address);
}

static void forward_loop(int listen_fd, const char *address_path, uint16_t port)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS];
    struct epoll_event event = {.events = EPOLLIN};

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        /* Both sockets of a connection may have an event: it is closed after the round. */
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL)
                accept_all(listen_fd, epoll_fd, address_path, port);
            else if (!connection->dead && ((events[i].events & EPOLLERR) != 0 || !connection_work(connection)))
                connection->dead = true;
        }
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL || !connection->dead)
                continue;
            for (int j = i + 1; j < count; j++)
                if (events[j].data.ptr == connection)
                    events[j].data.ptr = NULL;
            connection_close(connection);
        }
    }
}

/*
 * Starts the process that serves HOST:GUEST (TCP). address_path is a file that holds the guest's address once it has one.
 * Fails when the port is taken. The process ends with the caller.
 */
int forward_start(const char *publish, const char *address_path, pid_t *out)
{
    unsigned host_port;
    unsigned guest_port;
    int on = 1;

    if (strstr(publish, "/udp") != NULL)
        return report_error(0, "--publish %s: only TCP is forwarded on a Xen host; reach the guest by its own address", publish);
    if (sscanf(publish, "%u:%u", &host_port, &guest_port) != 2 || host_port > 65535 || guest_port > 65535)
        return report_error(0, "--publish %s: HOST:GUEST is wanted", publish);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)host_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return report_error(-errno, "cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0) {
        int error = report_error(-errno, "cannot publish port %u on 127.0.0.1", host_port);
        close(fd);
        return error;
    }
    pid_t parent = getpid();
    *out = fork();
    if (*out == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        signal(SIGPIPE, SIG_IGN);
        forward_loop(fd, address_path, (uint16_t)guest_port);
    }
    close(fd);
    return *out < 0 ? report_error(-errno, "cannot start the forwarder") : 0;
}
