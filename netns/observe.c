/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include "arena.h"
#include "nl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct device { uint32_t ifindex; char name[IFNAMSIZ]; bool owned; };

struct reading {
	const struct ns_state *want;
	struct ns_state *have;
	VEC(struct device) devices;		/* all of the namespace, for the names in addresses and routes */
	struct nl nl;
	struct nl_batch batch;
};

/* ---- links ---- */

static const uint16_t link_attrs[IFLA_LINK_NETNSID + 1] = {
	[IFLA_ADDRESS] = sizeof(struct mac), [IFLA_IFNAME] = 2, [IFLA_MTU] = 4, [IFLA_LINK] = 4, [IFLA_MASTER] = 4,
	[IFLA_LINK_NETNSID] = 4,
};

static void parse_link(const struct nlmsghdr *h, const struct nlattr **tb)
{
	nl_attrs(tb, link_attrs, IFLA_LINK_NETNSID + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct ifinfomsg)),
		 mnl_nlmsg_get_payload_tail(h));
}

static void copy_name(char to[IFNAMSIZ], const struct nlattr *a)
{
	size_t n = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));

	n = n < IFNAMSIZ ? n : IFNAMSIZ - 1;
	memcpy(to, mnl_attr_get_payload(a), n);
	to[n] = 0;
}

static bool is_veth(const struct nlattr *linkinfo)
{
	static const uint16_t want[IFLA_INFO_KIND + 1] = { [IFLA_INFO_KIND] = sizeof "veth" };
	const struct nlattr *tb[IFLA_INFO_KIND + 1];

	if (!linkinfo)
		return false;
	nl_attrs(tb, want, IFLA_INFO_KIND + 1, mnl_attr_get_payload(linkinfo),
		 (const char *)linkinfo + linkinfo->nla_len);
	return tb[IFLA_INFO_KIND] && memcmp(mnl_attr_get_payload(tb[IFLA_INFO_KIND]), "veth", sizeof "veth") == 0;
}

static int got_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFLA_LINK_NETNSID + 1];
	struct reading *r = ctx;
	struct device *d;
	struct ns_link *l;

	parse_link(h, tb);
	if (h->nlmsg_type != RTM_NEWLINK || !tb[IFLA_IFNAME])
		return 0;
	d = vec_add(&r->devices);
	d->ifindex = (uint32_t)i->ifi_index;
	copy_name(d->name, tb[IFLA_IFNAME]);
	d->owned = ns_owns_link(r->want, d->name);
	if (i->ifi_flags & IFF_LOOPBACK)
		r->have->lo_up = i->ifi_flags & IFF_UP;
	if (!d->owned)
		return 0;
	l = vec_add(&r->have->links);
	memcpy(l->name, d->name, sizeof l->name);
	l->ifindex = d->ifindex;
	l->up = i->ifi_flags & IFF_UP;
	if (tb[IFLA_ADDRESS])
		memcpy(&l->mac, mnl_attr_get_payload(tb[IFLA_ADDRESS]), sizeof l->mac);
	if (tb[IFLA_MTU])
		l->mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	/* Without an id of the other side's namespace that is this one. */
	if (is_veth(tb[IFLA_LINKINFO]) && tb[IFLA_LINK] && tb[IFLA_LINK_NETNSID])
		l->peer_ifindex = mnl_attr_get_u32(tb[IFLA_LINK]);
	return 0;
}

static void forget_links(void *ctx)
{
	struct reading *r = ctx;

	r->devices.n = r->have->links.n = 0;
	r->have->lo_up = false;
}

static const struct device *find_device(const struct reading *r, uint32_t ifindex)
{
	for (size_t i = 0; i < r->devices.n; i++)
		if (r->devices.at[i].ifindex == ifindex)
			return &r->devices.at[i];
	return NULL;
}

