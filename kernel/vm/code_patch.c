/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors in programs' code.
 *
 * A site is changed under space->lock for writing, which also keeps fork away, in a page that is the space's alone by then. Where other CPUs may
 * run the code meanwhile: first a breakpoint (and, at the end of a syscall that goes with it, the unknown opcode that stays), then
 * the jump's other bytes, then its first one, and after each all CPUs of the space have taken an event, which makes them read their
 * code anew. Who meets the breakpoint is sent to the trampoline, which is ready by then (code_patch_repair()).
 *
 * Trampolines are given back only with their site's mapping: whoever may still be in one would go on in nothing, door or not.
 */
#include "kernel/vm/code_patch.h"

#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/code_patch_internal.h"
#include "xen/machine/cpu.h"
#include "xen/x86/user_access.h"

#define PAGE_SLOTS (PAGE_SIZE / DOOR_TRAMPOLINE_BYTES) /* two words of bits */
#define AREA_DISTANCE 0x40000000ull  /* how far from a site its trampolines may be put */
#define SITE_LIMIT 8192u
#define SEEN_WAYS 4u
#define SEEN_COUNT_SHIFT 48
#define BREAKPOINT 0xcc
#define PATCH_NEEDS_PAGE 1
#define PATCH_IS_THERE 2
#define PATCH_NOT_NOW 3

bool code_patch_enabled = true;

static const char area_name[] = "[doors]";
static _Atomic uint64_t sites_made, sites_refused, repairs_made;

/* ---- What was seen ------------------------------------------------------------------------------------------------ */

struct code_patches *patches_of(struct address_space *space)
{
    struct code_patches *patches = atomic_load_explicit(&space->patches, memory_order_acquire), *none = NULL;

    if (likely(patches))
        return patches;
    patches = memory_allocate_zeroed(sizeof(*patches));
    if (patches && !atomic_compare_exchange_strong(&space->patches, &none, patches)) {
        memory_free(patches);
        patches = none;
    }
    return patches;
}

/* A call's place in its set; if it has none, that of whichever came least often. So sites that come by turns do not keep each other from being counted. */
static _Atomic uint64_t *seen_place(_Atomic uint64_t *table, size_t count, uint64_t call)
{
    _Atomic uint64_t *set = &table[(call ^ call >> 7 ^ call >> 14) % (count / SEEN_WAYS) * SEEN_WAYS], *least = set;

    for (uint32_t way = 0; way < SEEN_WAYS; way++) {
        uint64_t seen = atomic_load_explicit(&set[way], memory_order_relaxed);
        if (seen << (64 - SEEN_COUNT_SHIFT) == call << (64 - SEEN_COUNT_SHIFT))
            return &set[way];
        if (seen >> SEEN_COUNT_SHIFT < atomic_load_explicit(least, memory_order_relaxed) >> SEEN_COUNT_SHIFT)
            least = &set[way];
    }
    return least;
}

void seen_set(_Atomic uint64_t *table, size_t count, uint64_t call, uint64_t times)
{
    atomic_store_explicit(seen_place(table, count, call), call | times << SEEN_COUNT_SHIFT, memory_order_relaxed);
}

uint64_t seen_count(_Atomic uint64_t *table, size_t count, uint64_t call)
{
    _Atomic uint64_t *place = seen_place(table, count, call);
    uint64_t seen = atomic_load_explicit(place, memory_order_relaxed), times = seen >> SEEN_COUNT_SHIFT;

    if (seen << (64 - SEEN_COUNT_SHIFT) != call << (64 - SEEN_COUNT_SHIFT))
        times = 0;
    if (times == SEEN_REFUSED)
        return times;
    atomic_store_explicit(place, call | (times + 1) << SEEN_COUNT_SHIFT, memory_order_relaxed);
    return times + 1;
}

/* ---- Trampolines ---------------------------------------------------------------------------------------------------- */

