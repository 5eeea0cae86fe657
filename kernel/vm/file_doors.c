/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doors that come with files.
 *
 *   cache->doors          where the file was called from, by how many spaces, and
 *     --> door_set        its doors so far (door_set.h)
 *   patches->uses[]       for each file that a space maps, which set that is
 *
 * A space that uses a set has its sites in its own table, and the area of trampolines among its own, as if it had made them: all that
 * code_patch.c does with doors holds for these. Shared pages are like those that fork shares: who must change one gets a copy.
 *
 * Files that a program may write through a mapping have no doors here, and lose theirs by a write. What is mapped stays as it is, as it does where
 * a space has made its own.
 *
 * Locks: cache->doors is the cache's lock's; patches->uses space->lock's, which comes first.
 */
#include "kernel/vm/file_doors.h"

#include <string.h>

#include "kernel/base/error.h"
#include "kernel/memory/object_cache.h"
#include "kernel/vm/door_set.h"
#include "kernel/vm/page_cache_internal.h"

static _Atomic uint64_t files_made, shared_made;

uint64_t file_doors_shared(void)
{
    return atomic_load_explicit(&shared_made, memory_order_relaxed);
}

/* Puts the patch into the set, whose site was found in `page`, what the set or else the file has of its code. */
static bool set_add(struct door_set *set, struct patch *patch, const struct page *page)
{
    uint64_t index = (patch->site.call - DOOR_AREA_BYTES) / PAGE_SIZE;
    uint32_t at = set->patch_count;

    if (set->patch_count == SET_PATCHES || !slot_find(&set->area, &patch->site, patch))
        return false;
    struct page **trampolines = &set->trampolines[patch->trampoline / PAGE_SIZE];
    if (!*trampolines)
        *trampolines = page_allocate(0, PAGE_ANONYMOUS, PAGE_ALLOCATE_ZERO);
    struct page *copy = *trampolines ? door_set_page_copy(set, index, page) : NULL;
    if (!copy)
        return false;
    door_trampoline_write(&patch->site, patch->trampoline, (uint8_t *)page_address(*trampolines) + patch->trampoline % PAGE_SIZE, door_entry_address());
    memcpy((uint8_t *)page_address(copy) + patch->site.start % PAGE_SIZE, patch->jump, DOOR_JUMP_BYTES);
    slot_mark(&set->area, patch->trampoline, true);
    for (; at > 0 && set->patches[at - 1].site.call > patch->site.call; at--)
        set->patches[at] = set->patches[at - 1];
    set->patches[at] = *patch;
    set->patch_count++;
    return true;
}

/* ---- Files ----------------------------------------------------------------------------------------------------------- */

/* Whether somebody may write to the file by stores, which nobody sees. Cache locked. */
static bool is_written_by_stores(const struct page_cache *cache)
{
    struct area *area;

    list_for_each(area, &cache->areas, cache_link)
        if (area_stores_to_file(area))
            return true;
    return false;
}

static struct file_doors *doors_of(struct page_cache *cache)
{
    if (!cache->doors && (cache->doors = memory_allocate_zeroed(sizeof(*cache->doors))))
        cache->doors->number = atomic_fetch_add(&files_made, 1) + 1;
    return cache->doors;
}

static bool set_has(const struct door_set *set, uint64_t call)
{
    uint32_t i = 0;

    while (set && i < set->patch_count && set->patches[i].site.call != call)
        i++;
    return set && i < set->patch_count;
}

/* A door at this offset of the file: made, or never to be. Cache locked. */
static void doors_add(struct page_cache *cache, uint64_t offset, uint32_t number)
{
    const struct page *page = page_cache_lookup(cache, offset / PAGE_SIZE), *changed;
    uint64_t call = DOOR_AREA_BYTES + offset;
    struct file_doors *doors = cache->doors;
    struct patch patch = { .trampoline = 0 };

    if (!page || !page_flag_test(page, PAGE_FLAG_UPTODATE))
        return;
    seen_set(doors->seen, FILE_SEEN_COUNT, offset, SEEN_REFUSED);
    if (set_has(doors->set, call))
        return;
    /* As it is with the doors so far: one next to this may have taken its instructions. */
    changed = doors->set ? door_set_page(doors->set, offset / PAGE_SIZE) : NULL;
    if (changed)
        page = changed;
    if (!site_look(&patch, (const uint8_t *)page_address(page) + offset % PAGE_SIZE, call, number))
        return;
    struct door_set *set = door_set_copy(doors->set, doors->number);
    if (!set)
        return;
    if (!set_add(set, &patch, page)) {
        door_set_release(set);
        return;
    }
    door_set_release(doors->set);
    doors->set = set;
    atomic_fetch_add_explicit(&shared_made, 1, memory_order_relaxed);
}

