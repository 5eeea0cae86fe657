/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system as a whole: its names, memory, log, randomness and end.
 *
 * Locks: `names_lock` guards the two names that programs may set.
 */
#include "kernel/linux/system_names.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/device/random.h"
#include "kernel/linux/abi/system.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/memory/page.h"
#include "kernel/process/process.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/shutdown.h"
#include "xen/x86/user_access.h"

/* The Linux whose calls these are: glibc refuses to run on what it takes for too old a kernel. */
#define LINUX_RELEASE "6.1.0-xenolith"

static struct spinlock names_lock = SPINLOCK_INITIALIZER("system names", 0);
static char node_name[LINUX_NAME_BYTES] = "xenolith";
static char domain_name[LINUX_NAME_BYTES] = "(none)";

void system_name_get(enum system_name which, char name[SYSTEM_NAME_BYTES])
{
    spinlock_lock(&names_lock);
    memcpy(name, which == SYSTEM_NAME_NODE ? node_name : domain_name, SYSTEM_NAME_BYTES);
    spinlock_unlock(&names_lock);
}

int system_name_set(enum system_name which, const char *name, size_t length_bytes)
{
    char *target = which == SYSTEM_NAME_NODE ? node_name : domain_name;
    if (length_bytes >= SYSTEM_NAME_BYTES)
        return -EINVAL;
    spinlock_lock(&names_lock);
    memset(target, 0, SYSTEM_NAME_BYTES);
    memcpy(target, name, length_bytes);
    spinlock_unlock(&names_lock);
    return 0;
}

const char *system_release(void)
{
    return LINUX_RELEASE;
}

const char *system_version(void)
{
    return "#1 SMP Xenolith " XENOLITH_VERSION;
}

long sys_uname(uint64_t name)
{
    struct linux_utsname answer = { .system = "Linux", .release = LINUX_RELEASE, .machine = "x86_64" };
    strncpy(answer.version, system_version(), sizeof(answer.version) - 1);
    system_name_get(SYSTEM_NAME_NODE, answer.node);
    system_name_get(SYSTEM_NAME_DOMAIN, answer.domain);
    return user_store(name, &answer);
}

static long name_set(enum system_name which, uint64_t address, int length_bytes)
{
    char name[SYSTEM_NAME_BYTES];
    if (!task_capable(CAPABILITY_SYS_ADMIN))
        return -EPERM;
    if (length_bytes < 0 || length_bytes >= SYSTEM_NAME_BYTES)
        return -EINVAL;
    int error = user_copy_in(name, address, (size_t)length_bytes);
    return error ? error : system_name_set(which, name, (size_t)length_bytes);
}

long sys_sethostname(uint64_t name, int length_bytes)
{
    return name_set(SYSTEM_NAME_NODE, name, length_bytes);
}

long sys_setdomainname(uint64_t name, int length_bytes)
{
    return name_set(SYSTEM_NAME_DOMAIN, name, length_bytes);
}

long sys_sysinfo(uint64_t information)
{
    struct page_statistics pages;
    struct linux_sysinfo answer = { .uptime_seconds = (int64_t)(clock_monotonic_ns() / NS_PER_SECOND), .unit_bytes = 1 };
    uint64_t load[3];
    unsigned int runnable, total;
    page_statistics_get(&pages);
    scheduler_load(load, &runnable, &total);
    for (unsigned int i = 0; i < 3; i++)
        answer.loads[i] = load[i] << 5; /* from 1/2048 to 1/65536 */
    answer.total_memory = pages.total_pages * 4096;
    answer.free_memory = pages.free_pages * 4096;
    answer.processes = (uint16_t)minimum(total, 65535u);
    return user_store(information, &answer);
}

