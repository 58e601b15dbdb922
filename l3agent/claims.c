/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "claims.h"

#include "log.h"
#include "problems.h"
#include "routers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KEY_MAX = 512, DEVICE_ID_LENGTH = 11 };

struct claim {
	UT_hash_handle hh;
	struct claim *next;		/* of the same owner */
	struct claim_owner *owner;
	unsigned line;
	char key[];			/* "id/…", "address/<network>/…", "port/…": the kind is for people, too */
};

/* Calls `each` with every key of r; its text after the first slash is what a person knows it by. */
static void walk(const struct router *r, void (*each)(const char *key, const struct router *r, void *ctx), void *ctx)
{
	char key[KEY_MAX], text[UUID_TEXT], address[IP_TEXT];
	const struct port *gw = r->gw_port;

	snprintf(key, sizeof key, "id/%s", uuid_print(&r->id, text));
	each(key, r, ctx);
	for (size_t i = 0; i < r->n_interfaces; i++) {
		snprintf(key, sizeof key, "port/%.*s", DEVICE_ID_LENGTH, uuid_print(&r->interfaces[i].id, text));
		each(key, r, ctx);
	}
	if (!gw)
		return;
	snprintf(key, sizeof key, "port/%.*s", DEVICE_ID_LENGTH, uuid_print(&gw->id, text));
	each(key, r, ctx);
	for (size_t i = 0; i < gw->n_fixed_ips; i++) {
		snprintf(key, sizeof key, "address/%s/%s", gw->network, ip_print(&gw->fixed_ips[i].ip_address, address));
		each(key, r, ctx);
	}
	for (size_t i = 0; i < r->n_floatingips; i++) {
		snprintf(key, sizeof key, "address/%s/%s", gw->network,
			 ip_print(&r->floatingips[i].floating_ip_address, address));
		each(key, r, ctx);
	}
	for (size_t i = 0; i < r->n_port_forwardings; i++) {
		if (i && ip_equal(&r->port_forwardings[i].floating_ip_address,
				  &r->port_forwardings[i - 1].floating_ip_address))
			continue;
		snprintf(key, sizeof key, "address/%s/%s", gw->network,
			 ip_print(&r->port_forwardings[i].floating_ip_address, address));
		each(key, r, ctx);
	}
}

static struct claim *find(const struct claims *c, const char *key)
{
	struct claim *found;

	HASH_FIND_STR(c->table, key, found);
	return found;
}

struct check { const struct claims *claims; const struct claim_owner *owner; struct problems *problems; bool fine; };

static void check_one(const char *key, const struct router *r, void *ctx)
{
	struct check *c = ctx;
	const struct claim *other = find(c->claims, key);

	if (!other || other->owner == c->owner || other->owner->replacing)
		return;
	c->fine = false;
	if (strncmp(key, "id/", 3) == 0)
		problems_add(c->problems, c->owner->path, r->line, 1, "router %s (id %s) stands already in %s:%u", r->name,
			     key + 3, other->owner->path, other->line);
	else if (strncmp(key, "port/", 5) == 0)
		problems_add(c->problems, c->owner->path, r->line, 1,
			     "router %s has a port whose id begins with %s as that of a port in %s:%u, and devices are named "
			     "by these 11 characters", r->name, key + 5, other->owner->path, other->line);
	else
		problems_add(c->problems, c->owner->path, r->line, 1,
			     "router %s uses %s on network %.*s, which is used already in %s:%u", r->name,
			     strrchr(key, '/') + 1, (int)(strrchr(key, '/') - key - 8), key + 8, other->owner->path,
			     other->line);
}

bool claims_check(const struct claims *c, const struct claim_owner *owner, const struct routers *routers,
		  struct problems *problems)
{
	struct check check = { c, owner, problems, true };

	for (size_t i = 0; i < routers->n; i++)
		walk(routers->at[i], check_one, &check);
	return check.fine;
}

struct taking { struct claims *claims; struct claim_owner *owner; };

static void take_one(const char *key, const struct router *r, void *ctx)
{
	struct taking *t = ctx;
	struct claim *claim;

	if (find(t->claims, key))
		return;
	claim = calloc(1, sizeof *claim + strlen(key) + 1);
	if (!claim)
		fatal("out of memory");
	strcpy(claim->key, key);
	claim->owner = t->owner;
	claim->line = r->line;
	claim->next = t->owner->claims;
	t->owner->claims = claim;
	HASH_ADD_KEYPTR(hh, t->claims->table, claim->key, strlen(claim->key), claim);
}

void claims_set(struct claims *c, struct claim_owner *owner, const struct routers *routers)
{
	struct taking taking = { c, owner };

	for (struct claim *claim = owner->claims, *next; claim; claim = next) {
		next = claim->next;
		HASH_DEL(c->table, claim);
		free(claim);
	}
	owner->claims = NULL;
	for (size_t i = 0; routers && i < routers->n; i++)
		walk(routers->at[i], take_one, &taking);
}

struct claim_owner *claims_router_owner(const struct claims *c, const struct uuid *id)
{
	char key[sizeof "id/" + UUID_TEXT], text[UUID_TEXT];
	struct claim *found;

	snprintf(key, sizeof key, "id/%s", uuid_print(id, text));
	found = find(c, key);
	return found ? found->owner : NULL;
}
