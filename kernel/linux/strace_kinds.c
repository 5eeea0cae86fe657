/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How strace shows each kind of argument. Structs are read from the program by user_copy_in, and an address that cannot
 * be read is shown as a number: decoding never changes what the call does. Thread context; nothing locked.
 */
#include "kernel/linux/strace_kinds.h"

#include <string.h>

#include "kernel/linux/abi/file.h"
#include "kernel/linux/abi/poll.h"
#include "kernel/linux/abi/signal.h"
#include "kernel/linux/abi/socket.h"
#include "kernel/linux/abi/stat.h"
#include "kernel/linux/abi/time.h"
#include "xen/x86/user_access.h"

#define SHOWN_BYTES 32   /* of a buffer */
#define SHOWN_ITEMS 4    /* of an array */
#define SHOWN_PATH 160

struct call_view {
    const uint64_t *arguments;
    unsigned int index;
    long result;
    bool out; /* the call filled it, and it is over */
};

typedef void (*show_t)(struct strace_text *text, uint64_t value, const struct call_view *view);

static uint64_t view_next(const struct call_view *view)
{
    return view->index < 5 ? view->arguments[view->index + 1] : 0;
}

/* An address that is NULL or cannot be read is printed here, and false answered. */
static bool show_load(struct strace_text *text, void *into, uint64_t address, size_t length_bytes)
{
    if (address == 0)
        strace_print(text, "NULL");
    else if (user_copy_in(into, address, length_bytes) != 0)
        strace_print(text, "0x%llx", (unsigned long long)address);
    else
        return true;
    return false;
}

static void show_hex(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    if (value == 0)
        strace_print(text, "0");
    else
        strace_print(text, "0x%llx", (unsigned long long)value);
}

static void show_int(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "%d", (int)value);
}

static void show_unsigned(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "%u", (unsigned int)value);
}

static void show_long(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "%lld", (long long)value);
}

static void show_size(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "%llu", (unsigned long long)value);
}

static void show_octal(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "0%o", (unsigned int)value);
}

static void show_at(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    if ((int)value == LINUX_AT_FDCWD)
        strace_print(text, "AT_FDCWD");
    else
        strace_print(text, "%d", (int)value);
}

static void show_path(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    char name[SHOWN_PATH];
    if (value == 0) {
        strace_print(text, "NULL");
        return;
    }
    size_t length = user_copy_in_partial(name, value, sizeof(name));
    size_t end = 0;
    while (end < length && name[end])
        end++;
    if (length == 0)
        show_hex(text, value, view);
    else
        strace_quote(text, (const uint8_t *)name, end, end == sizeof(name));
}

static void show_buffer(struct strace_text *text, uint64_t address, uint64_t length_bytes)
{
    uint8_t bytes[SHOWN_BYTES];
    size_t shown = (size_t)minimum(length_bytes, (uint64_t)sizeof(bytes));
    if (shown == 0)
        strace_print(text, "\"\"");
    else if (show_load(text, bytes, address, shown))
        strace_quote(text, bytes, shown, length_bytes > shown);
}

static void show_bytes(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    show_buffer(text, value, view->out ? (uint64_t)view->result : view_next(view));
}

static void show_option(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    int32_t number;
    if ((int)view_next(view) == 4 && value != 0 && user_copy_in(&number, value, sizeof(number)) == 0)
        strace_print(text, "[%d]", number);
    else
        show_buffer(text, value, minimum(view_next(view) & UINT32_MAX, 64ull));
}

static void show_iovec(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    uint64_t count = view_next(view), left = view->out ? (uint64_t)view->result : UINT64_MAX;
    strace_print(text, "[");
    for (uint64_t i = 0; i < count && i < SHOWN_ITEMS; i++) {
        struct linux_iovec item;
        if (i > 0)
            strace_print(text, ", ");
        if (!show_load(text, &item, value + i * sizeof(item), sizeof(item)))
            break;
        uint64_t length = minimum(item.length_bytes, left);
        left -= length;
        strace_print(text, "{");
        show_buffer(text, item.address, length);
        strace_print(text, ", %llu}", (unsigned long long)item.length_bytes);
    }
    strace_print(text, count > SHOWN_ITEMS ? ", ...]" : "]");
}