static void put_link_question(struct nl_batch *b, uint16_t flags, uint32_t ifindex)
{
	struct ifinfomsg i = { .ifi_index = (int)ifindex };

	/* Statistics are a sum over all processors. */
	mnl_attr_put_u32(nl_begin(b, RTM_GETLINK, flags, &i, sizeof i), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/* ---- addresses ---- */

static bool is_kernels_link_local(const struct reading *r, const struct ns_addr *a)
{
	const struct ns_link *l = ns_find_link(r->want, a->dev);
	struct ip ip;

	for (size_t i = 0; !l && i < r->have->links.n; i++)
		if (strcmp(r->have->links.at[i].name, a->dev) == 0)
			l = &r->have->links.at[i];
	if (!l || a->prefixlen != 64)
		return false;
	ip = ip_link_local(&l->mac);
	return ip_equal(&ip, &a->ip);
}

static int got_addr(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[IFA_FLAGS + 1] = { [IFA_ADDRESS] = 4, [IFA_LOCAL] = 4, [IFA_FLAGS] = 4 };
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFA_FLAGS + 1], *ip;
	struct ns_addr a = { .prefixlen = i->ifa_prefixlen };
	struct reading *r = ctx;
	const struct device *d = find_device(r, i->ifa_index);
	uint32_t flags;

	nl_attrs(tb, want, IFA_FLAGS + 1, mnl_nlmsg_get_payload_offset(h, sizeof *i), mnl_nlmsg_get_payload_tail(h));
	ip = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];	/* IPv6 has the former only with a peer */
	if (!d || !d->owned || !ip || h->nlmsg_type != RTM_NEWADDR ||
	    mnl_attr_get_payload_len(ip) != ip_bits(i->ifa_family) / 8u)
		return 0;
	flags = tb[IFA_FLAGS] ? mnl_attr_get_u32(tb[IFA_FLAGS]) : i->ifa_flags;
	memcpy(a.dev, d->name, sizeof a.dev);
	a.ip.family = i->ifa_family;
	memcpy(a.ip.bytes, mnl_attr_get_payload(ip), mnl_attr_get_payload_len(ip));
	a.tentative = flags & IFA_F_TENTATIVE;
	a.dynamic = !(flags & IFA_F_PERMANENT);
	if (!ns_find_addr(r->want, a.dev, &a.ip) && (a.dynamic || is_kernels_link_local(r, &a)))
		return 0;
	*vec_add(&r->have->addrs) = a;
	return 0;
}

static void forget_addrs(void *ctx)
{
	((struct reading *)ctx)->have->addrs.n = 0;
}

/* ---- routes ---- */

static const uint16_t route_attrs[RTA_VIA + 1] = {
	[RTA_DST] = 4, [RTA_OIF] = 4, [RTA_GATEWAY] = 4, [RTA_PRIORITY] = 4,
	[RTA_VIA] = sizeof(struct rtvia) + 4,
};

static void parse_hop(const struct reading *r, uint8_t family, const struct nlattr **tb, uint32_t ifindex,
		      unsigned flags, struct ns_hop *ret)
{
	const struct device *d = find_device(r, ifindex);
	size_t size = ip_bits(family) / 8;

	if (d)
		memcpy(ret->dev, d->name, sizeof ret->dev);
	ret->onlink = flags & RTNH_F_ONLINK;
	if (tb[RTA_GATEWAY] && mnl_attr_get_payload_len(tb[RTA_GATEWAY]) == size) {
		ret->via.family = family;
		memcpy(ret->via.bytes, mnl_attr_get_payload(tb[RTA_GATEWAY]), size);
	} else if (tb[RTA_VIA]) {		/* the other family's nexthop */
		const struct rtvia *via = mnl_attr_get_payload(tb[RTA_VIA]);

		size = ip_bits((uint8_t)via->rtvia_family) / 8;
		if (size != mnl_attr_get_payload_len(tb[RTA_VIA]) - sizeof *via)
			return;
		ret->via.family = (uint8_t)via->rtvia_family;
		memcpy(ret->via.bytes, via->rtvia_addr, size);
	}
}

/* The nexthop that follows `from` (NULL: the first one) in a multipath attribute, or NULL. */
static const struct rtnexthop *next_hop(const struct nlattr *multipath, const struct rtnexthop *from)
{
	const char *end = (const char *)multipath + multipath->nla_len, *at = mnl_attr_get_payload(multipath);
	const struct rtnexthop *h;

	if (from)
		at = (const char *)from + RTNH_ALIGN(from->rtnh_len);
	h = (const struct rtnexthop *)at;
	return at + sizeof *h <= end && h->rtnh_len >= sizeof *h && at + h->rtnh_len <= end ? h : NULL;
}

