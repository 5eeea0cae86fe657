/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore: the host's registry, over the shared ring. Any thread may ask at any time; requests of several threads are under way together.
 *
 * Paths are relative to our own domain's directory, or absolute. Values come from outside: they are bytes, terminated here for
 * convenience, and to be parsed strictly. All calls sleep, and answer 0 or -ENOENT, -EACCES, ... as xenstored said, -EIO where
 * it says nonsense, -ENOMEM, -ENAMETOOLONG, -EINVAL.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/list.h"
#include "kernel/sched/completion.h"

#define XENSTORE_NO_TRANSACTION 0u
#define XENSTORE_PATH_BYTES 512u /* of paths made here; longer ones are refused */

/* Maps the ring and starts the thread of watches. -ENODEV where the domain has no xenstore (it runs as the first domain). */
int xenstore_start(void);

/* *value is memory_allocate()d, and terminated beyond its length. name NULL: `directory` is the whole path. */
int xenstore_read(uint32_t transaction, const char *directory, const char *name, char **value, size_t *length_bytes);
/* Into a buffer of the caller's; -E2BIG where it does not fit. */
int xenstore_read_string(uint32_t transaction, const char *directory, const char *name, char *buffer, size_t size_bytes);
/* A decimal number and nothing else; -EINVAL for anything else, -ERANGE past `limit`. */
int xenstore_read_unsigned(uint32_t transaction, const char *directory, const char *name, uint64_t limit, uint64_t *value);

/*
 * Requests that are under way together: each is started, and later awaited, in any order; the structs lie with the caller until then. xenstored is
 * told of what was started when something is awaited, or the ring is full, and serves it in the order of the starts: so who reads what
 * was written last has all that was written before.
 */
struct xenstore_request {
    struct list link;          /* ring lock of xenstore.c */
    uint32_t number;
    uint32_t type;
    int error;                 /* ring lock, until done */
    char *reply;               /* ring lock, until done; memory_allocate()d */
    size_t reply_bytes;        /* ring lock, until done */
    struct completion done;
};

void xenstore_start_read(struct xenstore_request *request, const char *directory, const char *name);
void xenstore_start_list(struct xenstore_request *request, const char *path);
void xenstore_start_write(struct xenstore_request *request, const char *directory, const char *name, const void *value, size_t length_bytes);
/* Tells xenstored now, for who does not await anything soon. */
void xenstore_push(void);
/* As the calls below that have the same ends. */
int xenstore_await(struct xenstore_request *request);
int xenstore_await_value(struct xenstore_request *request, char **value, size_t *length_bytes);
int xenstore_await_string(struct xenstore_request *request, char *buffer, size_t size_bytes);
int xenstore_await_unsigned(struct xenstore_request *request, uint64_t limit, uint64_t *value);
int xenstore_await_list(struct xenstore_request *request, const char *path, char **names, unsigned int *count);

int xenstore_write(uint32_t transaction, const char *directory, const char *name, const void *value, size_t length_bytes);
int xenstore_print(uint32_t transaction, const char *directory, const char *name, const char *format, ...)
    attribute_printf(4, 5);
int xenstore_remove(uint32_t transaction, const char *directory, const char *name);
/* *names: `count` terminated names one after the other, memory_free() it. Also where the list is longer than a message. */
int xenstore_list(uint32_t transaction, const char *path, char **names, unsigned int *count);

/*
 * Runs body(transaction, data) and commits; again from the start where somebody else changed what it read. A negative answer of
 * body's aborts and is the answer.
 */
int xenstore_transaction(int (*body)(uint32_t transaction, void *data), void *data);

/* Locks: w watch lock of xenstore.c; f fixed by the owner. */
struct xenstore_watch {
    char path[XENSTORE_PATH_BYTES];  /* f */
    /*
     * Something at or below `path` changed; also once after registration, and sometimes for nothing. `changed_path` is where, as xenstored
     * says. In the thread of watches, one call at a time: may sleep, use xenstore, add and remove watches.
     */
    void (*changed)(struct xenstore_watch *watch, const char *changed_path);
    void *data;                      /* f */
    uint32_t token;                  /* w */
    struct list link;                /* w */
};

int xenstore_watch_add(struct xenstore_watch *watch);
/* The same in two parts, as above. The call-back may be called from the first on. */
void xenstore_watch_start_add(struct xenstore_watch *watch, struct xenstore_request *request);
int xenstore_watch_await_add(struct xenstore_watch *watch, struct xenstore_request *request);
/* When it returns, the call-back is not running (unless it is the caller) and will not run. */
void xenstore_watch_remove(struct xenstore_watch *watch);

/* "directory/name" into the buffer; -ENAMETOOLONG or -EINVAL. */
int xenstore_join(char *buffer, size_t size_bytes, const char *directory, const char *name);
