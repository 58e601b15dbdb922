/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The router model: what is wanted, in the words of Neutron's API. Plain data, no back pointers, complete: a source
 * always delivers a whole router. Once published a router is immutable; everything it points to lives in its arena.
 * Knows nothing of kernels, device names or RPC. */

#include "ip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits on what one router may hold; past them a source reports an error and keeps the last good version. */
enum {
	ROUTER_MAX_INTERFACES = 512,
	ROUTER_MAX_FIXED_IPS = 64,		/* per port */
	ROUTER_MAX_SUBNETS = 64,		/* per port */
	ROUTER_MAX_FLOATINGIPS = 65536,
	ROUTER_MAX_PORT_FORWARDINGS = 65536,	/* and their external ports together */
	ROUTER_MAX_ROUTES = 4096,
	ROUTER_MAX_NEXTHOPS = 64,		/* per destination */
	ROUTER_MAX_INSTANCES = 65536,
	ROUTER_MAX_NAMESERVERS = 16,		/* per port */
	ROUTER_MAX_EXTRA_SUBNETS = 256,
	ROUTER_MAX_NAME = 255,			/* bytes; of every text but the next two */
	ROUTER_MAX_USER_DATA = 65535,		/* as Nova's */
	ROUTER_MAX_PUBLIC_KEY = 16384,
	ROUTER_MAX_PUBLIC_KEYS = 64,		/* per instance */
	ROUTER_ARENA_CEILING = 64 << 20,	/* bytes */
};

enum ipv6_ra_mode { RA_MODE_NONE, RA_MODE_SLAAC, RA_MODE_DHCPV6_STATELESS, RA_MODE_DHCPV6_STATEFUL };

struct fixed_ip { struct ip ip_address; uint8_t prefixlen; };

struct subnet {
	struct prefix cidr;			/* length 0 and family 0: not known (a bare gateway_ips entry) */
	struct ip gateway_ip;			/* family 0: none */
	enum ipv6_ra_mode ipv6_ra_mode;
	struct ip *dns_nameservers;
	size_t n_dns_nameservers;
};

struct port {
	struct uuid id;
	struct mac mac_address;
	char *network;				/* a key of the agent's `networks` */
	uint32_t mtu;				/* 0: the network's */
	bool admin_state_up;
	struct fixed_ip *fixed_ips;
	size_t n_fixed_ips;
	struct subnet *subnets;
	size_t n_subnets;
	struct prefix *extra_subnets;		/* on-link on the external network without an address of ours */
	size_t n_extra_subnets;
};

struct floatingip { struct uuid id; struct ip floating_ip_address, fixed_ip_address; };

struct port_forwarding {
	struct uuid id;
	struct ip floating_ip_address, internal_ip_address;
	uint8_t protocol;			/* IPPROTO_TCP, _UDP, _SCTP, _DCCP, _UDPLITE */
	uint16_t external_first, external_last;	/* inclusive */
	uint16_t internal_first, internal_last;	/* a smaller range wraps */
};

struct extra_route { struct prefix destination; struct ip nexthop; };

struct instance {				/* who asks for metadata, and the answer when no url is configured */
	struct ip fixed_ip_address;
	char *instance_id, *project_id, *hostname, *user_data;
	char **public_keys;
	size_t n_public_keys;
};

struct router {
	struct arena *arena;			/* owns this struct and all below it */
	struct uuid id;
	char *name;
	char *project_id;			/* NULL: none */
	bool admin_state_up;			/* false: nothing of it is wanted in the kernel */
	bool enable_snat;
	struct port *gw_port;			/* NULL: no external gateway */
	struct port *interfaces;
	size_t n_interfaces;
	struct floatingip *floatingips;
	size_t n_floatingips;
	struct port_forwarding *port_forwardings;
	size_t n_port_forwardings;
	struct extra_route *routes;
	size_t n_routes;
	struct instance *instances;
	size_t n_instances;
	const char *file;			/* where it was written: path, line (1…); NULL, 0 from other sources */
	unsigned line;
};

/* Frees r with its arena. NULL is fine. */
void router_free(struct router *r);
/* Do both ask for the same (file and line do not count)? */
bool router_equal(const struct router *a, const struct router *b);
/* "slaac" and so on; NULL for RA_MODE_NONE. */
const char *ra_mode_name(enum ipv6_ra_mode mode);
/* "tcp" → IPPROTO_TCP and so on, 0 if it is none that port forwarding knows; and back (NULL). */
uint8_t protocol_parse(const char *name);
const char *protocol_name(uint8_t protocol);
