/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router.h"

#include "arena.h"

#include <string.h>

static const struct { const char *name; uint8_t protocol; } protocols[] = {
	{ "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP }, { "dccp", IPPROTO_DCCP },
	{ "udplite", IPPROTO_UDPLITE },
};

void router_free(struct router *r)
{
	if (r)
		arena_free(r->arena);
}

const char *ra_mode_name(enum ipv6_ra_mode mode)
{
	static const char *const names[] = { NULL, "slaac", "dhcpv6-stateless", "dhcpv6-stateful" };

	return names[mode];
}

uint8_t protocol_parse(const char *name)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (strcmp(name, protocols[i].name) == 0)
			return protocols[i].protocol;
	return 0;
}

const char *protocol_name(uint8_t protocol)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (protocol == protocols[i].protocol)
			return protocols[i].name;
	return NULL;
}

/* ---- equality: field by field, because padding is nobody's wish ---- */

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return uuid_compare(a, b) == 0;
}

static bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return prefix_compare(a, b) == 0;
}

static bool fixed_ip_equal(const struct fixed_ip *a, const struct fixed_ip *b)
{
	return ip_equal(&a->ip_address, &b->ip_address) && a->prefixlen == b->prefixlen;
}

/* Are n_a items at a and n_b at b the same, in the same order, by `equal`? */
#define all_equal(a, n_a, b, n_b, equal) ({ \
	bool same_ = (n_a) == (n_b); \
	for (size_t i_ = 0; same_ && i_ < (n_a); i_++) \
		same_ = equal(&(a)[i_], &(b)[i_]); \
	same_; })

static bool subnet_equal(const struct subnet *a, const struct subnet *b)
{
	return prefix_equal(&a->cidr, &b->cidr) && ip_equal(&a->gateway_ip, &b->gateway_ip) &&
	       a->ipv6_ra_mode == b->ipv6_ra_mode &&
	       all_equal(a->dns_nameservers, a->n_dns_nameservers, b->dns_nameservers, b->n_dns_nameservers, ip_equal);
}

static bool port_equal(const struct port *a, const struct port *b)
{
	return uuid_equal(&a->id, &b->id) && memcmp(&a->mac_address, &b->mac_address, sizeof a->mac_address) == 0 &&
	       text_equal(a->network, b->network) && a->mtu == b->mtu && a->admin_state_up == b->admin_state_up &&
	       all_equal(a->fixed_ips, a->n_fixed_ips, b->fixed_ips, b->n_fixed_ips, fixed_ip_equal) &&
	       all_equal(a->subnets, a->n_subnets, b->subnets, b->n_subnets, subnet_equal) &&
	       all_equal(a->extra_subnets, a->n_extra_subnets, b->extra_subnets, b->n_extra_subnets, prefix_equal);
}

static bool floatingip_equal(const struct floatingip *a, const struct floatingip *b)
{
	return uuid_equal(&a->id, &b->id) && ip_equal(&a->floating_ip_address, &b->floating_ip_address) &&
	       ip_equal(&a->fixed_ip_address, &b->fixed_ip_address);
}

static bool port_forwarding_equal(const struct port_forwarding *a, const struct port_forwarding *b)
{
	return uuid_equal(&a->id, &b->id) && ip_equal(&a->floating_ip_address, &b->floating_ip_address) &&
	       ip_equal(&a->internal_ip_address, &b->internal_ip_address) && a->protocol == b->protocol &&
	       a->external_first == b->external_first && a->external_last == b->external_last &&
	       a->internal_first == b->internal_first && a->internal_last == b->internal_last;
}

static bool route_equal(const struct extra_route *a, const struct extra_route *b)
{
	return prefix_equal(&a->destination, &b->destination) && ip_equal(&a->nexthop, &b->nexthop);
}

static bool key_equal(char *const *a, char *const *b)
{
	return text_equal(*a, *b);
}

static bool instance_equal(const struct instance *a, const struct instance *b)
{
	return ip_equal(&a->fixed_ip_address, &b->fixed_ip_address) && text_equal(a->instance_id, b->instance_id) &&
	       text_equal(a->project_id, b->project_id) && text_equal(a->hostname, b->hostname) &&
	       text_equal(a->user_data, b->user_data) &&
	       all_equal(a->public_keys, a->n_public_keys, b->public_keys, b->n_public_keys, key_equal);
}

bool router_equal(const struct router *a, const struct router *b)
{
	return uuid_equal(&a->id, &b->id) && text_equal(a->name, b->name) && text_equal(a->project_id, b->project_id) &&
	       a->admin_state_up == b->admin_state_up && a->enable_snat == b->enable_snat &&
	       (a->gw_port && b->gw_port ? port_equal(a->gw_port, b->gw_port) : a->gw_port == b->gw_port) &&
	       all_equal(a->interfaces, a->n_interfaces, b->interfaces, b->n_interfaces, port_equal) &&
	       all_equal(a->floatingips, a->n_floatingips, b->floatingips, b->n_floatingips, floatingip_equal) &&
	       all_equal(a->port_forwardings, a->n_port_forwardings, b->port_forwardings, b->n_port_forwardings,
			 port_forwarding_equal) &&
	       all_equal(a->routes, a->n_routes, b->routes, b->n_routes, route_equal) &&
	       all_equal(a->instances, a->n_instances, b->instances, b->n_instances, instance_equal);
}
