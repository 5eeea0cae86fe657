/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of /proc/net. See proc(5) for the columns; what has no meaning here (timers' numbers, kernel addresses) is 0.
 *
 * Locks: each report takes the core lock, and the list of sockets within it.
 */
#include "kernel/net/network_report.h"

#include <lwip/etharp.h>
#include <lwip/stats.h>

#include <string.h>

#include "kernel/base/format.h"
#include "kernel/device/net_device.h"
#include "kernel/net/core.h"
#include "kernel/net/inet_datagram.h"
#include "kernel/net/inet_stream.h"
#include "kernel/net/interface.h"
#include "kernel/net/interface_info.h"
#include "kernel/net/loopback.h"
#include "kernel/net/network.h"
#include "kernel/net/unix.h"

#define LINE_BYTES 256

static void print(struct network_report_sink *sink, const char *format, ...) attribute_printf(2, 3);

static void print(struct network_report_sink *sink, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list list;

    va_start(list, format);
    int length = format_string_list(line, sizeof(line), format, list);
    va_end(list);
    sink->emit(sink, line, minimum((size_t)length, sizeof(line) - 1));
}

/* ---- Interfaces ---- */

static void report_dev(struct network_report_sink *sink)
{
    print(sink, "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
    network_lock();
    for (unsigned int index = 1; index < 256; index++) {
        const struct netif *netif = netif_get_by_index((u8_t)index);
        char name[INTERFACE_NAME_BYTES];
        uint64_t in[4] = {0}, out[4] = {0}; /* bytes, packets, errors, dropped */
        if (netif == NULL)
            continue;
        const struct net_device *device = interface_device(netif);
        if (device == NULL) {
            loopback_statistics(&in[1], &in[0]);
            out[0] = in[0];
            out[1] = in[1];
        } else {
            const uint64_t received[4] = {device->rx_bytes, device->rx_packets, device->rx_errors, device->rx_dropped};
            const uint64_t sent[4] = {device->tx_bytes, device->tx_packets, device->tx_errors, device->tx_dropped};
            memcpy(in, received, sizeof(in));
            memcpy(out, sent, sizeof(out));
        }
        interface_name(netif, name);
        print(sink, "%6s: %7llu %7llu %4llu %4llu    0     0          0         0 %8llu %7llu %4llu %4llu    0     0       0          0\n", name, (unsigned long long)in[0],
              (unsigned long long)in[1], (unsigned long long)in[2], (unsigned long long)in[3], (unsigned long long)out[0], (unsigned long long)out[1], (unsigned long long)out[2],
              (unsigned long long)out[3]);
    }
    network_unlock();
}

static void print_route(struct network_report_sink *sink, const struct netif *netif, uint32_t destination, uint32_t gateway, unsigned int flags, uint32_t mask)
{
    char name[INTERFACE_NAME_BYTES], line[LINE_BYTES];

    interface_name(netif, name);
    format_string(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0", name, destination, gateway, flags, mask);
    print(sink, "%-127s\n", line);
}

static void report_route(struct network_report_sink *sink)
{
    print(sink, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    network_lock();
    for (unsigned int index = 2; index < 256; index++) {
        const struct netif *netif = netif_get_by_index((u8_t)index);
        uint32_t address = netif != NULL ? ip4_addr_get_u32(netif_ip4_addr(netif)) : 0;
        if (address == 0)
            continue;
        uint32_t mask = ip4_addr_get_u32(netif_ip4_netmask(netif)), gateway = ip4_addr_get_u32(netif_ip4_gw(netif));
        if (netif == netif_default && gateway != 0)
            print_route(sink, netif, 0, gateway, 3, 0);
        print_route(sink, netif, address & mask, 0, 1, mask);
    }
    network_unlock();
}

static void report_if_inet6(struct network_report_sink *sink)
{
    network_lock();
    for (unsigned int index = 1; index < 256; index++) {
        const struct netif *netif = netif_get_by_index((u8_t)index);
        char name[INTERFACE_NAME_BYTES];
        for (int i = 0; netif != NULL && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            const ip6_addr_t *address = netif_ip6_addr(netif, i);
            if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
                continue;
            bool loopback = netif == loopback_netif();
            interface_name(netif, name);
            print(sink, "%08x%08x%08x%08x %02x %02x %02x %02x %8s\n", lwip_ntohl(address->addr[0]), lwip_ntohl(address->addr[1]), lwip_ntohl(address->addr[2]), lwip_ntohl(address->addr[3]),
                  index, loopback ? 128 : 64, loopback ? 0x10 : ip6_addr_islinklocal(address) ? 0x20 : 0, 0x80, name);
        }
    }
    network_unlock();
}

static void report_arp(struct network_report_sink *sink)
{
    struct eth_addr *hardware;
    struct netif *netif;
    ip4_addr_t *address;

    print(sink, "IP address       HW type     Flags       HW address            Mask     Device\n");
    network_lock();
    for (size_t i = 0; i < ARP_TABLE_SIZE; i++) {
        char name[INTERFACE_NAME_BYTES], text[IP4ADDR_STRLEN_MAX];
        if (!etharp_get_entry(i, &address, &netif, &hardware))
            continue;
        interface_name(netif, name);
        ip4addr_ntoa_r(address, text, sizeof(text));
        print(sink, "%-16s 0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", text, hardware->addr[0], hardware->addr[1], hardware->addr[2], hardware->addr[3],
              hardware->addr[4], hardware->addr[5], name);
    }
    network_unlock();
}

/* ---- Sockets ---- */

struct socket_walk {
    struct network_report_sink *sink;
    int family, protocol;
    unsigned int line;
};

static void format_endpoint(int family, const ip_addr_t *address, uint16_t port, char *text, size_t size_bytes)
{
    uint8_t bytes[16];
    uint32_t words[4];

    if (family == AF_INET) {
        format_string(text, size_bytes, "%08X:%04X", IP_IS_V4(address) ? ip4_addr_get_u32(ip_2_ip4(address)) : 0, port);
        return;
    }
    address_bytes(address, bytes);
    if (ip_addr_isany(address))
        memset(bytes, 0, sizeof(bytes));
    memcpy(words, bytes, sizeof(words));
    format_string(text, size_bytes, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3], port);
}

struct socket_row {
    const ip_addr_t *local, *remote;
    uint16_t local_port, remote_port;
    int state;
    uint64_t sending, received;
};

static void print_row(struct socket_walk *walk, const struct socket *socket, const struct socket_row *row)
{
    char local[48], remote[48], line[LINE_BYTES];

    format_endpoint(walk->family, row->local, row->local_port, local, sizeof(local));
    format_endpoint(walk->family, row->remote, row->remote_port, remote, sizeof(remote));
    format_string(line, sizeof(line), "%4u: %s %s %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu 1 0000000000000000 20 4 30 10 -1", walk->line++, local, remote,
                  (unsigned int)row->state, (unsigned int)row->sending, (unsigned int)row->received, socket->uid, (unsigned long long)socket->number);
    print(walk->sink, "%-149s\n", line);
}

/* Core lock and the list's lock held. */
static void visit_inet(struct socket *socket, void *context)
{
    struct socket_walk *walk = context;
    ip_addr_t none = {0};
    struct socket_row row = {.local = &none, .remote = &none};

    if (socket->family != walk->family || socket->protocol != walk->protocol || socket->type == SOCK_RAW)
        return;
    if (walk->protocol == IPPROTO_TCP) {
        struct inet_stream *stream = inet_stream(socket);
        if (stream->pcb == NULL && atomic_load(&stream->state) != STREAM_LISTENING)
            return;
        row.local = &stream->binding.address;
        row.local_port = stream->binding.port;
        if (stream->pcb != NULL) {
            row.remote = &stream->remote_address;
            row.remote_port = stream->remote_port;
        }
        row.state = inet_stream_state_number(stream);
        row.sending = stream->queued_bytes;
        row.received = row.state == TCP_STATE_LISTEN ? stream->accept_count : stream->queue_bytes;
    } else {
        struct inet_datagram *datagram = inet_datagram(socket);
        if (datagram->binding.port == 0)
            return;
        row.local = &datagram->binding.address;
        row.local_port = datagram->binding.port;
        if (datagram->connected) {
            row.remote = &datagram->remote.address;
            row.remote_port = datagram->remote.port;
        }
        row.state = datagram->connected ? TCP_STATE_ESTABLISHED : TCP_STATE_CLOSE;
        row.received = datagram->queue.bytes;
    }
    print_row(walk, socket, &row);
}

static void report_inet(struct network_report_sink *sink, int family, int protocol)
{
    struct socket_walk walk = {sink, family, protocol, 0};

    if (family == AF_INET)
        print(sink, "%-149s\n", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode");
    else
        print(sink, "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n");
    network_lock();
    socket_for_each(visit_inet, &walk);
    network_unlock();
}

static void report_tcp(struct network_report_sink *sink)
{
    report_inet(sink, AF_INET, IPPROTO_TCP);
}

static void report_tcp6(struct network_report_sink *sink)
{
    report_inet(sink, AF_INET6, IPPROTO_TCP);
}

static void report_udp(struct network_report_sink *sink)
{
    report_inet(sink, AF_INET, IPPROTO_UDP);
}

static void report_udp6(struct network_report_sink *sink)
{
    report_inet(sink, AF_INET6, IPPROTO_UDP);
}

static void visit_unix(struct socket *socket, void *context)
{
    struct network_report_sink *sink = context;

    if (socket->family != AF_UNIX)
        return;
    const struct unix_socket *end = unix_socket(socket);
    int state = atomic_load(&end->state);
    char name[UNIX_PATH_BYTES + 2] = " ";
    size_t length = end->name_bytes > offsetof(struct sockaddr_un, path) ? end->name_bytes - offsetof(struct sockaddr_un, path) : 0;
    for (size_t i = 0; i < length; i++) {
        char c = end->name.path[i];
        name[i + 1] = c != '\0' ? c : i == 0 || i + 1 < length ? '@' : '\0';
        name[i + 2] = '\0';
    }
    print(sink, "0000000000000000: 00000002 00000000 %08X %04X %02X %5llu%s\n", state == UNIX_LISTENING ? 0x10000u : 0u, (unsigned int)socket->type, state == UNIX_CONNECTED ? 3u : 1u,
          (unsigned long long)socket->number, length > 0 ? name : "");
}

static void report_unix(struct network_report_sink *sink)
{
    print(sink, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    socket_for_each(visit_unix, sink);
}

struct socket_counts {
    unsigned int all, tcp[2], udp[2], raw[2], orphans, time_wait;
};

static void visit_count(struct socket *socket, void *context)
{
    struct socket_counts *counts = context;
    unsigned int v6 = socket->family == AF_INET6;

    if (socket->file != NULL)
        counts->all++;
    if (socket->family != AF_INET && socket->family != AF_INET6)
        return;
    if (socket->type == SOCK_RAW) {
        counts->raw[v6]++;
    } else if (socket->protocol == IPPROTO_TCP) {
        const struct inet_stream *stream = inet_stream(socket);
        bool waiting = stream->pcb != NULL && stream->pcb->state == TIME_WAIT;
        counts->tcp[v6] += !waiting;
        counts->time_wait += waiting;
        counts->orphans += stream->orphan && !waiting;
    } else {
        counts->udp[v6]++;
    }
}

static void count_sockets(struct socket_counts *counts)
{
    memset(counts, 0, sizeof(*counts));
    network_lock();
    socket_for_each(visit_count, counts);
    network_unlock();
}

static void report_sockstat(struct network_report_sink *sink)
{
    struct socket_counts counts;

    count_sockets(&counts);
    print(sink, "sockets: used %u\nTCP: inuse %u orphan %u tw %u alloc %u mem 0\nUDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse %u\nFRAG: inuse 0 memory 0\n", counts.all, counts.tcp[0],
          counts.orphans, counts.time_wait, counts.tcp[0] + counts.tcp[1], counts.udp[0], counts.raw[0]);
}

static void report_sockstat6(struct network_report_sink *sink)
{
    struct socket_counts counts;

    count_sockets(&counts);
    print(sink, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\nFRAG6: inuse 0 memory 0\n", counts.tcp[1], counts.udp[1], counts.raw[1]);
}

/* ---- Counters ---- */

static void report_snmp(struct network_report_sink *sink)
{
    struct socket_counts counts;

    count_sockets(&counts);
    network_lock();
    const struct stats_mib2 *m = &lwip_stats.mib2;
    print(sink, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds "
                "ReasmOKs ReasmFails FragOKs FragFails FragCreates\n");
    print(sink, "Ip: 2 64 %u %u %u 0 %u %u %u %u %u %u 0 %u %u %u %u %u %u\n", m->ipinreceives, m->ipinhdrerrors, m->ipinaddrerrors, m->ipinunknownprotos, m->ipindiscards, m->ipindelivers,
          m->ipoutrequests, m->ipoutdiscards, m->ipoutnoroutes, m->ipreasmreqds, m->ipreasmoks, m->ipreasmfails, m->ipfragoks, m->ipfragfails, m->ipfragcreates);
    print(sink, "Icmp: InMsgs InErrors InDestUnreachs InEchos InEchoReps OutMsgs OutErrors OutDestUnreachs OutEchos OutEchoReps\n");
    print(sink, "Icmp: %u %u %u %u %u %u %u %u %u %u\n", m->icmpinmsgs, m->icmpinerrors, m->icmpindestunreachs, m->icmpinechos, m->icmpinechoreps, m->icmpoutmsgs, m->icmpouterrors,
          m->icmpoutdestunreachs, m->icmpoutechos, m->icmpoutechoreps);
    print(sink, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n");
    print(sink, "Tcp: 1 240 120000 -1 %u %u %u %u %u %u %u %u %u %u %u\n", m->tcpactiveopens, m->tcppassiveopens, m->tcpattemptfails, m->tcpestabresets, counts.tcp[0] + counts.tcp[1], m->tcpinsegs,
          m->tcpoutsegs, m->tcpretranssegs, m->tcpinerrs, m->tcpoutrsts, (uint32_t)lwip_stats.tcp.chkerr);
    print(sink, "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors\nUdp: %u %u %u %u 0 0 0\n", m->udpindatagrams, m->udpnoports, m->udpinerrors,
          m->udpoutdatagrams);
    network_unlock();
}

static void report_netstat(struct network_report_sink *sink)
{
    network_lock();
    const struct stats_mib2 *m = &lwip_stats.mib2;
    print(sink, "TcpExt: ListenOverflows ListenDrops TCPTimeouts TCPAbortOnTimeout\nTcpExt: 0 0 0 0\n");
    print(sink, "IpExt: InNoRoutes InOctets OutOctets\nIpExt: %u 0 0\n", m->ipoutnoroutes);
    network_unlock();
}

/* What is not there at all: a file with its heading, as programs expect. */
static void report_raw(struct network_report_sink *sink)
{
    print(sink, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n");
}

/* What Linux writes for /etc/resolv.conf to be a link to. */
static void report_pnp(struct network_report_sink *sink)
{
    char text[LINE_BYTES];

    sink->emit(sink, text, network_resolver_text(text, sizeof(text)));
}

const struct network_report network_reports[] = {
    {"net/arp", report_arp, NULL},
    {"net/dev", report_dev, NULL},
    {"net/if_inet6", report_if_inet6, NULL},
    {"net/netstat", report_netstat, NULL},
    {"net/pnp", report_pnp, NULL},
    {"net/raw", report_raw, NULL},
    {"net/raw6", report_raw, NULL},
    {"net/route", report_route, NULL},
    {"net/snmp", report_snmp, NULL},
    {"net/sockstat", report_sockstat, NULL},
    {"net/sockstat6", report_sockstat6, NULL},
    {"net/tcp", report_tcp, NULL},
    {"net/tcp6", report_tcp6, NULL},
    {"net/udp", report_udp, NULL},
    {"net/udp6", report_udp6, NULL},
    {"net/unix", report_unix, NULL},
    {"sys/net/core/netdev_max_backlog", NULL, "1000\n"},
    {"sys/net/core/rmem_default", NULL, "212992\n"},
    {"sys/net/core/rmem_max", NULL, "4194304\n"},
    {"sys/net/core/somaxconn", NULL, "4096\n"},
    {"sys/net/core/wmem_default", NULL, "212992\n"},
    {"sys/net/core/wmem_max", NULL, "4194304\n"},
    {"sys/net/ipv4/ip_forward", NULL, "0\n"},
    {"sys/net/ipv4/ip_local_port_range", NULL, "32768\t60999\n"},
    {"sys/net/ipv4/ip_unprivileged_port_start", NULL, "1024\n"},
    {"sys/net/ipv4/ping_group_range", NULL, "0\t2147483647\n"},
    {"sys/net/ipv4/tcp_available_congestion_control", NULL, "reno\n"},
    {"sys/net/ipv4/tcp_congestion_control", NULL, "reno\n"},
    {"sys/net/ipv4/tcp_fastopen", NULL, "0\n"},
    {"sys/net/ipv4/tcp_fin_timeout", NULL, "20\n"},
    {"sys/net/ipv4/tcp_keepalive_intvl", NULL, "75\n"},
    {"sys/net/ipv4/tcp_keepalive_probes", NULL, "9\n"},
    {"sys/net/ipv4/tcp_keepalive_time", NULL, "7200\n"},
    {"sys/net/ipv4/tcp_max_syn_backlog", NULL, "4096\n"},
    {"sys/net/ipv4/tcp_rmem", NULL, "4096\t131072\t4194304\n"},
    {"sys/net/ipv4/tcp_sack", NULL, "1\n"},
    {"sys/net/ipv4/tcp_syn_retries", NULL, "6\n"},
    {"sys/net/ipv4/tcp_timestamps", NULL, "1\n"},
    {"sys/net/ipv4/tcp_window_scaling", NULL, "1\n"},
    {"sys/net/ipv4/tcp_wmem", NULL, "4096\t16384\t4194304\n"},
    {"sys/net/ipv6/bindv6only", NULL, "0\n"},
    {"sys/net/ipv6/conf/all/disable_ipv6", NULL, "0\n"},
    {"sys/net/ipv6/conf/default/disable_ipv6", NULL, "0\n"},
    {"sys/net/unix/max_dgram_qlen", NULL, "10\n"},
};
const size_t network_report_count = array_count(network_reports);
