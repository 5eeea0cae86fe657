/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets: unix ones of each type, descriptors and credentials in messages, TCP and UDP over the loopback, options, and the
 * errors of each call.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static int pair[2];
static char buffer[256];

static void pairs(void)
{
    is(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0, "socketpair");
    is(send(pair[0], "hello", 5, 0), 5, "send");
    is(recv(pair[1], buffer, 3, MSG_PEEK), 3, "peek");
    is(recv(pair[1], buffer, sizeof(buffer), 0), 5, "recv");
    ok(memcmp(buffer, "hello", 5) == 0, "its bytes");
    fails(recv(pair[1], buffer, 1, MSG_DONTWAIT), EAGAIN, "recv of nothing");
    int pending;
    send(pair[0], "abc", 3, 0);
    ioctl(pair[1], FIONREAD, &pending);
    is(pending, 3, "FIONREAD");
    is(shutdown(pair[0], SHUT_WR), 0, "shutdown");
    recv(pair[1], buffer, 3, 0);
    is(recv(pair[1], buffer, 1, 0), 0, "recv at the end");
    fails(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE, "send after shutdown");
    close(pair[1]);
    close(pair[0]);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    send(pair[0], "first", 5, 0);
    send(pair[0], "second", 6, 0);
    is(recv(pair[1], buffer, 2, 0), 2, "a datagram cut short");
    is(recv(pair[1], buffer, sizeof(buffer), MSG_TRUNC), 6, "the next one");
    send(pair[0], "long datagram", 13, 0);
    is(recv(pair[1], buffer, 4, MSG_TRUNC), 13, "MSG_TRUNC tells the whole length");
    close(pair[0]);
    close(pair[1]);
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
    is(fcntl(pair[0], F_GETFL), O_RDWR | O_NONBLOCK, "SOCK_NONBLOCK");
    is(fcntl(pair[0], F_GETFD), FD_CLOEXEC, "SOCK_CLOEXEC");
    fails(recv(pair[0], buffer, 1, 0), EAGAIN, "recv on it");
    close(pair[1]);
    is(recv(pair[0], buffer, 1, 0), 0, "recv without a peer");
    close(pair[0]);
    fails(socketpair(AF_INET, SOCK_STREAM, 0, pair), EOPNOTSUPP, "socketpair of AF_INET");
    fails(socket(AF_UNIX, 77, 0), EINVAL, "an unknown type");
    fails(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT, "an unknown family");
    fails(socket(AF_UNIX, SOCK_STREAM | 0x100000, 0), EINVAL, "an unknown flag");
    fails(send(0, "x", 1, 0), ENOTSOCK, "send on what is no socket");
    fails(send(99, "x", 1, 0), EBADF, "send on a bad descriptor");
}

static void in_messages(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 4) + CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    int ends[2], on = 1;
    struct iovec data = { "m", 1 }, room = { buffer, sizeof(buffer) };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(2 * sizeof(int)) };
    pipe(ends);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    memset(&control, 0, sizeof(control));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), ends, sizeof(ends));
    is(sendmsg(pair[0], &message, 0), 1, "sendmsg with two descriptors");
    message = (struct msghdr){ .msg_iov = &room, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };
    is(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), 1, "recvmsg");
    header = CMSG_FIRSTHDR(&message);
    ok(header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(2 * sizeof(int)), "they came");
    int got[2] = { -1, -1 };
    memcpy(got, CMSG_DATA(header), sizeof(got));
    is(fcntl(got[0], F_GETFD), FD_CLOEXEC, "closed by exec");
    is(message.msg_flags & ~MSG_CMSG_CLOEXEC, 0, "flags");
    write(got[1], "through", 7);
    is(read(ends[0], buffer, sizeof(buffer)), 7, "they are the same pipe");
    close(got[0]);
    close(got[1]);
    int bad = 99;
    message = (struct msghdr){ .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(sizeof(int)) };
    header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(header), &bad, sizeof(bad));
    fails(sendmsg(pair[0], &message, 0), EBADF, "a closed descriptor");
    header->cmsg_len = 3;
    fails(sendmsg(pair[0], &message, 0), EINVAL, "a header that is too short");
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
    sendmsg(pair[0], &message, 0);
    message = (struct msghdr){ .msg_iov = &room, .msg_iovlen = 1 };
    is(recvmsg(pair[1], &message, 0), 1, "recvmsg without room for them");
    is(message.msg_flags, MSG_CTRUNC, "says so");
    is(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0, "SO_PASSCRED");
    send(pair[0], "c", 1, 0);
    message = (struct msghdr){ .msg_iov = &room, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };
    recvmsg(pair[1], &message, 0);
    header = CMSG_FIRSTHDR(&message);
    struct ucred who = { 0 };
    if (header && header->cmsg_type == SCM_CREDENTIALS)
        memcpy(&who, CMSG_DATA(header), sizeof(who));
    ok(who.pid == getpid() && who.uid == getuid() && who.gid == getgid(), "credentials");
    socklen_t length = sizeof(who);
    memset(&who, 0, sizeof(who));
    is(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &length), 0, "SO_PEERCRED");
    ok(who.pid == getpid() && length == sizeof(who), "it says who");
    close(pair[0]);
    close(pair[1]);
    close(ends[0]);
    close(ends[1]);
}

