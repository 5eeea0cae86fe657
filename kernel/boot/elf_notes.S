/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the ELF tells Xen's loaders (libxenguest for PV and PVH, GRUB, PV-GRUB): where to map it and where to enter it.
 * One file starts both ways: PV by ENTRY, PVH by PHYS32_ENTRY. No hypercall page is asked for. 64-bit words, as GRUB's
 * loader wants them. Source: Xen, public/elfnote.h.
 */

#define NOTE_ENTRY 1
#define NOTE_VIRT_BASE 3
#define NOTE_PADDR_OFFSET 4
#define NOTE_XEN_VERSION 5
#define NOTE_GUEST_OS 6
#define NOTE_GUEST_VERSION 7
#define NOTE_LOADER 8
#define NOTE_PAE_MODE 9
#define NOTE_FEATURES 10
#define NOTE_HV_START_LOW 12
#define NOTE_SUPPORTED_FEATURES 17
#define NOTE_PHYS32_ENTRY 18

/* Features: 0 writable_page_tables, 4 pae_pgdir_above_4gb, 11 dom0 (so that Xen alone can start it, for smoke tests). */
#define SUPPORTED_FEATURES ((1 << 0) | (1 << 4) | (1 << 11))

.macro note number, directive, value:vararg
    .balign 4
    .long 4
    .long 2f - 1f
    .long \number
    .asciz "Xen"
1:  \directive \value
2:  .balign 4
.endm

    .section .note.Xen, "a", @note
    .globl elf_notes
elf_notes:
    note NOTE_GUEST_OS, .asciz, "Xenolith"
    note NOTE_GUEST_VERSION, .asciz, XENOLITH_VERSION
    note NOTE_LOADER, .asciz, "generic"
    note NOTE_XEN_VERSION, .asciz, "xen-3.0"
    note NOTE_VIRT_BASE, .quad, 0xffffffff80000000
    note NOTE_PADDR_OFFSET, .quad, 0
    note NOTE_ENTRY, .quad, start_pv
    note NOTE_PAE_MODE, .asciz, "yes"
    note NOTE_FEATURES, .asciz, "writable_page_tables|!pae_pgdir_above_4gb"
    note NOTE_SUPPORTED_FEATURES, .quad, SUPPORTED_FEATURES
    note NOTE_HV_START_LOW, .quad, 0xffff800000000000
    note NOTE_PHYS32_ENTRY, .long, start_pvh_physical
