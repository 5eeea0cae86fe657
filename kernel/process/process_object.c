/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes and tasks as objects: creation, references, the parts they share, limits, credentials.
 *
 * A task's reference is held by the process table until it ends and by its thread until that is off its CPU (the thread
 * runs on a root of the task's space). A process is referenced by the table until reaped and by each of its tasks.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"

struct process *process_kernel;

static void process_limits_init(struct process *process)
{
    for (unsigned int i = 0; i < RESOURCE_LIMIT_COUNT; i++)
        process->limits[i] = (struct resource_limit){ UINT64_MAX, UINT64_MAX };
    process->limits[LIMIT_STACK].soft = 8ull << 20;
    process->limits[LIMIT_CORE].soft = 0;
    process->limits[LIMIT_NPROC] = (struct resource_limit){ 32000, 32000 };
    process->limits[LIMIT_NOFILE] = (struct resource_limit){ 1024, 1048576 };
    process->limits[LIMIT_MEMLOCK] = (struct resource_limit){ 8ull << 20, 8ull << 20 };
    process->limits[LIMIT_SIGPENDING] = (struct resource_limit){ 32000, 32000 };
    process->limits[LIMIT_MSGQUEUE] = (struct resource_limit){ 819200, 819200 };
    process->limits[LIMIT_NICE] = (struct resource_limit){ 0, 0 };
    process->limits[LIMIT_RTPRIO] = (struct resource_limit){ 0, 0 };
}

int process_create(struct process **process)
{
    struct process *fresh = memory_allocate_zeroed(sizeof(*fresh));

    if (!fresh)
        return -ENOMEM;
    reference_init(&fresh->reference);
    spinlock_init(&fresh->lock, "process", PROCESS_RANK);
    list_init(&fresh->children);
    list_init(&fresh->sibling_link);
    list_init(&fresh->tasks);
    list_init(&fresh->posix_timers);
    list_init(&fresh->table_link);
    signal_queue_init(&fresh->pending);
    wait_queue_init(&fresh->child_wait);
    wait_queue_init(&fresh->exit_wait);
    wait_queue_init(&fresh->stop_wait);
    wait_queue_init(&fresh->signal_wait);
    process_limits_init(fresh);
    interval_timer_init(fresh);
    fresh->exit_signal = SIGNAL_CHLD;
    fresh->dumpable = true;
    fresh->start_ns = clock_monotonic_ns();
    *process = fresh;
    return 0;
}

void process_take(struct process *process)
{
    reference_take(&process->reference);
}

void process_release(struct process *process)
{
    if (!reference_release(&process->reference))
        return;
    assert(list_empty(&process->tasks));
    if (process->space)
        address_space_release(process->space);
    if (process->handlers)
        signal_handlers_release(process->handlers);
    if (process->executable)
        file_release(process->executable);
    if (process->credentials)
        credentials_release(process->credentials);
    signal_queue_clear(&process->pending);
    cpu_timers_destroy(process);
    memory_free(process->auxiliary);
    memory_free(process);
}

int task_create(struct process *process, const char *name, void (*entry)(void *), void *argument, struct task **task)
{
    struct task *fresh = memory_allocate_zeroed(sizeof(*fresh));

    if (!fresh)
        return -ENOMEM;
    int error = thread_create(&fresh->thread, name, entry, argument);
    if (error != 0) {
        memory_free(fresh);
        return error;
    }
    reference_init(&fresh->reference);
    fresh->thread->owner = fresh;
    fresh->process = process;
    fresh->in_kernel = true;
    fresh->timer_slack_ns = 50000;
    process_take(process);
    list_init(&fresh->process_link);
    list_init(&fresh->table_link);
    signal_queue_init(&fresh->pending);
    strncpy(fresh->command, name, sizeof(fresh->command) - 1);
    *task = fresh;
    return 0;
}

void task_take(struct task *task)
{
    reference_take(&task->reference);
}

void task_release(struct task *task)
{
    if (!reference_release(&task->reference))
        return;
    if (task->files)
        fd_table_release(task->files);
    if (task->fs)
        fs_state_release(task->fs);
    if (task->credentials)
        credentials_release(task->credentials);
    signal_queue_clear(&task->pending); /* what came after its end */
    thread_release(task->thread);
    process_release(task->process);
    memory_free(task);
}

int fs_state_create(const struct path *root, const struct path *working_directory, uint32_t umask, struct fs_state **fs)
{
    struct fs_state *fresh = memory_allocate_zeroed(sizeof(*fresh));

    if (!fresh)
        return -ENOMEM;
    reference_init(&fresh->reference);
    spinlock_init(&fresh->lock, "fs state", 0);
    fresh->root = *root;
    fresh->working_directory = *working_directory;
    fresh->umask = umask;
    path_take(&fresh->root);
    path_take(&fresh->working_directory);
    *fs = fresh;
    return 0;
}

int fs_state_duplicate(struct fs_state *fs, struct fs_state **copy)
{
    spinlock_lock(&fs->lock);
    struct path root = fs->root, working_directory = fs->working_directory;
    uint32_t umask = fs->umask;
    path_take(&root);
    path_take(&working_directory);
    spinlock_unlock(&fs->lock);
    int error = fs_state_create(&root, &working_directory, umask, copy);
    path_release(&root);
    path_release(&working_directory);
    return error;
}

void fs_state_take(struct fs_state *fs)
{
    reference_take(&fs->reference);
}

void fs_state_release(struct fs_state *fs)
{
    if (!reference_release(&fs->reference))
        return;
    path_release(&fs->root);
    path_release(&fs->working_directory);
    memory_free(fs);
}

