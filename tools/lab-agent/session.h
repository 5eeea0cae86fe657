/* SPDX-License-Identifier: BSD-2-Clause */
/* One command of the lab's control channel, from HELLO to EXIT (session.c). */
#pragma once

int session_serve(int socket_fd, const char *token);
