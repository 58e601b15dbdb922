/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routers.h"

#include "arena.h"
#include "check.h"
#include "conf.h"
#include "log.h"
#include "problems.h"
#include "reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const file_keys[] = { "routers", NULL };
static const char *const router_keys[] = {
	"name", "id", "project_id", "admin_state_up", "external_gateway_info", "interfaces", "floatingips",
	"port_forwardings", "routes", "instances", NULL };
static const char *const gateway_keys[] = {
	"network", "id", "mac_address", "mtu", "admin_state_up", "enable_snat", "external_fixed_ips", "gateway_ips",
	"extra_subnets", NULL };
static const char *const interface_keys[] = {
	"network", "id", "mac_address", "mtu", "admin_state_up", "fixed_ips", "ipv6_ra_mode", "dns_nameservers", NULL };
static const char *const floatingip_keys[] = { "floating_ip_address", "fixed_ip_address", "id", NULL };
static const char *const forwarding_keys[] = {
	"floating_ip_address", "protocol", "external_port", "internal_ip_address", "internal_port", "id", NULL };
static const char *const route_keys[] = { "destination", "nexthop", NULL };
static const char *const instance_keys[] = {
	"fixed_ip_address", "instance_id", "project_id", "hostname", "user_data", "public_keys", NULL };

/* A file that is being read, and the router that it is at. */
struct reading {
	struct reader rd;
	struct check *check;
	const struct conf *conf;
	struct router *r;
	uint32_t forwarded;		/* external ports so far */
};

/* ---- memory of the router ---- */

static void *take(struct reading *in, size_t n, size_t size)
{
	return arena_array(in->r->arena, n, size);
}

/* Past the arena's ceiling an empty text, which serves until the router is dropped for it. */
static char *copy(struct reading *in, const char *s)
{
	static char none[1];
	char *ret = arena_strdup(in->r->arena, s);

	return ret ? ret : none;
}

static size_t n_faults(const struct reading *in)
{
	return in->rd.problems->n + in->rd.problems->more;
}

/* The id of what bears this name within `space`. */
static struct uuid derive(const struct uuid *space, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct uuid derive(const struct uuid *space, const char *format, ...)
{
	char name[ROUTER_MAX_NAME + 64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof name, format, ap);
	va_end(ap);
	return uuid_v5(space, name);
}

/* ---- addresses ---- */

/* Why ip cannot be the address of a host on a network; NULL: it can. */
static const char *refusal(const struct ip *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip_is_unspecified(ip))
		return "the unspecified address";
	if (ip_is_loopback(ip))
		return "a loopback address";
	if (ip_is_multicast(ip))
		return "a multicast address";
	if (ip->family == AF_INET && ip->bytes[0] == 0)
		return "an address of \"this network\" (RFC 1122, 0.0.0.0/8)";
	if (ip->family == AF_INET && memcmp(ip->bytes, "\xff\xff\xff\xff", 4) == 0)
		return "the broadcast address";
	if (ip->family == AF_INET6 && memcmp(ip->bytes, mapped, sizeof mapped) == 0)
		return "an IPv4-mapped address";
	return NULL;
}

static const char *label(const struct node *n)
{
	return n->key ? n->key : "address";
}

/* An address of a host, link-local only if that is fine here. */
static int check_host(struct reading *in, const struct node *n, const struct ip *ip, bool link_local_ok)
{
	const char *why = refusal(ip);
	char text[IP_TEXT];

	if (!why && !link_local_ok && ip_is_link_local(ip))
		why = "a link-local address";
	if (!why)
		return 0;
	reader_fault(&in->rd, n, "%s: expected the address of a host, found %s, %s", label(n), ip_print(ip, text), why);
	return -EINVAL;
}

static int read_host(struct reading *in, const struct node *n, bool link_local_ok, struct ip *ret)
{
	struct ip ip;
	int error = reader_ip(&in->rd, n, &ip);

	if (!error)
		error = check_host(in, n, &ip, link_local_ok);
	if (!error)
		*ret = ip;
	return error;
}

