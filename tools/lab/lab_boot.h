/* SPDX-License-Identifier: BSD-2-Clause */
/* xenolith lab boot: any guest kernel, with its console (lab_boot.c). */
#pragma once

int lab_boot(int count, char **arguments);
