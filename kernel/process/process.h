/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes and their threads (tasks), as Linux has them: thread groups, parents and children, process groups and
 * sessions, exit and wait.
 *
 * A task is one thread (tid); a process is its thread group (pid = the leader's tid) with what the threads share. A
 * task's shared parts (address space, fd table, fs context, signal handlers) are referenced, as clone's flags say.
 *
 *   running --exit(status)--> zombie (until the parent waits, or ignores SIGCHLD) --> reaped
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/error.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/process/signal.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/timer.h"
#include "kernel/vfs/credentials.h"
#include "kernel/vfs/fd_table.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/path.h"
#include "kernel/vm/address_space.h"
#include "xen/x86/trap_frame.h"

#define RESOURCE_LIMIT_COUNT 16
enum { LIMIT_CPU, LIMIT_FSIZE, LIMIT_DATA, LIMIT_STACK, LIMIT_CORE, LIMIT_RSS, LIMIT_NPROC, LIMIT_NOFILE, LIMIT_MEMLOCK,
       LIMIT_AS, LIMIT_LOCKS, LIMIT_SIGPENDING, LIMIT_MSGQUEUE, LIMIT_NICE, LIMIT_RTPRIO, LIMIT_RTTIME };

struct resource_limit {
    uint64_t soft, hard; /* UINT64_MAX: none */
};

/* Root, cwd, umask; shared with CLONE_FS. Locks: l lock. */
struct fs_state {
    struct reference reference;
    struct spinlock lock;
    struct path root, working_directory; /* l */
    uint32_t umask;                      /* l */
};

struct process_times {
    uint64_t user_ns, system_ns, children_user_ns, children_system_ns;
};

/*
 * Locks: p process->lock; t process table lock (outer to process->lock); a atomic; f fixed. tasks and task_count change
 * under both and are read under either.
 */
struct process {
    struct reference reference;
    struct spinlock lock;
    int pid;                                /* f */
    struct process *parent;                 /* t */
    int parent_pid;                         /* t its number, read without; 0: none */
    struct list children, sibling_link;     /* t */
    struct list tasks;                      /* t */
    int group_id, session_id;               /* t */
    struct address_space *space;            /* p replaced by exec */
    struct signal_handlers *handlers;       /* f shared with CLONE_SIGHAND (only whole processes share it here) */
    struct signal_queue pending;            /* p signals to the process */
    struct resource_limit limits[RESOURCE_LIMIT_COUNT]; /* p */
    int exit_signal;                        /* f sent to the parent (SIGCHLD) */
    int exit_status;                        /* t wait status as wait4() gives it */
    bool exiting;                           /* p exit_group has begun */
    bool zombie;                            /* t */
    int group_exit_code;                    /* p */
    unsigned int task_count;                /* t live tasks */
    struct wait_queue child_wait;           /* wait4 sleepers */
    struct wait_queue exit_wait;            /* pidfd pollers, vfork parents */
    struct file *executable;                /* p /proc/self/exe */
    char command[16];                       /* p comm of the leader */
    struct process_times times;             /* p of ended tasks, and waited children */
    struct timer interval_timer;            /* p ITIMER_REAL */
    uint64_t interval_ns;                   /* p */
    uint64_t interval_deadline_ns;          /* p 0: off */
    struct list posix_timers;               /* p */
    int next_timer_id;                      /* p */
    struct list table_link, all_link;       /* t */
    uint64_t start_ns;                      /* f */
    int nice;                               /* p */
    bool dumpable, no_new_privileges, child_subreaper; /* p */
    int parent_death_signal;                /* p */
    uint32_t personality;                   /* p */
    uint8_t *auxiliary; size_t auxiliary_bytes; /* p /proc/self/auxv */
    struct credentials *credentials;        /* p of the last task that changed them: for kill's checks, /proc and zombies */
    struct task *exec_task;                 /* p it ends all others for exec */
    bool stopped, stop_unreported, continue_unreported; /* p job control */
    int stop_signal;                        /* p */
    struct wait_queue stop_wait;            /* stopped tasks */
    struct wait_queue signal_wait;          /* signalfd pollers; woken at each signal */
    atomic_bool vfork_released;             /* a the address space is the parent's again */
    unsigned int tasks_alive;               /* p tasks that have not begun to exit */
    bool kernel_waits;                      /* f started by the kernel, which reaps it */
    bool has_executed;                      /* p since fork: setpgid by the parent is over */
    struct process_times waited;            /* p of children waited for: user_ns, system_ns */
    uint64_t waited_peak_pages;             /* p */
    uint64_t peak_pages;                    /* p of spaces left by exec or exit */
    uint64_t faults_minor, faults_major;    /* p of spaces left */
    uint64_t switches_voluntary, switches_involuntary; /* p of ended tasks */
    uint32_t barriers;                      /* own tasks: kinds of membarrier() that were registered for; gone at exec */
    struct cpu_timer *cpu_timers;           /* p ITIMER_VIRTUAL and ITIMER_PROF; NULL until first set */
};

/* Locks: s own thread only; p process->lock; t process table lock; f fixed. */
struct task {
    struct reference reference;
    struct thread *thread;                  /* f */
    struct process *process;                /* f */
    int tid;                                /* f */
    struct list process_link, table_link;   /* t */
    struct fd_table *files;                 /* s changed by itself; others take process->lock */
    struct fs_state *fs;                    /* same */
    struct credentials *credentials;        /* same */
    uint64_t signal_mask;                   /* p written by itself */
    uint64_t saved_signal_mask;             /* s for sigsuspend/ppoll: restored when no handler ran */
    bool restore_signal_mask;               /* s with the context's `unfinished` */
    struct signal_queue pending;            /* p */
    uint64_t alternate_stack, alternate_stack_bytes; uint32_t alternate_stack_flags; /* s */
    uint64_t clear_child_tid;               /* s */
    uint64_t robust_list; size_t robust_list_bytes; /* s */
    uint64_t rseq_area; uint32_t rseq_bytes, rseq_signature, rseq_cpu; /* s area 0: none; the CPU it has; rseq.c */
    char command[16];                       /* p */
    uint64_t vfork_done;                    /* a address-space handed back flag */
    uint64_t user_ns, entered_ns, left_ns;  /* s of its run time: in user mode; when it came in, and went out, as far as accounted for (account.c) */
    bool in_kernel;                         /* s past an entry that accounts */
    uint64_t waiting_mask;                  /* p signals that signal_wait() waits for: unblocked, but not to be delivered */
    int stop_count;                         /* s */
    uint64_t fault_address, fault_error;    /* s of the last trap that became a signal, for its frame and the report */
    unsigned int fault_vector;              /* s */
    bool exiting;                           /* p */
    int exit_code;
    uint64_t timer_slack_ns;
    int sched_policy, sched_priority;       /* p Linux's SCHED_*, kept for the program; inherited unless reset on fork */
    bool sched_reset_on_fork;               /* p */
    /* System-call restart: what ERESTART_RESTARTBLOCK calls. */
    long (*restart)(struct task *task);
    uint64_t restart_data[5];
};

static inline struct task *task_current(void)
{
    return thread_current()->owner;
}

static inline struct process *process_current(void)
{
    return task_current()->process;
}

int process_init(void);

/* Restartable sequences of the current task, as rseq(2) names them: 0, -EINVAL, -EFAULT, -EPERM, -EBUSY. */
#define RSEQ_AREA_BYTES 32u
/* Restartable sequences that its tasks have begun are to be aborted. */
void rseq_barrier(struct process *process);
int rseq_register(uint64_t area, uint32_t size_bytes, uint32_t signature);
int rseq_unregister(uint64_t area, uint32_t size_bytes, uint32_t signature);

/* The door's first act, by whoever serves an entry from user mode; upcall_return_to_user() is its counterpart. */
void task_enter_kernel(struct task *task);
/* Calls by doors account once in so many, by these two. */
#define DOOR_SAMPLE 64u
static inline bool task_door_is_sampled(struct task *task)
{
    struct context *context = &task->thread->context;

    if (context->door_calls_left >= 0)
        return false;
    context->door_calls_left = DOOR_SAMPLE - 1;
    return true;
}
void task_leave_sampled(struct task *task);

/* original_rax, outside of system calls and where the frame is another one by now (exec, sigreturn). */
#define NOT_IN_SYSTEM_CALL (~0ull)
static inline bool frame_wants_restart(const struct trap_frame *frame)
{
    return unlikely(frame->rax - (uint64_t)-ERESTART_RESTARTBLOCK <= ERESTART_RESTARTBLOCK - ERESTARTSYS) &&
           frame->original_rax != NOT_IN_SYSTEM_CALL;
}

/* Look-ups: referenced, or NULL. */
struct process *process_find(int pid);
struct task *task_find(int tid);
void process_take(struct process *process);
void process_release(struct process *process);
void task_take(struct task *task);
void task_release(struct task *task);

/* A walk's context from the current task (its credentials and fs_state, referenced) and its release. */
void task_fs_context(struct fs_context *context);
void task_fs_context_release(struct fs_context *context);

/*
 * The first program, and each of a batch: a fresh process under the kernel's init, with stdin, stdout and stderr on
 * `console`, running path with arguments and environment (NULL-ended). Its pid, or -Exxx of exec with one line said.
 */
struct spawn_request {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const char *working_directory;
    struct file *console;
    uint32_t uid, gid;
};
int process_spawn(const struct spawn_request *request, struct process **process);
/* The tree that spawned programs see; once, by the roof, before the first process_spawn(). Takes its own reference. */
void process_set_root(const struct path *root);
/* Waits in a kernel thread until the process is a zombie, reaps it: its wait status. */
int process_wait_kernel(struct process *process);

/* clone/fork/vfork/clone3 as decoded by kernel/linux. tid of the child in the caller's view, or -Exxx. */
struct clone_request {
    uint64_t flags;             /* Linux's CLONE_* */
    int exit_signal;
    uint64_t stack;             /* user stack pointer, 0: the parent's */
    uint64_t tls;
    uint64_t parent_tid, child_tid, pidfd; /* user addresses, 0: none */
    int set_tid;                /* 0: next free */
};
long process_clone(const struct clone_request *request);
/* execve; on success returns 0 with the current user frame set up for the new program. Arrays are kernel copies. */
long process_exec(const struct path *at, const char *path, unsigned int flags, char *const *arguments, char *const *environment);

void task_exit(int code) attribute_noreturn;                 /* exit: this thread */
void process_exit_group(int wait_status) attribute_noreturn; /* exit_group, or death by signal (status encodes it) */

/* wait4/waitid. which_type: Linux's P_ALL 0, P_PID 1, P_PGID 2 (which 0: the own group). options: Linux's W*, at least one of
 * WEXITED, WUNTRACED (= WSTOPPED), WCONTINUED. pid, 0 (WNOHANG, none ready), -ECHILD, -ERESTARTSYS. */
struct wait_result {
    int pid, uid, code, status, wait_status;
    struct process_times times;
    uint64_t peak_pages;
};
long process_wait(int which_type, int which, unsigned int options, struct wait_result *result);

/* pidfds: a file that polls readable when the process has ended; flags: FILE_NONBLOCK. And the process behind one: referenced, or
 * NULL for any other file. */
int process_file_create(struct process *process, unsigned int flags, struct file **file);
struct process *process_of_file(struct file *file);

/* setpgid, setsid, getpgid... pid 0: the caller. */
long process_set_group(int pid, int group_id);
long process_new_session(void);
long process_get_group(int pid);
long process_get_session(int pid);

/* Its parent's pid; 0 without one. */
static inline int process_parent_id(const struct process *process)
{
    return read_once(process->parent_pid);
}
/* unshare(CLONE_FS): the current task gets an fs_state of its own if it shares one. 0 or -ENOMEM. */
int task_unshare_fs(struct task *task);

/* No doors in this space from now on. -ENOMEM */
int door_stop(struct address_space *space);

/* CPU time in all, without the costlier split into user and system. */
uint64_t process_cpu_ns(struct process *process);
void process_times_get(struct process *process, struct process_times *times);
/* Calls back for each process/task under the table lock. */
void process_for_each(void (*visit)(struct process *process, void *context), void *context);
void task_for_each(struct process *process, void (*visit)(struct task *task, void *context), void *context);
unsigned int process_count(void);

/* Credentials of the current task replaced (takes over the reference); checks dumpable, exec rules elsewhere. */
void task_set_credentials(struct credentials *credentials);
/* Another's user ids, whose credentials may be replaced meanwhile: p is not held. */
uint32_t process_uid(struct process *process);
void task_user_ids(struct task *task, uint32_t *uid, uint32_t *euid);
uint64_t process_limit(struct process *process, unsigned int limit);
/* prlimit: sets soft and hard (checked by the caller) and what follows from them; old may be NULL. 0 or -EINVAL. */
int process_limit_set(struct process *process, unsigned int limit, const struct resource_limit *value, struct resource_limit *old);
/* The next process with pid >= `pid` that is not reaped, referenced; NULL: none. */
struct process *process_next(int pid);
/* The next task of it with tid >= `tid`, referenced. */
struct task *task_next(struct process *process, int tid);
/* A new file table or fs_state of one's own: unshare(CLONE_FILES / CLONE_FS). */
int task_unshare(bool files, bool fs);

/* CPU time of a process (children not counted) and of a task. */
void task_times_get(struct task *task, uint64_t *user_ns, uint64_t *system_ns);

/* setitimer/getitimer. which: Linux's ITIMER_REAL 0, VIRTUAL 1, PROF 2. Remaining and interval in ns; value 0: off. */
int interval_timer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns, uint64_t *old_interval_ns);
int interval_timer_get(int which, uint64_t *value_ns, uint64_t *interval_ns);

/*
 * For what upper rooms keep for a process: called by its last task at exit, and at a successful exec once the other threads are gone
 * (at_exec), before its address space and descriptors go. At most 8, registered at boot. 0 or -ENOMEM.
 */
int process_register_exit_hook(void (*hook)(struct process *process, bool at_exec));

/* Registered by the roof: process 1 has ended with this wait status. */
void process_set_final_handler(void (*handler)(int wait_status));
