/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V shared memory, semaphores and messages; POSIX message queues; asynchronous I/O.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/abi/tap.h"

#define KEY 0x58656e6f

static void memory(void)
{
    struct shmid_ds state;
    int id = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0600);
    ok(id >= 0, "shmget");
    char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, SHM_RDONLY);
    ok(one != (void *)-1 && two != (void *)-1, "shmat twice");
    one[4999] = 'x';
    is(two[4999], 'x', "the same memory");
    is(shmctl(id, IPC_STAT, &state), 0, "IPC_STAT");
    is((long)state.shm_segsz, 5000, "its size");
    is((long)state.shm_nattch, 2, "its attachments");
    pid_t child = fork();
    if (child == 0) {
        one[0] = 'c';
        shmctl(id, IPC_STAT, &state);
        _exit((int)state.shm_nattch);
    }
    int status;
    waitpid(child, &status, 0);
    is(status, 4 << 8, "a child's count too");
    is(one[0], 'c', "a child writes to it");
    is(shmdt(two), 0, "shmdt");
    fails(shmdt(two), EINVAL, "shmdt again");
    is(shmctl(id, IPC_RMID, NULL), 0, "IPC_RMID");
    shmctl(id, IPC_STAT, &state);
    is((state.shm_perm.mode & SHM_DEST) != 0, 1, "it is marked");
    is(one[4999], 'x', "and there until it is detached");
    shmdt(one);
    fails(shmctl(id, IPC_STAT, &state), EINVAL, "then it is gone");
    fails(shmget(KEY, 100, 0600), ENOENT, "shmget of no key");
    id = shmget(KEY, 100, IPC_CREAT | IPC_EXCL | 0600);
    ok(id >= 0, "shmget with a key");
    fails(shmget(KEY, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST, "shmget with IPC_EXCL");
    is(shmget(KEY, 50, 0600) == id, 1, "shmget of less");
    fails(shmget(KEY, 50000, 0600), EINVAL, "shmget of more");
    fails(shmget(IPC_PRIVATE, 0, 0600), EINVAL, "shmget of nothing");
    is(shmat(id, (void *)12345, 0) == (void *)-1 ? errno : 0, EINVAL, "shmat at an odd address");
    shmctl(id, IPC_RMID, NULL);
    fails((long)shmat(id, NULL, 0), EINVAL, "shmat of none");
}

static void semaphores(void)
{
    struct sembuf take = { 0, -1, 0 }, give = { 0, 1, 0 }, try = { 0, -1, IPC_NOWAIT }, undo = { 0, -1, SEM_UNDO };
    int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
    ok(id >= 0, "semget");
    is(semctl(id, 0, SETVAL, 1), 0, "SETVAL");
    is(semctl(id, 0, GETVAL), 1, "GETVAL");
    is(semop(id, &take, 1), 0, "semop");
    fails(semop(id, &try, 1), EAGAIN, "semop that would wait");
    struct timespec soon = { 0, 10000000 };
    fails(semtimedop(id, &take, 1, &soon), EAGAIN, "semtimedop");
    pid_t child = fork();
    if (child == 0) {
        usleep(50000);
        semop(id, &give, 1);
        _exit(0);
    }
    is(semop(id, &take, 1), 0, "semop that waits");
    is(semctl(id, 0, GETPID) == getpid(), 1, "GETPID");
    waitpid(child, NULL, 0);
    semctl(id, 0, SETVAL, 1);
    child = fork();
    if (child == 0) {
        semop(id, &undo, 1);
        _exit(semctl(id, 0, GETVAL));
    }
    int status;
    waitpid(child, &status, 0);
    is(status, 0, "a child took it");
    is(semctl(id, 0, GETVAL), 1, "SEM_UNDO gave it back");
    unsigned short values[3] = { 4, 5, 6 };
    is(semctl(id, 0, SETALL, values), 0, "SETALL");
    struct sembuf both[2] = { { 1, -5, IPC_NOWAIT }, { 2, -7, IPC_NOWAIT } };
    fails(semop(id, both, 2), EAGAIN, "two operations of which one would wait");
    is(semctl(id, 1, GETVAL), 5, "neither was done");
    both[1].sem_op = -6;
    is(semop(id, both, 2), 0, "two operations");
    struct sembuf zero = { 1, 0, IPC_NOWAIT };
    is(semop(id, &zero, 1), 0, "a wait for zero");
    struct sembuf far = { 3, 1, 0 };
    fails(semop(id, &far, 1), EFBIG, "a semaphore that is not there");
    struct sembuf high = { 0, 32767, 0 };
    fails(semop(id, &high, 1), ERANGE, "a value too high");
    fails(semctl(id, 0, SETVAL, 40000), ERANGE, "SETVAL too high");
    fails(semop(id, &take, 0), EINVAL, "no operations");
    fails(semget(IPC_PRIVATE, 0, 0600), EINVAL, "a set of none");
    child = fork();
    if (child == 0) {
        struct sembuf never = { 1, -1, 0 };
        int result = semop(id, &never, 1);
        _exit(result == -1 && errno == EIDRM ? 1 : 2);
    }
    while (semctl(id, 1, GETNCNT) == 0)
        usleep(1000);
    is(semctl(id, 0, IPC_RMID), 0, "IPC_RMID");
    waitpid(child, &status, 0);
    is(status, 1 << 8, "who waits is told");
    fails(semop(id, &take, 1), EINVAL, "semop of none");
}

