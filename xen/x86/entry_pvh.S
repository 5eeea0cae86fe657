/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH's ways into the kernel and out of it. The program runs in ring 0 as we do, so the processor changes no stack by itself:
 *
 *  - traps and events come through interrupt gates, whose interrupt stack is the CPU's entry stack, always: nothing is ever
 *    pushed on the program's stack, and its red zone stays whole. The frame moves at once, to the thread's kernel stack, or,
 *    when the kernel was interrupted, below its own stack pointer;
 *  - syscall comes with the program's stack and with interrupts off, and touches memory by GS only until it is on the thread's.
 *
 * Interrupted was the kernel where both rip and rsp are in the upper half; anything else is the program, also one that
 * jumped to a wild address. From it swapgs brings the kernel's GS base. Its frame carries PV's user selectors, as a mark:
 * trap_frame_is_user() goes by them; all code runs on SELECTOR_CODE. From there on it is the same C as PV's.
 *
 * A fault while a frame is being moved means that the kernel's stack has overflowed: entry_overflow reports it.
 */

#include "xen/x86/descriptors_pvh.h"
#include "xen/x86/entry_frame.h"

/* In struct cpu_machine (%gs), which asserts it. */
#define CPU_USER_STACK_POINTER 576

    .text

/* ---- System calls: rcx = rip, r11 = rflags ------------------------------------------------------------------------- */

    .globl entry_system_call_pvh
    .type entry_system_call_pvh, @function
entry_system_call_pvh:
    swapgs
    mov %rsp, %gs:CPU_USER_STACK_POINTER
    mov %gs:CPU_CURRENT, %rsp
    mov CONTEXT_STACK_TOP(%rsp), %rsp
    pushq $MARK_USER_STACK
    pushq %gs:CPU_USER_STACK_POINTER
    push %r11
    push_call
    mov %rsp, %rdi
    sti
    call entry_system_call
    .size entry_system_call_pvh, . - entry_system_call_pvh

/* rsp = a struct trap_frame of the program's, events masked. */
    .type return_to_user, @function
return_to_user:
    /* As syscall left them, and no single step: the quick way. The flags are loaded without the interrupt flag, which sti
     * sets for the instruction after the jump. */
    unless_as_called 1f
    andl $~RFLAGS_INTERRUPT, FRAME_RFLAGS(%rsp)
    pop_registers
    swapgs
    add $32, %rsp
    popf
    mov (%rsp), %rsp
    sti
return_jump:
    jmp *%rcx
1:  pop_registers
    swapgs
    add $16, %rsp
    movq $SELECTOR_CODE, 8(%rsp)
    movq $SELECTOR_STACK, 32(%rsp)
    iretq
    .size return_to_user, . - return_to_user

/* entry_leave_to(frame). */
    .globl entry_leave_to_pvh
    .type entry_leave_to_pvh, @function
entry_leave_to_pvh:
    mov %rdi, %rsp
    jmp return_to_user
    .size entry_leave_to_pvh, . - entry_leave_to_pvh

    door pvh, cmpb, return_to_user

/* ---- Idling: events masked, before and after ------------------------------------------------------------------------- */

    .globl entry_halt_pvh
    .type entry_halt_pvh, @function
entry_halt_pvh:
    sti
halt_instruction:
    hlt
    cli
    ret
    .size entry_halt_pvh, . - entry_halt_pvh

/* ---- Traps and events ----------------------------------------------------------------------------------------------- */

/*
 * On the entry stack: vector, error code, rip, cs, rflags, rsp, ss.
 *
 * No event should come between sti and the instruction behind it. In QEMU's emulation of SVM (7.2, helper_vmrun()) it can: an interrupt of
 * Xen's own ends the guest there, and going on in it forgets what int_state says of sti. So the jump to the program is taken here
 * as done, for which its rip was the kernel's, and so is the halt, as the event that should end it has come before.
 */
    .type entry_interrupt, @function
entry_interrupt:
    push %rdi
    push %rsi
    cld
    mov 32(%rsp), %rdi
    and 56(%rsp), %rdi
    js 1f
    swapgs
    movq $MARK_USER_CODE, 40(%rsp)
    movq $MARK_USER_STACK, 64(%rsp)
    mov %gs:CPU_CURRENT, %rdi
    mov CONTEXT_STACK_TOP(%rdi), %rdi
    cmpq $return_jump, 32(%rsp)
    jne 2f
    mov %rcx, 32(%rsp)
    jmp 2f
1:  mov 32(%rsp), %rdi
    cmp $halt_instruction, %rdi
    jne 3f
    incq 32(%rsp)
