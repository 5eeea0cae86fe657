/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks plugged into the lab's QEMU, known by their serial number (disk.c). */
#pragma once

int disk_await(const char *serial);
void disk_forget(const char *serial);
