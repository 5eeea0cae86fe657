/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine under the lab: QEMU with Xen as its kernel and dom0 as Xen's, until the agent in dom0 answers.
 *
 * KVM is used where it can run Xen. Having /dev/kvm does not say so (on some machines Xen hangs under it), so it is tried: no
 * agent, or a console that stays silent, and QEMU's own emulation takes over. The verdict is kept in the cache, keyed by the
 * kernel's and QEMU's versions. XENOLITH_LAB_ACCELERATOR=kvm|tcg|icount overrides: icount is emulation on one processor whose clock
 * counts instructions, a nanosecond each, so that what is measured in guests is the same each time, whatever else this machine does.
 *
 * Why each odd flag is there:
 *   -cpu ...,-smap   QEMU 7.2's emulation makes iretq in ring 3 read its stack as the supervisor: with SMAP a PV dom0 dies at once
 *   -monitor, cpuidle=0   Xen's MWAIT idle driver takes #GP under emulation and panics
 *   +svm,+npt        Xen can run PVH guests, with hardware-assisted paging (Debian's has no shadow paging)
 *   -avx             a PVH guest's XSETBV is not intercepted by the emulation, so Xen is wrong about XCR0 afterwards, and dom0's
 *                    programs lose their AVX registers: xl crashed here and there once a PVH guest had run. Without AVX
 *                    there is only one XCR0 (and no FMA: a PV guest's programs see what CPUID says of it). XENOLITH_LAB_CPU=... takes another model, for tests of AVX without PVH guests
 *   -no-reboot       a Xen panic ends QEMU instead of starting over; so Xen's "noreboot" must not be given
 *   spec-ctrl=eager-fpu   QEMU 7.2's XSAVE and XRSTOR do not trap while CR0.TS is set, by which Xen lends the vector registers
 *                    lazily: dom0's programs then run with another domain's registers, and crash now and then (xenstored, too)
 *   bootscrub=0      Xen would touch, and so make resident, all of the machine's memory
 *   sched=credit     Xen's credit2 has one lock for all of a socket's processors. Emulated ones are threads, more of them than the host has
 *                    processors: when it stops the one that holds the lock, the others spin, for half of the time of a lab under load (seen in
 *                    redis-benchmark's). credit has a lock for each processor
 *   mitigations=off, clocksource=tsc   of dom0's kernel: there is no speculation to defend against, and Xen's clock, without a CPU that says its
 *                    TSC is invariant, is read by a system call. The emulation's TSC is one for all processors
 *   nofsgsbase       of dom0's kernel: otherwise each switch between its threads reads a register that is Xen's (KERNEL_GS_BASE), by a trap that Xen
 *                    has to emulate
 */
#include "tools/lab/lab_machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/base/digest.h"
#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/lab-agent/frame.h"
#include "tools/lab/channel.h"
#include "tools/lab/monitor.h"

#define QEMU "qemu-system-x86_64"
#define DOM0_EMULATED " mitigations=off nofsgsbase clocksource=tsc tsc=reliable guests_not_on_cpu0"
#define SILENCE_SECONDS_KVM 15
#define SILENCE_SECONDS_TCG 120
#define START_SECONDS 300

static long port_choose(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    long port = -1;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

/*
 * How many processors the lab's machine has. An emulated one has one more than its host lets it run at once, and guests stay off the first
 * (dom0/start): QEMU's FRSTOR, FXRSTOR and XRSTOR on any processor write the first one's hflags2 without a lock (cpu_clear_ignne()), nested paging's
 * bit and the global interrupt flag among them, so that now and then a PVH guest on it runs as the host or the host as the guest.
 */
static long processors_count(bool alone, bool emulated)
{
    long host = sysconf(_SC_NPROCESSORS_ONLN);

    if (alone)
        return 1;
    host = host < 2 ? 2 : host > 4 ? 4
                                   : host;
    return host + emulated;
}

static void qemu_arguments(struct text_list *a, const struct lab_state *state, const char *image, long memory_mib)
{
    bool kvm = strcmp(state->accelerator, "kvm") == 0;
    bool icount = strcmp(state->accelerator, "icount") == 0;
    bool threads = !kvm && !icount;

    text_list_add(a, QEMU);
    text_list_add(a, "-accel");
    text_list_add(a, kvm ? "kvm" : icount ? "tcg,thread=single"
                                          : "tcg,thread=multi");
    if (icount) {
        text_list_add(a, "-icount");
        text_list_add(a, "shift=0,sleep=off");
    }
    text_list_add(a, "-cpu");
    const char *processor = getenv("XENOLITH_LAB_CPU");
    text_list_add(a, processor != NULL ? processor : kvm ? "host"
                                                         : "EPYC,+svm,+npt,-smap,-monitor,-avx,-avx2,-f16c,-fma");
    text_list_add(a, "-smp");
    text_list_format(a, "%ld", processors_count(icount, threads));
    text_list_add(a, "-m");
    text_list_format(a, "%ld", memory_mib);
    text_list_add(a, "-nodefaults");
    text_list_add(a, "-display");
    text_list_add(a, "none");
    text_list_add(a, "-no-reboot");
    text_list_add(a, "-kernel");
    text_list_format(a, "%s/xen", image);
    text_list_add(a, "-append");
    /* Two vCPUs of dom0's on one processor: one waited for the other for ever. */
    text_list_format(a, "console=com1 com1=115200 dom0_mem=1024M,max:1024M dom0_max_vcpus=%d cpuidle=0 bootscrub=0 guest_loglvl=all "
                        "conring_size=1M spec-ctrl=eager-fpu%s", icount ? 1 : 2, threads ? " sched=credit" : "");
    text_list_add(a, "-initrd");
    text_list_format(a, "%s/vmlinuz console=hvc0 quiet%s,%s/initramfs.gz", image, threads ? DOM0_EMULATED : "", image);
    text_list_add(a, "-drive");
    text_list_format(a, "file=%s/dom0.img,format=raw,if=virtio,snapshot=on", image);
    text_list_add(a, "-virtfs");
    text_list_format(a, "local,path=%s,mount_tag=share,security_model=none,multidevs=remap", state->share);
    text_list_add(a, "-virtfs");
    text_list_format(a, "local,path=%s,mount_tag=host,security_model=none,multidevs=remap", state->build_tree);
    text_list_add(a, "-netdev");
    text_list_format(a, "user,id=net0,hostfwd=tcp:127.0.0.1:%ld-10.0.2.15:%d", state->agent_port, FRAME_AGENT_PORT);
    text_list_add(a, "-device");
    text_list_add(a, "virtio-net-pci,netdev=net0,romfile=");
    text_list_add(a, "-device");
    text_list_add(a, "virtio-scsi-pci,id=disks");
    text_list_add(a, "-chardev");
    text_list_format(a, "socket,id=console,path=%s/console.sock,server=on,wait=off,logfile=%s", state->directory, state->serial_log);
    text_list_add(a, "-serial");
    text_list_add(a, "chardev:console");
    text_list_add(a, "-qmp");
    text_list_format(a, "unix:%s,server=on,wait=off", state->qmp_socket);
    text_list_add(a, "-pidfile");
    text_list_add(a, state->pid_file);
}

static int qemu_start(struct lab_state *state, const char *image, long memory_mib)
{
    struct text_list arguments = {0};

    state->agent_port = port_choose();
    if (state->agent_port <= 0)
        return report_error(0, "no free TCP port on 127.0.0.1 for the lab's control channel");
    qemu_arguments(&arguments, state, image, memory_mib);
    char *backlog = install_program("lab", "listen_backlog.so");
    char *preload = text_join("LD_PRELOAD=%s", backlog);
    const char *const environment[] = {preload, NULL};
    char *log = text_join("%s/qemu.log", state->directory);
    int log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unlink(state->serial_log);
    struct process_request request = {
        .arguments = (const char *const *)arguments.items,
        .environment = environment,
        .stdin_fd = -1,
        .stdout_fd = log_fd,
        .stderr_fd = log_fd,
        .own_session = true,
    };
    int error = process_start(&request, &state->qemu_pid);
    if (log_fd >= 0)
        close(log_fd);
    free(log);
    free(preload);
    free(backlog);
    text_list_free(&arguments);
    return error;
}

static bool agent_answers(const struct lab_state *state)
{
    const char *const arguments[] = {"true", NULL};
    struct text ignored = {0};
    struct channel_command command = {
        .port = state->agent_port,
        .token_file = state->token_file,
        .arguments = arguments,
        .stdin_fd = -1,
        .output = &ignored,
        .timeout_seconds = 10,
        .quiet = true,
    };

    int status = channel_run(&command);
    text_free(&ignored);
    return status == 0;
}

/* Until the agent answers (0), QEMU ends, Xen panics or the console has been silent too long. */
static int machine_wait(const struct lab_state *state, double silence_seconds)
{
    double started = report_seconds_now();
    double heard = started;
    struct text log = {0};
    size_t length = 0;
    int error = -EAGAIN;

    while (error == -EAGAIN) {
        usleep(200 * 1000);
        double now = report_seconds_now();
        text_clear(&log);
        file_read(state->serial_log, &log);
        if (log.length != length) {
            length = log.length;
            heard = now;
        }
        if (strstr(text_string(&log), "lab: ready") != NULL && agent_answers(state))
            error = 0;
        else if (waitpid(state->qemu_pid, NULL, WNOHANG) == state->qemu_pid)
            error = -ECHILD;
        else if (strstr(text_string(&log), "Panic on CPU") != NULL)
            error = -EFAULT;
        else if (now - heard > silence_seconds || now - started > START_SECONDS)
            error = -ETIMEDOUT;
    }
    text_free(&log);
    return error;
}

static void machine_explain(const struct lab_state *state, int error)
{
    struct text log = {0};
    char *qemu_log = text_join("%s/qemu.log", state->directory);

    file_read(error == -ECHILD ? qemu_log : state->serial_log, &log);
    size_t shown = log.length > 1500 ? 1500 : log.length;
    fprintf(stderr, "%s\n", text_string(&log) + log.length - shown);
    report_error(0, "the lab did not come up (%s); its last words are above, all of them in %s",
        error == -ECHILD ? "QEMU ended" : error == -EFAULT ? "Xen panicked"
                                                           : "time-out",
        error == -ECHILD ? qemu_log : state->serial_log);
    text_free(&log);
    free(qemu_log);
}

/* The cache file with KVM's verdict, for this kernel and QEMU. */
static char *verdict_file(void)
{
    static const char *const arguments[] = {QEMU, "--version", NULL};
    struct process_request request = {.arguments = arguments, .stdin_fd = -1};
    char key[DIGEST_HEX_SIZE];
    struct text version = {0};
    struct utsname name = {0};
    struct digest digest;

    uname(&name);
    process_capture(&request, &version);
    digest_start(&digest);
    digest_add_string(&digest, name.release);
    digest_add_string(&digest, name.version);
    digest_add_string(&digest, text_string(&version));
    digest_end(&digest, key);
    key[16] = '\0';
    text_free(&version);
    char *below = text_join("lab/kvm-%s", key);
    char *path = path_cache(below);
    free(below);
    return path;
}

static bool kvm_wanted(const char *verdict_path)
{
    struct text verdict = {0};

    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    close(fd);
    file_read(verdict_path, &verdict);
    bool refused = text_starts(text_string(&verdict), "no");
    text_free(&verdict);
    return !refused;
}

static int machine_try(struct lab_state *state, const char *accelerator, const char *image, long memory_mib)
{
    free(state->accelerator);
    state->accelerator = text_copy(accelerator);
    report_progress_start("starting Xen and dom0 in QEMU (%s)", accelerator);
    int error = qemu_start(state, image, memory_mib);
    if (error == 0)
        error = machine_wait(state, strcmp(accelerator, "kvm") == 0 ? SILENCE_SECONDS_KVM : SILENCE_SECONDS_TCG);
    report_progress_end();
    return error;
}

/* Starts QEMU and waits for the agent. The share directory must be filled. state gets pid, port and accelerator. */
int lab_machine_start(struct lab_state *state, const char *image, long memory_mib)
{
    const char *forced = getenv("XENOLITH_LAB_ACCELERATOR");

    if (!program_exists(QEMU))
        return report_error(0, "%s is needed for the lab; install the package qemu-system-x86", QEMU);
    char *verdict = verdict_file();
    bool kvm = forced != NULL ? strcmp(forced, "kvm") == 0 : kvm_wanted(verdict);
    const char *emulation = forced != NULL && strcmp(forced, "icount") == 0 ? forced : "tcg";
    int error = -EAGAIN;
    if (kvm) {
        error = machine_try(state, "kvm", image, memory_mib);
        file_write_string(verdict, error == 0 ? "yes\n" : "no\n");
        if (error < 0 && forced == NULL) {
            lab_machine_stop(state);
            report_line("Xen does not run under this machine's KVM; using emulation from now on (remembered in %s)", verdict);
        }
    }
    if (error < 0 && !(kvm && forced != NULL))
        error = machine_try(state, emulation, image, memory_mib);
    if (error < 0) {
        machine_explain(state, error);
        lab_machine_stop(state);
    }
    free(verdict);
    return error;
}

/* Ends QEMU, and with it all guests. */
void lab_machine_stop(struct lab_state *state)
{
    if (!lab_state_running(state))
        return;
    kill(state->qemu_pid, SIGTERM);
    for (int tenths = 0; tenths < 100 && lab_state_running(state); tenths++) {
        waitpid(state->qemu_pid, NULL, WNOHANG);
        usleep(100 * 1000);
    }
    if (lab_state_running(state))
        kill(state->qemu_pid, SIGKILL);
    waitpid(state->qemu_pid, NULL, WNOHANG);
    unlink(state->qmp_socket);
    unlink(state->pid_file);
}
