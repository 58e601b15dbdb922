/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include <stdio.h>
#include <string.h>

/* One walk per kind of operation, so that the list comes out in the order of application. */
struct walk {
	const struct ns_state *have, *want;
	struct ns_ops *ops;
	enum ns_op_kind kind;
	bool early;			/* LINK_DEL: those that must not wait for the end */
	VEC(struct ip) wanted;		/* all addresses, sorted; made when first asked for */
};

static struct ns_op *add(struct walk *w)
{
	struct ns_op *op = vec_add(&w->ops->ops);

	op->kind = w->kind;
	return op;
}

/* ---- links ---- */

/* A device that is no veth of ours, or has lost or been given another root side: no request mends that. */
static bool beyond_mending(const struct ns_link *have, const struct ns_link *want)
{
	return !have->peer_ifindex || strcmp(have->peer, want->peer) != 0;
}

static bool differs(const struct ns_link *have, const struct ns_link *want)
{
	return memcmp(&have->mac, &want->mac, sizeof have->mac) != 0 || have->mtu != want->mtu ||
	       have->peer_mtu != want->mtu || !have->up || !have->peer_up || !have->peer_ipv6_quiet ||
	       (want->n_bridges && !have->peer_bridged);
}

/* Will the link that the kernel has under this name be gone before addresses and routes are looked at? */
static bool link_goes(const struct walk *w, const char *dev)
{
	const struct ns_link *have = ns_find_link(w->have, dev), *want = ns_find_link(w->want, dev);

	return have && (want ? beyond_mending(have, want) : ns_owns_link(w->want, dev));
}

static int compare_ips(const void *a, const void *b)
{
	return ip_compare(a, b);
}

/* Does a link that goes hold an address that is wanted on another? Then it goes first: with both in one bridge, IPv6's
 * duplicate address detection (RFC 4862, section 5.4) would condemn the new one for good. */
static bool in_the_way(struct walk *w, const struct ns_link *have)
{
	if (!w->wanted.n) {
		for (size_t i = 0; i < w->want->addrs.n; i++)
			*vec_add(&w->wanted) = w->want->addrs.at[i].ip;
		vec_sort(&w->wanted, compare_ips);
	}
	for (size_t i = 0; w->wanted.n && i < w->have->addrs.n; i++) {
		const struct ns_addr *a = &w->have->addrs.at[i];

		if (strcmp(a->dev, have->name) == 0 &&
		    bsearch(&a->ip, w->wanted.at, w->wanted.n, sizeof a->ip, compare_ips))
			return true;
	}
	return false;
}

static void link_pair(const void *left, const void *right, void *ctx)
{
	const struct ns_link *have = left, *want = right;
	struct walk *w = ctx;
	struct ns_op *op;
	enum ns_op_kind kind;

	if (!want) {
		kind = NS_LINK_DEL;
		if (w->kind != kind || !ns_owns_link(w->want, have->name) || in_the_way(w, have) != w->early)
			return;
	} else if (!have || beyond_mending(have, want)) {
		kind = NS_LINK_ADD;
	} else {
		kind = NS_LINK_SET;
		if (!differs(have, want))
			return;
	}
	if (kind != w->kind)
		return;
	op = add(w);
	if (want)
		op->link.want = *want;
	if (have)
		op->link.have = *have;
}

static void find_links(struct walk *w)
{
	vec_walk(w->have->links.at, w->have->links.n, w->want->links.at, w->want->links.n, sizeof *w->want->links.at,
		 ns_link_compare, link_pair, w);
}

static void find_early_links(struct walk *w)
{
	w->early = true;
	find_links(w);
	w->early = false;
}

/* ---- addresses ---- */

/* IPv6 has an address once per device, so another prefix length is a replacement; IPv4 takes both for a while. */
static const struct ns_addr *same_ipv6(const struct ns_state *s, const struct ns_addr *a)
{
	return a->ip.family == AF_INET6 ? ns_find_addr(s, a->dev, &a->ip) : NULL;
}

