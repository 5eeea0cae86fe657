/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices in a real guest, against the host's real backends: the scheduler (threads, mutexes, timers), xenstore, the first disk (written,
 * flushed and read back at several sizes and places, past the ring's and a request's limits), the network (an ARP
 * question to ARGUMENT 1's address), then what was leaked. Prints TAP. The disk's content is destroyed.
 */
#include <stdarg.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/device/block_device.h"
#include "kernel/device/net_device.h"
#include "kernel/device/random.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/completion.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "libc-compat/native.h"
#include "xen/bus/grant_table.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/clock.h"
#include "xen/machine/console.h"
#include "xen/machine/hypercall.h"

#define SECOND_NS 1000000000ull

static int case_count, failures;

/* No libc: this image is there before the rooms that newlib needs. */
static void attribute_printf(1, 2) say(const char *format, ...)
{
    char line[200];
    va_list list;

    va_start(list, format);
    int length = format_string_list(line, sizeof(line), format, list);
    va_end(list);
    console_write_all(line, minimum((size_t)length, sizeof(line) - 1));
}

static void check(const char *what, bool good)
{
    failures += !good;
    say("%sok %d - %s\n", good ? "" : "not ", ++case_count, what);
}

/* ---- The scheduler ---- */

static struct mutex shared_mutex;
static unsigned int shared_count, finished;
static struct completion all_finished;

static void counting_thread(void *argument)
{
    for (int i = 0; i < 1000; i++) {
        mutex_lock(&shared_mutex);
        unsigned int seen = shared_count;
        if (i % 16 == 0)
            thread_yield();
        shared_count = seen + 1;
        mutex_unlock(&shared_mutex);
    }
    mutex_lock(&shared_mutex);
    bool last = ++finished == 8;
    mutex_unlock(&shared_mutex);
    if (last)
        completion_complete(&all_finished);
}

static void test_threads(void)
{
    mutex_init(&shared_mutex, "test", 0);
    completion_init(&all_finished);
    for (int i = 0; i < 8; i++) {
        struct thread *thread;
        if (thread_create(&thread, "count", counting_thread, NULL) != 0)
            return check("threads are created", false);
        thread_start(thread);
        thread_release(thread);
    }
    int error = completion_wait(&all_finished, clock_monotonic_ns() + 30 * SECOND_NS, false);
    check("eight threads under one mutex count to 8000", error == 0 && shared_count == 8000);

    uint64_t before_ns = clock_monotonic_ns();
    struct completion never;
    completion_init(&never);
    error = completion_wait(&never, before_ns + 50000000, false);
    uint64_t slept_ns = clock_monotonic_ns() - before_ns;
    check("a wait with a deadline ends then", error == -ETIMEDOUT && slept_ns >= 50000000 && slept_ns < SECOND_NS);
}

static void test_switch_time(void)
{
    uint64_t before_ns = clock_monotonic_ns();
    for (int i = 0; i < 1000; i++) {
        struct thread *thread;
        struct completion ended;
        completion_init(&ended);
        if (thread_create(&thread, "brief", (void (*)(void *))completion_complete, &ended) != 0)
            return check("1000 threads come and go", false);
        thread_start(thread);
        thread_release(thread);
        completion_wait(&ended, WAIT_FOREVER, false);
    }
    check("1000 threads come and go", true);
    say("# a thread created, run and awaited: %llu ns\n", (unsigned long long)(clock_monotonic_ns() - before_ns) / 1000);
}

/* ---- Xenstore ---- */

static int transaction_body(uint32_t transaction, void *data)
{
    int error = xenstore_print(transaction, "data", "test", "%d", 42);
    return error;
}

static unsigned int watch_calls;

static void watch_changed(struct xenstore_watch *watch, const char *path)
{
    watch_calls++;
}

static void test_xenstore(void)
{
    static struct xenstore_watch watch = { .path = "data", .changed = watch_changed };
    uint64_t value = 0;
    char *long_value = memory_allocate(3000);

    check("a transaction writes", xenstore_transaction(transaction_body, NULL) == 0);
    check("what it wrote is read", xenstore_read_unsigned(0, "data", "test", 100, &value) == 0 && value == 42);
    check("a missing key is ENOENT", xenstore_read_unsigned(0, "data", "nothing", 100, &value) == -ENOENT);
    check("a watch is set", xenstore_watch_add(&watch) == 0);
    memset(long_value, 'x', 2000);
    check("a value longer than the ring is written", xenstore_write(0, "data", "long", long_value, 2000) == 0);
    char *back = NULL;
    size_t length = 0;
    bool same = xenstore_read(0, "data", "long", &back, &length) == 0 && length == 2000 && memcmp(back, long_value, 2000) == 0;
    check("and read", same);
    memory_free(back);
    for (int i = 0; i < 100 && watch_calls < 2; i++) {
        struct completion never;
        completion_init(&never);
        completion_wait(&never, clock_monotonic_ns() + 10000000, false);
    }
    check("the watch was called", watch_calls >= 2);
    xenstore_watch_remove(&watch);
    char *names = NULL;
    unsigned int count = 0;
    check("a directory is listed", xenstore_list(0, "data", &names, &count) == 0 && count == 2);
    memory_free(names);
    uint64_t before_ns = clock_monotonic_ns();
    for (int i = 0; i < 100; i++)
        (void)xenstore_read_unsigned(0, "data", "test", 100, &value);
    say("# a xenstore read: %llu ns\n", (unsigned long long)(clock_monotonic_ns() - before_ns) / 100);
    memory_free(long_value);
}

/* ---- The disk ---- */

#define DISK_PAGES 64

static struct page *pages[DISK_PAGES];

static void fill(unsigned int seed, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        for (unsigned int k = 0; k < PAGE_SIZE / 4; k++)
            ((uint32_t *)page_address(pages[i]))[k] = seed * 2654435761u + i * 4099u + k;
}

static bool matches(unsigned int seed, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        for (unsigned int k = 0; k < PAGE_SIZE / 4; k++)
            if (((uint32_t *)page_address(pages[i]))[k] != seed * 2654435761u + i * 4099u + k)
                return false;
    return true;
}

static int move(struct block_device *disk, enum block_operation operation, uint64_t sector, unsigned int count)
{
    struct block_segment segments[DISK_PAGES];
    for (unsigned int i = 0; i < count; i++)
        segments[i] = (struct block_segment){ pages[i], 0, PAGE_SIZE };
    return block_device_transfer(disk, operation, sector, segments, count);
}

static void test_disk_speed(struct block_device *disk)
{
    uint64_t before[64], after[64], calls = 0, before_ns = clock_monotonic_ns();
    unsigned int rounds = 32;

    hypercall_counts(before);
    for (unsigned int i = 0; i < rounds; i++)
        (void)move(disk, BLOCK_READ, (i * DISK_PAGES * 8) % (atomic_load(&disk->sector_count) / 2), DISK_PAGES);
    uint64_t ns = clock_monotonic_ns() - before_ns;
    hypercall_counts(after);
    for (int i = 0; i < 64; i++)
        calls += after[i] - before[i];
    uint64_t kib = rounds * DISK_PAGES * 4;
    say("# reading: %llu KiB/s, %llu hypercalls per MiB (event channel %llu)\n", (unsigned long long)(kib * SECOND_NS / ns),
           (unsigned long long)(calls * 1024 / kib), (unsigned long long)((after[32] - before[32]) * 1024 / kib));
}

static void test_disk(void)
{
    static const unsigned int sizes[] = { 1, 2, 11, 12, 33, DISK_PAGES };
    struct block_device *disk = block_device_find("xvda");

    check("xvda is there", disk != NULL);
    if (!disk)
        return;
    for (unsigned int i = 0; i < DISK_PAGES; i++)
        pages[i] = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ZERO);
    for (unsigned int i = 0; i < array_count(sizes); i++) {
        unsigned int count = sizes[i];
        uint64_t sector = 8 * i * 100;
        fill(i, count);
        int error = move(disk, BLOCK_WRITE, sector, count);
        int flush_error = block_device_flush(disk);
        fill(99, count);
        int read_error = move(disk, BLOCK_READ, sector, count);
        char what[80];
        format_string(what, sizeof(what), "%u pages are written, flushed, read (%d %d %d)", count, error, flush_error, read_error);
        check(what, error == 0 && flush_error == 0 && read_error == 0 && matches(i, count));
    }
    fill(7, 1);
    struct block_segment part = { pages[0], 512, 1024 };
    check("two sectors of a page are written", block_device_transfer(disk, BLOCK_WRITE, 3, &part, 1) == 0);
    char sectors[1024];
    check("and read", block_device_read(disk, 3, sectors, 1024) == 0 &&
                          memcmp(sectors, (char *)page_address(pages[0]) + 512, 1024) == 0);
    check("past the end is refused", move(disk, BLOCK_READ, atomic_load(&disk->sector_count) - 1, 1) == -EINVAL);
    struct block_device *second = block_device_find("xvdb");
    if (second) {
        check("xvdb is read-only", second->read_only && move(second, BLOCK_WRITE, 0, 1) == -EROFS);
        check("and is read", move(second, BLOCK_READ, 0, 1) == 0);
        block_device_release(second);
    }
    test_disk_speed(disk);
    for (unsigned int i = 0; i < DISK_PAGES; i++)
        page_release(pages[i]);
    block_device_release(disk);
}

