/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PV's and PVH's versions of what cpu.h declares; xen/x86/mode_gates.S chooses.
 */
#pragma once

void cpu_events_mask_pv(void);
void cpu_events_mask_pvh(void);
void cpu_events_unmask_pv(void);
void cpu_events_unmask_pvh(void);
void cpu_wait_for_event_pv(void);
void cpu_wait_for_event_pvh(void);
