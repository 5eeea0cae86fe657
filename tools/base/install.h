/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the tool finds its own parts, in a build tree or installed (install.c). Results are the caller's to free. */
#pragma once

char *install_data(const char *below);
char *install_program(const char *room, const char *name);
char *install_kernel(void);
char *install_tree(void);