static int read_host4(struct reading *in, const struct node *n, struct ip *ret)
{
	struct ip ip;
	int error = reader_ip4(&in->rd, n, &ip);

	if (!error)
		error = check_host(in, n, &ip, false);
	if (!error)
		*ret = ip;
	return error;
}

/* An address of ours with the length of its network. */
static int read_fixed_ip(struct reading *in, const struct node *n, struct prefix *ret)
{
	struct prefix p, network;
	struct ip broadcast;
	char one[PREFIX_TEXT];
	int error = reader_prefix(&in->rd, n, &p);

	if (!error)
		error = check_host(in, n, &p.ip, false);
	if (error)
		return error;
	network = prefix_network(&p);
	broadcast = prefix_broadcast(&p);
	prefix_print(&network, one);
	if (!p.length) {
		reader_expected(&in->rd, n, "a length from 1 to %u", ip_bits(p.ip.family));
		return -EINVAL;
	}
	/* Networks of two addresses and of one use them all (RFC 3021, RFC 6164). */
	if (p.length + 1 < ip_bits(p.ip.family) && ip_equal(&p.ip, &network.ip)) {
		reader_expected(&in->rd, n, p.ip.family == AF_INET ? "an address within %s, not the network's own" :
				"an address within %s, not its routers' anycast address (RFC 4291)", one);
		return -EINVAL;
	}
	if (p.length + 1 < ip_bits(p.ip.family) && ip_equal(&p.ip, &broadcast)) {
		reader_expected(&in->rd, n, "an address within %s, not its broadcast address", one);
		return -EINVAL;
	}
	*ret = p;
	return 0;
}

/* A network: its host bits must be zero. */
static int read_network(struct reading *in, const struct node *n, struct prefix *ret)
{
	struct prefix p, network;
	char one[PREFIX_TEXT];
	int error = reader_prefix(&in->rd, n, &p);

	if (error)
		return error;
	network = prefix_network(&p);
	if (prefix_compare(&p, &network) != 0) {
		reader_expected(&in->rd, n, "a network without host bits, that is %s", prefix_print(&network, one));
		return -EINVAL;
	}
	if (p.length && (ip_is_multicast(&p.ip) || ip_is_loopback(&p.ip))) {
		reader_expected(&in->rd, n, "a network of hosts");
		return -EINVAL;
	}
	*ret = p;
	return 0;
}

/* ---- ports ---- */

static void read_network_name(struct reading *in, const struct node *map, const char *where, char **ret)
{
	const struct node *n = reader_need(&in->rd, map, where, "network");
	const struct conf *conf = in->conf;
	const char *name, *near = NULL;

	if (!n || reader_text(&in->rd, n, READER_WORD, ROUTER_MAX_NAME, &name) < 0)
		return;
	*ret = copy(in, name);
	if (!conf || conf_network(conf, name))
		return;
	if (conf->n_networks)
		near = reader_nearest(name, (const char *const *)&conf->networks->name, conf->n_networks,
				      sizeof *conf->networks);
	if (near)
		reader_fault(&in->rd, n, "network '%s' is not configured in %s, did you mean '%s'?", name, conf->path,
			     near);
	else
		reader_fault(&in->rd, n, "network '%s' is not configured in %s", name, conf->path);
}

static struct prefix network_of(const struct fixed_ip *f)
{
	struct prefix p = { .ip = f->ip_address, .length = f->prefixlen };

	return prefix_network(&p);
}

