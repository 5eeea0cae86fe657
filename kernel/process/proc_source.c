/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The facts behind /proc/PID (kernel/fs/procfs/process_source.h). Everything is looked up anew at each call, by number;
 * what a process holds is read under its own locks and copied out.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/fs/procfs/process_source.h"
#include "kernel/process/process_internal.h"
#include "kernel/vfs/terminal.h"
#include "xen/x86/trap_frame.h"

#define AREA_QUERY_BATCH 64u

static void source_current(int *pid, int *tid)
{
    struct task *task = task_current();

    *pid = task ? task->process->pid : 0;
    *tid = task ? task->tid : 0;
}

static int source_next_pid(int after)
{
    struct process *process = process_next(after + 1);
    int pid = process ? process->pid : 0;

    if (process)
        process_release(process);
    return pid;
}

static int source_next_tid(int pid, int after)
{
    struct process *process = process_find(pid);
    int tid = 0;

    if (!process)
        return 0;
    struct task *task = task_next(process, after + 1);
    if (task) {
        tid = task->tid;
        task_release(task);
    } else if (process->zombie && after < pid) {
        tid = pid;
    }
    process_release(process);
    return tid;
}

/* The process and the task meant, both referenced; *task NULL for a zombie, or where only the leader has ended. */
static int source_find(int pid, int tid, struct process **process, struct task **task)
{
    *process = process_find(pid);
    if (!*process)
        return -ESRCH;
    *task = task_find(tid);
    if (*task && (*task)->process != *process) {
        task_release(*task);
        *task = NULL;
    }
    if (!*task && tid == pid)
        *task = task_next(*process, 0);
    if (*task || tid == pid)
        return 0;
    process_release(*process);
    return -ESRCH;
}

static void source_put(struct process *process, struct task *task)
{
    if (task)
        task_release(task);
    process_release(process);
}

static bool source_exists(int pid, int tid)
{
    struct process *process;
    struct task *task;

    if (source_find(pid, tid, &process, &task) != 0)
        return false;
    source_put(process, task);
    return true;
}

static char source_state(struct process *process, struct task *task)
{
    if (process == process_kernel)
        return 'S';
    if (process->zombie || !task)
        return 'Z';
    if (process->stopped)
        return 'T';
    switch (atomic_load(&task->thread->state)) {
    case THREAD_RUNNING:
    case THREAD_RUNNABLE:
        return 'R';
    case THREAD_SLEEPING:
        return task->thread->sleep_interruptible ? 'S' : 'D';
    default:
        return 'S';
    }
}

static void source_credentials(struct procfs_process *facts, const struct credentials *credentials)
{
    facts->uid = credentials->uid;
    facts->euid = credentials->euid;
    facts->suid = credentials->suid;
    facts->fsuid = credentials->fsuid;
    facts->gid = credentials->gid;
    facts->egid = credentials->egid;
    facts->sgid = credentials->sgid;
    facts->fsgid = credentials->fsgid;
    facts->group_count = minimum(credentials->group_count, (uint32_t)array_count(facts->groups));
    memcpy(facts->groups, credentials->groups, facts->group_count * sizeof(facts->groups[0]));
    facts->capabilities_inheritable = credentials->inheritable;
    facts->capabilities_permitted = credentials->permitted;
    facts->capabilities_effective = credentials->effective;
    facts->capabilities_bounding = credentials->bounding;
    facts->capabilities_ambient = credentials->ambient;
}

/* process->lock held. */
static void source_signals(struct procfs_process *facts, struct process *process, struct task *task)
{
    facts->signals_shared_pending = process->pending.pending;
    facts->signals_queued = process->pending.queued;
    if (task) {
        facts->signals_pending = task->pending.pending;
        facts->signals_blocked = task->signal_mask;
        facts->signals_queued += task->pending.queued;
    }
    spinlock_lock(&process->handlers->lock);
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        uint64_t handler = process->handlers->actions[i].handler;
        if (handler == SIGNAL_HANDLER_IGNORE)
            facts->signals_ignored |= 1ull << i;
        else if (handler != SIGNAL_HANDLER_DEFAULT)
            facts->signals_caught |= 1ull << i;
    }
    spinlock_unlock(&process->handlers->lock);
}

