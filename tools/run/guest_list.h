/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith ps, logs, stop: guests that are there (guest_list.c). */
#pragma once

int ps_command(int count, char **arguments);
int logs_command(int count, char **arguments);
int stop_command(int count, char **arguments);
