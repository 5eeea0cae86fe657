/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signalfd: signals taken by read() instead of handlers. A file knows only its mask; whoever reads takes from the queues
 * of his own task and process, as in Linux. Pollers wait on the signal_wait of the process that began to poll; an epoll's hook stays there, which
 * a child of that process may take off after its end. So the file keeps the processes that polled it.
 */
#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process_internal.h"

/* struct signalfd_siginfo. */
struct signal_record {
    uint32_t number;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t timer_id, band, overrun, trap;
    int32_t status, value_int;
    uint64_t value_pointer, user_ticks, system_ticks, address;
    uint16_t address_lsb, padding2;
    int32_t call;
    uint64_t call_address;
    uint32_t architecture;
    uint8_t padding[28];
};
_Static_assert(sizeof(struct signal_record) == 128, "struct signalfd_siginfo");

struct signal_poller {
    struct process *process;
    struct signal_poller *next;
};

/* Locks: l lock; a atomic. */
struct signal_file {
    _Atomic uint64_t mask;         /* a */
    struct spinlock lock;
    struct signal_poller *pollers; /* l; each process once, referenced until the file's release, before which all hooks go */
};

static void signal_record_fill(struct signal_record *record, const struct signal_information *information)
{
    *record = (struct signal_record){ .number = (uint32_t)information->number, .error = information->error, .code = information->code };
    switch (information->number) {
    case SIGNAL_CHLD:
        record->pid = (uint32_t)information->child.pid;
        record->uid = information->child.uid;
        record->status = information->child.status;
        record->user_ticks = (uint64_t)information->child.user_ticks;
        record->system_ticks = (uint64_t)information->child.system_ticks;
        return;
    case SIGNAL_SEGV:
    case SIGNAL_BUS:
    case SIGNAL_FPE:
    case SIGNAL_ILL:
    case SIGNAL_TRAP:
        record->address = information->fault.address;
        return;
    default:
        break;
    }
    if (information->code == SIGNAL_CODE_TIMER) {
        record->timer_id = (uint32_t)information->timer.timer_id;
        record->overrun = (uint32_t)information->timer.overrun;
        record->value_pointer = information->timer.value;
        record->value_int = (int32_t)information->timer.value;
    } else if (information->number == SIGNAL_IO && information->code > 0) {
        record->band = (uint32_t)information->io.band;
        record->fd = information->io.fd;
    } else {
        record->pid = (uint32_t)information->sender.pid;
        record->uid = information->sender.uid;
        record->value_pointer = information->sender.value;
        record->value_int = (int32_t)information->sender.value;
    }
}

static bool signal_file_ready(const struct signal_file *signals)
{
    struct task *task = task_current();

    spinlock_lock(&task->process->lock);
    bool ready = ((task->pending.pending | task->process->pending.pending) & atomic_load(&signals->mask)) != 0;
    spinlock_unlock(&task->process->lock);
    return ready;
}

static long signal_file_read(struct file *file, struct io_vector *vector, uint64_t *position)
{
    struct signal_file *signals = file->data;
    struct signal_information information;
    struct signal_record record;
    long done = 0;

    if (vector->remaining_bytes < sizeof(record))
        return -EINVAL;
    while (vector->remaining_bytes >= sizeof(record)) {
        if (signal_take(atomic_load(&signals->mask), &information) == 0) {
            if (done > 0)
                return done;
            if (atomic_load(&file->flags) & FILE_NONBLOCK)
                return -EAGAIN;
            if (WAIT_UNTIL(&process_current()->signal_wait, signal_file_ready(signals), WAIT_FOREVER, WAIT_INTERRUPTIBLE) != 0)
                return -ERESTARTSYS;
            continue;
        }
        signal_record_fill(&record, &information);
        if (io_vector_put(vector, &record, sizeof(record)) != sizeof(record))
            return done > 0 ? done : -EFAULT;
        done += (long)sizeof(record);
    }
    return done;
}

static bool poller_known(struct signal_file *signals, const struct process *process)
{
    struct signal_poller *poller = signals->pollers;

    while (poller && poller->process != process)
        poller = poller->next;
    return poller != NULL;
}

/* 0 or -ENOMEM. Only the process itself adds itself; two of its threads may do so at once. */
static int poller_keep(struct signal_file *signals, struct process *process)
{
    spinlock_lock(&signals->lock);
    bool known = poller_known(signals, process);
    spinlock_unlock(&signals->lock);
    if (known)
        return 0;
    struct signal_poller *fresh = memory_allocate(sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    process_take(process);
    spinlock_lock(&signals->lock);
    known = poller_known(signals, process);
    if (!known) {
        *fresh = (struct signal_poller){ process, signals->pollers };
        signals->pollers = fresh;
    }
    spinlock_unlock(&signals->lock);
    if (known) {
        process_release(process);
        memory_free(fresh);
    }
    return 0;
}

static uint32_t signal_file_poll(struct file *file, struct poll_table *table)
{
    struct task *task = task_current();

    if (!task)
        return 0;
    if (table && poller_keep(file->data, task->process) != 0)
        return POLL_ERROR;
    poll_wait(table, &task->process->signal_wait);
    return signal_file_ready(file->data) ? POLL_IN | POLL_READ_NORMAL : 0;
}

static void signal_file_release(struct file *file)
{
    struct signal_file *signals = file->data;
    struct signal_poller *poller;

    while ((poller = signals->pollers) != NULL) {
        signals->pollers = poller->next;
        process_release(poller->process);
        memory_free(poller);
    }
    memory_free(signals);
}

static size_t signal_file_describe(struct file *file, char *buffer, size_t size_bytes)
{
    return (size_t)format_string(buffer, size_bytes, "anon_inode:[signalfd]");
}

static const struct file_operations signal_file_operations = {
    .read = signal_file_read,
    .poll = signal_file_poll,
    .release = signal_file_release,
    .describe = signal_file_describe,
};

int signal_file_create(uint64_t mask, unsigned int flags, int fd_to_change, struct file **file)
{
    struct task *task = task_current();

    mask &= ~(SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP));
    if (fd_to_change >= 0) {
        struct file *old = fd_table_get(task->files, fd_to_change);
        if (!old)
            return -EBADF;
        if (old->operations != &signal_file_operations) {
            file_release(old);
            return -EINVAL;
        }
        atomic_store(&((struct signal_file *)old->data)->mask, mask);
        wait_queue_wake_all(&task->process->signal_wait, POLL_IN);
        file_release(old);
        *file = NULL;
        return 0;
    }
    struct signal_file *signals = memory_allocate_zeroed(sizeof(*signals));
    if (!signals)
        return -ENOMEM;
    spinlock_init(&signals->lock, "signalfd", 0);
    atomic_init(&signals->mask, mask);
    int error = file_create_anonymous(&signal_file_operations, signals, FILE_READ_WRITE | flags, task->credentials, file);
    if (error != 0)
        memory_free(signals);
    return error;
}
