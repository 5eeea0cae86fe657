/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that writes code: jumps of mode_gates.S go to PVH's functions from then on.
 */
#include "xen/x86/mode_choice.h"

#include "kernel/base/compiler.h"

#define JUMP_BYTES 5u

struct mode_gate {
    uint8_t *jump;
    const uint8_t *target;
};

extern const struct mode_gate mode_gates[], mode_gates_end[];

void mode_gates_choose_pvh(void)
{
    for (const struct mode_gate *gate = mode_gates; gate < mode_gates_end; gate++) {
        int32_t distance = (int32_t)(gate->target - (gate->jump + JUMP_BYTES));
        __builtin_memcpy(gate->jump + 1, &distance, sizeof(distance));
    }
}
