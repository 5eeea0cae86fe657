/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execve: a new program in the same process.
 *
 *   open, follow #! lines -> credentials by set-id bits -> load into a fresh space, build its stack   (all may fail)
 *   -> end the other threads -> the point of no return -> take over: space, handlers, files, names, registers
 *
 * process->exec_task keeps two threads from doing it at once and tells the others to end.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/device/random.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/exec_internal.h"
#include "xen/machine/cpu.h"
#include "xen/x86/trap_frame.h"

#define SCRIPT_LINE_BYTES 256u
#define SCRIPT_DEPTH_LIMIT 4u
#define EXEC_EMPTY_PATH 0x1000u
#define EXEC_NO_FOLLOW 0x100u
#define PERSONALITY_NO_RANDOMIZE 0x0040000u

int exec_open(const struct fs_context *context, const struct path *at, const char *name, unsigned int flags, struct file **file)
{
    struct path path;
    char *absolute = NULL;
    unsigned int walk = (flags & EXEC_EMPTY_PATH ? PATH_EMPTY : 0) | (flags & EXEC_NO_FOLLOW ? 0 : PATH_FOLLOW);

    int error = path_lookup(context, at, name, walk, &path);
    if (error != 0)
        return error;
    struct inode *inode = path_inode(&path);
    uint32_t type = inode->mode & MODE_TYPE;
    if (type == MODE_SYMLINK)
        error = -ELOOP;
    else if (type != MODE_REGULAR)
        error = -EACCES;
    else
        error = inode_permission(inode, context->credentials, 1);
    /* Root's capabilities do not make a file without any x bit executable. */
    if (error == 0 && !(inode->mode & 0111))
        error = -EACCES;
    if (error == 0 && name[0] == '\0') {
        absolute = memory_allocate(PATH_LENGTH_LIMIT);
        if (!absolute)
            error = -ENOMEM;
        else if (path_name(context, &path, absolute, PATH_LENGTH_LIMIT, false) < 0)
            error = -ENOENT;
    }
    path_release(&path);
    if (error == 0) {
        /* To execute is not to read: the kernel reads it with its own rights. */
        struct fs_context kernel = *context;
        kernel.credentials = process_kernel->credentials;
        error = file_open(&kernel, absolute ? NULL : at, absolute ? absolute : name, FILE_READ_ONLY, 0, file);
    }
    memory_free(absolute);
    return error;
}