static void messages(void)
{
    struct { long type; char text[64]; } message = { 3, "three" };
    struct msqid_ds state;
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    ok(id >= 0, "msgget");
    is(msgsnd(id, &message, 6, 0), 0, "msgsnd");
    message.type = 1;
    strcpy(message.text, "one");
    msgsnd(id, &message, 4, 0);
    message.type = 2;
    msgsnd(id, &message, 4, 0);
    is(msgctl(id, IPC_STAT, &state), 0, "IPC_STAT");
    is((long)state.msg_qnum, 3, "messages in it");
    is(msgrcv(id, &message, 64, -2, 0), 4, "the lowest type up to 2");
    is(message.type, 1, "its type");
    is(msgrcv(id, &message, 64, 3, MSG_EXCEPT), 4, "any but 3");
    is(message.type, 2, "its type");
    fails(msgrcv(id, &message, 2, 0, 0), E2BIG, "too little room");
    is(msgrcv(id, &message, 2, 0, MSG_NOERROR), 2, "cut");
    fails(msgrcv(id, &message, 64, 0, IPC_NOWAIT), ENOMSG, "none left");
    message.type = 0;
    fails(msgsnd(id, &message, 1, 0), EINVAL, "a message of type 0");
    message.type = 1;
    fails(msgsnd(id, &message, 100000, 0), EINVAL, "a message too long");
    static struct { long type; char text[8000]; } large = { 1, "" };
    is(msgsnd(id, &large, 8000, IPC_NOWAIT) + msgsnd(id, &large, 8000, IPC_NOWAIT), 0, "two large ones");
    fails(msgsnd(id, &large, 8000, IPC_NOWAIT), EAGAIN, "and no more");
    is(msgctl(id, IPC_RMID, NULL), 0, "IPC_RMID");
    fails(msgsnd(id, &large, 1, 0), EINVAL, "msgsnd to none");
}

static volatile int told;

static void on_message(int number, siginfo_t *information, void *context)
{
    (void)number;
    (void)context;
    told = information->si_code * 100 + information->si_value.sival_int;
}

