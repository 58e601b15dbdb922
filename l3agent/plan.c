/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan.h"

#include "arena.h"
#include "conf.h"
#include "router.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum { PLAN_ARENA_CEILING = 64 << 20, DEFAULT_MTU = 1500, IPV6_ROUTE_METRIC = 1024 };

/* Devices with these prefixes are ours to remove; any other in the namespace stays. */
static const char *const device_prefixes[] = { "qr-", "qg-", NULL };

void plan_namespace(const struct uuid *id, char ret[NS_NAME_MAX])
{
	char text[UUID_TEXT];

	snprintf(ret, NS_NAME_MAX, "qrouter-%s", uuid_print(id, text));
}

void plan_device(const char *prefix, const struct uuid *port_id, char ret[IFNAMSIZ])
{
	char text[UUID_TEXT];

	snprintf(ret, IFNAMSIZ, "%s%.11s", prefix, uuid_print(port_id, text));
}

void plan_nat_conf(const struct conf *conf, struct nat_conf *ret)
{
	*ret = (struct nat_conf){ .fully_random = conf->nat.use_random_fully, .metadata_port = conf->metadata.port,
				  .flush_moved = conf->nat.flush_moved_floatingips };
}

static void want_sysctl(struct plan *p, const char *value, bool late, const char *format, const char *dev)
{
	struct ns_sysctl *s = vec_add(&p->ns.sysctls);

	snprintf(s->key, sizeof s->key, format, dev);
	snprintf(s->value, sizeof s->value, "%s", value);
	s->late = late;
}

/* dataplane: forwarding, and ARP answered only for addresses of the interface on which it is asked. rp_filter and all
 * else is the operator's, inherited from the host. */
static void want_namespace_sysctls(struct plan *p)
{
	/* MLD (RFC 3810, section 9.11): a join is reported at once and, by default, again within a second. On a bridge with a
	 * thousand routers every report is copied into every namespace, so the repetitions are spread over ten seconds.
	 * Where conntrack is a module, the first NAT chain brings it and its sysctls. */
	static const struct { const char *key, *value; bool late; } table[] = {
		{ "ipv4/ip_forward", "1" },
		{ "ipv4/conf/all/arp_ignore", "1" },
		{ "ipv4/conf/all/arp_announce", "2" },
		{ "ipv4/conf/all/promote_secondaries", "1" },
		{ "ipv6/conf/all/forwarding", "1" },
		{ "ipv6/conf/default/mldv2_unsolicited_report_interval", "10000" },
		{ "netfilter/nf_conntrack_tcp_be_liberal", "1", true },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		want_sysctl(p, table[i].value, table[i].late, "%s", table[i].key);
}

static void want_addr(struct plan *p, const char *dev, const struct ip *ip, uint8_t prefixlen)
{
	struct ns_addr *a = vec_add(&p->ns.addrs);

	memcpy(a->dev, dev, IFNAMSIZ);
	a->ip = *ip;
	a->prefixlen = prefixlen;
}

static void want_link(struct plan *p, const char *prefix, const struct port *port, const struct conf *conf)
{
	const struct network *network = conf_network(conf, port->network);
	struct ns_link *l = vec_add(&p->ns.links);

	plan_device(prefix, &port->id, l->name);
	plan_device("tap", &port->id, l->peer);
	l->mac = port->mac_address;
	l->mtu = port->mtu ? port->mtu : network ? network->mtu : DEFAULT_MTU;
	l->up = l->peer_up = l->peer_ipv6_quiet = true;
	/* A network that the settings do not know has no bridges: applying says so, router by router. */
	if (network) {
		l->bridges = (const char *const *)network->bridges;
		l->n_bridges = network->n_bridges;
	}
	for (size_t i = 0; i < port->n_fixed_ips; i++)
		want_addr(p, l->name, &port->fixed_ips[i].ip_address, port->fixed_ips[i].prefixlen);
}

static bool on_link(const struct port *port, const struct ip *ip)
{
	for (size_t i = 0; i < port->n_fixed_ips; i++) {
		struct prefix p = { port->fixed_ips[i].ip_address, port->fixed_ips[i].prefixlen };

		if (prefix_contains(&p, ip))
			return true;
	}
	return false;
}

static struct ns_route *find_route(struct plan *p, const struct prefix *dest)
{
	for (size_t i = 0; i < p->ns.routes.n; i++)
		if (prefix_compare(&p->ns.routes.at[i].dest, dest) == 0)
			return &p->ns.routes.at[i];
	return NULL;
}

/* Hops of one destination that is being collected; routes with the same key share it. */
static struct ns_route *want_route(struct plan *p, const struct prefix *dest)
{
	struct ns_route *r = find_route(p, dest);

	if (r)
		return r;
	r = vec_add(&p->ns.routes);
	r->dest = *dest;
	r->metric = dest->ip.family == AF_INET6 ? IPV6_ROUTE_METRIC : 0;
	return r;
}

static void add_hop(struct plan *p, struct ns_route *r, const struct ns_hop *hop)
{
	struct ns_hop *hops;

	for (size_t i = 0; i < r->n_hops; i++)
		if (ip_equal(&r->hops[i].via, &hop->via) && strcmp(r->hops[i].dev, hop->dev) == 0)
			return;
	hops = r->n_hops < ROUTE_MAX_HOPS ? arena_array(p->arena, r->n_hops + 1, sizeof *hops) : NULL;
	if (!hops)
		return;
	if (r->n_hops)
		memcpy(hops, r->hops, r->n_hops * sizeof *hops);
	hops[r->n_hops++] = *hop;
	r->hops = hops;
}

/* Default routes: the last subnet of a family that has a gateway wins, as in Neutron. A gateway outside of the port's own
 * subnets is reached on-link. */
static void want_gateway_routes(struct plan *p, const struct port *gw, const char *dev)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		struct prefix any = { .ip.family = v6 ? AF_INET6 : AF_INET };
		const struct ip *gateway = NULL;
		struct ns_hop hop = { 0 };

		for (size_t i = 0; i < gw->n_subnets; i++)
			if (gw->subnets[i].gateway_ip.family == any.ip.family)
				gateway = &gw->subnets[i].gateway_ip;
		if (!gateway)
			continue;
		hop.via = *gateway;
		memcpy(hop.dev, dev, IFNAMSIZ);
		hop.onlink = !on_link(gw, gateway) && !ip_is_link_local(gateway);
		add_hop(p, want_route(p, &any), &hop);
	}
	for (size_t i = 0; i < gw->n_extra_subnets; i++) {
		struct ns_hop hop = { 0 };

		memcpy(hop.dev, dev, IFNAMSIZ);
		add_hop(p, want_route(p, &gw->extra_subnets[i]), &hop);
	}
}

