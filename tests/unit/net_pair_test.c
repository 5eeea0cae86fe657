/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/net on the host: two stacks, each in a process of its own, at the ends of a cable that may lose frames.
 */
#include "tests/unit/net_sockets.h"

#include "tests/unit/net_cable.h"

static struct net_device *network_up(const char *ip, int end, uint8_t number, unsigned int lose_every)
{
    struct net_device *device = NULL;

    assert_int_equal(network_start(), 0);
    assert_int_equal(network_configure(ip), 0);
    if (end >= 0) {
        device = net_cable_attach(end, number, lose_every);
        assert_int_equal(network_attach(device), 0);
    }
    return device;
}

/* The far end: one connection is sent back what it sends, one datagram is answered, and then it waits to be killed. */
static void far_end(int end, unsigned int lose_every)
{
    network_up("10.9.0.2/24:10.9.0.1", end, 2, lose_every);
    struct file *listener = listener_v4(0, 7, 5), *datagram = socket_new(AF_INET, SOCK_DGRAM);
    static uint8_t buffer[65536];

    bind_v4(datagram, 0, 7);
    struct file *accepted = accept_one(listener);
    for (long length; (length = receive_bytes(accepted, buffer, sizeof(buffer), 0)) > 0;)
        for (long sent = 0; sent < length;) {
            long part = send_bytes(accepted, buffer + sent, (size_t)(length - sent), 0);
            if (part <= 0)
                _exit(1);
            sent += part;
        }
    file_release(accepted);
    for (;;) {
        uint8_t name[128];
        struct io_segment segment;
        struct io_vector vector;
        io_vector_init_kernel(&vector, &segment, buffer, sizeof(buffer));
        struct socket_message message = {.data = &vector, .address = name, .address_bytes = sizeof(name)};
        long length = socket_receive(datagram, &message);
        if (length < 0)
            _exit(2);
        io_vector_init_kernel(&vector, &segment, buffer, (size_t)length);
        message = (struct socket_message){.data = &vector, .address = name, .address_bytes = message.address_bytes};
        socket_send(datagram, NULL, &message);
    }
}

/* What is held back goes on, too, where everything before it, to the end of a page, was acknowledged meanwhile. */
static void corked_rest(struct file *file)
{
    static uint8_t sent[PAGE_SIZE + 100], back[sizeof(sent)];
    size_t length = 0;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = pattern(i);
    set_int(file, SOL_TCP, TCP_CORK, 1);
    assert_int_equal(send_bytes(file, sent, sizeof(sent), 0), sizeof(sent));
    while (length < PAGE_SIZE) {
        long part = receive_bytes(file, back + length, sizeof(back) - length, 0);
        assert_true(part > 0);
        length += (size_t)part;
    }
    set_int(file, SOL_TCP, TCP_CORK, 0);
    while (length < sizeof(back)) {
        long part = receive_bytes(file, back + length, sizeof(back) - length, 0);
        assert_true(part > 0);
        length += (size_t)part;
    }
    assert_memory_equal(sent, back, sizeof(sent));
}