static void addr_pair(const void *left, const void *right, void *ctx)
{
	const struct ns_addr *have = left, *want = right;
	struct walk *w = ctx;
	bool goes = link_goes(w, have ? have->dev : want->dev);
	enum ns_op_kind kind;
	struct ns_op *op;

	if (!want) {
		kind = NS_ADDR_DEL;
		if (goes || !ns_find_link(w->want, have->dev) || same_ipv6(w->want, have))
			return;
	} else if (goes) {
		kind = NS_ADDR_ADD;
		have = NULL;
	} else if (have) {
		kind = NS_ADDR_REPLACE;
		if (!have->dynamic)
			return;
	} else {
		have = same_ipv6(w->have, want);
		kind = have ? NS_ADDR_REPLACE : NS_ADDR_ADD;
	}
	if (kind != w->kind)
		return;
	op = add(w);
	if (want)
		op->addr.want = *want;
	if (have)
		op->addr.have = *have;
}

static void find_addrs(struct walk *w)
{
	vec_walk(w->have->addrs.at, w->have->addrs.n, w->want->addrs.at, w->want->addrs.n, sizeof *w->want->addrs.at,
		 ns_addr_compare, addr_pair, w);
}

/* ---- routes ---- */

static bool hop_fits(const struct ns_hop *have, const struct ns_hop *want)
{
	return ip_equal(&have->via, &want->via) && have->onlink == want->onlink &&
	       (!*want->dev || strcmp(have->dev, want->dev) == 0);
}

static bool hops_equal(const struct ns_route *have, const struct ns_route *want)
{
	bool taken[ROUTE_MAX_HOPS] = { false };

	if (have->n_hops != want->n_hops || want->n_hops > ROUTE_MAX_HOPS)
		return false;
	for (size_t i = 0; i < want->n_hops; i++) {
		size_t j = 0;

		while (j < have->n_hops && (taken[j] || !hop_fits(&have->hops[j], &want->hops[i])))
			j++;
		if (j == have->n_hops)
			return false;
		taken[j] = true;
	}
	return true;
}

static bool is_direct(const struct ns_route *r)
{
	return r->n_hops == 1 && !r->hops[0].via.family;
}

/* Does the route stand when addresses and routes are looked at? It does not if a hop's device goes. */
static bool stands(const struct walk *w, const struct ns_route *r)
{
	for (size_t i = 0; i < r->n_hops; i++)
		if (link_goes(w, r->hops[i].dev))
			return false;
	return true;
}

static void add_route(struct walk *w, enum ns_op_kind kind, const struct ns_route *have, const struct ns_route *want)
{
	struct ns_op *op;

	if (kind != w->kind)
		return;
	op = add(w);
	if (want)
		op->route.want = *want;
	if (have)
		op->route.have = *have;
}

/* `have` are all n routes with one key: the kernel takes several, appended by hand. `want` may be NULL. */
static void route_group(struct walk *w, const struct ns_route *have, size_t n, const struct ns_route *want)
{
	const struct ns_route *kept = NULL;

	for (size_t i = 0; want && i < n; i++)
		if (stands(w, &have[i]) && (!kept || hops_equal(&have[i], want)))
			kept = &have[i];
	if (want && !kept)
		add_route(w, NS_ROUTE_ADD, NULL, want);
	else if (want && !hops_equal(kept, want))
		add_route(w, NS_ROUTE_REPLACE, kept, want);
	for (size_t i = 0; i < n; i++)
		if (&have[i] != kept && (stands(w, &have[i]) || have[i].n_hops > 1))
			add_route(w, NS_ROUTE_DEL, &have[i], NULL);
}

