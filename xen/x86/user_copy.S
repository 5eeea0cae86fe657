/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying to, from and within the program's memory. A fault that the pager cannot satisfy goes on at the fix-up, where
 * the string instruction's registers tell how much is left.
 */

#include "xen/x86/exception_table.h"

    .text

/* size_t user_copy_bytes(void *to, const void *from, size_t length): bytes not copied. */
    .globl user_copy_bytes
    .type user_copy_bytes, @function
user_copy_bytes:
    mov %rdx, %rcx
    and $7, %edx
    shr $3, %rcx
1:  rep movsq
    mov %edx, %ecx
2:  rep movsb
    xor %eax, %eax
    ret
3:  lea (%rdx, %rcx, 8), %rcx /* byte by byte up to the very one that faults */
    jmp 2b
4:  mov %rcx, %rax
    ret
    EXCEPTION_ENTRY(1b, 3b)
    EXCEPTION_ENTRY(2b, 4b)
    .size user_copy_bytes, . - user_copy_bytes

/* size_t user_zero_bytes(void *to, size_t length): bytes not cleared. */
    .globl user_zero_bytes
    .type user_zero_bytes, @function
user_zero_bytes:
    xor %eax, %eax
    mov %rsi, %rcx
    and $7, %esi
    shr $3, %rcx
1:  rep stosq
    mov %esi, %ecx
2:  rep stosb
    ret
3:  lea (%rsi, %rcx, 8), %rcx
    jmp 2b
4:  mov %rcx, %rax
    ret
    EXCEPTION_ENTRY(1b, 3b)
    EXCEPTION_ENTRY(2b, 4b)
    .size user_zero_bytes, . - user_zero_bytes
