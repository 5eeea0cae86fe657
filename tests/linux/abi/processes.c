/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes: fork, vfork, clone3, exec, exit and wait in their forms, groups and sessions, pidfds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

static char **own_arguments;
static int status;

/* The wait status of a child that runs the statement. */
#define IN_CHILD(...)                                                                                                  \
    ({                                                                                                                 \
        fflush(stdout);                                                                                                \
        pid_t child_ = fork();                                                                                         \
        if (child_ == 0) {                                                                                             \
            __VA_ARGS__;                                                                                               \
            _exit(99);                                                                                                 \
        }                                                                                                              \
        int status_ = -1;                                                                                              \
        waitpid(child_, &status_, 0);                                                                                  \
        status_;                                                                                                       \
    })

static void endings(void)
{
    is(IN_CHILD(_exit(7)), 7 << 8, "exit 7");
    is(IN_CHILD(_exit(256 + 3)), 3 << 8, "exit 259");
    is(IN_CHILD(kill(getpid(), SIGKILL)), SIGKILL, "killed");
    is(IN_CHILD(kill(getpid(), SIGTERM)), SIGTERM, "terminated");
    is(IN_CHILD({ struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); abort(); }) & 0x7f, SIGABRT, "aborted");
    is(IN_CHILD({ struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); *(volatile int *)BAD = 1; }) & 0x7f, SIGSEGV, "faulted");
    is(IN_CHILD(syscall(SYS_exit, 5)), 5 << 8, "the last thread's exit");
    fails(waitpid(-1, &status, 0), ECHILD, "wait without children");
    fails(waitpid(-1, &status, 0x100), EINVAL, "wait with an unknown option");
    fails(waitpid(12345678, &status, 0), ECHILD, "wait for a stranger");
}

static void waits(void)
{
    int ends[2];
    siginfo_t got = { 0 };
    pipe(ends);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        read(ends[0], &byte, 1);
        _exit(33);
    }
    close(ends[0]);
    is(waitpid(child, &status, WNOHANG), 0, "WNOHANG of a living child");
    got.si_pid = 1;
    is(waitid(P_PID, (id_t)child, &got, WEXITED | WNOHANG), 0, "waitid with WNOHANG");
    is(got.si_pid, 0, "nobody");
    kill(child, SIGSTOP);
    is(waitpid(child, &status, WUNTRACED), child, "WUNTRACED");
    is(status, SIGSTOP << 8 | 0x7f, "it is stopped");
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    is(status, 0xffff, "it goes on");
    close(ends[1]);
    is(waitid(P_PID, (id_t)child, &got, WEXITED | WNOWAIT), 0, "waitid with WNOWAIT");
    is(got.si_code * 1000 + got.si_status, CLD_EXITED * 1000 + 33, "code and status");
    ok(got.si_pid == child && got.si_signo == SIGCHLD, "pid and signal");
    is(waitid(P_ALL, 0, &got, WEXITED), 0, "waitid");
    fails(waitid(P_ALL, 0, &got, WEXITED), ECHILD, "waitid again");
    fails(waitid(P_ALL, 0, &got, 0), EINVAL, "waitid for nothing");
    fails(waitid(99, 0, &got, WEXITED), EINVAL, "waitid of an unknown kind");
    signal(SIGCHLD, SIG_IGN);
    child = fork();
    if (child == 0)
        _exit(1);
    fails(waitpid(child, &status, 0), ECHILD, "children of one who ignores SIGCHLD leave nothing");
    signal(SIGCHLD, SIG_DFL);
}

