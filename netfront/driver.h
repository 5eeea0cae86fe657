/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network frontend, for the roof's table of drivers.
 */
#pragma once

struct xenbus_driver;

extern const struct xenbus_driver netfront_driver;