static void read_fixed_ips(struct reading *in, const struct node *map, const char *where, const char *key,
			   bool external, struct port *port)
{
	const struct node *list = reader_need(&in->rd, map, where, key);
	struct prefix p, network;
	size_t n = 0;

	if (list && (list->kind == NODE_LIST || node_is_null(list)) && !node_count(list))
		reader_fault(&in->rd, list, "%s: expected at least one address", key);
	if (!reader_list(&in->rd, list, ROUTER_MAX_FIXED_IPS, &n))
		return;
	port->fixed_ips = take(in, n, sizeof *port->fixed_ips);
	if (!port->fixed_ips)
		return;
	node_each_item(item, list) {
		bool known = false;

		if (read_fixed_ip(in, item, &p) < 0)
			continue;
		network = prefix_network(&p);
		for (size_t i = 0; i < port->n_fixed_ips && !known; i++) {
			struct prefix other = network_of(&port->fixed_ips[i]);

			known = prefix_compare(&other, &network) == 0;
		}
		if (!known)
			check_subnet(in->check, &network, external, item);
		if (port->network)
			check_address(in->check, external ? CLAIM_GATEWAY : CLAIM_INTERFACE, port->network, &p.ip,
				      item);
		port->fixed_ips[port->n_fixed_ips++] = (struct fixed_ip){ .ip_address = p.ip, .prefixlen = p.length };
	}
}

static void read_port(struct reading *in, const struct node *map, const char *where, struct port *port)
{
	uint32_t mtu;

	port->admin_state_up = true;
	read_network_name(in, map, where, &port->network);
	reader_uuid(&in->rd, node_get(map, "id"), &port->id);
	reader_bool(&in->rd, node_get(map, "admin_state_up"), &port->admin_state_up);
	if (reader_number(&in->rd, node_get(map, "mtu"), 68, 65535, &mtu) == 0)
		port->mtu = mtu;
}

/* What is derived: after the network and the id are known. */
static void finish_port(struct reading *in, const struct node *map, const struct uuid *derived, struct port *port)
{
	if (uuid_is_null(&port->id))
		port->id = *derived;
	if (reader_mac(&in->rd, node_get(map, "mac_address"), &port->mac_address) < 0)
		port->mac_address = mac_from_uuid(&port->id);
	check_port(in->check, &port->id, map);
}

/* One subnet for each network that none has yet. */
static void add_subnets(struct port *port)
{
	for (size_t i = 0; i < port->n_fixed_ips; i++) {
		struct prefix network = network_of(&port->fixed_ips[i]);
		size_t k = 0;

		while (k < port->n_subnets && prefix_compare(&port->subnets[k].cidr, &network) != 0)
			k++;
		if (k == port->n_subnets)
			port->subnets[port->n_subnets++].cidr = network;
	}
}

/* ---- external gateway ---- */

static void check_gateway_ip(struct reading *in, const struct node *n, const struct ip *gateway,
			     const struct prefix *cidr)
{
	struct ip broadcast = prefix_broadcast(cidr);
	char one[PREFIX_TEXT];

	if (cidr->length + 1 < ip_bits(cidr->ip.family) && cidr->ip.family == AF_INET &&
	    (ip_equal(gateway, &cidr->ip) || ip_equal(gateway, &broadcast)))
		reader_expected(&in->rd, n, "the address of a host in %s", prefix_print(cidr, one));
}

static void read_gateway_ips(struct reading *in, const struct node *list, struct port *port)
{
	size_t n = 0;
	struct ip ip;

	reader_list(&in->rd, list, ROUTER_MAX_SUBNETS, &n);
	port->subnets = take(in, n + port->n_fixed_ips, sizeof *port->subnets);
	if (!port->subnets)
		return;
	if (n)
		node_each_item(item, list) {
			struct subnet *s = &port->subnets[port->n_subnets];

			if (read_host(in, item, true, &ip) < 0)
				continue;
			s->gateway_ip = ip;
			for (size_t i = 0; i < port->n_fixed_ips && !s->cidr.ip.family; i++) {
				struct prefix network = network_of(&port->fixed_ips[i]);

				if (prefix_contains(&network, &ip))
					s->cidr = network;
			}
			if (s->cidr.ip.family)
				check_gateway_ip(in, item, &ip, &s->cidr);
			check_address(in->check, CLAIM_NEXTHOP, "", &ip, item);
			port->n_subnets++;
		}
	add_subnets(port);
	if (port->n_subnets > ROUTER_MAX_SUBNETS)
		reader_fault(&in->rd, list,
			     "gateway_ips: expected at most %d of them and networks without one, found %zu",
			     ROUTER_MAX_SUBNETS, port->n_subnets);
}

