/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Router files from any bytes. What is read without a fault must keep every promise of router.h. */

#include "problems.h"
#include "routers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(truth) ((truth) ? (void)0 : abort())

static void walk_port(const struct port *p)
{
	require(!uuid_is_null(&p->id) && mac_is_unicast(&p->mac_address) && p->network && *p->network);
	require(!p->mtu || (p->mtu >= 68 && p->mtu <= 65535));
	require(p->n_fixed_ips >= 1 && p->n_fixed_ips <= ROUTER_MAX_FIXED_IPS);
	require(p->n_subnets >= 1 && p->n_subnets <= ROUTER_MAX_SUBNETS &&
		p->n_extra_subnets <= ROUTER_MAX_EXTRA_SUBNETS);
	for (size_t i = 0; i < p->n_fixed_ips; i++) {
		const struct fixed_ip *f = &p->fixed_ips[i];
		struct prefix own = { .ip = f->ip_address, .length = f->prefixlen }, network = prefix_network(&own);
		size_t k = 0;

		require(f->prefixlen >= 1 && f->prefixlen <= ip_bits(f->ip_address.family));
		require(!ip_is_multicast(&f->ip_address) && !ip_is_link_local(&f->ip_address));
		while (k < p->n_subnets && prefix_compare(&p->subnets[k].cidr, &network) != 0)
			k++;
		require(k < p->n_subnets);
	}
	for (size_t i = 0; i < p->n_subnets; i++) {
		const struct subnet *s = &p->subnets[i];

		require(s->cidr.ip.family || s->gateway_ip.family);
		require(!s->ipv6_ra_mode || s->cidr.ip.family == AF_INET6);
		for (size_t k = 0; k < s->n_dns_nameservers; k++)
			require(s->dns_nameservers[k].family == s->cidr.ip.family);
	}
}

static void walk(const struct router *r)
{
	require(*r->name && strlen(r->name) <= ROUTER_MAX_NAME && !strpbrk(r->name, "/ \n\t") && !uuid_is_null(&r->id));
	require(r->n_interfaces <= ROUTER_MAX_INTERFACES && r->n_routes <= ROUTER_MAX_ROUTES);
	require(r->gw_port || (!r->n_floatingips && !r->n_port_forwardings));
	if (r->gw_port)
		walk_port(r->gw_port);
	for (size_t i = 0; i < r->n_interfaces; i++)
		walk_port(&r->interfaces[i]);
	for (size_t i = 0; i < r->n_floatingips; i++) {
		const struct floatingip *f = &r->floatingips[i];

		require(f->floating_ip_address.family == AF_INET && f->fixed_ip_address.family == AF_INET);
		for (size_t k = 0; k < i && i < 64; k++)
			require(!ip_equal(&f->floating_ip_address, &r->floatingips[k].floating_ip_address) &&
				!ip_equal(&f->fixed_ip_address, &r->floatingips[k].fixed_ip_address));
	}
	for (size_t i = 0; i < r->n_port_forwardings; i++) {
		const struct port_forwarding *f = &r->port_forwardings[i];

		require(protocol_name(f->protocol) && f->external_first && f->internal_first);
		require(f->external_last >= f->external_first && f->internal_last >= f->internal_first);
		require(f->internal_last - f->internal_first <= f->external_last - f->external_first);
	}
	for (size_t i = 0; i < r->n_routes; i++) {
		const struct extra_route *x = &r->routes[i];
		struct prefix network = prefix_network(&x->destination);

		require(x->destination.ip.family == x->nexthop.family &&
			prefix_compare(&network, &x->destination) == 0);
	}
	for (size_t i = 0; i < r->n_instances; i++)
		require(r->instances[i].fixed_ip_address.family && *r->instances[i].instance_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = { 0 };
	struct routers one = { 0 }, two = { 0 };
	int error = routers_parse("fuzz", (const char *)data, size, NULL, &problems, &one);

	require(!error == !problems.n);
	if (!error) {
		require(routers_parse("fuzz", (const char *)data, size, NULL, &problems, &two) == 0 && one.n == two.n);
		for (size_t i = 0; i < one.n; i++) {
			walk(one.at[i]);
			require(router_equal(one.at[i], two.at[i]));
		}
	}
	routers_free(&one);
	routers_free(&two);
	problems_clear(&problems);
	return 0;
}
