/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SOL_SOCKET options, one switch to get and one to set, and the helpers that read and write option values as Linux does.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/net/address.h"
#include "kernel/net/socket_object.h"

#define BUFFER_BYTES_MINIMUM 2304u
#define SEND_BUFFER_BYTES_MINIMUM 4608u
#define BUFFER_BYTES_LIMIT (4u * 1024 * 1024)

int socket_option_out(void *value, size_t *length_bytes, const void *from, size_t from_bytes)
{
    *length_bytes = minimum(*length_bytes, from_bytes);
    memcpy(value, from, *length_bytes);
    return 0;
}

int socket_option_in(const void *value, size_t length_bytes, int *number)
{
    int32_t whole;
    if (length_bytes >= sizeof(whole)) {
        memcpy(&whole, value, sizeof(whole));
        *number = whole;
        return 0;
    }
    if (length_bytes >= 1) {
        *number = *(const uint8_t *)value;
        return 0;
    }
    return -EINVAL;
}

static int out_int(void *value, size_t *length_bytes, int number)
{
    int32_t whole = number;
    return socket_option_out(value, length_bytes, &whole, sizeof(whole));
}

static int out_timeout(void *value, size_t *length_bytes, uint64_t timeout_ns)
{
    struct time_value time = {(int64_t)(timeout_ns / 1000000000), (int64_t)(timeout_ns % 1000000000 / 1000)};
    return socket_option_out(value, length_bytes, &time, sizeof(time));
}

static int out_identity(void *value, size_t *length_bytes, const struct socket_identity *identity)
{
    struct user_credentials credentials = {identity->pid, identity->uid, identity->gid};
    return socket_option_out(value, length_bytes, &credentials, sizeof(credentials));
}

static int out_peer_name(struct socket *socket, void *value, size_t *length_bytes)
{
    uint8_t name[SOCKET_ADDRESS_LIMIT] = {0};
    long length = socket->operations->get_name ? socket->operations->get_name(socket, true, name) : -ENOTCONN;
    if (length < 0)
        return (int)length;
    if (*length_bytes < (size_t)length)
        return -EINVAL;
    return socket_option_out(value, length_bytes, name, (size_t)length);
}

int socket_option_get(struct socket *socket, int name, void *value, size_t *length_bytes)
{
    char device[16];
    uint64_t cookie;

    switch (name) {
    case SO_DEBUG: return out_int(value, length_bytes, socket->debug);
    case SO_REUSEADDR: return out_int(value, length_bytes, socket->reuse_address);
    case SO_REUSEPORT: return out_int(value, length_bytes, socket->reuse_port);
    case SO_TYPE: return out_int(value, length_bytes, socket->type);
    case SO_DOMAIN: return out_int(value, length_bytes, socket->family);
    case SO_PROTOCOL: return out_int(value, length_bytes, socket->protocol);
    case SO_ERROR: return out_int(value, length_bytes, -socket_take_error(socket));
    case SO_DONTROUTE: return out_int(value, length_bytes, socket->dont_route);
    case SO_BROADCAST: return out_int(value, length_bytes, socket->broadcast);
    case SO_SNDBUF: return out_int(value, length_bytes, (int)socket->send_buffer);
    case SO_RCVBUF: return out_int(value, length_bytes, (int)socket->receive_buffer);
    case SO_KEEPALIVE: return out_int(value, length_bytes, socket->keepalive);
    case SO_OOBINLINE: return out_int(value, length_bytes, socket->out_of_band_inline);
    case SO_NO_CHECK: return out_int(value, length_bytes, socket->no_check);
    case SO_PRIORITY: return out_int(value, length_bytes, (int)socket->priority);
    case SO_MARK: return out_int(value, length_bytes, (int)socket->mark);
    case SO_LINGER: {
        struct linger_option linger = {socket->linger_on, (int32_t)socket->linger_seconds};
        return socket_option_out(value, length_bytes, &linger, sizeof(linger));
    }
    case SO_BSDCOMPAT: return out_int(value, length_bytes, 0);
    case SO_PASSCRED: return out_int(value, length_bytes, socket->pass_credentials);
    case SO_PEERCRED: return out_identity(value, length_bytes, &socket->peer);
    case SO_PEERNAME: return out_peer_name(socket, value, length_bytes);
    case SO_RCVLOWAT: return out_int(value, length_bytes, (int)socket->receive_low_water);
    case SO_SNDLOWAT: return out_int(value, length_bytes, 1);
    case SO_RCVTIMEO: return out_timeout(value, length_bytes, socket->receive_timeout_ns);
    case SO_SNDTIMEO: return out_timeout(value, length_bytes, socket->send_timeout_ns);
    case SO_TIMESTAMP: return out_int(value, length_bytes, socket->timestamp);
    case SO_TIMESTAMPNS: return out_int(value, length_bytes, socket->timestamp_ns);
    case SO_ACCEPTCONN: return out_int(value, length_bytes, socket->listening);
    case SO_BINDTODEVICE:
        memset(device, 0, sizeof(device));
        if (socket->bound_interface != 0)
            address_interface_name(socket->bound_interface, device);
        if (device[0] == '\0') {
            *length_bytes = 0;
            return 0;
        }
        if (*length_bytes < sizeof(device))
            return -EINVAL;
        return socket_option_out(value, length_bytes, device, strlen(device) + 1);
    case SO_BINDTOIFINDEX: return out_int(value, length_bytes, socket->bound_interface);
    case SO_INCOMING_CPU: return out_int(value, length_bytes, 0);
    case SO_BUSY_POLL:
    case SO_RXQ_OVFL:
    case SO_ZEROCOPY:
    case SO_PASSSEC:
    case SO_SELECT_ERR_QUEUE:
    case SO_LOCK_FILTER: return out_int(value, length_bytes, 0);
    case SO_PEEK_OFF: return out_int(value, length_bytes, -1);
    case SO_COOKIE:
        cookie = socket->number;
        if (*length_bytes < sizeof(cookie))
            return -EINVAL;
        return socket_option_out(value, length_bytes, &cookie, sizeof(cookie));
    default: return -ENOPROTOOPT;
    }
}

