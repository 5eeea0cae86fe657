/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/net on the host: sockets over loopback, unix sockets, netlink, options.
 */
#include "tests/unit/net_sockets.h"

/* ---- TCP over loopback ---- */

static void tcp_talks(void **state)
{
    struct file *ends[2];
    char buffer[64];

    tcp_pair(ends);
    assert_int_equal(send_bytes(ends[0], "hello", 5, 0), 5);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), MSG_PEEK), 5);
    assert_int_equal(receive_bytes(ends[1], buffer, 2, 0), 2);
    assert_int_equal(receive_bytes(ends[1], buffer + 2, sizeof(buffer) - 2, 0), 3);
    assert_memory_equal(buffer, "hello", 5);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(get_int(ends[0], SOL_SOCKET, SO_ERROR), 0);
    assert_int_equal(get_int(ends[0], SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    file_release(ends[0]);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), 0), 0);
    file_release(ends[1]);
}

static void tcp_half_closes(void **state)
{
    struct file *ends[2];
    char buffer[64];

    tcp_pair(ends);
    assert_int_equal(send_bytes(ends[0], "request", 7, 0), 7);
    assert_int_equal(socket_shutdown(ends[0], SHUT_WR), 0);
    assert_int_equal(send_bytes(ends[0], "x", 1, MSG_NOSIGNAL), -EPIPE);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), MSG_WAITALL), 7);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), 0), 0);
    assert_int_equal(send_bytes(ends[1], "answer", 6, 0), 6);
    file_release(ends[1]);
    assert_int_equal(receive_bytes(ends[0], buffer, sizeof(buffer), 0), 6);
    assert_int_equal(receive_bytes(ends[0], buffer, sizeof(buffer), 0), 0);
    assert_true(file_poll(ends[0], NULL) & POLL_HANGUP);
    file_release(ends[0]);
}

static void tcp_resets(void **state)
{
    struct file *ends[2];
    char buffer[8];

    tcp_pair(ends);
    assert_int_equal(send_bytes(ends[0], "unread", 6, 0), 6);
    file_release(ends[1]); /* with data unread: a reset */
    assert_true(file_poll(ends[0], NULL) & POLL_ERROR);
    assert_int_equal(receive_bytes(ends[0], buffer, sizeof(buffer), 0), -ECONNRESET);
    assert_int_equal(receive_bytes(ends[0], buffer, sizeof(buffer), 0), 0);
    assert_int_equal(send_bytes(ends[0], "x", 1, 0), -EPIPE);
    file_release(ends[0]);
}