static void walk_routes(struct walk *w, bool direct)
{
	const struct ns_route *have = w->have->routes.at, *want = w->want->routes.at;
	size_t n_have = w->have->routes.n, n_want = w->want->routes.n, i = 0, j = 0;

	while (i < n_have || j < n_want) {
		int order = i == n_have ? 1 : j == n_want ? -1 : ns_route_compare(&have[i], &want[j]);
		const struct ns_route *wanted = order >= 0 ? &want[j++] : NULL, *first = order <= 0 ? &have[i] : NULL;
		size_t n = 0;

		for (; first && i < n_have && ns_route_compare(first, &have[i]) == 0; i++)
			n++;
		if (is_direct(wanted ? wanted : first) == direct)
			route_group(w, first, n, wanted);
	}
}

/* Routes straight to a device first: other routes' nexthops may be reached by them. */
static void find_routes(struct walk *w)
{
	walk_routes(w, true);
	walk_routes(w, false);
}

/* ---- the rest ---- */

/* "ipv6/conf/qg-…/accept_ra" → "qg-…" */
static bool of_going_link(const struct walk *w, const char *key)
{
	char dev[IFNAMSIZ];

	return sscanf(key, "%*[^/]/%*[^/]/%15[^/]", dev) == 1 && link_goes(w, dev);
}

static void find_sysctls(struct walk *w)
{
	for (size_t i = 0; i < w->want->sysctls.n; i++) {
		const struct ns_sysctl *want = &w->want->sysctls.at[i], *have = NULL;
		struct ns_op *op;

		if (want->late != (w->kind == NS_LATE_SYSCTL))
			continue;
		for (size_t j = 0; !have && j < w->have->sysctls.n; j++)
			if (strcmp(w->have->sysctls.at[j].key, want->key) == 0)
				have = &w->have->sysctls.at[j];
		if (have && want->late && of_going_link(w, want->key))
			have = NULL;
		if (have && strcmp(have->value, want->value) == 0)
			continue;
		op = add(w);
		op->sysctl.want = *want;
		if (have)
			memcpy(op->sysctl.have, have->value, sizeof op->sysctl.have);
	}
}

static void find_create(struct walk *w)
{
	if (!w->have->exists)
		add(w);
}

static void find_lo(struct walk *w)
{
	if (w->want->lo_up && !w->have->lo_up)
		add(w);
}

void ns_diff(const struct ns_state *have, const struct ns_state *want, struct ns_ops *ret)
{
	static const struct { enum ns_op_kind kind; void (*find)(struct walk *w); } steps[] = {
		{ NS_CREATE, find_create }, { NS_LO_UP, find_lo }, { NS_SYSCTL, find_sysctls },
		{ NS_LINK_DEL, find_early_links }, { NS_LINK_ADD, find_links }, { NS_LINK_SET, find_links },
		{ NS_LATE_SYSCTL, find_sysctls },
		{ NS_ADDR_ADD, find_addrs }, { NS_ADDR_REPLACE, find_addrs },
		{ NS_ROUTE_ADD, find_routes }, { NS_ROUTE_REPLACE, find_routes }, { NS_ROUTE_DEL, find_routes },
		{ NS_ADDR_DEL, find_addrs }, { NS_LINK_DEL, find_links },
	};
	struct walk w = { .have = have, .want = want, .ops = ret };

	*ret = (struct ns_ops){ 0 };
	memcpy(ret->name, want->name, sizeof ret->name);
	for (size_t i = 0; want->exists && i < sizeof steps / sizeof *steps; i++) {
		w.kind = steps[i].kind;
		steps[i].find(&w);
	}
	if (!want->exists && have->exists) {
		/* The kernel would take the links along, but later, in the background. */
		w.kind = NS_LINK_DEL;
		find_links(&w);
		w.kind = NS_DELETE;
		add(&w);
	}
	vec_free(&w.wanted);
}

void ns_ops_free(struct ns_ops *o)
{
	vec_free(&o->ops);
}

size_t ns_ops_filter_point(const struct ns_ops *ops)
{
	size_t i = 0;

	while (i < ops->ops.n && ops->ops.at[i].kind <= NS_SYSCTL)
		i++;
	return i;
}
