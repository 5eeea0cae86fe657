/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How lwIP is built: its raw API only, entered by any thread that holds the core lock (kernel/net/core.h), with the
 * kernel's allocator and timers of our own (kernel/net/core_timers.c). Sockets, system threads and the netconn layer stay out.
 *
 * Statistics that lwIP would count without the core lock (memory, pools) are off: so a chain of pbufs that has one owner may be
 * freed without the lock.
 */
#pragma once

/* ---- System ---- */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS 1
#define LWIP_TIMERS_CUSTOM 1
#define LWIP_SINGLE_NETIF 0

/* ---- Memory ---- */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define mem_clib_malloc memory_allocate
#define mem_clib_free memory_free
#define mem_clib_calloc lwip_allocate_zeroed
#define PBUF_POOL_SIZE 0
#define PBUF_POOL_BUFSIZE 1664
#define LWIP_PBUF_REF_T u16_t
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_PBUF_CUSTOM_DATA struct pbuf *link; /* the next packet of a queue of ours */
#define LWIP_NETIF_TX_SINGLE_PBUF 0

/* ---- Link ---- */
#define LWIP_ARP 1
#define ARP_TABLE_SIZE 127
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 32
#define ETHARP_TRUST_IP_MAC 0
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LOOPBACK 0 /* kernel/net/loopback.c does it without the copy */
#define LWIP_HAVE_LOOPIF 0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM network_checksum

/* ---- IPv4 ---- */
#define LWIP_IPV4 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 512
#define IP_REASS_MAXAGE 30
#define IP_FRAG 1
#define IP_OPTIONS_ALLOWED 1
#define IP_DEFAULT_TTL 64
#define IP_SOF_BROADCAST 1
#define IP_SOF_BROADCAST_RECV 0
#define LWIP_ICMP 1
#define LWIP_RAW 1
#define LWIP_IGMP 1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_DHCP 1
#define DHCP_DOES_ARP_CHECK 0 /* a probe would hold up every boot by a second; the server has asked already */
#define LWIP_DHCP_MAX_DNS_SERVERS 3
#define LWIP_AUTOIP 0
#define LWIP_DNS 1 /* for the list of servers alone; names are looked up by the program's own resolver */
#define DNS_MAX_SERVERS 3
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1

/* ---- IPv6 ---- */
#define LWIP_IPV6 1
#define LWIP_IPV6_SCOPES 1
#define LWIP_IPV6_NUM_ADDRESSES 4
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_FRAG 1
#define LWIP_IPV6_REASS 1
#define IPV6_FRAG_COPYHEADER 1 /* its bookkeeping overlays the packet, which is too small for two pointers of 64 bits */
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_ND6_QUEUEING 1
#define LWIP_ND6_NUM_NEIGHBORS 64
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define MEMP_NUM_ND6_QUEUE 64

/* ---- UDP ---- */
#define LWIP_UDP 1
#define LWIP_UDPLITE 1

/* ---- TCP ---- */
/*
 * TCP_MSS is the most that a segment may ever carry (loopback); on a real interface lwIP takes what its MTU leaves, 1460 or
 * 1440. The window is the largest that a socket may have: each one narrows its own to SO_RCVBUF (inet_stream.c).
 */
#define LWIP_TCP 1
#define TCP_MSS 16000
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (4u * 1024 * 1024)
#define TCP_WND_UPDATE_THRESHOLD 1u /* updates are batched before tcp_recved() */
#define TCP_SND_BUF (4u * 1024 * 1024)
#define TCP_SND_QUEUELEN 65000
#define TCP_SNDLOWAT 1024
#define TCP_OVERSIZE 0 /* data goes in as references to pages, never as copies */
#define TCP_QUEUE_OOSEQ 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 1
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define TCP_LISTEN_BACKLOG 0 /* inet_listen.c counts */
#define TCP_MAXRTX 12
#define TCP_SYNMAXRTX 12
#define TCP_TTL 64
/* Delayed acknowledgements after 40 ms, retransmission after 240 ms at the least, as Linux; TIME_WAIT takes 2 MSL = 60 s. */
#define TCP_TMR_INTERVAL 40
#define LWIP_TCP_RTO_TIME 1000
#define TCP_MSL 30000ul

/* ---- Statistics: for /proc/net/snmp ---- */
#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define MEM_STATS 0
#define MEMP_STATS 0
#define SYS_STATS 0
#define MIB2_STATS 1

/* ---- Debugging ---- */
#ifdef XENOLITH_DEBUG
#define LWIP_ASSERT_CORE_LOCKED() network_assert_locked()
#else
#define LWIP_NOASSERT 1
#endif

/* ---- Hooks: defined by kernel/net/hooks.c ---- */
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_TCP_ISN network_hook_isn
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, options, options1, options2, p) (network_hook_segment(pcb), ERR_OK)
#define LWIP_HOOK_IP4_INPUT(p, input) network_hook_input_v4((p), (input))
#define LWIP_HOOK_IP6_INPUT(p, input) network_hook_input_v6((p), (input))
#define LWIP_HOOK_IP4_ROUTE_SRC(source, destination) network_hook_route_v4((source), (destination))
#define LWIP_HOOK_IP6_ROUTE(source, destination) network_hook_route_v6((source), (destination))
#define LWIP_HOOK_DHCP_PARSE_OPTION(netif, dhcp, state, message, message_type, option, length, p, offset)               \
    network_hook_dhcp_option((netif), (option), (length), (p), (offset))
