/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a guest, from the request to its result.
 *
 *   record made --> kernel and ramdisk staged --> disks, network plugged --> configuration written --> ports forwarded -->
 *   xenolith-guest runs it in dom0 (console to our stdout) --> result read --> everything released
 *
 * Each thing is noted in the guest's record before it is done, so that whoever comes next can undo it if we die here.
 * A detached guest stops at "runs it": its watcher in dom0 writes the result, and stop or a later sweep releases it.
 */
#include "tools/guest/guest_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/process.h"
#include "tools/base/report.h"
#include "tools/guest/guest_config.h"

struct guest_setup {
    struct guest_host *host;
    const struct guest_request *request;
    struct guest_record record;
    struct text_list disks; /* elements of the configuration */
    struct text_list vifs;
    struct text_list helper; /* the helper's command line */
    struct text address;
    bool helper_ended_well;
};

/* more: a file to be added to the copy's end, or NULL. */
static int stage(struct guest_setup *setup, const char *from, const char *more, const char *name)
{
    char *to = guest_record_path(&setup->record, name);

    int error = file_copy(from, to);
    if (error < 0)
        report_error(error, "cannot copy %s to %s", from, to);
    if (error == 0 && more != NULL && (error = file_append(more, to)) < 0)
        report_error(error, "cannot add %s to %s", more, to);
    if (setup->host->stage != NULL) {
        text_list_add(&setup->helper, "--stage");
        text_list_add(&setup->helper, name);
    }
    free(to);
    return error;
}

/* The kernel's symbols, for the registers shown after a crash; a stripped kernel has none, and that is no error. */
static void stage_symbols(struct guest_setup *setup)
{
    const char *arguments[] = {"nm", "-n", setup->request->kernel, NULL};
    struct process_request request = {.arguments = arguments, .stdin_fd = -1, .stderr_fd = -1};
    struct text symbols = {0};

    if (!program_exists("nm") || process_capture(&request, &symbols) != 0 || symbols.length == 0) {
        text_free(&symbols);
        return;
    }
    char *path = guest_record_path(&setup->record, "System.map");
    if (file_write(path, symbols.bytes, symbols.length) == 0) {
        text_list_add(&setup->helper, "--symbols");
        text_list_format(&setup->helper, "%s/%s/System.map", setup->host->guests_inside, setup->request->name);
    }
    free(path);
    text_free(&symbols);
}

static int plug_disks(struct guest_setup *setup)
{
    const struct guest_request *request = setup->request;
    int error = 0;

    for (size_t i = 0; error == 0 && i < request->disks.count; i++) {
        size_t number = request->first_disk + i;
        char device[8] = {'x', 'v', 'd', (char)('a' + number), '\0'};
        struct text element = {0};
        struct guest_disk disk;
        if (number >= 26)
            return report_error(0, "more than 26 disks");
        guest_disk_parse(request->disks.items[i], &disk);
        error = setup->host->operations->disk_plug(setup->host, &setup->record, &disk, device, &element, &setup->helper);
        text_list_add(&setup->disks, text_string(&element));
        text_free(&element);
        free(disk.path);
    }
    return error;
}

static int plug_network(struct guest_setup *setup)
{
    struct text element = {0};

    if (!setup->request->network)
        return 0;
    int error = setup->host->operations->network_plug(setup->host, &setup->record, &element, &setup->address);
    text_list_add(&setup->vifs, text_string(&element));
    text_free(&element);
    return error;
}

static int publish_ports(struct guest_setup *setup)
{
    struct guest_publish publish;
    int error = 0;

    for (size_t i = 0; error == 0 && i < setup->request->publish.count; i++) {
        const char *text = setup->request->publish.items[i];
        error = guest_publish_parse(text, &publish);
        if (error == 0)
            error = setup->host->operations->publish(setup->host, text_string(&setup->address), &publish);
        if (error == 0)
            error = guest_record_note(&setup->record, "publish=%s", text);
        if (setup->host->helper_forwards) {
            text_list_add(&setup->helper, "--publish");
            text_list_add(&setup->helper, text);
        }
    }
    return error;
}

