/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: actions, masks, queues, the alternate stack, what interrupts a call and what restarts it, signalfd, timers.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static volatile int count, last_number, last_code, last_value, last_pid_is_mine, order[16];
static volatile bool on_alternate;
static char alternate[65536];

static void on_signal(int number, siginfo_t *information, void *context)
{
    char here;
    (void)context;
    if (count < 16)
        order[count] = number;
    count++;
    last_number = number;
    last_code = information->si_code;
    last_value = information->si_value.sival_int;
    last_pid_is_mine = information->si_pid == getpid();
    on_alternate = &here >= alternate && &here < alternate + sizeof(alternate);
}

static void act(int number, int flags)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };
    sigaction(number, &action, NULL);
    count = 0;
}

static void actions(void)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, old;
    is(sigaction(SIGUSR1, &action, &old), 0, "sigaction");
    ok(old.sa_handler == SIG_DFL, "the old action");
    fails(sigaction(SIGKILL, &action, NULL), EINVAL, "an action for SIGKILL");
    fails(sigaction(65, &action, NULL), EINVAL, "an action for 65");
    is(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 8), 0, "rt_sigaction of nothing");
    fails(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL, "rt_sigaction with a short set");
    is(raise(SIGUSR1), 0, "raise");
    is(count, 1, "the handler ran");
    is(last_code, SI_TKILL, "its code");
    is(last_pid_is_mine, 1, "its sender");
    kill(getpid(), SIGUSR1);
    is(last_code, SI_USER, "the code of kill");
    union sigval value = { .sival_int = 4711 };
    is(sigqueue(getpid(), SIGUSR1, value), 0, "sigqueue");
    is(last_code * 10000 + last_value, SI_QUEUE * 10000 + 4711, "its code and value");
    act(SIGUSR1, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &old);
    ok(old.sa_handler == SIG_DFL, "SA_RESETHAND");
    fails(kill(getpid(), 65), EINVAL, "kill with 65");
    is(kill(getpid(), 0), 0, "kill with 0");
    fails(kill(0x3fffffff, 0), ESRCH, "kill of nobody");
    fails(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL, "tgkill of thread 0");
    fails(syscall(SYS_tgkill, getpid(), 0x3fffffff, 0), ESRCH, "tgkill of no thread");
    siginfo_t forged = { .si_code = SI_USER };
    fails(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &forged), EPERM, "rt_sigqueueinfo that passes for kill");
}

static void masks(void)
{
    sigset_t set, old, pending;
    act(SIGUSR1, 0);
    act(SIGRTMIN, 0);
    act(SIGRTMIN + 1, 0);
    sigfillset(&set);
    is(sigprocmask(SIG_SETMASK, &set, &old), 0, "sigprocmask");
    sigprocmask(SIG_BLOCK, NULL, &set);
    is(sigismember(&set, SIGKILL) + sigismember(&set, SIGSTOP), 0, "SIGKILL and SIGSTOP are never blocked");
    fails(syscall(SYS_rt_sigprocmask, 9, &set, NULL, 8), EINVAL, "sigprocmask with an unknown how");
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 1 });
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 2 });
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 3 });
    is(count, 0, "blocked signals wait");
    sigpending(&pending);
    is(sigismember(&pending, SIGUSR1) + 2 * sigismember(&pending, SIGRTMIN) + 4 * sigismember(&pending, SIGUSR2), 3, "sigpending");
    sigprocmask(SIG_SETMASK, &old, NULL);
    is(count, 4, "a standard signal comes once, real-time ones each");
    ok(order[3] == SIGUSR1 && order[2] == SIGRTMIN && order[1] == SIGRTMIN && order[0] == SIGRTMIN + 1,
       "all are delivered at once: the lowest runs last set up, so first");
    is(last_number, SIGUSR1, "the last to return");
    act(SIGUSR1, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 9 });
    siginfo_t information;
    is(sigwaitinfo(&set, &information), SIGRTMIN, "sigwaitinfo");
    is(information.si_value.sival_int, 9, "its value");
    struct timespec zero = { 0, 0 }, wrong = { 0, -1 };
    fails(sigtimedwait(&set, &information, &zero), EAGAIN, "sigtimedwait of nothing");
    fails(sigtimedwait(&set, &information, &wrong), EINVAL, "sigtimedwait with a wrong time");
    raise(SIGUSR1);
    sigset_t none;
    sigemptyset(&none);
    fails(sigsuspend(&none), EINTR, "sigsuspend");
    is(count, 1, "the handler ran");
    sigprocmask(SIG_BLOCK, NULL, &old);
    is(sigismember(&old, SIGUSR1), 1, "the mask is back");
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void alternate_stack(void)
{
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, old;
    is(sigaltstack(NULL, &old), 0, "sigaltstack asks");
    is(old.ss_flags, SS_DISABLE, "there is none");
    is(sigaltstack(&stack, NULL), 0, "sigaltstack sets");
    act(SIGUSR2, SA_ONSTACK);
    raise(SIGUSR2);
    is(on_alternate, 1, "the handler runs on it");
    act(SIGUSR2, 0);
    raise(SIGUSR2);
    is(on_alternate, 0, "without SA_ONSTACK it does not");
    stack.ss_size = 100;
    fails(sigaltstack(&stack, NULL), ENOMEM, "a stack of 100 bytes");
    stack.ss_flags = 64;
    fails(sigaltstack(&stack, NULL), EINVAL, "an unknown flag");
    stack.ss_flags = SS_DISABLE;
    is(sigaltstack(&stack, NULL), 0, "and off");
}

