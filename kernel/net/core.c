/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core lock and the network thread, which runs lwIP's timers and nothing else.
 *
 * lwIP counts its time in ticks of fixed length per protocol. The table below says how long they are, and each entry
 * answers whether it is needed now; the thread sleeps until the next needed one is due, so an idle guest wakes once a second for ARP
 * and IPv6, and not even for that without an interface. TCP's tick (40 ms) runs only while there are connections; network_unlock() notices
 * the first.
 */
#include "kernel/net/core.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/igmp.h>
#include <lwip/init.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/net/inet_stream.h"
#include "kernel/net/interface.h"
#include "kernel/net/loopback.h"
#include "kernel/net/network_internal.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait_queue.h"
#include "xen/machine/clock.h"

#define MILLISECOND_NS 1000000ull
#define ROUNDS_MOST 8
#define TIME_WAIT_LIMIT 1024 /* lwIP looks connections up one by one: more than this would cost every SYN too much */

struct tick {
    uint32_t interval_ms;
    void (*run)(void);
    bool (*needed)(void);
    uint64_t due_ns; /* core lock; 0: not running */
};

static struct mutex core_mutex;
static struct wait_queue timer_queue;
static atomic_bool timers_look;

/* Keeps the youngest TIME_WAIT connections only (they are in order of age). */
static void time_wait_trim(void)
{
    struct tcp_pcb *pcb = tcp_tw_pcbs;
    for (unsigned int kept = 1; pcb != NULL && kept < TIME_WAIT_LIMIT; kept++)
        pcb = pcb->next;
    while (pcb != NULL && pcb->next != NULL)
        tcp_abort(pcb->next); /* in TIME_WAIT it takes it off the list and sends nothing */
}

static void tcp_tick(void)
{
    tcp_tmr();
    time_wait_trim();
}

static bool tcp_needed(void)
{
    return tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL;
}

static void second_tick(void)
{
    etharp_tmr();
    ip_reass_tmr();
    nd6_tmr();
    ip6_reass_tmr();
}

static bool device_present(void)
{
    return netif_list != NULL && netif_list->next != NULL; /* besides loopback */
}

static bool dhcp_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH (netif) {
        const struct dhcp *dhcp = netif_dhcp_data(netif);
        if (dhcp != NULL && dhcp->request_timeout != 0)
            return true;
    }
    return false;
}

static bool dhcp_present(void)
{
    struct netif *netif;
    NETIF_FOREACH (netif)
        if (netif_dhcp_data(netif) != NULL)
            return true;
    return false;
}

static bool igmp_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH (netif)
        for (const struct igmp_group *group = netif_igmp_data(netif); group != NULL; group = group->next)
            if (group->timer != 0)
                return true;
    return false;
}

static bool mld6_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH (netif)
        for (const struct mld_group *group = netif_mld6_data(netif); group != NULL; group = group->next)
            if (group->timer != 0)
                return true;
    return false;
}

static struct tick ticks[] = {
    {TCP_TMR_INTERVAL, tcp_tick, tcp_needed, 0},
    {1000, second_tick, device_present, 0},
    {DHCP_FINE_TIMER_MSECS, dhcp_fine_tmr, dhcp_needed, 0},
    {DHCP_COARSE_TIMER_MSECS, dhcp_coarse_tmr, dhcp_present, 0},
    {IGMP_TMR_INTERVAL, igmp_tmr, igmp_needed, 0},
    {MLD6_TMR_INTERVAL, mld6_tmr, mld6_needed, 0},
};

/* Runs what is due and answers when the next is. Core lock held. */
static uint64_t ticks_run(uint64_t now_ns)
{
    uint64_t next_ns = WAIT_FOREVER;

    for (size_t i = 0; i < array_count(ticks); i++) {
        struct tick *tick = &ticks[i];
        uint64_t interval_ns = tick->interval_ms * MILLISECOND_NS;
        if (tick->due_ns != 0 && now_ns >= tick->due_ns) {
            tick->run();
            /* A late thread does not make up for more than one tick. */
            tick->due_ns = maximum(tick->due_ns + interval_ns, now_ns);
        }
        if (!tick->needed())
            tick->due_ns = 0;
        else if (tick->due_ns == 0)
            tick->due_ns = now_ns + interval_ns;
        if (tick->due_ns != 0)
            next_ns = minimum(next_ns, tick->due_ns);
    }
    return next_ns;
}

static void network_thread(void *argument)
{
    for (;;) {
        network_lock();
        atomic_store(&timers_look, false);
        uint64_t next_ns = ticks_run(clock_monotonic_ns());
        network_unlock();
        WAIT_UNTIL(&timer_queue, atomic_load(&timers_look), next_ns, WAIT_UNINTERRUPTIBLE);
    }
}

void network_timers_changed(void)
{
    if (!atomic_exchange(&timers_look, true))
        wait_queue_wake_all(&timer_queue, 0);
}

void network_lock(void)
{
    mutex_lock(&core_mutex);
}

void network_unlock(void)
{
    bool more = false;

    /* What is delivered may let a sender go on, and what he sends may come back to us: for a while. */
    for (unsigned int rounds = 0; rounds < ROUNDS_MOST; rounds++) {
        more = loopback_deliver();
        if (!inet_stream_feed_pending())
            break;
        more = true;
    }
    interface_flush_all();
    if (more || (ticks[0].due_ns == 0 && tcp_needed()))
        network_timers_changed();
    mutex_unlock(&core_mutex);
}

bool network_locked(void)
{
    return mutex_held(&core_mutex);
}

/* Called by lwIP in debug builds (lwipopts.h). */
void network_assert_locked(void)
{
    if (!network_locked())
        panic("lwIP called without the core lock");
}

/* lwIP's clock: milliseconds that wrap. */
u32_t sys_now(void)
{
    return (u32_t)(clock_monotonic_ns() / MILLISECOND_NS);
}

/* lwIP asks at its start; the network thread does it. */
void sys_timeouts_init(void)
{
}

int network_core_start(void)
{
    struct thread *thread;

    mutex_init(&core_mutex, "network core", 0);
    wait_queue_init(&timer_queue);
    network_lock();
    lwip_init();
    int error = loopback_start();
    network_unlock();
    if (error == 0)
        error = thread_create(&thread, "network", network_thread, NULL);
    if (error != 0)
        return error;
    thread_start(thread);
    thread_release(thread);
    return 0;
}
