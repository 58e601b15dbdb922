/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The rules of a router file that no entry can break alone: addresses used twice, networks that overlap, ports
 * forwarded twice, a next hop that is nowhere. The reader of the file reports each valid entry with its place; the
 * rules are applied at the end of each router and of the file. Nodes and texts are borrowed until check_free. */

#include "ip.h"
#include "reader.h"

struct check;

/* What an address of the router is to it, in the order in which the first of two wins. */
enum claim {
	CLAIM_GATEWAY,			/* a fixed IP of the external gateway */
	CLAIM_NEXTHOP,			/* an entry of gateway_ips: the neighbour's, not ours */
	CLAIM_INTERFACE,
	CLAIM_FLOATING,
	CLAIM_FORWARDED,		/* a floating IP whose ports are forwarded: any number of times */
};

struct check *check_new(struct reader *rd);
void check_free(struct check *c);

void check_subnet(struct check *c, const struct prefix *network, bool external, const struct node *at);
/* `network`: where it is seen by other routers of the file. */
void check_address(struct check *c, enum claim claim, const char *network, const struct ip *ip, const struct node *at);
/* A floating IP's fixed address: one floating IP each. */
void check_fixed(struct check *c, const struct ip *ip, const struct node *at);
/* The target of a port forwarding. */
void check_target(struct check *c, const struct ip *ip, const struct node *at);
void check_forwarded(struct check *c, const struct ip *ip, uint8_t protocol, uint16_t first, uint16_t last,
		     const struct node *at);
void check_route(struct check *c, const struct prefix *destination, const struct ip *nexthop, const struct node *at);
void check_instance(struct check *c, const struct ip *ip, const struct node *at);
void check_port(struct check *c, const struct uuid *id, const struct node *at);
/* Ends a router. `complete`: its interfaces and routes had no faults, so that "in none of its networks" can be told. */
void check_router(struct check *c, const char *name, const struct uuid *id, bool complete, const struct node *at);
void check_file(struct check *c);