static void read_extra_subnets(struct reading *in, const struct node *list, struct port *port)
{
	struct prefix p;
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_EXTRA_SUBNETS, &n))
		return;
	port->extra_subnets = take(in, n, sizeof *port->extra_subnets);
	if (!port->extra_subnets)
		return;
	node_each_item(item, list) {
		if (read_network(in, item, &p) < 0)
			continue;
		if (!p.length) {
			reader_expected(&in->rd, item, "a length from 1 to %u", ip_bits(p.ip.family));
			continue;
		}
		check_subnet(in->check, &p, true, item);
		port->extra_subnets[port->n_extra_subnets++] = p;
	}
}

static void read_gateway(struct reading *in, const struct node *map)
{
	static const char where[] = "external_gateway_info";
	struct port *port;
	struct uuid id;

	/* Null is how Neutron's API writes that there is none. */
	if (!map || node_is_null(map) || !reader_map(&in->rd, map, where, gateway_keys))
		return;
	port = in->r->gw_port = take(in, 1, sizeof *port);
	if (!port)
		return;
	read_port(in, map, where, port);
	reader_bool(&in->rd, node_get(map, "enable_snat"), &in->r->enable_snat);
	read_fixed_ips(in, map, where, "external_fixed_ips", true, port);
	read_gateway_ips(in, node_get(map, "gateway_ips"), port);
	read_extra_subnets(in, node_get(map, "extra_subnets"), port);
	id = derive(&in->r->id, "gateway:%s", port->network ? port->network : "");
	finish_port(in, map, &id, port);
}

/* ---- interfaces ---- */

static const char *const ra_modes[] = { "slaac", "dhcpv6-stateless", "dhcpv6-stateful", NULL };

static void read_ra_mode(struct reading *in, const struct node *n, struct port *port)
{
	enum ipv6_ra_mode mode;
	unsigned choice;
	bool ipv6 = false;
	char one[PREFIX_TEXT];

	if (reader_choice(&in->rd, n, ra_modes, &choice) < 0)
		return;
	mode = (enum ipv6_ra_mode)(choice + 1);
	for (size_t i = 0; i < port->n_subnets; i++) {
		struct subnet *s = &port->subnets[i];

		if (s->cidr.ip.family != AF_INET6)
			continue;
		ipv6 = true;
		s->ipv6_ra_mode = mode;
		/* Ethernet's interface identifiers have 64 bits (RFC 2464, section 4). */
		if (mode != RA_MODE_DHCPV6_STATEFUL && s->cidr.length != 64)
			reader_fault(&in->rd, n, "ipv6_ra_mode: %s needs a network of length 64, found %s",
				     ra_modes[choice], prefix_print(&s->cidr, one));
	}
	if (!ipv6 && port->n_fixed_ips)
		reader_fault(&in->rd, n, "ipv6_ra_mode: expected an IPv6 address in fixed_ips, found none");
}

