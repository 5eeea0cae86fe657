/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which host the guests run on, and the clearing away of what a guest no longer needs.
 *
 * A machine whose /proc/xen/capabilities says control_d is a Xen host and is used directly; any other runs guests in the lab.
 * guest_release() undoes everything a guest's record names. guest_host_sweep() finds guests that ended without anyone to do
 * that: the tool that ran them was killed, or they were detached and have ended.
 */
#include "tools/guest/guest_host.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

#define FINISHED_KEPT 64

static bool is_dom0(void)
{
    struct text capabilities = {0};

    file_read("/proc/xen/capabilities", &capabilities);
    bool control = strstr(text_string(&capabilities), "control_d") != NULL;
    text_free(&capabilities);
    return control;
}

/* which: "lab", "local", or NULL to find out. */
int guest_host_open(struct guest_host *host, const char *which)
{
    *host = (struct guest_host){0};
    if (which != NULL && strcmp(which, "lab") != 0 && strcmp(which, "local") != 0)
        return report_error(0, "--host %s: it is lab or local", which);
    if (which != NULL ? strcmp(which, "local") == 0 : is_dom0()) {
        host->operations = &guest_host_local_operations;
        host->helper_forwards = true;
        host->guests = text_copy("/run/xenolith/guests");
        host->guests_inside = text_copy(host->guests);
        return 0;
    }
    host->operations = &guest_host_lab_operations;
    int error = lab_state_require(&host->lab);
    if (error < 0)
        return error;
    host->guests = text_join("%s/guests", host->lab.share);
    host->guests_inside = text_copy("/share/guests");
    host->stage = "/run/xenolith/guests";
    return 0;
}

void guest_host_close(struct guest_host *host)
{
    free(host->guests);
    free(host->guests_inside);
    free(host->helpers_inside);
    lab_state_free(&host->lab);
    *host = (struct guest_host){0};
}

static void bulk_remove(const struct guest_record *record)
{
    static const char *const files[] = {"kernel", "ramdisk", "System.map"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = guest_record_path(record, files[i]);
        unlink(path);
        free(path);
    }
}

/* A guest may have lost its watcher before that had destroyed it: whatever is left of it goes now. */
static void domain_remove(struct guest_host *host, const struct guest_record *record)
{
    const char *arguments[] = {"xl", "destroy", path_name(record->directory), NULL};
    struct text output = {0};

    host->operations->execute(host, arguments, false, &output); /* most often there is none */
    text_free(&output);
}

/* Undoes what the record names. destroyed: its watcher ended well, so the guest itself is gone; otherwise it is looked for. */
int guest_release(struct guest_host *host, struct guest_record *record, bool destroyed)
{
    struct guest_facts facts;
    struct guest_publish publish;

    if (guest_record_released(record))
        return 0;
    int error = guest_record_facts(record, "record", &facts);
    if (error < 0)
        return error;
    if (!destroyed)
        domain_remove(host, record);
    const char *address = guest_fact(&facts, "address");
    for (size_t i = 0; i < facts.keys.count; i++) {
        if (strcmp(facts.keys.items[i], "disk") == 0)
            host->operations->disk_unplug(host, facts.values.items[i]);
        else if (strcmp(facts.keys.items[i], "publish") == 0 && guest_publish_parse(facts.values.items[i], &publish) == 0)
            host->operations->unpublish(host, address, &publish);
    }
    guest_facts_free(&facts);
    bulk_remove(record);
    guest_record_released_set(record);
    return 0;
}

static bool domain_exists(struct guest_host *host, const char *name)
{
    const char *arguments[] = {"xl", "domid", name, NULL};
    struct text output = {0};

    int status = host->operations->execute(host, arguments, false, &output);
    text_free(&output);
    return status == 0;
}

/*
 * Whether a guest that nobody holds is over: its watcher has written its result, or its tool in the foreground was killed and
 * the agent in dom0 has ended it.
 */
static bool guest_over(struct guest_host *host, const struct guest_record *record)
{
    struct guest_facts facts;
    bool detached = false;

    char *result = guest_record_path(record, "result");
    bool over = file_exists(result);
    free(result);
    if (guest_record_facts(record, "record", &facts) == 0) {
        detached = guest_fact(&facts, "detached") != NULL;
        guest_facts_free(&facts);
    }
    return over || (!detached && !domain_exists(host, path_name(record->directory)));
}

static int by_age(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Keeps the newest of the finished guests' directories, for their logs. */
static void finished_prune(const char *guests, char **finished, const time_t *ages, size_t count)
{
    for (size_t left = count; left > FINISHED_KEPT; left--) {
        size_t oldest = count;
        for (size_t i = 0; i < count; i++)
            if (finished[i] != NULL && (oldest == count || ages[i] < ages[oldest]))
                oldest = i;
        char *path = text_join("%s/%s", guests, finished[oldest]);
        tree_remove(path);
        free(path);
        finished[oldest] = NULL;
    }
}

/* Releases guests that are over, and forgets the oldest of them. */
void guest_host_sweep(struct guest_host *host)
{
    struct dirent **entries = NULL;
    int count = scandir(host->guests, &entries, visible, by_age);

    if (count <= 0)
        return;
    char **finished = calloc((size_t)count, sizeof(finished[0]));
    time_t *ages = calloc((size_t)count, sizeof(ages[0]));
    size_t finished_count = 0;
    for (int i = 0; finished != NULL && ages != NULL && i < count; i++) {
        struct guest_record record;
        struct stat status;
        if (guest_record_open(&record, host->guests, entries[i]->d_name) == 0 &&
            (guest_record_released(&record) || guest_over(host, &record)) && guest_release(host, &record, false) == 0 &&
            stat(record.directory, &status) == 0) {
            finished[finished_count] = entries[i]->d_name;
            ages[finished_count++] = status.st_mtime;
        }
        guest_record_close(&record);
    }
    if (finished != NULL && ages != NULL)
        finished_prune(host->guests, finished, ages, finished_count);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    free(finished);
    free(ages);
}