3:  mov %rdi, %rsi
    sub $leave_door_pvh, %rsi
    cmp $(leave_door_pvh_end - leave_door_pvh), %rsi
    jb 5f
    sub $entry_move, %rdi
    cmp $(entry_move_end - entry_move), %rdi
    jb entry_overflow
    mov 56(%rsp), %rdi
    and $-16, %rdi
2:  mov %rsp, %rsi
entry_move:
    mov %rdi, %rsp
    push_words %rsi, 32
    mov 24(%rsi), %rdi
    shl $32, %rdi
    or 16(%rsi), %rdi
    push %rdi
    pushq $-1
    mov 8(%rsi), %rdi
    mov (%rsi), %rsi
    push_registers
entry_move_end:
    testb $3, FRAME_CS(%rsp)
    jz 4f
    xor %ebp, %ebp /* ends the chain of frame pointers for back traces */
4:  mov %cr2, %rsi
    mov %rsp, %rdi
    call entry_trap
    testb $3, FRAME_CS(%rsp)
    jnz return_to_user
    pop_registers
    add $16, %rsp
    iretq
5:  /* Nearly out of the door: as if it had come one instruction later. */
    mov 16(%rsp), %rsi
    mov %gs:CPU_CURRENT, %rdi
    mov CONTEXT_STACK_TOP(%rdi), %rdi
    lea -FRAME_BYTES(%rdi), %rsp
    mov %rsi, FRAME_VECTOR(%rsp)
    movq $-1, FRAME_ORIGINAL_RAX(%rsp)
    xor %ebp, %ebp
    jmp 4b
    .size entry_interrupt, . - entry_interrupt

    .type entry_overflow, @function
entry_overflow:
    mov %rsp, %rsi
    lea emergency_stack_top(%rip), %rsp
    push_words %rsi, 32
    pushq $GATE_DOUBLE_FAULT
    pushq $-1
    jmp entry_last
    .size entry_overflow, . - entry_overflow

/* A missing segment, or the event: its gate alone is not present, at first (trap_table_pvh.c). The stack is entry_interrupt's. */
    .type entry_no_segment, @function
entry_no_segment:
    testb $GATE_ERROR_TABLE, 8(%rsp)
    jz entry_interrupt
    testb $GATE_ERROR_EXTERNAL, 8(%rsp)
    jz 1f
    /* A processor that knows an event from an instruction. Another CPU may do the same now, and nobody undoes it. */
    orb $GATE_PRESENT, gates_pvh + GATE_EVENT * GATE_BYTES + GATE_PRESENT_BYTE
1:  movq $VECTOR_EVENT, (%rsp)
    jmp entry_interrupt
    .size entry_no_segment, . - entry_no_segment

/* Double faults and machine checks, on the emergency stack: the last thing that happens. */
    .type entry_fatal, @function
entry_fatal:
    cld
    push %rdi
    /* The vector goes over the error code, which says nothing here. */
    mov 8(%rsp), %rdi
    mov %rdi, 16(%rsp)
    movq $-1, 8(%rsp)
    mov 24(%rsp), %rdi
    and 48(%rsp), %rdi
    pop %rdi
    js entry_last
    swapgs
entry_last:
    push_registers
    mov %cr2, %rsi
    mov %rsp, %rdi
    call entry_trap
    ud2
    .size entry_fatal, . - entry_fatal

/* ---- The gates: 16 bytes each, so that trap_table_pvh.c knows where they are ---------------------------------------- */

.macro gate vector
    .balign 16
    .if \vector == GATE_NMI
    iretq       /* nobody sends us any */
    .else
    .ifeq (\vector - 8) * (\vector - 10) * (\vector - 11) * (\vector - 12) * (\vector - 13) * (\vector - 14) * (\vector - 17) * (\vector - 21) * (\vector - 29) * (\vector - 30)
    .elseif \vector == GATE_EVENT
    pushq $GATE_ERROR_EXTERNAL
    .else
    pushq $0
    .endif
    .if \vector == GATE_EVENT
    pushq $VECTOR_EVENT
    .else
    pushq $\vector
    .endif
    .if (\vector == GATE_DOUBLE_FAULT) || (\vector == GATE_MACHINE_CHECK)
    jmp entry_fatal
    .elseif \vector == GATE_NO_SEGMENT
    jmp entry_no_segment
    .else
    jmp entry_interrupt
    .endif
    .endif
.endm

    .balign 16
    .globl entry_gates_pvh
    .type entry_gates_pvh, @function
entry_gates_pvh:
    .set number, 0
    .rept GATE_EVENT + 1
    gate number
    .set number, number + 1
    .endr
    .size entry_gates_pvh, . - entry_gates_pvh
