/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The random number generator.
 *
 *   sources → random_add_entropy() → pool (a running BLAKE2s hash) → reseed: key = BLAKE2s(key, pool) → ChaCha20 → callers
 *
 * Each request makes a ChaCha20 block under the key, the first half of which replaces the key at once (fast key erasure); the other half
 * is output, or, where more is wanted, the key of blocks that are. The pool flows into the key when 256 bits were credited, and then with every further 256 bits.
 * Events are gathered per CPU in a few words, and stirred in every EVENTS_PER_STIR of them.
 *
 * random_lock guards pool and key; only copying and hashing happens under it. Sources: RFC 8439 (ChaCha20), RFC 7693 (BLAKE2s).
 */
#include "kernel/device/random.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/sched/wait_queue.h"
#include "xen/machine/clock.h"
#include "xen/machine/cpu.h"
#include "xen/machine/spinlock.h"

#define KEY_BYTES 32u
#define BLOCK_BYTES 64u
#define READY_BITS 256u
#define EVENTS_PER_STIR 64u
#define EVENTS_CREDIT_BITS 8u /* for EVENTS_PER_STIR events: the backend, and so the host, sees most of their times too */
#define JITTER_PERIOD_NS 1000000u

struct blake2s {
    uint32_t state[8];
    uint64_t length_bytes;
    uint8_t block[BLOCK_BYTES];
    size_t filled;
};

