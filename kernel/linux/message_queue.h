/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX message queues: the names and what is in them. The calls are message_queue_calls.c.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/sched/mutex.h"
#include "kernel/sched/wait_queue.h"

#define MESSAGE_QUEUE_NAME_BYTES 256

struct credentials;
struct file;
struct process;
struct signal_information;

struct queue_message {
    struct list link;
    uint32_t priority;
    size_t length_bytes;
    uint8_t bytes[];
};

/* Who is told of a message that comes to an empty queue. Locks: the queue's. */
struct queue_notification {
    struct process *process; /* referenced; NULL: nobody */
    int notify, number;      /* Linux's SIGEV_* */
    uint64_t value;
};

/* Locks: q queue->lock; n the names' lock; f fixed. */
struct message_queue {
    struct reference reference;        /* one for the name, one for each file */
    struct mutex lock;
    struct list link;                  /* n */
    char name[MESSAGE_QUEUE_NAME_BYTES]; /* f */
    uint32_t uid, gid, mode;           /* f */
    uint64_t messages_most, message_bytes; /* f */
    struct list messages;              /* q by falling priority, in order of arrival */
    uint64_t count, bytes;             /* q */
    uint32_t receivers_waiting;        /* q */
    struct queue_notification notification; /* q */
    struct wait_queue not_empty, not_full;
};

/*
 * Finds the name or, with create, makes it: a referenced queue. 0, -ENOENT, -EEXIST, -EACCES, -EINVAL (attributes), -ENOSPC,
 * -EMFILE (RLIMIT_MSGQUEUE), -ENOMEM. access: 4 read, 2 write.
 */
struct message_queue_request {
    const char *name;
    bool create, exclusive;
    unsigned int access;
    uint32_t mode;
    uint64_t messages_most, message_bytes;
    bool has_attributes;
    const struct credentials *credentials;
    uint64_t limit_bytes;
};
int message_queue_open(const struct message_queue_request *request, struct message_queue **queue);
int message_queue_unlink(const char *name, const struct credentials *credentials);
void message_queue_release(struct message_queue *queue);

/* Takes over the message on success. 0, -EAGAIN, -ETIMEDOUT, -EINTR. */
int message_queue_send(struct message_queue *queue, struct queue_message *message, bool nonblock, uint64_t deadline_ns);
/* The first message becomes the caller's. Errors as above. */
int message_queue_receive(struct message_queue *queue, bool nonblock, uint64_t deadline_ns, struct queue_message **message);
/* Registers the current process (notification NULL: takes its registration back). 0 or -EBUSY. */
int message_queue_notify(struct message_queue *queue, const struct queue_notification *notification);
/* A process has closed a descriptor of the queue: its registration ends. */
void message_queue_forget(struct message_queue *queue, const struct process *process);
/* Once, at boot. */
int message_queues_init(void);