static void named(void)
{
    struct sockaddr_un name = { AF_UNIX, "socket" }, got;
    struct stat status;
    socklen_t length = sizeof(got);
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(connect(client, (struct sockaddr *)&name, sizeof(name)), ENOENT, "connect to nothing");
    is(bind(server, (struct sockaddr *)&name, sizeof(name)), 0, "bind");
    stat("socket", &status);
    is(status.st_mode & S_IFMT, S_IFSOCK, "the type of its name");
    struct sockaddr_un another = { AF_UNIX, "another" };
    fails(bind(server, (struct sockaddr *)&another, sizeof(another)), EINVAL, "bind again");
    int second = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(bind(second, (struct sockaddr *)&name, sizeof(name)), EADDRINUSE, "bind of a name in use");
    close(second);
    fails(connect(client, (struct sockaddr *)&name, sizeof(name)), ECONNREFUSED, "connect before listen");
    is(listen(server, 5), 0, "listen");
    is(connect(client, (struct sockaddr *)&name, sizeof(name)), 0, "connect");
    fails(connect(client, (struct sockaddr *)&name, sizeof(name)), EISCONN, "connect again");
    int peer = accept4(server, (struct sockaddr *)&got, &length, SOCK_CLOEXEC);
    ok(peer >= 0, "accept4");
    is(length, 2, "the length of a nameless peer");
    length = sizeof(got);
    is(getpeername(client, (struct sockaddr *)&got, &length), 0, "getpeername");
    ok(strcmp(got.sun_path, "socket") == 0 && length == 2 + 7, "its name");
    fails(accept4(server, NULL, NULL, 1), EINVAL, "accept4 with an unknown flag");
    fcntl(server, F_SETFL, O_NONBLOCK);
    fails(accept(server, NULL, NULL), EAGAIN, "accept of nobody");
    fails(accept(client, NULL, NULL), EINVAL, "accept on what does not listen");
    int value = 0;
    length = sizeof(value);
    getsockopt(server, SOL_SOCKET, SO_ACCEPTCONN, &value, &length);
    is(value, 1, "SO_ACCEPTCONN");
    getsockopt(server, SOL_SOCKET, SO_TYPE, &value, &length);
    is(value, SOCK_STREAM, "SO_TYPE");
    getsockopt(server, SOL_SOCKET, SO_DOMAIN, &value, &length);
    is(value, AF_UNIX, "SO_DOMAIN");
    close(peer);
    close(client);
    close(server);
    unlink("socket");
    struct sockaddr_un abstract = { AF_UNIX, "\0abstract-abi-test" };
    server = socket(AF_UNIX, SOCK_DGRAM, 0);
    is(bind(server, (struct sockaddr *)&abstract, 2 + 18), 0, "bind of an abstract name");
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    is(sendto(client, "to it", 5, 0, (struct sockaddr *)&abstract, 2 + 18), 5, "sendto it");
    is(recv(server, buffer, sizeof(buffer), 0), 5, "it came");
    close(server);
    fails(sendto(client, "x", 1, 0, (struct sockaddr *)&abstract, 2 + 18), ECONNREFUSED, "sendto after its end");
    close(client);
}

static int listen_on_loopback(struct sockaddr_in *address)
{
    socklen_t length = sizeof(*address);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){ AF_INET, 0, { htonl(INADDR_LOOPBACK) }, { 0 } };
    is(bind(server, (struct sockaddr *)address, sizeof(*address)), 0, "bind to the loopback");
    is(listen(server, 8), 0, "listen");
    is(getsockname(server, (struct sockaddr *)address, &length), 0, "getsockname");
    ok(address->sin_port != 0 && length == sizeof(*address), "it has a port");
    return server;
}

