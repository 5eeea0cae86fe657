/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/PID, /proc/PID/task/TID and what is in them, from one table. An inode's number says what it is:
 *
 *     bit 63 | pid << 42 | tid << 20 | index      tid 0: the process's own directory
 *
 * where index is 0 for the directory itself, 1.. for an entry of the table, and FD_INDEX + fd (FDINFO_INDEX + fd) for a descriptor.
 */
#include "kernel/fs/procfs/procfs.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vfs/attributes.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/mount.h"

#define FD_INDEX 0x1000u
#define FDINFO_INDEX 0x80000u
#define FD_SHOWN_LIMIT (FDINFO_INDEX - FD_INDEX)

enum entry_kind { ENTRY_TEXT, ENTRY_MEMORY, ENTRY_LINK, ENTRY_TEXT_LINK, ENTRY_DIRECTORY_FD, ENTRY_DIRECTORY_FDINFO,
                  ENTRY_DIRECTORY_TASK, ENTRY_DIRECTORY_NET, ENTRY_PEEK };

struct process_entry {
    const char *name;
    enum entry_kind kind;
    uint32_t mode;
    int (*print)(struct text_buffer *text, int pid, int tid);
    int (*write)(int pid, int tid, const char *value, size_t length);
    int which;
    bool process_only; /* not in task/TID */
};

static int print_comm(struct text_buffer *text, int pid, int tid)
{
    struct procfs_process facts;
    int error = procfs_processes->status(pid, tid, &facts);

    if (!error)
        text_print(text, "%s\n", facts.command);
    return error;
}

static int write_comm(int pid, int tid, const char *value, size_t length)
{
    char name[16];

    format_string(name, sizeof(name), "%.*s", (int)strcspn(value, "\n"), value);
    return procfs_processes->set_command(pid, tid, name);
}

static int print_fixed(struct text_buffer *text, const char *fixed)
{
    text_print(text, "%s", fixed);
    return 0;
}

static int print_cgroup(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "0::/\n");
}

static int print_score(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "0\n");
}

static int print_login(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "4294967295");
}

static int print_personality(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "00000000\n");
}

static int print_wchan(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "0");
}

static int print_id_map(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "         0          0 4294967295\n");
}

static int print_schedstat(struct text_buffer *text, int pid, int tid)
{
    struct procfs_process facts;
    int error = procfs_processes->status(pid, tid, &facts);

    if (!error)
        text_print(text, "%llu 0 %llu\n", (unsigned long long)(facts.user_ns + facts.system_ns),
                   (unsigned long long)(facts.switches_voluntary + facts.switches_involuntary));
    return error;
}

static int print_namespace(struct text_buffer *text, int pid, int tid)
{
    return print_fixed(text, "mnt:[4026531841]");
}

