/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The packet filter of one router: a single nf_tables table `inet l3agent` whose chains and rules are the same for
 * every router (the skeleton); all that differs between routers is elements of sets and maps, so that the thousandth
 * floating IP costs what the first did. Observed from the kernel each time, changed in one batch.
 *
 *   nat_observe → have     nat_diff(have, want) → ops     nat_apply(ops)     nat_flush (conntrack of what left)
 *
 * What left is written to the set `leaving` (IPv6: `leaving6`) by the same batch that takes it out of the maps, and
 * is taken out of it only after the flush: the kernel keeps the journal, so a crash in between loses nothing. It is
 * lost if somebody deletes the table. A flow meets the rules once, with its first packet: what changes here does not
 * move a flow that goes on, unless it is flushed. Knows struct nat and nf_tables; not Neutron, not YAML. */

#include "ip.h"
#include "vec.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct text;

#define NAT_TABLE "l3agent"

struct nat_external { char dev[IFNAMSIZ]; };
struct nat_snat { char dev[IFNAMSIZ]; struct ip ip; };	/* out of dev: new source. key: dev */
/* floating → fixed, and back: what the fixed address sends out has the floating one as its source; the lowest, if
 * several floating IPs lead to one fixed address. IPv4. key: from */
struct nat_dnat { struct ip from, to; };
struct nat_forward {				/* key: ip, protocol, port */
	struct ip ip; uint8_t protocol; uint16_t port;
	struct ip to; uint16_t to_port;
};
struct nat_leaving { struct ip ip; uint8_t protocol; uint16_t port; };	/* protocol 0: every flow of that address */

/* The elements of one router's table, want and have alike; arrays sorted by key. */
struct nat {
	VEC(struct nat_external) external;	/* gateway devices (qg-…) */
	struct ip gateway;			/* source of hairpin flows: first IPv4 of the gateway port; family 0: none */
	VEC(struct nat_snat) snat;		/* empty with enable_snat: false */
	VEC(struct nat_dnat) dnats;
	VEC(struct nat_forward) forwards;
	VEC(struct nat_leaving) leaving;	/* have: journal of a flush that is due; want: always empty */
};

/* What is the same for all routers of this agent. */
struct nat_conf { bool fully_random; uint16_t metadata_port; bool flush_moved; };

void nat_free(struct nat *n);
void nat_sort(struct nat *n);
/* As nft text (`table inet l3agent { … }`), complete: skeleton and elements. */
void nat_print(const struct nat *n, const struct nat_conf *conf, struct text *out);

struct nat_have {
	bool table;				/* it exists */
	bool flows;				/* the namespace is not new: packets may have passed without the table */
	bool skeleton;				/* its chains, rules, sets are exactly those of conf */
	uint32_t generation;
	struct nat elements;
};

/* Reads the table of the namespace that the calling thread is in. 0 (also without a table) or negative errno; -EAGAIN:
 * others kept changing the ruleset. Elements that struct nat cannot say make the skeleton a damaged one. */
int nat_observe(const struct nat_conf *conf, struct nat_have *ret);
void nat_have_free(struct nat_have *h);

/* Operations are over elements; a missing or damaged skeleton is one more operation (the table is then made anew,
 * with all elements, in the same batch: never a moment without rules). */
struct nat_op {
	enum { NAT_TABLE_ADD, NAT_TABLE_REPLACE, NAT_TABLE_DEL, NAT_EXTERNAL, NAT_GATEWAY, NAT_SNAT, NAT_DNAT, NAT_FORWARD,
	       NAT_LEAVING } kind;
	enum { NAT_ADD, NAT_DEL, NAT_CHANGE } verb;
	union {					/* by kind */
		struct {
			char dev[IFNAMSIZ];		/* EXTERNAL, SNAT */
			struct ip ip, old_ip;		/* GATEWAY, SNAT: new (DEL: the one that goes) and old address */
		};
		struct { struct nat_dnat dnat; struct ip old_to; };
		struct { struct nat_forward forward, old_forward; };
		struct nat_leaving leaving;
	};
};
struct nat_ops { VEC(struct nat_op) ops; };

/* Pure; have and want are sorted. On the journal go: a dnat's or forward's key that goes, a forward's key whose
 * target changes, a dnat's whose target changes if conf.flush_moved, an address that the router no longer shows
 * (gateway, snat), and those in `left`, which are about to leave its devices. What have.leaving holds already is no
 * operation, but due: flush have.leaving together with the NAT_LEAVING ops. want NULL: the table is to go, with its
 * journal. */
void nat_diff(const struct nat_have *have, const struct nat *want, const struct nat_conf *conf, const struct ip *left,
	      size_t n_left, struct nat_ops *ret);
void nat_ops_free(struct nat_ops *o);
/* "+ dnat 203.0.113.20 → 10.0.0.5", "~ snat qg-… 203.0.113.10 → 203.0.113.11", "+ table inet l3agent". One line. The
 * journal's own ops print as "+ flush 203.0.113.20". */
void nat_op_print(const struct nat_op *op, struct text *out);

/* One batch. 0; -ERESTART: somebody changed the ruleset since `have` was read; other negative errno, *error_text (size
 * 200) then says what the kernel refused. Thread in the namespace. */
int nat_apply(const struct nat_ops *ops, const struct nat_have *have, const struct nat *want, const struct nat_conf *conf,
	      char *error_text);

/* Ends the flows of everything in `leaving`: deletes their conntrack entries (original destination or reply
 * destination is that address; with a protocol: original destination, protocol and destination port), then takes
 * these elements off the journal. One dump for all of them, or some each where that is less work. Thread in the
 * namespace. *ret_flows gets the number of flows ended. 0 or negative errno, *error_text (size 200) as above. */
int nat_flush(const struct nat_leaving *leaving, size_t n, size_t *ret_flows, char *error_text);
