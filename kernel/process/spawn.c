/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that the kernel itself starts: the first one, and each of a batch. The new process is a child of process 1,
 * leads a session of its own on the console, and execs in its own thread; the spawner waits for how that went.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"
#include "kernel/vfs/terminal.h"

static struct path spawn_root; /* set once by the roof */
static bool spawn_has_root;

/* Referenced by the spawner and by the new thread. */
struct spawn {
    struct reference reference;
    const struct spawn_request *request; /* until done */
    struct wait_queue wait;
    atomic_bool done;
    long error;
};

static void spawn_release(struct spawn *spawn)
{
    if (reference_release(&spawn->reference))
        memory_free(spawn);
}

void process_set_root(const struct path *root)
{
    path_take(root);
    spawn_root = *root;
    spawn_has_root = true;
}

static void spawn_thread(void *argument)
{
    struct spawn *spawn = argument;
    struct task *task = task_current();
    const struct spawn_request *request = spawn->request;

    long error = process_exec(NULL, request->path, 0, request->arguments, request->environment);
    spawn->error = error;
    if (error == 0)
        process_set_final(task->process);
    atomic_store(&spawn->done, true);
    wait_queue_wake_all(&spawn->wait, 0);
    spawn_release(spawn);
    if (error != 0)
        process_exit_group(error == -ENOENT ? 127 << 8 : 126 << 8);
    context_enter_user(&task->thread->context);
}

static int spawn_credentials(const struct spawn_request *request, struct credentials **credentials)
{
    struct credentials *fresh = credentials_create_root();

    if (!fresh)
        return -ENOMEM;
    fresh->uid = fresh->euid = fresh->suid = fresh->fsuid = request->uid;
    fresh->gid = fresh->egid = fresh->sgid = fresh->fsgid = request->gid;
    if (request->uid != 0)
        fresh->permitted = fresh->effective = fresh->inheritable = fresh->ambient = 0;
    *credentials = fresh;
    return 0;
}

static int spawn_files(struct task *task, const struct spawn_request *request)
{
    int error = fd_table_create(&task->files);

    for (int fd = 0; fd < 3 && error == 0 && request->console; fd++) {
        file_take(request->console);
        int installed = fd_table_install(task->files, request->console, false, fd, 1024);
        if (installed < 0) {
            file_release(request->console);
            error = installed;
        }
    }
    return error;
}

static int spawn_fs(struct task *task, const struct spawn_request *request)
{
    struct fs_context context = { .root = spawn_root, .working_directory = spawn_root, .umask = 022,
                                  .credentials = task->credentials };
    struct path directory = spawn_root;
    bool found = false;

    if (request->working_directory) {
        int error = path_lookup(&context, NULL, request->working_directory, PATH_FOLLOW | PATH_DIRECTORY, &directory);
        if (error != 0)
            log_warning("%s: no such working directory; / is used", request->working_directory);
        found = error == 0;
        if (!found)
            directory = spawn_root;
    }
    int error = fs_state_create(&spawn_root, &directory, 022, &task->fs);
    if (found)
        path_release(&directory);
    return error;
}

static int spawn_enter(struct task *task, const struct spawn_request *request)
{
    struct process *process = task->process;

    spinlock_lock(&process_table_lock);
    int error = process_table_new_id(0, &task->tid);
    if (error != 0) {
        spinlock_unlock(&process_table_lock);
        return error;
    }
    process->pid = process->group_id = process->session_id = task->tid;
    process_set_parent(process, process_kernel);
    list_add_last(&process_kernel->children, &process->sibling_link);
    process_take(process);
    process_table_add(process);
    task_take(task);
    process_table_add_task(task);
    spinlock_unlock(&process_table_lock);
    if (request->console && file_is_terminal(request->console))
        terminal_make_controlling(request->console, process->session_id, process->group_id);
    return 0;
}

static int spawn_parts(struct process *process, struct task *task, const struct spawn_request *request)
{
    int error = spawn_credentials(request, &task->credentials);

    if (error != 0)
        return error;
    process->credentials = task->credentials;
    credentials_take(process->credentials);
    error = signal_handlers_create(NULL, &process->handlers);
    if (error == 0)
        error = address_space_create(&process->space);
    if (error == 0)
        error = thread_make_user(task->thread, &process->space->root, false);
    if (error == 0)
        error = spawn_files(task, request);
    if (error == 0)
        error = spawn_fs(task, request);
    return error;
}

int process_spawn(const struct spawn_request *request, struct process **process)
{
    struct spawn *spawn;
    struct process *fresh;
    struct task *task;

    if (!spawn_has_root)
        return -ENOENT;
    int error = process_create(&fresh);
    if (error != 0)
        return error;
    spawn = memory_allocate_zeroed(sizeof(*spawn));
    error = -ENOMEM;
    if (!spawn)
        goto undo_process;
    reference_init(&spawn->reference);
    spawn->request = request;
    wait_queue_init(&spawn->wait);
    fresh->kernel_waits = true;
    error = task_create(fresh, "init", spawn_thread, spawn, &task);
    if (error != 0)
        goto undo_spawn;
    error = spawn_parts(fresh, task, request);
    if (error != 0)
        goto undo_task;
    error = spawn_enter(task, request);
    if (error != 0)
        goto undo_task;
    reference_take(&spawn->reference);
    thread_start(task->thread);
    WAIT_UNTIL(&spawn->wait, atomic_load(&spawn->done), WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
    task_release(task);
    error = (int)spawn->error;
    spawn_release(spawn);
    if (error != 0) {
        log_error("%s: cannot be run: %s (error %d)", request->path,
                  error == -ENOENT ? "it or its interpreter is missing" : error == -ENOEXEC ? "not a program for this machine"
                  : error == -EACCES ? "not an executable file" : "exec failed", -error);
        process_wait_kernel(fresh);
        process_release(fresh);
        return error;
    }
    *process = fresh;
    return fresh->pid;

undo_task:
    task_release(task);
undo_spawn:
    memory_free(spawn);
undo_process:
    if (fresh->space)
        address_space_leave(fresh->space);
    process_release(fresh);
    return error;
}
