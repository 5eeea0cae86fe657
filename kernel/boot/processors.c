/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPUs run. Xen says how many vCPUs there are at most; xenstore's cpu/N/availability, which of them the host wants to run now,
 * and it changes there when the host changes its mind. CPU 0 is not asked. A CPU that does not come is told of in one line, and
 * the others go on.
 */
#include "kernel/boot/processors.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/sched/cpu_hotplug.h"
#include "kernel/sched/mutex.h"
#include "xen/bus/xenstore.h"
#include "xen/machine/cpu_start.h"

static struct mutex processors_lock; /* of changes; the boot thread's and the watch's */
static unsigned int possible;        /* fixed */
static uint64_t started;             /* processors_lock */
static struct xenstore_watch availability_watch;

static void wanted_start(struct xenstore_request *request, unsigned int number)
{
    char directory[16];

    format_string(directory, sizeof(directory), "cpu/%u", number);
    xenstore_start_read(request, directory, "availability");
}

/* What is not said, or is said in other words, means no change. */
static bool wanted_await(struct xenstore_request *request, bool otherwise)
{
    char word[16];

    if (xenstore_await_string(request, word, sizeof(word)) != 0)
        return otherwise;
    return strcmp(word, "online") == 0 || (strcmp(word, "offline") != 0 && otherwise);
}

static void processor_add(unsigned int number)
{
    int error = cpu_hotplug_add(number);

    if (error == 0)
        started |= 1ull << number;
    else
        log_error("CPU %u cannot be started: error %d", number, error);
}

static bool processor_came(unsigned int number)
{
    bool came = cpu_hotplug_wait(number) == 0;

    if (!came)
        log_error("CPU %u was started, but does not come up", number);
    return came;
}

/* cpu/N/availability, below whatever directory; 0: another path. */
static unsigned int path_number(const char *path)
{
    const char *end = strrchr(path, '/');
    uint64_t number = 0;

    if (!end || strcmp(end, "/availability") != 0)
        return 0;
    const char *begin = end;
    while (begin > path && begin[-1] != '/')
        begin--;
    return parse_unsigned(begin, (size_t)(end - begin), 10, &number) == 0 && number < possible ? (unsigned int)number : 0;
}

static attribute_cold void availability_changed(struct xenstore_watch *watch, const char *changed_path)
{
    (void)watch;
    unsigned int number = path_number(changed_path);

    if (number == 0)
        return;
    mutex_lock(&processors_lock);
    bool online = cpu_online_mask() & (1ull << number);
    struct xenstore_request request;
    wanted_start(&request, number);
    bool want = wanted_await(&request, online);
    if (want && !online) {
        processor_add(number);
        if ((started & (1ull << number)) && processor_came(number))
            log_notice("CPU %u is online", number);
    } else if (!want && online) {
        if (cpu_hotplug_remove(number) == 0)
            log_notice("CPU %u is offline", number);
        started &= ~(1ull << number);
    }
    mutex_unlock(&processors_lock);
}

/* Asks for all at once. */
static attribute_cold void processors_start_wanted(void)
{
    struct xenstore_request watch, *requests = memory_allocate(possible * sizeof(*requests));

    if (!requests) {
        log_error("CPUs: out of memory");
        return;
    }
    availability_watch.changed = availability_changed;
    format_string(availability_watch.path, sizeof(availability_watch.path), "cpu");
    xenstore_watch_start_add(&availability_watch, &watch);
    for (unsigned int number = 1; number < possible; number++)
        wanted_start(&requests[number], number);
    for (unsigned int number = 1; number < possible; number++)
        if (wanted_await(&requests[number], true))
            processor_add(number);
    int error = xenstore_watch_await_add(&availability_watch, &watch);
    if (error != 0)
        log_error("CPUs: changes of the host's are not seen: error %d", error);
    memory_free(requests);
}

void processors_start(bool with_xenstore)
{
    mutex_init(&processors_lock, "processors", 0);
    possible = cpu_count_possible();
    if (possible > CPU_LIMIT) {
        log_warning("this guest has more than %u vCPUs: the first %u are used", CPU_LIMIT, CPU_LIMIT);
        possible = CPU_LIMIT;
    }
    mutex_lock(&processors_lock);
    if (with_xenstore && possible > 1)
        processors_start_wanted();
    for (unsigned int number = 1; !with_xenstore && number < possible; number++)
        processor_add(number);
    mutex_unlock(&processors_lock);
}

void processors_wait(void)
{
    mutex_lock(&processors_lock);
    for (uint64_t rest = started; rest != 0; rest &= rest - 1)
        (void)processor_came(bits_lowest(rest));
    mutex_unlock(&processors_lock);
    if (cpu_online_count() > 1)
        log_info("%u CPUs", cpu_online_count());
}