/* What hangs on process->lock. */
static void source_process(struct procfs_process *facts, struct process *process, struct task *task)
{
    spinlock_lock(&process->lock);
    memcpy(facts->command, task ? task->command : process->command, sizeof(facts->command));
    if (task && task->credentials)
        source_credentials(facts, task->credentials);
    else if (process->credentials)
        source_credentials(facts, process->credentials);
    source_signals(facts, process, task);
    facts->signals_queued_limit = process->limits[LIMIT_SIGPENDING].soft;
    for (unsigned int i = 0; i < RESOURCE_LIMIT_COUNT; i++) {
        facts->limits[i].soft = process->limits[i].soft;
        facts->limits[i].hard = process->limits[i].hard;
    }
    facts->state = source_state(process, task);
    facts->pid = process->pid;
    facts->tid = task ? task->tid : process->pid;
    facts->thread_count = process->task_count;
    facts->no_new_privileges = process->no_new_privileges;
    facts->start_ns = process->start_ns;
    facts->exit_signal = process->exit_signal;
    facts->exit_code = process->exit_status;
    facts->faults_minor = process->faults_minor;
    facts->faults_major = process->faults_major;
    facts->switches_voluntary = process->switches_voluntary;
    facts->switches_involuntary = process->switches_involuntary;
    if (task) {
        facts->nice = task->thread->nice;
        facts->cpu = (int)task->thread->cpu;
        facts->cpu_mask = task->thread->cpu_mask;
        facts->switches_voluntary = task->thread->switches_voluntary;
        facts->switches_involuntary = task->thread->switches_involuntary;
    }
    spinlock_unlock(&process->lock);
    spinlock_lock(&process_table_lock);
    facts->parent_pid = process->parent ? process->parent->pid : 0;
    facts->group_id = process->group_id;
    facts->session_id = process->session_id;
    spinlock_unlock(&process_table_lock);
    if (!terminal_of_session(facts->session_id, &facts->terminal_device, &facts->terminal_group_id)) {
        facts->terminal_device = 0;
        facts->terminal_group_id = -1;
    }
}

static void source_area_sizes(struct procfs_process *facts, const struct address_space *space, const struct area *area)
{
    uint64_t pages = (area->end - area->start) >> PAGE_SHIFT;

    if (area->flags & AREA_GROWS_DOWN)
        facts->stack_pages += pages;
    else if ((area->protection & PAGING_EXECUTE) && area->start < space->code_end && area->end > space->code_start)
        facts->code_pages += pages;
    else if ((area->protection & PAGING_EXECUTE) && area->backing)
        facts->library_pages += pages;
}

static void source_memory(struct procfs_process *facts, struct address_space *space)
{
    rw_lock_read(&space->lock);
    facts->virtual_pages = space->mapped_pages;
    facts->resident_pages = atomic_load(&space->resident_pages);
    facts->resident_peak_pages = maximum(space->resident_peak_pages, facts->resident_pages);
    facts->faults_minor += atomic_load(&space->faults_minor);
    facts->faults_major += atomic_load(&space->faults_major);
    facts->large_pages = paging_has_large() && !space->no_large_pages;
    facts->data_pages = space->data_pages;
    facts->locked_pages = space->locked_pages;
    facts->code_start = space->code_start;
    facts->code_end = space->code_end;
    facts->data_start = space->data_start;
    facts->data_end = space->data_end;
    facts->stack_start = space->stack_start;
    facts->break_start = space->break_start;
    facts->break_end = space->break_end;
    facts->arguments_start = space->arguments_start;
    facts->arguments_end = space->arguments_end;
    facts->environment_start = space->environment_start;
    facts->environment_end = space->environment_end;
    for (struct area *area = address_space_find(space, 0); area; area = area_next(area))
        source_area_sizes(facts, space, area);
    rw_unlock_read(&space->lock);
}

/* The process's space, referenced; NULL for a zombie. */
static struct address_space *source_space(struct process *process)
{
    spinlock_lock(&process->lock);
    struct address_space *space = process->zombie ? NULL : process->space;
    if (space)
        address_space_take(space);
    spinlock_unlock(&process->lock);
    return space;
}

/* A reference of a task's table or state; NULL when it has none any more. */
static struct fd_table *source_files(struct process *process, struct task *task)
{
    spinlock_lock(&process->lock);
    struct fd_table *files = task->files;
    if (files)
        fd_table_take(files);
    spinlock_unlock(&process->lock);
    return files;
}

static struct fs_state *source_fs(struct process *process, struct task *task)
{
    spinlock_lock(&process->lock);
    struct fs_state *fs = task->fs;
    if (fs)
        fs_state_take(fs);
    spinlock_unlock(&process->lock);
    return fs;
}

