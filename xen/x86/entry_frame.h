/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For entry_pv.S and entry_pvh.S: how both lay out a struct trap_frame, and what they know of C's structures and numbers.
 */
#pragma once

/* Offsets in struct cpu (%gs) and struct context, which cpu_machine.h and context.c assert. */
#define CPU_CURRENT 16
#define CPU_RESCHEDULE 32
#define CPU_KERNEL_MODE 33
#define CPU_CALL_COUNTS 48
#define CONTEXT_STACK_TOP 8
#define CONTEXT_DUE 48 /* four flags */
#define CONTEXT_DOOR_CALLS_LEFT 52

/* upcalls.h's, and error.h's ERESTART_RESTARTBLOCK, from which on five ask for the call to be made again. */
#define HANDLERS 463
#define ERESTART_LAST 516
#define ERESTART_COUNT 5

/* enum trap_vector in trap.h. */
#define VECTOR_EVENT 256
#define VECTOR_SYSTEM_CALL 257

/* The selectors in frames of programs, and those rflags that matter here. */
#define MARK_USER_CODE 0xe033
#define MARK_USER_STACK 0xe02b
#define RFLAGS_TRAP 0x100
#define RFLAGS_INTERRUPT 0x200
#define RFLAGS_FIXED 0x2
/* What a program may have set and C does not bear: direction, nested task, alignment check. `syscall` and Xen clear them. */
#define RFLAGS_NOT_FOR_C 0x44400

/* In a struct trap_frame. */
#define FRAME_RBP 32
#define FRAME_R11 48
#define FRAME_R10 56
#define FRAME_R9 64
#define FRAME_R8 72
#define FRAME_RAX 80
#define FRAME_RCX 88
#define FRAME_RDX 96
#define FRAME_RSI 104
#define FRAME_RDI 112
#define FRAME_ORIGINAL_RAX 120
#define FRAME_VECTOR 128
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_BYTES 176

/* The five words rip, cs, rflags, rsp, ss that lie at \from + \at, copied to the current stack. */
.macro push_words from, at
    pushq 32+\at(\from)
    pushq 24+\at(\from)
    pushq 16+\at(\from)
    pushq 8+\at(\from)
    pushq \at(\from)
.endm

/* From rdi down, as the frame has them. */
.macro push_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
.endm

/* A frame's words below rflags, of a call that goes on at rcx. */
.macro push_call
    pushq $MARK_USER_CODE
    push %rcx
    pushq $VECTOR_SYSTEM_CALL
    push %rax
    push_registers
    xor %ebp, %ebp /* ends the chain of frame pointers for back traces */
.endm

/* rcx and r11 = rip and rflags; to \label unless both are where `syscall` left them, or if there is a single step to be taken. */
.macro unless_as_called label
    mov FRAME_RIP(%rsp), %rcx
    mov FRAME_RFLAGS(%rsp), %r11
    cmp %rcx, FRAME_RCX(%rsp)
    jne \label
    cmp %r11, FRAME_R11(%rsp)
    jne \label
    test $RFLAGS_TRAP, %r11d
    jnz \label
.endm

/*
 * The door: rcx = where the program goes on, rax = the number, r11 is free; the stack is the program's and is not touched. %gs is the CPU's block
 * in the program, too. Until the exchange this is the program, as it would be at its `syscall` (door_leave() in trap.c), which lies just
 * before the place to go on at.
 *
 * The handler is called here (upcalls.h): its arguments are in their registers, but for the fourth. What has no handler, or is measured or
 * traced, takes upcall_door(). Then rax is the result, in the frame as well. Events are deliverable throughout, and what is due is looked at last.
 * One that comes after that look, in leave_door_\mode, is taken as coming at the program's next instruction: its frame is still whole on top
 * of the thread's stack, and what C keeps is the program's still.
 *
 * It begins with a cache line. That also keeps it apart from where the handler comes back to in QEMU's emulation, which finds code by a hash of
 * its address, six bits of it from within the page: where the two were one, every call looked for both anew, and took 1.35 times as long.
 *
 * \compare: cmpb for `reschedule` alone, or cmpw, with CPU_KERNEL_MODE. \out: from where the frame is left as any other is.
 */
.macro door mode, compare, out
    .type door_slow_\mode, @function
door_slow_\mode:
    mov %rsp, %rdi
    call entry_prepare_user
    jmp \out
2:  pushq $(RFLAGS_FIXED | RFLAGS_INTERRUPT)
    popf
    jmp 1f
3:  mov %rsp, %rdi
    call upcall_door
    mov FRAME_RAX(%rsp), %rax
    jmp leave_door_\mode
    .size door_slow_\mode, . - door_slow_\mode

    .balign 64
    .globl entry_door_\mode
    .type entry_door_\mode, @function
entry_door_\mode:
    mov %gs:CPU_CURRENT, %r11
    mov CONTEXT_STACK_TOP(%r11), %r11
    xchg %rsp, %r11
    .globl entry_door_\mode\()_inside
entry_door_\mode\()_inside:
    pushq $MARK_USER_STACK
    push %r11
    pushf
    mov (%rsp), %r11
    mov %eax, %eax /* as Linux has it, the number is rax's low half */
    push_call
    test $RFLAGS_NOT_FOR_C, %r11d
    jnz 2b
1:  mov %gs:CPU_CURRENT, %r11
    decl CONTEXT_DOOR_CALLS_LEFT(%r11)
    js 3b
    cmp $HANDLERS, %eax
    jae 3b
    mov %gs:CPU_CALL_COUNTS, %r11
    test %r11, %r11
    jz 3b
    incl (%r11, %rax, 4)
    mov %r10, %rcx
    call *upcall_handlers(, %rax, 8)
    mov %rax, FRAME_RAX(%rsp)
    .globl leave_door_\mode
leave_door_\mode:
    lea ERESTART_LAST(%rax), %rcx
    cmp $ERESTART_COUNT, %rcx
    jb door_slow_\mode
    \compare $0, %gs:CPU_RESCHEDULE
    jne door_slow_\mode
    mov %gs:CPU_CURRENT, %rcx
    cmpl $0, CONTEXT_DUE(%rcx)
    jne door_slow_\mode
    mov FRAME_RBP(%rsp), %rbp
    mov FRAME_RCX(%rsp), %rcx
    mov FRAME_R10(%rsp), %r10
    mov FRAME_R9(%rsp), %r9
    mov FRAME_R8(%rsp), %r8
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDI(%rsp), %rdi
    add $FRAME_RFLAGS, %rsp
    popf
    pop %rsp
    jmp *%rcx
    .globl leave_door_\mode\()_end
leave_door_\mode\()_end:
    .size entry_door_\mode, . - entry_door_\mode
.endm
