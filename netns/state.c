/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include "text.h"

#include <string.h>

void ns_state_free(struct ns_state *s)
{
	vec_free(&s->links);
	vec_free(&s->addrs);
	vec_free(&s->routes);
	vec_free(&s->sysctls);
}

/* ---- order ---- */

int ns_link_compare(const void *a, const void *b)
{
	return strcmp(((const struct ns_link *)a)->name, ((const struct ns_link *)b)->name);
}

static int compare_to(const struct ns_addr *a, const char *dev, const struct ip *ip)
{
	int order = strcmp(a->dev, dev);

	return order ? order : ip_compare(&a->ip, ip);
}

int ns_addr_compare(const void *a, const void *b)
{
	const struct ns_addr *x = a, *y = b;
	int order = compare_to(x, y->dev, &y->ip);

	return order ? order : (int)x->prefixlen - (int)y->prefixlen;
}

int ns_route_compare(const void *a, const void *b)
{
	const struct ns_route *x = a, *y = b;
	int order = prefix_compare(&x->dest, &y->dest);

	return order ? order : x->metric < y->metric ? -1 : x->metric > y->metric;
}

void ns_state_sort(struct ns_state *s)
{
	vec_sort(&s->links, ns_link_compare);
	vec_sort(&s->addrs, ns_addr_compare);
	vec_sort(&s->routes, ns_route_compare);
}

