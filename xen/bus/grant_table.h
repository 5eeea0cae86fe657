/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant table, version 1: which of our frames another domain may map or copy.
 *
 * A driver reserves and allocates references once, for its ring slots, and then permits and revokes them for each request without any lock; or it
 * grants and ends one-off frames (rings). A reference whose frame is still mapped by the other side cannot be revoked:
 * its page must not be used for anything else; grant_table_end_later() keeps both until the other side lets go.
 */
#pragma once

#include "kernel/base/compiler.h"
#include "kernel/base/frame_number.h"

struct page;

typedef uint32_t grant_reference_t;
#define GRANT_REFERENCE_NONE 0u /* it is the console's, never ours to give */

/* Maps the first frames of the table. 0, -ENOMEM, or -EIO where Xen refuses. Thread context. */
int grant_table_init(void);

/* Grows the table until `count` references are free. 0, -ENOSPC or -ENOMEM. Thread context, may sleep. */
int grant_table_reserve(unsigned int count);
/* Takes a free reference. 0 or -ENOSPC. Any context. */
int grant_table_allocate(grant_reference_t *reference) attribute_must_check;
/* Gives back one that is not permitted. Any context. */
void grant_table_free(grant_reference_t reference);

/* Lets `domain` access the frame. The reference is the caller's; any context, no lock. */
void grant_table_permit(grant_reference_t reference, uint16_t domain, gfn_t frame, bool read_only);
/* Takes it back: false while the other side still accesses it. Afterwards what it wrote is visible. Any context, no lock. */
bool grant_table_revoke(grant_reference_t reference) attribute_must_check;

/* Both steps. grant_table_end() frees the reference when it answers true. */
int grant_table_grant(uint16_t domain, struct page *page, bool read_only, grant_reference_t *reference) attribute_must_check;
bool grant_table_end(grant_reference_t reference) attribute_must_check;
/*
 * Ends it as soon as the other side lets go, looking every second; then frees the reference and drops the caller's page
 * reference, which it takes over (NULL: none). Any context.
 */
void grant_table_end_later(grant_reference_t reference, struct page *page);

struct grant_table_statistics {
    unsigned int total;
    unsigned int free;
    unsigned int ending; /* waiting for the other side */
};
void grant_table_statistics(struct grant_table_statistics *statistics);