static void queues(void)
{
    struct mq_attr attributes = { .mq_maxmsg = 3, .mq_msgsize = 16 }, now;
    char bytes[16];
    unsigned int priority;
    mq_unlink("/abi-test");
    mqd_t queue = mq_open("/abi-test", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes);
    if (queue == (mqd_t)-1 && errno == ENOSYS) {
        skip("POSIX message queues", "not in this kernel");
        return;
    }
    ok(queue != (mqd_t)-1, "mq_open");
    is(mq_open("/abi-test", O_RDWR | O_CREAT | O_EXCL, 0600, &attributes) == -1 ? errno : 0, EEXIST, "mq_open with O_EXCL");
    is(mq_open("/abi-none", O_RDWR) == -1 ? errno : 0, ENOENT, "mq_open of none");
    is(mq_getattr(queue, &now), 0, "mq_getattr");
    is(now.mq_maxmsg * 100 + now.mq_msgsize + now.mq_curmsgs + now.mq_flags, 316 + O_NONBLOCK, "its attributes");
    fails(mq_receive(queue, bytes, 16, &priority), EAGAIN, "an empty queue");
    is(mq_send(queue, "low", 3, 1) + mq_send(queue, "high", 4, 9) + mq_send(queue, "low too", 7, 1), 0, "three messages");
    fails(mq_send(queue, "x", 1, 1), EAGAIN, "a full queue");
    fails(mq_send(queue, "seventeen bytes..", 17, 1), EMSGSIZE, "a message too long");
    fails(mq_send(queue, "x", 1, 40000), EINVAL, "a priority too high");
    fails(mq_receive(queue, bytes, 15, &priority), EMSGSIZE, "too little room");
    is(mq_receive(queue, bytes, 16, &priority), 4, "the highest first");
    is(priority, 9, "its priority");
    is(mq_receive(queue, bytes, 16, &priority), 3, "then the oldest");
    struct pollfd item = { .fd = queue, .events = POLLIN | POLLOUT };
    poll(&item, 1, 0);
    is(item.revents, POLLIN | POLLOUT, "poll");
    mq_receive(queue, bytes, 16, &priority);
    struct sigaction action = { .sa_sigaction = on_message, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = { .sival_int = 7 } };
    is(mq_notify(queue, &event), 0, "mq_notify");
    fails(mq_notify(queue, &event), EBUSY, "mq_notify again");
    mq_send(queue, "x", 1, 0);
    is(told, SI_MESGQ * 100 + 7, "it is told");
    is(mq_notify(queue, &event), 0, "once");
    is(mq_notify(queue, NULL), 0, "no more");
    attributes.mq_flags = 0;
    is(mq_setattr(queue, &attributes, NULL), 0, "mq_setattr");
    mq_receive(queue, bytes, 16, &priority);
    struct timespec past = { 1, 0 };
    fails(mq_timedreceive(queue, bytes, 16, &priority, &past), ETIMEDOUT, "mq_timedreceive");
    is(mq_close(queue), 0, "mq_close");
    is(mq_unlink("/abi-test"), 0, "mq_unlink");
    fails(mq_unlink("/abi-test"), ENOENT, "mq_unlink again");
}

static void asynchronous(void)
{
    aio_context_t context = 0;
    char name[] = "/tmp/abi-aio-XXXXXX", bytes[8] = { 0 };
    int file = mkstemp(name), counter = eventfd(0, 0);
    unlink(name);
    if (syscall(SYS_io_setup, 4, &context) == -1 && errno == ENOSYS) {
        skip("asynchronous I/O", "not in this kernel");
        return;
    }
    ok(context != 0, "io_setup");
    struct iocb put = { .aio_data = 11, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = (unsigned int)file, .aio_buf = (uintptr_t) "bytes", .aio_nbytes = 5,
                        .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (unsigned int)counter };
    struct iocb *list[2] = { &put };
    struct io_event events[2];
    is(syscall(SYS_io_submit, context, 1, list), 1, "io_submit of a write");
    is(syscall(SYS_io_getevents, context, 1, 2, events, NULL), 1, "io_getevents");
    ok(events[0].data == 11 && events[0].res == 5 && events[0].obj == (uintptr_t)&put, "its event");
    uint64_t count = 0;
    read(counter, &count, 8);
    is((long)count, 1, "the eventfd was told");
    struct iocb get = { .aio_data = 12, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (unsigned int)file, .aio_buf = (uintptr_t)bytes, .aio_nbytes = 8, .aio_offset = 1 };
    struct iocb sync = { .aio_data = 13, .aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = (unsigned int)file };
    list[0] = &get;
    list[1] = &sync;
    is(syscall(SYS_io_submit, context, 2, list), 2, "a read and a sync");
    is(syscall(SYS_io_getevents, context, 2, 2, events, NULL), 2, "both are done");
    ok(memcmp(bytes, "ytes", 5) == 0, "what was read");
    struct timespec zero = { 0, 0 };
    is(syscall(SYS_io_getevents, context, 1, 1, events, &zero), 0, "nothing more");
    get.aio_fildes = 99;
    fails(syscall(SYS_io_submit, context, 1, list), EBADF, "a bad descriptor");
    get.aio_fildes = (unsigned int)file;
    get.aio_lio_opcode = 99;
    fails(syscall(SYS_io_submit, context, 1, list), EINVAL, "an unknown operation");
    is(syscall(SYS_io_destroy, context), 0, "io_destroy");
    fails(syscall(SYS_io_destroy, context), EINVAL, "io_destroy again");
    fails(syscall(SYS_io_submit, 0, 1, list), EINVAL, "io_submit to none");
    close(file);
    close(counter);
}

int main(void)
{
    memory();
    semaphores();
    messages();
    queues();
    asynchronous();
    return done();
}