static const struct process_entry entries[] = {
    { .name = "stat", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_stat },
    { .name = "status", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_status },
    { .name = "statm", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_statm },
    { .name = "limits", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_limits },
    { .name = "maps", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_maps },
    { .name = "smaps", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_smaps },
    { .name = "mounts", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_mounts },
    { .name = "mountinfo", .kind = ENTRY_TEXT, .mode = 0444, .print = proc_print_mountinfo },
    { .name = "comm", .kind = ENTRY_TEXT, .mode = 0644, .print = print_comm, .write = write_comm },
    { .name = "cgroup", .kind = ENTRY_TEXT, .mode = 0444, .print = print_cgroup },
    { .name = "oom_score", .kind = ENTRY_TEXT, .mode = 0444, .print = print_score },
    { .name = "oom_score_adj", .kind = ENTRY_TEXT, .mode = 0444, .print = print_score },
    { .name = "loginuid", .kind = ENTRY_TEXT, .mode = 0444, .print = print_login },
    { .name = "sessionid", .kind = ENTRY_TEXT, .mode = 0444, .print = print_login },
    { .name = "personality", .kind = ENTRY_TEXT, .mode = 0400, .print = print_personality },
    { .name = "wchan", .kind = ENTRY_TEXT, .mode = 0444, .print = print_wchan },
    { .name = "schedstat", .kind = ENTRY_TEXT, .mode = 0444, .print = print_schedstat },
    { .name = "uid_map", .kind = ENTRY_TEXT, .mode = 0444, .print = print_id_map },
    { .name = "gid_map", .kind = ENTRY_TEXT, .mode = 0444, .print = print_id_map },
    { .name = "cmdline", .kind = ENTRY_MEMORY, .mode = 0444, .which = PROCFS_MEMORY_ARGUMENTS },
    { .name = "environ", .kind = ENTRY_MEMORY, .mode = 0400, .which = PROCFS_MEMORY_ENVIRONMENT },
    { .name = "auxv", .kind = ENTRY_MEMORY, .mode = 0400, .which = PROCFS_MEMORY_AUXILIARY },
    { .name = "mem", .kind = ENTRY_PEEK, .mode = 0600 },
    { .name = "cwd", .kind = ENTRY_LINK, .mode = 0777, .which = PROCFS_LINK_CWD },
    { .name = "root", .kind = ENTRY_LINK, .mode = 0777, .which = PROCFS_LINK_ROOT },
    { .name = "exe", .kind = ENTRY_LINK, .mode = 0777, .which = PROCFS_LINK_EXE },
    { .name = "ns", .kind = ENTRY_TEXT_LINK, .mode = 0777, .print = print_namespace },
    { .name = "fd", .kind = ENTRY_DIRECTORY_FD, .mode = 0500 },
    { .name = "fdinfo", .kind = ENTRY_DIRECTORY_FDINFO, .mode = 0500 },
    { .name = "task", .kind = ENTRY_DIRECTORY_TASK, .mode = 0555, .process_only = true },
    { .name = "net", .kind = ENTRY_DIRECTORY_NET, .mode = 0555 },
};

/* What an inode number says. */
static int number_pid(uint64_t number)
{
    return (int)((number >> 42) & 0x1fffff);
}

static int number_tid(uint64_t number)
{
    return (int)((number >> 20) & 0x3fffff);
}

static unsigned int number_index(uint64_t number)
{
    return number & 0xfffff;
}

static uint64_t make_number(int pid, int tid, unsigned int index)
{
    return PROC_PROCESS_BIT | (uint64_t)pid << 42 | (uint64_t)tid << 20 | index;
}

/* The thread a file speaks of: the leader in the process's own directory. */
static int shown_tid(uint64_t number)
{
    int tid = number_tid(number);

    return tid ? tid : number_pid(number);
}

static const struct process_entry *number_entry(uint64_t number)
{
    unsigned int index = number_index(number);

    return index >= 1 && index <= array_count(entries) ? &entries[index - 1] : NULL;
}

/* ---- Text and memory files ---- */

struct open_process_file {
    uint64_t number;
};

static int process_print(struct text_buffer *text, void *data)
{
    const struct open_process_file *open = data;
    const struct process_entry *entry = number_entry(open->number);
    int pid = number_pid(open->number);

    if (entry->kind != ENTRY_MEMORY)
        return entry->print(text, pid, shown_tid(open->number));

    char piece[256];
    uint64_t offset = 0;
    long got;

    while ((got = procfs_processes->memory(pid, (enum procfs_memory)entry->which, offset, piece, sizeof(piece))) > 0) {
        text_append(text, piece, (size_t)got);
        offset += (uint64_t)got;
    }
    return (int)got;
}

static int process_write(const char *value, size_t length, void *data)
{
    const struct open_process_file *open = data;
    const struct process_entry *entry = number_entry(open->number);

    return entry->write(number_pid(open->number), shown_tid(open->number), value, length);
}

