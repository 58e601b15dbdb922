/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "log.h"
#include "router.h"
#include "vec.h"

#include <stdlib.h>
#include <string.h>

struct claimed {
	const struct node *at;
	const char *network;
	struct ip ip;
	uint8_t claim;
	uint32_t router;		/* ordinal in the file */
};

struct subnet_of { const struct node *at; struct prefix network; bool external; };
struct place { const struct node *at; struct ip ip; };
struct forwarded { const struct node *at; struct ip ip; uint8_t protocol; uint16_t first, last; };
struct route { const struct node *at; struct prefix destination; struct ip nexthop; };
struct named { const struct node *at; const char *name; struct uuid id; };

struct check {
	struct reader *rd;
	/* of the router that is being read */
	VEC(struct subnet_of) subnets;
	VEC(struct claimed) addresses;
	VEC(struct place) fixed, targets, instances;
	VEC(struct forwarded) forwarded;
	VEC(struct route) routes;
	VEC(struct prefix) inside;	/* what lies behind the interfaces: disjoint, sorted */
	/* of the file */
	VEC(struct claimed) all;
	VEC(struct named) routers, ports;
};

struct check *check_new(struct reader *rd)
{
	struct check *c = calloc(1, sizeof *c);

	if (!c)
		fatal("out of memory");
	c->rd = rd;
	return c;
}

void check_free(struct check *c)
{
	vec_free(&c->subnets);
	vec_free(&c->addresses);
	vec_free(&c->fixed);
	vec_free(&c->targets);
	vec_free(&c->instances);
	vec_free(&c->forwarded);
	vec_free(&c->routes);
	vec_free(&c->inside);
	vec_free(&c->all);
	vec_free(&c->routers);
	vec_free(&c->ports);
	free(c);
}

/* ---- what the reader reports ---- */

void check_subnet(struct check *c, const struct prefix *network, bool external, const struct node *at)
{
	*vec_add(&c->subnets) = (struct subnet_of){ .at = at, .network = *network, .external = external };
}

void check_address(struct check *c, enum claim claim, const char *network, const struct ip *ip, const struct node *at)
{
	*vec_add(&c->addresses) = (struct claimed){
		.at = at, .network = network, .ip = *ip, .claim = claim, .router = (uint32_t)c->routers.n };
}

void check_fixed(struct check *c, const struct ip *ip, const struct node *at)
{
	*vec_add(&c->fixed) = (struct place){ .at = at, .ip = *ip };
}

void check_target(struct check *c, const struct ip *ip, const struct node *at)
{
	*vec_add(&c->targets) = (struct place){ .at = at, .ip = *ip };
}

void check_instance(struct check *c, const struct ip *ip, const struct node *at)
{
	*vec_add(&c->instances) = (struct place){ .at = at, .ip = *ip };
}

void check_forwarded(struct check *c, const struct ip *ip, uint8_t protocol, uint16_t first, uint16_t last,
		     const struct node *at)
{
	*vec_add(&c->forwarded) = (struct forwarded){
		.at = at, .ip = *ip, .protocol = protocol, .first = first, .last = last };
}

void check_route(struct check *c, const struct prefix *destination, const struct ip *nexthop, const struct node *at)
{
	*vec_add(&c->routes) = (struct route){ .at = at, .destination = *destination, .nexthop = *nexthop };
}

void check_port(struct check *c, const struct uuid *id, const struct node *at)
{
	*vec_add(&c->ports) = (struct named){ .at = at, .id = *id };
}

/* ---- orders: by key, then by place in the file, so that the later of two is the one at fault ---- */