/* A free place among the area's slots from `first` to `last`. */
static bool slot_take(struct patch_area *area, size_t first, size_t last, const struct door_site *site, struct patch *patch)
{
    for (size_t slot = first; slot < last; slot++) {
        uint64_t place = door_trampoline_place(site, area->base + slot * DOOR_TRAMPOLINE_BYTES);
        slot = (place - area->base) / DOOR_TRAMPOLINE_BYTES;
        if (slot >= last)
            return false;
        if (!(area->used[slot / 64] & 1ull << slot % 64)) {
            patch->trampoline = place;
            return door_jump_write(site, place, patch->jump);
        }
    }
    return false;
}

/* The pages that have been taken from come first. */
bool slot_find(struct patch_area *area, const struct door_site *site, struct patch *patch)
{
    bool found = false;

    for (size_t i = 0; !found && i < 2 * DOOR_AREA_SLOTS / PAGE_SLOTS; i++) {
        bool fresh = i >= DOOR_AREA_SLOTS / PAGE_SLOTS;
        size_t first = i % (DOOR_AREA_SLOTS / PAGE_SLOTS) * PAGE_SLOTS;
        bool taken_from = area->used[first / 64] || area->used[first / 64 + 1];
        found = taken_from != fresh && slot_take(area, first, first + PAGE_SLOTS, site, patch);
    }
    return found;
}

struct patch_area *area_of_trampoline(struct code_patches *patches, uint64_t trampoline)
{
    for (uint32_t i = 0; i < patches->area_count; i++)
        if (trampoline - patches->areas[i]->base < DOOR_AREA_BYTES)
            return patches->areas[i];
    return NULL;
}

void slot_mark(struct patch_area *area, uint64_t trampoline, bool used)
{
    size_t slot = area ? (trampoline - area->base) / DOOR_TRAMPOLINE_BYTES : 0;

    if (area && used)
        area->used[slot / 64] |= 1ull << slot % 64;
    else if (area)
        area->used[slot / 64] &= ~(1ull << slot % 64);
}

int patch_area_make(struct address_space *space, struct code_patches *patches, uint64_t place)
{
    if (patches->area_count == DOOR_AREA_LIMIT || space->area_count >= AREA_COUNT_LIMIT)
        return -ENOMEM;
    int error = address_space_admit(space, DOOR_AREA_PAGES, PAGING_READ | PAGING_EXECUTE, 0);
    if (error != 0)
        return error;
    struct patch_area *record = memory_allocate_zeroed(sizeof(*record));
    struct area *area = area_create(space, place, place + DOOR_AREA_BYTES, PAGING_READ | PAGING_EXECUTE,
                                    AREA_MAY_WRITE | AREA_NO_RESERVE | AREA_PATCHED, NULL, 0, area_name);
    if (!record || !area) {
        memory_free(record);
        if (area)
            area_free(area);
        return -ENOMEM;
    }
    record->base = place;
    patches->areas[patches->area_count++] = record;
    area_attach(space, area);
    return 0;
}

/* A new place for trampolines near the site, below it where there is room. */
static int area_add(struct address_space *space, struct code_patches *patches, uint64_t near)
{
    uint64_t low = near > AREA_DISTANCE + USER_ADDRESS_LOW ? near - AREA_DISTANCE : USER_ADDRESS_LOW;
    uint64_t place = area_tree_find_gap(space, DOOR_AREA_BYTES, low, PAGE_ROUND_DOWN(near));

    if (place == 0)
        place = area_tree_find_gap(space, DOOR_AREA_BYTES, PAGE_ROUND_DOWN(near), minimum(near + AREA_DISTANCE, USER_ADDRESS_HIGH));
    return place != 0 ? patch_area_make(space, patches, place) : -ENOMEM;
}

static int trampoline_find(struct address_space *space, struct code_patches *patches, struct patch *patch)
{
    for (uint32_t i = 0; i < patches->area_count; i++)
        if (slot_find(patches->areas[i], &patch->site, patch))
            return 0;
    int error = area_add(space, patches, patch->site.call);
    if (error == 0 && !slot_find(patches->areas[patches->area_count - 1], &patch->site, patch))
        error = -ENOSPC;
    return error;
}

