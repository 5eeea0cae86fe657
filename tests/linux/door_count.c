/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door_count PORT PROGRAM [ARGUMENT...]: runs the program, and tells whoever connects to PORT what /proc/xenolith/doors counts just then (an HTTP/1.0
 * answer). It makes a dozen calls of its own for that. Ends as the program does.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t program;

static void child_ended(int number)
{
    int status;
    pid_t pid;

    (void)number;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == program)
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void pass_on(int number)
{
    kill(program, number);
}

static void answer(int client)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    char text[1024], request[1024];
    int file = open("/proc/xenolith/doors", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text + sizeof(head) - 1, sizeof(text) - sizeof(head));

    memcpy(text, head, sizeof(head) - 1);
    close(file);
    if (read(client, request, sizeof(request)) > 0 && length > 0 && write(client, text, sizeof(head) - 1 + (size_t)length) < 0)
        perror("door_count: write");
    close(client);
}

int main(int count, char **arguments)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    struct sigaction ended = { .sa_handler = child_ended, .sa_flags = SA_RESTART }, pass = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (count < 3)
        return 2;
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 8) != 0) {
        perror("door_count: listen");
        return 2;
    }
    sigset_t held, before;
    sigfillset(&held);
    sigprocmask(SIG_BLOCK, &held, &before);
    program = fork();
    if (program == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(arguments[2], arguments + 2);
        perror(arguments[2]);
        _exit(127);
    }
    sigaction(SIGCHLD, &ended, NULL);
    sigaction(SIGTERM, &pass, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0)
            answer(client);
    }
}
