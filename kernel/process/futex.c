/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Futexes: sleepers on a word of the program's memory, in hashed buckets.
 *
 * A waiter queues first and looks at the word second; a program changes the word first and wakes second: one of the two
 * sees the other, and user memory is never touched under a bucket's spinlock. A waiter lies on its thread's stack; it is
 * woken under its bucket's lock, and looks at that lock again before it goes, so it is there while others touch it.
 * Keys: the space and the address for private memory; cache and offset for shared mappings.
 *
 * Two buckets are locked in order of address.
 */
#include "kernel/process/futex.h"

#include "kernel/base/error.h"
#include "kernel/base/hash.h"
#include "kernel/process/futex_internal.h"
#include "xen/x86/user_access.h"

#define BUCKET_COUNT 256u
#define OBJECT_FACTOR 0x9e3779b97f4a7c15ull /* odd, and far from any difference of offsets */

static struct futex_bucket buckets[BUCKET_COUNT];

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    /* Words lie four bytes apart, objects more; both are mixed in full by the one hash. */
    return &buckets[hash_integer((uint64_t)(uintptr_t)key->object * OBJECT_FACTOR + key->offset) % BUCKET_COUNT];
}

static void futex_bucket_lock(struct futex_bucket *bucket)
{
    spinlock_lock(&bucket->lock);
    if (unlikely(!bucket->waiters.next))
        list_init(&bucket->waiters);
}

int futex_key_get(uint64_t address, bool shared, struct futex_key *key)
{
    struct address_space *space = process_current()->space;

    if (address % sizeof(uint32_t) != 0)
        return -EINVAL;
    if (!user_range_valid(address, sizeof(uint32_t)))
        return -EFAULT;
    *key = (struct futex_key){ .object = space, .offset = address };
    if (!shared)
        return 0;
    int error = address_space_shared_key(space, address, &key->backing, &key->offset);
    if (error != 0)
        return error;
    if (key->backing)
        key->object = key->backing->cache;
    else
        key->offset = address;
    return 0;
}

void futex_key_put(struct futex_key *key)
{
    if (key->backing)
        area_backing_release(key->backing);
    key->backing = NULL;
}

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}

void futex_queue(struct futex_waiter *waiter)
{
    struct futex_bucket *bucket = futex_bucket_of(&waiter->key);

    waiter->thread = thread_current();
    futex_bucket_lock(bucket);
    waiter->bucket = bucket;
    list_add_last(&bucket->waiters, &waiter->link);
    spinlock_unlock(&bucket->lock);
}

/* A requeue may move the waiter between the look and the lock. */
struct futex_bucket *futex_lock_waiter(struct futex_waiter *waiter)
{
    for (;;) {
        struct futex_bucket *bucket = read_once(waiter->bucket);
        futex_bucket_lock(bucket);
        if (read_once(waiter->bucket) == bucket)
            return bucket;
        spinlock_unlock(&bucket->lock);
    }
}

bool futex_unqueue(struct futex_waiter *waiter)
{
    struct futex_bucket *bucket = futex_lock_waiter(waiter);
    bool woken = waiter->woken;

    if (!woken)
        list_remove(&waiter->link);
    spinlock_unlock(&bucket->lock);
    return woken;
}

int futex_sleep(struct futex_waiter *waiter, uint64_t deadline_ns)
{
    int result = 0;

    while (!read_once(waiter->woken) && result == 0) {
        thread_sleep_prepare();
        if (read_once(waiter->woken)) {
            thread_sleep_cancel();
            break;
        }
        result = thread_sleep(deadline_ns, true);
    }
    return result;
}

void futex_wake_waiter(struct futex_waiter *waiter)
{
    list_remove(&waiter->link);
    write_once(waiter->woken, true);
    thread_wake(waiter->thread);
}

long futex_wait(uint64_t address, bool shared, uint32_t expected, uint32_t bitset, uint64_t deadline_ns)
{
    struct futex_waiter waiter = { .bitset = bitset };
    uint32_t value;

    if (bitset == 0)
        return -EINVAL;
    long result = futex_key_get(address, shared, &waiter.key);
    if (result != 0)
        return result;
    futex_queue(&waiter);
    result = user_load_u32(address, &value);
    if (result == 0 && value != expected)
        result = -EAGAIN;
    if (result == 0)
        result = futex_sleep(&waiter, deadline_ns);
    if (futex_unqueue(&waiter))
        result = 0;
    futex_key_put(&waiter.key);
    return result == -EINTR ? -ERESTARTSYS : result;
}

static uint32_t futex_wake_locked(struct futex_bucket *bucket, const struct futex_key *key, uint32_t count, uint32_t bitset)
{
    struct futex_waiter *waiter, *next;
    uint32_t woken = 0;

    list_for_each_safe(waiter, next, &bucket->waiters, link) {
        if (woken >= count)
            break;
        if (!futex_key_equal(&waiter->key, key) || !(waiter->bitset & bitset) || waiter->priority_inheriting)
            continue;
        futex_wake_waiter(waiter);
        woken++;
    }
    return woken;
}

