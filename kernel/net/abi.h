/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's numbers and structures of the socket interface, x86-64. Sources: Linux's include/uapi (numbers are ABI), socket(7), ip(7),
 * ipv6(7), tcp(7), unix(7), netdevice(7), rtnetlink(7).
 */
#pragma once

#include "kernel/base/compiler.h"

enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, AF_LIMIT = 46 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5, SOCK_LIMIT = 11 };
enum { IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_IPV6 = 41, IPPROTO_ICMPV6 = 58, IPPROTO_UDPLITE = 136, IPPROTO_RAW = 255, IPPROTO_LIMIT = 256 };
enum { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2 };

#define MSG_OOB 0x1u
#define MSG_PEEK 0x2u
#define MSG_DONTROUTE 0x4u
#define MSG_CTRUNC 0x8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_EOR 0x80u
#define MSG_WAITALL 0x100u
#define MSG_CONFIRM 0x800u
#define MSG_ERRQUEUE 0x2000u
#define MSG_NOSIGNAL 0x4000u
#define MSG_MORE 0x8000u
#define MSG_FASTOPEN 0x20000000u
#define MSG_CMSG_CLOEXEC 0x40000000u

enum { SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_ICMPV6 = 58, SOL_UDPLITE = 136, SOL_RAW = 255, SOL_NETLINK = 270 };

enum { SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5, SO_BROADCAST = 6, SO_SNDBUF = 7, SO_RCVBUF = 8,
       SO_KEEPALIVE = 9, SO_OOBINLINE = 10, SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13, SO_BSDCOMPAT = 14, SO_REUSEPORT = 15,
       SO_PASSCRED = 16, SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SO_BINDTODEVICE = 25,
       SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27, SO_PEERNAME = 28, SO_TIMESTAMP = 29, SO_ACCEPTCONN = 30, SO_PEERSEC = 31,
       SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_TIMESTAMPNS = 35, SO_MARK = 36, SO_TIMESTAMPING = 37,
       SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_WIFI_STATUS = 41, SO_PEEK_OFF = 42, SO_NOFCS = 43, SO_LOCK_FILTER = 44,
       SO_SELECT_ERR_QUEUE = 45, SO_BUSY_POLL = 46, SO_MAX_PACING_RATE = 47, SO_BPF_EXTENSIONS = 48, SO_INCOMING_CPU = 49,
       SO_ATTACH_BPF = 50, SO_INCOMING_NAPI_ID = 56, SO_COOKIE = 57, SO_PEERGROUPS = 59, SO_ZEROCOPY = 60, SO_BINDTOIFINDEX = 62,
       SO_PREFER_BUSY_POLL = 69 };

enum { IP_TOS = 1, IP_TTL = 2, IP_HDRINCL = 3, IP_OPTIONS = 4, IP_ROUTER_ALERT = 5, IP_RECVOPTS = 6, IP_RETOPTS = 7, IP_PKTINFO = 8,
       IP_PKTOPTIONS = 9, IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_RECVTTL = 12, IP_RECVTOS = 13, IP_MTU = 14, IP_FREEBIND = 15,
       IP_TRANSPARENT = 19, IP_RECVORIGDSTADDR = 20, IP_MINTTL = 21, IP_NODEFRAG = 22, IP_CHECKSUM = 23, IP_BIND_ADDRESS_NO_PORT = 24,
       IP_RECVFRAGSIZE = 25, IP_MULTICAST_IF = 32, IP_MULTICAST_TTL = 33, IP_MULTICAST_LOOP = 34, IP_ADD_MEMBERSHIP = 35,
       IP_DROP_MEMBERSHIP = 36, IP_UNBLOCK_SOURCE = 37, IP_BLOCK_SOURCE = 38, IP_ADD_SOURCE_MEMBERSHIP = 39, IP_DROP_SOURCE_MEMBERSHIP = 40,
       IP_MSFILTER = 41, MCAST_JOIN_GROUP = 42, MCAST_BLOCK_SOURCE = 43, MCAST_UNBLOCK_SOURCE = 44, MCAST_LEAVE_GROUP = 45,
       MCAST_JOIN_SOURCE_GROUP = 46, MCAST_LEAVE_SOURCE_GROUP = 47, IP_MULTICAST_ALL = 49, IP_UNICAST_IF = 50, IP_LOCAL_PORT_RANGE = 51 };

enum { IPV6_ADDRFORM = 1, IPV6_CHECKSUM = 7, IPV6_UNICAST_HOPS = 16, IPV6_MULTICAST_IF = 17, IPV6_MULTICAST_HOPS = 18, IPV6_MULTICAST_LOOP = 19,
       IPV6_JOIN_GROUP = 20, IPV6_LEAVE_GROUP = 21, IPV6_MTU_DISCOVER = 23, IPV6_MTU = 24, IPV6_RECVERR = 25, IPV6_V6ONLY = 26,
       IPV6_MULTICAST_ALL = 29, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO = 50, IPV6_RECVHOPLIMIT = 51, IPV6_HOPLIMIT = 52, IPV6_RECVHOPOPTS = 53,
       IPV6_RECVRTHDR = 56, IPV6_RECVDSTOPTS = 58, IPV6_RECVPATHMTU = 60, IPV6_DONTFRAG = 62, IPV6_RECVTCLASS = 66, IPV6_TCLASS = 67,
       IPV6_ADDR_PREFERENCES = 72, IPV6_FREEBIND = 78 };

