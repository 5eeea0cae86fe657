/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP's work that a net device does: checksums, and cutting long segments (offload.c). */
#pragma once

#include "kernel/device/net_device.h"

#define OFFLOAD_JOIN_BYTES 1024u /* frames shorter than this are not worth joining */

/*
 * A TCP segment that lwIP left without a checksum: fills in the pseudo-header's sum for a frame of length_bytes, and asks the device for the
 * rest. The headers lie in the first fragment. False: it is no TCP segment, or its headers do not lie so.
 */
bool offload_checksum(struct net_frame *frame, uint32_t length_bytes);
/*
 * Makes `next` a part of `frame`, to be cut off again by the device, if both are segments of one TCP connection, one after the other, and the
 * device's features (NET_FEATURE_*) let it. Both have been through offload_checksum(). `frame` takes over the references of the payload's
 * pages; `next` keeps its headers only, and is the caller's. False: nothing was changed.
 */
bool offload_join(struct net_frame *frame, struct net_frame *next, uint32_t features);
