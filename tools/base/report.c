/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tool tells its user: errors, notes, and progress.
 *
 * Everything goes to stderr, so that stdout stays the guest's. A function that fails prints one line with
 * report_error() where the failure is understood, and returns the negative errno; callers pass it on silently.
 *
 * Progress: report_progress_start() says what is being done now. Nothing is shown unless it lasts longer than a second;
 * then a line is printed, and a second one with the time when it ends. A thread does the waiting, since the work itself
 * is usually a blocking call.
 *
 * Locks: progress.lock guards the progress text and its state.
 */
#include "tools/base/report.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PROGRESS_AFTER_SECONDS 1

static const char *program_name = "xenolith";

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool thread_runs;
    bool active;
    bool shown;
    unsigned generation;
    double start_seconds;
    char text[256];
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void report_name_set(const char *name)
{
    program_name = name;
}

double report_seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prints "name: text: strerror". error is a negative errno, or 0 when the text says it all; returns it (-EINVAL for 0). */
int report_error(int error, const char *format, ...)
{
    va_list arguments;
    char text[2048];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (error < 0)
        fprintf(stderr, "%s: %s: %s\n", program_name, text, strerror(-error));
    else
        fprintf(stderr, "%s: %s\n", program_name, text);
    return error < 0 ? error : -EINVAL;
}

void report_line(const char *format, ...)
{
    va_list arguments;
    char text[2048];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s\n", program_name, text);
}

static void *progress_thread(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&progress.lock);
    for (;;) {
        while (!progress.active || progress.shown)
            pthread_cond_wait(&progress.changed, &progress.lock);
        unsigned generation = progress.generation;
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PROGRESS_AFTER_SECONDS;
        int error = 0;
        while (error == 0 && progress.generation == generation)
            error = pthread_cond_timedwait(&progress.changed, &progress.lock, &until);
        if (progress.active && progress.generation == generation) {
            fprintf(stderr, "%s: %s ...\n", program_name, progress.text);
            progress.shown = true;
        }
    }
    return NULL;
}

/* Says what is being done from now on; ends the former step. */
void report_progress_start(const char *format, ...)
{
    va_list arguments;
    pthread_t thread;

    report_progress_end();
    pthread_mutex_lock(&progress.lock);
    va_start(arguments, format);
    vsnprintf(progress.text, sizeof(progress.text), format, arguments);
    va_end(arguments);
    progress.active = true;
    progress.shown = false;
    progress.generation++;
    progress.start_seconds = report_seconds_now();
    if (!progress.thread_runs) {
        /* Signals are for the thread that works. */
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (pthread_create(&thread, NULL, progress_thread, NULL) == 0) {
            pthread_detach(thread);
            progress.thread_runs = true;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_cond_signal(&progress.changed);
    pthread_mutex_unlock(&progress.lock);
}

void report_progress_end(void)
{
    pthread_mutex_lock(&progress.lock);
    if (progress.active && progress.shown)
        fprintf(stderr, "%s: %s: %.1f s\n", program_name, progress.text, report_seconds_now() - progress.start_seconds);
    progress.active = false;
    progress.generation++;
    pthread_cond_signal(&progress.changed);
    pthread_mutex_unlock(&progress.lock);
}

/* In a child process: the thread that shows progress stayed with the parent. */
void report_after_fork(void)
{
    pthread_mutex_init(&progress.lock, NULL);
    pthread_cond_init(&progress.changed, NULL);
    progress.thread_runs = false;
    progress.active = false;
}