/* ---- Changing code -------------------------------------------------------------------------------------------------- */

/* Where the kernel writes the bytes at `address`, if their page is the space's alone; else NULL. */
static uint8_t *own_code(struct address_space *space, uint64_t address)
{
    struct paging_entry entry;

    mutex_lock(&space->page_lock);
    paging_query(&space->root, PAGE_ROUND_DOWN(address), &entry, 1);
    mutex_unlock(&space->page_lock);
    if (!paging_entry_used(&entry) || (entry.flags & PAGING_COPY_ON_WRITE))
        return NULL;
    return (uint8_t *)page_address(page_from_pfn(entry.pfn)) + (address & PAGE_MASK);
}

static void others_read_anew(struct address_space *space)
{
    uint64_t others = atomic_load(&space->root.cpu_mask) & ~(1ull << cpu_current()->number);

    if (others)
        cpu_kick_and_wait(others);
}

/* The file's comment says why so. `pivot` is the byte that becomes, or ceases to be, where an instruction begins; 0: none. */
static void code_write(struct address_space *space, uint8_t *code, const uint8_t bytes[DOOR_JUMP_BYTES], uint32_t pivot, bool pivot_first)
{
    if (cpu_online_count() == 1) {
        memcpy(code, bytes, DOOR_JUMP_BYTES);
        return;
    }
    write_once(code[0], BREAKPOINT);
    if (pivot != 0 && pivot_first)
        write_once(code[pivot], bytes[pivot]);
    others_read_anew(space);
    for (uint32_t i = 1; i < DOOR_JUMP_BYTES; i++)
        if (i != pivot)
            write_once(code[i], bytes[i]);
    others_read_anew(space);
    if (pivot != 0)
        write_once(code[pivot], bytes[pivot]);
    write_once(code[0], bytes[0]);
    others_read_anew(space);
}

static uint32_t patch_pivot(const struct patch *patch)
{
    return door_site_is_after(&patch->site) ? SYSCALL_BYTES : 0;
}

