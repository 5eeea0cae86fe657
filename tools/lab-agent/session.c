/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One command of the lab's control channel: from HELLO to EXIT (the frames are in frame.h).
 *
 * The session runs in a process of its own, as the parent of the command. One poll loop moves bytes between the
 * connection and the command's three pipes, and stops reading from whichever side is ahead. The command leads a session and
 * process group of its own; signals go to that group. When the command ends, what its pipes still hold is sent, then EXIT:
 * a daemon it left behind may keep the pipes open and does not keep the caller waiting.
 */
#include "tools/lab-agent/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/lab-agent/frame.h"

#define PENDING_MAX (256 * 1024)
#define HELLO_SECONDS 10

struct session {
    int socket_fd;
    int stdin_fd;
    int output_fds[2]; /* stdout, stderr */
    int child_fd; /* signalfd with SIGCHLD */
    pid_t child;
    int status; /* -1 while the command runs */
    bool stdin_ended;
    struct frame_buffer from_client;
    struct frame_buffer to_client;
    struct frame_buffer to_stdin;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Waits for a whole frame of the wanted type. The socket is non-blocking. */
static int frame_await(struct session *session, enum frame_type type, struct frame *out)
{
    time_t end = time(NULL) + HELLO_SECONDS;
    int got;

    while ((got = frame_take(&session->from_client, out)) == 0) {
        struct pollfd wait = {.fd = session->socket_fd, .events = POLLIN};
        if (time(NULL) >= end)
            return -ETIMEDOUT;
        poll(&wait, 1, 1000);
        int filled = frame_buffer_fill(&session->from_client, session->socket_fd, FRAME_DATA_MAX);
        if (filled == 0)
            return -ECONNRESET;
        if (filled < 0 && filled != -EAGAIN)
            return filled;
    }
    if (got < 0)
        return got;
    return out->type == type ? 0 : -EPROTO;
}

static int flush_to_client(struct session *session)
{
    while (frame_buffer_length(&session->to_client) > 0) {
        struct pollfd wait = {.fd = session->socket_fd, .events = POLLOUT};
        poll(&wait, 1, 1000);
        int error = frame_buffer_drain(&session->to_client, session->socket_fd);
        if (error < 0)
            return error;
    }
    return 0;
}

static int refuse(struct session *session, const char *text)
{
    frame_put(&session->to_client, FRAME_FAIL, text, strlen(text));
    flush_to_client(session);
    return -EPROTO;
}

static bool token_matches(const struct frame *hello, const char *token)
{
    unsigned difference = 0;

    if (hello->length != FRAME_TOKEN_LENGTH || strlen(token) != FRAME_TOKEN_LENGTH)
        return false;
    for (size_t i = 0; i < FRAME_TOKEN_LENGTH; i++)
        difference |= (unsigned)(hello->payload[i] ^ (uint8_t)token[i]);
    return difference == 0;
}

/* Splits the EXEC payload at its NULs; NULL when it is not well formed. The array points into text. */
static char **exec_strings(char *text, size_t length, size_t *count)
{
    if (length == 0 || text[length - 1] != '\0')
        return NULL;
    *count = 0;
    for (size_t i = 0; i < length; i++)
        *count += text[i] == '\0';
    char **strings = calloc(*count + 1, sizeof(strings[0]));
    if (strings == NULL)
        return NULL;
    for (size_t i = 0, at = 0; i < *count; i++) {
        strings[i] = text + at;
        at += strlen(text + at) + 1;
    }
    return strings;
}

/* strings: directory, K=V ..., "", arguments ... */
static void command_exec(char **strings, size_t count)
{
    size_t i = 1;

    if (strings[0][0] != '\0' && chdir(strings[0]) < 0) {
        dprintf(2, "%s: %s\n", strings[0], strerror(errno));
        _exit(125);
    }
    for (; i < count && strings[i][0] != '\0'; i++)
        putenv(strings[i]);
    if (i + 1 >= count) {
        dprintf(2, "no command\n");
        _exit(125);
    }
    execvp(strings[i + 1], strings + i + 1);
    dprintf(2, "%s: %s\n", strings[i + 1], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static int command_start(struct session *session, char **strings, size_t count)
{
    int pipes[3][2];

    for (int i = 0; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            return -errno;
    session->child = fork();
    if (session->child < 0)
        return -errno;
    if (session->child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        setsid();
        dup2(pipes[0][0], 0);
        dup2(pipes[1][1], 1);
        dup2(pipes[2][1], 2);
        command_exec(strings, count);
    }
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    session->stdin_fd = pipes[0][1];
    session->output_fds[0] = pipes[1][0];
    session->output_fds[1] = pipes[2][0];
    fcntl(session->stdin_fd, F_SETFL, O_NONBLOCK);
    fcntl(session->output_fds[0], F_SETFL, O_NONBLOCK);
    fcntl(session->output_fds[1], F_SETFL, O_NONBLOCK);
    return 0;
}

static int client_frames(struct session *session)
{
    struct frame frame;
    int got;

    while ((got = frame_take(&session->from_client, &frame)) > 0) {
        if (frame.type == FRAME_STDIN && frame.length == 0)
            session->stdin_ended = true;
        else if (frame.type == FRAME_STDIN && !session->stdin_ended && session->stdin_fd >= 0)
            frame_buffer_add(&session->to_stdin, frame.payload, frame.length);
        else if (frame.type == FRAME_SIGNAL && frame.length == 1 && session->status < 0)
            kill(-session->child, frame.payload[0]);
    }
    return got;
}

/* Moves what one output pipe holds into a frame. Returns false when there is nothing now. */
static bool output_take(struct session *session, int which)
{
    uint8_t block[FRAME_DATA_MAX];

    ssize_t got = read(session->output_fds[which], block, sizeof(block));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        close_fd(&session->output_fds[which]);
        return false;
    }
    frame_put(&session->to_client, which == 0 ? FRAME_STDOUT : FRAME_STDERR, block, (size_t)got);
    return true;
}

static void stdin_drain(struct session *session)
{
    if (session->stdin_fd >= 0 && frame_buffer_drain(&session->to_stdin, session->stdin_fd) < 0)
        close_fd(&session->stdin_fd);
    if (session->stdin_fd >= 0 && session->stdin_ended && frame_buffer_length(&session->to_stdin) == 0)
        close_fd(&session->stdin_fd);
}

static void command_reap(struct session *session)
{
    struct signalfd_siginfo info;
    int status;

    while (read(session->child_fd, &info, sizeof(info)) > 0)
        ;
    if (session->status < 0 && waitpid(session->child, &status, WNOHANG) == session->child)
        session->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Ends what is left of the command, first kindly. */
static void command_end(struct session *session)
{
    kill(-session->child, SIGTERM);
    for (int tenths = 0; tenths < FRAME_GRACE_SECONDS * 10; tenths++) {
        command_reap(session);
        if (kill(-session->child, 0) < 0)
            return;
        usleep(100 * 1000);
    }
    kill(-session->child, SIGKILL);
}

/* Until the command has ended (0) or the client is gone (negative errno). */
static int session_pump(struct session *session)
{
    while (session->status < 0) {
        bool room = frame_buffer_length(&session->to_client) < PENDING_MAX;
        bool wanting = frame_buffer_length(&session->to_stdin) < PENDING_MAX;
        struct pollfd polls[5] = {
            {.fd = session->socket_fd, .events = POLLRDHUP},
            {.fd = session->child_fd, .events = POLLIN},
            {.fd = room ? session->output_fds[0] : -1, .events = POLLIN},
            {.fd = room ? session->output_fds[1] : -1, .events = POLLIN},
            {.fd = frame_buffer_length(&session->to_stdin) > 0 ? session->stdin_fd : -1, .events = POLLOUT},
        };
        if (wanting)
            polls[0].events |= POLLIN;
        if (frame_buffer_length(&session->to_client) > 0)
            polls[0].events |= POLLOUT;
        if (poll(polls, 5, -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if (polls[0].revents & (POLLRDHUP | POLLHUP | POLLERR))
            return -ECONNRESET;
        if (polls[0].revents & POLLIN) {
            int got = frame_buffer_fill(&session->from_client, session->socket_fd, FRAME_DATA_MAX);
            if (got == 0 || (got < 0 && got != -EAGAIN))
                return -ECONNRESET;
        }
        if (client_frames(session) < 0)
            return -EPROTO;
        stdin_drain(session);
        for (int i = 0; i < 2; i++)
            if (polls[2 + i].revents != 0)
                output_take(session, i);
        int error = frame_buffer_drain(&session->to_client, session->socket_fd);
        if (error < 0)
            return error;
        if (polls[1].revents != 0)
            command_reap(session);
    }
    return 0;
}

static int session_run(struct session *session, char **strings, size_t count)
{
    int error = command_start(session, strings, count);

    if (error < 0)
        return refuse(session, strerror(-error));
    frame_put(&session->to_client, FRAME_STDOUT, "", 0);
    error = session_pump(session);
    if (error < 0) {
        command_end(session);
        return error;
    }
    for (int i = 0; i < 2; i++)
        while (session->output_fds[i] >= 0 && output_take(session, i))
            if ((error = flush_to_client(session)) < 0)
                return error;
    uint8_t status = (uint8_t)session->status;
    frame_put(&session->to_client, FRAME_EXIT, &status, 1);
    return flush_to_client(session);
}

/* Serves one connection to its end. token is what HELLO must bear. */
int session_serve(int socket_fd, const char *token)
{
    struct session session = {
        .socket_fd = socket_fd, .stdin_fd = -1, .output_fds = {-1, -1}, .child_fd = -1, .status = -1};
    struct frame frame;
    sigset_t child_set;
    size_t count = 0;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child_set);
    sigaddset(&child_set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_set, NULL);
    session.child_fd = signalfd(-1, &child_set, SFD_NONBLOCK | SFD_CLOEXEC);
    fcntl(socket_fd, F_SETFL, O_NONBLOCK);
    int error = frame_await(&session, FRAME_HELLO, &frame);
    if (error < 0)
        return error;
    if (!token_matches(&frame, token))
        return refuse(&session, "the token is not this lab's");
    error = frame_await(&session, FRAME_EXEC, &frame);
    if (error < 0)
        return error;
    char *text = malloc(frame.length + 1);
    if (text == NULL)
        return refuse(&session, "out of memory");
    memcpy(text, frame.payload, frame.length);
    char **strings = exec_strings(text, frame.length, &count);
    error = strings == NULL ? refuse(&session, "malformed command") : session_run(&session, strings, count);
    free(strings);
    free(text);
    return error;
}
