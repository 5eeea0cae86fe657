/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's kernel and an initramfs that keeps to our guest contract: the control guest (linux_guest.c). */
#pragma once

int linux_guest_provide(char **kernel, char **ramdisk);
