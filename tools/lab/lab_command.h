/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith lab: the lab as a service (lab_command.c). */
#pragma once

int lab_command(int count, char **arguments);
