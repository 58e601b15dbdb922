/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "state.h"

#include "nl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GOING = 0x6c336167 };		/* a link group */

/* Which operation a request of a batch belongs to, and whether it takes something away. */
struct sent { size_t op; bool removal; };

struct side {
	struct nl nl;
	struct nl_batch batch;
	VEC(struct sent) sent;
};

struct apply {
	struct ns_ops *ops;
	size_t first, last;
	struct side in, root;
	char dev[IFNAMSIZ];			/* the last one looked up: operations come sorted by device */
	uint32_t dev_index;
};

/* ---- errors ---- */

__attribute__((format(printf, 3, 4))) static void fail(struct ns_op *op, int error, const char *format, ...)
{
	va_list ap;

	if (op->error)
		return;
	op->error = error;
	va_start(ap, format);
	vsnprintf(op->error_text, sizeof op->error_text, format, ap);
	va_end(ap);
}

static void fail_all(struct apply *a, size_t from, int error)
{
	for (size_t i = from; i < a->last; i++)
		fail(&a->ops->ops.at[i], error, "%s", strerror(-error));
}

static bool removes(enum ns_op_kind kind)
{
	return kind >= NS_ROUTE_DEL;
}

/* What is already as it should be is no failure. */
static bool is_done(int error, bool removal)
{
	if (!removal)
		return error == -EEXIST;
	return error == -ENOENT || error == -ESRCH || error == -ENODEV || error == -EADDRNOTAVAIL;
}

struct verdicts { struct apply *a; struct side *side; };

static void on_error(const struct nl_error *e, void *ctx)
{
	const struct verdicts *v = ctx;
	const struct sent *s = &v->side->sent.at[e->index];

	if (is_done(e->error, s->removal))
		return;
	fail(&v->a->ops->ops.at[s->op], e->error, "%s%s%s%s", strerror(-e->error), *e->text ? " (kernel: " : "",
	     e->text, *e->text ? ")" : "");
}

static void flush_with(struct apply *a, struct side *s, void (*each)(const struct nl_error *e, void *ctx), void *ctx)
{
	struct verdicts v = { a, s };

	if (s->sent.n)
		nl_send(&s->nl, &s->batch, each ? each : on_error, each ? ctx : &v);
	s->sent.n = 0;
}

static void flush(struct apply *a, struct side *s)
{
	flush_with(a, s, NULL, NULL);
}

static struct nlmsghdr *begin(struct side *s, size_t op, bool removal, uint16_t type, uint16_t flags, const void *extra,
			      size_t extra_n)
{
	*vec_add(&s->sent) = (struct sent){ op, removal };
	return nl_begin(&s->batch, type, flags, extra, extra_n);
}

static uint32_t dev_index(struct apply *a, const char *dev)
{
	if (!a->dev_index || strcmp(a->dev, dev) != 0) {
		memcpy(a->dev, dev, sizeof a->dev);
		a->dev_index = nl_ifindex(&a->in.nl, dev);
	}
	return a->dev_index;
}

static void no_device(struct ns_op *op, const char *dev)
{
	if (!removes(op->kind))
		fail(op, -ENODEV, "device %s does not exist", dev);
}

/* ---- links ---- */

static void put_lo_up(struct apply *a, size_t i)
{
	struct ifinfomsg up = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };	/* lo is 1 everywhere */

	begin(&a->in, i, false, RTM_SETLINK, 0, &up, sizeof up);
}

/* One queue each way is what a veth end uses unless somebody asks for more. Saying so at creation spares the kernel
 * from making one a CPU and giving them up again, for which it waits out two RCU grace periods a pair while holding the
 * lock that every other netlink request needs. */
static void put_queues(struct nlmsghdr *h)
{
	mnl_attr_put_u32(h, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(h, IFLA_NUM_RX_QUEUES, 1);
}

/* The inside end is created up; the other end cannot be, because its peer is not there yet (ENOTCONN). */
static void put_link_add(struct apply *a, size_t i)
{
	const struct ns_link *l = &a->ops->ops.at[i].link.want;
	struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nlmsghdr *h = begin(&a->in, i, false, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
	struct nlattr *info, *data, *peer;

	mnl_attr_put_strz(h, IFLA_IFNAME, l->name);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof l->mac, &l->mac);
	mnl_attr_put_u32(h, IFLA_MTU, l->mtu);
	put_queues(h);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	memset(mnl_nlmsg_get_payload_tail(h), 0, sizeof(struct ifinfomsg));
	h->nlmsg_len += sizeof(struct ifinfomsg);
	mnl_attr_put_strz(h, IFLA_IFNAME, l->peer);
	mnl_attr_put_u32(h, IFLA_MTU, l->mtu);
	put_queues(h);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)ns_root_fd());
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
}

