/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strace: a line is begun before the call (its path names may be gone afterwards, as after exec) and finished after it, when
 * what the call has filled in can be read. The argument kinds of syscalls.def lead through strace_kinds.c's table.
 * A line belongs to its thread until it is printed; no locks.
 */
#include "kernel/linux/strace.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/log.h"
#include "kernel/linux/strace_kinds.h"
#include "kernel/memory/object_cache.h"
#include "kernel/process/process.h"

#define LINE_BYTES 1024

bool strace_enabled;

struct strace_line {
    struct strace_text text;
    const char *kinds;       /* those still to be printed */
    unsigned int index;      /* of the argument they belong to */
    char buffer[LINE_BYTES];
};

/* Prints arguments; with `before` set it stops at the first that the call fills. */
static void line_arguments(struct strace_line *line, const uint64_t *arguments, bool before, long result)
{
    while (*line->kinds) {
        const char *kind = line->kinds;
        size_t length = strcspn(kind, " ");
        if (before && kind[0] == '>')
            return;
        if (line->index > 0)
            strace_print(&line->text, ", ");
        strace_argument(&line->text, kind, length, arguments, line->index, result);
        line->index++;
        line->kinds = kind + length + (kind[length] == ' ');
    }
}

static void line_finish(struct strace_line *line)
{
    log_info("strace %d %s", task_current()->tid, line->buffer); /* the log puts the time before it */
    memory_free(line);
}

struct strace_line *strace_begin(const char *name, uint32_t number, const char *kinds, const uint64_t *arguments)
{
    struct strace_line *line = memory_allocate(sizeof(*line));
    if (!line)
        return NULL;
    line->text = (struct strace_text){ .buffer = line->buffer, .size_bytes = sizeof(line->buffer) };
    line->kinds = kinds;
    line->index = 0;
    line->buffer[0] = '\0';
    if (name)
        strace_print(&line->text, "%s(", name);
    else
        strace_print(&line->text, "syscall_%u(", number);
    line_arguments(line, arguments, true, 0);
    if (name && (strcmp(name, "exit") == 0 || strcmp(name, "exit_group") == 0)) {
        strace_print(&line->text, ") = ?");
        line_finish(line);
        return NULL;
    }
    return line;
}

void strace_end(struct strace_line *line, const uint64_t *arguments, long result)
{
    if (!line)
        return;
    line_arguments(line, arguments, false, result);
    strace_print(&line->text, ") = ");
    strace_result(&line->text, result);
    line_finish(line);
}
