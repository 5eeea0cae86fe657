/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: queues, handlers, delivery on the way to user mode, return from handlers. Numbers, siginfo and ucontext
 * layouts are Linux x86-64's.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "xen/machine/spinlock.h"

#define SIGNAL_COUNT 64
#define SIGNAL_STACK_MINIMUM 2048u /* MINSIGSTKSZ */
#define SIGNAL_BIT(number) (1ull << ((number) - 1))

enum { SIGNAL_HUP = 1, SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_ILL = 4, SIGNAL_TRAP = 5, SIGNAL_ABRT = 6, SIGNAL_BUS = 7,
       SIGNAL_FPE = 8, SIGNAL_KILL = 9, SIGNAL_USR1 = 10, SIGNAL_SEGV = 11, SIGNAL_USR2 = 12, SIGNAL_PIPE = 13,
       SIGNAL_ALRM = 14, SIGNAL_TERM = 15, SIGNAL_STKFLT = 16, SIGNAL_CHLD = 17, SIGNAL_CONT = 18, SIGNAL_STOP = 19,
       SIGNAL_TSTP = 20, SIGNAL_TTIN = 21, SIGNAL_TTOU = 22, SIGNAL_URG = 23, SIGNAL_XCPU = 24, SIGNAL_XFSZ = 25,
       SIGNAL_VTALRM = 26, SIGNAL_PROF = 27, SIGNAL_WINCH = 28, SIGNAL_IO = 29, SIGNAL_PWR = 30, SIGNAL_SYS = 31 };

/* siginfo_t as programs see it: 128 bytes. The union part starts at offset 16. */
struct signal_information {
    int32_t number, error, code, padding;
    union {
        struct { int32_t pid; uint32_t uid; uint64_t value; } sender;          /* kill, tgkill, sigqueue */
        struct { int32_t timer_id; int32_t overrun; uint64_t value; } timer;
        struct { int32_t pid; uint32_t uid; int32_t status; int32_t padding; int64_t user_ticks, system_ticks; } child;
        struct { uint64_t address; int16_t address_lsb; } fault;
        struct { int64_t band; int32_t fd; } io;
        struct { uint64_t address; int32_t call; uint32_t architecture; } call;
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct signal_information) == 128, "siginfo_t");

/* si_code values. */
#define SIGNAL_CODE_USER 0
#define SIGNAL_CODE_KERNEL 0x80
#define SIGNAL_CODE_QUEUE (-1)
#define SIGNAL_CODE_TIMER (-2)
#define SIGNAL_CODE_TKILL (-6)

/* Locks: the owner's process->lock. */
struct signal_queue {
    uint64_t pending;          /* SIGNAL_BIT set */
    struct list entries;       /* struct signal_entry, in order of arrival */
    unsigned int queued;       /* real-time entries, against LIMIT_SIGPENDING */
};

#define SIGNAL_HANDLER_DEFAULT 0ull
#define SIGNAL_HANDLER_IGNORE 1ull

struct signal_action {
    uint64_t handler, flags, restorer, mask; /* as struct kernel_sigaction */
};

/* Locks: l lock. */
struct signal_handlers {
    struct reference reference;
    struct spinlock lock;
    struct signal_action actions[SIGNAL_COUNT]; /* l */
};

struct process;
struct task;
struct trap_frame;
struct file;

void signal_queue_init(struct signal_queue *queue);
/* Drops everything pending. Owner's process->lock held. */
void signal_queue_clear(struct signal_queue *queue);
int signal_handlers_create(const struct signal_handlers *from, struct signal_handlers **handlers);
void signal_handlers_take(struct signal_handlers *handlers);
void signal_handlers_release(struct signal_handlers *handlers);

/* Sends. 0, -EAGAIN (queue limit for real-time signals). Any context; takes process->lock. information NULL: a kernel one. */
int signal_send_process(struct process *process, int number, const struct signal_information *information);
int signal_send_task(struct task *task, int number, const struct signal_information *information);
/* To every process of a group; number 0 only looks. 0 or -ESRCH. Takes the process table lock. */
int signal_send_group(int group_id, int number, const struct signal_information *information);
/* kill() with Linux's pid meanings (0, -1, < -1) and permission checks by the current task. number 0 only checks. */
long signal_kill(int pid, int number);
long signal_kill_task(int pid_or_0, int tid, int number, const struct signal_information *information);
/* A trap's signal to the current task; if blocked or ignored it kills, as Linux does. */
void signal_force(int number, const struct signal_information *information);

/* rt_sigaction etc. on the current task; old may be NULL. */
long signal_action_set(int number, const struct signal_action *action, struct signal_action *old);
void signal_mask_set(uint64_t mask); /* KILL and STOP are taken out */
uint64_t signal_pending_set(void);
/* Waits for one of `set`: its number and information, -EAGAIN at the deadline, -EINTR. */
long signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_information *information);
/* Takes a pending signal of `set` off the current task's queues; 0: none. */
int signal_take(uint64_t set, struct signal_information *information);
/* sigsuspend: sets the mask, sleeps, answers -ERESTARTNOHAND with the mask to be restored after handlers. */
long signal_suspend(uint64_t mask);
/* Installs a temporary mask for ppoll, pselect, epoll_pwait; restored on the way out unless a handler runs first. */
void signal_mask_temporary(uint64_t mask);

/* True when the current task has something to deliver. */
bool signal_deliverable(void);
/* The way to user mode: delivers, restarts system calls. `in_system_call` from frame->original_rax. */
void signal_deliver(struct trap_frame *frame);
/* rt_sigreturn. */
long signal_return(struct trap_frame *frame);

/* fd_to_change -1: a new file. Else the mask of that signalfd is changed, and *file is NULL. */
int signal_file_create(uint64_t mask, unsigned int flags, int fd_to_change, struct file **file);