static const uint32_t blake2s_iv[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint8_t blake2s_sigma[10][16] = {
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
    { 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 }, { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
    { 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 }, { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
    { 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 }, { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
    { 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 }, { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

struct event_pool {
    uint64_t words[4];
    unsigned int count;
};

static struct spinlock random_lock = SPINLOCK_INITIALIZER("random", 0);
static struct blake2s pool;               /* random_lock */
static uint8_t key[KEY_BYTES];            /* random_lock */
static unsigned int unseeded_bits;        /* random_lock credited since the last reseed */
static _Atomic unsigned int credited_bits; /* written under random_lock; at most READY_BITS */
static struct event_pool event_pools[CPU_LIMIT]; /* each its own CPU's, with events masked */
static struct wait_queue ready_queue = WAIT_QUEUE_INITIALIZER(ready_queue, "random");

static uint32_t rotate_right(uint32_t word, unsigned int bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t rotate_left(uint32_t word, unsigned int bits)
{
    return word << bits | word >> (32 - bits);
}

static void blake2s_init(struct blake2s *hash)
{
    memset(hash, 0, sizeof(*hash));
    memcpy(hash->state, blake2s_iv, sizeof(blake2s_iv));
    hash->state[0] ^= 0x01010000 ^ KEY_BYTES; /* no key, digest of 32 bytes */
}

static void blake2s_mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 7);
}

static void blake2s_compress(struct blake2s *hash, bool last)
{
    uint32_t v[16], m[16];

    memcpy(m, hash->block, sizeof(m));
    memcpy(v, hash->state, 32);
    memcpy(v + 8, blake2s_iv, 32);
    v[12] ^= (uint32_t)hash->length_bytes;
    v[13] ^= (uint32_t)(hash->length_bytes >> 32);
    if (last)
        v[14] = ~v[14];
    for (int round = 0; round < 10; round++) {
        const uint8_t *s = blake2s_sigma[round];
        for (int i = 0; i < 4; i++)
            blake2s_mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            blake2s_mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        hash->state[i] ^= v[i] ^ v[i + 8];
    hash->filled = 0;
}

static void blake2s_add(struct blake2s *hash, const void *bytes, size_t length_bytes)
{
    const uint8_t *from = bytes;

    while (length_bytes > 0) {
        if (hash->filled == BLOCK_BYTES)
            blake2s_compress(hash, false);
        size_t part = minimum(length_bytes, BLOCK_BYTES - hash->filled);
        memcpy(hash->block + hash->filled, from, part);
        hash->filled += part;
        hash->length_bytes += part;
        from += part;
        length_bytes -= part;
    }
}

static void blake2s_finish(struct blake2s *hash, uint8_t digest[KEY_BYTES])
{
    memset(hash->block + hash->filled, 0, BLOCK_BYTES - hash->filled);
    blake2s_compress(hash, true);
    memcpy(digest, hash->state, KEY_BYTES);
}

/* Inline, so that the words, of numbers known then, stay in registers. */
static attribute_always_inline void chacha_quarter(uint32_t v[16], int a, int b, int c, int d)
{
    v[a] += v[b];
    v[d] = rotate_left(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_left(v[b] ^ v[c], 12);
    v[a] += v[b];
    v[d] = rotate_left(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate_left(v[b] ^ v[c], 7);
}

static void chacha_block(const uint8_t chacha_key[KEY_BYTES], uint64_t counter, uint8_t output[BLOCK_BYTES])
{
    uint32_t input[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
    uint32_t v[16];

    memcpy(input + 4, chacha_key, KEY_BYTES);
    input[12] = (uint32_t)counter;
    input[13] = (uint32_t)(counter >> 32);
    memcpy(v, input, sizeof(v));
    for (int round = 0; round < 10; round++) {
        chacha_quarter(v, 0, 4, 8, 12);
        chacha_quarter(v, 1, 5, 9, 13);
        chacha_quarter(v, 2, 6, 10, 14);
        chacha_quarter(v, 3, 7, 11, 15);
        chacha_quarter(v, 0, 5, 10, 15);
        chacha_quarter(v, 1, 6, 11, 12);
        chacha_quarter(v, 2, 7, 8, 13);
        chacha_quarter(v, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        v[i] += input[i];
    memcpy(output, v, BLOCK_BYTES);
}

/* random_lock held. */
static void random_reseed(void)
{
    struct blake2s hash;
    uint8_t digest[KEY_BYTES];

    blake2s_finish(&pool, digest);
    blake2s_init(&hash);
    blake2s_add(&hash, key, KEY_BYTES);
    blake2s_add(&hash, digest, KEY_BYTES);
    blake2s_finish(&hash, key);
    blake2s_init(&pool);
    blake2s_add(&pool, digest, KEY_BYTES);
    unseeded_bits = 0;
}

void random_add_entropy(const void *bytes, size_t length_bytes, unsigned int entropy_bits)
{
    uint64_t now = __builtin_ia32_rdtsc();

    spinlock_lock(&random_lock);
    blake2s_add(&pool, &now, sizeof(now));
    blake2s_add(&pool, bytes, length_bytes);
    unsigned int before = atomic_load(&credited_bits);
    unsigned int after = minimum(before + minimum(entropy_bits, READY_BITS), READY_BITS);
    atomic_store(&credited_bits, after);
    unseeded_bits += minimum(entropy_bits, READY_BITS);
    /* Until it is ready, every little is used at once; later the pool is kept back until it makes a difference. */
    if (after < READY_BITS || before < READY_BITS || unseeded_bits >= READY_BITS)
        random_reseed();
    spinlock_unlock(&random_lock);
    if (before < READY_BITS && after == READY_BITS)
        wait_queue_wake_all(&ready_queue, 0);
}

void random_add_event(uint32_t source)
{
    cpu_events_mask();
    struct event_pool *events = &event_pools[cpu_current()->number];
    uint64_t word = (__builtin_ia32_rdtsc() ^ source) * 0x9e3779b97f4a7c15ull;
    uint64_t *place = &events->words[events->count % 4];

    *place = (*place << 19 | *place >> 45) ^ word;
    if (++events->count % EVENTS_PER_STIR == 0)
        random_add_entropy(events->words, sizeof(events->words), EVENTS_CREDIT_BITS);
    cpu_events_unmask();
}

void random_bytes(void *buffer, size_t length_bytes)
{
    uint8_t block[BLOCK_BYTES], own[KEY_BYTES];
    uint8_t *to = buffer;

    /* Under the lock only the key is replaced; the block's other half is this call's own: its output or, for more, the key of that. */
    spinlock_lock(&random_lock);
    chacha_block(key, 0, block);
    memcpy(key, block, KEY_BYTES);
    spinlock_unlock(&random_lock);
    memcpy(own, block + KEY_BYTES, KEY_BYTES);
    if (length_bytes <= KEY_BYTES) {
        memcpy(to, own, length_bytes);
        length_bytes = 0;
    }

    for (uint64_t counter = 0; length_bytes > 0; counter++) {
        chacha_block(own, counter, block);
        size_t part = minimum(length_bytes, (size_t)BLOCK_BYTES);
        memcpy(to, block, part);
        to += part;
        length_bytes -= part;
    }
    memset(block, 0, sizeof(block));
    memset(own, 0, sizeof(own));
    __asm__ volatile("" : : "r"(block), "r"(own) : "memory"); /* the wiping is not to be optimised away */
}

uint64_t random_u64(void)
{
    uint64_t value;

    random_bytes(&value, sizeof(value));
    return value;
}

uint64_t random_below(uint64_t limit)
{
    /* Values below 2^64 mod limit would favour the low numbers. */
    uint64_t skip = (0 - limit) % limit, value;

    do {
        value = random_u64();
    } while (value < skip);
    return value % limit;
}

struct cpuid_answer {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_answer random_cpuid(uint32_t leaf)
{
    struct cpuid_answer answer;
    __asm__ volatile("cpuid"
                     : "=a"(answer.eax), "=b"(answer.ebx), "=c"(answer.ecx), "=d"(answer.edx)
                     : "0"(leaf), "2"(0));
    return answer;
}

static bool random_rdrand(uint64_t *value)
{
    bool valid = false;
    for (int i = 0; i < 10 && !valid; i++)
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*value), "=qm"(valid) : : "cc");
    return valid;
}

static bool random_rdseed(uint64_t *value)
{
    bool valid = false;
    for (int i = 0; i < 100 && !valid; i++) {
        __asm__ volatile("rdseed %0; setc %1" : "=r"(*value), "=qm"(valid) : : "cc");
        if (!valid)
            cpu_relax();
    }
    return valid;
}

/*
 * Bits the processor gave. Plain cpuid will do under PV too: what it shows there may be the host's, and these
 * instructions are not privileged, so the host's answer is the true one.
 */
static unsigned int random_gather_processor(void)
{
    uint64_t value;
    unsigned int bits = 0;
    bool has_rdrand = random_cpuid(1).ecx & (1u << 30);
    bool has_rdseed = random_cpuid(0).eax >= 7 && (random_cpuid(7).ebx & (1u << 18));

    for (int i = 0; i < 8; i++) {
        if (has_rdseed && random_rdseed(&value))
            bits += 64;
        else if (has_rdrand && random_rdrand(&value))
            bits += 32;
        else
            continue;
        spinlock_lock(&random_lock);
        blake2s_add(&pool, &value, sizeof(value));
        spinlock_unlock(&random_lock);
    }
    return bits;
}

void random_init(void)
{
    uint64_t moments[3] = { clock_monotonic_ns(), clock_real_ns(), 0 };

    spinlock_lock(&random_lock);
    blake2s_init(&pool);
    spinlock_unlock(&random_lock);
    for (int i = 0; i < 64; i++) {
        moments[2] = __builtin_ia32_rdtsc();
        spinlock_lock(&random_lock);
        blake2s_add(&pool, &moments[2], sizeof(moments[2]));
        spinlock_unlock(&random_lock);
    }
    random_add_entropy(moments, sizeof(moments), random_gather_processor());
}

bool random_ready(void)
{
    return atomic_load(&credited_bits) >= READY_BITS;
}

unsigned int random_entropy_bits(void)
{
    return atomic_load(&credited_bits);
}

/* A processor without a generator of its own: the waiting itself is the source, a bit for each sleep's inexact end. */
int random_wait(uint64_t deadline_ns, bool interruptible)
{
    while (!random_ready()) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns)
            return -ETIMEDOUT;
        int error = WAIT_UNTIL(&ready_queue, random_ready(), minimum(deadline_ns, now_ns + JITTER_PERIOD_NS), interruptible);
        if (error == -EINTR)
            return error;
        uint64_t moment = __builtin_ia32_rdtsc();
        random_add_entropy(&moment, sizeof(moment), 1);
    }
    return 0;
}