/* Again and again, as the first may come before the call that it is to interrupt. */
static void alarms(bool on)
{
    struct itimerval soon = { .it_value = { 0, on ? 20000 : 0 }, .it_interval = { 0, on ? 20000 : 0 } };
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void interruptions(void)
{
    int ends[2];
    char byte;
    pipe(ends);
    act(SIGALRM, 0);
    alarms(true);
    fails(read(ends[0], &byte, 1), EINTR, "read without SA_RESTART");
    alarms(false);
    act(SIGALRM, SA_RESTART);
    pid_t child = fork();
    if (child == 0) {
        usleep(150000);
        write(ends[1], "x", 1);
        _exit(0);
    }
    alarms(true);
    is(read(ends[0], &byte, 1), 1, "read with SA_RESTART");
    ok(count >= 1, "the handler ran");
    alarms(false);
    waitpid(child, NULL, 0);
    struct timespec time = { 5, 0 }, left = { 0, 0 };
    alarms(true);
    fails(nanosleep(&time, &left), EINTR, "nanosleep, even with SA_RESTART");
    is(left.tv_sec, 4, "seconds left");
    is(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &left), EINTR, "clock_nanosleep");
    fails(pause(), EINTR, "pause");
    signal(SIGALRM, SIG_IGN);
    time = (struct timespec){ 0, 60000000 };
    is(nanosleep(&time, NULL), 0, "an ignored signal interrupts nothing");
    alarms(false);
    is(alarm(100), 0, "alarm");
    is(alarm(0), 100, "seconds it had left");
    close(ends[0]);
    close(ends[1]);
}

static sigjmp_buf trapped;
static volatile long trap_code, trap_at_null;

static void on_trap(int number, siginfo_t *information, void *context)
{
    ucontext_t *frame = context;
    trap_code = number * 1000 + information->si_code;
    trap_at_null = information->si_addr == (void *)16;
    if (number == SIGILL) {
        frame->uc_mcontext.gregs[REG_RIP] += 2; /* past ud2 */
        return;
    }
    siglongjmp(trapped, 1);
}

static void traps(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    const int numbers[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP };
    for (unsigned int i = 0; i < 4; i++)
        sigaction(numbers[i], &action, NULL);
    if (sigsetjmp(trapped, 1) == 0)
        *(volatile char *)BAD = 1;
    is(trap_code, SIGSEGV * 1000 + SEGV_MAPERR, "a bad address");
    is(trap_at_null, 1, "the address is told");
    if (sigsetjmp(trapped, 1) == 0) {
        volatile int zero = 0, result = 70 / zero;
        (void)result;
    }
    is(trap_code, SIGFPE * 1000 + FPE_INTDIV, "a division by zero");
    __asm__ volatile("ud2");
    is(trap_code, SIGILL * 1000 + ILL_ILLOPN, "an invalid instruction, stepped over by its handler");
    if (sigsetjmp(trapped, 1) == 0)
        __asm__ volatile("int3");
    is(trap_code, SIGTRAP * 1000 + SI_KERNEL, "a breakpoint");
    if (sigsetjmp(trapped, 1) == 0)
        *(volatile char *)0x8000000000000000ul = 1;
    is(trap_code, SIGSEGV * 1000 + SI_KERNEL, "an address that is none");
}

