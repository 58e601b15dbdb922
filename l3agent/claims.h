/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What only one router of the node may have: its id, an address on an external network, the device names of its ports.
 * Tells a second claimant who the first is. Pure bookkeeping; knows no files but their names. */

#include <stdbool.h>
#include <stddef.h>

struct claim;
struct claims { struct claim *table; };
struct problems;
struct routers;

/* Whoever claims: a router file. */
struct claim_owner {
	const char *path;
	bool replacing;			/* its claims are about to be replaced: they are nobody's obstacle */
	struct claim *claims;
};

/* Faults for everything in `routers` that another owner (one that is not `replacing`) has claimed. True: none. */
bool claims_check(const struct claims *c, const struct claim_owner *owner, const struct routers *routers,
		  struct problems *problems);
/* Replaces owner's claims by those of `routers` (NULL: none). What somebody else holds stays his. */
void claims_set(struct claims *c, struct claim_owner *owner, const struct routers *routers);
/* Who has the router with this id; NULL: nobody. */
struct uuid;
struct claim_owner *claims_router_owner(const struct claims *c, const struct uuid *id);
