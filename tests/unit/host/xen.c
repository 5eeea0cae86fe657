/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor, as far as xen/bus and the frontends see it on the host: frames for the grant table, event channels whose events a test
 * fires by hand, and a backend's view of a grant. The PV way.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#include "kernel/memory/page.h"
#include "tests/unit/host/host.h"
#include "xen/machine/boot_info.h"
#include "xen/machine/cpu.h"
#include "xen/machine/event_channel.h"
#include "xen/machine/hypercall.h"

#define GRANT_FRAMES 16u
#define PORT_LIMIT 64u

struct boot_info boot_info = { .mode = BOOT_MODE_PV, .store_port = 1 };

static struct page *grant_pages[GRANT_FRAMES];
static struct {
    event_handler_t handler;
    void *data;
    unsigned int sends;
} ports[PORT_LIMIT];

static long grant_setup(struct gnttab_setup_table *setup)
{
    if (setup->nr_frames > GRANT_FRAMES)
        return -EINVAL;
    for (uint32_t i = 0; i < setup->nr_frames; i++) {
        if (!grant_pages[i])
            grant_pages[i] = page_allocate(0, PAGE_RESERVED, PAGE_ALLOCATE_ZERO);
        setup->frame_list.p[i] = page_pfn(grant_pages[i]).number;
    }
    setup->status = GNTST_okay;
    return 0;
}

long hypercall_3(unsigned int number, uint64_t a, uint64_t b, uint64_t c)
{
    if (number != __HYPERVISOR_grant_table_op)
        return -ENOSYS;
    if (a == GNTTABOP_setup_table)
        return grant_setup((struct gnttab_setup_table *)b);
    if (a == GNTTABOP_query_size) {
        struct gnttab_query_size *query = (struct gnttab_query_size *)b;
        query->max_nr_frames = GRANT_FRAMES;
        query->status = GNTST_okay;
        return 0;
    }
    return -ENOSYS;
}

long hypercall_2(unsigned int number, uint64_t a, uint64_t b)
{
    return -ENOSYS;
}

static struct grant_entry_v1 *grant_of(uint32_t reference)
{
    uint32_t per_frame = PAGE_SIZE / sizeof(struct grant_entry_v1);
    if (reference / per_frame >= GRANT_FRAMES || !grant_pages[reference / per_frame])
        return NULL;
    return (struct grant_entry_v1 *)page_address(grant_pages[reference / per_frame]) + reference % per_frame;
}

void *host_grant_page(uint32_t reference, bool write)
{
    struct grant_entry_v1 *entry = grant_of(reference);
    if (!entry || (entry->flags & GTF_type_mask) != GTF_permit_access || (write && (entry->flags & GTF_readonly)))
        return NULL;
    return frames_address((pfn_t){ entry->frame });
}

void host_grant_hold(uint32_t reference, bool hold)
{
    struct grant_entry_v1 *entry = grant_of(reference);
    if (entry && (!hold || (entry->flags & GTF_type_mask) == GTF_permit_access)) /* Xen maps what is permitted */
        entry->flags = (uint16_t)(hold ? entry->flags | GTF_reading : entry->flags & ~GTF_reading);
}

int event_channel_allocate_unbound(uint16_t remote_domain, event_handler_t handler, void *data, event_port_t *port)
{
    for (event_port_t i = 2; i < PORT_LIMIT; i++) {
        if (ports[i].handler)
            continue;
        ports[i].handler = handler;
        ports[i].data = data;
        ports[i].sends = 0;
        *port = i;
        return 0;
    }
    return -ENOSPC;
}

int event_channel_attach(event_port_t port, event_handler_t handler, void *data)
{
    if (port >= PORT_LIMIT || ports[port].handler)
        return -EINVAL;
    ports[port].handler = handler;
    ports[port].data = data;
    return 0;
}

void event_channel_send(event_port_t port)
{
    if (port < PORT_LIMIT)
        ports[port].sends++;
}

void event_channel_close(event_port_t port)
{
    if (port < PORT_LIMIT)
        ports[port].handler = NULL;
}

unsigned int host_event_sends(uint32_t port)
{
    return ports[port].sends;
}

void host_event_fire(uint32_t port)
{
    if (!ports[port].handler)
        return;
    cpu_current()->event_context_depth++;
    ports[port].handler(port, ports[port].data);
    cpu_current()->event_context_depth--;
}