long futex_wake(uint64_t address, bool shared, uint32_t count, uint32_t bitset)
{
    struct futex_key key;

    if (bitset == 0)
        return -EINVAL;
    long result = futex_key_get(address, shared, &key);
    if (result != 0)
        return result;
    struct futex_bucket *bucket = futex_bucket_of(&key);
    futex_bucket_lock(bucket);
    result = (long)futex_wake_locked(bucket, &key, count, bitset);
    spinlock_unlock(&bucket->lock);
    futex_key_put(&key);
    return result;
}

static void futex_lock_two(struct futex_bucket *one, struct futex_bucket *two)
{
    futex_bucket_lock(minimum(one, two));
    if (one != two)
        futex_bucket_lock(maximum(one, two));
}

static void futex_unlock_two(struct futex_bucket *one, struct futex_bucket *two)
{
    if (one != two)
        spinlock_unlock(&maximum(one, two)->lock);
    spinlock_unlock(&minimum(one, two)->lock);
}

/* Moves up to `count` waiters of one key to another. The backing of the new key is referenced anew for each. */
static uint32_t futex_move_locked(struct futex_bucket *from, const struct futex_key *key, struct futex_bucket *to,
                                  const struct futex_key *new_key, uint32_t count)
{
    struct futex_waiter *waiter, *next;
    struct list moved = LIST_INITIALIZER(moved);
    uint32_t done = 0;

    list_for_each_safe(waiter, next, &from->waiters, link) {
        if (done >= count)
            break;
        if (!futex_key_equal(&waiter->key, key) || waiter->priority_inheriting)
            continue;
        list_remove(&waiter->link);
        list_add_last(&moved, &waiter->link);
        waiter->key.object = new_key->object;
        waiter->key.offset = new_key->offset;
        write_once(waiter->bucket, to);
        done++;
    }
    list_move_all(&to->waiters, &moved);
    return done;
}

long futex_requeue(uint64_t address, bool shared, uint32_t wake_count, uint64_t address2, uint32_t requeue_count, const uint32_t *compare)
{
    struct futex_key key, key2;
    struct page *page = NULL;
    const uint32_t *word = NULL;

    long result = futex_key_get(address, shared, &key);
    if (result != 0)
        return result;
    result = futex_key_get(address2, shared, &key2);
    if (result != 0)
        goto put_first;
    if (compare) { /* read under the locks, so through the kernel's own mapping of the page */
        result = address_space_get_page(process_current()->space, address, PAGING_READ, &page);
        if (result != 0) {
            result = result == -ENOMEM ? -ENOMEM : -EFAULT;
            goto put_both;
        }
        word = (const uint32_t *)((const char *)page_address(page) + (address & PAGE_MASK));
    }
    struct futex_bucket *from = futex_bucket_of(&key), *to = futex_bucket_of(&key2);
    futex_lock_two(from, to);
    if (word && read_once(*word) != *compare) {
        result = -EAGAIN;
    } else {
        result = (long)futex_wake_locked(from, &key, wake_count, FUTEX_BITSET_ANY);
        result += (long)futex_move_locked(from, &key, to, &key2, requeue_count);
    }
    futex_unlock_two(from, to);
    if (page)
        page_release(page);
put_both:
    futex_key_put(&key2);
put_first:
    futex_key_put(&key);
    return result;
}

static int32_t sign_extend_12(uint32_t value)
{
    return (int32_t)(value << 20) >> 20;
}

/* The encoded operation on the word, atomically; *old is what was there. */
static int futex_operate(uint64_t address, uint32_t operation, uint32_t *old)
{
    uint32_t code = operation >> 28 & 7, seen;
    uint32_t argument = (uint32_t)sign_extend_12(operation >> 12 & 0xfff);

    if (operation & 0x80000000u) {
        if (argument > 31)
            return -EINVAL;
        argument = 1u << argument;
    }
    int error = user_load_u32(address, old);
    while (error == 0) {
        uint32_t desired;
        switch (code) {
        case 0: desired = argument; break;
        case 1: desired = *old + argument; break;
        case 2: desired = *old | argument; break;
        case 3: desired = *old & ~argument; break;
        case 4: desired = *old ^ argument; break;
        default: return -ENOSYS;
        }
        error = user_compare_exchange_u32(address, *old, desired, &seen);
        if (error != 0 || seen == *old)
            break;
        *old = seen;
    }
    return error;
}

static bool futex_compare(uint32_t operation, uint32_t old)
{
    int32_t value = (int32_t)old, argument = sign_extend_12(operation & 0xfff);

    switch (operation >> 24 & 15) {
    case 0: return value == argument;
    case 1: return value != argument;
    case 2: return value < argument;
    case 3: return value <= argument;
    case 4: return value > argument;
    case 5: return value >= argument;
    default: return false;
    }
}

long futex_wake_operation(uint64_t address, bool shared, uint32_t wake_count, uint64_t address2, uint32_t wake_count2, uint32_t operation)
{
    uint32_t old;

    if (address % 4 != 0 || address2 % 4 != 0)
        return -EINVAL;
    if ((operation >> 24 & 15) > 5)
        return -ENOSYS;
    long result = futex_operate(address2, operation, &old);
    if (result != 0)
        return result;
    result = futex_wake(address, shared, wake_count, FUTEX_BITSET_ANY);
    if (result >= 0 && futex_compare(operation, old)) {
        long second = futex_wake(address2, shared, wake_count2, FUTEX_BITSET_ANY);
        result = second < 0 ? second : result + second;
    }
    return result;
}
