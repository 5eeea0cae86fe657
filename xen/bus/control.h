/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host asks of the domain: control/shutdown and control/sysrq.
 */
#pragma once

enum control_action { CONTROL_POWEROFF, CONTROL_HALT, CONTROL_REBOOT };

struct control_handlers {
    /* The host wants the domain to end. It was acknowledged. Thread context; the roof stops process 1 and ends the domain. Called once for each wish. */
    void (*shutdown)(enum control_action action);
    /* A sysrq key. Thread context. NULL: keys are logged and dropped. */
    void (*sysrq)(char key);
};

/* Writes control/feature-*, and begins to listen. `handlers` is kept. 0 or an error. */
int control_start(const struct control_handlers *handlers);