static void near_end(int end)
{
    struct net_device *device = network_up("10.9.0.1/24", end, 1, 0);
    network_set_patience(clock_monotonic_ns() + 5 * SECOND_NS);
    assert_int_equal(network_wait_configured(), 0);
    struct file *file = socket_new(AF_INET, SOCK_STREAM);
    int error;
    for (unsigned int tries = 0; (error = connect_v4(file, 0x0a090002u, 7)) == -ECONNREFUSED && tries < 100; tries++)
        usleep(20000);
    assert_int_equal(error, 0);
    corked_rest(file);
    struct transfer transfer = {.file = file, .bytes = 3u << 20};
    transfer_start(&transfer);
    assert_int_equal(transfer_receive(file), transfer.bytes);
    assert_int_equal(get_int(file, SOL_TCP, TCP_MAXSEG) > 1400, 1);
    assert_true(net_cable_long_segments(device) > 0);
    file_release(file);

    static uint8_t sent[9000], back[9000];
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = pattern(i);
    file = socket_new(AF_INET, SOCK_DGRAM);
    struct time_value patience = {0, 200000};
    assert_int_equal(socket_set_option(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect_v4(file, 0x0a090002u, 7), 0);
    long length = -EAGAIN; /* fragments may be lost */
    for (unsigned int tries = 0; length == -EAGAIN && tries < 20; tries++) {
        assert_int_equal(send_bytes(file, sent, sizeof(sent), 0), sizeof(sent));
        length = receive_bytes(file, back, sizeof(back), 0);
    }
    assert_int_equal(length, sizeof(back));
    assert_memory_equal(sent, back, sizeof(sent));
    file_release(file);

    file = socket_new(AF_INET, SOCK_STREAM); /* nobody is there: ARP is not answered */
    assert_int_equal(connect_v4(file, 0x0a090055u, 7), -EHOSTUNREACH);
    file_release(file);
}

static void cable_run(int lose_every)
{
    int ends[2];

    net_cable_create(ends);
    pid_t far = fork();
    if (far == 0) {
        close(ends[0]);
        alarm(120);
        far_end(ends[1], (unsigned int)lose_every);
    }
    close(ends[1]);
    near_end(ends[0]);
}

/* ---- DHCP ---- */

static uint8_t *option_put(uint8_t *at, uint8_t number, uint8_t length, const void *value)
{
    *at++ = number;
    *at++ = length;
    memcpy(at, value, length);
    return at + length;
}

/* A server with one address to give. */
static void dhcp_server(int end)
{
    uint8_t packet[600];
    static const uint8_t own[4] = {10, 9, 0, 2}, given[4] = {10, 9, 0, 77}, mask[4] = {255, 255, 255, 0}, lease[4] = {0, 0, 1, 0}, dns[8] = {10, 9, 0, 53, 10, 9, 0, 54};

    network_up("10.9.0.2/24", end, 2, 0);
    struct file *file = socket_new(AF_INET, SOCK_DGRAM);
    set_int(file, SOL_SOCKET, SO_BROADCAST, 1);
    if (bind_v4(file, 0, 67) != 0)
        _exit(3);
    for (;;) {
        memset(packet, 0, sizeof(packet));
        if (receive_bytes(file, packet, sizeof(packet), 0) < 240)
            continue;
        uint8_t type = packet[242] == 1 ? 2 : 5; /* the client's first option is the message's type */
        packet[0] = 2;
        memcpy(packet + 16, given, 4);
        uint8_t *at = option_put(packet + 240, 53, 1, &type);
        at = option_put(at, 54, 4, own);
        at = option_put(at, 51, 4, lease);
        at = option_put(at, 1, 4, mask);
        at = option_put(at, 3, 4, own);
        at = option_put(at, 6, 8, dns);
        at = option_put(at, 12, 5, "guest");
        *at++ = 255;
        send_to(file, packet, (size_t)(at - packet) + 60, 0xffffffffu, 68);
    }
}

static void dhcp_client(int argument)
{
    int ends[2];
    char text[256];

    net_cable_create(ends);
    pid_t far = fork();
    if (far == 0) {
        close(ends[0]);
        alarm(60);
        dhcp_server(ends[1]);
    }
    close(ends[1]);
    usleep(300000);
    network_up(NULL, ends[0], 1, 0);
    network_set_patience(1);
    assert_int_equal(network_wait_configured(), -ETIMEDOUT);
    network_set_patience(clock_monotonic_ns() + 20 * SECOND_NS);
    assert_int_equal(network_wait_configured(), 0);
    usleep(100000);
    assert_true(network_resolver_text(text, sizeof(text)) > 0);
    assert_string_equal(text, "nameserver 10.9.0.53\nnameserver 10.9.0.54\n");
    assert_int_equal(network_host_name(text, sizeof(text)), 5);
    assert_string_equal(text, "guest");
    struct file *file = socket_new(AF_INET, SOCK_DGRAM);
    assert_int_equal(connect_v4(file, 0x08080808u, 53), 0);
    uint8_t name[128];
    size_t length = sizeof(name);
    assert_int_equal(socket_get_name(file, false, name, &length), 0);
    assert_memory_equal(name + 4, "\x0a\x09\x00\x4d", 4);
    file_release(file);
}

static void two_stacks_talk(void **state)
{
    assert_int_equal(net_cable_in_child(cable_run, 0), 0);
}

static void lost_frames_are_sent_again(void **state)
{
    assert_int_equal(net_cable_in_child(cable_run, 23), 0);
}

static void dhcp_gives_an_address(void **state)
{
    assert_int_equal(net_cable_in_child(dhcp_client, 0), 0);
}

static int start(void **state)
{
    root = credentials_create_root();
    return vfs_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_stacks_talk),
        cmocka_unit_test(lost_frames_are_sent_again),
        cmocka_unit_test(dhcp_gives_an_address),
    };
    return cmocka_run_group_tests_name("net_pair", tests, start, NULL);
}
