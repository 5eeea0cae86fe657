/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /init of the Linux guest that `xenolith run --linux` starts: Debian's own kernel, keeping to docs/guest-contract.md.
 *
 * The same image, program, console marks and results in xenstore as with our kernel: the control that shows whether the lab and
 * the tool work, and what every comparison is measured against. Static, in an initramfs with busybox and the modules of
 * Xen's frontends (tools/lab/dom0/make-image.sh).
 *
 *   mount, load modules --> root disk, its mounts --> network by udhcpc --> chroot --> program or batch --> xenstore --> poweroff
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"
#include "tools/base/text.h"
#include "tools/linux-guest/xenbus.h"

#define ROOT "/root"
#define DISK_WAIT_MS 10000

static char *environment[256];
static char directory[4096] = "/";
static unsigned user_id;
static unsigned group_id;

static unsigned long long boot_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;
}

static void must_mount(const char *what, const char *where, const char *type, unsigned long flags)
{
    mkdir(where, 0755);
    if (mount(what, where, type, flags, NULL) < 0)
        report_error(-errno, "cannot mount %s on %s", what, where);
}

static void modules_load(void)
{
    struct text order = {0};
    char *rest = NULL;

    if (file_read("/modules/order", &order) < 0)
        return;
    for (char *name = strtok_r(order.bytes, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
        char *path = text_join("/modules/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
            report_error(-errno, "cannot load the module %s", name);
        if (fd >= 0)
            close(fd);
        free(path);
    }
    text_free(&order);
}

static bool cmdline_has(const char *word)
{
    struct text cmdline = {0};

    file_read("/proc/cmdline", &cmdline);
    bool found = strstr(text_string(&cmdline), word) != NULL;
    text_free(&cmdline);
    return found;
}

static int root_mount(void)
{
    if (cmdline_has("root=ramdisk")) {
        if (mount(ROOT, ROOT, NULL, MS_BIND, NULL) < 0 || mount(NULL, ROOT, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
            return report_error(-errno, "cannot mount the ramdisk's " ROOT);
    } else {
        for (int waited_ms = 0; !file_exists("/dev/xvda") && waited_ms < DISK_WAIT_MS; waited_ms += 5)
            usleep(5000);
        mkdir(ROOT, 0755);
        if (mount("/dev/xvda", ROOT, "ext4", MS_RDONLY, NULL) < 0)
            return report_error(-errno, "cannot mount the root disk /dev/xvda");
    }
    must_mount("dev", ROOT "/dev", "devtmpfs", 0);
    must_mount("proc", ROOT "/proc", "proc", 0);
    must_mount("sys", ROOT "/sys", "sysfs", 0);
    must_mount("run", ROOT "/run", "tmpfs", 0);
    must_mount("tmp", ROOT "/tmp", "tmpfs", 0);
    must_mount("pts", ROOT "/dev/pts", "devpts", 0);
    must_mount("shm", ROOT "/dev/shm", "tmpfs", 0);
    return 0;
}

static void file_write_in_place(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        report_error(-errno, "%s", path);
    if (fd >= 0)
        close(fd);
}

/* Runs a command of the initramfs; what it says is nobody's. */
static int command_run(const char *const *arguments)
{
    int status = 0;

    pid_t pid = fork();
    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDWR);
        dup2(null_fd, 1);
        dup2(null_fd, 2);
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void network_start(void)
{
    static const char *const loopback[] = {"/bin/busybox", "ifconfig", "lo", "127.0.0.1", "up", NULL};
    static const char *const up[] = {"/bin/busybox", "ifconfig", "eth0", "up", NULL};
    static const char *const lease[] = {"/bin/busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "20", "-T", "1", "-s",
        "/udhcpc.sh", NULL};
    struct text address = {0};

    command_run(loopback);
    if (cmdline_has("ip=dhcp")) {
        for (int waited_ms = 0; !file_exists("/sys/class/net/eth0") && waited_ms < DISK_WAIT_MS; waited_ms += 5)
            usleep(5000);
        command_run(up);
        if (command_run(lease) != 0)
            report_line("no answer from DHCP");
        if (file_read(ROOT "/run/address", &address) == 0)
            xenbus_write("data/xenolith/address", text_trim(address.bytes));
    }
    text_free(&address);
}

/* Splits NUL-terminated words. Returns their number. */
static size_t words_split(char *bytes, size_t length, char **words, size_t words_max)
{
    size_t count = 0;

    for (size_t at = 0; at < length && count < words_max; at += strlen(bytes + at) + 1)
        words[count++] = bytes + at;
    return count;
}

static void settings_read(void)
{
    static struct text settings;
    struct text text = {0};

    if (file_read("/etc/xenolith/environment", &settings) == 0)
        words_split(settings.bytes, settings.length, environment, sizeof(environment) / sizeof(environment[0]) - 1);
    if (file_read("/etc/xenolith/user", &text) == 0 && sscanf(text_string(&text), "%u:%u", &user_id, &group_id) == 1)
        group_id = user_id;
    text_clear(&text);
    if (file_read("/etc/xenolith/cwd", &text) == 0 && text.length > 0 && text.length < sizeof(directory))
        strcpy(directory, text.bytes);
    text_clear(&text);
    if (file_read("/etc/xenolith/hostname", &text) == 0)
        sethostname(text.bytes, text.length);
    text_free(&text);
}

static void program_exec(char **words)
{
    setsid();
    if (chdir(directory) < 0)
        report_error(-errno, "the working directory %s", directory);
    if (setgroups(0, NULL) < 0 || setgid(group_id) < 0 || setuid(user_id) < 0) {
        report_error(-errno, "cannot become user %u:%u", user_id, group_id);
        _exit(126);
    }
    clearenv();
    for (size_t i = 0; environment[i] != NULL; i++)
        putenv(environment[i]);
    execvp(words[0], words);
    int error = errno;
    report_error(-error, "%s", words[0]);
    _exit(error == ENOENT ? 127 : 126);
}

/* Runs one program, and ends what it left behind. Returns its status as a shell tells it. */
static int program_run(char **words)
{
    int status = 0;
    int other;

    pid_t pid = fork();
    if (pid == 0)
        program_exec(words);
    for (;;) {
        pid_t ended = wait(&other);
        if (ended == pid) {
            status = other;
            break;
        }
        if (ended < 0 && errno != EINTR)
            break;
    }
    kill(-1, SIGKILL);
    while (waitpid(-1, &other, 0) > 0)
        ;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void batch_run(struct text *batch)
{
    char *words[1024];
    char line[64];
    char path[64];

    for (size_t at = 0, number = 1; at < batch->length; number++) {
        size_t count = 0;
        for (; at < batch->length && batch->bytes[at] != '\0'; at += strlen(batch->bytes + at) + 1)
            if (count < sizeof(words) / sizeof(words[0]) - 1)
                words[count++] = batch->bytes + at;
        at++; /* the empty word that ends the record */
        words[count] = NULL;
        if (count == 0)
            continue;
        dprintf(1, "\n##xenolith batch %zu start##\n", number);
        unsigned long long start_ns = boot_ns();
        int status = program_run(words);
        snprintf(line, sizeof(line), "%d %llu", status, boot_ns() - start_ns);
        snprintf(path, sizeof(path), "data/xenolith/batch/%zu", number);
        dprintf(1, "\n##xenolith batch %zu end %d##\n", number, status);
        xenbus_write(path, line);
    }
}

static int all_run(void)
{
    struct text text = {0};
    char *words[1024] = {NULL};
    char line[64];
    int status = 0;

    snprintf(line, sizeof(line), "program=%llu", boot_ns());
    xenbus_write("data/xenolith/boot", line);
    if (file_read("/etc/xenolith/batch", &text) == 0) {
        batch_run(&text);
    } else if (file_read("/etc/xenolith/args", &text) == 0 && text.length > 0) {
        words_split(text.bytes, text.length, words, 1023);
        status = program_run(words);
    } else
        status = report_error(0, "the image names no program (/etc/xenolith/args)") < 0 ? 127 : 0;
    text_free(&text);
    return status;
}

/* control/shutdown: Linux then runs /sbin/poweroff, which is a script of ours that signals us. */
static void shutdown_ask(int number)
{
    kill(-1, number == SIGTERM ? SIGTERM : SIGKILL);
    alarm(5);
}

int main(void)
{
    struct sysinfo information;
    char line[64];
    int status = 126;

    report_name_set("init");
    signal(SIGTERM, shutdown_ask);
    signal(SIGALRM, shutdown_ask);
    must_mount("proc", "/proc", "proc", 0);
    must_mount("sys", "/sys", "sysfs", 0);
    must_mount("dev", "/dev", "devtmpfs", 0);
    modules_load();
    xenbus_open();
    if (root_mount() == 0) {
        network_start();
        /* The kernel's own threads share our root: they are to find /sbin/poweroff in the initramfs. */
        if (unshare(CLONE_FS) == 0 && chroot(ROOT) == 0 && chdir("/") == 0) {
            settings_read();
            status = all_run();
        }
    }
    if (sysinfo(&information) == 0) {
        snprintf(line, sizeof(line), "%llu", (unsigned long long)(information.totalram - information.freeram) * information.mem_unit);
        xenbus_write("data/xenolith/memory", line);
    }
    snprintf(line, sizeof(line), "%d", status);
    xenbus_write("data/xenolith/exit-status", line);
    sync();
    /* "System halted" is an emergency to the kernel; the console is the program's. */
    file_write_in_place("/proc/sys/kernel/printk", "0");
    reboot(RB_POWER_OFF);
    return 1;
}