static void source_descriptors(struct procfs_process *facts, struct process *process, struct task *task)
{
    struct fs_state *fs = source_fs(process, task);
    struct fd_table *files = source_files(process, task);

    if (fs) {
        facts->umask = fs->umask;
        fs_state_release(fs);
    }
    facts->fd_slots = 64;
    if (!files)
        return;
    for (int fd = fd_table_next(files, 0); fd >= 0; fd = fd_table_next(files, fd + 1))
        while (fd >= facts->fd_slots)
            facts->fd_slots *= 2;
    fd_table_release(files);
}

static int source_status(int pid, int tid, struct procfs_process *facts)
{
    struct process_times times;
    struct process *process;
    struct task *task;

    int error = source_find(pid, tid, &process, &task);
    if (error != 0)
        return error;
    memset(facts, 0, sizeof(*facts));
    source_process(facts, process, task);
    process_times_get(process, &times);
    facts->user_ns = times.user_ns;
    facts->system_ns = times.system_ns;
    facts->children_user_ns = times.children_user_ns;
    facts->children_system_ns = times.children_system_ns;
    if (task && tid != pid)
        task_times_get(task, &facts->user_ns, &facts->system_ns);
    struct address_space *space = source_space(process);
    if (space) {
        source_memory(facts, space);
        address_space_release(space);
    }
    if (task)
        source_descriptors(facts, process, task);
    source_put(process, task);
    return 0;
}

static int source_owner(int pid, uint32_t *uid, uint32_t *gid)
{
    struct process *process = process_find(pid);

    if (!process)
        return -ESRCH;
    spinlock_lock(&process->lock);
    bool own = process->dumpable && process->credentials;
    *uid = own ? process->credentials->euid : 0;
    *gid = own ? process->credentials->egid : 0;
    spinlock_unlock(&process->lock);
    process_release(process);
    return 0;
}

static void area_count_resident(struct address_space *space, const struct area *area, struct procfs_area *facts)
{
    struct paging_entry entries[AREA_QUERY_BATCH];
    uint64_t start = maximum(area->start, area->touched_start), end = minimum(area->end, area->touched_end);

    while (start < end) {
        size_t batch = (size_t)minimum((end - start) >> PAGE_SHIFT, (uint64_t)AREA_QUERY_BATCH);
        mutex_lock(&space->page_lock);
        paging_query(&space->root, start, entries, batch);
        mutex_unlock(&space->page_lock);
        for (size_t i = 0; i < batch; i++) {
            facts->resident_pages += entries[i].flags != 0;
            facts->large_pages += (entries[i].flags & PAGING_LARGE) != 0;
        }
        start += batch << PAGE_SHIFT;
    }
}

static void area_describe(struct address_space *space, const struct area *area, struct procfs_area *facts)
{
    *facts = (struct procfs_area){
        .start = area->start,
        .end = area->end,
        .offset_bytes = area->backing && area->backing->cache ? area->backing_index << PAGE_SHIFT : 0,
        .readable = area->protection & PAGING_READ,
        .writable = area->protection & PAGING_WRITE,
        .executable = area->protection & PAGING_EXECUTE,
        .shared = (area->flags & AREA_SHARED) && !(area->flags & AREA_SPECIAL),
    };
    area_count_resident(space, area, facts);
    if (area->backing && area->backing->operations->describe)
        area->backing->operations->describe(area->backing, facts->name, sizeof(facts->name), &facts->device, &facts->inode);
    else if (area->name)
        format_string(facts->name, sizeof(facts->name), "%s", area->name);
}

static int source_area(int pid, uint64_t address, struct procfs_area *facts)
{
    struct process *process = process_find(pid);

    if (!process)
        return -ESRCH;
    struct address_space *space = source_space(process);
    process_release(process);
    if (!space)
        return -ENOENT;
    rw_lock_read(&space->lock);
    struct area *area = address_space_find(space, address);
    if (area)
        area_describe(space, area, facts);
    rw_unlock_read(&space->lock);
    address_space_release(space);
    return area ? 0 : -ENOENT;
}

static long auxiliary_read(struct process *process, uint64_t offset, void *buffer, size_t length_bytes)
{
    size_t length = 0;

    spinlock_lock(&process->lock);
    if (process->auxiliary && offset < process->auxiliary_bytes) {
        length = minimum(length_bytes, process->auxiliary_bytes - (size_t)offset);
        memcpy(buffer, process->auxiliary + offset, length);
    }
    spinlock_unlock(&process->lock);
    return (long)length;
}