static void copies(void)
{
    static volatile int here = 1;
    int fd = open("/dev/null", O_RDWR), ends[2], got = 0;
    pipe(ends);
    is(IN_CHILD({
        here = 2;
        close(fd);
        pid_t parent = getppid();
        write(ends[1], &parent, sizeof(parent));
        _exit(0);
    }), 0, "fork");
    is(here, 1, "memory is the child's own");
    is(fcntl(fd, F_GETFD), 0, "descriptors are the child's own");
    read(ends[0], &got, sizeof(got));
    is(got == getpid(), 1, "getppid");
    pid_t child = vfork();
    if (child == 0) {
        here = 3;
        _exit(4);
    }
    is(here, 3, "vfork shares memory, and waits");
    waitpid(child, &status, 0);
    is(status, 4 << 8, "its status");
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void execs(void)
{
    char *empty[] = { NULL }, *environment[] = { "MARK=set", NULL };
    char *again[] = { own_arguments[0], "child", "two words", NULL };
    is(IN_CHILD(execve("/proc/self/exe", again, environment)), 42 << 8, "exec of this program");
    fails(execve("/none", again, empty), ENOENT, "exec of nothing");
    fails(execve("/tmp", again, empty), EACCES, "exec of a directory");
    fails(execve(BAD, again, empty), EFAULT, "exec of a bad address");
    fails(execve("/proc/self/exe", BAD, empty), EFAULT, "exec with bad arguments");
    char name[] = "/tmp/abi-exec-XXXXXX";
    int fd = mkstemp(name);
    write(fd, "not a program\n", 14);
    close(fd);
    fails(execve(name, again, empty), EACCES, "exec of a file without x");
    chmod(name, 0700);
    fails(execve(name, again, empty), ENOEXEC, "exec of what is none");
    fd = open(name, O_WRONLY | O_TRUNC);
    write(fd, "#!/none\n", 8);
    close(fd);
    fails(execve(name, again, empty), ENOENT, "exec of a script without its interpreter");
    unlink(name);
    int keep = open("/dev/null", O_RDONLY), lose = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char number[16], other[16];
    snprintf(number, sizeof(number), "%d", keep);
    snprintf(other, sizeof(other), "%d", lose);
    char *descriptors[] = { own_arguments[0], "descriptors", number, other, NULL };
    is(IN_CHILD(execve("/proc/self/exe", descriptors, empty)), 43 << 8, "descriptors over exec");
    fd = open("/proc/self/exe", O_PATH);
    is(IN_CHILD(syscall(SYS_execveat, fd, "", again, environment, AT_EMPTY_PATH)), 42 << 8, "execveat of a descriptor");
    close(fd);
    static char huge[200000];
    memset(huge, 'x', sizeof(huge) - 1);
    char *too_long[] = { own_arguments[0], huge, NULL };
    fails(execve("/proc/self/exe", too_long, empty), E2BIG, "an argument of 200000 bytes");
}

static void groups(void)
{
    is(getpgrp() == getpgid(0), 1, "getpgrp");
    is(IN_CHILD(_exit(setpgid(0, 0) == 0 && getpgrp() == getpid() ? 1 : 2)), 1 << 8, "setpgid");
    is(IN_CHILD(_exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 1 : 2)), 1 << 8, "setsid");
    is(IN_CHILD({ setsid(); _exit(setsid() == -1 && errno == EPERM ? 1 : 2); }), 1 << 8, "setsid again");
    is(IN_CHILD({ setsid(); _exit(setpgid(0, getppid()) == -1 && errno == EPERM ? 1 : 2); }), 1 << 8, "setpgid of a session's leader");
    fails(setpgid(0, -1), EINVAL, "setpgid to -1");
    fails(getpgid(12345678), ESRCH, "getpgid of nobody");
    fails(getsid(12345678), ESRCH, "getsid of nobody");
    is(IN_CHILD({
        setpgid(0, 0);
        signal(SIGUSR1, SIG_IGN);
        pid_t child = fork();
        if (child == 0) {
            signal(SIGUSR1, SIG_DFL);
            pause();
        }
        usleep(50000);
        kill(0, SIGUSR1);
        waitpid(child, &status, 0);
        _exit(WTERMSIG(status) == SIGUSR1 ? 1 : 2);
    }), 1 << 8, "kill of a group");
}

static void by_descriptor(void)
{
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    ok(fd >= 0, "pidfd_open");
    is(fcntl(fd, F_GETFD), FD_CLOEXEC, "it is closed by exec");
    struct pollfd item = { .fd = fd, .events = POLLIN };
    is(poll(&item, 1, 0), 0, "poll of a living process");
    is(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0, "pidfd_send_signal with 0");
    is(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0, "pidfd_send_signal");
    is(poll(&item, 1, 5000), 1, "poll of a dead one");
    siginfo_t got;
    is(waitid(P_PIDFD, (id_t)fd, &got, WEXITED), 0, "waitid by pidfd");
    is(got.si_code * 100 + got.si_status, CLD_KILLED * 100 + SIGTERM, "what became of it");
    fails(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH, "pidfd_send_signal to a reaped one");
    fails(syscall(SYS_pidfd_open, child, 0), ESRCH, "pidfd_open of a reaped one");
    fails(syscall(SYS_pidfd_open, -1, 0), EINVAL, "pidfd_open of -1");
    fails(syscall(SYS_pidfd_open, getpid(), 1), EINVAL, "pidfd_open with an unknown flag");
    close(fd);
}

