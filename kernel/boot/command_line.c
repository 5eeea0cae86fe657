/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splitting the command line. Everything stays in the loader's text, unquoted in place; tables point into it.
 */
#include "kernel/boot/command_line.h"

#include <string.h>

#include "kernel/base/format.h"
#include "kernel/base/log.h"

#define WORD_LIMIT 64
#define ARGUMENT_LIMIT 128

static const char *const known_names[] = {
    "console",  /* where messages go; `ring` is the only place so far */
    "env",      /* env=NAME=VALUE for the first program, any number of times */
    "hostname",
    "init",     /* path of the first program, where `--` gives none */
    "ip",       /* ip=ADDRESS/PREFIX[,GATEWAY[,DNS]] or ip=dhcp or ip=none */
    "loglevel", /* as Linux numbers them; 6 if absent */
    "nopatch",  /* programs' system calls stay `syscall` instructions */
    "root",     /* root=xvda, root=ramdisk */
    "ro",
    "rw",
    "strace",   /* prints the program's system calls */
    "user",     /* numeric uid[:gid] of the first program */
    "workdir",
};

static char *words[WORD_LIMIT];
static size_t word_count;
static char *arguments[ARGUMENT_LIMIT + 1];
static size_t argument_count;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Takes one word off *text, unquoted and terminated in place; NULL at the end. */
static char *word_take(char **text)
{
    char *from = *text, *word, *to;
    char quote = 0;

    while (is_space(*from))
        from++;
    if (*from == '\0')
        return NULL;
    for (word = to = from; *from != '\0' && (quote || !is_space(*from)); from++) {
        if (quote && *from == quote)
            quote = 0;
        else if (!quote && (*from == '"' || *from == '\''))
            quote = *from;
        else if (*from == '\\' && quote != '\'' && from[1] != '\0')
            *to++ = *++from;
        else
            *to++ = *from;
    }
    /* `to` may stand on the space that ended the word. */
    *text = *from != '\0' ? from + 1 : from;
    *to = '\0';
    return word;
}

/* The value if the word has this name, else NULL. */
static const char *word_value(const char *word, const char *name)
{
    size_t length = strlen(name);

    if (strncmp(word, name, length) != 0 || (word[length] != '=' && word[length] != '\0'))
        return NULL;
    return word[length] == '=' ? word + length + 1 : word + length;
}

static bool word_known(const char *word)
{
    for (size_t i = 0; i < array_count(known_names); i++)
        if (word_value(word, known_names[i]))
            return true;
    return false;
}

static void unknown_report(void)
{
    char line[200];
    size_t used = 0;

    for (size_t i = 0; i < word_count && used < sizeof(line); i++)
        if (!word_known(words[i]))
            used += (size_t)format_string(line + used, sizeof(line) - used, " %s", words[i]);
    if (used != 0)
        log_warning("command line: unknown words:%s", line);
}

void command_line_parse(char *text)
{
    bool after_dashes = false;
    char *word;

    while ((word = word_take(&text)) != NULL) {
        if (!after_dashes && strcmp(word, "--") == 0) {
            after_dashes = true;
            continue;
        }
        size_t *count = after_dashes ? &argument_count : &word_count;
        if (*count == (after_dashes ? ARGUMENT_LIMIT : WORD_LIMIT)) {
            log_error("command line: too many words; cut before %s", word);
            break;
        }
        (after_dashes ? arguments : words)[(*count)++] = word;
    }
    unknown_report();
}

const char *command_line_value(const char *name)
{
    for (size_t i = word_count; i-- > 0;) {
        const char *value = word_value(words[i], name);
        if (value)
            return value;
    }
    return NULL;
}

const char *command_line_next(const char *name, size_t *cursor)
{
    while (*cursor < word_count) {
        const char *value = word_value(words[(*cursor)++], name);
        if (value)
            return value;
    }
    return NULL;
}

char *const *command_line_arguments(size_t *count)
{
    *count = argument_count;
    return arguments;
}