static void put_link_del(struct side *s, size_t i, uint32_t ifindex)
{
	struct ifinfomsg link = { .ifi_index = (int)ifindex };

	begin(s, i, true, RTM_DELLINK, 0, &link, sizeof link);
}

/* Several links in one sweep: after each unregistering the kernel waits for all readers to have let go, some 30 ms. The
 * group is one that nobody else's device in the namespace is in. */
static void put_links_del(struct apply *a, size_t first, size_t last)
{
	struct ifinfomsg link = { 0 };

	if (last - first == 1) {
		put_link_del(&a->in, first, a->ops->ops.at[first].link.have.ifindex);
		return;
	}
	for (size_t i = first; i < last; i++) {
		link.ifi_index = (int)a->ops->ops.at[i].link.have.ifindex;
		mnl_attr_put_u32(begin(&a->in, i, true, RTM_SETLINK, 0, &link, sizeof link), IFLA_GROUP, GOING);
	}
	link.ifi_index = 0;
	mnl_attr_put_u32(begin(&a->in, last - 1, true, RTM_DELLINK, 0, &link, sizeof link), IFLA_GROUP, GOING);
}

static void put_link_set(struct apply *a, size_t i)
{
	const struct ns_link *want = &a->ops->ops.at[i].link.want, *have = &a->ops->ops.at[i].link.have;
	struct ifinfomsg up = { .ifi_index = (int)have->ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nlmsghdr *h;

	if (have->up && have->mtu == want->mtu && memcmp(&have->mac, &want->mac, sizeof have->mac) == 0)
		return;
	h = begin(&a->in, i, false, RTM_SETLINK, 0, &up, sizeof up);
	if (have->mtu != want->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, want->mtu);
	if (memcmp(&have->mac, &want->mac, sizeof have->mac) != 0)
		mnl_attr_put(h, IFLA_ADDRESS, sizeof want->mac, &want->mac);
}

/* The link-local address of the former MAC is removed as any other that is not wanted. The kernel makes the new one
 * when the mode of generation changes, and without the flap of the device that would take its addresses and routes
 * along. */
static void make_link_local(const char *dev)
{
	char key[SYSCTL_KEY_MAX], mode[8];

	snprintf(key, sizeof key, "ipv6/conf/%s/addr_gen_mode", dev);
	if (sysctl_read(key, mode, sizeof mode) < 0 || strcmp(mode, "0") != 0)
		return;
	sysctl_write(key, "1");
	sysctl_write(key, "0");
}

/* A root side device that has the peer's name, left by a namespace that somebody deleted and that the kernel has not
 * taken down yet, or by a creation that did not finish: its other end is not here, or has not our name. */
static int got_kind(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[IFLA_LINKINFO + 1];
	static const uint16_t want_info[IFLA_INFO_KIND + 1] = { [IFLA_INFO_KIND] = sizeof "veth" };
	const struct nlattr *tb[IFLA_LINKINFO + 1], *info[IFLA_INFO_KIND + 1];
	uint32_t *ret_veth = ctx;

	nl_attrs(tb, want, IFLA_LINKINFO + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct ifinfomsg)),
		 mnl_nlmsg_get_payload_tail(h));
	if (h->nlmsg_type != RTM_NEWLINK || !tb[IFLA_LINKINFO])
		return 0;
	nl_attrs(info, want_info, IFLA_INFO_KIND + 1, mnl_attr_get_payload(tb[IFLA_LINKINFO]),
		 (const char *)tb[IFLA_LINKINFO] + tb[IFLA_LINKINFO]->nla_len);
	if (info[IFLA_INFO_KIND] && memcmp(mnl_attr_get_payload(info[IFLA_INFO_KIND]), "veth", sizeof "veth") == 0)
		*ret_veth = (uint32_t)((const struct ifinfomsg *)mnl_nlmsg_get_payload(h))->ifi_index;
	return 0;
}