/* Splits "#! interpreter argument"; the line is cut in place. 0 or -ENOEXEC. */
static int script_parse(char *line, size_t length, char **interpreter, char **argument)
{
    char *end = memchr(line, '\n', length);

    if (!end)
        end = length < SCRIPT_LINE_BYTES ? line + length : NULL;
    if (!end)
        return -ENOEXEC; /* a line longer than we read: the name could be cut */
    while (end > line + 2 && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    *end = '\0';
    char *at = line + 2;
    while (*at == ' ' || *at == '\t')
        at++;
    if (*at == '\0')
        return -ENOEXEC;
    *interpreter = at;
    while (*at != '\0' && *at != ' ' && *at != '\t')
        at++;
    *argument = NULL;
    if (*at == '\0')
        return 0;
    *at++ = '\0';
    while (*at == ' ' || *at == '\t')
        at++;
    *argument = *at != '\0' ? at : NULL;
    return 0;
}

static char *script_keep(struct exec *exec, const char *string)
{
    for (unsigned int i = 0; i < array_count(exec->script_strings); i++)
        if (!exec->script_strings[i])
            return exec->script_strings[i] = memory_duplicate_string(string);
    return NULL;
}

/* Puts interpreter, its argument and the script's name before arguments[1..]. */
static int script_arguments(struct exec *exec, const char *interpreter, const char *argument, const char *script)
{
    size_t count = 0, at = 0;

    while (exec->arguments && exec->arguments[count])
        count++;
    char **fresh = memory_allocate((count + 4) * sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    fresh[at++] = script_keep(exec, interpreter);
    if (argument)
        fresh[at++] = script_keep(exec, argument);
    fresh[at++] = (char *)(uintptr_t)script;
    for (size_t i = 0; i < at; i++)
        if (!fresh[i]) {
            memory_free(fresh);
            return -ENOMEM;
        }
    for (size_t i = 1; i < count; i++)
        fresh[at++] = exec->arguments[i];
    fresh[at] = NULL;
    memory_free(exec->script_arguments);
    exec->script_arguments = fresh;
    exec->arguments = fresh;
    return 0;
}

/* While the file is a script, goes on to its interpreter. */
static int exec_follow_scripts(struct exec *exec, const struct fs_context *context)
{
    char line[SCRIPT_LINE_BYTES + 1];
    char *interpreter, *argument;
    const char *script = exec->path;

    for (;;) {
        long length = file_read_kernel(exec->file, line, SCRIPT_LINE_BYTES, 0);
        if (length < 0)
            return (int)length;
        if (length < 2 || line[0] != '#' || line[1] != '!')
            return 0;
        if (exec->script_depth++ == SCRIPT_DEPTH_LIMIT)
            return -ELOOP;
        int error = script_parse(line, (size_t)length, &interpreter, &argument);
        if (error == 0)
            error = script_arguments(exec, interpreter, argument, script);
        if (error != 0)
            return error;
        struct file *file;
        error = exec_open(context, NULL, exec->arguments[0], 0, &file);
        if (error != 0) {
            log_warning("%s: the interpreter %s of its first line cannot be opened", script, exec->arguments[0]);
            return error;
        }
        file_release(exec->file);
        exec->file = file;
        script = exec->arguments[0];
    }
}

/* Credentials for the new program: set-id bits, then capabilities by Linux's rules for root and others. */
static int exec_credentials(struct exec *exec)
{
    struct task *task = task_current();
    struct inode *inode = exec->file->inode;
    struct credentials *fresh = credentials_copy(task->credentials, task->credentials->group_count);

    if (!fresh)
        return -ENOMEM;
    bool allowed = !task->process->no_new_privileges;
    if (allowed && inode && (inode->mode & MODE_SETUID))
        fresh->euid = inode->uid;
    if (allowed && inode && (inode->mode & (MODE_SETGID | 0010)) == (MODE_SETGID | 0010))
        fresh->egid = inode->gid;
    exec->secure = fresh->euid != fresh->uid || fresh->egid != fresh->gid;
    fresh->suid = fresh->fsuid = fresh->euid;
    fresh->sgid = fresh->fsgid = fresh->egid;
    if (fresh->euid != task->credentials->euid)
        fresh->ambient = 0;
    if (fresh->euid == 0 || fresh->uid == 0) {
        fresh->permitted = fresh->bounding | fresh->inheritable;
        fresh->effective = fresh->euid == 0 ? fresh->permitted : 0;
    } else {
        fresh->permitted = fresh->ambient;
        fresh->effective = fresh->ambient;
    }
    exec->credentials = fresh;
    return 0;
}

static bool exec_alone(struct process *process)
{
    return read_once(process->task_count) == 1;
}

/* Ends all other threads. 0, or -ERESTARTSYS when this one is to end. */
static int exec_end_others(struct task *task)
{
    struct process *process = task->process;
    struct task *other;

    spinlock_lock(&process->lock);
    if (process->exiting || (process->exec_task && process->exec_task != task)) {
        spinlock_unlock(&process->lock);
        return -ERESTARTSYS;
    }
    process->exec_task = task;
    list_for_each(other, &process->tasks, process_link)
        if (other != task)
            task_notify(other);
    wait_queue_wake_all(&process->stop_wait, 0);
    spinlock_unlock(&process->lock);
    WAIT_UNTIL(&process->exit_wait, exec_alone(process), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);

    /* The survivor bears the process's number, whoever it was. */
    if (task->tid != process->pid) {
        spinlock_lock(&process_table_lock);
        process_table_remove_task(task);
        task->tid = process->pid;
        process_table_add_task(task);
        process->tasks_alive--; /* it was counted already */
        spinlock_unlock(&process_table_lock);
    }
    return 0;
}

static void exec_switch_space(struct task *task, struct address_space *space)
{
    struct process *process = task->process;
    struct context *context = &task->thread->context;

    spinlock_lock(&process->lock);
    struct address_space *old = process->space;
    if (old)
        space->no_large_pages = old->no_large_pages;
    process->space = space;
    spinlock_unlock(&process->lock);
    cpu_events_mask();
    context->root = &space->root;
    paging_root_activate(&space->root);
    cpu_events_unmask();
    thread_wake_here(true); /* who waited for this mostly waits for our end next */
    process_end_vfork(process);
    thread_wake_here(false);
    if (old) {
        process_leave_space(process, old);
        address_space_release(old);
    }
    process_apply_limits(process);
}

static void exec_reset_task(struct task *task)
{
    struct context *context = &task->thread->context;

    task->alternate_stack = task->alternate_stack_bytes = 0;
    task->alternate_stack_flags = 0;
    task->clear_child_tid = 0;
    task->robust_list = 0;
    task->robust_list_bytes = 0;
    task->rseq_area = 0;
    task->restart = NULL;
    context_set_fs_base(context, 0);
    context_set_gs_base(context, 0);
    context_extended_init(context->extended_state);
    context_extended_load(context);
}

/* Nothing fails from here on. */
static void exec_take_over(struct exec *exec, struct signal_handlers *handlers)
{
    struct task *task = task_current();
    struct process *process = task->process;

    posix_timers_exit(process);
    process_run_exit_hooks(process, true);
    exec_switch_space(task, exec->space);
    exec->space = NULL;
    exec_reset_task(task);

    spinlock_lock(&process->lock);
    struct signal_handlers *old_handlers = process->handlers;
    struct file *old_executable = process->executable;
    uint8_t *old_auxiliary = process->auxiliary;
    process->handlers = handlers;
    process->executable = exec->file;
    process->auxiliary = exec->auxiliary;
    process->auxiliary_bytes = exec->auxiliary_bytes;
    process->exec_task = NULL;
    process->has_executed = true;
    process->barriers = 0;
    process->dumpable = !exec->secure;
    if (exec->secure)
        process->parent_death_signal = 0;
    spinlock_unlock(&process->lock);
    exec->file = NULL;
    exec->auxiliary = NULL;
    signal_handlers_release(old_handlers);
    if (old_executable)
        file_release(old_executable);
    memory_free(old_auxiliary);

    bool dumpable = process->dumpable;
    task_set_credentials(exec->credentials);
    process->dumpable = dumpable;
    exec->credentials = NULL;
    process_set_command(task, exec->path);
    fd_table_close_on_exec(task->files);
    trap_frame_init_user(context_user_frame(&task->thread->context), exec->entry, exec->stack_pointer);
    task->thread->context.unfinished = true;
}

static void exec_discard(struct exec *exec)
{
    if (exec->space) {
        address_space_leave(exec->space);
        address_space_release(exec->space);
    }
    if (exec->file)
        file_release(exec->file);
    if (exec->interpreter)
        file_release(exec->interpreter);
    if (exec->credentials)
        credentials_release(exec->credentials);
    memory_free(exec->auxiliary);
    memory_free(exec->script_arguments);
    for (unsigned int i = 0; i < array_count(exec->script_strings); i++)
        memory_free(exec->script_strings[i]);
}

static int exec_run(struct exec *exec, const struct fs_context *context)
{
    struct task *task = task_current();
    struct signal_handlers *handlers;

    int error = exec_follow_scripts(exec, context);
    if (error == 0)
        error = exec_credentials(exec);
    if (error == 0)
        error = exec_load(exec, context);
    if (error == 0)
        error = exec_build_stack(exec);
    if (error == 0)
        error = paging_root_seal(&exec->space->root);
    if (error == 0)
        error = signal_prepare_exec(task->process, &handlers);
    if (error != 0)
        return error;
    /* A table shared with another process is no longer shared; closing on exec must not close theirs. */
    error = task_unshare(true, false);
    if (error == 0)
        error = exec_end_others(task);
    if (error != 0) {
        signal_handlers_release(handlers);
        return error;
    }
    exec_take_over(exec, handlers);
    return 0;
}

long process_exec(const struct path *at, const char *path, unsigned int flags, char *const *arguments, char *const *environment)
{
    static char *const no_arguments[] = { (char *)(uintptr_t)"", NULL };
    struct exec *exec = memory_allocate_zeroed(sizeof(*exec)); /* large for a kernel stack */
    struct fs_context context;

    if (!exec)
        return -ENOMEM;
    exec->path = path;
    exec->arguments = arguments && arguments[0] ? arguments : no_arguments;
    exec->environment = environment;
    exec->randomize = !(process_current()->personality & PERSONALITY_NO_RANDOMIZE);
    random_bytes(exec->random, sizeof(exec->random));
    task_fs_context(&context);
    long error = exec_open(&context, at, path, flags, &exec->file);
    if (error == 0)
        error = exec_run(exec, &context);
    task_fs_context_release(&context);
    exec_discard(exec);
    memory_free(exec);
    return error;
}