long sys_getrandom(uint64_t buffer, uint64_t length_bytes, uint32_t flags)
{
    uint8_t chunk[256];
    uint64_t done = 0;
    if ((flags & ~(LINUX_GRND_NONBLOCK | LINUX_GRND_RANDOM | LINUX_GRND_INSECURE)) || (flags & (LINUX_GRND_RANDOM | LINUX_GRND_INSECURE)) == (LINUX_GRND_RANDOM | LINUX_GRND_INSECURE))
        return -EINVAL;
    if (!(flags & LINUX_GRND_INSECURE) && !random_ready()) {
        if (flags & LINUX_GRND_NONBLOCK)
            return -EAGAIN;
        if (random_wait(WAIT_FOREVER, true) == -EINTR)
            return -ERESTARTSYS;
    }
    length_bytes = minimum(length_bytes, LINUX_TRANSFER_LIMIT);
    if (!user_range_valid(buffer, length_bytes))
        return -EFAULT;
    while (done < length_bytes) {
        size_t count = (size_t)minimum(length_bytes - done, (uint64_t)sizeof(chunk));
        random_bytes(chunk, count);
        size_t copied = user_copy_out_partial(buffer + done, chunk, count);
        done += copied;
        if (copied < count)
            break;
        if (signal_deliverable())
            break;
        thread_yield_if_due();
    }
    memset(chunk, 0, sizeof(chunk));
    compiler_barrier();
    return done == 0 && length_bytes != 0 ? -EFAULT : (long)done;
}

enum { SYSLOG_CLOSE, SYSLOG_OPEN, SYSLOG_READ, SYSLOG_READ_ALL, SYSLOG_READ_CLEAR, SYSLOG_CLEAR, SYSLOG_CONSOLE_OFF,
       SYSLOG_CONSOLE_ON, SYSLOG_CONSOLE_LEVEL, SYSLOG_UNREAD, SYSLOG_SIZE };
#define LOG_RING_BYTES 16384

static long syslog_read(uint64_t buffer, int length_bytes)
{
    if (buffer == 0 || length_bytes < 0)
        return -EINVAL;
    if (length_bytes == 0)
        return 0;
    size_t room = (size_t)minimum(length_bytes, LOG_RING_BYTES);
    char *text = memory_allocate(room);
    if (!text)
        return -ENOMEM;
    size_t length = log_copy(text, room);
    int error = user_copy_out(buffer, text, length);
    memory_free(text);
    return error ? error : (long)length;
}

long sys_syslog(int type, uint64_t buffer, int length_bytes)
{
    bool privileged = task_capable(CAPABILITY_SYS_ADMIN);
    if (!privileged && type != SYSLOG_READ_ALL && type != SYSLOG_SIZE)
        return -EPERM;
    switch (type) {
    case SYSLOG_CLOSE:
    case SYSLOG_OPEN:
        return 0;
    case SYSLOG_READ_ALL:
        return syslog_read(buffer, length_bytes);
    case SYSLOG_CONSOLE_OFF:
        log_set_level(LOG_ERROR);
        return 0;
    case SYSLOG_CONSOLE_ON:
        log_set_level(LOG_INFO);
        return 0;
    case SYSLOG_CONSOLE_LEVEL:
        if (length_bytes < 1 || length_bytes > 8)
            return -EINVAL;
        log_set_level((enum log_level)(length_bytes - 1));
        return 0;
    case SYSLOG_SIZE:
        return LOG_RING_BYTES;
    case SYSLOG_READ:
    case SYSLOG_READ_CLEAR:
    case SYSLOG_CLEAR:
    case SYSLOG_UNREAD:
        return -ENOSYS;
    default:
        return -EINVAL;
    }
}

long sys_reboot(uint32_t magic1, uint32_t magic2, uint32_t command, uint64_t argument)
{
    if (!task_capable(CAPABILITY_SYS_BOOT))
        return -EPERM;
    if (magic1 != LINUX_REBOOT_MAGIC1 || (magic2 != 672274793 && magic2 != 85072278 && magic2 != 369367448 && magic2 != 537993216))
        return -EINVAL;
    switch (command) {
    case LINUX_REBOOT_CAD_ON:
    case LINUX_REBOOT_CAD_OFF:
        return 0; /* there is no keyboard whose Ctrl-Alt-Del could matter */
    case LINUX_REBOOT_HALT:
    case LINUX_REBOOT_POWER_OFF:
        log_notice("powered off by %s", task_current()->command);
        shutdown(SHUTDOWN_REASON_POWEROFF);
    case LINUX_REBOOT_RESTART:
    case LINUX_REBOOT_RESTART2:
        log_notice("restarted by %s", task_current()->command);
        shutdown(SHUTDOWN_REASON_REBOOT);
    default:
        return -EINVAL;
    }
}

long sys_getcpu(uint64_t cpu, uint64_t node, uint64_t unused)
{
    uint32_t number = cpu_current()->number, zero = 0;
    if (cpu && user_store(cpu, &number))
        return -EFAULT;
    return node ? user_store(node, &zero) : 0;
}