static void show_strings(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "[");
    for (unsigned int i = 0; i < 12; i++) {
        uint64_t string = 0;
        if (value == 0 || user_load(&string, value + i * 8) != 0 || string == 0) {
            strace_print(text, "]");
            return;
        }
        if (i > 0)
            strace_print(text, ", ");
        show_path(text, string, view);
    }
    strace_print(text, ", ...]");
}

static void show_fd_pair(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    int32_t fds[2];
    if (show_load(text, fds, value, sizeof(fds)))
        strace_print(text, "[%d, %d]", fds[0], fds[1]);
}

static void show_stat(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    struct linux_stat stat;
    if (show_load(text, &stat, value, sizeof(stat)))
        strace_print(text, "{mode=0%o, size=%lld, inode=%llu, ...}", stat.mode, (long long)stat.size_bytes, (unsigned long long)stat.inode);
}

static void print_timespec(struct strace_text *text, const struct linux_timespec *time)
{
    strace_print(text, "{%lld, %lld}", (long long)time->seconds, (long long)time->nanoseconds);
}

static void show_timespec(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    struct linux_timespec time; /* a timeval has the same shape */
    if (show_load(text, &time, value, sizeof(time)))
        print_timespec(text, &time);
}

static void show_itimerspec(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    struct linux_itimerspec timer; /* and an itimerval */
    if (!show_load(text, &timer, value, sizeof(timer)))
        return;
    strace_print(text, "{interval=");
    print_timespec(text, &timer.interval);
    strace_print(text, ", value=");
    print_timespec(text, &timer.value);
    strace_print(text, "}");
}

static void show_limit(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    uint64_t limit[2];
    if (!show_load(text, limit, value, sizeof(limit)))
        return;
    for (unsigned int i = 0; i < 2; i++)
        if (limit[i] == UINT64_MAX)
            strace_print(text, i ? ", RLIM_INFINITY}" : "{RLIM_INFINITY");
        else
            strace_print(text, i ? ", %llu}" : "{%llu", (unsigned long long)limit[i]);
}

static void print_sockaddr(struct strace_text *text, uint64_t address, uint64_t length_bytes)
{
    union {
        uint16_t family;
        struct linux_sockaddr_in in;
        struct linux_sockaddr_in6 in6;
        uint8_t bytes[128];
    } socket = { 0 };
    length_bytes = minimum(length_bytes, (uint64_t)sizeof(socket.bytes));
    if (length_bytes < 2) {
        strace_print(text, "0x%llx", (unsigned long long)address);
        return;
    }
    if (!show_load(text, &socket, address, (size_t)length_bytes))
        return;
    strace_print(text, "{");
    strace_words(text, strace_family_words, socket.family);
    if (socket.family == LINUX_AF_INET) {
        const uint8_t *a = socket.in.address;
        strace_print(text, ", %u.%u.%u.%u:%u", a[0], a[1], a[2], a[3], __builtin_bswap16(socket.in.port));
    } else if (socket.family == LINUX_AF_INET6) {
        strace_print(text, ", [");
        for (unsigned int i = 0; i < 16; i += 2)
            strace_print(text, "%s%x", i ? ":" : "", socket.in6.address[i] << 8 | socket.in6.address[i + 1]);
        strace_print(text, "]:%u", __builtin_bswap16(socket.in6.port));
    } else if (socket.family == LINUX_AF_UNIX) {
        size_t length = (size_t)length_bytes - 2;
        strace_print(text, ", ");
        if (length > 0 && socket.bytes[2] != 0)
            length = strnlen((const char *)socket.bytes + 2, length);
        strace_quote(text, socket.bytes + 2, length, false);
    }
    strace_print(text, "}");
}

/* In: the next argument is the length; out: it points to it. */
static void show_sockaddr(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    uint64_t length = view_next(view) & UINT32_MAX;
    int32_t written = 0;
    if (value == 0) {
        strace_print(text, "NULL");
        return;
    }
    if (view->out)
        length = user_load(&written, view_next(view)) == 0 && written > 0 ? (uint64_t)written : 0;
    print_sockaddr(text, value, length);
}

