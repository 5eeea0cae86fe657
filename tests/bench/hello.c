/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest program of the boot benches: it says one line, at once, and ends. dom0 notes when the line's first byte arrives
 * (output_ns of the guest's result), the same way for both kernels.
 */
#include <unistd.h>

int main(void)
{
    return write(1, "up\n", 3) == 3 ? 0 : 1;
}