/* A subnet is told those of its family; they are kept by family, in the order of the file. */
static void read_nameservers(struct reading *in, const struct node *list, struct port *port)
{
	struct ip *servers, ip;
	size_t n, n4 = 0, n6 = 0;

	if (!reader_list(&in->rd, list, ROUTER_MAX_NAMESERVERS, &n))
		return;
	servers = take(in, n, sizeof *servers);
	if (!servers)
		return;
	node_each_item(item, list) {
		if (read_host(in, item, true, &ip) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (ip_equal(&servers[i], &ip))
				reader_fault(&in->rd, item, "dns_nameservers: %s is in the list twice", item->text);
		if (ip.family == AF_INET)
			servers[n4++] = ip;
		else
			servers[n - ++n6] = ip;
	}
	for (size_t i = n - n6, k = n - 1; i < k; i++, k--) {
		ip = servers[i];
		servers[i] = servers[k];
		servers[k] = ip;
	}
	for (size_t i = 0; i < port->n_subnets; i++) {
		struct subnet *s = &port->subnets[i];
		bool ipv4 = s->cidr.ip.family == AF_INET;

		s->n_dns_nameservers = ipv4 ? n4 : n6;
		s->dns_nameservers = !s->n_dns_nameservers ? NULL : ipv4 ? servers : servers + n - n6;
	}
}

static void read_interface(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of interfaces";
	struct port *port = &in->r->interfaces[in->r->n_interfaces];
	struct uuid id = { 0 };
	unsigned ordinal = 0;

	if (!reader_map(&in->rd, map, where, interface_keys))
		return;
	in->r->n_interfaces++;
	read_port(in, map, where, port);
	read_fixed_ips(in, map, where, "fixed_ips", false, port);
	port->subnets = take(in, port->n_fixed_ips, sizeof *port->subnets);
	if (port->subnets)
		add_subnets(port);
	read_ra_mode(in, node_get(map, "ipv6_ra_mode"), port);
	read_nameservers(in, node_get(map, "dns_nameservers"), port);
	if (!port->network)
		return;
	for (struct port *p = in->r->interfaces; p < port; p++)
		ordinal += p->network && strcmp(p->network, port->network) == 0;
	if (uuid_is_null(&port->id))
		id = derive(&in->r->id, "interface:%s:%u", port->network, ordinal);
	finish_port(in, map, &id, port);
}

static void read_interfaces(struct reading *in, const struct node *list)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_INTERFACES, &n))
		return;
	in->r->interfaces = take(in, n, sizeof *in->r->interfaces);
	if (in->r->interfaces)
		node_each_item(item, list)
			read_interface(in, item);
}

/* ---- floating IPs and port forwardings ---- */

/* They live on the external network. False, with a fault, if the router has none. */
static bool has_gateway(struct reading *in, const struct node *list, const struct node *gateway)
{
	if (gateway && !node_is_null(gateway))
		return true;
	reader_fault(&in->rd, list, "%s: needs external_gateway_info, found none", list->key);
	return false;
}

static const char *external_network(const struct reading *in)
{
	return in->r->gw_port && in->r->gw_port->network ? in->r->gw_port->network : "";
}

static void read_floatingip(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of floatingips";
	struct floatingip f = { 0 };
	const struct node *floating, *fixed;
	char ip[IP_TEXT];

	if (!reader_map(&in->rd, map, where, floatingip_keys))
		return;
	floating = reader_need(&in->rd, map, where, "floating_ip_address");
	fixed = reader_need(&in->rd, map, where, "fixed_ip_address");
	if (read_host4(in, floating, &f.floating_ip_address) == 0)
		check_address(in->check, CLAIM_FLOATING, external_network(in), &f.floating_ip_address, floating);
	if (read_host4(in, fixed, &f.fixed_ip_address) == 0)
		check_fixed(in->check, &f.fixed_ip_address, fixed);
	if (reader_uuid(&in->rd, node_get(map, "id"), &f.id) < 0)
		f.id = derive(&in->r->id, "floatingip:%s", ip_print(&f.floating_ip_address, ip));
	in->r->floatingips[in->r->n_floatingips++] = f;
}

static void read_floatingips(struct reading *in, const struct node *list, const struct node *gateway)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_FLOATINGIPS, &n) || !has_gateway(in, list, gateway))
		return;
	in->r->floatingips = take(in, n, sizeof *in->r->floatingips);
	if (in->r->floatingips)
		node_each_item(item, list)
			read_floatingip(in, item);
}

