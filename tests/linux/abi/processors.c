/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads at once on all CPUs there are: affinity, the number of the CPU (getcpu, rseq), restartable sequences, membarrier, and
 * storms of locks, maps, protections, forks, pipes and their ends, whose sums are checked. PROCESSORS_ROUNDS=n makes the storms longer.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

#define THREADS_LIMIT 16
#define PAGE 4096u

static unsigned int cpus[64], cpu_count, thread_count, rounds = 1;
static atomic_uint wrong;

static int stay_on(unsigned int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set);
}

static void stay_anywhere(void)
{
    cpu_set_t set;

    memset(&set, 0xff, sizeof(set));
    sched_setaffinity(0, sizeof(set), &set);
}

/* All at once: `count` threads run it with their numbers. */
static void run_all(void *(*run)(void *), unsigned int count)
{
    pthread_t threads[THREADS_LIMIT];

    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
            wrong++;
    for (unsigned int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* ---- Where one is -------------------------------------------------------------------------------------------------- */

static unsigned int rseq_cpu(void)
{
    return *(volatile uint32_t *)((char *)__builtin_thread_pointer() + __rseq_offset + offsetof(struct rseq, cpu_id));
}

static void *wander(void *argument)
{
    for (unsigned int i = 0; i < 200; i++) {
        unsigned int cpu = cpus[(i + (uintptr_t)argument) % cpu_count];
        wrong += stay_on(cpu) != 0;
        wrong += sched_getcpu() != (int)cpu;
        wrong += __rseq_size != 0 && rseq_cpu() != cpu;
    }
    return NULL;
}

static void places(void)
{
    cpu_set_t set;

    is(sched_getaffinity(0, sizeof(set), &set), 0, "the CPUs");
    for (unsigned int cpu = 0; cpu < 64; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[cpu_count++] = cpu;
    ok(cpu_count == (unsigned int)get_nprocs(), "as many as sysconf says");
    ok(sysconf(_SC_NPROCESSORS_CONF) >= (long)cpu_count, "no more than are configured");
    thread_count = cpu_count * 2 < 4 ? 4 : cpu_count * 2 > THREADS_LIMIT ? THREADS_LIMIT : cpu_count * 2;
    run_all(wander, thread_count);
    ok(wrong == 0, "threads run where they are sent, and know it");
    stay_anywhere();
}

/* ---- Restartable sequences ----------------------------------------------------------------------------------------- */

/* A count for each CPU, without a lock: the increment is a sequence that starts again if the thread was away. */
static struct {
    volatile uint64_t count;
    uint64_t fill[7];
} counts[64];
static atomic_ulong aborts;

/* One try; false: it was aborted. The spin makes the sequence long enough to be interrupted. */
static int increment(struct rseq *area, uint32_t cpu, volatile uint64_t *count, unsigned long spins)
{
    int done;

    __asm__ volatile(".pushsection .data.rseq_cs, \"aw\"\n"
                     ".balign 32\n"
                     "3: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n"
                     ".popsection\n"
                     "lea 3b(%%rip), %%rax\n"
                     "mov %%rax, %[sequence]\n"
                     "1: cmp %[cpu], %[current]\n"
                     "jne 4f\n"
                     "mov %[count], %%rax\n"
                     "mov %[spins], %%rcx\n"
                     "6: pause\n dec %%rcx\n jnz 6b\n"
                     "inc %%rax\n"
                     "mov %%rax, %[count]\n" /* commits */
                     "2: mov $1, %[done]\n"
                     "jmp 5f\n"
                     ".byte 0x0f, 0xb9, 0x3d\n .long %c[signature]\n"
                     "4: xor %[done], %[done]\n"
                     "5:\n"
                     : [done] "=&r"(done), [sequence] "=m"(area->rseq_cs), [count] "+m"(*count)
                     : [cpu] "r"(cpu), [current] "m"(area->cpu_id), [spins] "r"(spins), [signature] "i"(RSEQ_SIG)
                     : "rax", "rcx", "memory", "cc");
    return done;
}

static void *increments(void *argument)
{
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);

    (void)argument;
    for (unsigned int i = 0; i < 20000 * rounds; i++) {
        for (;;) {
            uint32_t cpu = *(volatile uint32_t *)&area->cpu_id_start;
            if (increment(area, cpu, &counts[cpu].count, i % 64 == 0 ? 2000 : 1))
                break;
            aborts++;
        }
    }
    return NULL;
}

static void sequences(void)
{
    uint64_t sum = 0;

    if (__rseq_size == 0) {
        skip("restartable sequences", "the C library has not registered any");
        return;
    }
    run_all(increments, thread_count);
    for (unsigned int i = 0; i < 64; i++)
        sum += counts[i].count;
    ok(sum == (uint64_t)thread_count * 20000 * rounds, "increments without locks are all there");
    printf("# %lu aborts\n", (unsigned long)aborts);
    fails(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 0, RSEQ_SIG), EBUSY, "registered twice");
    fails(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 0, 1), EPERM, "with another signature");
    fails(syscall(SYS_rseq, &sum, 32, 1, RSEQ_SIG), EINVAL, "another area is not registered");
    pid_t child = fork();
    if (child == 0) {
        struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
        *(volatile uint64_t *)(uintptr_t)&area->rseq_cs = 8; /* nothing there */
        for (int i = 0; i < 20; i++) /* it is looked at when we were away */
            usleep(5000);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a sequence that is none ends the program");
}

/* ---- Barriers ------------------------------------------------------------------------------------------------------ */

static volatile int flag_one, flag_two, seen_one, seen_two;
static pthread_barrier_t together;

/* Dekker's question with the barrier on one side only: both may not see 0. */
static void *quick_side(void *argument)
{
    (void)argument;
    for (unsigned int i = 0; i < 300; i++) {
        pthread_barrier_wait(&together);
        flag_one = 1;
        __asm__ volatile("" : : : "memory");
        seen_two = flag_two;
        pthread_barrier_wait(&together);
    }
    return NULL;
}

static void barriers(void)
{
    pthread_t thread;
    unsigned int both = 0;

    fails(syscall(SYS_membarrier, 8, 0, 0), EPERM, "a barrier that was not registered for");
    is(syscall(SYS_membarrier, 16, 0, 0), 0, "registered");
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&thread, NULL, quick_side, NULL);
    for (unsigned int i = 0; i < 300; i++) {
        flag_one = flag_two = 0;
        pthread_barrier_wait(&together);
        flag_two = 1;
        wrong += syscall(SYS_membarrier, 8, 0, 0) != 0;
        seen_one = flag_one;
        pthread_barrier_wait(&together);
        both += seen_one == 0 && seen_two == 0;
    }
    pthread_join(thread, NULL);
    ok(both == 0 && wrong == 0, "a barrier for both sides");
    is(syscall(SYS_membarrier, 1, 0, 0), 0, "a barrier for all");
}

