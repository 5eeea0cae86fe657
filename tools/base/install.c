/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the tool finds its own parts: in the build and source trees when it is run from a build tree, else where
 * `make install` put them. A build tree is known by the config.status one directory above the program.
 */
#include "tools/base/install.h"

#include <stdlib.h>

#include "tools/base/file.h"
#include "tools/base/text.h"

/* The build tree the program runs from, or NULL when it is installed. */
static char *build_tree(void)
{
    char *directory = path_program_directory();
    char *mark = text_join("%s/../config.status", directory);
    char *tree = file_exists(mark) ? text_join("%s/..", directory) : NULL;

    free(mark);
    free(directory);
    return tree;
}

/* A data file, named by its path in the source tree; the caller frees it. */
char *install_data(const char *below)
{
    char *tree = build_tree();
    char *path = text_join("%s/%s", tree != NULL ? XENOLITH_SOURCE_DIR : XENOLITH_DATA_DIR, below);

    free(tree);
    return path;
}

/* A helper program of ours. */
char *install_program(const char *room, const char *name)
{
    char *tree = build_tree();
    char *path = tree != NULL ? text_join("%s/tools/%s/%s", tree, room, name) : text_join("%s/%s", XENOLITH_LIBEXEC_DIR, name);

    free(tree);
    return path;
}

/* The guest kernel. */
char *install_kernel(void)
{
    char *tree = build_tree();
    char *path = tree != NULL ? text_join("%s/xenolith", tree) : text_join("%s/xenolith", XENOLITH_LIBEXEC_DIR);

    free(tree);
    return path;
}

/* What dom0 sees as /host: the build tree, or the installed programs. */
char *install_tree(void)
{
    char *tree = build_tree();
    char *path = path_absolute(tree != NULL ? tree : XENOLITH_LIBEXEC_DIR);

    free(tree);
    return path;
}