static int by_place(const struct node *a, const struct node *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

static int by_network(const void *a, const void *b)
{
	const struct subnet_of *l = a, *r = b;
	int order = prefix_compare(&l->network, &r->network);

	return order ? order : by_place(l->at, r->at);
}

static int by_ip(const void *a, const void *b)
{
	const struct place *l = a, *r = b;
	int order = ip_compare(&l->ip, &r->ip);

	return order ? order : by_place(l->at, r->at);
}

static int by_claim(const void *a, const void *b)
{
	const struct claimed *l = a, *r = b;
	int order = ip_compare(&l->ip, &r->ip);

	return order ? order : l->claim != r->claim ? (int)l->claim - (int)r->claim : by_place(l->at, r->at);
}

static int by_seen(const void *a, const void *b)
{
	const struct claimed *l = a, *r = b;
	int order = strcmp(l->network, r->network);

	order = order ? order : ip_compare(&l->ip, &r->ip);
	return order ? order : by_place(l->at, r->at);
}

static int by_ports(const void *a, const void *b)
{
	const struct forwarded *l = a, *r = b;
	int order = ip_compare(&l->ip, &r->ip);

	order = order ? order : (int)l->protocol - (int)r->protocol;
	order = order ? order : (int)l->first - (int)r->first;
	return order ? order : by_place(l->at, r->at);
}

static int by_destination(const void *a, const void *b)
{
	const struct route *l = a, *r = b;
	int order = prefix_compare(&l->destination, &r->destination);

	order = order ? order : ip_compare(&l->nexthop, &r->nexthop);
	return order ? order : by_place(l->at, r->at);
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_compare(a, b);
}

static int by_name(const void *a, const void *b)
{
	const struct named *l = a, *r = b;
	int order = strcmp(l->name, r->name);

	return order ? order : by_place(l->at, r->at);
}

static int by_id(const void *a, const void *b)
{
	const struct named *l = a, *r = b;
	int order = uuid_compare(&l->id, &r->id);

	return order ? order : by_place(l->at, r->at);
}

/* ---- one router ---- */

/* Two prefixes overlap only if one holds the other, so in sorted order it is enough to remember the last that is not
 * held by one before it. */
static bool check_subnets(struct check *c)
{
	const struct subnet_of *last = NULL;
	bool apart = true;

	vec_sort(&c->subnets, by_network);
	for (size_t i = 0; i < c->subnets.n; i++) {
		const struct subnet_of *s = &c->subnets.at[i], *late, *early;
		char one[PREFIX_TEXT], other[PREFIX_TEXT];

		if (!last || !prefix_contains(&last->network, &s->network.ip)) {
			last = s;
			continue;
		}
		apart = false;
		late = by_place(last->at, s->at) < 0 ? s : last;
		early = late == s ? last : s;
		reader_fault(c->rd, late->at, "network %s overlaps %s%s of this router (line %u)",
			     prefix_print(&late->network, one), early->external ? "the external network " : "",
			     prefix_print(&early->network, other), early->at->line);
	}
	return apart;
}

/* The subnet that ip is in; right only if none overlap. */
static const struct subnet_of *subnet_with(const struct check *c, const struct ip *ip)
{
	size_t low = 0, high = c->subnets.n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ip_compare(&c->subnets.at[middle].network.ip, ip) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && prefix_contains(&c->subnets.at[low - 1].network, ip) ? &c->subnets.at[low - 1] : NULL;
}

static const char *claim_name(enum claim claim)
{
	static const char *const names[] = {
		[CLAIM_GATEWAY] = "an address of the external gateway",
		[CLAIM_NEXTHOP] = "an entry of gateway_ips",
		[CLAIM_INTERFACE] = "an interface's address",
		[CLAIM_FLOATING] = "a floating IP",
		[CLAIM_FORWARDED] = "a floating IP with port forwardings",
	};

	return names[claim];
}

static void check_addresses(struct check *c)
{
	vec_sort(&c->addresses, by_claim);
	for (size_t i = 0; i < c->addresses.n; i++) {
		const struct claimed *a = &c->addresses.at[i], *before = i ? a - 1 : NULL;
		const struct subnet_of *subnet = a->claim >= CLAIM_FLOATING ? subnet_with(c, &a->ip) : NULL;
		char ip[IP_TEXT], network[PREFIX_TEXT];
		struct ip broadcast;

		if (before && ip_equal(&before->ip, &a->ip) &&
		    !(before->claim == CLAIM_FORWARDED && a->claim == CLAIM_FORWARDED)) {
			bool later = by_place(before->at, a->at) < 0;

			reader_fault(c->rd, later ? a->at : before->at, "%s is %s already (line %u)",
				     ip_print(&a->ip, ip), claim_name(later ? before->claim : a->claim),
				     later ? before->at->line : a->at->line);
		}
		if (a->claim != CLAIM_NEXTHOP)
			*vec_add(&c->all) = *a;
		if (!subnet || subnet->network.length >= 31)
			continue;
		broadcast = prefix_broadcast(&subnet->network);
		if (ip_equal(&a->ip, &subnet->network.ip) || ip_equal(&a->ip, &broadcast))
			reader_fault(c->rd, a->at, "%s is the %s address of %s", ip_print(&a->ip, ip),
				     ip_equal(&a->ip, &broadcast) ? "broadcast" : "network",
				     prefix_print(&subnet->network, network));
	}
}

/* Does the router hold ip itself? Needs the addresses sorted. */
static bool is_own(const struct check *c, const struct ip *ip, enum claim claim)
{
	struct claimed key = { .ip = *ip, .claim = claim };
	size_t low = 0, high = c->addresses.n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct claimed *a = &c->addresses.at[middle];
		int order = ip_compare(&a->ip, &key.ip);

		if (order < 0 || (!order && a->claim < key.claim))
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->addresses.n && ip_equal(&c->addresses.at[low].ip, ip) && c->addresses.at[low].claim == claim;
}

/* What packets can be sent into: the interfaces' networks and all that is routed, without those that are in another. */
static void collect_inside(struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->subnets.n; i++)
		if (!c->subnets.at[i].external)
			*vec_add(&c->inside) = c->subnets.at[i].network;
	for (size_t i = 0; i < c->routes.n; i++)
		*vec_add(&c->inside) = c->routes.at[i].destination;
	vec_sort(&c->inside, by_prefix);
	for (size_t i = 0; i < c->inside.n; i++)
		if (!n || !prefix_contains(&c->inside.at[n - 1], &c->inside.at[i].ip))
			c->inside.at[n++] = c->inside.at[i];
	c->inside.n = n;
}

