/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the room share. Lock order: process table lock, process->lock, signal_handlers->lock; all three are
 * spinlocks, inner to every mutex, and outer to the run queues' and wait queues' locks.
 */
#pragma once

#include "kernel/process/process.h"

#define PROCESS_TABLE_RANK 0x9000
#define PROCESS_RANK 0x9100
#define SIGNAL_HANDLERS_RANK 0x9200

/* Linux's clone flags. */
#define CLONE_VM 0x100ull
#define CLONE_FS 0x200ull
#define CLONE_FILES 0x400ull
#define CLONE_SIGHAND 0x800ull
#define CLONE_PIDFD 0x1000ull
#define CLONE_VFORK 0x4000ull
#define CLONE_PARENT 0x8000ull
#define CLONE_THREAD 0x10000ull
#define CLONE_NEWNS 0x20000ull
#define CLONE_SETTLS 0x80000ull
#define CLONE_PARENT_SETTID 0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_CHILD_SETTID 0x1000000ull
#define CLONE_NEWCGROUP 0x2000000ull
#define CLONE_NEWUTS 0x4000000ull
#define CLONE_NEWIPC 0x8000000ull
#define CLONE_NEWUSER 0x10000000ull
#define CLONE_NEWPID 0x20000000ull
#define CLONE_NEWNET 0x40000000ull
#define CLONE_NEWTIME 0x80ull
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#define CLONE_INTO_CGROUP 0x200000000ull
#define CLONE_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Wait statuses. */
#define WAIT_STATUS_SIGNAL(number, dumped) ((number) | ((dumped) ? 0x80 : 0))
#define WAIT_STATUS_STOPPED(number) (((number) << 8) | 0x7f)
#define WAIT_STATUS_CONTINUED 0xffff

/* si_code of SIGCHLD. */
enum { CHILD_EXITED = 1, CHILD_KILLED = 2, CHILD_DUMPED = 3, CHILD_TRAPPED = 4, CHILD_STOPPED = 5, CHILD_CONTINUED = 6 };

extern struct spinlock process_table_lock;

/* The kernel's own process 1: parent of programs, adopter of orphans; it has no tasks. */
extern struct process *process_kernel;

/* ---- process_table.c; "locked" means process_table_lock held ---- */
int process_table_new_id(int wanted, int *id); /* locked: a free number (wanted 0), or that one: 0, -EEXIST, -EAGAIN */
void process_table_add(struct process *process); /* locked; the table holds a reference */
void process_table_remove(struct process *process); /* locked; the caller gets the table's reference */
void process_table_add_task(struct task *task);  /* locked; into the hash, and its process's list */
void process_table_remove_task(struct task *task);
struct process *process_find_locked(int pid);
/* Calls back for each process of the group, locked. */
void process_group_for_each(int group_id, void (*visit)(struct process *process, void *context), void *context);
bool process_group_exists(int group_id, int session_id);

/* ---- process_object.c ---- */
int process_create(struct process **process);
int task_create(struct process *process, const char *name, void (*entry)(void *), void *argument, struct task **task);
int fs_state_create(const struct path *root, const struct path *working_directory, uint32_t umask, struct fs_state **fs);
int fs_state_duplicate(struct fs_state *fs, struct fs_state **copy);
void fs_state_take(struct fs_state *fs);
void fs_state_release(struct fs_state *fs);
void process_set_command(struct task *task, const char *path);
/* NULL: it has none any more. Locked. */
void process_set_parent(struct process *process, struct process *parent);
/* Wakes the task to look at what is new: interrupts its sleep, or kicks its CPU. process->lock held. */
void task_notify(struct task *task);
/* The space another process's limits go to. */
void process_apply_limits(struct process *process);

/* ---- exit.c ---- */
/* A zombie goes: out of the table, its times to the parent. Locked; the caller releases the returned process afterwards. */
void process_reap_locked(struct process *process);
void process_end_vfork(struct process *process);
/* Tells the parent of a stop or a continuation (CHILD_STOPPED, CHILD_CONTINUED). No locks. */
void process_notify_parent(struct process *process, int code);
/* Those that process_register_exit_hook() registered. */
void process_run_exit_hooks(struct process *process, bool at_exec);
/* Leaves the space that `process` ran in, with its counts kept. */
void process_leave_space(struct process *process, struct address_space *space);

/* The first program: its end is told to the final handler. */
void process_set_final(struct process *process);
/* The current task's last act but thread_exit(): releases what the table held. */
void task_bury(struct task *task);

/* ---- signal*.c ---- */
/* As signal_send_*, process->lock held. */
int signal_send_locked(struct process *process, struct task *task, int number, const struct signal_information *information);
bool signal_permitted(struct process *target, int number);
/* What is pending for the task and not blocked. process->lock held. */
uint64_t signal_ready_locked(const struct task *task);
/* Sets or clears the thread's flag by what is pending. process->lock held; own task only for clearing. */
void signal_update_flag(struct task *task);
/* After exec: handlers to default, alternate stack and timers gone. */
int signal_prepare_exec(struct process *process, struct signal_handlers **fresh);
void signal_information_child(struct process *process, int code, int status, struct signal_information *information);
/* Stops the current task until SIGCONT or death. */
void signal_stop_wait(struct task *task);
void signal_process_continued(struct process *process);
/* signal_frame.c: pushes a frame for the handler; 0 or -EFAULT. */
int signal_frame_push(struct trap_frame *frame, int number, const struct signal_information *information,
                      const struct signal_action *action, uint64_t mask);

/* ---- rseq.c ---- */
/* Brings the task's area up to date and aborts its sequence, before user mode, where its thread's `switched` says so; and before a handler. */
void rseq_resume(struct task *task, struct trap_frame *frame);

/* ---- door.c ---- */
/* A program's #UD, or #BP, that is a door's doing (or was): sends the frame on. */
bool door_repair(struct task *task, struct trap_frame *frame, bool breakpoint);

/* ---- others ---- */
void crash_report(struct task *task, int number, const struct signal_information *information, const struct trap_frame *frame);
void cpu_timers_exit(struct process *process);
void cpu_timers_destroy(struct process *process);
void posix_timers_exit(struct process *process);
/* Its signal was taken: fills in the overrun, starts it again. process->lock held. */
void posix_timer_delivered(struct process *process, struct signal_information *information);
void interval_timer_init(struct process *process);
void process_hooks_init(void);
void process_source_init(void);
int process_last_id(void); /* the number last given */
int vdso_init(void);
/* Maps vDSO and its data page into a fresh space: its address, or 0 where there is none. */
uint64_t vdso_map(struct address_space *space);
/* Its calls come by `syscall` from now on. -ENOMEM */
int vdso_close_door(struct address_space *space);
uint64_t process_cpu_ns_locked(struct process *process); /* process->lock held */
/* The last act before user mode. */
void task_leave_kernel(struct task *task);
