/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a namespace holds, as one value: links, addresses, routes, sysctls, each a key-sorted array. The same struct
 * says what is wanted and what the kernel has; the difference is an ordered list of operations that can be printed or
 * applied. Knows no routers and no reasons. Nothing here is remembered between two calls.
 *
 *   ns_observe → have     ns_diff(have, want) → ops     ns_apply(ops)
 *
 * Absence is a value too: want.exists = false leads to the removal of everything, by the same path. */

#include "ip.h"
#include "ns.h"
#include "vec.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct text;

enum { LINK_MAX_BRIDGES = 16, ROUTE_MAX_HOPS = 64, SYSCTL_KEY_MAX = 80, SYSCTL_VALUE_MAX = 24 };

/* A veth whose one end is in the namespace and whose other end (peer) is in root, enslaved to a bridge there. */
struct ns_link {
	char name[IFNAMSIZ];			/* key */
	char peer[IFNAMSIZ];			/* root side; "" in have: none, or not in root */
	struct mac mac;
	uint32_t mtu;				/* of both ends */
	bool up, peer_up;			/* wanted: both always true */
	/* wanted */
	const char *const *bridges;		/* borrowed: bridges in root, the first with a free port is taken */
	size_t n_bridges;
	/* observed */
	uint32_t ifindex, peer_ifindex;		/* 0: none */
	uint32_t peer_master;			/* ifindex in root of the bridge, 0: none */
	bool peer_bridged;			/* peer_master is one of the bridges that want lists */
	uint32_t peer_mtu;
	bool peer_ipv6_quiet;			/* the root side has no IPv6 (disable_ipv6) */
};

struct ns_addr {
	char dev[IFNAMSIZ];
	struct ip ip;				/* key: dev, ip, prefixlen */
	uint8_t prefixlen;
	/* observed */
	bool tentative, dynamic;
};

struct ns_hop { struct ip via; char dev[IFNAMSIZ]; bool onlink; };	/* via family 0: directly; dev "": any */

/* A route of protocol static in the main table. */
struct ns_route {
	struct prefix dest;			/* key: dest, metric */
	uint32_t metric;			/* IPv6: 1024 unless said otherwise; IPv4: 0 */
	const struct ns_hop *hops;		/* a set; one: plain, more: multipath, weight 1. In the state's arena */
	size_t n_hops;
};

struct ns_sysctl {
	char key[SYSCTL_KEY_MAX];		/* path below /proc/sys/net */
	char value[SYSCTL_VALUE_MAX];
	bool late;				/* wanted: written after the packet filter and the links, with which it appears */
};

struct ns_state {
	struct arena *arena;			/* holds the routes' hops; owned by the caller */
	char name[NS_NAME_MAX];
	bool exists;
	bool lo_up;
	VEC(struct ns_link) links;
	VEC(struct ns_addr) addrs;
	VEC(struct ns_route) routes;
	VEC(struct ns_sysctl) sysctls;		/* in the order in which they are written; not sorted */
	const char *const *prefixes;		/* want: links with such names are ours to remove; ended by NULL */
};

void ns_state_free(struct ns_state *s);		/* the arrays, not the arena */
/* Sorts the arrays by their keys: to be called once when a wanted state is complete. */
void ns_state_sort(struct ns_state *s);
int ns_link_compare(const void *a, const void *b);
int ns_addr_compare(const void *a, const void *b);
int ns_route_compare(const void *a, const void *b);
/* The item of that name in a sorted state, or NULL; for an address: the first one with that ip, whatever its length. */
const struct ns_link *ns_find_link(const struct ns_state *s, const char *name);
const struct ns_addr *ns_find_addr(const struct ns_state *s, const char *dev, const struct ip *ip);
/* Does a link of this name belong to `want`: listed, or with one of its prefixes? */
bool ns_owns_link(const struct ns_state *want, const char *name);
/* The state as text, a line an object, for goldens and `l3ctl show`. */
void ns_state_print(const struct ns_state *s, struct text *out);

/* Reads what the kernel has for `want` into *have (zeroed by the callee; name and arena copied from want): only what
 * ns_diff needs: the sysctls that want names, links with want's names or prefixes, addresses on these links (without
 * the link-local address that the kernel made for the device's MAC and without those with a lifetime: they are not
 * ours), routes of protocol static in the main table. The calling thread must be in root and is there again afterwards.
 * 0 (also for an absent namespace: exists = false, unless none is wanted and a half-made one is left) or negative
 * errno. */
int ns_observe(const struct ns_state *want, struct ns_state *have);

enum ns_op_kind {			/* in the order of application; but see NS_LINK_DEL */
	NS_CREATE, NS_LO_UP, NS_SYSCTL,
	NS_LINK_ADD, NS_LINK_SET,		/* SET: mtu, up, master, mac, quiet; what differs */
	NS_LATE_SYSCTL,				/* those that are late */
	NS_ADDR_ADD, NS_ADDR_REPLACE,		/* REPLACE: IPv6, other prefix length: out and in, in one sendmsg */
	NS_ROUTE_ADD, NS_ROUTE_REPLACE,
	NS_ROUTE_DEL, NS_ADDR_DEL,
	NS_LINK_DEL,				/* before LINK_ADD if it holds an address wanted on another link */
	NS_DELETE,
};

struct ns_op {
	enum ns_op_kind kind;
	union {
		struct { struct ns_link want; struct ns_link have; } link;
		struct { struct ns_addr want; struct ns_addr have; } addr;
		struct { struct ns_route want; struct ns_route have; } route;
		struct { struct ns_sysctl want; char have[SYSCTL_VALUE_MAX]; } sysctl;
	};
	int error;				/* after ns_apply: 0 or negative errno */
	char error_text[200];			/* why, with the kernel's extended ack, for a log line; "" if none */
};

struct ns_ops { VEC(struct ns_op) ops; char name[NS_NAME_MAX]; };

/* What has to be done, in order; empty if nothing. Pure. Things in have that are in neither want nor `prefixes` stay.
 * */
void ns_diff(const struct ns_state *have, const struct ns_state *want, struct ns_ops *ret);
void ns_ops_free(struct ns_ops *o);
/* As an operator reads it: "+ addr 203.0.113.20/32 dev qg-…", "- route …", "~ link qr-… mtu 1450 → 1400". One line. */
void ns_op_print(const struct ns_op *op, struct text *out);

/* Carries out ops[first] up to, but without, ops[last] (kinds NS_CREATE…NS_SYSCTL are the part before the packet
 * filter, the rest comes after it: the caller calls this once per part). Batched per kind and side; requests are
 * idempotent (EEXIST on add, ENOENT, ESRCH, ENODEV on removal count as done); the first error is kept and returned, the
 * rest is carried out all the same, each op tells its own. Removal of a namespace takes its links away first. A bridge
 * that is missing: -ENODEV and error_text "bridge br-x does not exist"; all bridges full: -EXFULL "bridge br-x has no
 * free port (1,023 at most)". Thread in root before and after. */
int ns_apply(struct ns_ops *ops, size_t first, size_t last);
/* The index of the first op that comes after the packet filter. */
size_t ns_ops_filter_point(const struct ns_ops *ops);
