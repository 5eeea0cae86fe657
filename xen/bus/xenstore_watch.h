/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watch side of xenstore, as its ring side sees it. For xenstore.c and xenstore_watch.c.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "xen/bus/xenstore.h"

/* Starts the thread of watches. */
int xenstore_watch_start(void);
/* A watch event of the wire. Event context. */
void xenstore_watch_event(const char *path, const char *token);

/* WATCH or UNWATCH of "path\0token\0": xenstore.c's. */
void xenstore_start_watch(struct xenstore_request *request, bool add, const char *path, const char *token);