static void clones(void)
{
    struct clone_args arguments = { .exit_signal = SIGCHLD };
    long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child == 0)
        _exit(6);
    waitpid((pid_t)child, &status, 0);
    is(status, 6 << 8, "clone3");
    int pidfd = -1;
    arguments = (struct clone_args){ .flags = CLONE_PIDFD, .pidfd = (uint64_t)&pidfd, .exit_signal = SIGCHLD };
    child = syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child == 0)
        _exit(0);
    ok(pidfd >= 0, "CLONE_PIDFD");
    waitpid((pid_t)child, &status, 0);
    close(pidfd);
    arguments = (struct clone_args){ .flags = CLONE_THREAD };
    fails(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL, "CLONE_THREAD alone");
    arguments = (struct clone_args){ .flags = CLONE_SIGHAND };
    fails(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL, "CLONE_SIGHAND alone");
    arguments = (struct clone_args){ .exit_signal = 65 };
    fails(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL, "an exit signal of 65");
    arguments = (struct clone_args){ .stack = 4096 };
    fails(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL, "a stack without size");
    fails(syscall(SYS_clone3, &arguments, 8), EINVAL, "a short struct");
    fails(syscall(SYS_clone3, &arguments, 8192), E2BIG, "a huge struct");
    fails(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL, "clone with CLONE_SIGHAND alone");
    is(syscall(SYS_unshare, CLONE_FILES | CLONE_FS), 0, "unshare");
    fails(syscall(SYS_unshare, 1), EINVAL, "unshare with an unknown flag");
}

static void usage(void)
{
    struct rusage used;
    struct rlimit limit;
    is(getrusage(RUSAGE_SELF, &used), 0, "getrusage");
    ok(used.ru_maxrss > 0 && used.ru_minflt > 0, "it counts memory and faults");
    is(getrusage(RUSAGE_CHILDREN, &used), 0, "getrusage of the children");
    fails(getrusage(77, &used), EINVAL, "getrusage of an unknown one");
    is(getrlimit(RLIMIT_NOFILE, &limit), 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max + 1;
    if (limit.rlim_max != RLIM_INFINITY)
        fails(setrlimit(RLIMIT_NOFILE, &limit), EINVAL, "a soft limit above the hard one");
    else
        skip("a soft limit above the hard one", "no hard limit");
    fails(getrlimit(99, &limit), EINVAL, "getrlimit of an unknown one");
    fails(prlimit(12345678, RLIMIT_NOFILE, NULL, &limit), ESRCH, "prlimit of nobody");
    setpriority(PRIO_PROCESS, 0, 0); /* whatever the test was started with */
    errno = 0;
    is(getpriority(PRIO_PROCESS, 0) + errno, 0, "getpriority");
    is(IN_CHILD(_exit(setpriority(PRIO_PROCESS, 0, 7) == 0 && getpriority(PRIO_PROCESS, 0) == 7 ? 1 : 2)), 1 << 8, "setpriority");
    fails(getpriority(9, 0), EINVAL, "getpriority of an unknown kind");
    fails(getpriority(PRIO_PROCESS, 12345678), ESRCH, "getpriority of nobody");
}

static int as_child(int count, char **arguments)
{
    if (strcmp(arguments[1], "child") == 0)
        return count == 3 && strcmp(arguments[2], "two words") == 0 && getenv("MARK") && strcmp(getenv("MARK"), "set") == 0 ? 42 : 1;
    return fcntl(atoi(arguments[2]), F_GETFD) == 0 && fcntl(atoi(arguments[3]), F_GETFD) == -1 ? 43 : 1;
}

int main(int count, char **arguments)
{
    if (count > 1)
        return as_child(count, arguments);
    own_arguments = arguments;
    endings();
    waits();
    copies();
    execs();
    groups();
    by_descriptor();
    clones();
    usage();
    return done();
}