/* An epoll that asks a signalfd for its maker, who has ended before a child of his closes both. */
static void orphaned_signalfd(void)
{
    int to_child[2], from_child[2], status = 1;
    char byte = 0;

    pipe(to_child);
    pipe(from_child);
    pid_t maker = fork();
    if (maker == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        int signals = signalfd(-1, &set, 0), epoll = epoll_create1(0);
        struct epoll_event event = { .events = EPOLLIN };
        int error = epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event);
        if (fork() == 0) {
            read(to_child[0], &byte, 1);
            byte = error == 0 && close(signals) == 0 && close(epoll) == 0 ? 'y' : 'n';
            write(from_child[1], &byte, 1);
        }
        _exit(0);
    }
    waitpid(maker, &status, 0);
    write(to_child[1], "g", 1);
    ok(status == 0 && read(from_child[0], &byte, 1) == 1 && byte == 'y', "a signalfd in an epoll, closed after its maker's end");
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(from_child[i]);
    }
}

static void descriptors(void)
{
    sigset_t set;
    struct signalfd_siginfo got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    ok(fd >= 0, "signalfd");
    fails(read(fd, &got, sizeof(got)), EAGAIN, "read of an empty one");
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 });
    is(read(fd, &got, sizeof(got)), (long)sizeof(got), "read");
    is(got.ssi_signo * 1000 + (unsigned int)got.ssi_int, SIGUSR1 * 1000 + 77, "its signal and value");
    fails(read(fd, &got, 10), EINVAL, "read into 10 bytes");
    fails(signalfd(0, &set, 0), EINVAL, "signalfd on another file");
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void timers(void)
{
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value = { .sival_int = 5 } };
    struct itimerspec setting = { .it_value = { 0, 5000000 } }, now;
    sigset_t set;
    siginfo_t got;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    is(timer_create(CLOCK_MONOTONIC, &event, &timer), 0, "timer_create");
    is(timer_settime(timer, 0, &setting, NULL), 0, "timer_settime");
    is(sigwaitinfo(&set, &got), SIGRTMIN + 2, "its signal");
    is(got.si_code * 100 + got.si_value.sival_int, SI_TIMER * 100 + 5, "code and value");
    is(timer_gettime(timer, &now), 0, "timer_gettime");
    is(now.it_value.tv_sec + now.it_value.tv_nsec, 0, "it is off");
    is(timer_getoverrun(timer), 0, "timer_getoverrun");
    setting.it_value.tv_nsec = -1;
    fails(timer_settime(timer, 0, &setting, NULL), EINVAL, "a negative time");
    is(timer_delete(timer), 0, "timer_delete");
    fails((int)syscall(SYS_timer_delete, 12345), EINVAL, "timer_delete of none");
    fails(timer_create(77, NULL, &timer), EINVAL, "a timer of an unknown clock");
    struct itimerval value;
    fails(getitimer(9, &value), EINVAL, "getitimer of an unknown one");
    act(SIGPROF, 0);
    struct itimerval busy = { .it_value = { 0, 10000 } };
    setitimer(ITIMER_PROF, &busy, NULL);
    while (count == 0)
        ;
    is(last_number, SIGPROF, "ITIMER_PROF");
}

static void *thread_waits(void *argument)
{
    sigset_t *set = argument;
    int number = 0;
    sigwait(set, &number);
    return (void *)(long)number;
}

static void threads(void)
{
    pthread_t thread;
    sigset_t set;
    void *result;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_create(&thread, NULL, thread_waits, &set);
    is(pthread_kill(thread, SIGUSR2), 0, "pthread_kill");
    pthread_join(thread, &result);
    is((long)result, SIGUSR2, "the thread took it");
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int main(void)
{
    actions();
    masks();
    alternate_stack();
    interruptions();
    traps();
    descriptors();
    orphaned_signalfd();
    timers();
    threads();
    return done();
}
