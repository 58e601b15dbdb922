/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The keys of struct nat's arrays: their order, as qsort and vec_walk take it, and how a key's protocol is written.
 * Used within nat/ only. */

#include <stdint.h>

int key_external(const void *a, const void *b);
int key_snat(const void *a, const void *b);
int key_dnat(const void *a, const void *b);
int key_forward(const void *a, const void *b);
int key_leaving(const void *a, const void *b);

enum { KEY_PROTOCOL_TEXT = 8 };
/* "tcp", "udp", "sctp", "dccp", "udplite", else the number; returns buf or a constant. */
const char *key_protocol(uint8_t protocol, char buf[KEY_PROTOCOL_TEXT]);