/* A port at the begin of s; *ret_end is what follows. 0 if there is none. */
static uint16_t parse_port(const char *s, const char **ret_end)
{
	uint32_t port = 0;
	const char *end = s;

	for (; *end >= '0' && *end <= '9' && end - s < 5; end++)
		port = port * 10 + (uint32_t)(*end - '0');
	*ret_end = end;
	return *s == '0' || port > 65535 ? 0 : (uint16_t)port;
}

/* 80, "8000:8010" as Neutron writes ranges, or 8000-8010. */
static int read_ports(struct reading *in, const struct node *n, uint16_t *ret_first, uint16_t *ret_last)
{
	const char *s;
	uint16_t first, last;

	if (!n || n->kind == NODE_BAD)
		return -ENOENT;
	s = n->kind == NODE_SCALAR ? n->text : "";
	first = last = parse_port(s, &s);
	if (*s == ':' || *s == '-')
		last = parse_port(s + 1, &s);
	if (*s || !first || last < first) {
		reader_expected(&in->rd, n, "a port from 1 to 65535, or a range like 8000-8010");
		return -EINVAL;
	}
	*ret_first = first;
	*ret_last = last;
	return 0;
}

static const char *const protocol_names[] = { "tcp", "udp", "sctp", "dccp", "udplite", NULL };

static void check_ranges(struct reading *in, const struct node *n, const struct port_forwarding *f)
{
	in->forwarded += (uint32_t)f->external_last - f->external_first + 1;
	if (f->internal_last - f->internal_first > f->external_last - f->external_first)
		reader_fault(&in->rd, n,
			     "internal_port: expected at most as many ports as external_port has (%d), found %d",
			     f->external_last - f->external_first + 1, f->internal_last - f->internal_first + 1);
	if (in->forwarded > ROUTER_MAX_PORT_FORWARDINGS)
		reader_fault(&in->rd, n, "external_port: expected at most %d forwarded ports in one router, found %u",
			     ROUTER_MAX_PORT_FORWARDINGS, in->forwarded);
}

static void read_forwarding(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of port_forwardings";
	struct port_forwarding f = { 0 };
	const struct node *floating, *internal, *external_port, *internal_port;
	unsigned protocol;
	char ip[IP_TEXT];
	bool ports;

	if (!reader_map(&in->rd, map, where, forwarding_keys))
		return;
	floating = reader_need(&in->rd, map, where, "floating_ip_address");
	internal = reader_need(&in->rd, map, where, "internal_ip_address");
	external_port = reader_need(&in->rd, map, where, "external_port");
	internal_port = reader_need(&in->rd, map, where, "internal_port");
	if (reader_choice(&in->rd, reader_need(&in->rd, map, where, "protocol"), protocol_names, &protocol) == 0)
		f.protocol = protocol_parse(protocol_names[protocol]);
	if (read_host4(in, floating, &f.floating_ip_address) == 0)
		check_address(in->check, CLAIM_FORWARDED, external_network(in), &f.floating_ip_address, floating);
	if (read_host4(in, internal, &f.internal_ip_address) == 0)
		check_target(in->check, &f.internal_ip_address, internal);
	ports = read_ports(in, external_port, &f.external_first, &f.external_last) == 0;
	if (ports && f.protocol && f.floating_ip_address.family)
		check_forwarded(in->check, &f.floating_ip_address, f.protocol, f.external_first, f.external_last,
				external_port);
	if (read_ports(in, internal_port, &f.internal_first, &f.internal_last) == 0 && ports)
		check_ranges(in, internal_port, &f);
	if (reader_uuid(&in->rd, node_get(map, "id"), &f.id) < 0)
		f.id = derive(&in->r->id, "port_forwarding:%s:%s:%u-%u", ip_print(&f.floating_ip_address, ip),
			      f.protocol ? protocol_name(f.protocol) : "", f.external_first, f.external_last);
	in->r->port_forwardings[in->r->n_port_forwardings++] = f;
}

