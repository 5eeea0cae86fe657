/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO's shared object, as the build made it (kernel/process/Makefrag.am), for vdso.c to copy.
 */
    .section .rodata.vdso_image, "a", @progbits
    .balign 16
    .globl vdso_image_start, vdso_image_end
vdso_image_start:
    .incbin "kernel/process/vdso/vdso.so"
vdso_image_end:

    .section .note.GNU-stack, "", @progbits
