/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The pure parts of netns/: difference, print, frames, attributes. No kernel, no root. */

#include "announce.h"
#include "arena.h"
#include "nl.h"
#include "state.h"
#include "text.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const char *const bridges[] = { "br-1", "br-2" };
static const char *const prefixes[] = { "qr-", "qg-", NULL };

/* ---- states from text ---- */

static struct ip ip(const char *s)
{
	struct ip ret;

	assert_int_equal(ip_parse(s, &ret), 0);
	return ret;
}

static void add_link(struct ns_state *s, const char *name)
{
	struct ns_link *l = vec_add(&s->links);

	snprintf(l->name, sizeof l->name, "%.15s", name);
	snprintf(l->peer, sizeof l->peer, "tap%.11s", name + 3);
	l->mac = (struct mac){ { 2, 0, 0, 0, 0, 1 } };
	l->mtu = l->peer_mtu = 1500;
	l->up = l->peer_up = l->peer_ipv6_quiet = l->peer_bridged = true;
	l->ifindex = 2;
	l->peer_ifindex = 3;
	l->bridges = bridges;
	l->n_bridges = 2;
}

/* "10.0.0.1/24 qr-a[ dynamic]" */
static void add_addr(struct ns_state *s, const char *text)
{
	struct ns_addr *a = vec_add(&s->addrs);
	char where[64], dev[64], flag[16] = "";
	struct prefix p;

	assert_true(sscanf(text, "%63s %63s %15s", where, dev, flag) >= 2);
	assert_int_equal(prefix_parse(where, false, &p), 0);
	snprintf(a->dev, sizeof a->dev, "%.15s", dev);
	a->ip = p.ip;
	a->prefixlen = p.length;
	a->dynamic = *flag;
}

/* "dest metric hop hop …", a hop being via,dev[,onlink] with - for none */
static void add_route(struct ns_state *s, const char *text)
{
	struct ns_route *r = vec_add(&s->routes);
	struct ns_hop *hops = arena_array(s->arena, 8, sizeof *hops);
	char buffer[256], *next = buffer, *word;

	snprintf(buffer, sizeof buffer, "%s", text);
	assert_int_equal(prefix_parse(strsep(&next, " "), false, &r->dest), 0);
	r->metric = (uint32_t)strtoul(strsep(&next, " "), NULL, 10);
	while ((word = strsep(&next, " "))) {
		struct ns_hop *h = &hops[r->n_hops++];
		char *via = strsep(&word, ","), *dev = strsep(&word, ",");

		if (strcmp(via, "-") != 0)
			h->via = ip(via);
		if (strcmp(dev, "-") != 0)
			snprintf(h->dev, sizeof h->dev, "%.15s", dev);
		h->onlink = word;
	}
	r->hops = hops;
}

/* A line an object: "link NAME", "addr …", "route …", "sysctl KEY VALUE", "linksysctl KEY VALUE", "lo", "absent". */
static void state_from(const char *lines, struct ns_state *ret)
{
	char *copy = strdup(lines), *next = copy, *line;

	*ret = (struct ns_state){ .arena = arena_new(1 << 20), .name = "n", .exists = true, .prefixes = prefixes };
	while ((line = strsep(&next, "\n"))) {
		struct ns_sysctl *c;

		if (strncmp(line, "link ", 5) == 0) {
			add_link(ret, line + 5);
		} else if (strncmp(line, "addr ", 5) == 0) {
			add_addr(ret, line + 5);
		} else if (strncmp(line, "route ", 6) == 0) {
			add_route(ret, line + 6);
		} else if (strstr(line, "sysctl ")) {
			c = vec_add(&ret->sysctls);
			c->late = *line == 'l';
			assert_int_equal(sscanf(strstr(line, "sysctl "), "sysctl %79s %23s", c->key, c->value), 2);
		} else if (strcmp(line, "lo") == 0) {
			ret->lo_up = true;
		} else if (strcmp(line, "absent") == 0) {
			ret->exists = false;
		} else {
			assert_string_equal(line, "");
		}
	}
	free(copy);
	ns_state_sort(ret);
}

static void done_with(struct ns_state *s)
{
	ns_state_free(s);
	arena_free(s->arena);
}

