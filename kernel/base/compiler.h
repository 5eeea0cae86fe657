/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What C17 leaves to the compiler: attributes, member-to-struct, counts, barriers of the compiler.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#define array_count(array) (sizeof(array) / sizeof((array)[0]))

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define attribute_noreturn __attribute__((noreturn))
#define attribute_packed __attribute__((packed))
#define attribute_aligned(bytes) __attribute__((aligned(bytes)))
#define attribute_printf(text, first) __attribute__((__format__(__printf__, text, first)))
#define attribute_must_check __attribute__((warn_unused_result))
#define attribute_noinline __attribute__((noinline))
#define attribute_cold __attribute__((cold)) /* rarely called: made small rather than fast */
#define attribute_always_inline inline __attribute__((always_inline))
#define attribute_unused __attribute__((unused))

#define compiler_barrier() __asm__ volatile("" ::: "memory")

/* One access, neither torn nor repeated nor merged by the compiler: for words another CPU, Xen or a backend writes. */
#define read_once(object) (*(const volatile __typeof__(object) *)&(object))
#define write_once(object, value) (*(volatile __typeof__(object) *)&(object) = (value))

#define minimum(a, b) ({ __typeof__(a) minimum_a = (a); __typeof__(b) minimum_b = (b); minimum_a < minimum_b ? minimum_a : minimum_b; })
#define maximum(a, b) ({ __typeof__(a) maximum_a = (a); __typeof__(b) maximum_b = (b); maximum_a > maximum_b ? maximum_a : maximum_b; })

#define round_up(value, multiple) ((((value) + (multiple) - 1) / (multiple)) * (multiple))
#define round_down(value, multiple) (((value) / (multiple)) * (multiple))