static int parse_hops(struct reading *r, const struct rtmsg *m, const struct nlattr **tb, struct ns_route *ret)
{
	const struct rtnexthop *h = NULL;
	const struct nlattr *of_hop[RTA_VIA + 1];
	struct ns_hop *hops;
	size_t n = 0;

	if (tb[RTA_MULTIPATH])
		while ((h = next_hop(tb[RTA_MULTIPATH], h)))
			n++;
	hops = arena_array(r->have->arena, n ? n : 1, sizeof *hops);
	if (!hops)
		return -ENOSPC;
	ret->hops = hops;
	ret->n_hops = n ? n : 1;
	if (!n)
		parse_hop(r, m->rtm_family, tb, tb[RTA_OIF] ? mnl_attr_get_u32(tb[RTA_OIF]) : 0, m->rtm_flags, hops);
	for (size_t i = 0; i < n; i++) {
		h = next_hop(tb[RTA_MULTIPATH], h);
		nl_attrs(of_hop, route_attrs, RTA_VIA + 1, (const void *)(h + 1), (const char *)h + h->rtnh_len);
		parse_hop(r, m->rtm_family, of_hop, (uint32_t)h->rtnh_ifindex, h->rtnh_flags, &hops[i]);
	}
	return 0;
}

static int got_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[RTA_VIA + 1];
	struct ns_route route = { .dest = { .ip.family = m->rtm_family, .length = m->rtm_dst_len } };
	struct reading *r = ctx;

	/* Routes by type of service or by source are keys that nobody here wants or owns. Kernels that do not filter
	 * dumps tell all of them. */
	if (h->nlmsg_type != RTM_NEWROUTE || !ip_bits(m->rtm_family) || m->rtm_table != RT_TABLE_MAIN ||
	    m->rtm_protocol != RTPROT_STATIC || m->rtm_tos || m->rtm_src_len || m->rtm_flags & RTM_F_CLONED)
		return 0;
	nl_attrs(tb, route_attrs, RTA_VIA + 1, mnl_nlmsg_get_payload_offset(h, sizeof *m),
		 mnl_nlmsg_get_payload_tail(h));
	if (tb[RTA_DST] && mnl_attr_get_payload_len(tb[RTA_DST]) == ip_bits(m->rtm_family) / 8u)
		memcpy(route.dest.ip.bytes, mnl_attr_get_payload(tb[RTA_DST]), ip_bits(m->rtm_family) / 8);
	if (tb[RTA_PRIORITY])
		route.metric = mnl_attr_get_u32(tb[RTA_PRIORITY]);
	if (m->rtm_type == RTN_UNICAST) {	/* a blackhole and its kind have no hops, and equal nothing wanted */
		int error = parse_hops(r, m, tb, &route);

		if (error)
			return error;
	}
	*vec_add(&r->have->routes) = route;
	return 0;
}

static void forget_routes(void *ctx)
{
	((struct reading *)ctx)->have->routes.n = 0;
}

/* ---- the two sides ---- */

static int read_tables(struct reading *r)
{
	struct ifaddrmsg all = { .ifa_family = AF_UNSPEC };
	struct rtmsg ours = { .rtm_family = AF_UNSPEC, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC };
	int error;

	put_link_question(&r->batch, NLM_F_DUMP, 0);
	error = nl_ask(&r->nl, &r->batch, got_link, forget_links, r);
	if (error || !r->want->exists)
		return error;
	nl_begin(&r->batch, RTM_GETADDR, NLM_F_DUMP, &all, sizeof all);
	error = nl_ask(&r->nl, &r->batch, got_addr, forget_addrs, r);
	if (error)
		return error;
	nl_begin(&r->batch, RTM_GETROUTE, NLM_F_DUMP, &ours, sizeof ours);
	return nl_ask(&r->nl, &r->batch, got_route, forget_routes, r);
}

/* A key that cannot be read (a device's, and the device is not there) is absent. */
static void read_sysctls(struct reading *r)
{
	for (size_t i = 0; i < r->want->sysctls.n; i++) {
		struct ns_sysctl s = r->want->sysctls.at[i];

		if (sysctl_read(s.key, s.value, sizeof s.value) == 0)
			*vec_add(&r->have->sysctls) = s;
	}
}

static int read_inside(struct reading *r)
{
	int error = nl_open(&r->nl, NETLINK_ROUTE);

	if (error)
		return error;
	error = read_tables(r);
	nl_close(&r->nl);
	if (!error && r->want->exists)
		read_sysctls(r);
	return error;
}