static void clear_stale_peer(struct apply *a, size_t i)
{
	const struct ns_link *l = &a->ops->ops.at[i].link.want;
	struct ifinfomsg any = { 0 };
	uint32_t veth = 0;

	if (nl_ifindex(&a->in.nl, l->name))		/* made by somebody since it was looked for: as wanted */
		return;
	mnl_attr_put_strz(nl_begin(&a->root.batch, RTM_GETLINK, 0, &any, sizeof any), IFLA_IFNAME, l->peer);
	nl_ask(&a->root.nl, &a->root.batch, got_kind, NULL, &veth);
	if (!veth && nl_ifindex(&a->root.nl, l->peer)) {
		fail(&a->ops->ops.at[i], -EEXIST, "%s exists in the root namespace and is no veth", l->peer);
		return;
	}
	if (veth) {
		put_link_del(&a->root, i, veth);
		flush(a, &a->root);
	}
	put_link_add(a, i);
}

struct existing { struct verdicts v; VEC(size_t) ops; };

static void on_add_error(const struct nl_error *e, void *ctx)
{
	struct existing *x = ctx;

	if (e->error == -EEXIST)
		*vec_add(&x->ops) = x->v.side->sent.at[e->index].op;
	else
		on_error(e, &x->v);
}

/* The first of the wanted bridges that exists, from `from` on; n_bridges if there is none. */
static size_t next_bridge(const struct apply *a, const struct ns_link *want, size_t from, uint32_t *ret)
{
	while (from < want->n_bridges && !(*ret = nl_ifindex(&a->root.nl, want->bridges[from])))
		from++;
	return from;
}

static bool has_bridge(const struct apply *a, struct ns_op *op)
{
	const struct ns_link *want = &op->link.want;
	uint32_t ifindex;

	if (next_bridge(a, want, 0, &ifindex) < want->n_bridges)
		return true;
	if (want->n_bridges)
		fail(op, -ENODEV, "bridge %s does not exist", want->bridges[0]);
	else
		fail(op, -ENODEV, "no bridge is named for it");
	return false;
}

static void add_links(struct apply *a, size_t first, size_t last)
{
	struct existing x = { .v = { a, &a->in } };

	for (size_t i = first; i < last; i++) {
		struct ns_op *op = &a->ops->ops.at[i];

		if (!has_bridge(a, op))
			continue;
		if (op->link.have.ifindex)
			put_link_del(&a->in, i, op->link.have.ifindex);
		put_link_add(a, i);
	}
	flush_with(a, &a->in, on_add_error, &x);
	for (size_t i = 0; i < x.ops.n; i++)
		clear_stale_peer(a, x.ops.at[i]);
	flush(a, &a->in);
	vec_free(&x.ops);
	a->dev_index = 0;
}

static void set_links(struct apply *a, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++)
		put_link_set(a, i);
	flush(a, &a->in);
	for (size_t i = first; i < last; i++) {
		const struct ns_op *op = &a->ops->ops.at[i];

		if (!op->error && memcmp(&op->link.have.mac, &op->link.want.mac, sizeof op->link.want.mac) != 0)
			make_link_local(op->link.want.name);
	}
}

/* ---- root side ---- */

/* A root side end on its way into a bridge. */
struct joining {
	size_t op, bridge;
	uint32_t ifindex, master;		/* master 0: it is where it belongs */
	bool up, mtu, full;
};

struct joinings { struct verdicts v; VEC(struct joining) all; };

/* Before the device comes up. Without IPv6 it makes itself no address, joins no group, and adds no multicast route to the
 * root namespace, whose look-ups would walk over one such route for each port of the node. */
static void make_quiet(struct apply *a, size_t first, size_t last)
{
	char key[SYSCTL_KEY_MAX];
	int error;

	ns_leave();
	for (size_t i = first; i < last; i++) {
		const struct ns_op *op = &a->ops->ops.at[i];

		if (op->error || (op->kind == NS_LINK_SET && op->link.have.peer_ipv6_quiet))
			continue;
		snprintf(key, sizeof key, "ipv6/conf/%s/disable_ipv6", op->link.want.peer);
		sysctl_write(key, "1");		/* where there is no such key there is no IPv6 either: quiet already */
	}
	error = ns_enter(a->ops->name, NULL);
	for (size_t i = first; error && i < last; i++)
		fail(&a->ops->ops.at[i], error, "%s", strerror(-error));
}