static void assert_ops(const struct ns_state *have, const struct ns_state *want, const char *wanted)
{
	struct text t = { 0 };
	struct ns_ops o;

	ns_diff(have, want, &o);
	for (size_t i = 0; i < o.ops.n; i++) {
		ns_op_print(&o.ops.at[i], &t);
		text_put(&t, "\n");
	}
	assert_string_equal(text_str(&t), wanted);
	assert_string_equal(o.name, "n");
	text_free(&t);
	ns_ops_free(&o);
}

static void assert_diff(const char *have_text, const char *want_text, const char *wanted)
{
	struct ns_state have, want;

	state_from(have_text, &have);
	state_from(want_text, &want);
	assert_ops(&have, &want, wanted);
	done_with(&have);
	done_with(&want);
}

/* ---- difference ---- */

#define A_LINK "+ link qr-a peer tapa mac 02:00:00:00:00:01 mtu 1500 bridge br-1,br-2\n"

static void test_nothing_to_do(void **state)
{
	static const char *const states[] = {
		"absent", "", "lo", "link qr-a\naddr 10.0.0.1/24 qr-a\naddr fe80::1/64 qr-a",
		"sysctl ipv4/ip_forward 1\nlinksysctl ipv6/conf/qr-a/accept_ra 0\nlink qr-a",
		"link qr-a\nroute 0.0.0.0/0 0 10.0.0.9,qr-a\nroute ::/0 1024 fe80::1,qr-a fe80::2,qr-a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		assert_diff(states[i], states[i], "");
	/* A wanted hop without a device takes any; hops are a set. */
	assert_diff("link qr-a\nroute ::/0 1024 fe80::1,qr-a fe80::2,qr-a", "link qr-a\nroute ::/0 1024 fe80::2,- "
	    "fe80::1,qr-a", "");
}

static void test_whole_states(void **state)
{
	(void)state;
	assert_diff("absent", "lo\nsysctl ipv4/ip_forward 1\nlinksysctl ipv6/conf/qr-a/accept_ra 0\nlink qr-a\n"
		    "addr 10.0.0.1/24 qr-a\nroute 0.0.0.0/0 0 10.0.0.9,-",
		    "+ namespace\n~ link lo up\n~ sysctl net.ipv4.ip_forward = 1\n" A_LINK
		    "~ sysctl net.ipv6.conf.qr-a.accept_ra = 0\n+ addr 10.0.0.1/24 dev qr-a\n"
		    "+ route 0.0.0.0/0 via 10.0.0.9\n");
	assert_diff("lo\nlink qr-a\nlink qg-b\nlink vpn0\naddr 10.0.0.1/24 qr-a", "absent",
		    "- link qg-b\n- link qr-a\n- namespace\n");
	assert_diff("absent", "absent", "");
}

static void test_links(void **state)
{
	struct ns_state have, want;

	(void)state;
	assert_diff("link qr-a\nlink vpn0", "link qr-b", "+ link qr-b peer tapb mac 02:00:00:00:00:01 mtu 1500 bridge "
		    "br-1,br-2\n- link qr-a\n");
	/* Its addresses and routes need no operations of their own; a route over another device does. */
	assert_diff("link qr-a\naddr 10.0.0.1/24 qr-a\nroute 10.9.0.0/16 0 10.0.0.9,qr-a\nroute 10.8.0.0/16 0 "
	    "10.0.0.9,vpn0", "",
		    "- route 10.8.0.0/16 via 10.0.0.9 dev vpn0\n- link qr-a\n");
	/* Not before the end, unless it is in the way of its own addresses. */
	assert_diff("link qr-a\nlink qr-z\naddr 10.0.0.1/24 qr-z", "link qr-a\nlink qr-b\naddr 10.0.0.1/24 qr-b",
		    "- link qr-z\n+ link qr-b peer tapb mac 02:00:00:00:00:01 mtu 1500 bridge br-1,br-2\n"
		    "+ addr 10.0.0.1/24 dev qr-b\n");
	state_from("link qr-a\naddr 10.0.0.1/24 qr-a\nroute 10.9.0.0/16 0 10.0.0.9,qr-a", &have);
	state_from("link qr-a\naddr 10.0.0.1/24 qr-a\nroute 10.9.0.0/16 0 10.0.0.9,qr-a", &want);
	have.links.at[0].peer_bridged = false;
	assert_ops(&have, &want, "~ link qr-a bridge br-1,…\n");
	have.links.at[0].up = have.links.at[0].peer_up = have.links.at[0].peer_ipv6_quiet = false;
	have.links.at[0].mtu = 1400;
	have.links.at[0].peer_mtu = 1300;
	have.links.at[0].mac.bytes[5] = 9;
	assert_ops(&have, &want, "~ link qr-a mac 02:00:00:00:00:09 → 02:00:00:00:00:01 mtu 1400 → 1500 peer mtu "
	    "1300 → 1500 up "
				 "peer up peer without IPv6 bridge br-1,…\n");
	/* Without its other end it is made anew, and so is all that was on it. */
	have.links.at[0].peer_ifindex = 0;
	assert_ops(&have, &want, "~ made anew: link qr-a peer tapa mac 02:00:00:00:00:01 mtu 1500 bridge br-1,br-2\n"
				 "+ addr 10.0.0.1/24 dev qr-a\n+ route 10.9.0.0/16 via 10.0.0.9 dev qr-a\n");
	done_with(&have);
	done_with(&want);
}

static void test_addresses(void **state)
{
	(void)state;
	assert_diff("link qr-a\naddr 10.0.0.1/25 qr-a\naddr 10.0.0.2/24 qr-a",
		    "link qr-a\naddr 10.0.0.1/24 qr-a\naddr 10.0.0.3/24 qr-a",
		    "+ addr 10.0.0.1/24 dev qr-a\n+ addr 10.0.0.3/24 dev qr-a\n- addr 10.0.0.1/25 dev qr-a\n"
		    "- addr 10.0.0.2/24 dev qr-a\n");
	assert_diff("link qr-a\naddr 2001:db8::1/80 qr-a\naddr 2001:db8::2/64 qr-a", "link qr-a\naddr "
	    "2001:db8::1/64 qr-a",
		    "~ addr 2001:db8::1/64 dev qr-a, was /80\n- addr 2001:db8::2/64 dev qr-a\n");
	assert_diff("link qr-a\naddr 2001:db8::1/64 qr-a dynamic\naddr 10.0.0.1/24 qr-a dynamic",
		    "link qr-a\naddr 2001:db8::1/64 qr-a\naddr 10.0.0.1/24 qr-a",
		    "~ addr 10.0.0.1/24 dev qr-a, had a lifetime\n~ addr 2001:db8::1/64 dev qr-a, had a lifetime\n");
	/* The same address on another device is another one. */
	assert_diff("link qr-a\nlink qr-b\naddr 10.0.0.1/24 qr-a", "link qr-a\nlink qr-b\naddr 10.0.0.1/24 qr-b",
		    "+ addr 10.0.0.1/24 dev qr-b\n- addr 10.0.0.1/24 dev qr-a\n");
}

static void test_routes(void **state)
{
	(void)state;
	/* Routes straight to a device come before those that they may carry. */
	assert_diff("link qr-a", "link qr-a\nroute 0.0.0.0/0 0 203.0.113.1,-\nroute 203.0.113.0/24 0 -,qr-a\nroute "
	    "10.9.0.0/16 0 "
		    "10.0.0.1,qr-a,onlink 10.0.0.2,qr-a",
		    "+ route 203.0.113.0/24 dev qr-a\n+ route 0.0.0.0/0 via 203.0.113.1\n"
		    "+ route 10.9.0.0/16 nexthop via 10.0.0.1 dev qr-a onlink nexthop via 10.0.0.2 dev qr-a\n");
	assert_diff("link qr-a\nroute ::/0 1024 fe80::1,qr-a\nroute ::/0 77 fe80::1,qr-a",
		    "link qr-a\nroute ::/0 1024 fe80::1,qr-a fe80::2,qr-a",
		    "~ route ::/0 metric 1024 nexthop via fe80::1 dev qr-a nexthop via fe80::2 dev qr-a, was via "
		    "fe80::1 dev qr-a\n"
		    "- route ::/0 metric 77 via fe80::1 dev qr-a\n");
	assert_diff("link qr-a\nroute ::/0 1024 fe80::1,qr-a", "link qr-a\nroute ::/0 1024 fe80::1,qr-a,onlink",
		    "~ route ::/0 metric 1024 via fe80::1 dev qr-a onlink, was via fe80::1 dev qr-a\n");
	assert_diff("link qr-a\nroute ::/0 1024 fe80::1,qr-a fe80::1,qr-b", "link qr-a\nroute ::/0 1024 "
	    "fe80::1,qr-a fe80::2,-",
		    "~ route ::/0 metric 1024 nexthop via fe80::1 dev qr-a nexthop via fe80::2, was nexthop via "
		    "fe80::1 dev qr-a "
		    "nexthop via fe80::1 dev qr-b\n");
	/* Several of one key: the one that fits stays. A blackhole, which has no hops, never does. */
	assert_diff("link qr-a\nroute 0.0.0.0/0 0 10.0.0.1,qr-a\nroute 0.0.0.0/0 0 10.0.0.2,qr-a", "link qr-a\n"
	    "route 0.0.0.0/0 0 10.0.0.2,-",
		    "- route 0.0.0.0/0 via 10.0.0.1 dev qr-a\n");
	assert_diff("link qr-a\nroute 10.9.0.0/16 0", "link qr-a\nroute 10.9.0.0/16 0 10.0.0.2,-",
		    "~ route 10.9.0.0/16 via 10.0.0.2, was\n");
}

static void test_sysctls(void **state)
{
	struct ns_state have, want;

	(void)state;
	assert_diff("link qr-a\nsysctl ipv4/ip_forward 0", "link qr-a\nlinksysctl ipv6/conf/qr-a.1/accept_ra 2\n"
		    "sysctl ipv4/ip_forward 1\nsysctl ipv4/conf/all/arp_ignore 1",
		    "~ sysctl net.ipv4.ip_forward 0 → 1\n~ sysctl net.ipv4.conf.all.arp_ignore = 1\n"
		    "~ sysctl net.ipv6.conf.qr-a/1.accept_ra = 2\n");
	/* A device that is made anew has lost its settings. */
	state_from("link qr-a\nlinksysctl ipv6/conf/qr-a/accept_ra 2", &have);
	state_from("link qr-a\nlinksysctl ipv6/conf/qr-a/accept_ra 2", &want);
	have.links.at[0].peer[0] = 0;
	assert_ops(&have, &want, "~ made anew: link qr-a peer tapa mac 02:00:00:00:00:01 mtu 1500 bridge br-1,br-2\n"
				 "~ sysctl net.ipv6.conf.qr-a.accept_ra = 2\n");
	done_with(&have);
	done_with(&want);
}

static void test_filter_point(void **state)
{
	struct ns_state have, want;
	struct ns_ops o;

	(void)state;
	state_from("absent", &have);
	state_from("lo\nsysctl ipv4/ip_forward 1\nlink qr-a\nlinksysctl ipv6/conf/qr-a/accept_ra 0", &want);
	ns_diff(&have, &want, &o);
	assert_int_equal(o.ops.n, 5);
	assert_int_equal(ns_ops_filter_point(&o), 3);
	assert_int_equal(o.ops.at[3].kind, NS_LINK_ADD);
	ns_ops_free(&o);
	ns_diff(&want, &have, &o);
	assert_int_equal(ns_ops_filter_point(&o), 0);
	ns_ops_free(&o);
	ns_diff(&have, &have, &o);
	assert_int_equal(ns_ops_filter_point(&o), 0);
	ns_ops_free(&o);
	done_with(&have);
	done_with(&want);
}

/* The list of operations is in the order of its kinds, whatever the states. */
static void test_order(void **state)
{
	static const char *const texts[] = {
		"absent", "lo\nlink qr-a\naddr 10.0.0.1/24 qr-a\nroute 0.0.0.0/0 0 10.0.0.9,qr-a",
		"link qr-b\naddr 10.1.0.1/24 qr-b\naddr 2001:db8::1/64 qr-b\nroute 0.0.0.0/0 0 10.1.0.9,qr-b\nroute "
		"::/0 1024 fe80::1,qr-b",
		("lo\nsysctl ipv4/ip_forward 1\nlink qr-b\nlinksysctl ipv6/conf/qr-b/accept_ra 2\naddr "
		    "2001:db8::1/80 qr-b\n"
		 "route 10.9.0.0/16 0 -,qr-b\nroute ::/0 1024 fe80::2,qr-b"),
	};
	enum { N = sizeof texts / sizeof *texts };

	(void)state;
	for (size_t i = 0; i < N * N; i++) {
		struct ns_state have, want;
		struct ns_ops o;

		state_from(texts[i / N], &have);
		state_from(texts[i % N], &want);
		ns_diff(&have, &want, &o);
		assert_int_equal(o.ops.n == 0, i / N == i % N);
		for (size_t k = 1; k < o.ops.n; k++)
			assert_true(o.ops.at[k - 1].kind <= o.ops.at[k].kind);
		ns_ops_free(&o);
		done_with(&have);
		done_with(&want);
	}
}

static void test_print(void **state)
{
	struct ns_state s;
	struct text t = { 0 };

	(void)state;
	state_from("lo\nsysctl ipv4/ip_forward 1\nlink qr-a\naddr 10.0.0.1/24 qr-a\naddr 2001:db8::1/64 qr-a\n"
		   "route 0.0.0.0/0 0 10.0.0.9,qr-a,onlink\nroute ::/0 1024 fe80::1,qr-a fe80::2,-\nroute "
		   "203.0.113.0/24 0 -,qr-a", &s);
	ns_state_print(&s, &t);
	assert_string_equal(t.at, "namespace n\n  lo up\n  sysctl net.ipv4.ip_forward = 1\n"
			    "  link qr-a peer tapa mac 02:00:00:00:00:01 mtu 1500 bridge br-1,br-2\n"
			    "  addr 10.0.0.1/24 dev qr-a\n  addr 2001:db8::1/64 dev qr-a\n"
			    "  route 0.0.0.0/0 via 10.0.0.9 dev qr-a onlink\n  route 203.0.113.0/24 dev qr-a\n"
			    "  route ::/0 metric 1024 nexthop via fe80::1 dev qr-a nexthop via fe80::2\n");
	text_free(&t);
	s.exists = false;
	ns_state_print(&s, &t);
	assert_string_equal(t.at, "namespace n absent\n");
	text_free(&t);
	done_with(&s);
}

/* ---- frames ---- */

static void test_arp_frames(void **state)
{
	static const struct mac mac = { { 0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03 } };
	static const uint8_t request[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x08, 0x06,	/* ARP */
		0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,				/* Ethernet, IPv4, request */
		0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03, 203, 0, 113, 20,			/* sender */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 203, 0, 113, 20,			/* target */
	};
	uint8_t frame[ANNOUNCE_FRAME_MAX], reply[sizeof request];
	struct ip address = ip("203.0.113.20");

	(void)state;
	assert_int_equal(announce_build(&address, &mac, 0, frame), sizeof request);
	assert_memory_equal(frame, request, sizeof request);
	memcpy(reply, request, sizeof reply);
	reply[21] = 2;
	memcpy(reply + 32, mac.bytes, 6);
	assert_int_equal(announce_build(&address, &mac, 1, frame), sizeof reply);
	assert_memory_equal(frame, reply, sizeof reply);
}

static void test_na_frame(void **state)
{
	static const struct mac mac = { { 0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03 } };
	static const uint8_t wanted[] = {
		0x33, 0x33, 0, 0, 0, 1, 0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 32, 58, 255,						/* length, ICMPv6, hop limit */
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,		/* source */
		0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01,		/* all nodes */
		136, 0, 0, 0,							/* advertisement; checksum: below */
		0xa0, 0, 0, 0,								/* Router, Override */
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,		/* target */
		2, 1, 0xfa, 0x16, 0x3e, 0x01, 0x02, 0x03,				/* its link-layer address */
	};
	uint8_t frame[ANNOUNCE_FRAME_MAX];
	struct ip address = ip("2001:db8::10");
	uint32_t sum = 32 + 58;

	(void)state;
	assert_int_equal(announce_build(&address, &mac, 1, frame), sizeof wanted);
	assert_int_equal(sizeof wanted, ANNOUNCE_FRAME_MAX);
	/* RFC 4443, section 2.3: a right checksum makes the sum over pseudo header and message all ones. */
	for (size_t i = 22; i < sizeof wanted; i += 2)
		sum += (uint32_t)(frame[i] << 8 | frame[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
	assert_int_equal(frame[56] << 8 | frame[57], 0x40f2);
	frame[56] = frame[57] = 0;
	assert_memory_equal(frame, wanted, sizeof wanted);
}

/* ---- netlink framing ---- */

static void test_batch(void **state)
{
	static const char block[6000];
	struct nl_batch b = { 0 };
	struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = 24 };
	struct nlmsghdr *h = nl_begin(&b, RTM_NEWROUTE, NLM_F_CREATE, &m, sizeof m), *second;

	(void)state;
	mnl_attr_put_u32(h, RTA_PRIORITY, 7);
	assert_int_equal(h->nlmsg_len, 16 + sizeof m + 8);
	assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	assert_memory_equal(mnl_nlmsg_get_payload(h), &m, sizeof m);
	assert_int_equal(b.count, 0);
	nl_begin(&b, RTM_GETLINK, 0, NULL, 3);
	assert_int_equal(b.count, 1);
	nl_end(&b);
	nl_end(&b);
	assert_int_equal(b.count, 2);
	second = (struct nlmsghdr *)(b.at + 16 + sizeof m + 8);
	assert_int_equal(second->nlmsg_len, 20);
	assert_memory_equal(second + 1, "\0\0\0\0", 4);

	/* A thousand more: it grows, and keeps what it has. */
	for (uint32_t i = 0; i < 1000; i++)
		mnl_attr_put(nl_begin(&b, RTM_NEWROUTE, 0, NULL, 0), 1, sizeof block, block);
	nl_end(&b);
	assert_int_equal(b.count, 1002);
	h = (struct nlmsghdr *)b.at;
	assert_memory_equal(mnl_nlmsg_get_payload(h), &m, sizeof m);
	nl_batch_free(&b);
	assert_null(b.at);
}

static void test_request_too_large(void **state)
{
	static char half[60000];
	struct nl_batch b = { 0 };
	struct nlmsghdr *h = nl_begin(&b, RTM_NEWROUTE, 0, NULL, 0);
	struct nl nl = NL_NONE;

	(void)state;
	mnl_attr_put(h, 1, sizeof half, half);
	mnl_attr_put(h, 1, sizeof half, half);
	assert_int_equal(h->nlmsg_len, 16 + 2 * 60004);
	nl_begin(&b, RTM_NEWROUTE, 0, NULL, 0)->nlmsg_len = NL_REQUEST_MAX + 1;
	nl_begin(&b, RTM_NEWROUTE, 0, NULL, 0);
	assert_int_equal(nl_send(&nl, &b, NULL, NULL), -EMSGSIZE);
	assert_int_equal(b.count, 0);
	assert_int_equal(nl_send(&nl, &b, NULL, NULL), 0);
	assert_int_equal(nl_send_nft(&nl, &b, 0, NULL, NULL), 0);
	nl_batch_free(&b);
}

static void test_attrs(void **state)
{
	static const uint16_t want[4] = { [1] = 4, [2] = 2 };
	const struct nlattr *tb[4];
	struct nl_batch b = { 0 };
	struct nlmsghdr *h = nl_begin(&b, 0, 0, NULL, 0);
	const char *first = mnl_nlmsg_get_payload(h), *end;

	(void)state;
	mnl_attr_put_u16(h, 1, 7);			/* shorter than wanted */
	mnl_attr_put_u32(h, 2, 8);
	mnl_attr_put_u32(h, 3 | NLA_F_NESTED, 9);
	mnl_attr_put_u32(h, 9, 10);			/* past the table */
	end = mnl_nlmsg_get_payload_tail(h);
	nl_attrs(tb, want, 4, (const struct nlattr *)first, end);
	assert_null(tb[0]);
	assert_null(tb[1]);
	assert_int_equal(mnl_attr_get_u32(tb[2]), 8);
	assert_int_equal(mnl_attr_get_u32(tb[3]), 9);
	/* Cut off anywhere, nothing behind the end is read. */
	for (const char *cut = first; cut < end; cut++) {
		nl_attrs(tb, want, 4, (const struct nlattr *)first, cut);
		assert_int_equal(!!tb[2], cut >= first + 16);
	}
	nl_batch_free(&b);
}

static void test_port_ids(void **state)
{
	(void)state;
	assert_false(nl_is_ours(0));
	assert_false(nl_is_ours(1));
	assert_false(nl_is_ours((1u << 22) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_whole_states),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_sysctls),
		cmocka_unit_test(test_filter_point),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_arp_frames),
		cmocka_unit_test(test_na_frame),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_request_too_large),
		cmocka_unit_test(test_attrs),
		cmocka_unit_test(test_port_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