/* net.ipv6.conf.<dev>.disable_ipv6, as the link's own description tells it. */
static bool is_quiet(const struct nlattr *af_spec)
{
	static const uint16_t families[AF_INET6 + 1];
	static const uint16_t want[IFLA_INET6_CONF + 1];
	const struct nlattr *tb[AF_INET6 + 1], *inet6[IFLA_INET6_CONF + 1];
	int32_t disabled;

	if (!af_spec)
		return false;
	nl_attrs(tb, families, AF_INET6 + 1, mnl_attr_get_payload(af_spec), (const char *)af_spec + af_spec->nla_len);
	if (!tb[AF_INET6])		/* the kernel has no IPv6, or not on this device: its MTU is too small */
		return true;
	nl_attrs(inet6, want, IFLA_INET6_CONF + 1, mnl_attr_get_payload(tb[AF_INET6]),
		 (const char *)tb[AF_INET6] + tb[AF_INET6]->nla_len);
	if (!inet6[IFLA_INET6_CONF] ||
	    mnl_attr_get_payload_len(inet6[IFLA_INET6_CONF]) < (DEVCONF_DISABLE_IPV6 + 1) * sizeof disabled)
		return false;
	memcpy(&disabled, (const char *)mnl_attr_get_payload(inet6[IFLA_INET6_CONF]) +
	       DEVCONF_DISABLE_IPV6 * sizeof disabled, sizeof disabled);
	return disabled;
}

/* The other side's index says that the two belong together; a device of some other kind may have got the index since.
 * */
static int got_peer(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFLA_LINK_NETNSID + 1];
	struct reading *r = ctx;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	parse_link(h, tb);
	if (!is_veth(tb[IFLA_LINKINFO]) || !tb[IFLA_LINK] || !tb[IFLA_IFNAME])
		return 0;
	for (size_t k = 0; k < r->have->links.n; k++) {
		struct ns_link *l = &r->have->links.at[k];

		if (l->peer_ifindex != (uint32_t)i->ifi_index || l->ifindex != mnl_attr_get_u32(tb[IFLA_LINK]))
			continue;
		copy_name(l->peer, tb[IFLA_IFNAME]);
		l->peer_up = i->ifi_flags & IFF_UP;
		l->peer_mtu = tb[IFLA_MTU] ? mnl_attr_get_u32(tb[IFLA_MTU]) : 0;
		l->peer_master = tb[IFLA_MASTER] ? mnl_attr_get_u32(tb[IFLA_MASTER]) : 0;
		l->peer_ipv6_quiet = is_quiet(tb[IFLA_AF_SPEC]);
	}
	return 0;
}

static void find_bridge(struct reading *r, struct ns_link *l)
{
	const struct ns_link *want = ns_find_link(r->want, l->name);

	for (size_t i = 0; l->peer_master && i < want->n_bridges && !l->peer_bridged; i++)
		l->peer_bridged = nl_ifindex(&r->nl, want->bridges[i]) == l->peer_master;
}

static int read_root_side(struct reading *r)
{
	int error;

	for (size_t i = 0; i < r->have->links.n; i++) {
		const struct ns_link *l = &r->have->links.at[i];

		if (l->peer_ifindex && ns_find_link(r->want, l->name))
			put_link_question(&r->batch, 0, l->peer_ifindex);
	}
	if (!r->batch.open)
		return 0;
	error = nl_open(&r->nl, NETLINK_ROUTE);
	if (error)
		return error;
	error = nl_ask(&r->nl, &r->batch, got_peer, NULL, r);
	for (size_t i = 0; i < r->have->links.n; i++) {
		struct ns_link *l = &r->have->links.at[i];

		if (!*l->peer)
			l->peer_ifindex = 0;
		else
			find_bridge(r, l);
	}
	nl_close(&r->nl);
	return error == -ENODEV ? 0 : error;
}

int ns_observe(const struct ns_state *want, struct ns_state *have)
{
	struct reading r = { .want = want, .have = have, .nl = NL_NONE };
	int error;

	*have = (struct ns_state){ .arena = want->arena };
	memcpy(have->name, want->name, sizeof have->name);
	error = ns_enter(have->name, NULL);
	if (error == -ENOENT) {
		/* What a creation has left is taken over by the next one, but if none is wanted it has to go. */
		have->exists = !want->exists && ns_is_named(have->name);
		return 0;
	}
	if (error)
		return error;
	have->exists = true;
	error = read_inside(&r);
	ns_leave();
	if (!error)
		error = read_root_side(&r);
	if (error) {
		ns_state_free(have);
		have->exists = false;
	} else {
		ns_state_sort(have);
	}
	nl_batch_free(&r.batch);
	vec_free(&r.devices);
	return error;
}