static void read_forwardings(struct reading *in, const struct node *list, const struct node *gateway)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_PORT_FORWARDINGS, &n) || !has_gateway(in, list, gateway))
		return;
	in->r->port_forwardings = take(in, n, sizeof *in->r->port_forwardings);
	if (in->r->port_forwardings)
		node_each_item(item, list)
			read_forwarding(in, item);
}

/* ---- routes ---- */

static void read_route(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of routes";
	const struct node *destination, *nexthop;
	struct extra_route r = { 0 };
	char one[PREFIX_TEXT];

	if (!reader_map(&in->rd, map, where, route_keys))
		return;
	destination = reader_need(&in->rd, map, where, "destination");
	nexthop = reader_need(&in->rd, map, where, "nexthop");
	read_network(in, destination, &r.destination);
	read_host(in, nexthop, false, &r.nexthop);
	if (!r.destination.ip.family || !r.nexthop.family)
		return;
	if (r.destination.ip.family != r.nexthop.family) {
		reader_expected(&in->rd, nexthop, "an IPv%d address as %s is",
				r.destination.ip.family == AF_INET ? 4 : 6, prefix_print(&r.destination, one));
		return;
	}
	check_route(in->check, &r.destination, &r.nexthop, map);
	in->r->routes[in->r->n_routes++] = r;
}

static void read_routes(struct reading *in, const struct node *list)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_ROUTES, &n))
		return;
	in->r->routes = take(in, n, sizeof *in->r->routes);
	if (in->r->routes)
		node_each_item(item, list)
			read_route(in, item);
}

/* ---- instances ---- */

static void read_instance_text(struct reading *in, const struct node *n, enum reader_text form, size_t max, char **ret)
{
	const char *s;

	if (reader_text(&in->rd, n, form, max, &s) == 0)
		*ret = copy(in, s);
}

static void read_public_keys(struct reading *in, const struct node *list, struct instance *instance)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_PUBLIC_KEYS, &n))
		return;
	instance->public_keys = take(in, n, sizeof *instance->public_keys);
	if (!instance->public_keys)
		return;
	node_each_item(item, list) {
		char *key = NULL;

		read_instance_text(in, item, READER_LINE, ROUTER_MAX_PUBLIC_KEY, &key);
		if (key)
			instance->public_keys[instance->n_public_keys++] = key;
	}
}

static void read_instance(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of instances";
	struct instance *instance = &in->r->instances[in->r->n_instances];
	const struct node *fixed;

	if (!reader_map(&in->rd, map, where, instance_keys))
		return;
	in->r->n_instances++;
	fixed = reader_need(&in->rd, map, where, "fixed_ip_address");
	if (read_host(in, fixed, true, &instance->fixed_ip_address) == 0)
		check_instance(in->check, &instance->fixed_ip_address, fixed);
	read_instance_text(in, reader_need(&in->rd, map, where, "instance_id"), READER_LINE, ROUTER_MAX_NAME,
			   &instance->instance_id);
	read_instance_text(in, node_get(map, "project_id"), READER_LINE, ROUTER_MAX_NAME, &instance->project_id);
	read_instance_text(in, node_get(map, "hostname"), READER_LINE, ROUTER_MAX_NAME, &instance->hostname);
	read_instance_text(in, node_get(map, "user_data"), READER_ANY, ROUTER_MAX_USER_DATA, &instance->user_data);
	read_public_keys(in, node_get(map, "public_keys"), instance);
}

static void read_instances(struct reading *in, const struct node *list)
{
	size_t n;

	if (!reader_list(&in->rd, list, ROUTER_MAX_INSTANCES, &n))
		return;
	in->r->instances = take(in, n, sizeof *in->r->instances);
	if (in->r->instances)
		node_each_item(item, list)
			read_instance(in, item);
}