static void tcp_refuses(void **state)
{
    struct file *file = socket_new(AF_INET, SOCK_STREAM);
    assert_int_equal(file_poll(file, NULL) & (POLL_OUT | POLL_HANGUP), POLL_OUT | POLL_HANGUP);
    assert_int_equal(connect_v4(file, LOOPBACK, 1), -ECONNREFUSED);
    file_set_flags(file, FILE_NONBLOCK);
    assert_int_equal(connect_v4(file, LOOPBACK, 1), -EINPROGRESS);
    assert_int_equal(get_int(file, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    file_release(file);
}

static void tcp_connects_without_blocking(void **state)
{
    struct file *listener = listener_v4(LOOPBACK, 0, 1), *file = socket_new(AF_INET, SOCK_STREAM), *accepted;
    uint16_t port = port_of(listener);

    file_set_flags(file, FILE_NONBLOCK);
    file_set_flags(listener, FILE_NONBLOCK);
    assert_int_equal(socket_accept(listener, 0, &accepted, NULL, NULL), -EAGAIN);
    assert_int_equal(connect_v4(file, LOOPBACK, port), -EINPROGRESS);
    assert_true(file_poll(file, NULL) & POLL_OUT);
    assert_int_equal(get_int(file, SOL_SOCKET, SO_ERROR), 0);
    assert_true(file_poll(listener, NULL) & POLL_IN);
    assert_int_equal(connect_v4(file, LOOPBACK, port), 0);
    assert_int_equal(connect_v4(file, LOOPBACK, port), -EISCONN);
    uint8_t name[128];
    size_t length = sizeof(name);
    assert_int_equal(socket_accept(listener, 0, &accepted, name, &length), 0);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    file_release(accepted);
    file_release(file);
    file_release(listener);
}

static void tcp_carries_much(void **state)
{
    struct file *ends[2];

    tcp_pair(ends);
    struct transfer transfer = {.file = ends[0], .bytes = 20u << 20};
    transfer_start(&transfer);
    assert_int_equal(transfer_receive(ends[1]), transfer.bytes);
    while (!transfer.done)
        thread_yield();
    assert_true(transfer.good);
    file_release(ends[0]);
    file_release(ends[1]);
}

static void tcp_holds_back(void **state)
{
    struct file *ends[2];
    static uint8_t bytes[65536];
    size_t sent = 0;

    tcp_pair(ends);
    set_int(ends[0], SOL_SOCKET, SO_SNDBUF, 65536);
    assert_int_equal(get_int(ends[0], SOL_SOCKET, SO_SNDBUF), 131072);
    for (long part; (part = send_bytes(ends[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0;)
        sent += (size_t)part;
    assert_int_equal(send_bytes(ends[0], bytes, 1, MSG_DONTWAIT), -EAGAIN);
    assert_true(sent < 8u << 20);
    assert_false(file_poll(ends[0], NULL) & POLL_OUT);
    size_t got = 0;
    for (long part; (part = receive_bytes(ends[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0;)
        got += (size_t)part;
    assert_int_equal(got, sent);
    assert_true(file_poll(ends[0], NULL) & POLL_OUT);
    file_release(ends[0]);
    file_release(ends[1]);
}

static void many_small_segments_are_gathered(void **state)
{
    struct file *ends[2];
    uint8_t byte;

    tcp_pair(ends);
    set_int(ends[0], SOL_TCP, TCP_NODELAY, 1);
    size_t before = host_objects_in_use();
    for (unsigned int i = 0; i < 5000; i++) {
        byte = pattern(i);
        assert_int_equal(send_bytes(ends[0], &byte, 1, 0), 1);
    }
    assert_true(host_objects_in_use() < before + 100);
    for (unsigned int i = 0; i < 5000; i++) {
        assert_int_equal(receive_bytes(ends[1], &byte, 1, 0), 1);
        assert_int_equal(byte, pattern(i));
    }
    file_release(ends[0]);
    file_release(ends[1]);
}

static void cork_holds_partial_segments(void **state)
{
    struct file *ends[2];
    char buffer[8];

    tcp_pair(ends);
    assert_int_equal(set_int(ends[0], SOL_TCP, TCP_CORK, 1), 0);
    assert_int_equal(send_bytes(ends[0], "abc", 3, 0), 3);
    assert_int_equal(receive_bytes(ends[1], buffer, 8, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(set_int(ends[0], SOL_TCP, TCP_CORK, 0), 0);
    assert_int_equal(receive_bytes(ends[1], buffer, 8, MSG_DONTWAIT), 3);
    assert_int_equal(send_bytes(ends[0], "abc", 3, MSG_MORE), 3);
    assert_int_equal(send_bytes(ends[0], "def", 3, 0), 3);
    assert_int_equal(receive_bytes(ends[1], buffer, 8, MSG_DONTWAIT), 6);
    file_release(ends[0]);
    file_release(ends[1]);
}

/* ---- Ports ---- */

static void addresses_in_use_are_told(void **state)
{
    struct file *listener = listener_v4(LOOPBACK, 0, 1), *other = socket_new(AF_INET, SOCK_STREAM);
    uint16_t port = port_of(listener);

    assert_int_equal(bind_v4(other, LOOPBACK, port), -EADDRINUSE);
    assert_int_equal(bind_v4(other, 0, port), -EADDRINUSE);
    set_int(other, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_int_equal(bind_v4(other, LOOPBACK, port), -EADDRINUSE); /* it listens */
    assert_int_equal(bind_v4(other, 0x0a0b0c0du, port), -EADDRNOTAVAIL);
    assert_int_equal(bind_v4(other, 0x7f000002u, port), 0);
    assert_int_equal(bind_v4(other, 0x7f000002u, port), -EINVAL);
    assert_int_equal(socket_listen(other, 1, &identity), 0);
    file_release(other);

    /* An old connection keeps the port, but not from those who say SO_REUSEADDR. */
    struct file *client = socket_new(AF_INET, SOCK_STREAM);
    assert_int_equal(connect_v4(client, LOOPBACK, port), 0);
    struct file *accepted = accept_one(listener);
    file_release(listener);
    file_release(accepted); /* closes first: TIME_WAIT is here */
    file_release(client);
    other = socket_new(AF_INET, SOCK_STREAM);
    assert_int_equal(bind_v4(other, LOOPBACK, port), -EADDRINUSE);
    set_int(other, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_int_equal(bind_v4(other, LOOPBACK, port), 0);
    assert_int_equal(socket_listen(other, 1, &identity), 0);
    file_release(other);
}

static void listeners_share_a_port(void **state)
{
    struct file *listeners[2];
    unsigned int accepted_by[2] = {0, 0};
    uint16_t port = 0;

    for (unsigned int i = 0; i < 2; i++) {
        listeners[i] = socket_new(AF_INET, SOCK_STREAM);
        assert_int_equal(set_int(listeners[i], SOL_SOCKET, SO_REUSEPORT, 1), 0);
        assert_int_equal(bind_v4(listeners[i], 0, port), 0);
        assert_int_equal(socket_listen(listeners[i], 100, &identity), 0);
        file_set_flags(listeners[i], FILE_NONBLOCK);
        port = port_of(listeners[i]);
    }
    for (unsigned int i = 0; i < 40; i++) {
        struct file *client = socket_new(AF_INET, SOCK_STREAM), *accepted;
        assert_int_equal(connect_v4(client, LOOPBACK, port), 0);
        for (unsigned int j = 0; j < 2; j++)
            if (socket_accept(listeners[j], 0, &accepted, NULL, NULL) == 0) {
                accepted_by[j]++;
                file_release(accepted);
            }
        file_release(client);
    }
    assert_int_equal(accepted_by[0] + accepted_by[1], 40);
    assert_true(accepted_by[0] > 5 && accepted_by[1] > 5);
    file_release(listeners[0]);
    struct file *client = socket_new(AF_INET, SOCK_STREAM);
    assert_int_equal(connect_v4(client, LOOPBACK, port), 0);
    file_release(client);
    file_release(listeners[1]);
}

static void both_families_reach_a_dual_stack_listener(void **state)
{
    struct file *listener = socket_new(AF_INET6, SOCK_STREAM), *accepted;
    struct sockaddr_in6 any = {.family = AF_INET6}, one = {.family = AF_INET6, .address = {[15] = 1}};
    uint8_t name[128];
    size_t length = sizeof(name);

    assert_int_equal(socket_bind(listener, NULL, &any, sizeof(any)), 0);
    assert_int_equal(socket_listen(listener, 5, &identity), 0);
    uint16_t port = port_of(listener);
    struct file *four = socket_new(AF_INET, SOCK_STREAM), *six = socket_new(AF_INET6, SOCK_STREAM);
    assert_int_equal(connect_v4(four, LOOPBACK, port), 0);
    assert_int_equal(socket_accept(listener, 0, &accepted, name, &length), 0);
    struct sockaddr_in6 peer;
    memcpy(&peer, name, sizeof(peer));
    assert_int_equal(length, sizeof(peer));
    assert_int_equal(peer.address[10], 0xff);
    assert_int_equal(peer.address[12], 127);
    file_release(accepted);
    one.port = order16(port);
    assert_int_equal(socket_connect(six, NULL, &one, sizeof(one)), 0);
    file_release(accept_one(listener));
    file_release(four);
    file_release(six);
    file_release(listener);
}

/* ---- UDP ---- */

static void udp_talks(void **state)
{
    struct file *server = socket_new(AF_INET, SOCK_DGRAM), *client = socket_new(AF_INET, SOCK_DGRAM);
    static uint8_t big[60000], back[60000];
    char buffer[16];

    assert_int_equal(bind_v4(server, 0, 0), 0);
    uint16_t port = port_of(server);
    assert_int_equal(send_bytes(client, "x", 1, 0), -EDESTADDRREQ);
    assert_int_equal(send_to(client, "datagram", 8, LOOPBACK, port), 8);
    assert_int_equal(receive_bytes(server, buffer, 4, MSG_TRUNC | MSG_PEEK), 8);
    assert_int_equal(receive_bytes(server, buffer, 4, 0), 4);
    assert_int_equal(receive_bytes(server, buffer, 4, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(connect_v4(client, LOOPBACK, port), 0);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = pattern(i);
    assert_int_equal(send_bytes(client, big, sizeof(big), 0), sizeof(big));
    assert_int_equal(receive_bytes(server, back, sizeof(back), 0), sizeof(back));
    assert_memory_equal(big, back, sizeof(big));
    assert_int_equal(send_bytes(client, big, 65508, 0), -EMSGSIZE);
    file_release(server);
    assert_int_equal(send_bytes(client, "x", 1, 0), 1); /* answered by ICMP */
    assert_true(file_poll(client, NULL) & POLL_ERROR);
    assert_int_equal(receive_bytes(client, buffer, 4, MSG_DONTWAIT), -ECONNREFUSED);
    file_release(client);
}

static void groups_are_joined(void **state)
{
    struct file *member = socket_new(AF_INET, SOCK_DGRAM), *sender = socket_new(AF_INET, SOCK_DGRAM);
    struct ip_mreqn request = {__builtin_bswap32(0xe0010203u), __builtin_bswap32(LOOPBACK), 0};
    char buffer[16];

    assert_int_equal(bind_v4(member, 0, 0), 0);
    assert_int_equal(socket_set_option(member, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)), 0);
    assert_int_equal(socket_set_option(member, SOL_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)), -EADDRINUSE);
    uint32_t own = __builtin_bswap32(LOOPBACK);
    assert_int_equal(socket_set_option(sender, SOL_IP, IP_MULTICAST_IF, &own, sizeof(own)), 0);
    assert_int_equal(send_to(sender, "group", 5, 0xe0010203u, port_of(member)), 5);
    assert_int_equal(receive_bytes(member, buffer, sizeof(buffer), MSG_DONTWAIT), 5);
    assert_int_equal(socket_set_option(member, SOL_IP, IP_DROP_MEMBERSHIP, &request, sizeof(request)), 0);
    assert_int_equal(send_to(sender, "group", 5, 0xe0010203u, port_of(member)), 5);
    assert_int_equal(receive_bytes(member, buffer, sizeof(buffer), MSG_DONTWAIT), -EAGAIN);
    file_release(member);
    file_release(sender);
}

static void packet_information_is_given(void **state)
{
    struct file *server = socket_new(AF_INET, SOCK_DGRAM), *client = socket_new(AF_INET, SOCK_DGRAM);
    uint8_t control[256], name[128];
    char buffer[16];
    struct io_segment segment;
    struct io_vector vector;

    assert_int_equal(bind_v4(server, 0, 0), 0);
    set_int(server, SOL_IP, IP_PKTINFO, 1);
    set_int(server, SOL_IP, IP_RECVTTL, 1);
    set_int(client, SOL_IP, IP_TTL, 33);
    assert_int_equal(send_to(client, "x", 1, 0x7f000005u, port_of(server)), 1);
    io_vector_init_kernel(&vector, &segment, buffer, sizeof(buffer));
    struct socket_message message = {.data = &vector, .address = name, .address_bytes = sizeof(name), .control = control, .control_bytes = sizeof(control)};
    assert_int_equal(socket_receive(server, &message), 1);
    assert_int_equal(message.address_bytes, sizeof(struct sockaddr_in));
    struct control_header header;
    memcpy(&header, control, sizeof(header));
    assert_int_equal(header.type, IP_PKTINFO);
    struct in_pktinfo info;
    memcpy(&info, control + sizeof(header), sizeof(info));
    assert_int_equal(info.address, __builtin_bswap32(0x7f000005u));
    assert_int_equal(info.interface, 1);
    int32_t ttl;
    memcpy(&header, control + 32, sizeof(header));
    memcpy(&ttl, control + 32 + sizeof(header), sizeof(ttl));
    assert_int_equal(header.type, IP_TTL);
    assert_int_equal(ttl, 33);
    file_release(server);
    file_release(client);
}

static void ping_sockets_are_answered(void **state)
{
    struct file *file;
    uint8_t request[16] = {8, 0, 0, 0, 0, 0, 0, 7, 'p', 'i', 'n', 'g'}, reply[64];

    assert_int_equal(socket_create(AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0, &identity, root, &file), 0);
    assert_int_equal(send_to(file, request, sizeof(request), LOOPBACK, 0), sizeof(request));
    assert_int_equal(receive_bytes(file, reply, sizeof(reply), MSG_DONTWAIT), sizeof(request));
    assert_int_equal(reply[0], 0);
    assert_int_equal(reply[7], 7);
    assert_memory_equal(reply + 8, "ping", 4);
    file_release(file);
}

/* ---- Unix ---- */

static void unix_pairs_talk(void **state)
{
    struct file *ends[2], *passed[4];
    char buffer[16];
    struct io_segment segment;
    struct io_vector vector;

    assert_int_equal(socket_create_pair(AF_UNIX, SOCK_STREAM, 0, 0, &identity, root, ends), 0);
    assert_int_equal(send_bytes(ends[0], "one", 3, 0), 3);
    assert_int_equal(send_bytes(ends[0], "two", 3, 0), 3);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), 0), 6);
    io_vector_init_kernel(&vector, &segment, "f", 1);
    struct socket_message message = {.data = &vector, .files = &ends[0], .file_count = 1, .identity = identity};
    assert_int_equal(socket_send(ends[0], NULL, &message), 1);
    assert_int_equal(send_bytes(ends[0], "after", 5, 0), 5);
    io_vector_init_kernel(&vector, &segment, buffer, sizeof(buffer));
    message = (struct socket_message){.data = &vector, .files = passed, .file_count = 4};
    assert_int_equal(socket_receive(ends[1], &message), 1); /* a read ends behind files */
    assert_int_equal(message.file_count, 1);
    assert_ptr_equal(passed[0], ends[0]);
    file_release(passed[0]);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), 0), 5);
    struct user_credentials peer;
    size_t length = sizeof(peer);
    assert_int_equal(socket_get_option(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &length), 0);
    assert_int_equal(peer.pid, 42);
    file_release(ends[0]);
    assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), 0), 0);
    assert_int_equal(send_bytes(ends[1], "x", 1, 0), -EPIPE);
    file_release(ends[1]);
}

static void unix_records_keep_their_bounds(void **state)
{
    struct file *ends[2];
    char buffer[16];

    for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
        assert_int_equal(socket_create_pair(AF_UNIX, type, 0, 0, &identity, root, ends), 0);
        assert_int_equal(send_bytes(ends[0], "first", 5, 0), 5);
        assert_int_equal(send_bytes(ends[0], "second", 6, 0), 6);
        assert_int_equal(receive_bytes(ends[1], buffer, sizeof(buffer), MSG_PEEK), 5);
        assert_int_equal(receive_bytes(ends[1], buffer, 3, 0), 3);
        assert_int_equal(receive_bytes(ends[1], buffer, 3, MSG_TRUNC), 6);
        assert_int_equal(receive_bytes(ends[1], buffer, 3, MSG_DONTWAIT), -EAGAIN);
        file_release(ends[0]);
        file_release(ends[1]);
    }
}

static void unix_names_are_found(void **state)
{
    struct file *listener = socket_new(AF_UNIX, SOCK_STREAM), *client = socket_new(AF_UNIX, SOCK_STREAM);
    struct sockaddr_un name = {AF_UNIX, "\0service"};
    size_t length = 2 + 8;
    char buffer[8];

    assert_int_equal(socket_connect(client, NULL, &name, length), -ECONNREFUSED);
    assert_int_equal(socket_bind(listener, NULL, &name, length), 0);
    assert_int_equal(socket_connect(client, NULL, &name, length), -ECONNREFUSED);
    assert_int_equal(socket_listen(listener, 1, &identity), 0);
    assert_int_equal(socket_connect(client, NULL, &name, length), 0);
    assert_int_equal(socket_connect(client, NULL, &name, length), -EISCONN);
    assert_int_equal(send_bytes(client, "early", 5, 0), 5); /* before accept() */
    struct file *accepted = accept_one(listener);
    assert_int_equal(receive_bytes(accepted, buffer, sizeof(buffer), 0), 5);
    file_release(listener);
    struct file *other = socket_new(AF_UNIX, SOCK_STREAM);
    assert_int_equal(socket_connect(other, NULL, &name, length), -ECONNREFUSED);
    file_release(other);
    file_release(accepted);
    file_release(client);
}

static void unix_senders_wait_for_room(void **state)
{
    struct file *ends[2];

    assert_int_equal(socket_create_pair(AF_UNIX, SOCK_STREAM, 0, 0, &identity, root, ends), 0);
    struct transfer transfer = {.file = ends[0], .bytes = 5u << 20};
    transfer_start(&transfer);
    assert_int_equal(transfer_receive(ends[1]), transfer.bytes);
    while (!transfer.done)
        thread_yield();
    file_release(ends[0]);
    file_release(ends[1]);
}

/* ---- Netlink, options ---- */

static void netlink_lists_addresses(void **state)
{
    struct file *file;
    struct {
        uint32_t length;
        uint16_t type, flags;
        uint32_t sequence, port;
        uint8_t family[4];
    } request = {20, 22, 0x301, 77, 0, {0}};
    uint8_t answer[4096];
    bool done = false, loopback = false;

    assert_int_equal(socket_create(AF_NETLINK, SOCK_RAW, 0, 0, &identity, root, &file), 0);
    assert_int_equal(send_bytes(file, &request, sizeof(request), 0), sizeof(request));
    while (!done) {
        long length = receive_bytes(file, answer, sizeof(answer), MSG_DONTWAIT);
        assert_true(length > 0);
        for (long at = 0; at + 16 <= length;) {
            uint32_t bytes;
            uint16_t type;
            memcpy(&bytes, answer + at, 4);
            memcpy(&type, answer + at + 4, 2);
            assert_true(bytes >= 16 && at + bytes <= length);
            done |= type == 3;
            loopback |= type == 20 && memcmp(answer + at + 28, "\x7f\0\0\1", 4) == 0;
            at += (bytes + 3) & ~3u;
        }
    }
    assert_true(loopback);
    assert_int_equal(socket_create(AF_NETLINK, SOCK_RAW, 9, 0, &identity, root, &file), -EPROTONOSUPPORT);
    struct file *same = socket_new(AF_NETLINK, SOCK_RAW);
    file_release(same);
}

static void options_answer_as_linux(void **state)
{
    struct file *file = socket_new(AF_INET, SOCK_STREAM);
    static const struct {
        int level, name, value, result, read;
    } cases[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1, 0, 1}, {SOL_SOCKET, SO_RCVBUF, 100, 0, 2304}, {SOL_SOCKET, SO_RCVLOWAT, 7, 0, 7},
        {SOL_SOCKET, 9999, 1, -ENOPROTOOPT, -ENOPROTOOPT}, {SOL_TCP, TCP_NODELAY, 1, 0, 1}, {SOL_TCP, TCP_KEEPIDLE, 30, 0, 30},
        {SOL_TCP, TCP_KEEPIDLE, 0, -EINVAL, 30}, {SOL_TCP, TCP_KEEPCNT, 5, 0, 5}, {SOL_TCP, 999, 1, -ENOPROTOOPT, -ENOPROTOOPT},
        {SOL_TCP, TCP_FASTOPEN, 5, -EOPNOTSUPP, 0}, {SOL_IP, IP_TTL, 0, -EINVAL, 64}, {SOL_IP, IP_TTL, 12, 0, 12}, {SOL_IP, IP_TOS, 0x10, 0, 0x10},
        {SOL_IPV6, IPV6_V6ONLY, 1, -ENOPROTOOPT, -ENOPROTOOPT}, {SOL_SOCKET, SO_TYPE, 1, -ENOPROTOOPT, SOCK_STREAM},
        {SOL_SOCKET, SO_PROTOCOL, 1, -ENOPROTOOPT, IPPROTO_TCP}, {SOL_SOCKET, SO_DOMAIN, 1, -ENOPROTOOPT, AF_INET},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        assert_int_equal(set_int(file, cases[i].level, cases[i].name, cases[i].value), cases[i].result);
        assert_int_equal(get_int(file, cases[i].level, cases[i].name), cases[i].read);
    }
    file_release(file);
    assert_int_equal(socket_create(AF_INET, SOCK_STREAM, IPPROTO_UDP, 0, &identity, root, &file), -EPROTONOSUPPORT);
    assert_int_equal(socket_create(99, SOCK_STREAM, 0, 0, &identity, root, &file), -EAFNOSUPPORT);
    assert_int_equal(socket_create(AF_INET, SOCK_SEQPACKET, 0, 0, &identity, root, &file), -ESOCKTNOSUPPORT);
}

/* ---- Configuration words ---- */

static void configuration_words_are_checked(void **state)
{
    assert_int_equal(network_configure("10.0.0.2/24:10.0.0.1:8.8.8.8"), 0);
    assert_int_equal(network_configure("10.0.0.2"), 0);
    assert_int_equal(network_configure("10.0.0.256"), -EINVAL);
    assert_int_equal(network_configure("10.0.0.2/33"), -EINVAL);
    assert_int_equal(network_configure("10.0.0"), -EINVAL);
    assert_int_equal(network_configure("10.0.0.2:x"), -EINVAL);
    assert_int_equal(network_configure("224.0.0.1"), -EINVAL);
    assert_int_equal(network_configure("off"), 0);
    assert_int_equal(network_configure("dhcp"), 0);
}

static int start(void **state)
{
    root = credentials_create_root();
    return vfs_init() != 0 || network_start() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configuration_words_are_checked),
        cmocka_unit_test(tcp_talks),
        cmocka_unit_test(tcp_half_closes),
        cmocka_unit_test(tcp_resets),
        cmocka_unit_test(tcp_refuses),
        cmocka_unit_test(tcp_connects_without_blocking),
        cmocka_unit_test(tcp_carries_much),
        cmocka_unit_test(tcp_holds_back),
        cmocka_unit_test(many_small_segments_are_gathered),
        cmocka_unit_test(cork_holds_partial_segments),
        cmocka_unit_test(addresses_in_use_are_told),
        cmocka_unit_test(listeners_share_a_port),
        cmocka_unit_test(both_families_reach_a_dual_stack_listener),
        cmocka_unit_test(udp_talks),
        cmocka_unit_test(groups_are_joined),
        cmocka_unit_test(packet_information_is_given),
        cmocka_unit_test(ping_sockets_are_answered),
        cmocka_unit_test(unix_pairs_talk),
        cmocka_unit_test(unix_records_keep_their_bounds),
        cmocka_unit_test(unix_names_are_found),
        cmocka_unit_test(unix_senders_wait_for_room),
        cmocka_unit_test(netlink_lists_addresses),
        cmocka_unit_test(options_answer_as_linux),
    };
    return cmocka_run_group_tests_name("net", tests, start, NULL);
}