static void show_msghdr(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    struct linux_msghdr message;
    if (!show_load(text, &message, value, sizeof(message)))
        return;
    const uint64_t vector[2] = { message.vector, message.vector_count };
    const struct call_view inner = { .arguments = vector, .index = 0, .result = view->result, .out = view->out };
    strace_print(text, "{name=");
    if (message.name)
        print_sockaddr(text, message.name, (uint32_t)message.name_bytes);
    else
        strace_print(text, "NULL");
    strace_print(text, ", vector=");
    show_iovec(text, message.vector, &inner);
    strace_print(text, ", control_bytes=%llu, flags=", (unsigned long long)message.control_bytes);
    strace_words(text, strace_message_words, message.flags);
    strace_print(text, "}");
}

static void show_pollfd(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    uint64_t count = view_next(view) & UINT32_MAX;
    strace_print(text, "[");
    for (uint64_t i = 0; i < count && i < SHOWN_ITEMS; i++) {
        struct linux_pollfd item;
        if (!show_load(text, &item, value + i * sizeof(item), sizeof(item)))
            break;
        strace_print(text, i ? ", {%d, " : "{%d, ", item.fd);
        strace_words(text, strace_poll_words, (uint16_t)item.events);
        strace_print(text, " -> ");
        strace_words(text, strace_poll_words, (uint16_t)item.returned);
        strace_print(text, "}");
    }
    strace_print(text, count > SHOWN_ITEMS ? ", ...]" : "]");
}

static void print_epoll_event(struct strace_text *text, uint64_t address)
{
    struct linux_epoll_event event;
    if (!show_load(text, &event, address, sizeof(event)))
        return;
    strace_print(text, "{");
    strace_words(text, strace_epoll_words, event.events);
    strace_print(text, ", 0x%llx}", (unsigned long long)event.data);
}

static void show_epoll_event(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    print_epoll_event(text, value);
}

static void show_epoll_events(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    strace_print(text, "[");
    for (long i = 0; i < view->result && i < SHOWN_ITEMS; i++) {
        if (i > 0)
            strace_print(text, ", ");
        print_epoll_event(text, value + (uint64_t)i * sizeof(struct linux_epoll_event));
    }
    strace_print(text, view->result > SHOWN_ITEMS ? ", ...]" : "]");
}

static void print_signal(struct strace_text *text, uint64_t number)
{
    if (number >= 32 && number <= 64)
        strace_print(text, "SIGRT_%u", (unsigned int)number - 32);
    else
        strace_words(text, strace_signal_words, number & UINT32_MAX);
}

static void show_signal(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    print_signal(text, value & UINT32_MAX);
}

static void print_sigset(struct strace_text *text, uint64_t set)
{
    const char *separator = "";
    bool inverted = __builtin_popcountll(set) > 32;
    strace_print(text, inverted ? "~[" : "[");
    for (unsigned int number = 1; number <= 64; number++)
        if ((((set >> (number - 1)) & 1) != 0) != inverted) {
            strace_print(text, "%s", separator);
            print_signal(text, number);
            separator = " ";
        }
    strace_print(text, "]");
}

static void show_sigset(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    uint64_t set;
    if (show_load(text, &set, value, sizeof(set)))
        print_sigset(text, set);
}

static void show_sigaction(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    struct linux_sigaction action;
    if (!show_load(text, &action, value, sizeof(action)))
        return;
    if (action.handler < 2)
        strace_print(text, action.handler ? "{SIG_IGN, " : "{SIG_DFL, ");
    else
        strace_print(text, "{0x%llx, ", (unsigned long long)action.handler);
    print_sigset(text, action.mask);
    strace_print(text, ", ");
    strace_words(text, strace_signal_action_words, action.flags);
    strace_print(text, "}");
}

static void show_wait_status(struct strace_text *text, uint64_t value, const struct call_view *view)
{
    int32_t status;
    if (view->result == 0)
        show_hex(text, value, view);
    else if (show_load(text, &status, value, sizeof(status))) {
        if ((status & 0x7f) == 0)
            strace_print(text, "[exited %d]", (status >> 8) & 0xff);
        else {
            strace_print(text, (status & 0xff) == 0x7f ? "[stopped " : "[killed ");
            print_signal(text, (status & 0xff) == 0x7f ? (status >> 8) & 0xff : status & 0x7f);
            strace_print(text, "]");
        }
    }
}

struct kind {
    const char *name;
    show_t show;                     /* NULL: words */
    const struct strace_word *words;
};