/* ---- The network ---- */

static atomic_uint packets_seen, answers_seen;
static struct completion answered, sent;
static uint8_t asked[4];

static void deliver(struct net_receiver *receiver, struct net_device *device, struct list *packets)
{
    while (!list_empty(packets)) {
        struct net_packet *packet = list_first(packets, struct net_packet, link);
        const uint8_t *bytes = (uint8_t *)page_address(packet->fragments[0].page) + packet->fragments[0].offset_bytes;
        list_remove(&packet->link);
        packets_seen++;
        if (packet->length_bytes >= 42 && bytes[12] == 8 && bytes[13] == 6 && bytes[21] == 2 && memcmp(bytes + 28, asked, 4) == 0 &&
            atomic_fetch_add(&answers_seen, 1) == 0)
            completion_complete(&answered);
        net_packet_release(packet);
    }
}

static void transmit_ready(struct net_receiver *receiver, struct net_device *device)
{
}

static void changed(struct net_receiver *receiver, struct net_device *device)
{
}

static void frame_complete(struct net_frame *frame, int error)
{
    frame->slots_left = (uint32_t)-error;
    completion_complete(&sent);
}

static void parse_address(const char *text)
{
    for (int i = 0; i < 4; i++) {
        uint64_t byte = 0;
        size_t length = 0;
        while (text[length] && text[length] != '.')
            length++;
        (void)parse_unsigned(text, length, 10, &byte);
        asked[i] = (uint8_t)byte;
        text += length + (text[length] == '.');
    }
}

