/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's xl configuration, from the templates in xl-configs/: each @word@ is replaced by its value.
 */
#include "tools/guest/guest_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/install.h"
#include "tools/base/report.h"

/* As xl reads strings in double quotes. */
static void quoted_add(struct text *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            text_add(out, "\\", 1);
        text_add(out, value, 1);
    }
}

static void list_add(struct text *out, const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        text_format(out, "%s\"", i > 0 ? ", " : "");
        quoted_add(out, list->items[i]);
        text_format(out, "\"");
    }
}

static int word_add(struct text *out, const struct guest_config *config, const char *word)
{
    const struct guest_request *request = config->request;

    if (strcmp(word, "name") == 0)
        quoted_add(out, request->name);
    else if (strcmp(word, "kernel") == 0)
        quoted_add(out, config->kernel);
    else if (strcmp(word, "cmdline") == 0)
        quoted_add(out, request->cmdline);
    else if (strcmp(word, "memory") == 0)
        text_format(out, "%ld", request->memory_mib);
    else if (strcmp(word, "vcpus") == 0)
        text_format(out, "%ld", request->vcpus);
    else if (strcmp(word, "disks") == 0)
        list_add(out, config->disks);
    else if (strcmp(word, "vifs") == 0)
        list_add(out, config->vifs);
    else if (strcmp(word, "ramdisk") != 0)
        return report_error(0, "the guest's configuration template has an unknown word @%s@", word);
    else if (config->ramdisk != NULL) {
        text_format(out, "ramdisk = \"");
        quoted_add(out, config->ramdisk);
        text_format(out, "\"");
    }
    return 0;
}

/* Appends the configuration's text. */
int guest_config_fill(const struct guest_config *config, struct text *out)
{
    struct text template = {0};
    char word[32];

    char *below = text_join("xl-configs/%s.cfg", config->request->type);
    char *path = install_data(below);
    int error = file_read(path, &template);
    if (error < 0)
        report_error(error, "the configuration template %s", path);
    const char *from = text_string(&template);
    while (error == 0 && *from != '\0') {
        const char *at = strchrnul(from, '@');
        text_add(out, from, (size_t)(at - from));
        if (*at == '\0')
            break;
        const char *end = strchrnul(at + 1, '@');
        if (*end == '\0' || (size_t)(end - at) > sizeof(word))
            error = report_error(0, "%s: a word between at signs does not end", path);
        else {
            memcpy(word, at + 1, (size_t)(end - at - 1));
            word[end - at - 1] = '\0';
            error = word_add(out, config, word);
            from = end + 1;
        }
    }
    text_free(&template);
    free(path);
    free(below);
    return error;
}