static const struct kind kinds[] = {
    { "fd", show_int, NULL }, { "hex", show_hex, NULL }, { "int", show_int, NULL }, { "path", show_path, NULL },
    { "size", show_size, NULL }, { "unsigned", show_unsigned, NULL }, { "at", show_at, NULL }, { "long", show_long, NULL },
    { "octal", show_octal, NULL }, { "bytes", show_bytes, NULL }, { "timespec", show_timespec, NULL },
    { "timeval", show_timespec, NULL }, { "itimerspec", show_itimerspec, NULL }, { "itimerval", show_itimerspec, NULL },
    { "iovec", show_iovec, NULL }, { "stat", show_stat, NULL }, { "sockaddr", show_sockaddr, NULL },
    { "msghdr", show_msghdr, NULL }, { "pollfd", show_pollfd, NULL }, { "epoll_event", show_epoll_event, NULL },
    { "epoll_events", show_epoll_events, NULL }, { "signal", show_signal, NULL }, { "sigset", show_sigset, NULL },
    { "sigaction", show_sigaction, NULL }, { "wait_status", show_wait_status, NULL }, { "rlimit", show_limit, NULL },
    { "fd_pair", show_fd_pair, NULL }, { "strings", show_strings, NULL }, { "optval", show_option, NULL },
    { "open", NULL, strace_open_words }, { "clock", NULL, strace_clock_words }, { "at_flags", NULL, strace_at_words },
    { "msg", NULL, strace_message_words }, { "socktype", NULL, strace_socket_type_words },
    { "protection", NULL, strace_protection_words }, { "map", NULL, strace_map_words }, { "clone", NULL, strace_clone_words },
    { "resource", NULL, strace_resource_words }, { "ipc_command", NULL, strace_ipc_words }, { "access", NULL, strace_access_words },
    { "wait", NULL, strace_wait_words }, { "sockopt_level", NULL, strace_socket_level_words },
    { "madvise", NULL, strace_madvise_words }, { "fadvise", NULL, strace_fadvise_words }, { "itimer", NULL, strace_itimer_words },
    { "family", NULL, strace_family_words }, { "whence", NULL, strace_whence_words }, { "sigmask_how", NULL, strace_sigmask_words },
    { "shutdown", NULL, strace_shutdown_words }, { "prctl", NULL, strace_prctl_words }, { "msync", NULL, strace_msync_words },
    { "mremap", NULL, strace_mremap_words }, { "ioctl", NULL, strace_ioctl_words }, { "getrandom", NULL, strace_getrandom_words },
    { "futex", NULL, strace_futex_words }, { "flock", NULL, strace_flock_words }, { "fcntl", NULL, strace_fcntl_words },
    { "epoll_ctl", NULL, strace_epoll_control_words }, { "arch_prctl", NULL, strace_arch_prctl_words },
};

static const struct kind *kind_find(const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < array_count(kinds); i++)
        if (strlen(kinds[i].name) == name_bytes && memcmp(kinds[i].name, name, name_bytes) == 0)
            return &kinds[i];
    return NULL;
}

bool strace_kind_known(const char *kind, size_t kind_bytes)
{
    bool out = kind_bytes > 0 && kind[0] == '>';
    return kind_find(kind + out, kind_bytes - out) != NULL;
}

void strace_argument(struct strace_text *text, const char *kind, size_t kind_bytes, const uint64_t *arguments, unsigned int index, long result)
{
    struct call_view view = { .arguments = arguments, .index = index, .result = result };
    uint64_t value = index < 6 ? arguments[index] : 0;
    if (kind_bytes > 0 && kind[0] == '>') {
        view.out = true;
        kind++;
        kind_bytes--;
        if (result < 0) {
            show_hex(text, value, &view);
            return;
        }
    }
    const struct kind *found = kind_find(kind, kind_bytes);
    if (found && found->words)
        strace_words(text, found->words, value & UINT32_MAX);
    else if (found)
        found->show(text, value, &view);
    else
        show_hex(text, value, &view);
}

void strace_result(struct strace_text *text, long result)
{
    if (result >= 0 && result < 1 << 30)
        strace_print(text, "%ld", result);
    else if (result >= 0 || result < -4095)
        strace_print(text, "0x%lx", (unsigned long)result);
    else {
        strace_print(text, "-");
        strace_words(text, strace_error_words, (uint64_t)-result);
    }
}