/* ---- Setting ---- */

static void tell(struct socket *socket, int name)
{
    if (socket->operations->option_changed)
        socket->operations->option_changed(socket, name);
}

static int set_timeout(_Atomic uint64_t *timeout_ns, const void *value, size_t length_bytes)
{
    struct time_value time;
    if (length_bytes < sizeof(time))
        return -EINVAL;
    memcpy(&time, value, sizeof(time));
    if (time.microseconds < 0 || time.microseconds >= 1000000)
        return -EDOM;
    if (time.seconds < 0) { /* Linux: at once, with a warning to nobody */
        atomic_store(timeout_ns, 1);
        return 0;
    }
    uint64_t seconds = (uint64_t)time.seconds > 1000000000 ? 0 : (uint64_t)time.seconds;
    atomic_store(timeout_ns, seconds * 1000000000 + (uint64_t)time.microseconds * 1000);
    return 0;
}

static int set_linger(struct socket *socket, const void *value, size_t length_bytes)
{
    struct linger_option linger;
    if (length_bytes < sizeof(linger))
        return -EINVAL;
    memcpy(&linger, value, sizeof(linger));
    socket->linger_seconds = linger.seconds < 0 ? INT32_MAX : (uint32_t)linger.seconds;
    socket->linger_on = linger.on != 0;
    return 0;
}

/* As Linux, the number asked for is doubled: half of it is for bookkeeping. */
static uint32_t buffer_bytes(int number, uint32_t least)
{
    uint32_t wanted = number < 0 ? BUFFER_BYTES_LIMIT / 2 : minimum((uint32_t)number, BUFFER_BYTES_LIMIT / 2);
    return maximum(wanted * 2, least);
}

static int set_device(struct socket *socket, const void *value, size_t length_bytes)
{
    const char *name = value;
    size_t length = 0;

    while (length < length_bytes && length < 15 && name[length] != '\0')
        length++;
    uint8_t index = 0;
    if (length > 0) {
        index = address_interface_index(name, length);
        if (index == 0)
            return -ENODEV;
    }
    socket->bound_interface = index;
    tell(socket, SO_BINDTODEVICE);
    return 0;
}

