/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control/shutdown: the host writes a word, we take it (in a transaction, by writing an empty value) and act. A host
 * that sees no empty value within its patience says the guest does not react. Words we do not know are taken too, with a line.
 * Suspend is not among the features we announce.
 */
#include "xen/bus/control.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/base/format.h"
#include "kernel/base/log.h"
#include "kernel/memory/object_cache.h"
#include "xen/bus/xenstore.h"

static const struct control_handlers *control_handlers;
static struct xenstore_watch shutdown_watch, sysrq_watch;

/* The transaction's body: the word, and an empty value in its place. Answers 0, or 1 where nothing is asked. */
static int control_take_word(uint32_t transaction, void *data)
{
    char *word = data;
    int error = xenstore_read_string(transaction, "control", "shutdown", word, 32);

    if (error == -ENOENT || (error == 0 && word[0] == 0)) {
        word[0] = 0;
        return 1;
    }
    if (error == -E2BIG || error == -EINVAL)
        format_string(word, 32, "(malformed)");
    else if (error != 0)
        return error;
    return xenstore_write(transaction, "control", "shutdown", "", 0);
}

/* True where there is no word to take. */
static bool control_nothing_asked(void)
{
    char *value;
    size_t length;
    int error = xenstore_read(XENSTORE_NO_TRANSACTION, "control", "shutdown", &value, &length);

    if (error == 0)
        memory_free(value);
    return error == -ENOENT || (error == 0 && length == 0);
}

static void control_shutdown_event(struct xenstore_watch *watch, const char *changed_path)
{
    char word[32] = "";
    if (control_nothing_asked())
        return; /* as mostly: our own taking comes back here too */
    int error = xenstore_transaction(control_take_word, word);

    if (error != 0) {
        log_error("control/shutdown: cannot be taken (%d)", error);
        return;
    }
    if (word[0] == 0)
        return;
    log_notice("the host asks for %s", word);
    if (strcmp(word, "poweroff") == 0)
        control_handlers->shutdown(CONTROL_POWEROFF);
    else if (strcmp(word, "halt") == 0)
        control_handlers->shutdown(CONTROL_HALT);
    else if (strcmp(word, "reboot") == 0)
        control_handlers->shutdown(CONTROL_REBOOT);
    else
        log_warning("control/shutdown: \"%s\" is not known here", word);
}

static void control_sysrq_event(struct xenstore_watch *watch, const char *changed_path)
{
    char *value;
    size_t length;

    if (xenstore_read(XENSTORE_NO_TRANSACTION, "control", "sysrq", &value, &length) != 0)
        return;
    char key = length > 0 ? value[0] : 0;
    memory_free(value);
    if (key == 0)
        return;
    int error = xenstore_write(XENSTORE_NO_TRANSACTION, "control", "sysrq", "", 1); /* the empty string with its NUL, as others do */
    if (error != 0)
        log_warning("control/sysrq: cannot be taken (%d)", error);
    log_notice("sysrq %c", key);
    if (control_handlers->sysrq)
        control_handlers->sysrq(key);
}

static void control_watch(struct xenstore_watch *watch, const char *path,
                          void (*changed)(struct xenstore_watch *watch, const char *changed_path), struct xenstore_request *request)
{
    watch->changed = changed;
    format_string(watch->path, sizeof(watch->path), "%s", path);
    xenstore_watch_start_add(watch, request);
}

int control_start(const struct control_handlers *handlers)
{
    static const char *const features[] = { "feature-poweroff", "feature-reboot" };
    struct xenstore_request announced[array_count(features)], shutdown, sysrq;

    control_handlers = handlers;
    for (unsigned int i = 0; i < array_count(features); i++)
        xenstore_start_write(&announced[i], "control", features[i], "1", 1);
    control_watch(&shutdown_watch, "control/shutdown", control_shutdown_event, &shutdown);
    control_watch(&sysrq_watch, "control/sysrq", control_sysrq_event, &sysrq);
    for (unsigned int i = 0; i < array_count(features); i++) {
        int error = xenstore_await(&announced[i]);
        if (error != 0)
            log_warning("control/%s: cannot be announced (%d)", features[i], error); /* older hosts may forbid it */
    }
    int error = xenstore_watch_await_add(&shutdown_watch, &shutdown), sysrq_error = xenstore_watch_await_add(&sysrq_watch, &sysrq);
    return error != 0 ? error : sysrq_error;
}
