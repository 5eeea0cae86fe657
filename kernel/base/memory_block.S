/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcpy, memmove and memset (System V ABI, <string.h>) in general registers only. newlib's own go byte by byte where
 * pointers are not aligned, or past the caches; these go by words, the last word (the first, when copying downwards)
 * overlapping its neighbour, and leave long runs to the processor's string instructions. All loads of an overlapping
 * edge come before the first store, so that memmove and memcpy share the upward path.
 */

#define REP_WORDS 64 /* from so many 8-byte words on, `rep` has paid for its start-up */

.macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .type \name, @function
    .p2align 4
\name:
.endm

/* void *memmove(void *to, const void *from, size_t bytes) */
function memmove
    mov %rdi, %rcx
    sub %rsi, %rcx
    cmp %rdx, %rcx
    jae memcpy                      /* `to` does not lie inside `from`'s bytes */
    mov %rdi, %rax
    cmp $16, %rdx
    jb memory_copy_small
    mov (%rsi), %r8
    lea -1(%rdx), %rcx
    shr $3, %rcx
1:  mov -8(%rsi, %rdx), %r10
    mov %r10, -8(%rdi, %rdx)
    sub $8, %rdx
    dec %rcx
    jnz 1b
    mov %r8, (%rdi)
    ret
    .size memmove, . - memmove

/* void *memcpy(void *to, const void *from, size_t bytes) */
function memcpy
    mov %rdi, %rax
    cmp $16, %rdx
    jb memory_copy_small
    mov -8(%rsi, %rdx), %r8
    lea -8(%rdi, %rdx), %r9
    lea -1(%rdx), %rcx
    shr $3, %rcx
    cmp $REP_WORDS, %rcx
    jae 2f
1:  mov (%rsi), %r10
    mov %r10, (%rdi)
    add $8, %rsi
    add $8, %rdi
    dec %rcx
    jnz 1b
    mov %r8, (%r9)
    ret
2:  rep movsq
    mov %r8, (%r9)
    ret
    .size memcpy, . - memcpy

/* The copies of less than 16 bytes, for both. */
function memory_copy_small
    cmp $8, %edx
    jae 3f
    cmp $4, %edx
    jae 2f
    cmp $1, %edx
    jb 1f
    movzbl (%rsi), %ecx
    je 0f
    movzwl -2(%rsi, %rdx), %r8d
    mov %r8w, -2(%rdi, %rdx)
0:  mov %cl, (%rdi)
1:  ret
2:  mov (%rsi), %ecx
    mov -4(%rsi, %rdx), %r8d
    mov %ecx, (%rdi)
    mov %r8d, -4(%rdi, %rdx)
    ret
3:  mov (%rsi), %rcx
    mov -8(%rsi, %rdx), %r8
    mov %rcx, (%rdi)
    mov %r8, -8(%rdi, %rdx)
    ret
    .size memory_copy_small, . - memory_copy_small

/* void *memset(void *to, int byte, size_t bytes) */
function memset
    mov %rdi, %r9
    movzbl %sil, %esi
    mov $0x0101010101010101, %rax
    imul %rsi, %rax
    cmp $8, %rdx
    jb 4f
    lea -1(%rdx), %rcx
    shr $3, %rcx
    mov %rax, -8(%rdi, %rdx)
    cmp $REP_WORDS, %rcx
    jae 3f
    sub $4, %rcx
    jb 6f
1:  mov %rax, (%rdi)                /* four words a turn */
    mov %rax, 8(%rdi)
    mov %rax, 16(%rdi)
    mov %rax, 24(%rdi)
    add $32, %rdi
    sub $4, %rcx
    jae 1b
6:  add $4, %rcx
    jz 2f
7:  mov %rax, (%rdi)
    add $8, %rdi
    dec %rcx
    jnz 7b
2:  mov %r9, %rax
    ret
3:  rep stosq
    mov %r9, %rax
    ret
4:  test %edx, %edx
    jz 2b
5:  mov %al, -1(%rdi, %rdx)
    dec %edx
    jnz 5b
    mov %r9, %rax
    ret
    .size memset, . - memset