static void check_inside(struct check *c, const struct place *p)
{
	size_t low = 0, high = c->inside.n;
	char ip[IP_TEXT];

	/* A guest asks for metadata from its link-local address too. */
	if (ip_is_link_local(&p->ip))
		return;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ip_compare(&c->inside.at[middle].ip, &p->ip) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !prefix_contains(&c->inside.at[low - 1], &p->ip))
		reader_fault(c->rd, p->at, "%s is in no network of this router's interfaces or routes",
			     ip_print(&p->ip, ip));
}

static void check_places(struct check *c, bool complete)
{
	char ip[IP_TEXT];

	vec_sort(&c->fixed, by_ip);
	for (size_t i = 1; i < c->fixed.n; i++)
		if (ip_equal(&c->fixed.at[i - 1].ip, &c->fixed.at[i].ip))
			reader_fault(c->rd, c->fixed.at[i].at, "%s has a floating IP already (line %u)",
				     ip_print(&c->fixed.at[i].ip, ip), c->fixed.at[i - 1].at->line);
	vec_sort(&c->instances, by_ip);
	for (size_t i = 1; i < c->instances.n; i++)
		if (ip_equal(&c->instances.at[i - 1].ip, &c->instances.at[i].ip))
			reader_fault(c->rd, c->instances.at[i].at, "%s is another instance's already (line %u)",
				     ip_print(&c->instances.at[i].ip, ip), c->instances.at[i - 1].at->line);
	if (!complete)
		return;
	collect_inside(c);
	for (size_t i = 0; i < c->fixed.n; i++)
		check_inside(c, &c->fixed.at[i]);
	for (size_t i = 0; i < c->targets.n; i++)
		check_inside(c, &c->targets.at[i]);
	for (size_t i = 0; i < c->instances.n; i++)
		check_inside(c, &c->instances.at[i]);
}

static void check_ports(struct check *c)
{
	const struct forwarded *widest = NULL;

	vec_sort(&c->forwarded, by_ports);
	for (size_t i = 0; i < c->forwarded.n; i++) {
		const struct forwarded *f = &c->forwarded.at[i], *late, *early;
		bool same = widest && ip_equal(&widest->ip, &f->ip) && widest->protocol == f->protocol;

		if (same && f->first <= widest->last) {
			late = by_place(widest->at, f->at) < 0 ? f : widest;
			early = late == f ? widest : f;
			reader_fault(c->rd, late->at, "external_port: %s port %u is forwarded already (line %u)",
				     protocol_name(f->protocol), f->first, early->at->line);
		}
		if (!same || f->last > widest->last)
			widest = f;
	}
}

static void check_nexthop(struct check *c, const struct route *r)
{
	const struct subnet_of *subnet = subnet_with(c, &r->nexthop);
	char ip[IP_TEXT];

	ip_print(&r->nexthop, ip);
	if (is_own(c, &r->nexthop, CLAIM_GATEWAY) || is_own(c, &r->nexthop, CLAIM_INTERFACE))
		reader_fault(c->rd, r->at, "nexthop: %s is this router's own address", ip);
	else if (!subnet && !is_own(c, &r->nexthop, CLAIM_NEXTHOP))
		reader_fault(c->rd, r->at, "nexthop: %s is in no network of this router", ip);
}

