/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by I/O ports, which PVH guests have.
 */
#pragma once

#include <stddef.h>

/* Xen's debug port: into Xen's own log, where the guest's level lets it through. */
void port_console_write_xen(const char *bytes, size_t length_bytes);
/* The first serial port, where there is no Xen; bytes that it does not take soon are lost. */
void port_console_write_serial(const char *bytes, size_t length_bytes);