static void put_join(struct apply *a, const struct joining *j)
{
	struct ifinfomsg link = { .ifi_index = (int)j->ifindex, .ifi_flags = j->up ? IFF_UP : 0,
				  .ifi_change = j->up ? IFF_UP : 0 };
	struct nlmsghdr *h = begin(&a->root, j->op, false, RTM_SETLINK, 0, &link, sizeof link);

	if (j->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, a->ops->ops.at[j->op].link.want.mtu);
	if (j->master)
		mnl_attr_put_u32(h, IFLA_MASTER, j->master);
}

static void on_join_error(const struct nl_error *e, void *ctx)
{
	struct joinings *js = ctx;
	size_t op = js->v.side->sent.at[e->index].op;

	for (size_t i = 0; i < js->all.n; i++)
		if (js->all.at[i].op == op && e->error == -EXFULL) {
			js->all.at[i].full = true;
			return;
		}
	on_error(e, &js->v);
}

static void start_joining(struct apply *a, size_t i, struct joinings *js)
{
	struct ns_op *op = &a->ops->ops.at[i];
	static const struct ns_link fresh;
	const struct ns_link *want = &op->link.want, *have = op->kind == NS_LINK_SET ? &op->link.have : &fresh;
	struct joining j = { .op = i, .ifindex = have->peer_ifindex, .up = !have->peer_up,
			     .mtu = have != &fresh && have->peer_mtu != want->mtu };

	if (op->error)
		return;
	if (!j.ifindex)
		j.ifindex = nl_ifindex(&a->root.nl, want->peer);
	if (!j.ifindex) {
		no_device(op, want->peer);
		return;
	}
	if (!have->peer_bridged && has_bridge(a, op))
		j.bridge = next_bridge(a, want, 0, &j.master);
	if (j.up || j.mtu || j.master)
		put_join(a, &j);
	*vec_add(&js->all) = j;
}

/* The next bridge for those whose bridge turned out to be full; false if nobody has one. */
static bool go_on(struct apply *a, struct joinings *js)
{
	bool ret = false;

	for (size_t i = 0; i < js->all.n; i++) {
		struct joining *j = &js->all.at[i];
		struct ns_op *op = &a->ops->ops.at[j->op];
		const struct ns_link *want = &op->link.want;
		size_t full = j->bridge;

		if (!j->full)
			continue;
		j->full = false;
		j->bridge = next_bridge(a, want, full + 1, &j->master);
		if (j->bridge < want->n_bridges) {
			put_join(a, j);
			ret = true;
		} else {
			fail(op, -EXFULL, "bridge %s has no free port (1,023 at most)", want->bridges[full]);
		}
	}
	return ret;
}

static void join_bridges(struct apply *a, size_t first, size_t last)
{
	struct joinings js = { .v = { a, &a->root } };

	make_quiet(a, first, last);
	for (size_t i = first; i < last; i++)
		start_joining(a, i, &js);
	do
		flush_with(a, &a->root, on_join_error, &js);
	while (go_on(a, &js));
	vec_free(&js.all);
}

/* ---- addresses ---- */

static void put_addr(struct apply *a, size_t i, bool removal, uint16_t flags, const struct ns_addr *addr,
		     uint32_t ifindex)
{
	struct ifaddrmsg m = { .ifa_family = addr->ip.family, .ifa_prefixlen = addr->prefixlen, .ifa_index = ifindex };
	struct prefix p = { addr->ip, addr->prefixlen };
	struct ip broadcast = prefix_broadcast(&p);
	size_t size = ip_bits(addr->ip.family) / 8;
	struct nlmsghdr *h = begin(&a->in, i, removal, removal ? RTM_DELADDR : RTM_NEWADDR, flags, &m, sizeof m);

	mnl_attr_put(h, IFA_LOCAL, size, addr->ip.bytes);
	mnl_attr_put(h, IFA_ADDRESS, size, addr->ip.bytes);
	if (!removal && broadcast.family)
		mnl_attr_put(h, IFA_BROADCAST, size, broadcast.bytes);
}