static int fdinfo_print(struct text_buffer *text, void *data)
{
    const struct open_process_file *open = data;
    int fd = (int)(number_index(open->number) - FDINFO_INDEX);
    struct file *file = procfs_processes->fd(number_pid(open->number), shown_tid(open->number), fd);

    if (!file)
        return -ENOENT;
    text_print(text, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t15\nino:\t%llu\n", (unsigned long long)file->position,
               atomic_load(&file->flags), (unsigned long long)(file->inode ? file->inode->number : 0));
    file_release(file);
    return 0;
}

/* /proc/PID/mem: piecewise through a small buffer. */
static long mem_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    char piece[512];
    long total = 0;

    while (vector->remaining_bytes > 0) {
        size_t wanted = minimum(vector->remaining_bytes, sizeof(piece));
        long got = procfs_processes->peek(number_pid(file->inode->number), *position, piece, wanted);

        if (got <= 0)
            return total ? total : -EIO;
        if (io_vector_put(vector, piece, (size_t)got) != (size_t)got)
            return total ? total : -EFAULT;
        *position += (uint64_t)got;
        total += got;
    }
    return total;
}

static long mem_write(struct file *file, struct io_vector *vector, uint64_t *position)
{
    char piece[512];
    long total = 0;

    while (vector->remaining_bytes > 0) {
        size_t wanted = io_vector_get(vector, piece, minimum(vector->remaining_bytes, sizeof(piece)));
        long put = wanted ? procfs_processes->poke(number_pid(file->inode->number), *position, piece, wanted) : -EFAULT;

        if (put <= 0)
            return total ? total : put == -EFAULT ? -EFAULT : -EIO;
        *position += (uint64_t)put;
        total += put;
    }
    return total;
}

static long mem_seek(struct file *file, int64_t offset, int whence)
{
    if (whence != 0 && whence != 1)
        return -EINVAL;
    file->position = whence == 0 ? (uint64_t)offset : file->position + (uint64_t)offset;
    return (long)file->position;
}

static const struct file_operations mem_operations = { .read = mem_read, .write = mem_write, .seek = mem_seek };

static int process_file_open(struct inode *inode, struct file *file)
{
    const struct process_entry *entry = number_entry(inode->number);

    if (entry && entry->kind == ENTRY_PEEK) {
        file->operations = &mem_operations;
        return 0;
    }

    struct open_process_file *open = memory_allocate(sizeof(*open));
    int error;

    if (!open)
        return -ENOMEM;
    open->number = inode->number;
    error = pseudo_file_open(file, entry ? process_print : fdinfo_print, entry && entry->write ? process_write : NULL,
                             open, memory_free);
    if (error)
        memory_free(open);
    return error;
}

static int process_set_attributes(struct inode *inode, const struct inode_attributes *attributes)
{
    return attributes->valid & (ATTRIBUTE_MODE | ATTRIBUTE_UID | ATTRIBUTE_GID) ? -EPERM : 0;
}

static const struct inode_operations file_inode = { .open = process_file_open, .set_attributes = process_set_attributes };

/* ---- Links ---- */

static int link_follow(struct inode *inode, struct path *target)
{
    const struct process_entry *entry = number_entry(inode->number);

    return procfs_processes->link(number_pid(inode->number), (enum procfs_link)entry->which, target);
}

static long path_text(const struct path *path, char *buffer, size_t size_bytes)
{
    struct fs_context context;

    procfs_processes->context(&context);

    long length = path_name(&context, path, buffer, size_bytes, true);

    procfs_processes->context_release(&context);
    return length > 0 ? length - 1 : length;
}

static long link_read(struct inode *inode, char *buffer, size_t size_bytes)
{
    struct path target = { NULL, NULL };
    int error = link_follow(inode, &target);

    if (error)
        return error;

    long length = path_text(&target, buffer, size_bytes);

    path_release(&target);
    return length;
}

static long text_link_read(struct inode *inode, char *buffer, size_t size_bytes)
{
    struct text_buffer text;

    text_buffer_init(&text);

    long answer = number_entry(inode->number)->print(&text, number_pid(inode->number), shown_tid(inode->number));

    if (answer == 0) {
        answer = (long)minimum(text.length_bytes, size_bytes);
        memcpy(buffer, text.bytes, (size_t)answer);
    }
    text_buffer_destroy(&text);
    return answer;
}