enum { TCP_NODELAY = 1, TCP_MAXSEG = 2, TCP_CORK = 3, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5, TCP_KEEPCNT = 6, TCP_SYNCNT = 7, TCP_LINGER2 = 8,
       TCP_DEFER_ACCEPT = 9, TCP_WINDOW_CLAMP = 10, TCP_INFO = 11, TCP_QUICKACK = 12, TCP_CONGESTION = 13, TCP_THIN_LINEAR_TIMEOUTS = 16,
       TCP_USER_TIMEOUT = 18, TCP_FASTOPEN = 23, TCP_TIMESTAMP = 24, TCP_NOTSENT_LOWAT = 25, TCP_FASTOPEN_CONNECT = 30, TCP_INQ = 36 };

enum { UDP_CORK = 1, UDPLITE_SEND_CSCOV = 10, UDPLITE_RECV_CSCOV = 11, UDP_ENCAP = 100, UDP_SEGMENT = 103, UDP_GRO = 104 };

/* State numbers of /proc/net/tcp and TCP_INFO. */
enum { TCP_STATE_ESTABLISHED = 1, TCP_STATE_SYN_SENT, TCP_STATE_SYN_RECV, TCP_STATE_FIN_WAIT1, TCP_STATE_FIN_WAIT2, TCP_STATE_TIME_WAIT,
       TCP_STATE_CLOSE, TCP_STATE_CLOSE_WAIT, TCP_STATE_LAST_ACK, TCP_STATE_LISTEN, TCP_STATE_CLOSING };

struct sockaddr_in {
    uint16_t family;
    uint16_t port;     /* network order */
    uint32_t address;  /* network order */
    uint8_t zero[8];
};

struct sockaddr_in6 {
    uint16_t family;
    uint16_t port;
    uint32_t flow;
    uint8_t address[16];
    uint32_t scope;
};

#define UNIX_PATH_BYTES 108
struct sockaddr_un {
    uint16_t family;
    char path[UNIX_PATH_BYTES];
};

struct sockaddr_nl {
    uint16_t family;
    uint16_t padding;
    uint32_t port;
    uint32_t groups;
};
_Static_assert(sizeof(struct sockaddr_in) == 16 && sizeof(struct sockaddr_in6) == 28 && sizeof(struct sockaddr_un) == 110 && sizeof(struct sockaddr_nl) == 12, "socket addresses");

/* struct cmsghdr; data follows, the next one is aligned to 8. */
struct control_header {
    uint64_t length_bytes; /* with the header */
    int32_t level;
    int32_t type;
};

struct linger_option { int32_t on, seconds; };
struct time_value { int64_t seconds, microseconds; };
struct time_value_ns { int64_t seconds, nanoseconds; };
struct user_credentials { int32_t pid; uint32_t uid, gid; };
struct in_pktinfo { int32_t interface; uint32_t specified, address; };
struct in6_pktinfo { uint8_t address[16]; int32_t interface; };
struct ip_mreqn { uint32_t group, address; int32_t interface; };
struct ipv6_mreq { uint8_t group[16]; int32_t interface; };
struct group_request { uint32_t interface; uint32_t padding; uint8_t group[128]; };

/* struct sock_extended_err, with the offender's address after it. */
struct extended_error { uint32_t number; uint8_t origin, type, code, padding; uint32_t information, data; };
#define EXTENDED_ERROR_LOCAL 1
#define EXTENDED_ERROR_ICMP 2
#define EXTENDED_ERROR_ICMP6 3

#define FIONREAD 0x541bu
#define FIONBIO 0x5421u
#define FIOASYNC 0x5452u
#define FIOSETOWN 0x8901u
#define SIOCSPGRP 0x8902u
#define FIOGETOWN 0x8903u
#define SIOCGPGRP 0x8904u
#define SIOCATMARK 0x8905u
#define SIOCGSTAMP 0x8906u
#define SIOCGSTAMPNS 0x8907u
#define SIOCOUTQ 0x5411u
#define SIOCOUTQNSD 0x894bu
#define SIOCGIFNAME 0x8910u
#define SIOCGIFCONF 0x8912u
#define SIOCGIFFLAGS 0x8913u
#define SIOCGIFADDR 0x8915u
#define SIOCGIFDSTADDR 0x8917u
#define SIOCGIFBRDADDR 0x8919u
#define SIOCGIFNETMASK 0x891bu
#define SIOCGIFMETRIC 0x891du
#define SIOCGIFMTU 0x8921u
#define SIOCGIFHWADDR 0x8927u
#define SIOCGIFINDEX 0x8933u
#define SIOCGIFTXQLEN 0x8942u
#define SIOCGIFMAP 0x8970u

#define IFF_UP 0x1u
#define IFF_BROADCAST 0x2u
#define IFF_LOOPBACK 0x8u
#define IFF_RUNNING 0x40u
#define IFF_MULTICAST 0x1000u
#define IFF_LOWER_UP 0x10000u
