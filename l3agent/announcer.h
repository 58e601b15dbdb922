/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Gratuitous ARP and unsolicited NA over time: each address that appeared is announced three times, two seconds apart, as
 * long as it is still ours. A person's change goes out at once; all else shares conf->announcements_per_s frames, because
 * on a bridge every broadcast is copied to every other port, and it waits while routers are being worked on. */

#include "announce.h"

#include <stdbool.h>

struct agent;
struct announcer;

struct announcer *announcer_new(struct agent *a);
void announcer_free(struct announcer *an);
/* Copies the list. `urgent`: the first round is sent before this returns. */
void announcer_add(struct announcer *an, const char *namespace, const struct announcement *list, size_t n, bool urgent);