static void test_network(const char *address)
{
    static struct net_receiver receiver = { .deliver = deliver, .transmit_ready = transmit_ready, .changed = changed };
    struct net_device *device = net_device_find("eth0");

    check("eth0 is there", device != NULL);
    if (!device)
        return;
    completion_init(&answered);
    completion_init(&sent);
    parse_address(address);
    net_device_set_receiver(device, &receiver);
    for (int i = 0; i < 500 && !atomic_load(&device->link_up); i++) {
        struct completion never;
        completion_init(&never);
        completion_wait(&never, clock_monotonic_ns() + 10000000, false);
    }
    check("its link is up", atomic_load(&device->link_up));

    struct page *page = page_allocate(0, PAGE_KERNEL, PAGE_ALLOCATE_ZERO);
    uint8_t *bytes = page_address(page);
    static const uint8_t arp[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
    memset(bytes, 0xff, 6);
    memcpy(bytes + 6, device->mac, 6);
    memcpy(bytes + 12, arp, sizeof(arp));
    memcpy(bytes + 22, device->mac, 6);
    memcpy(bytes + 38, asked, 4);
    bool good = true;
    for (int i = 0; i < 20 && !completion_done(&answered); i++) {
        struct net_frame frame = { .fragments = { { page, 0, 30 }, { page, 30, 30 } }, .fragment_count = 2, .complete = frame_complete };
        completion_init(&sent);
        int error = net_transmit(device, &frame, false);
        good &= error == 0 && completion_wait(&sent, clock_monotonic_ns() + 5 * SECOND_NS, false) == 0;
        if (!good)
            break;
        (void)completion_wait(&answered, clock_monotonic_ns() + SECOND_NS / 2, false);
    }
    check("frames are sent", good);
    check("the host answers ARP", completion_done(&answered));
    say("# features %x, received %u, sent %llu\n", atomic_load(&device->features), atomic_load(&packets_seen),
           (unsigned long long)atomic_load(&device->tx_packets));
    net_device_set_receiver(device, NULL);
    page_release(page);
    net_device_release(device);
}

/* For tests of hot plug and shutdown: every second reads what disks there are, until the host ends the guest. */
static void attribute_noreturn wait_for_the_host(void)
{
    say("waiting\n");
    for (;;) {
        struct completion never;
        char sector[512];
        completion_init(&never);
        completion_wait(&never, clock_monotonic_ns() + SECOND_NS, false);
        for (struct block_device *disk = block_device_next(NULL); disk; disk = block_device_next(disk)) {
            int error = block_device_read(disk, 0, sector, sizeof(sector));
            if (error != 0)
                say("%s: read error %d\n", disk->name, error);
        }
    }
}

static int devices_run(const struct native_program *program, const struct native_environment *environment)
{
    struct grant_table_statistics grants_before, grants_after;
    struct page_statistics pages_before, pages_after;

    if (environment->argument_count > 0 && strcmp(environment->arguments[0], "wait") == 0)
        wait_for_the_host();
    grant_table_statistics(&grants_before);
    test_threads();
    page_statistics_get(&pages_before);
    test_switch_time();
    test_xenstore();
    test_disk();
    if (environment->argument_count > 0)
        test_network(environment->arguments[0]);
    check("random numbers are ready", random_ready());
    page_statistics_get(&pages_after);
    grant_table_statistics(&grants_after);
    check("no grant was lost", grants_before.free == grants_after.free && grants_after.ending == 0);
    say("# pages free before %llu, after %llu\n", (unsigned long long)pages_before.free_pages,
           (unsigned long long)pages_after.free_pages);
    uint64_t load[3];
    unsigned int runnable, total;
    uint64_t busy_ns, idle_ns;
    scheduler_load(load, &runnable, &total);
    scheduler_cpu_times(0, &busy_ns, &idle_ns);
    say("# %u threads, %u runnable, idle %llu ms\n1..%d\n", total, runnable,
           (unsigned long long)idle_ns / 1000000, case_count);
    return failures ? 1 : 0;
}

static const struct native_program devices = { "devices", NULL, devices_run };
const struct native_program *const native_program = &devices;
