/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/net and /proc/sys/net. Each report of kernel/net becomes a file, printed when it is read.
 */
#include "kernel/boot/network_files.h"

#include "kernel/base/error.h"
#include "kernel/fs/procfs/pseudo_tree.h"
#include "kernel/memory/object_cache.h"
#include "kernel/net/network.h"
#include "kernel/net/network_report.h"

struct text_sink {
    struct network_report_sink sink;
    struct text_buffer *text;
};

static void emit(struct network_report_sink *sink, const char *text, size_t length_bytes)
{
    text_append(container_of(sink, struct text_sink, sink)->text, text, length_bytes);
}

static int print_report(struct text_buffer *text, void *data)
{
    const struct network_report *report = data;
    struct text_sink sink = {{emit}, text};

    if (report->text != NULL) {
        text_print(text, "%s", report->text);
        return 0;
    }
    if (network_wait_configured() == -EINTR)
        return -ERESTARTSYS;
    report->print(&sink.sink);
    return 0;
}

int network_files_start(void)
{
    struct pseudo_file *files = memory_allocate_zeroed(network_report_count * sizeof(*files)); /* kept by the tree */

    if (files == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < network_report_count; i++)
        files[i] = (struct pseudo_file){.path = network_reports[i].path, .mode = 0444, .print = print_report, .data = (void *)(uintptr_t)&network_reports[i]};
    return pseudo_tree_add(&procfs_tree, files, network_report_count);
}