void file_doors_note(struct address_space *space, uint64_t call, uint32_t number)
{
    rw_lock_read(&space->lock);
    struct area *area = address_space_find(space, call);
    struct page_cache *cache = area_is_code(area, call) && area->backing ? area->backing->cache : NULL;
    if (cache) {
        uint64_t offset = (area_index(area, call) << PAGE_SHIFT) | (call & PAGE_MASK);
        mutex_lock(&cache->lock);
        uint64_t spaces = doors_of(cache) ? seen_count(cache->doors->seen, FILE_SEEN_COUNT, offset) : SEEN_REFUSED;
        if (spaces >= FILE_DOORS_SPACES && spaces != SEEN_REFUSED && !is_written_by_stores(cache))
            doors_add(cache, offset, number);
        mutex_unlock(&cache->lock);
    }
    rw_unlock_read(&space->lock);
}

/* ---- Spaces that use them --------------------------------------------------------------------------------------------- */

uint64_t file_doors_room(const struct area_backing *backing, uint64_t backing_index, uint32_t flags)
{
    return backing && backing->cache && backing_index == 0 && !(flags & (AREA_SHARED | AREA_SPECIAL)) && read_once(backing->cache->doors) ? DOOR_AREA_BYTES : 0;
}

static const struct door_use *use_find(const struct code_patches *patches, uint64_t base)
{
    for (uint32_t i = 0; i < patches->use_count; i++)
        if (patches->uses[i].base == base)
            return &patches->uses[i];
    return NULL;
}

static struct door_set *set_take(struct page_cache *cache)
{
    mutex_lock(&cache->lock);
    struct door_set *set = cache->doors ? cache->doors->set : NULL;
    if (set)
        reference_take(&set->reference);
    mutex_unlock(&cache->lock);
    return set;
}

/* The set's trampolines, in the area that was made for them. 0 or -ENOMEM. */
static int trampolines_map(struct address_space *space, const struct door_set *set, uint64_t place)
{
    struct paging_entry entries[DOOR_AREA_PAGES];
    uint64_t count = 0;
    int error;

    for (size_t i = 0; i < DOOR_AREA_PAGES; i++) {
        entries[i].flags = 0;
        if (!set->trampolines[i])
            continue;
        page_take(set->trampolines[i]);
        entries[i] = (struct paging_entry){ page_pfn(set->trampolines[i]), PAGING_READ | PAGING_EXECUTE | PAGING_COPY_ON_WRITE | PAGING_UNUSED };
        count++;
    }
    mutex_lock(&space->page_lock);
    error = paging_map(&space->root, place, entries, DOOR_AREA_PAGES);
    if (error == 0) {
        area_touch(address_space_find(space, place), place, place + DOOR_AREA_BYTES);
        address_space_count_resident(space, count);
    } else {
        paging_unmap(&space->root, place, NULL, DOOR_AREA_PAGES);
    }
    mutex_unlock(&space->page_lock);
    for (size_t i = 0; i < DOOR_AREA_PAGES && error != 0; i++)
        if (entries[i].flags != 0)
            page_release(set->trampolines[i]);
    return error;
}

/* The space's own area of trampolines, and its own table, as the set has them. 0, or -EEXIST, -ENOMEM: nothing is changed. */
static int set_adopt(struct address_space *space, struct code_patches *patches, const struct door_set *set, uint64_t base)
{
    uint64_t place = base - DOOR_AREA_BYTES, last = place + set->patches[set->patch_count - 1].site.call;

    if (patch_at(patches, base) != patch_at(patches, last + 1))
        return -EEXIST; /* code was mapped before page 0, and has doors */
    int error = patch_area_make(space, patches, place);
    if (error != 0)
        return error;
    memcpy(patches->areas[patches->area_count - 1]->used, set->area.used, sizeof(set->area.used));
    error = trampolines_map(space, set, place);
    struct patch *patch = error == 0 ? patches_add(patches, base, set->patch_count) : NULL;
    if (!patch) {
        address_space_unmap_locked(space, place, base); /* whole areas: cannot fail */
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < set->patch_count; i++, patch++) {
        *patch = set->patches[i];
        patch->site.call += place;
        patch->site.start += place;
        patch->trampoline += place;
    }
    return 0;
}