static void put_addr_op(struct apply *a, size_t i)
{
	struct ns_op *op = &a->ops->ops.at[i];
	const struct ns_addr *want = &op->addr.want, *have = &op->addr.have;
	const char *dev = op->kind == NS_ADDR_DEL ? have->dev : want->dev;
	uint32_t ifindex = dev_index(a, dev);

	if (!ifindex) {
		no_device(op, dev);
		return;
	}
	if (op->kind == NS_ADDR_DEL) {
		put_addr(a, i, true, 0, have, ifindex);
	} else if (op->kind == NS_ADDR_REPLACE && want->prefixlen == have->prefixlen) {
		/* Its lifetime becomes infinite, nothing else changes. */
		put_addr(a, i, false, NLM_F_CREATE | NLM_F_REPLACE, want, ifindex);
	} else {
		if (op->kind == NS_ADDR_REPLACE)
			put_addr(a, i, true, 0, have, ifindex);
		put_addr(a, i, false, NLM_F_CREATE | NLM_F_EXCL, want, ifindex);
	}
}

/* ---- routes ---- */

static void put_via(struct nlmsghdr *h, uint8_t family, const struct ip *via)
{
	struct { __kernel_sa_family_t family; uint8_t bytes[16]; } other = { .family = via->family };

	if (via->family == family) {
		mnl_attr_put(h, RTA_GATEWAY, ip_bits(family) / 8, via->bytes);
	} else if (via->family) {
		memcpy(other.bytes, via->bytes, sizeof other.bytes);
		mnl_attr_put(h, RTA_VIA, sizeof other.family + ip_bits(via->family) / 8, &other);
	}
}

static void put_hops(struct apply *a, struct nlmsghdr *h, const struct ns_route *r)
{
	uint8_t family = r->dest.ip.family;
	struct nlattr *nest;

	if (r->n_hops == 1) {
		if (*r->hops->dev)
			mnl_attr_put_u32(h, RTA_OIF, dev_index(a, r->hops->dev));
		put_via(h, family, &r->hops->via);
		return;
	}
	nest = mnl_attr_nest_start(h, RTA_MULTIPATH);
	for (size_t i = 0; i < r->n_hops; i++) {
		struct rtnexthop *hop = mnl_nlmsg_get_payload_tail(h);

		*hop = (struct rtnexthop){ .rtnh_flags = r->hops[i].onlink ? RTNH_F_ONLINK : 0 };
		hop->rtnh_ifindex = *r->hops[i].dev ? (int)dev_index(a, r->hops[i].dev) : 0;
		h->nlmsg_len += sizeof *hop;
		put_via(h, family, &r->hops[i].via);
		hop->rtnh_len = (unsigned short)((char *)mnl_nlmsg_get_payload_tail(h) - (char *)hop);
	}
	mnl_attr_nest_end(h, nest);
}

static void put_route(struct apply *a, size_t i, bool removal, const struct ns_route *r)
{
	bool direct = r->n_hops == 1 && !r->hops->via.family;
	struct rtmsg m = {
		.rtm_family = r->dest.ip.family, .rtm_dst_len = r->dest.length, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC, .rtm_type = removal ? RTN_UNSPEC : RTN_UNICAST,
		.rtm_scope = removal ? RT_SCOPE_NOWHERE : direct && r->dest.ip.family == AF_INET ? RT_SCOPE_LINK :
			     RT_SCOPE_UNIVERSE,
		.rtm_flags = !removal && r->n_hops == 1 && r->hops->onlink ? RTNH_F_ONLINK : 0,
	};
	struct nlmsghdr *h = begin(&a->in, i, removal, removal ? RTM_DELROUTE : RTM_NEWROUTE,
				   removal ? 0 : NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof m);

	mnl_attr_put(h, RTA_DST, ip_bits(r->dest.ip.family) / 8, r->dest.ip.bytes);
	if (r->metric)
		mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	/* A multipath route goes as a whole; one nexthop tells apart several routes with one key. */
	if (r->n_hops && (!removal || r->n_hops == 1))
		put_hops(a, h, r);
}

static void put_route_op(struct apply *a, size_t i)
{
	struct ns_op *op = &a->ops->ops.at[i];
	bool removal = op->kind == NS_ROUTE_DEL;
	const struct ns_route *r = removal ? &op->route.have : &op->route.want;

	for (size_t k = 0; k < r->n_hops; k++)
		if (*r->hops[k].dev && !dev_index(a, r->hops[k].dev)) {
			no_device(op, r->hops[k].dev);
			return;
		}
	put_route(a, i, removal, r);
}

