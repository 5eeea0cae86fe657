/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands to a running QEMU through its monitor socket (monitor.c). Refusals are printed, unless quietly. */
#pragma once

int monitor_command(const char *socket_path, const char *command, const char *arguments_json);
int monitor_command_quietly(const char *socket_path, const char *command, const char *arguments_json);
int monitor_human(const char *socket_path, const char *line);
int monitor_human_quietly(const char *socket_path, const char *line);