/* Page 0 of a file is mapped at `base`. */
static void use_begin(struct address_space *space, struct page_cache *cache, uint64_t base)
{
    struct code_patches *patches = patches_of(space);

    if (!patches || patches->stopped || patches->use_count == DOOR_SET_LIMIT || base < USER_ADDRESS_LOW + DOOR_AREA_BYTES ||
        use_find(patches, base) || !area_tree_range_free(space, base - DOOR_AREA_BYTES, base))
        return;
    struct door_set *set = set_take(cache);
    if (set && set_adopt(space, patches, set, base) == 0)
        patches->uses[patches->use_count++] = (struct door_use){ base, set };
    else
        door_set_release(set);
}

/*
 * Whether the space's table has all the set's sites that lie in the new area: its pages may come with them then. It has not where the file's code was
 * mapped there before, and went.
 */
static bool sites_are_known(const struct code_patches *patches, const struct door_use *use, const struct area *area)
{
    uint64_t place = use->base - DOOR_AREA_BYTES;
    uint32_t count = 0;

    for (uint32_t i = 0; i < use->set->patch_count; i++)
        count += use->set->patches[i].site.call + place >= area->start && use->set->patches[i].site.call + place < area->end;
    return count > 0 && patch_at(patches, area->end) - patch_at(patches, area->start) == count;
}

void file_doors_enter(struct area *area)
{
    struct page_cache *cache = area->backing ? area->backing->cache : NULL;
    uint64_t base = area->start - (area->backing_index << PAGE_SHIFT);

    if (likely(!cache || !read_once(cache->doors)) || !area_is_private(area) || !code_patch_enabled)
        return;
    if (area->backing_index == 0)
        use_begin(area->space, cache, base);
    struct code_patches *patches = area_is_code(area, area->start) ? atomic_load_explicit(&area->space->patches, memory_order_relaxed) : NULL;
    const struct door_use *use = patches ? use_find(patches, base) : NULL;
    if (use && sites_are_known(patches, use, area))
        area_set_kind(area, area->protection, area->flags | AREA_PATCHED | AREA_DOORS);
}

struct page *file_doors_find(const struct area *area, uint64_t index)
{
    const struct code_patches *patches = atomic_load_explicit(&area->space->patches, memory_order_relaxed);
    const struct door_use *use = patches ? use_find(patches, area->start - (area->backing_index << PAGE_SHIFT)) : NULL;
    const struct file_doors *doors = area->backing->cache->doors;

    return use && doors && use->set->file == doors->number ? door_set_page(use->set, index) : NULL;
}

static bool is_unused(const struct patch_area *area)
{
    uint64_t used = 0;

    for (size_t i = 0; i < array_count(area->used); i++)
        used |= area->used[i];
    return used == 0;
}

void door_use_end(struct code_patches *patches, uint64_t trampolines)
{
    for (uint32_t i = 0; i < patches->use_count; i++)
        if (patches->uses[i].base == trampolines + DOOR_AREA_BYTES) {
            door_set_release(patches->uses[i].set);
            patches->uses[i] = patches->uses[--patches->use_count];
            return;
        }
}

int door_uses_tidy(struct address_space *space, struct code_patches *patches)
{
    int error = 0;

    for (uint32_t i = 0; i < patches->use_count && error == 0;) {
        uint64_t base = patches->uses[i].base;
        if (is_unused(area_of_trampoline(patches, base - DOOR_AREA_BYTES)))
            error = address_space_unmap_locked(space, base - DOOR_AREA_BYTES, base); /* which ends the use, and takes its place in the list away */
        else
            i++;
    }
    return error;
}

void door_uses_copy(const struct code_patches *from, struct code_patches *to)
{
    for (; to->use_count < from->use_count; to->use_count++) {
        to->uses[to->use_count] = from->uses[to->use_count];
        reference_take(&to->uses[to->use_count].set->reference);
    }
}

void door_uses_free(struct code_patches *patches)
{
    while (patches->use_count > 0)
        door_set_release(patches->uses[--patches->use_count].set);
}