/* The device over which a nexthop is reached, so that a route follows when a subnet moves from one port to another; "" if
 * no port is next to it: the kernel may know better, and its refusal is the error that the operator reads. */
static void nexthop_device(const struct router *r, const struct ip *nexthop, char ret[IFNAMSIZ])
{
	memset(ret, 0, IFNAMSIZ);
	for (size_t i = 0; i < r->n_interfaces; i++)
		if (r->interfaces[i].admin_state_up && on_link(&r->interfaces[i], nexthop)) {
			plan_device("qr-", &r->interfaces[i].id, ret);
			return;
		}
	if (!r->gw_port)
		return;
	if (on_link(r->gw_port, nexthop))
		plan_device("qg-", &r->gw_port->id, ret);
	for (size_t i = 0; !*ret && i < r->gw_port->n_extra_subnets; i++)
		if (prefix_contains(&r->gw_port->extra_subnets[i], nexthop))
			plan_device("qg-", &r->gw_port->id, ret);
}

/* Several nexthops of one destination are one multipath route. A destination that the gateway also serves (a default
 * route) is the extra route's. */
static void want_extra_routes(struct plan *p, const struct router *r)
{
	size_t gateway_routes = p->ns.routes.n;

	for (size_t i = 0; i < r->n_routes; i++) {
		struct ns_route *route = find_route(p, &r->routes[i].destination);
		struct ns_hop hop = { .via = r->routes[i].nexthop };

		if (route && (size_t)(route - p->ns.routes.at) < gateway_routes) {
			bool first = true;

			for (size_t j = 0; j < i; j++)
				first &= prefix_compare(&r->routes[j].destination, &route->dest) != 0;
			if (first)
				route->n_hops = 0;
		}
		nexthop_device(r, &r->routes[i].nexthop, hop.dev);
		add_hop(p, route ? route : want_route(p, &r->routes[i].destination), &hop);
	}
}

/* Without an IPv6 default gateway the upstream's router advertisement may give one: 2 = accept although we forward. */
static void want_gateway_sysctls(struct plan *p, const char *dev)
{
	struct prefix any = { .ip.family = AF_INET6 };

	want_sysctl(p, find_route(p, &any) ? "0" : "2", true, "ipv6/conf/%s/accept_ra", dev);
}