static int set_flag(struct socket *socket, int name, bool on)
{
    switch (name) {
    case SO_DEBUG: socket->debug = on; break;
    case SO_REUSEADDR: socket->reuse_address = on; break;
    case SO_REUSEPORT: socket->reuse_port = on; break;
    case SO_DONTROUTE: socket->dont_route = on; break;
    case SO_BROADCAST: socket->broadcast = on; break;
    case SO_KEEPALIVE: socket->keepalive = on; break;
    case SO_OOBINLINE: socket->out_of_band_inline = on; break;
    case SO_NO_CHECK: socket->no_check = on; break;
    case SO_PASSCRED:
        if (socket->family != AF_UNIX && socket->family != AF_NETLINK)
            return -EOPNOTSUPP;
        socket->pass_credentials = on;
        break;
    case SO_TIMESTAMP:
        socket->timestamp = on;
        socket->timestamp_ns = false;
        break;
    case SO_TIMESTAMPNS:
        socket->timestamp_ns = on;
        socket->timestamp = false;
        break;
    }
    tell(socket, name);
    return 0;
}

static int set_number(struct socket *socket, int name, int number)
{
    switch (name) {
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_REUSEPORT:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_NO_CHECK:
    case SO_PASSCRED:
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS: return set_flag(socket, name, number != 0);
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (socket->credentials && !credentials_capable(socket->credentials, CAPABILITY_NET_ADMIN))
            return -EPERM;
        return set_number(socket, name == SO_SNDBUFFORCE ? SO_SNDBUF : SO_RCVBUF, number);
    case SO_SNDBUF:
        socket->send_buffer = buffer_bytes(number, SEND_BUFFER_BYTES_MINIMUM);
        socket->send_buffer_set = true;
        tell(socket, name);
        return 0;
    case SO_RCVBUF:
        socket->receive_buffer = buffer_bytes(number, BUFFER_BYTES_MINIMUM);
        socket->receive_buffer_set = true;
        tell(socket, name);
        return 0;
    case SO_PRIORITY:
        if ((number < 0 || number > 6) && socket->credentials && !credentials_capable(socket->credentials, CAPABILITY_NET_ADMIN))
            return -EPERM;
        socket->priority = (uint32_t)number;
        return 0;
    case SO_MARK:
        if (socket->credentials && !credentials_capable(socket->credentials, CAPABILITY_NET_ADMIN))
            return -EPERM;
        socket->mark = (uint32_t)number;
        return 0;
    case SO_RCVLOWAT:
        socket->receive_low_water = number < 0 ? INT32_MAX : number == 0 ? 1 : (uint32_t)number;
        return 0;
    case SO_BINDTOIFINDEX:
        if (number < 0)
            return -EINVAL;
        if (number > 255 || (number != 0 && !address_interface_exists((uint8_t)number)))
            return -ENODEV;
        socket->bound_interface = (uint8_t)number;
        tell(socket, SO_BINDTODEVICE);
        return 0;
    /* Advice that changes nothing here: one CPU receives for all, and there is no polling of the device to speed up. */
    case SO_BSDCOMPAT:
    case SO_INCOMING_CPU:
    case SO_BUSY_POLL:
    case SO_PREFER_BUSY_POLL:
    case SO_MAX_PACING_RATE: return 0;
    case SO_TYPE:
    case SO_ERROR:
    case SO_DOMAIN:
    case SO_PROTOCOL:
    case SO_ACCEPTCONN:
    case SO_SNDLOWAT: return -ENOPROTOOPT;
    case SO_ZEROCOPY: return -EOPNOTSUPP;
    default: return -ENOPROTOOPT;
    }
}

int socket_option_set(struct socket *socket, int name, const void *value, size_t length_bytes)
{
    int32_t number;

    if (name == SO_BINDTODEVICE)
        return set_device(socket, value, length_bytes);
    if (length_bytes < sizeof(number))
        return -EINVAL;
    switch (name) {
    case SO_RCVTIMEO: return set_timeout(&socket->receive_timeout_ns, value, length_bytes);
    case SO_SNDTIMEO: return set_timeout(&socket->send_timeout_ns, value, length_bytes);
    case SO_LINGER: return set_linger(socket, value, length_bytes);
    default:
        memcpy(&number, value, sizeof(number));
        return set_number(socket, name, number);
    }
}
