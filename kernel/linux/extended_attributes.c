/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The twelve calls on extended attributes: by name, by name without following a link, and by descriptor.
 */
#include "kernel/base/error.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"
#include "kernel/vfs/attributes.h"
#include "xen/x86/user_access.h"

#define NAME_BYTES 256
#define VALUE_MOST_BYTES 65536u
#define SET_CREATE 1
#define SET_REPLACE 2

struct attribute_call {
    enum { ATTRIBUTE_SET, ATTRIBUTE_GET, ATTRIBUTE_LIST, ATTRIBUTE_REMOVE } kind;
    char name[NAME_BYTES];
    uint64_t value;
    uint64_t size_bytes;
    int flags;
};

static int attribute_name(struct attribute_call *call, uint64_t address)
{
    long length = user_copy_string(call->name, address, sizeof(call->name));
    if (length == -ENAMETOOLONG || length == 0)
        return -ERANGE;
    return length < 0 ? (int)length : 0;
}

static long attribute_set(const struct fs_context *context, const struct path *path, const struct attribute_call *call)
{
    if (call->flags & ~(SET_CREATE | SET_REPLACE))
        return -EINVAL;
    if (call->size_bytes > VALUE_MOST_BYTES)
        return -E2BIG;
    void *value = memory_allocate(maximum((size_t)call->size_bytes, (size_t)1));
    if (!value)
        return -ENOMEM;
    long result = user_copy_in(value, call->value, call->size_bytes);
    if (!result)
        result = attributes_set_xattr(context, path, call->name, value, call->size_bytes, call->flags);
    memory_free(value);
    return result;
}

/* get and list: a size of 0 asks for the length. */
static long attribute_fetch(const struct fs_context *context, const struct path *path, const struct attribute_call *call)
{
    size_t room = (size_t)minimum(call->size_bytes, (uint64_t)VALUE_MOST_BYTES);
    void *value = room ? memory_allocate(room) : NULL;
    if (room && !value)
        return -ENOMEM;
    long result = call->kind == ATTRIBUTE_GET ? attributes_get_xattr(context, path, call->name, value, room) : attributes_list_xattr(context, path, value, room);
    if (result > 0 && room && user_copy_out(call->value, value, (size_t)result))
        result = -EFAULT;
    memory_free(value);
    return result;
}

static long attribute_run(const struct fs_context *context, const struct path *path, const struct attribute_call *call)
{
    switch (call->kind) {
    case ATTRIBUTE_SET:
        return attribute_set(context, path, call);
    case ATTRIBUTE_REMOVE:
        return attributes_remove_xattr(context, path, call->name);
    default:
        return attribute_fetch(context, path, call);
    }
}

static long attribute_by_name(uint64_t name, bool follow, const struct attribute_call *call)
{
    struct name_argument argument;
    struct path path;
    long result = name_argument_take(&argument, LINUX_AT_FDCWD, name, false);
    if (result)
        return result;
    result = path_lookup(&argument.context, NULL, argument.name, follow ? PATH_FOLLOW : 0, &path);
    if (!result) {
        result = attribute_run(&argument.context, &path, call);
        path_release(&path);
    }
    name_argument_release(&argument);
    return result;
}

static long attribute_by_fd(int fd, const struct attribute_call *call)
{
    struct fs_context context;
    struct file *file;
    long result = file_argument(fd, &file);
    if (result)
        return result;
    result = -EOPNOTSUPP;
    if (file->path.dentry) {
        task_fs_context(&context);
        result = attribute_run(&context, &file->path, call);
        task_fs_context_release(&context);
    }
    file_release(file);
    return result;
}

static int call_set(struct attribute_call *call, uint64_t attribute, uint64_t value, uint64_t size_bytes, int flags)
{
    *call = (struct attribute_call){ .kind = ATTRIBUTE_SET, .value = value, .size_bytes = size_bytes, .flags = flags };
    return attribute_name(call, attribute);
}

long sys_setxattr(uint64_t name, uint64_t attribute, uint64_t value, uint64_t size_bytes, int flags)
{
    struct attribute_call call;
    int error = call_set(&call, attribute, value, size_bytes, flags);
    return error ? error : attribute_by_name(name, true, &call);
}

long sys_lsetxattr(uint64_t name, uint64_t attribute, uint64_t value, uint64_t size_bytes, int flags)
{
    struct attribute_call call;
    int error = call_set(&call, attribute, value, size_bytes, flags);
    return error ? error : attribute_by_name(name, false, &call);
}

long sys_fsetxattr(int fd, uint64_t attribute, uint64_t value, uint64_t size_bytes, int flags)
{
    struct attribute_call call;
    int error = call_set(&call, attribute, value, size_bytes, flags);
    return error ? error : attribute_by_fd(fd, &call);
}

static int call_get(struct attribute_call *call, uint64_t attribute, uint64_t value, uint64_t size_bytes)
{
    *call = (struct attribute_call){ .kind = ATTRIBUTE_GET, .value = value, .size_bytes = size_bytes };
    return attribute_name(call, attribute);
}

long sys_getxattr(uint64_t name, uint64_t attribute, uint64_t value, uint64_t size_bytes)
{
    struct attribute_call call;
    int error = call_get(&call, attribute, value, size_bytes);
    return error ? error : attribute_by_name(name, true, &call);
}

long sys_lgetxattr(uint64_t name, uint64_t attribute, uint64_t value, uint64_t size_bytes)
{
    struct attribute_call call;
    int error = call_get(&call, attribute, value, size_bytes);
    return error ? error : attribute_by_name(name, false, &call);
}

long sys_fgetxattr(int fd, uint64_t attribute, uint64_t value, uint64_t size_bytes)
{
    struct attribute_call call;
    int error = call_get(&call, attribute, value, size_bytes);
    return error ? error : attribute_by_fd(fd, &call);
}

long sys_listxattr(uint64_t name, uint64_t list, uint64_t size_bytes)
{
    const struct attribute_call call = { .kind = ATTRIBUTE_LIST, .value = list, .size_bytes = size_bytes };
    return attribute_by_name(name, true, &call);
}

long sys_llistxattr(uint64_t name, uint64_t list, uint64_t size_bytes)
{
    const struct attribute_call call = { .kind = ATTRIBUTE_LIST, .value = list, .size_bytes = size_bytes };
    return attribute_by_name(name, false, &call);
}

long sys_flistxattr(int fd, uint64_t list, uint64_t size_bytes)
{
    const struct attribute_call call = { .kind = ATTRIBUTE_LIST, .value = list, .size_bytes = size_bytes };
    return attribute_by_fd(fd, &call);
}

static int call_remove(struct attribute_call *call, uint64_t attribute)
{
    *call = (struct attribute_call){ .kind = ATTRIBUTE_REMOVE };
    return attribute_name(call, attribute);
}

long sys_removexattr(uint64_t name, uint64_t attribute)
{
    struct attribute_call call;
    int error = call_remove(&call, attribute);
    return error ? error : attribute_by_name(name, true, &call);
}

long sys_lremovexattr(uint64_t name, uint64_t attribute)
{
    struct attribute_call call;
    int error = call_remove(&call, attribute);
    return error ? error : attribute_by_name(name, false, &call);
}

long sys_fremovexattr(int fd, uint64_t attribute)
{
    struct attribute_call call;
    int error = call_remove(&call, attribute);
    return error ? error : attribute_by_fd(fd, &call);
}