static const struct ip *first_ipv4(const struct port *port)
{
	for (size_t i = 0; i < port->n_fixed_ips; i++)
		if (port->fixed_ips[i].ip_address.family == AF_INET)
			return &port->fixed_ips[i].ip_address;
	return NULL;
}

static void want_forward(struct plan *p, const struct port_forwarding *f)
{
	unsigned internal = f->internal_last - f->internal_first + 1u;

	/* Offset-preserving: the k-th external port leads to the k-th internal one, and starts over if there are fewer. */
	for (unsigned port = f->external_first; port <= f->external_last; port++)
		*vec_add(&p->nat.forwards) = (struct nat_forward){
			.ip = f->floating_ip_address, .protocol = f->protocol, .port = (uint16_t)port,
			.to = f->internal_ip_address,
			.to_port = (uint16_t)(f->internal_first + (port - f->external_first) % internal),
		};
}

static void want_nat(struct plan *p, const struct router *r, const char *qg)
{
	const struct ip *gateway = first_ipv4(r->gw_port);

	memcpy(vec_add(&p->nat.external)->dev, qg, IFNAMSIZ);
	if (gateway) {
		p->nat.gateway = *gateway;
		if (r->enable_snat) {
			struct nat_snat *s = vec_add(&p->nat.snat);

			memcpy(s->dev, qg, IFNAMSIZ);
			s->ip = *gateway;
		}
	}
	for (size_t i = 0; i < r->n_floatingips; i++) {
		const struct floatingip *f = &r->floatingips[i];

		*vec_add(&p->nat.dnats) = (struct nat_dnat){ f->floating_ip_address, f->fixed_ip_address };
		want_addr(p, qg, &f->floating_ip_address, ip_bits(f->floating_ip_address.family));
	}
	for (size_t i = 0; i < r->n_port_forwardings; i++) {
		const struct port_forwarding *f = &r->port_forwardings[i];

		want_forward(p, f);
		want_addr(p, qg, &f->floating_ip_address, ip_bits(f->floating_ip_address.family));
	}
}

/* Several forwardings share one floating IP, each has asked for its address. The array is sorted. */
static void drop_repeated_addrs(struct ns_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->addrs.n; i++) {
		const struct ns_addr *a = &s->addrs.at[i], *last = kept ? &s->addrs.at[kept - 1] : NULL;

		if (!last || strcmp(a->dev, last->dev) != 0 || !ip_equal(&a->ip, &last->ip) ||
		    a->prefixlen != last->prefixlen)
			s->addrs.at[kept++] = *a;
	}
	s->addrs.n = kept;
}

void plan_build(const char *namespace, const struct router *r, const struct conf *conf, struct plan *ret)
{
	struct plan p = { .arena = arena_new(PLAN_ARENA_CEILING) };
	char qg[IFNAMSIZ] = "";

	p.ns.arena = p.arena;
	snprintf(p.ns.name, sizeof p.ns.name, "%s", namespace);
	p.ns.prefixes = device_prefixes;
	if (r && r->admin_state_up) {
		p.ns.exists = p.ns.lo_up = true;
		want_namespace_sysctls(&p);
		for (size_t i = 0; i < r->n_interfaces; i++)
			if (r->interfaces[i].admin_state_up)
				want_link(&p, "qr-", &r->interfaces[i], conf);
		if (r->gw_port && r->gw_port->admin_state_up) {
			plan_device("qg-", &r->gw_port->id, qg);
			want_link(&p, "qg-", r->gw_port, conf);
			want_gateway_routes(&p, r->gw_port, qg);
			want_nat(&p, r, qg);
		}
		want_extra_routes(&p, r);
		if (*qg)
			want_gateway_sysctls(&p, qg);
	}
	ns_state_sort(&p.ns);
	drop_repeated_addrs(&p.ns);
	nat_sort(&p.nat);
	*ret = p;
}

void plan_free(struct plan *p)
{
	ns_state_free(&p->ns);
	nat_free(&p->nat);
	arena_free(p->arena);
	*p = (struct plan){ 0 };
}

void plan_print(const struct plan *p, const struct conf *conf, struct text *out)
{
	struct nat_conf nat_conf;

	plan_nat_conf(conf, &nat_conf);
	ns_state_print(&p->ns, out);
	if (p->ns.exists)
		nat_print(&p->nat, &nat_conf, out);
}
