/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256 (FIPS 180-4), the key of everything the tool keeps in its cache.
 *
 * A file's key is its contents. A directory tree's key is its shape: path, mode, size and modification time of every entry,
 * as make judges files, since reading a whole root file system would take longer than building the image from it.
 */
#include "tools/base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/base/file.h"

static const uint32_t round_constants[64] = {
    0x428a2f98,
    0x71374491,
    0xb5c0fbcf,
    0xe9b5dba5,
    0x3956c25b,
    0x59f111f1,
    0x923f82a4,
    0xab1c5ed5,
    0xd807aa98,
    0x12835b01,
    0x243185be,
    0x550c7dc3,
    0x72be5d74,
    0x80deb1fe,
    0x9bdc06a7,
    0xc19bf174,
    0xe49b69c1,
    0xefbe4786,
    0x0fc19dc6,
    0x240ca1cc,
    0x2de92c6f,
    0x4a7484aa,
    0x5cb0a9dc,
    0x76f988da,
    0x983e5152,
    0xa831c66d,
    0xb00327c8,
    0xbf597fc7,
    0xc6e00bf3,
    0xd5a79147,
    0x06ca6351,
    0x14292967,
    0x27b70a85,
    0x2e1b2138,
    0x4d2c6dfc,
    0x53380d13,
    0x650a7354,
    0x766a0abb,
    0x81c2c92e,
    0x92722c85,
    0xa2bfe8a1,
    0xa81a664b,
    0xc24b8b70,
    0xc76c51a3,
    0xd192e819,
    0xd6990624,
    0xf40e3585,
    0x106aa070,
    0x19a4c116,
    0x1e376c08,
    0x2748774c,
    0x34b0bcb5,
    0x391c0cb3,
    0x4ed8aa4a,
    0x5b9cca4f,
    0x682e6ff3,
    0x748f82ee,
    0x78a5636f,
    0x84c87814,
    0x8cc70208,
    0x90befffa,
    0xa4506ceb,
    0xbef9a3f7,
    0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value >> bits | value << (32 - bits);
}

static void mix_block(struct digest *digest)
{
    uint32_t w[64];
    uint32_t s[8];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)digest->block[4 * i] << 24 | (uint32_t)digest->block[4 * i + 1] << 16 |
            (uint32_t)digest->block[4 * i + 2] << 8 | digest->block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, digest->state, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t e = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
        uint32_t t = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + w[i];
        uint32_t a = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
        uint32_t u = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t;
        s[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        digest->state[i] += s[i];
}

void digest_start(struct digest *digest)
{
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

    memcpy(digest->state, first, sizeof(first));
    digest->length_bytes = 0;
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    while (length > 0) {
        size_t at = digest->length_bytes % 64;
        size_t part = length < 64 - at ? length : 64 - at;
        memcpy(digest->block + at, from, part);
        digest->length_bytes += part;
        from += part;
        length -= part;
        if (digest->length_bytes % 64 == 0)
            mix_block(digest);
    }
}

/* The string with its NUL, so that "ab","c" and "a","bc" differ. */
void digest_add_string(struct digest *digest, const char *string)
{
    digest_add(digest, string, strlen(string) + 1);
}

int digest_add_file(struct digest *digest, const char *path)
{
    char block[65536];
    ssize_t got;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while ((got = read(fd, block, sizeof(block))) > 0)
        digest_add(digest, block, (size_t)got);
    int error = got < 0 ? -errno : 0;
    close(fd);
    return error;
}

/* Adds path, mode, size and time of everything below path (a file counts as itself). */
int digest_add_tree_shape(struct digest *digest, const char *path)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    struct stat status;
    FTSENT *entry;
    int error = 0;

    if (stat(path, &status) < 0)
        return -errno;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, tree_entry_order);
    if (walk == NULL)
        return -errno;
    while ((entry = fts_read(walk)) != NULL) {
        if (entry->fts_info == FTS_DP)
            continue;
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS) {
            error = -entry->fts_errno;
            break;
        }
        const struct stat *s = entry->fts_statp;
        int64_t facts[] = {s->st_mode, s->st_size, s->st_mtim.tv_sec, s->st_mtim.tv_nsec, s->st_uid, s->st_gid};
        digest_add_string(digest, entry->fts_path);
        digest_add(digest, facts, sizeof(facts));
    }
    fts_close(walk);
    return error;
}

void digest_end(struct digest *digest, char hex[DIGEST_HEX_SIZE])
{
    uint64_t length_bits = digest->length_bytes * 8;
    uint8_t tail[8];

    digest_add(digest, "\x80", 1);
    while (digest->length_bytes % 64 != 56)
        digest_add(digest, "", 1);
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)(length_bits >> (56 - 8 * i));
    digest_add(digest, tail, sizeof(tail));
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", digest->state[i]);
}