void task_fs_context(struct fs_context *context)
{
    struct task *task = task_current();

    spinlock_lock(&task->fs->lock);
    context->root = task->fs->root;
    context->working_directory = task->fs->working_directory;
    context->umask = task->fs->umask;
    path_take(&context->root);
    path_take(&context->working_directory);
    spinlock_unlock(&task->fs->lock);
    context->credentials = task->credentials;
    credentials_take(context->credentials);
}

void task_fs_context_release(struct fs_context *context)
{
    path_release(&context->root);
    path_release(&context->working_directory);
    credentials_release(context->credentials);
}

int task_unshare(bool files, bool fs)
{
    struct task *task = task_current();
    struct fd_table *own_files = NULL, *old_files = NULL;
    struct fs_state *own_fs = NULL, *old_fs = NULL;
    int error = 0;

    if (files)
        error = fd_table_duplicate(task->files, &own_files);
    if (error == 0 && fs)
        error = fs_state_duplicate(task->fs, &own_fs);
    if (error != 0) {
        if (own_files)
            fd_table_release(own_files);
        return error;
    }
    spinlock_lock(&task->process->lock);
    if (own_files) {
        old_files = task->files;
        task->files = own_files;
    }
    if (own_fs) {
        old_fs = task->fs;
        task->fs = own_fs;
    }
    spinlock_unlock(&task->process->lock);
    if (old_files)
        fd_table_release(old_files);
    if (old_fs)
        fs_state_release(old_fs);
    return 0;
}

int task_unshare_fs(struct task *task)
{
    return task == task_current() ? task_unshare(false, true) : -EINVAL;
}

void process_set_command(struct task *task, const char *path)
{
    const char *name = strrchr(path, '/');
    char command[16];

    format_string(command, sizeof(command), "%s", name ? name + 1 : path);
    spinlock_lock(&task->process->lock);
    memcpy(task->command, command, sizeof(command));
    memcpy(task->thread->name, command, sizeof(command));
    memcpy(task->process->command, command, sizeof(command));
    spinlock_unlock(&task->process->lock);
}

void task_set_credentials(struct credentials *credentials)
{
    struct task *task = task_current();
    struct process *process = task->process;

    credentials_take(credentials);
    spinlock_lock(&process->lock);
    struct credentials *old = task->credentials, *old_shared = process->credentials;
    task->credentials = credentials;
    process->credentials = credentials;
    if (old && (old->euid != credentials->euid || old->egid != credentials->egid))
        process->dumpable = false;
    spinlock_unlock(&process->lock);
    if (old)
        credentials_release(old);
    if (old_shared)
        credentials_release(old_shared);
}

uint32_t process_uid(struct process *process)
{
    spinlock_lock(&process->lock);
    uint32_t uid = process->credentials ? process->credentials->uid : 0;
    spinlock_unlock(&process->lock);
    return uid;
}

void task_user_ids(struct task *task, uint32_t *uid, uint32_t *euid)
{
    spinlock_lock(&task->process->lock);
    *uid = task->credentials->uid;
    *euid = task->credentials->euid;
    spinlock_unlock(&task->process->lock);
}

uint64_t process_limit(struct process *process, unsigned int limit)
{
    return limit < RESOURCE_LIMIT_COUNT ? read_once(process->limits[limit].soft) : 0;
}

void process_apply_limits(struct process *process)
{
    spinlock_lock(&process->lock);
    struct address_space *space = process->zombie ? NULL : process->space;
    if (space)
        address_space_take(space);
    bool may_lock = process->credentials && credentials_capable(process->credentials, CAPABILITY_IPC_LOCK);
    spinlock_unlock(&process->lock);
    if (!space)
        return;
    rw_lock_write(&space->lock);
    space->stack_limit_bytes = process_limit(process, LIMIT_STACK);
    space->size_limit_bytes = process_limit(process, LIMIT_AS);
    space->data_limit_bytes = process_limit(process, LIMIT_DATA);
    space->lock_limit_bytes = may_lock ? UINT64_MAX : process_limit(process, LIMIT_MEMLOCK);
    rw_unlock_write(&space->lock);
    address_space_release(space);
}

int process_limit_set(struct process *process, unsigned int limit, const struct resource_limit *value, struct resource_limit *old)
{
    if (limit >= RESOURCE_LIMIT_COUNT || (value && value->soft > value->hard))
        return -EINVAL;
    spinlock_lock(&process->lock);
    if (old)
        *old = process->limits[limit];
    if (value)
        process->limits[limit] = *value;
    spinlock_unlock(&process->lock);
    if (value && (limit == LIMIT_STACK || limit == LIMIT_AS || limit == LIMIT_DATA || limit == LIMIT_MEMLOCK))
        process_apply_limits(process);
    return 0;
}

void process_set_parent(struct process *process, struct process *parent)
{
    assert(spinlock_held(&process_table_lock));
    process->parent = parent;
    write_once(process->parent_pid, parent ? parent->pid : 0);
}

void task_notify(struct task *task)
{
    struct thread *thread = task->thread;

    thread_interrupt(thread);
    /* In user mode on another CPU it sees the flag at its next entry: make one. */
    if (thread != thread_current() && atomic_load(&thread->state) == THREAD_RUNNING)
        cpu_kick(thread->cpu);
}

int process_init(void)
{
    int error = process_create(&process_kernel);

    if (error != 0)
        return error;
    process_kernel->pid = process_kernel->group_id = process_kernel->session_id = 1;
    format_string(process_kernel->command, sizeof(process_kernel->command), "init");
    process_kernel->credentials = credentials_create_root();
    if (!process_kernel->credentials)
        return -ENOMEM;
    error = signal_handlers_create(NULL, &process_kernel->handlers);
    if (error != 0)
        return error;
    process_hooks_init();
    process_source_init();
    error = address_space_start();
    return error != 0 ? error : vdso_init();
}