/* ---- the pass ---- */

static void write_sysctl(struct ns_op *op)
{
	int error = sysctl_write(op->sysctl.want.key, op->sysctl.want.value);

	if (error)
		fail(op, error, "%s", strerror(-error));
}

static void put_op(struct apply *a, size_t i)
{
	switch (a->ops->ops.at[i].kind) {
	case NS_LO_UP:
		put_lo_up(a, i);
		break;
	case NS_ADDR_ADD:
	case NS_ADDR_REPLACE:
	case NS_ADDR_DEL:
		put_addr_op(a, i);
		break;
	case NS_ROUTE_ADD:
	case NS_ROUTE_REPLACE:
	case NS_ROUTE_DEL:
		put_route_op(a, i);
		break;
	default:
		break;
	}
}

/* Everything that is requests to the namespace alone goes in one batch; what needs an answer first, or is no netlink,
 * ends it. */
static void carry_out(struct apply *a, size_t from)
{
	for (size_t i = from, next; i < a->last; i = next) {
		struct ns_op *op = &a->ops->ops.at[i];

		next = i + 1;
		switch (op->kind) {
		case NS_SYSCTL:
		case NS_LATE_SYSCTL:
			flush(a, &a->in);
			write_sysctl(op);
			break;
		case NS_LINK_ADD:
		case NS_LINK_SET:
			flush(a, &a->in);
			while (next < a->last && a->ops->ops.at[next].kind == op->kind)
				next++;
			(op->kind == NS_LINK_ADD ? add_links : set_links)(a, i, next);
			join_bridges(a, i, next);
			break;
		case NS_LINK_DEL:
			while (next < a->last && a->ops->ops.at[next].kind == NS_LINK_DEL)
				next++;
			put_links_del(a, i, next);
			break;
		default:
			put_op(a, i);
			break;
		}
	}
	flush(a, &a->in);
}

/* Into the namespace, which is made first if that is the first operation. */
static int enter(struct apply *a, size_t *ret_from)
{
	struct ns_op *first = &a->ops->ops.at[a->first];
	int error = -EEXIST;

	*ret_from = a->first + (first->kind == NS_CREATE);
	if (first->kind == NS_CREATE)
		error = ns_create(a->ops->name, NULL);
	if (error == -EEXIST)
		error = ns_enter(a->ops->name, NULL);
	return error;
}

static bool needs_root(const struct apply *a)
{
	for (size_t i = a->first; i < a->last; i++)
		if (a->ops->ops.at[i].kind == NS_LINK_ADD || a->ops->ops.at[i].kind == NS_LINK_SET)
			return true;
	return false;
}

static void close_side(struct side *s)
{
	nl_close(&s->nl);
	nl_batch_free(&s->batch);
	vec_free(&s->sent);
}

static void apply_inside(struct apply *a)
{
	size_t from = a->first;
	int error = needs_root(a) ? nl_open(&a->root.nl, NETLINK_ROUTE) : 0;

	if (!error)
		error = enter(a, &from);
	if (error) {
		for (size_t i = a->first; i < a->last; i++)
			if (error != -ENOENT || !removes(a->ops->ops.at[i].kind))
				fail(&a->ops->ops.at[i], error, "%s", strerror(-error));
		return;
	}
	error = nl_open(&a->in.nl, NETLINK_ROUTE);
	if (error)
		fail_all(a, from, error);
	else
		carry_out(a, from);
	ns_leave();
}

int ns_apply(struct ns_ops *ops, size_t first, size_t last)
{
	struct apply a = { .ops = ops, .first = first, .last = last, .in.nl = NL_NONE, .root.nl = NL_NONE };
	int error = 0;

	if (first >= last)
		return 0;
	apply_inside(&a);
	close_side(&a.in);
	close_side(&a.root);
	for (size_t i = first; i < last; i++) {
		struct ns_op *op = &ops->ops.at[i];

		if (op->kind == NS_DELETE && !op->error) {
			int gone = ns_delete(ops->name);

			if (gone)
				fail(op, gone, "%s", strerror(-gone));
		}
		error = error ? error : op->error;
	}
	return error;
}