const struct ns_link *ns_find_link(const struct ns_state *s, const char *name)
{
	size_t low = 0, high = s->links.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(s->links.at[middle].name, name);

		if (order == 0)
			return &s->links.at[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct ns_addr *ns_find_addr(const struct ns_state *s, const char *dev, const struct ip *ip)
{
	size_t low = 0, high = s->addrs.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_to(&s->addrs.at[middle], dev, ip) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->addrs.n && compare_to(&s->addrs.at[low], dev, ip) == 0 ? &s->addrs.at[low] : NULL;
}

bool ns_owns_link(const struct ns_state *want, const char *name)
{
	for (const char *const *p = want->prefixes; p && *p; p++)
		if (strncmp(name, *p, strlen(*p)) == 0)
			return true;
	return ns_find_link(want, name);
}

/* ---- print ---- */

static void put_ip(struct text *out, const struct ip *ip)
{
	char buf[IP_TEXT];

	text_put(out, ip_print(ip, buf));
}

/* sysctl(8)'s spelling: dots between the parts, a dot within a device's name becomes a slash. */
static void put_key(struct text *out, const char *key)
{
	text_put(out, "net.");
	for (; *key; key++)
		text_add(out, *key == '/' ? "." : *key == '.' ? "/" : key, 1);
}

static void put_link(struct text *out, const struct ns_link *l)
{
	char mac[MAC_TEXT];

	text_printf(out, "link %s peer %s mac %s mtu %u", l->name, *l->peer ? l->peer : "-", mac_print(&l->mac, mac),
		    l->mtu);
	for (size_t i = 0; i < l->n_bridges; i++)
		text_printf(out, "%s%s", i ? "," : " bridge ", l->bridges[i]);
}

static void put_addr(struct text *out, const struct ns_addr *a)
{
	text_put(out, "addr ");
	put_ip(out, &a->ip);
	text_printf(out, "/%u dev %s", a->prefixlen, a->dev);
}

static void put_hop(struct text *out, const struct ns_hop *h)
{
	if (h->via.family) {
		text_put(out, " via ");
		put_ip(out, &h->via);
	}
	if (*h->dev)
		text_printf(out, " dev %s", h->dev);
	if (h->onlink)
		text_put(out, " onlink");
}

static void put_hops(struct text *out, const struct ns_route *r)
{
	for (size_t i = 0; i < r->n_hops; i++) {
		if (r->n_hops > 1)
			text_put(out, " nexthop");
		put_hop(out, &r->hops[i]);
	}
}

static void put_route(struct text *out, const struct ns_route *r)
{
	char dest[PREFIX_TEXT];

	text_printf(out, "route %s", prefix_print(&r->dest, dest));
	if (r->metric)
		text_printf(out, " metric %u", r->metric);
	put_hops(out, r);
}

void ns_state_print(const struct ns_state *s, struct text *out)
{
	text_printf(out, "namespace %s%s\n", s->name, s->exists ? "" : " absent");
	if (!s->exists)
		return;
	if (s->lo_up)
		text_put(out, "  lo up\n");
	for (size_t i = 0; i < s->sysctls.n; i++) {
		text_put(out, "  sysctl ");
		put_key(out, s->sysctls.at[i].key);
		text_printf(out, " = %s\n", s->sysctls.at[i].value);
	}
	for (size_t i = 0; i < s->links.n; i++) {
		text_put(out, "  ");
		put_link(out, &s->links.at[i]);
		text_put(out, "\n");
	}
	for (size_t i = 0; i < s->addrs.n; i++) {
		text_put(out, "  ");
		put_addr(out, &s->addrs.at[i]);
		text_put(out, "\n");
	}
	for (size_t i = 0; i < s->routes.n; i++) {
		text_put(out, "  ");
		put_route(out, &s->routes.at[i]);
		text_put(out, "\n");
	}
}

static void put_link_changes(struct text *out, const struct ns_link *want, const struct ns_link *have)
{
	char from[MAC_TEXT], to[MAC_TEXT];

	text_printf(out, "link %s", want->name);
	if (memcmp(&want->mac, &have->mac, sizeof want->mac) != 0)
		text_printf(out, " mac %s → %s", mac_print(&have->mac, from), mac_print(&want->mac, to));
	if (have->mtu != want->mtu)
		text_printf(out, " mtu %u → %u", have->mtu, want->mtu);
	if (have->peer_mtu != want->mtu)
		text_printf(out, " peer mtu %u → %u", have->peer_mtu, want->mtu);
	if (!have->up)
		text_put(out, " up");
	if (!have->peer_up)
		text_put(out, " peer up");
	if (!have->peer_ipv6_quiet)
		text_put(out, " peer without IPv6");
	if (want->n_bridges && !have->peer_bridged)
		text_printf(out, " bridge %s%s", want->bridges[0], want->n_bridges > 1 ? ",…" : "");
}

static void put_sysctl_change(struct text *out, const struct ns_op *op)
{
	text_put(out, "~ sysctl ");
	put_key(out, op->sysctl.want.key);
	text_printf(out, " %s%s%s", op->sysctl.have, *op->sysctl.have ? " → " : "= ", op->sysctl.want.value);
}

void ns_op_print(const struct ns_op *op, struct text *out)
{
	switch (op->kind) {
	case NS_CREATE:
		text_put(out, "+ namespace");
		break;
	case NS_LO_UP:
		text_put(out, "~ link lo up");
		break;
	case NS_SYSCTL:
	case NS_LATE_SYSCTL:
		put_sysctl_change(out, op);
		break;
	case NS_LINK_ADD:
		text_put(out, op->link.have.ifindex ? "~ made anew: " : "+ ");
		put_link(out, &op->link.want);
		break;
	case NS_LINK_SET:
		text_put(out, "~ ");
		put_link_changes(out, &op->link.want, &op->link.have);
		break;
	case NS_ADDR_ADD:
		text_put(out, "+ ");
		put_addr(out, &op->addr.want);
		break;
	case NS_ADDR_REPLACE:
		text_put(out, "~ ");
		put_addr(out, &op->addr.want);
		if (op->addr.have.prefixlen != op->addr.want.prefixlen)
			text_printf(out, ", was /%u", op->addr.have.prefixlen);
		else
			text_put(out, ", had a lifetime");
		break;
	case NS_ROUTE_ADD:
		text_put(out, "+ ");
		put_route(out, &op->route.want);
		break;
	case NS_ROUTE_REPLACE:
		text_put(out, "~ ");
		put_route(out, &op->route.want);
		text_put(out, ", was");
		put_hops(out, &op->route.have);
		break;
	case NS_ROUTE_DEL:
		text_put(out, "- ");
		put_route(out, &op->route.have);
		break;
	case NS_ADDR_DEL:
		text_put(out, "- ");
		put_addr(out, &op->addr.have);
		break;
	case NS_LINK_DEL:
		text_printf(out, "- link %s", op->link.have.name);
		break;
	case NS_DELETE:
		text_put(out, "- namespace");
		break;
	}
}