/* ---- routers ---- */

static void read_head(struct reading *in, const struct node *map, const char *where)
{
	struct router *r = in->r;
	const char *text;

	r->name = copy(in, "");
	if (reader_text(&in->rd, reader_need(&in->rd, map, where, "name"), READER_NAME, ROUTER_MAX_NAME, &text) == 0)
		r->name = copy(in, text);
	if (reader_uuid(&in->rd, node_get(map, "id"), &r->id) < 0)
		r->id = derive(&uuid_space_l3agent, "router:%s", r->name);
	if (reader_text(&in->rd, node_get(map, "project_id"), READER_LINE, ROUTER_MAX_NAME, &text) == 0)
		r->project_id = copy(in, text);
	r->admin_state_up = r->enable_snat = true;
	reader_bool(&in->rd, node_get(map, "admin_state_up"), &r->admin_state_up);
}

static struct router *read_router(struct reading *in, const struct node *map)
{
	static const char where[] = "an entry of routers";
	const struct node *gateway = node_get(map, "external_gateway_info");
	struct arena *arena;
	size_t before;

	if (!reader_map(&in->rd, map, where, router_keys))
		return NULL;
	arena = arena_new(ROUTER_ARENA_CEILING);
	in->r = arena_alloc(arena, sizeof *in->r);
	in->forwarded = 0;
	in->r->arena = arena;
	in->r->file = copy(in, in->rd.file);
	in->r->line = map->line;
	read_head(in, map, where);
	before = n_faults(in);
	read_gateway(in, gateway);
	read_interfaces(in, node_get(map, "interfaces"));
	read_routes(in, node_get(map, "routes"));
	before = n_faults(in) - before;
	read_floatingips(in, node_get(map, "floatingips"), gateway);
	read_forwardings(in, node_get(map, "port_forwardings"), gateway);
	read_instances(in, node_get(map, "instances"));
	check_router(in->check, in->r->name, &in->r->id, !before, map);
	if (arena_full(arena))
		reader_fault(&in->rd, map, "a router must fit into %d MiB of memory", ROUTER_ARENA_CEILING >> 20);
	return in->r;
}

static void read_routers(struct reading *in, const struct node *list, struct routers *ret)
{
	struct router *r;
	size_t n;

	if (!reader_list(&in->rd, list, ROUTERS_MAX, &n))
		return;
	ret->at = calloc(n, sizeof(struct router *));
	if (!ret->at)
		fatal("out of memory");
	node_each_item(item, list)
		if ((r = read_router(in, item)))
			ret->at[ret->n++] = r;
	check_file(in->check);
}

int routers_parse(const char *name, const char *text, size_t n, const struct conf *conf, struct problems *problems,
		  struct routers *ret)
{
	static const struct tree_limits limits = {
		.bytes = ROUTERS_MAX_BYTES, .depth = ROUTERS_MAX_DEPTH, .nodes = ROUTERS_MAX_NODES };
	struct reading in = { .rd = { .file = name, .problems = problems }, .conf = conf };
	size_t before = n_faults(&in);
	struct routers routers = { 0 };
	struct tree tree;

	if (tree_parse(name, text, n, &limits, problems, &tree) < 0)
		return -EINVAL;
	in.check = check_new(&in.rd);
	if (tree.root && !node_is_null(tree.root) && reader_map(&in.rd, tree.root, "a router file", file_keys))
		read_routers(&in, node_get(tree.root, "routers"), &routers);
	check_free(in.check);
	tree_free(&tree);
	if (n_faults(&in) != before) {
		routers_free(&routers);
		return -EINVAL;
	}
	*ret = routers;
	return 0;
}

void routers_free(struct routers *r)
{
	for (size_t i = 0; i < r->n; i++)
		router_free(r->at[i]);
	free(r->at);
	*r = (struct routers){ 0 };
}