static long source_piece(int pid, enum procfs_memory which, uint64_t offset, void *buffer, size_t length_bytes)
{
    struct process *process = process_find(pid);
    long result = 0;

    if (!process)
        return -ESRCH;
    if (which == PROCFS_MEMORY_AUXILIARY) {
        result = auxiliary_read(process, offset, buffer, length_bytes);
        process_release(process);
        return result;
    }
    struct address_space *space = source_space(process);
    process_release(process);
    if (!space)
        return 0;
    uint64_t start = which == PROCFS_MEMORY_ARGUMENTS ? space->arguments_start : space->environment_start;
    uint64_t end = which == PROCFS_MEMORY_ARGUMENTS ? space->arguments_end : space->environment_end;
    if (offset < end - start)
        result = address_space_read(space, start + offset, buffer, (size_t)minimum((uint64_t)length_bytes, end - start - offset));
    address_space_release(space);
    return result < 0 ? 0 : result;
}

static long source_access(int pid, uint64_t address, void *buffer, size_t length_bytes, bool write)
{
    struct process *process = process_find(pid);

    if (!process)
        return -ESRCH;
    struct address_space *space = source_space(process);
    process_release(process);
    if (!space)
        return 0;
    long result = write ? address_space_write(space, address, buffer, length_bytes)
                        : address_space_read(space, address, buffer, length_bytes);
    address_space_release(space);
    return result < 0 ? -EIO : result;
}

static long source_peek(int pid, uint64_t address, void *buffer, size_t length_bytes)
{
    return source_access(pid, address, buffer, length_bytes, false);
}

static long source_poke(int pid, uint64_t address, const void *buffer, size_t length_bytes)
{
    return source_access(pid, address, (void *)(uintptr_t)buffer, length_bytes, true);
}

static int source_link(int pid, enum procfs_link which, struct path *path)
{
    struct process *process;
    struct task *task;
    int result = -ENOENT;

    int error = source_find(pid, pid, &process, &task);
    if (error != 0)
        return error;
    if (which == PROCFS_LINK_EXE) {
        spinlock_lock(&process->lock);
        struct file *file = process->zombie ? NULL : process->executable;
        if (file)
            file_take(file);
        spinlock_unlock(&process->lock);
        if (file && file->path.dentry) {
            *path = file->path;
            path_take(path);
            result = 0;
        }
        if (file)
            file_release(file);
    } else if (task) {
        struct fs_state *fs = source_fs(process, task);
        if (fs) {
            spinlock_lock(&fs->lock);
            *path = which == PROCFS_LINK_CWD ? fs->working_directory : fs->root;
            path_take(path);
            spinlock_unlock(&fs->lock);
            fs_state_release(fs);
            result = 0;
        }
    }
    source_put(process, task);
    return result;
}

static struct fd_table *source_find_files(int pid, int tid)
{
    struct fd_table *files = NULL;
    struct process *process;
    struct task *task;

    if (source_find(pid, tid, &process, &task) != 0)
        return NULL;
    if (task)
        files = source_files(process, task);
    source_put(process, task);
    return files;
}

static int source_next_fd(int pid, int tid, int fd)
{
    struct fd_table *files = source_find_files(pid, tid);

    if (!files)
        return -1;
    int next = fd_table_next(files, fd);
    fd_table_release(files);
    return next;
}

static struct file *source_fd(int pid, int tid, int fd)
{
    struct fd_table *files = source_find_files(pid, tid);

    if (!files)
        return NULL;
    struct file *file = fd_table_get(files, fd);
    fd_table_release(files);
    return file;
}

static int source_set_command(int pid, int tid, const char *name)
{
    struct process *process;
    struct task *task;

    int error = source_find(pid, tid, &process, &task);
    if (error != 0)
        return error;
    if (task && process == process_current()) {
        spinlock_lock(&process->lock);
        format_string(task->command, sizeof(task->command), "%s", name);
        if (task->tid == process->pid)
            memcpy(process->command, task->command, sizeof(process->command));
        spinlock_unlock(&process->lock);
    } else {
        error = -EINVAL;
    }
    source_put(process, task);
    return error;
}

static const struct procfs_process_source source = {
    .current = source_current,
    .next_pid = source_next_pid,
    .next_tid = source_next_tid,
    .exists = source_exists,
    .status = source_status,
    .owner = source_owner,
    .area = source_area,
    .memory = source_piece,
    .peek = source_peek,
    .poke = source_poke,
    .link = source_link,
    .next_fd = source_next_fd,
    .fd = source_fd,
    .set_command = source_set_command,
    .context = task_fs_context,
    .context_release = task_fs_context_release,
    .process_count = process_count,
    .last_pid = process_last_id,
};

void process_source_init(void)
{
    procfs_set_process_source(&source);
}