static struct file *link_file(struct inode *inode)
{
    return procfs_processes->fd(number_pid(inode->number), shown_tid(inode->number),
                                (int)(number_index(inode->number) - FD_INDEX));
}

static long fd_read_link(struct inode *inode, char *buffer, size_t size_bytes)
{
    struct file *file = link_file(inode);
    long length;

    if (!file)
        return -ENOENT;
    if (file->path.dentry && !mount_is_internal(file->path.mount))
        length = path_text(&file->path, buffer, size_bytes);
    else if (file->operations->describe)
        length = (long)minimum(file->operations->describe(file, buffer, size_bytes), size_bytes);
    else
        length = format_string(buffer, size_bytes, "anon_inode:[file]");
    file_release(file);
    return length;
}

/* Opening /proc/self/fd/N reaches the same inode anew; what has no path and makes none cannot be reached so. */
static int fd_follow(struct inode *inode, struct path *target)
{
    struct file *file = link_file(inode);

    if (!file)
        return -ENOENT;

    int error = -ENXIO;

    if (file->path.dentry) {
        path_take(&file->path);
        *target = file->path;
        error = 0;
    } else if (file->operations->make_path) {
        error = file->operations->make_path(file, target);
    }
    file_release(file);
    return error;
}

static const struct inode_operations link_inode = { .read_link = link_read, .follow = link_follow };
static const struct inode_operations text_link_inode = { .read_link = text_link_read };
static const struct inode_operations fd_inode = { .read_link = fd_read_link, .follow = fd_follow };

/* ---- Directories ---- */

static const struct inode_operations process_inode, fd_directory_inode, task_directory_inode;

static const struct inode_operations *number_operations(uint64_t number, uint32_t *mode)
{
    unsigned int index = number_index(number);
    const struct process_entry *entry = number_entry(number);

    *mode = MODE_DIRECTORY | 0555;
    if (index == 0)
        return &process_inode;
    if (index >= FDINFO_INDEX) {
        *mode = MODE_REGULAR | 0400;
        return &file_inode;
    }
    if (index >= FD_INDEX) {
        *mode = MODE_SYMLINK | 0700;
        return &fd_inode;
    }
    switch (entry->kind) {
    case ENTRY_LINK:
    case ENTRY_TEXT_LINK:
        *mode = MODE_SYMLINK | entry->mode;
        return entry->kind == ENTRY_LINK ? &link_inode : &text_link_inode;
    case ENTRY_DIRECTORY_FD:
    case ENTRY_DIRECTORY_FDINFO:
        *mode = MODE_DIRECTORY | entry->mode;
        return &fd_directory_inode;
    case ENTRY_DIRECTORY_TASK:
        return &task_directory_inode;
    default:
        *mode = MODE_REGULAR | entry->mode;
        return &file_inode;
    }
}

static int number_inode(struct file_system *file_system, uint64_t number, struct inode **out)
{
    struct inode *inode;
    bool fresh;
    int error = inode_get(file_system, number, &inode, &fresh);

    if (error)
        return error;
    if (fresh) {
        inode->operations = number_operations(number, &inode->mode);
        inode->links = (inode->mode & MODE_TYPE) == MODE_DIRECTORY ? 2 : 1;
        procfs_processes->owner(number_pid(number), &inode->uid, &inode->gid);
        inode->access_time = inode->modify_time = inode->change_time = inode_now();
        inode_ready(inode);
    }
    *out = inode;
    return 0;
}

int proc_process_inode(struct file_system *file_system, int pid, int tid, struct inode **inode)
{
    if (!procfs_processes || !procfs_processes->exists(pid, tid ? tid : pid))
        return -ENOENT;
    return number_inode(file_system, make_number(pid, tid, 0), inode);
}

