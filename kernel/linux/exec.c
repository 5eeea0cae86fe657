/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execve and execveat: the argument and environment strings are copied into kernel memory first, because the space they
 * lie in goes away; then kernel/process loads the program.
 *
 * Limits are Linux's: one string at most 128 KiB, all of them and their pointers a quarter of the stack limit, but at
 * most 6 MiB and at least 128 KiB.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define STRING_LIMIT_BYTES 131072u
#define STRINGS_LEAST_BYTES 131072u
#define STRINGS_MOST_BYTES (6u << 20)

/* A NULL-ended array of strings; `room` slots. */
struct strings {
    char **items;
    size_t count, room;
    uint64_t budget_bytes; /* what is left of the limit, shared by both arrays of a call */
};

static void strings_release(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        memory_free(strings->items[i]);
    memory_free(strings->items);
}

static int strings_add(struct strings *strings, char *string)
{
    if (strings->count + 1 >= strings->room) {
        size_t room = strings->room ? strings->room * 2 : 32;
        char **more = memory_reallocate(strings->items, room * sizeof(char *));
        if (!more)
            return -ENOMEM;
        strings->items = more;
        strings->room = room;
    }
    strings->items[strings->count++] = string;
    strings->items[strings->count] = NULL;
    return 0;
}

/* One string, in memory of its own size. `scratch` has STRING_LIMIT_BYTES. */
static int string_copy(struct strings *strings, uint64_t address, char *scratch)
{
    long length = user_copy_string(scratch, address, STRING_LIMIT_BYTES);
    if (length < 0)
        return length == -ENAMETOOLONG ? -E2BIG : (int)length;
    uint64_t cost = (uint64_t)length + 1 + sizeof(uint64_t);
    if (cost > strings->budget_bytes)
        return -E2BIG;
    strings->budget_bytes -= cost;
    char *copy = memory_allocate((size_t)length + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, scratch, (size_t)length + 1);
    int error = strings_add(strings, copy);
    if (error)
        memory_free(copy);
    return error;
}

static int strings_copy(struct strings *strings, uint64_t array, char *scratch)
{
    for (uint64_t i = 0; array != 0; i++) {
        uint64_t address;
        if (user_load(&address, array + i * sizeof(address)))
            return -EFAULT;
        if (address == 0)
            break;
        int error = string_copy(strings, address, scratch);
        if (error)
            return error;
        thread_yield_if_due();
    }
    if (strings->items)
        return 0;
    strings->items = memory_allocate_zeroed(sizeof(char *));
    return strings->items ? 0 : -ENOMEM;
}

static uint64_t strings_budget(void)
{
    uint64_t quarter = process_limit(process_current(), LIMIT_STACK) / 4;
    return maximum(minimum(quarter, (uint64_t)STRINGS_MOST_BYTES), (uint64_t)STRINGS_LEAST_BYTES);
}

static long exec_run(int directory, uint64_t name, uint64_t arguments, uint64_t environment, int flags)
{
    struct name_argument path;
    struct strings argument_strings = { 0 }, environment_strings = { 0 };
    if (flags & ~(LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    long result = name_argument_take(&path, directory, name, (flags & LINUX_AT_EMPTY_PATH) != 0);
    if (result)
        return result;
    char *scratch = memory_allocate(STRING_LIMIT_BYTES);
    result = -ENOMEM;
    if (!scratch)
        goto out;
    argument_strings.budget_bytes = strings_budget();
    result = strings_copy(&argument_strings, arguments, scratch);
    environment_strings.budget_bytes = argument_strings.budget_bytes;
    if (!result)
        result = strings_copy(&environment_strings, environment, scratch);
    /* A program always has a name: Linux gives one without arguments the empty one. */
    if (!result && argument_strings.count == 0) {
        char *empty = memory_duplicate_string("");
        result = empty ? strings_add(&argument_strings, empty) : -ENOMEM;
        if (result)
            memory_free(empty);
    }
    memory_free(scratch);
    if (!result)
        result = process_exec(name_argument_at(&path), path.name, (unsigned int)flags, argument_strings.items, environment_strings.items);
out:
    strings_release(&argument_strings);
    strings_release(&environment_strings);
    name_argument_release(&path);
    return result;
}

long sys_execve(uint64_t name, uint64_t arguments, uint64_t environment)
{
    return exec_run(LINUX_AT_FDCWD, name, arguments, environment, 0);
}

long sys_execveat(int directory, uint64_t name, uint64_t arguments, uint64_t environment, int flags)
{
    return exec_run(directory, name, arguments, environment, flags);
}