/* ---- Storms -------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned long sum_locked, queued, taken_sum;
static atomic_ulong sum_atomic;

static void *locks(void *argument)
{
    (void)argument;
    for (unsigned int i = 0; i < 5000 * rounds; i++) {
        pthread_mutex_lock(&mutex);
        sum_locked++;
        pthread_mutex_unlock(&mutex);
        sum_atomic++;
    }
    return NULL;
}

/* Even threads put numbers in, odd ones take them out. */
static void *queue(void *argument)
{
    unsigned int number = (uintptr_t)argument & 1;

    for (unsigned int i = 0; i < 2000 * rounds; i++) {
        pthread_mutex_lock(&mutex);
        if (number == 0) {
            queued++;
            pthread_cond_signal(&condition);
        } else {
            while (queued == 0)
                pthread_cond_wait(&condition, &mutex);
            queued--;
            taken_sum++;
        }
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *maps(void *argument)
{
    uintptr_t own = (uintptr_t)argument + 1;

    for (unsigned int i = 0; i < 150 * rounds; i++) {
        unsigned int pages = 1 + (i * 7 + (unsigned int)own) % 40;
        uintptr_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            wrong++;
            continue;
        }
        for (unsigned int page = 0; page < pages; page++) {
            wrong += memory[page * PAGE / sizeof(*memory)] != 0;
            memory[page * PAGE / sizeof(*memory)] = own * 1000 + page;
        }
        wrong += mprotect(memory, pages * PAGE / 2 / PAGE * PAGE + PAGE, PROT_READ) != 0;
        for (unsigned int page = 0; page < pages; page++)
            wrong += memory[page * PAGE / sizeof(*memory)] != own * 1000 + page;
        wrong += mprotect(memory, pages * PAGE, PROT_READ | PROT_WRITE) != 0;
        memory[0] = 1;
        wrong += madvise(memory, PAGE, MADV_DONTNEED) != 0 || memory[0] != 0;
        wrong += munmap(memory, pages * PAGE) != 0;
    }
    return NULL;
}

/* One thread replaces pages of a shared window, the others read them: each page holds its own number, or 0 while fresh. */
#define WINDOW 8
static volatile uint64_t *window;
static atomic_bool window_done;

static void *windows(void *argument)
{
    if (argument == NULL) {
        for (unsigned int i = 0; i < 600 * rounds; i++) {
            unsigned int page = i % WINDOW;
            void *place = (char *)(uintptr_t)window + page * PAGE;
            wrong += mmap(place, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != place;
            window[page * PAGE / 8] = page + 1;
        }
        window_done = true;
        return NULL;
    }
    for (unsigned int i = 0; !window_done; i++) {
        unsigned int page = i % WINDOW;
        uint64_t value = window[page * PAGE / 8];
        wrong += value != 0 && value != page + 1;
    }
    return NULL;
}

/* Forks while the others write: the child has one moment's copy, in which both words of a pair are the same or one apart. */
static volatile uint64_t pairs[THREADS_LIMIT][2 * PAGE / 8] __attribute__((aligned(4096)));
static atomic_bool forks_done;

static void *forks(void *argument)
{
    uintptr_t own = (uintptr_t)argument;

    if (own != 0) {
        while (!forks_done) {
            pairs[own][0]++;
            pairs[own][PAGE / 8]++; /* on the next page */
        }
        return NULL;
    }
    for (unsigned int i = 0; i < 12 * rounds; i++) {
        pid_t child = fork();
        if (child == 0) {
            int bad = 0;
            for (unsigned int j = 1; j < thread_count; j++) {
                uint64_t first = pairs[j][0], second = pairs[j][PAGE / 8];
                bad |= first != second && first != second + 1;
                pairs[j][0] = 7; /* must not be seen by the parent */
                bad |= pairs[j][0] != 7;
            }
            _exit(bad);
        }
        int status = 1;
        wrong += child < 0 || waitpid(child, &status, 0) != child || status != 0;
    }
    forks_done = true;
    return NULL;
}

static void *ends(void *argument)
{
    return argument;
}

static void *births(void *argument)
{
    for (unsigned int i = 0; i < 60 * rounds; i++) {
        pthread_t thread;
        void *answer = NULL;
        if (pthread_create(&thread, NULL, ends, argument) != 0 || pthread_join(thread, &answer) != 0 || answer != argument)
            wrong++;
    }
    return NULL;
}

static int pipes[THREADS_LIMIT + 1][2];

/* A ring of pipes: a token goes round. */
static void *ring(void *argument)
{
    uintptr_t own = (uintptr_t)argument;
    uint32_t token;

    for (unsigned int i = 0; i < 300 * rounds; i++) {
        if (read(pipes[own][0], &token, sizeof(token)) != sizeof(token))
            wrong++;
        token++;
        if (write(pipes[(own + 1) % thread_count][1], &token, sizeof(token)) != sizeof(token))
            wrong++;
    }
    return NULL;
}

static atomic_uint arrived[THREADS_LIMIT / 2];
static int shared_ends[THREADS_LIMIT / 2][2];

/* With the neighbour, and on at the same moment as far as there are CPUs for both. */
static void meet(unsigned int pair, unsigned int count)
{
    arrived[pair]++;
    for (unsigned int spins = 0; arrived[pair] < count; spins++)
        if (spins % 1000 == 999)
            sched_yield();
}

/* By a third end, opened by its name, the pipe gets an inode. */
static bool pipe_named(int both[2])
{
    char name[32];

    if (pipe(both) != 0)
        return false;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", both[0]);
    int third = open(name, O_RDONLY | O_NONBLOCK);
    return third >= 0 && close(third) == 0;
}

static bool ends_make(unsigned int kind, int both[2])
{
    return kind == 0 ? pipe(both) == 0 : kind == 1 ? pipe_named(both) : socketpair(AF_UNIX, SOCK_STREAM, 0, both) == 0;
}

/* Two threads close the two ends at once: a pipe, one that has got an inode, a pair of sockets. */
static void *closing(void *argument)
{
    unsigned int pair = (unsigned int)(uintptr_t)argument / 2, side = (uintptr_t)argument % 2, met = 0;
    int *both = shared_ends[pair];

    for (unsigned int i = 0; i < 600 * rounds; i++) {
        if (side == 0)
            wrong += !ends_make(i % 3, both);
        meet(pair, met += 2);
        wrong += close(both[side]) != 0;
        meet(pair, met += 2);
    }
    return NULL;
}

static atomic_ulong signals_taken;

static void on_signal(int number)
{
    (void)number;
    signals_taken++;
}

static void *signals(void *argument)
{
    for (unsigned int i = 0; i < 200 * rounds; i++) {
        if (argument == NULL)
            kill(getpid(), SIGUSR1);
        else
            pthread_kill(pthread_self(), SIGUSR2);
    }
    return NULL;
}

static void storms(void)
{
    run_all(locks, thread_count);
    ok(sum_locked == thread_count * 5000ul * rounds && sum_atomic == sum_locked, "sums under a mutex");
    run_all(queue, thread_count & ~1u);
    ok(queued == 0 && taken_sum == thread_count / 2 * 2000ul * rounds, "a queue under a condition");
    run_all(maps, thread_count);
    ok(wrong == 0, "maps, protections and unmaps");
    window = mmap(NULL, WINDOW * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    run_all(windows, thread_count);
    ok(wrong == 0, "pages replaced while others read them");
    run_all(forks, thread_count);
    for (unsigned int i = 1; i < thread_count; i++)
        wrong += pairs[i][0] != pairs[i][PAGE / 8];
    ok(wrong == 0, "forks while others write");
    run_all(births, thread_count);
    ok(wrong == 0, "threads come and go");
    for (unsigned int i = 0; i < thread_count; i++)
        wrong += pipe(pipes[i]) != 0;
    uint32_t token = 0;
    wrong += write(pipes[0][1], &token, sizeof(token)) != sizeof(token);
    run_all(ring, thread_count);
    wrong += read(pipes[0][0], &token, sizeof(token)) != sizeof(token);
    ok(wrong == 0 && token == thread_count * 300u * rounds, "a ring of pipes");
    run_all(closing, thread_count & ~1u);
    ok(wrong == 0, "both ends closed at once");
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    run_all(signals, thread_count);
    ok(signals_taken >= (thread_count - 1) * 200ul * rounds, "signals to oneself and to the process");
}

int main(void)
{
    if (getenv("PROCESSORS_ROUNDS"))
        rounds = (unsigned int)atoi(getenv("PROCESSORS_ROUNDS"));
    places();
    sequences();
    barriers();
    storms();
    return done();
}
