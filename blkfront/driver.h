/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block frontend, for the roof's table of drivers.
 */
#pragma once

struct xenbus_driver;

extern const struct xenbus_driver blkfront_driver;