static int process_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    int pid = number_pid(directory->number), tid = number_tid(directory->number);

    if (!procfs_processes->exists(pid, tid ? tid : pid))
        return -ENOENT;
    for (unsigned int i = 0; i < array_count(entries); i++) {
        if (strlen(entries[i].name) != length || memcmp(entries[i].name, name, length) != 0 ||
            (tid && entries[i].process_only))
            continue;
        if (entries[i].kind == ENTRY_DIRECTORY_NET) {
            struct pseudo_node *net = pseudo_tree_find(procfs_tree.root, "net", 3);

            return net ? pseudo_inode_get(directory->file_system, net, inode) : -ENOENT;
        }
        return number_inode(directory->file_system, make_number(pid, tid, i + 1), inode);
    }
    return -ENOENT;
}

static int process_read_directory(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    int pid = number_pid(directory->number), tid = number_tid(directory->number);

    for (uint64_t i = offset; i < array_count(entries); i++) {
        uint64_t number = make_number(pid, tid, (unsigned int)i + 1);
        uint32_t mode;

        if (tid && entries[i].process_only)
            continue;
        number_operations(number, &mode);
        if (entries[i].kind == ENTRY_DIRECTORY_NET)
            mode = MODE_DIRECTORY;
        if (!emit(context, entries[i].name, strlen(entries[i].name), number, mode & MODE_TYPE, i + 1))
            break;
    }
    return 0;
}

static const struct inode_operations process_inode = {
    .lookup = process_lookup,
    .read_directory = process_read_directory,
};

static unsigned int fd_base(const struct inode *directory)
{
    return number_entry(directory->number)->kind == ENTRY_DIRECTORY_FD ? FD_INDEX : FDINFO_INDEX;
}

static int fd_directory_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    int pid = number_pid(directory->number), tid = number_tid(directory->number);
    uint64_t fd;

    if (parse_unsigned(name, length, 10, &fd) != 0 || fd >= FD_SHOWN_LIMIT ||
        procfs_processes->next_fd(pid, shown_tid(directory->number), (int)fd) != (int)fd)
        return -ENOENT;
    return number_inode(directory->file_system, make_number(pid, tid, fd_base(directory) + (unsigned int)fd), inode);
}

static int fd_directory_read(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    int pid = number_pid(directory->number), tid = number_tid(directory->number);
    int fd = (int)offset - 1;
    char name[16];

    while ((fd = procfs_processes->next_fd(pid, shown_tid(directory->number), fd + 1)) >= 0 && fd < (int)FD_SHOWN_LIMIT) {
        size_t length = (size_t)format_string(name, sizeof(name), "%d", fd);
        unsigned int base = fd_base(directory);

        if (!emit(context, name, length, make_number(pid, tid, base + (unsigned int)fd),
                  base == FD_INDEX ? MODE_SYMLINK : MODE_REGULAR, (uint64_t)fd + 1))
            break;
    }
    return 0;
}

static const struct inode_operations fd_directory_inode = {
    .lookup = fd_directory_lookup,
    .read_directory = fd_directory_read,
};

static int task_directory_lookup(struct inode *directory, const char *name, size_t length, struct inode **inode)
{
    uint64_t tid;

    if (parse_unsigned(name, length, 10, &tid) != 0 || tid == 0 || tid >= 1u << 22)
        return -ENOENT;
    return proc_process_inode(directory->file_system, number_pid(directory->number), (int)tid, inode);
}

static int task_directory_read(struct inode *directory, uint64_t offset, directory_emit_t emit, void *context)
{
    int pid = number_pid(directory->number), tid = (int)offset;
    char name[16];

    while ((tid = procfs_processes->next_tid(pid, tid)) > 0) {
        size_t length = (size_t)format_string(name, sizeof(name), "%d", tid);

        if (!emit(context, name, length, make_number(pid, tid, 0), MODE_DIRECTORY, (uint64_t)tid))
            break;
    }
    return 0;
}

static const struct inode_operations task_directory_inode = {
    .lookup = task_directory_lookup,
    .read_directory = task_directory_read,
};
