/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands to a running QEMU through its monitor socket (QMP: one JSON object a line).
 *
 * The socket serves one client at a time and lets the next one wait, so a connection is made for each command and closed at
 * once; that also puts concurrent callers in order.
 */
#include "tools/lab/monitor.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/base/report.h"
#include "tools/base/text.h"

#define ANSWER_SECONDS 60

/* Given as the place for an answer by callers that expect a refusal. */
static struct text quiet_answer;

static int monitor_open(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static int line_read(int fd, struct text *line)
{
    double end = report_seconds_now() + ANSWER_SECONDS;
    char byte;

    text_clear(line);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 1000) < 0 && errno != EINTR)
            return -errno;
        if (report_seconds_now() > end)
            return -ETIMEDOUT;
        if (wait.revents == 0)
            continue;
        ssize_t got = read(fd, &byte, 1);
        if (got <= 0)
            return got < 0 ? -errno : -ECONNRESET;
        if (byte == '\n')
            return 0;
        text_add(line, &byte, 1);
    }
}

/* Sends one command and waits for its answer among the events; *human gets a text that the answer bears. */
static int exchange(int fd, const char *command, const char *arguments_json, struct text *human)
{
    struct text line = {0};
    struct json_object *value;
    int result = 1;

    if (arguments_json != NULL)
        text_format(&line, "{\"execute\":\"%s\",\"arguments\":%s}\n", command, arguments_json);
    else
        text_format(&line, "{\"execute\":\"%s\"}\n", command);
    if (write(fd, line.bytes, line.length) != (ssize_t)line.length)
        result = -EIO;
    while (result > 0 && (result = line_read(fd, &line)) == 0) {
        struct json_object *answer = json_tokener_parse(text_string(&line));
        result = 1;
        if (answer == NULL)
            result = -EPROTO;
        else if (json_object_object_get_ex(answer, "return", &value)) {
            if (human != NULL && json_object_is_type(value, json_type_string))
                text_format(human, "%s", json_object_get_string(value));
            result = 0;
        } else if (json_object_object_get_ex(answer, "error", &value)) {
            struct json_object *description;
            json_object_object_get_ex(value, "desc", &description);
            result = -EINVAL;
            if (human != &quiet_answer)
                report_error(0, "QEMU refused %s: %s", command, json_object_get_string(description));
        }
        json_object_put(answer);
        if (result <= 0)
            break;
    }
    text_free(&line);
    return result;
}

static int monitor_do(const char *socket_path, const char *command, const char *arguments_json, struct text *human)
{
    struct text greeting = {0};

    int fd = monitor_open(socket_path);
    if (fd < 0)
        return report_error(fd, "cannot reach the lab's QEMU at %s", socket_path);
    int error = line_read(fd, &greeting);
    if (error == 0)
        error = exchange(fd, "qmp_capabilities", NULL, NULL);
    if (error == 0)
        error = exchange(fd, command, arguments_json, human);
    text_free(&greeting);
    close(fd);
    return error;
}

/* arguments_json is a JSON object, or NULL. */
int monitor_command(const char *socket_path, const char *command, const char *arguments_json)
{
    return monitor_do(socket_path, command, arguments_json, NULL);
}

/* The same, when a refusal is no surprise. */
int monitor_command_quietly(const char *socket_path, const char *command, const char *arguments_json)
{
    return monitor_do(socket_path, command, arguments_json, &quiet_answer);
}

static int human_do(const char *socket_path, const char *line, struct text *answer)
{
    struct json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "command-line", json_object_new_string(line));
    int error = monitor_do(socket_path, "human-monitor-command", json_object_to_json_string(arguments), answer);
    json_object_put(arguments);
    return error;
}

/* A command of the human monitor, for what QMP lacks, that answers nothing when all went well. */
int monitor_human(const char *socket_path, const char *line)
{
    struct text answer = {0};

    int error = human_do(socket_path, line, &answer);
    if (error == 0 && answer.length > 0)
        error = report_error(0, "QEMU refused %s: %s", line, text_trim(answer.bytes));
    text_free(&answer);
    return error;
}

/* The same, for one whose answer says nothing of use. */
int monitor_human_quietly(const char *socket_path, const char *line)
{
    struct text answer = {0};

    int error = human_do(socket_path, line, &answer);
    text_free(&answer);
    return error;
}