static void streams(void)
{
    struct sockaddr_in address, peer_address;
    socklen_t length = sizeof(peer_address);
    int server = listen_on_loopback(&address), client = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    fails(send(client, "x", 1, MSG_NOSIGNAL), EPIPE, "send before connect");
    fails(recv(client, buffer, 1, 0), ENOTCONN, "recv before connect");
    is(connect(client, (struct sockaddr *)&address, sizeof(address)), 0, "connect");
    int peer = accept(server, (struct sockaddr *)&peer_address, &length);
    ok(peer >= 0 && peer_address.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "accept");
    is(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0, "TCP_NODELAY");
    is(write(client, "over tcp", 8), 8, "write");
    is(recv(peer, buffer, 8, MSG_WAITALL), 8, "recv");
    ok(memcmp(buffer, "over tcp", 8) == 0, "its bytes");
    struct pollfd item = { .fd = peer, .events = POLLIN | POLLOUT | POLLRDHUP };
    poll(&item, 1, 0);
    is(item.revents, POLLOUT, "it can be written");
    shutdown(client, SHUT_WR);
    poll(&item, 1, 2000);
    item.events = POLLIN | POLLRDHUP;
    poll(&item, 1, 2000);
    is(item.revents, POLLIN | POLLRDHUP, "the other side is done writing");
    is(recv(peer, buffer, 1, 0), 0, "recv at the end");
    is(write(peer, "back", 4), 4, "it can still write");
    is(recv(client, buffer, 4, MSG_WAITALL), 4, "which is received");
    close(peer);
    close(client);
    close(server);
    client = socket(AF_INET, SOCK_STREAM, 0);
    fails(connect(client, (struct sockaddr *)&address, sizeof(address)), ECONNREFUSED, "connect where nobody listens");
    close(client);
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    fails(connect(client, (struct sockaddr *)&address, 4), EINVAL, "connect with a short address");
    close(client);
}

static void datagrams(void)
{
    struct sockaddr_in address = { AF_INET, 0, { htonl(INADDR_LOOPBACK) }, { 0 } }, from;
    socklen_t length = sizeof(address);
    int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
    bind(server, (struct sockaddr *)&address, sizeof(address));
    getsockname(server, (struct sockaddr *)&address, &length);
    is(sendto(client, "datagram", 8, 0, (struct sockaddr *)&address, sizeof(address)), 8, "sendto");
    length = sizeof(from);
    is(recvfrom(server, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length), 8, "recvfrom");
    ok(from.sin_family == AF_INET && length == sizeof(from), "from whom");
    fails(send(client, "x", 1, 0), EDESTADDRREQ, "send without an address");
    is(connect(client, (struct sockaddr *)&address, sizeof(address)), 0, "connect");
    struct iovec pieces[2] = { { "a", 1 }, { "bc", 2 } };
    struct mmsghdr many[2] = { { .msg_hdr = { .msg_iov = pieces, .msg_iovlen = 2 } }, { .msg_hdr = { .msg_iov = pieces, .msg_iovlen = 1 } } };
    is(sendmmsg(client, many, 2, 0), 2, "sendmmsg");
    is(many[0].msg_len * 10 + many[1].msg_len, 31, "what each sent");
    struct iovec rooms[2] = { { buffer, 64 }, { buffer + 64, 64 } };
    struct mmsghdr got[2] = { { .msg_hdr = { .msg_iov = &rooms[0], .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = &rooms[1], .msg_iovlen = 1 } } };
    is(recvmmsg(server, got, 2, 0, NULL), 2, "recvmmsg");
    is(got[0].msg_len * 10 + got[1].msg_len, 31, "what each received");
    fails(recv(server, buffer, 1, MSG_DONTWAIT), EAGAIN, "recv of nothing");
    struct timeval soon = { 0, 10000 };
    is(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0, "SO_RCVTIMEO");
    fails(recv(server, buffer, 1, 0), EAGAIN, "recv after that time");
    int size = 0;
    length = sizeof(size);
    is(getsockopt(server, SOL_SOCKET, SO_RCVBUF, &size, &length), 0, "SO_RCVBUF");
    ok(size > 1000, "it is not small");
    getsockopt(server, SOL_SOCKET, SO_ERROR, &size, &length);
    is(size, 0, "SO_ERROR");
    fails(getsockopt(server, SOL_SOCKET, 9999, &size, &length), ENOPROTOOPT, "an unknown option");
    fails(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &size, 1), EINVAL, "an option of one byte");
    fails(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, BAD, 4), EFAULT, "an option at a bad address");
    is(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &size, sizeof(size)), 0, "SO_REUSEADDR");
    fails(listen(server, 1), EOPNOTSUPP, "listen on a datagram socket");
    fails(shutdown(server, 9), EINVAL, "shutdown of an unknown kind");
    close(client);
    close(server);
}

static volatile int pipe_signals;

static void on_pipe(int number)
{
    (void)number;
    pipe_signals++;
}

static void signals(void)
{
    signal(SIGPIPE, on_pipe);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    close(pair[1]);
    fails(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE, "MSG_NOSIGNAL");
    is(pipe_signals, 0, "no SIGPIPE");
    fails(send(pair[0], "x", 1, 0), EPIPE, "send");
    is(pipe_signals, 1, "SIGPIPE");
    fails(write(pair[0], "x", 1), EPIPE, "write");
    is(pipe_signals, 2, "SIGPIPE");
    close(pair[0]);
}

int main(void)
{
    char directory[64];
    work_in_fresh_directory(directory, sizeof(directory));
    pairs();
    in_messages();
    named();
    streams();
    datagrams();
    signals();
    int failed = done();
    return chdir("/") || rmdir(directory) || failed;
}