static int write_config(const struct guest_setup *setup)
{
    const char *inside = setup->host->stage != NULL ? setup->host->stage : setup->host->guests_inside;
    const char *name = setup->request->name;
    char *kernel = text_join("%s/%s/kernel", inside, name);
    char *ramdisk = setup->request->ramdisk != NULL ? text_join("%s/%s/ramdisk", inside, name) : NULL;
    struct guest_config config = {
        .request = setup->request, .kernel = kernel, .ramdisk = ramdisk, .disks = &setup->disks, .vifs = &setup->vifs};
    struct text text = {0};

    int error = guest_config_fill(&config, &text);
    if (error == 0) {
        char *path = guest_record_path(&setup->record, "guest.cfg");
        error = file_write(path, text.bytes, text.length);
        if (error < 0)
            report_error(error, "cannot write %s", path);
        free(path);
    }
    text_free(&text);
    free(ramdisk);
    free(kernel);
    return error;
}

static int prepare(struct guest_setup *setup)
{
    const struct guest_request *request = setup->request;

    int error = setup->host->operations->helper_provide(setup->host, &setup->helper);
    text_list_add(&setup->helper, request->name);
    text_list_format(&setup->helper, "%s/%s", setup->host->guests_inside, request->name);
    if (request->detach)
        text_list_add(&setup->helper, "--detach");
    if (request->input)
        text_list_add(&setup->helper, "--input");
    if (request->timeout_seconds > 0) {
        text_list_add(&setup->helper, "--timeout");
        text_list_format(&setup->helper, "%ld", request->timeout_seconds);
    }
    if (error == 0)
        error = stage(setup, request->kernel, NULL, "kernel");
    if (error == 0 && request->ramdisk != NULL)
        error = stage(setup, request->ramdisk, request->ramdisk_more, "ramdisk");
    if (error == 0)
        stage_symbols(setup);
    if (error == 0)
        error = plug_disks(setup);
    if (error == 0)
        error = plug_network(setup);
    if (error == 0)
        error = write_config(setup);
    if (error == 0)
        error = publish_ports(setup);
    return error;
}

static int run(struct guest_setup *setup, struct guest_outcome *outcome)
{
    const struct guest_request *request = setup->request;

    int error = 0;
    if (request->detach)
        error = guest_record_note(&setup->record, "detached=1");
    if (error < 0)
        return error;
    int status = setup->host->operations->execute(setup->host, (const char *const *)setup->helper.items, request->input,
        request->output);
    if (status < 0)
        return status;
    setup->helper_ended_well = status == 0;
    if (request->detach && status == 0)
        return 0;
    guest_record_facts(&setup->record, "result", &outcome->facts);
    outcome->console_log = guest_record_path(&setup->record, "console.log");
    return status == 0 || guest_fact(&outcome->facts, "end") != NULL ? 0 : -EIO;
}

/*
 * Runs a guest to its end, or starts it when it is to be detached. Returns 0 with the outcome, whatever became of the guest;
 * negative (after a message) when it could not be run.
 */
int guest_start(struct guest_host *host, const struct guest_request *request, struct guest_outcome *outcome)
{
    struct guest_setup setup = {.host = host, .request = request};

    *outcome = (struct guest_outcome){0};
    int error = guest_request_check(request);
    if (error < 0)
        return error;
    guest_host_sweep(host);
    error = guest_record_create(&setup.record, host->guests, request->name);
    if (error == 0) {
        error = prepare(&setup);
        if (error == 0)
            error = run(&setup, outcome);
        if (error < 0 || !request->detach)
            guest_release(host, &setup.record, setup.helper_ended_well);
    }
    guest_record_close(&setup.record);
    text_list_free(&setup.disks);
    text_list_free(&setup.vifs);
    text_list_free(&setup.helper);
    text_free(&setup.address);
    return error;
}

void guest_outcome_free(struct guest_outcome *outcome)
{
    guest_facts_free(&outcome->facts);
    free(outcome->console_log);
    *outcome = (struct guest_outcome){0};
}