uint32_t patch_at(const struct code_patches *patches, uint64_t call)
{
    uint32_t low = 0, high = patches->patch_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (patches->patches[middle].site.call < call)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct patch *patch_find(struct code_patches *patches, uint64_t call)
{
    uint32_t at = patch_at(patches, call);

    return at < patches->patch_count && patches->patches[at].site.call == call ? &patches->patches[at] : NULL;
}

struct patch *patches_add(struct code_patches *patches, uint64_t call, uint32_t count)
{
    uint32_t room = patches->patch_room ? patches->patch_room : 32;

    while (room < patches->patch_count + count)
        room *= 2;
    if (room > patches->patch_room) {
        struct patch *larger = room <= SITE_LIMIT ? memory_allocate(room * sizeof(*larger)) : NULL;
        if (!larger)
            return NULL;
        if (patches->patch_count)
            memcpy(larger, patches->patches, patches->patch_count * sizeof(*larger));
        memory_free(patches->patches);
        patches->patches = larger;
        patches->patch_room = room;
    }
    struct patch *place = &patches->patches[patch_at(patches, call)];
    memmove(place + count, place, (size_t)(&patches->patches[patches->patch_count] - place) * sizeof(*place));
    patches->patch_count += count;
    return place;
}

/* A page that fork shares becomes the space's own. Nothing there: nothing to be done, it comes from the file. */
static int code_take(struct address_space *space, uint64_t address)
{
    struct page *copy = page_allocate(0, PAGE_ANONYMOUS, 0);
    struct paging_entry entry;
    int error = 0;

    mutex_lock(&space->page_lock);
    paging_query(&space->root, PAGE_ROUND_DOWN(address), &entry, 1);
    if (paging_entry_used(&entry) && (entry.flags & PAGING_COPY_ON_WRITE)) {
        error = -ENOMEM;
        if (copy) {
            struct paging_entry own = { page_pfn(copy), entry.flags & PROTECTION_ALL };
            memcpy(page_address(copy), page_address(page_from_pfn(entry.pfn)), PAGE_SIZE);
            error = paging_map(&space->root, PAGE_ROUND_DOWN(address), &own, 1);
        }
        if (error == 0) {
            page_release(page_from_pfn(entry.pfn));
            copy = NULL;
        }
    }
    mutex_unlock(&space->page_lock);
    if (copy)
        page_release(copy);
    return error;
}

/* 0 or -ENOMEM: then the code is a door still. */
static int patch_restore(struct address_space *space, const struct patch *patch)
{
    uint8_t *code = own_code(space, patch->site.start);
    int error = code ? 0 : code_take(space, patch->site.start);

    if (error != 0)
        return error;
    code = own_code(space, patch->site.start);
    if (code && memcmp(code, patch->jump, DOOR_JUMP_BYTES) == 0)
        code_write(space, code, patch->original, patch_pivot(patch), false);
    return 0;
}

bool site_look(struct patch *patch, const uint8_t *code, uint64_t call, uint32_t number)
{
    size_t before = call & PAGE_MASK, from = PAGE_SIZE - before;

    if (!door_site_read(&patch->site, call, code, minimum(before, (size_t)DOOR_BEFORE_BYTES), minimum(from, (size_t)DOOR_AFTER_BYTES), number))
        return false;
    memcpy(patch->original, code - (call - patch->site.start), DOOR_JUMP_BYTES);
    return true;
}

bool area_is_code(const struct area *area, uint64_t address)
{
    return area && area->start <= address && area_is_private(area) && area->name != area_name &&
           (area->protection & (PAGING_EXECUTE | PAGING_WRITE)) == PAGING_EXECUTE;
}

/*
 * 0; PATCH_IS_THERE; PATCH_NEEDS_PAGE: *needed must be a page of the space's own; PATCH_NOT_NOW: it is code that may be written to; an error: it cannot
 * be. space->lock held for writing.
 */
static int patch_make(struct address_space *space, struct code_patches *patches, uint64_t call, uint32_t number, uint64_t *needed)
{
    struct area *area = address_space_find(space, call);
    struct patch found = { .trampoline = 0 };

    if (patches->stopped)
        return -EINVAL;
    if (!area_is_code(area, call))
        return PATCH_NOT_NOW;
    *needed = call;
    uint8_t *code = own_code(space, call);
    if (!code)
        return PATCH_NEEDS_PAGE;
    struct patch *old = patch_find(patches, call);
    if (old && memcmp(code - (call - old->site.start), old->jump, DOOR_JUMP_BYTES) == 0)
        return PATCH_IS_THERE; /* another thread was faster, or one that was interrupted at the door comes this way */
    if (!site_look(&found, code, call, number))
        return -EINVAL;
    /* Its page may have gone (MADV_DONTNEED, truncation), and come again from the file. */
    if (old && memcmp(&old->site, &found.site, sizeof(found.site)) == 0)
        found = *old;
    int error = found.trampoline ? 0 : trampoline_find(space, patches, &found);
    if (error != 0)
        return error;
    *needed = found.trampoline;
    uint8_t *trampoline = own_code(space, found.trampoline);
    if (!trampoline)
        return PATCH_NEEDS_PAGE;
    struct patch *patch = old ? old : patches_add(patches, call, 1);
    if (!patch)
        return -ENOMEM;
    *patch = found;
    slot_mark(area_of_trampoline(patches, found.trampoline), found.trampoline, true);
    door_trampoline_write(&found.site, found.trampoline, trampoline, door_entry_address());
    area_set_kind(area, area->protection, area->flags | AREA_PATCHED);
    code_write(space, code - (call - found.site.start), found.jump, patch_pivot(patch), true);
    return 0;
}

static void site_make(struct address_space *space, struct code_patches *patches, uint64_t call, uint32_t number)
{
    uint64_t needed = 0;
    int result = PATCH_NEEDS_PAGE;
    struct page *page;

    for (int turn = 0; result == PATCH_NEEDS_PAGE && turn < 8; turn++) {
        if (needed != 0 && address_space_get_page(space, needed, PAGING_READ | FAULT_PRIVATE, &page) == 0)
            page_release(page);
        rw_lock_write(&space->lock);
        result = patch_make(space, patches, call, number, &needed);
        rw_unlock_write(&space->lock);
    }
    if (result == 0)
        atomic_fetch_add_explicit(&sites_made, 1, memory_order_relaxed);
    else if (result < 0)
        atomic_fetch_add_explicit(&sites_refused, 1, memory_order_relaxed);
    seen_set(patches->seen, SEEN_COUNT, call, result < 0 ? SEEN_REFUSED : 0);
}

void code_patch_seen(struct address_space *space, uint64_t call, uint32_t number)
{
    struct code_patches *patches = patches_of(space);
    uint64_t times = patches ? seen_count(patches->seen, SEEN_COUNT, call) : SEEN_REFUSED;

    if (times == SEEN_REFUSED)
        return;
    if (times == 1)
        file_doors_note(space, call, number);
    if (times >= CODE_PATCH_CALLS)
        site_make(space, patches, call, number);
}

uint64_t code_patch_repair(struct address_space *space, uint64_t rip)
{
    struct code_patches *patches = atomic_load_explicit(&space->patches, memory_order_acquire);
    uint64_t go_on = 0;

    if (!patches)
        return 0;
    rw_lock_read(&space->lock);
    for (uint32_t i = patch_at(patches, rip - DOOR_JUMP_BYTES); i < patches->patch_count && go_on == 0; i++) {
        const struct patch *patch = &patches->patches[i];
        if (patch->site.call >= rip + DOOR_BEFORE_BYTES)
            break;
        if (rip == patch->site.start + 1)
            go_on = patch->trampoline;
        else if (door_site_is_after(&patch->site) && rip == patch->site.call + SYSCALL_BYTES)
            go_on = door_go_on(patch->trampoline);
    }
    rw_unlock_read(&space->lock);
    if (go_on != 0)
        atomic_fetch_add_explicit(&repairs_made, 1, memory_order_relaxed);
    return go_on;
}

uint64_t code_patch_place(struct address_space *space, uint64_t rip)
{
    struct code_patches *patches = atomic_load_explicit(&space->patches, memory_order_acquire);
    uint64_t place = rip;

    if (!patches)
        return rip;
    rw_lock_read(&space->lock);
    uint32_t count = area_of_trampoline(patches, rip) ? patches->patch_count : 0;
    for (uint32_t i = 0; i < count && place == rip; i++) {
        const struct patch *patch = &patches->patches[i];
        if (rip - patch->trampoline < DOOR_TRAMPOLINE_BYTES)
            place = door_place(&patch->site, patch->trampoline, rip);
    }
    rw_unlock_read(&space->lock);
    return place;
}

/* Of the sites `first` to `last` in the table, those in [start, end), or whose trampolines are, become what they were, unless they are gone, and leave the table. */
static int patches_drop(struct address_space *space, struct code_patches *patches, uint32_t first, uint32_t last, uint64_t start, uint64_t end, bool gone)
{
    struct patch *table = patches->patches;
    uint32_t kept = first;
    int error = 0;

    for (uint32_t i = first; i < last; i++) {
        bool inside = table[i].site.start >= start && table[i].site.start < end, drop = inside || (table[i].trampoline >= start && table[i].trampoline < end);
        if (drop && error == 0 && (!inside || !gone))
            error = patch_restore(space, &table[i]);
        if (!drop || error != 0)
            table[kept++] = table[i];
        else if (inside && gone)
            slot_mark(area_of_trampoline(patches, table[i].trampoline), table[i].trampoline, false);
    }
    if (kept != last)
        memmove(&table[kept], &table[last], (patches->patch_count - last) * sizeof(*table));
    patches->patch_count -= last - kept;
    return error;
}

/* Whoever made [start, end) what it was has the file's own pages there from now on. */
static void pages_leave(struct address_space *space, uint64_t start, uint64_t end)
{
    for (struct area *area = address_space_find(space, start); area && area->start < end; area = area_next(area))
        area->flags &= ~AREA_DOORS;
}

int code_patch_leave(struct address_space *space, uint64_t start, uint64_t end, bool gone)
{
    struct code_patches *patches = atomic_load_explicit(&space->patches, memory_order_relaxed);
    bool trampolines = false;

    if (!patches)
        return 0;
    for (uint32_t i = 0; i < patches->area_count; i++)
        trampolines |= patches->areas[i]->base < end && patches->areas[i]->base + DOOR_AREA_BYTES > start;
    /* A site lies in one page, and so do all its bytes. */
    int error = trampolines ? patches_drop(space, patches, 0, patches->patch_count, start, end, gone) :
                              patches_drop(space, patches, patch_at(patches, start), patch_at(patches, end), start, end, gone);
    if (error != 0)
        return error;
    if (!gone)
        pages_leave(space, start, end);
    for (uint32_t i = 0; trampolines && i < patches->area_count;) {
        struct patch_area *area = patches->areas[i];
        if (area->base >= end || area->base + DOOR_AREA_BYTES <= start) {
            i++;
            continue;
        }
        door_use_end(patches, area->base);
        memory_free(area);
        patches->areas[i] = patches->areas[--patches->area_count];
    }
    return patches->use_count > 0 && gone && !trampolines ? door_uses_tidy(space, patches) : 0;
}

int code_patch_stop(struct address_space *space)
{
    struct code_patches *patches = patches_of(space);

    if (!patches)
        return -ENOMEM;
    rw_lock_write(&space->lock);
    patches->stopped = true;
    int error = code_patch_leave(space, 0, USER_ADDRESS_HIGH, false);
    rw_unlock_write(&space->lock);
    return error;
}

/* ---- With its space ------------------------------------------------------------------------------------------------- */

static int patches_copy(const struct code_patches *from, struct code_patches *to)
{
    to->stopped = from->stopped;
    if (from->patch_count > 0) {
        to->patches = memory_allocate(from->patch_room * sizeof(*to->patches));
        if (!to->patches)
            return -ENOMEM;
        memcpy(to->patches, from->patches, from->patch_count * sizeof(*to->patches));
        to->patch_count = from->patch_count;
        to->patch_room = from->patch_room;
    }
    for (; to->area_count < from->area_count; to->area_count++) {
        struct patch_area *area = memory_allocate(sizeof(*area));
        if (!area)
            return -ENOMEM;
        *area = *from->areas[to->area_count];
        to->areas[to->area_count] = area;
    }
    door_uses_copy(from, to);
    return 0;
}

int code_patch_duplicate(struct address_space *space, struct address_space *copy)
{
    struct code_patches *from = atomic_load_explicit(&space->patches, memory_order_acquire);

    if (!from || (from->patch_count == 0 && !from->stopped))
        return 0;
    struct code_patches *to = patches_of(copy);
    return to ? patches_copy(from, to) : -ENOMEM;
}

void code_patch_free(struct address_space *space)
{
    struct code_patches *patches = atomic_load_explicit(&space->patches, memory_order_relaxed);

    if (!patches)
        return;
    for (uint32_t i = 0; i < patches->area_count; i++)
        memory_free(patches->areas[i]);
    door_uses_free(patches);
    memory_free(patches->patches);
    memory_free(patches);
    atomic_store_explicit(&space->patches, NULL, memory_order_relaxed);
}

bool code_patch_owns(const struct area *area)
{
    return area->name == area_name;
}

void code_patch_statistics_get(struct code_patch_statistics *statistics)
{
    statistics->sites = atomic_load_explicit(&sites_made, memory_order_relaxed);
    statistics->refused = atomic_load_explicit(&sites_refused, memory_order_relaxed);
    statistics->shared = file_doors_shared();
    statistics->repairs = atomic_load_explicit(&repairs_made, memory_order_relaxed);
}