static void check_routes(struct check *c, bool complete)
{
	size_t hops = 0;

	vec_sort(&c->routes, by_destination);
	for (size_t i = 0; i < c->routes.n; i++) {
		const struct route *r = &c->routes.at[i], *before = i ? r - 1 : NULL;
		const struct subnet_of *subnet = subnet_with(c, &r->destination.ip);
		char destination[PREFIX_TEXT];

		prefix_print(&r->destination, destination);
		hops = before && prefix_compare(&before->destination, &r->destination) == 0 ? hops + 1 : 1;
		if (hops > 1 && ip_equal(&before->nexthop, &r->nexthop))
			reader_fault(c->rd, r->at, "this route to %s is written already (line %u)", destination,
				     before->at->line);
		if (hops == ROUTER_MAX_NEXTHOPS + 1)
			reader_fault(c->rd, r->at, "more than %d next hops to %s", ROUTER_MAX_NEXTHOPS, destination);
		if (subnet && prefix_compare(&subnet->network, &r->destination) == 0)
			reader_fault(c->rd, r->at, "destination: %s is a network of this router itself (line %u)",
				     destination, subnet->at->line);
		if (complete)
			check_nexthop(c, r);
	}
}

void check_router(struct check *c, const char *name, const struct uuid *id, bool complete, const struct node *at)
{
	complete = check_subnets(c) && complete;
	check_addresses(c);
	check_places(c, complete);
	check_ports(c);
	check_routes(c, complete);
	c->subnets.n = c->addresses.n = c->fixed.n = c->targets.n = c->instances.n = c->forwarded.n = c->routes.n =
		c->inside.n = 0;
	*vec_add(&c->routers) = (struct named){ .at = at, .name = name, .id = *id };
}

/* ---- the file ---- */

static void check_shared(struct check *c)
{
	vec_sort(&c->all, by_seen);
	for (size_t i = 1; i < c->all.n; i++) {
		const struct claimed *a = &c->all.at[i], *before = a - 1;
		char ip[IP_TEXT];

		if (a->router != before->router && ip_equal(&a->ip, &before->ip) &&
		    strcmp(a->network, before->network) == 0)
			reader_fault(c->rd, a->at, "%s on network '%s' is %s of router '%s' already (line %u)",
				     ip_print(&a->ip, ip), a->network, claim_name(before->claim),
				     c->routers.at[before->router].name, before->at->line);
	}
}

static void check_names(struct check *c)
{
	char id[UUID_TEXT];

	/* Routers that lack a name were faulted for that. */
	vec_sort(&c->routers, by_name);
	for (size_t i = 1; i < c->routers.n; i++)
		if (*c->routers.at[i].name && strcmp(c->routers.at[i - 1].name, c->routers.at[i].name) == 0)
			reader_fault(c->rd, c->routers.at[i].at,
				     "a router named '%s' is in this file already (line %u)", c->routers.at[i].name,
				     c->routers.at[i - 1].at->line);
	vec_sort(&c->routers, by_id);
	for (size_t i = 1; i < c->routers.n; i++)
		if (*c->routers.at[i].name && uuid_compare(&c->routers.at[i - 1].id, &c->routers.at[i].id) == 0 &&
		    strcmp(c->routers.at[i - 1].name, c->routers.at[i].name) != 0)
			reader_fault(c->rd, c->routers.at[i].at,
				     "a router with the id %s is in this file already (line %u)",
				     uuid_print(&c->routers.at[i].id, id), c->routers.at[i - 1].at->line);
}

/* A device is known by the first 11 characters of its port's id (5 bytes and a dash), as in Neutron. */
static void check_port_ids(struct check *c)
{
	char one[UUID_TEXT], other[UUID_TEXT];

	vec_sort(&c->ports, by_id);
	for (size_t i = 1; i < c->ports.n; i++)
		if (memcmp(c->ports.at[i - 1].id.bytes, c->ports.at[i].id.bytes, 5) == 0)
			reader_fault(c->rd, c->ports.at[i].at,
				     "this port's id %s and %s (line %u) must differ in their first "
				     "11 characters",
				     uuid_print(&c->ports.at[i].id, one), uuid_print(&c->ports.at[i - 1].id, other),
				     c->ports.at[i - 1].at->line);
}

void check_file(struct check *c)
{
	check_shared(c);		/* before check_names, which reorders the routers */
	check_names(c);
	check_port_ids(c);
}
