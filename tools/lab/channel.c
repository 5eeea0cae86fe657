/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tool's end of the lab's control channel: runs one command in dom0 (the protocol is in tools/lab-agent/frame.h).
 *
 * One poll loop: stdin to the connection, frames from it to stdout and stderr, signals into frames. Nothing is read from
 * stdin while the connection is behind. The result is the command's exit status as a shell tells it, or a negative errno.
 */
#include "tools/lab/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/lab-agent/frame.h"

#define PENDING_MAX (256 * 1024)
#define START_SECONDS 60

struct channel {
    const struct channel_command *command;
    int socket_fd;
    int signal_fd;
    int stdin_fd;
    bool signalled;
    bool started; /* dom0 has begun to run the command */
    struct frame_buffer incoming;
    struct frame_buffer outgoing;
};

static int channel_fail(const struct channel_command *command, int error, const char *text)
{
    return command->quiet ? (error < 0 ? error : -EIO) : report_error(error, "%s", text);
}

static int channel_connect(struct channel *channel)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)channel->command->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    channel->socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (channel->socket_fd < 0)
        return -errno;
    if (connect(channel->socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    setsockopt(channel->socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(channel->socket_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int channel_greet(struct channel *channel)
{
    const struct channel_command *command = channel->command;
    struct text token = {0};
    struct text exec = {0};

    int error = file_read(command->token_file, &token);
    if (error < 0)
        return error;
    const char *directory = command->directory != NULL ? command->directory : "/";
    text_add(&exec, directory, strlen(directory) + 1);
    for (size_t i = 0; command->environment != NULL && command->environment[i] != NULL; i++)
        text_add(&exec, command->environment[i], strlen(command->environment[i]) + 1);
    text_add(&exec, "", 1);
    for (size_t i = 0; command->arguments[i] != NULL; i++)
        text_add(&exec, command->arguments[i], strlen(command->arguments[i]) + 1);
    error = frame_put(&channel->outgoing, FRAME_HELLO, token.bytes, token.length);
    if (error == 0)
        error = frame_put(&channel->outgoing, FRAME_EXEC, exec.bytes, exec.length);
    text_free(&token);
    text_free(&exec);
    return error;
}

static int output_put(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
            continue;
        }
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        bytes += put;
        length -= (size_t)put;
    }
    return 0;
}

/* Where nobody reads our output any more, we end as by SIGPIPE; the agent then ends the command. */
static int output_frame(const struct channel *channel, const struct frame *frame, int *status)
{
    const struct channel_command *command = channel->command;
    int fd = frame->type == FRAME_STDOUT ? command->stdout_fd : command->stderr_fd;

    int error = output_put(fd, frame->payload, frame->length);
    if (error != -EPIPE)
        return error;
    *status = 128 + SIGPIPE;
    return 1;
}

/* Handles one frame. Returns 1 with *status set when it was the last, 0, or a negative errno. */
static int frame_handle(struct channel *channel, const struct frame *frame, int *status)
{
    const struct channel_command *command = channel->command;
    char reason[256];

    channel->started = true;
    switch (frame->type) {
    case FRAME_STDOUT:
    case FRAME_STDERR:
        if (command->output != NULL) {
            text_add(command->output, frame->payload, frame->length);
            return 0;
        }
        return output_frame(channel, frame, status);
    case FRAME_EXIT:
        if (frame->length != 1)
            return -EPROTO;
        *status = frame->payload[0];
        return 1;
    case FRAME_FAIL:
        memset(reason, 0, sizeof(reason));
        memcpy(reason, frame->payload, frame->length < sizeof(reason) - 1 ? frame->length : sizeof(reason) - 1);
        return channel_fail(command, 0, reason);
    default:
        return -EPROTO;
    }
}

static void signal_send(struct channel *channel)
{
    struct signalfd_siginfo info;

    while (read(channel->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        uint8_t number = (uint8_t)info.ssi_signo;
        if (channel->signalled)
            shutdown(channel->socket_fd, SHUT_RDWR);
        channel->signalled = true;
        frame_put(&channel->outgoing, FRAME_SIGNAL, &number, 1);
    }
}

static void stdin_send(struct channel *channel)
{
    uint8_t block[FRAME_DATA_MAX];

    ssize_t got = read(channel->stdin_fd, block, sizeof(block));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    frame_put(&channel->outgoing, FRAME_STDIN, block, got > 0 ? (size_t)got : 0);
    if (got <= 0)
        channel->stdin_fd = -1;
}

static int channel_pump(struct channel *channel)
{
    double end = report_seconds_now() + channel->command->timeout_seconds;
    bool timed = channel->command->timeout_seconds > 0;
    double start_end = report_seconds_now() + START_SECONDS;
    struct frame frame;
    int status = 0;

    for (;;) {
        if (timed && report_seconds_now() > end)
            return -ETIMEDOUT;
        if (!channel->started && report_seconds_now() > start_end)
            return channel_fail(channel->command, 0, "dom0 does not answer; its last words are in serial.log (xenolith lab status). "
                                                     "If it hangs: xenolith lab down, up");
        bool room = frame_buffer_length(&channel->outgoing) < PENDING_MAX;
        struct pollfd polls[3] = {
            {.fd = channel->socket_fd, .events = POLLIN},
            {.fd = channel->signal_fd, .events = POLLIN},
            {.fd = room ? channel->stdin_fd : -1, .events = POLLIN},
        };
        if (frame_buffer_length(&channel->outgoing) > 0)
            polls[0].events |= POLLOUT;
        if (poll(polls, 3, timed || !channel->started ? 500 : -1) < 0) {
            if (errno != EINTR)
                return -errno;
            continue;
        }
        if (polls[1].revents != 0)
            signal_send(channel);
        if (polls[2].revents != 0)
            stdin_send(channel);
        int error = frame_buffer_drain(&channel->outgoing, channel->socket_fd);
        if (error < 0 && error != -EPIPE)
            return error;
        if (!(polls[0].revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        int filled = frame_buffer_fill(&channel->incoming, channel->socket_fd, FRAME_DATA_MAX * 2);
        while ((error = frame_take(&channel->incoming, &frame)) > 0) {
            int ended = frame_handle(channel, &frame, &status);
            if (ended != 0)
                return ended < 0 ? ended : status;
        }
        if (error < 0)
            return error;
        if (filled == 0)
            return -ECONNRESET;
        if (filled < 0 && filled != -EAGAIN)
            return filled;
    }
}

/* Runs the command to its end and returns its exit status, or a negative errno. */
int channel_run(const struct channel_command *command)
{
    struct channel channel = {.command = command, .socket_fd = -1, .signal_fd = -1, .stdin_fd = command->stdin_fd};
    sigset_t signals;
    sigset_t before;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    if (command->pass_signals) {
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGHUP);
    }
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (command->pass_signals)
        channel.signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    int status = channel_connect(&channel);
    if (status == 0)
        status = channel_greet(&channel);
    if (status == 0 && channel.stdin_fd < 0)
        status = frame_put(&channel.outgoing, FRAME_STDIN, "", 0);
    if (status == 0)
        status = channel_pump(&channel);
    if (status < 0 && status != -EINVAL)
        channel_fail(command, status, channel.signalled ? "the command was cut off" : "the lab's control channel broke");
    if (channel.socket_fd >= 0)
        close(channel.socket_fd);
    if (channel.signal_fd >= 0)
        close(channel.signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    frame_buffer_free(&channel.incoming);
    frame_buffer_free(&channel.outgoing);
    return status;
}
