/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of command lines.
 *
 * A file has one command line a line, split into words as a shell does with quotes and backslashes, and without anything else of
 * a shell; blank lines are skipped. In the image (/etc/xenolith/batch) each word ends with a NUL, and an empty word ends
 * the record.
 */
#include "tools/image/batch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/base/file.h"
#include "tools/base/report.h"

/* Takes one word off *at into word. Returns false when there is none; -EINVAL in *error when a quote does not end. */
static bool word_take(const char **at, struct text *word, int *error)
{
    const char *c = *at + strspn(*at, " \t");
    char quote = '\0';
    bool any = false;

    text_clear(word);
    for (; *c != '\0' && (quote != '\0' || (*c != ' ' && *c != '\t')); c++) {
        any = true;
        if (quote == '\0' && (*c == '\'' || *c == '"'))
            quote = *c;
        else if (quote != '\0' && *c == quote)
            quote = '\0';
        else if (*c == '\\' && quote != '\'' && c[1] != '\0')
            text_add(word, ++c, 1);
        else
            text_add(word, c, 1);
    }
    if (quote != '\0')
        *error = -EINVAL;
    *at = c;
    return any;
}

static int line_add(struct batch *batch, const char *line)
{
    struct text_list words = {0};
    struct text word = {0};
    int error = 0;

    for (const char *at = line; word_take(&at, &word, &error);)
        text_list_add(&words, text_string(&word));
    text_free(&word);
    if (error < 0 || words.count == 0) {
        text_list_free(&words);
        return error;
    }
    struct text_list *grown = realloc(batch->words, (batch->lines.count + 1) * sizeof(words));
    if (grown == NULL)
        return -ENOMEM;
    batch->words = grown;
    batch->words[batch->lines.count] = words;
    text_list_add(&batch->lines, line);
    return 0;
}

int batch_read(const char *path, struct batch *out)
{
    struct text text = {0};
    char *rest = NULL;
    size_t number = 1;

    *out = (struct batch){0};
    int error = file_read(path, &text);
    if (error < 0)
        return report_error(error, "the list of commands %s", path);
    for (char *line = text.length > 0 ? strtok_r(text.bytes, "\n", &rest) : NULL; error == 0 && line != NULL;
         line = strtok_r(NULL, "\n", &rest), number++) {
        error = line_add(out, line);
        if (error < 0)
            report_error(error == -EINVAL ? 0 : error, "%s: a quote that does not end in command %zu", path, number);
    }
    text_free(&text);
    if (error == 0 && out->lines.count == 0)
        error = report_error(0, "%s holds no command", path);
    return error;
}

void batch_encode(const struct batch *batch, size_t from, struct text *out)
{
    for (size_t i = from; i < batch->lines.count; i++) {
        for (size_t j = 0; j < batch->words[i].count; j++)
            text_add(out, batch->words[i].items[j], strlen(batch->words[i].items[j]) + 1);
        text_add(out, "", 1);
    }
}

void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->lines.count; i++)
        text_list_free(&batch->words[i]);
    free(batch->words);
    text_list_free(&batch->lines);
    *batch = (struct batch){0};
}
