/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What code_patch.c, which changes a space's own pages, and file_doors.c, with pages changed for all, share.
 */
#pragma once

#include "kernel/base/reference.h"
#include "kernel/vm/address_space_internal.h"
#include "kernel/vm/code_patch.h"
#include "xen/x86/door.h"

#define DOOR_AREA_BYTES 0x10000ull
#define DOOR_AREA_PAGES (DOOR_AREA_BYTES / PAGE_SIZE)
#define DOOR_AREA_SLOTS (DOOR_AREA_BYTES / DOOR_TRAMPOLINE_BYTES)
#define DOOR_AREA_LIMIT 16u
#define DOOR_SET_LIMIT 8u
#define SEEN_COUNT 256u

struct patch {
    struct door_site site;
    uint64_t trampoline;
    uint8_t original[DOOR_JUMP_BYTES], jump[DOOR_JUMP_BYTES];
};

struct patch_area {
    uint64_t base;
    uint64_t used[DOOR_AREA_SLOTS / 64];
};

/* A file is mapped, from `base` on (page 0, mapped or not), with the doors of this set. */
struct door_use {
    uint64_t base;
    struct door_set *set;
};

/* Locks: s space->lock; a atomic. */
struct code_patches {
    _Atomic uint64_t seen[SEEN_COUNT]; /* a sites that came by `syscall`, by a hash: how often, and the address */
    struct patch *patches;             /* s by address */
    uint32_t patch_count, patch_room;  /* s */
    struct patch_area *areas[DOOR_AREA_LIMIT]; /* s */
    uint32_t area_count;               /* s */
    struct door_use uses[DOOR_SET_LIMIT]; /* s */
    uint32_t use_count;                /* s */
    bool stopped;                      /* s */
};

struct code_patches *patches_of(struct address_space *space);
/* One more call of the site in such a table: how often it came; SEEN_REFUSED: it need not be looked at any more. */
#define SEEN_REFUSED 0xffffu
uint64_t seen_count(_Atomic uint64_t *table, size_t count, uint64_t call);
void seen_set(_Atomic uint64_t *table, size_t count, uint64_t call, uint64_t times);
/* Private code that its program cannot write, and no trampolines. */
bool area_is_code(const struct area *area, uint64_t address);
/* The code around the call, as it is in memory, as far as its page goes: what matters to a site lies in one. False: it can be no door. */
bool site_look(struct patch *patch, const uint8_t *code, uint64_t call, uint32_t number);
/* A place for the site's trampoline, in the patch then, and its jump. False: there is none. The place is not marked. */
bool slot_find(struct patch_area *area, const struct door_site *site, struct patch *patch);
struct patch_area *area_of_trampoline(struct code_patches *patches, uint64_t trampoline);
void slot_mark(struct patch_area *area, uint64_t trampoline, bool used);
/* A new area of trampolines at `place`, where nothing is. 0 or -ENOMEM. space->lock held for writing. */
int patch_area_make(struct address_space *space, struct code_patches *patches, uint64_t place);
/* Which is the first site at `call` or above; patch_count: none. */
uint32_t patch_at(const struct code_patches *patches, uint64_t call);
/* Makes room for `count` patches from the first at `call` or above on: where they are to stand, or NULL. space->lock held for writing. */
struct patch *patches_add(struct code_patches *patches, uint64_t call, uint32_t count);

/* ---- file_doors.c ---- */

/* The space has called by `syscall` from this place, for the first time. No lock; may sleep. */
void file_doors_note(struct address_space *space, uint64_t call, uint32_t number);
/* The use whose trampolines lie at `trampolines`, if there is one, is over. space->lock held for writing. */
void door_use_end(struct code_patches *patches, uint64_t trampolines);
/* Ends uses that have no site in this space any more, and unmaps their trampolines. 0 or -ENOMEM. space->lock held for writing. */
int door_uses_tidy(struct address_space *space, struct code_patches *patches);
void door_uses_copy(const struct code_patches *from, struct code_patches *to);
void door_uses_free(struct code_patches *patches);
/* Doors made in files so far. */
uint64_t file_doors_shared(void);
