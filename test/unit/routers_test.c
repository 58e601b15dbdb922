/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Router files: what a good one says, and for every way to be wrong the place and the words. */

#include "arena.h"
#include "conf.h"
#include "problems.h"
#include "routers.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct conf *conf;

static int setup(void **state)
{
	static const char text[] =
		"networks: {public: {bridge: br-ex}, blue: {bridge: br-blue}, green: {bridge: br-green}}\n";
	struct problems problems = { 0 };

	(void)state;
	return conf_parse("agent.yaml", text, sizeof text - 1, &problems, &conf);
}

static int teardown(void **state)
{
	(void)state;
	conf_free(conf);
	return 0;
}

static struct routers good(const char *text)
{
	struct problems problems = { 0 };
	struct routers routers = { 0 };
	struct text out = { 0 };

	if (routers_parse("r.yaml", text, strlen(text), conf, &problems, &routers) < 0) {
		problems_print(&problems, &out);
		problems_clear(&problems);
		fail_msg("%s\n%s", text, text_str(&out));
	}
	assert_int_equal(problems.n, 0);
	return routers;
}

static const char complete[] =
	"routers:\n"
	"- name: web\n"
	"  project_id: demo\n"
	"  external_gateway_info:\n"
	"    network: public\n"
	"    enable_snat: false\n"
	"    external_fixed_ips: [203.0.113.10/24, 2001:db8:ff::10/64, 198.51.100.2/28]\n"
	"    gateway_ips: [203.0.113.1, 'fe80::1', 203.0.113.2]\n"
	"    extra_subnets: [198.18.4.0/24]\n"
	"    mtu: 1400\n"
	"    mac_address: FA:16:3e:00:00:01\n"
	"  interfaces:\n"
	"  - network: blue\n"
	"    fixed_ips: [10.0.0.1/24, 2001:db8:1::1/64, 10.0.0.2/24]\n"
	"    ipv6_ra_mode: dhcpv6-stateless\n"
	"    dns_nameservers: [2620:fe::fe, 192.0.2.53, 2620:fe::9]\n"
	"  - network: blue\n"
	"    id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f\n"
	"    admin_state_up: false\n"
	"    fixed_ips:\n"
	"    - 10.1.0.0/31\n"
	"  floatingips:\n"
	"  - {floating_ip_address: 203.0.113.20, fixed_ip_address: 10.0.0.5}\n"
	"  - floating_ip_address: 192.0.2.20\n"
	"    fixed_ip_address: 10.9.0.5\n"
	"    id: 11111111-2222-4333-8444-555555555555\n"
	"  port_forwardings:\n"
	"  - {floating_ip_address: 203.0.113.21, protocol: tcp, external_port: 2222, internal_ip_address: 10.0.0.6, "
	"internal_port: 22}\n"
	"  - {floating_ip_address: 203.0.113.21, protocol: udp, external_port: '8000:8010', internal_ip_address: "
	"10.0.0.6,\n"
	"     internal_port: 9000-9002}\n"
	"  routes:\n"
	"  - {destination: 10.9.0.0/16, nexthop: 10.0.0.9}\n"
	"  - {destination: '::/0', nexthop: '2001:db8:1::9'}\n"
	"  instances:\n"
	"  - fixed_ip_address: 10.0.0.5\n"
	"    instance_id: i-1\n"
	"    project_id: demo\n"
	"    hostname: a\n"
	"    user_data: |\n"
	"      #!/bin/sh\n"
	"      echo hello\n"
	"    public_keys: [\"ssh-ed25519 AAAA a@b\"]\n"
	"  - {fixed_ip_address: 'fe80::5', instance_id: i-2}\n"
	"- name: off\n"
	"  id: 01234567-89ab-4def-8123-456789abcdef\n"
	"  admin_state_up: false\n"
	"  external_gateway_info: null\n"
	"  interfaces: []\n"
	"  floatingips:\n";

static const char *shown(const struct prefix *p)
{
	static char buf[PREFIX_TEXT];

	return prefix_print(p, buf);
}

static const char *shown_ip(const struct ip *ip)
{
	static char buf[IP_TEXT];

	return ip_print(ip, buf);
}

static const char *shown_id(const struct uuid *id)
{
	static char buf[UUID_TEXT];

	return uuid_print(id, buf);
}

/* What an id that is derived from `name` must be. */
static void assert_derived(const struct uuid *id, const struct uuid *space, const char *name)
{
	struct uuid want = uuid_v5(space, name);

	assert_memory_equal(id, &want, sizeof want);
}

static void gateway_is_read(void **state)
{
	struct routers routers = good(complete);
	const struct router *r = routers.at[0];
	const struct port *gw = r->gw_port;
	static const struct mac mac = { { 0xfa, 0x16, 0x3e, 0, 0, 1 } };

	(void)state;
	assert_int_equal(routers.n, 2);
	assert_string_equal(r->name, "web");
	assert_string_equal(r->project_id, "demo");
	assert_string_equal(r->file, "r.yaml");
	assert_int_equal(r->line, 2);
	assert_true(r->admin_state_up);
	assert_false(r->enable_snat);
	assert_derived(&r->id, &uuid_space_l3agent, "router:web");
	assert_derived(&gw->id, &r->id, "gateway:public");
	assert_memory_equal(&gw->mac_address, &mac, sizeof mac);
	assert_int_equal(gw->mtu, 1400);
	assert_true(gw->admin_state_up);
	assert_int_equal(gw->n_fixed_ips, 3);
	assert_string_equal(shown_ip(&gw->fixed_ips[1].ip_address), "2001:db8:ff::10");
	assert_int_equal(gw->fixed_ips[1].prefixlen, 64);
	/* Entries of gateway_ips in their order, then the networks that none of them is in. */
	assert_int_equal(gw->n_subnets, 5);
	assert_string_equal(shown(&gw->subnets[0].cidr), "203.0.113.0/24");
	assert_string_equal(shown_ip(&gw->subnets[0].gateway_ip), "203.0.113.1");
	assert_int_equal(gw->subnets[1].cidr.ip.family, 0);
	assert_string_equal(shown_ip(&gw->subnets[1].gateway_ip), "fe80::1");
	assert_string_equal(shown(&gw->subnets[2].cidr), "203.0.113.0/24");
	assert_string_equal(shown_ip(&gw->subnets[2].gateway_ip), "203.0.113.2");
	assert_string_equal(shown(&gw->subnets[3].cidr), "2001:db8:ff::/64");
	assert_int_equal(gw->subnets[3].gateway_ip.family, 0);
	assert_string_equal(shown(&gw->subnets[4].cidr), "198.51.100.0/28");
	assert_int_equal(gw->n_extra_subnets, 1);
	assert_string_equal(shown(&gw->extra_subnets[0]), "198.18.4.0/24");
	routers_free(&routers);
}

static void interfaces_are_read(void **state)
{
	struct routers routers = good(complete);
	const struct router *r = routers.at[0];
	const struct port *blue = &r->interfaces[0], *second = &r->interfaces[1];
	struct mac mac;

	(void)state;
	assert_int_equal(r->n_interfaces, 2);
	assert_string_equal(blue->network, "blue");
	assert_derived(&blue->id, &r->id, "interface:blue:0");
	mac = mac_from_uuid(&blue->id);
	assert_memory_equal(&blue->mac_address, &mac, sizeof mac);
	assert_int_equal(blue->n_fixed_ips, 3);
	assert_int_equal(blue->n_subnets, 2);
	assert_int_equal(blue->subnets[0].ipv6_ra_mode, RA_MODE_NONE);
	assert_int_equal(blue->subnets[0].n_dns_nameservers, 1);
	assert_string_equal(shown_ip(&blue->subnets[0].dns_nameservers[0]), "192.0.2.53");
	assert_int_equal(blue->subnets[1].ipv6_ra_mode, RA_MODE_DHCPV6_STATELESS);
	assert_int_equal(blue->subnets[1].n_dns_nameservers, 2);
	assert_string_equal(shown_ip(&blue->subnets[1].dns_nameservers[0]), "2620:fe::fe");
	assert_string_equal(shown_ip(&blue->subnets[1].dns_nameservers[1]), "2620:fe::9");
	assert_string_equal(shown_id(&second->id), "6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f");
	assert_false(second->admin_state_up);
	assert_string_equal(shown(&second->subnets[0].cidr), "10.1.0.0/31");
	routers_free(&routers);
}

static void the_rest_is_read(void **state)
{
	struct routers routers = good(complete);
	const struct router *r = routers.at[0], *off = routers.at[1];

	(void)state;
	assert_int_equal(r->n_floatingips, 2);
	assert_derived(&r->floatingips[0].id, &r->id, "floatingip:203.0.113.20");
	assert_string_equal(shown_ip(&r->floatingips[0].fixed_ip_address), "10.0.0.5");
	assert_string_equal(shown_id(&r->floatingips[1].id), "11111111-2222-4333-8444-555555555555");
	assert_int_equal(r->n_port_forwardings, 2);
	assert_derived(&r->port_forwardings[0].id, &r->id, "port_forwarding:203.0.113.21:tcp:2222-2222");
	assert_int_equal(r->port_forwardings[0].internal_last, 22);
	assert_int_equal(r->port_forwardings[1].protocol, IPPROTO_UDP);
	assert_int_equal(r->port_forwardings[1].external_first, 8000);
	assert_int_equal(r->port_forwardings[1].external_last, 8010);
	assert_int_equal(r->port_forwardings[1].internal_first, 9000);
	assert_int_equal(r->port_forwardings[1].internal_last, 9002);
	assert_int_equal(r->n_routes, 2);
	assert_string_equal(shown(&r->routes[1].destination), "::/0");
	assert_int_equal(r->n_instances, 2);
	assert_string_equal(r->instances[0].user_data, "#!/bin/sh\necho hello\n");
	assert_string_equal(r->instances[0].public_keys[0], "ssh-ed25519 AAAA a@b");
	assert_null(r->instances[1].hostname);
	assert_string_equal(shown_id(&off->id), "01234567-89ab-4def-8123-456789abcdef");
	assert_false(off->admin_state_up);
	assert_null(off->gw_port);
	assert_int_equal(off->n_interfaces + off->n_floatingips, 0);
	routers_free(&routers);
}

static void files_without_routers_are_fine(void **state)
{
	static const char *const texts[] = { "", "\n", "# nothing\n", "---\n", "routers:\n", "routers: []\n",
		"routers: ~",
					     "\xef\xbb\xbfrouters: []\n", "{routers: []}", "routers:\r\n", "{}" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct routers routers = good(texts[i]);

		assert_int_equal(routers.n, 0);
		routers_free(&routers);
	}
}

static void json_is_yaml(void **state)
{
	struct routers routers = good("{\"routers\": [{\"name\": \"a\", \"interfaces\": [{\"network\": \"blue\", "
				      "\"fixed_ips\": [\"10.0.0.1/24\", \"2001:db8::1/64\"]}]}]}");

	(void)state;
	assert_int_equal(routers.at[0]->interfaces[0].n_fixed_ips, 2);
	routers_free(&routers);
}

/* ---- faults ---- */

#define R "routers:\n- name: r\n"								/* 2 lines */
#define GW "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.10/24]}\n"	/* 1 line */
#define GWX "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.10/24], "	/* …} */
#define IF "  interfaces:\n  - {network: blue, fixed_ips: [10.0.0.1/24]}\n"			/* 2 lines */
#define IFX(ips, more) "  interfaces:\n  - {network: blue, fixed_ips: [" ips "]" more "}\n"
#define FIP(a, b) "  floatingips:\n  - {floating_ip_address: " a ", fixed_ip_address: " b "}\n"
#define PF(ext, in) "  port_forwardings:\n  - {floating_ip_address: 203.0.113.21, protocol: tcp, external_port: " ext \
	", internal_ip_address: 10.0.0.6, internal_port: " in "}\n"
#define PF2(proto, ext) "  - {floating_ip_address: 203.0.113.21, protocol: " proto ", external_port: " ext \
	", internal_ip_address: 10.0.0.7, internal_port: 1}\n"
#define RT(a, b) "  routes:\n  - {destination: " a ", nexthop: " b "}\n"
#define VM "  instances:\n  - {fixed_ip_address: 10.0.0.5, instance_id: i"

static const struct { const char *text; unsigned line, column; const char *says; } faults[] = {
	/* the text */
	{ "routers:\n- name: \xff\n", 2, 9, "byte 0xff: expected UTF-8" },
	{ "routers:\n- name: \xc3(\n", 2, 9, "byte 0xc3" },
	{ "routers:\n- name: \xed\xa0\x80\n", 2, 9, "UTF-8" },
	{ "routers:\n- name: \xf4\x90\x80\x80\n", 2, 9, "UTF-8" },
	{ "routers:\n- name: \xc0\xaf\n", 2, 9, "UTF-8" },
	{ "routers:\n- name: \xe2\x80\xa8\n", 2, 9, "UTF-8" },
	{ "# \xc3\xa4 \xc2\x85\n", 1, 5, "control character 0x85" },
	{ "routers:\n- name: a\x01\n", 2, 10, "control character 0x01" },
	{ "routers:\r- name: a\r", 1, 9, "carriage return that no line feed follows" },
	{ "routers:\n- name: a\n\tid: b\n", 3, 1, "tab: indent with spaces" },
	{ "routers:\n- name: &x a\n", 2, 9, "anchor '&x'" },
	{ "routers:\n- &x {name: a}\n", 2, 3, "anchor '&x'" },
	{ "routers:\n- name: a\n- *x\n", 3, 3, "alias '*x'" },
	{ "routers:\n- name: !!str a\n", 2, 9, "tag 'tag:yaml.org,2002:str'" },
	{ "routers: !x []\n", 1, 10, "tag '!x'" },
	{ "routers: []\n---\nrouters: []\n", 2, 1, "a second document begins" },
	{ "routers: []\n...\nrouters: []\n", 3, 1, "document" },
	{ "routers: [\n", 2, 1, "syntax: did not find expected node content" },
	{ "routers: [a b: c: d]\n", 1, 17, "syntax" },
	{ "routers:\n- name: @a\n", 2, 9, "needs quotes" },
	{ "routers:\n- name: \"a\n", 3, 1,
	  "syntax: found unexpected end of stream (while scanning a quoted scalar from line 2)" },
	{ "routers:\n  - name: a\n - name: b\n", 3, 2, "syntax: did not find expected" },
	{ "routers: []\nrouters: []\n", 2, 1, "key 'routers' is in this map twice (first in line 1)" },
	{ R "  name: s\n", 3, 3, "key 'name' is in this map twice (first in line 2)" },
	{ R "  \"na\\x6de\": s\n", 3, 3, "twice" },
	{ R "  ? [a]\n  : b\n", 3, 5, "a key must be a word, found a list" },
	{ R "  ? {a: b}\n  : b\n", 3, 5, "a key must be a word, found a map" },
	{ "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 1, 17, "nested deeper than 16" },
	/* keys and types */
	{ "- name: a\n", 1, 1, "a router file: expected a map, found a list" },
	{ "hello\n", 1, 1, "a router file: expected a map, found 'hello'" },
	{ "router:\n- name: a\n", 1, 1, "unknown key 'router' in a router file, did you mean 'routers'?" },
	{ "routers: 5\n", 1, 10, "routers: expected a list, found '5'" },
	{ "routers: {name: a}\n", 1, 10, "routers: expected a list, found a map" },
	{ "routers:\n- web\n", 2, 3, "an entry of routers: expected a map, found 'web'" },
	{ "routers:\n-\n", 2, 2, "an entry of routers: expected a map, found nothing" },
	{ "routers:\n- {}\n", 2, 3, "an entry of routers needs the key 'name'" },
	{ R "  intrefaces: []\n", 3, 3,
	  "unknown key 'intrefaces' in an entry of routers, did you mean 'interfaces'?" },
	{ R "  xyzzy: 1\n", 3, 3, "unknown key 'xyzzy' in an entry of routers" },
	{ R "  '': 1\n", 3, 3, "unknown key ''" },
	{ "routers:\n- name: [a]\n", 2, 9, "name: expected text, found a list" },
	{ "routers:\n- name:\n", 2, 8, "name: expected text, found nothing" },
	{ "routers:\n- name: ''\n", 2, 9, "name: expected text, found ''" },
	{ "routers:\n- name: a b\n", 2, 9, "name: expected text without white space and '/', found 'a b'" },
	{ "routers:\n- name: a/b\n", 2, 9, "without white space and '/', found 'a/b'" },
	{ "routers:\n- name: \"a\\x07\"\n", 2, 9, "found 'a\\x07'" },
	{ "routers:\n- name: \"a\\0b\"\n", 2, 9, "a zero byte in a text" },
	{ "routers:\n- name: \"a\\u2028b\"\n", 2, 9, "without white space" },
	{ R "  id: 6f9a\n", 3, 7, "id: expected a UUID like" },
	{ R "  id: 00000000-0000-0000-0000-000000000000\n", 3, 7, "id: expected a UUID like" },
	{ R "  admin_state_up: yes\n", 3, 19, "admin_state_up: expected true or false, found 'yes'" },
	{ R "  admin_state_up: \"true\"\n", 3, 19, "expected true or false" },
	{ R "  project_id: []\n", 3, 15, "project_id: expected text, found a list" },
	{ "routers:\n- name: r\n- name: r\n", 3, 3, "a router named 'r' is in this file already (line 2)" },
	{ "routers:\n- {name: r, id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f}\n"
	  "- {name: s, id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f}\n",
	  3, 3, "a router with the id 6f9a1c3e-52d4-4b7a-9c1e" },
	/* the gateway */
	{ R "  external_gateway_info: public\n", 3, 26, "external_gateway_info: expected a map, found 'public'" },
	{ R "  external_gateway_info: {external_fixed_ips: [203.0.113.10/24]}\n", 3, 26,
	  "external_gateway_info needs the key 'network'" },
	{ R "  external_gateway_info: {network: publc, external_fixed_ips: [203.0.113.10/24]}\n", 3, 36,
	  "network 'publc' is not configured in agent.yaml, did you mean 'public'?" },
	{ R "  external_gateway_info: {network: outside, external_fixed_ips: [203.0.113.10/24]}\n", 3, 36,
	  "network 'outside' is not configured in agent.yaml" },
	{ R "  external_gateway_info: {network: public}\n", 3, 26,
	  "external_gateway_info needs the key 'external_fixed_ips'" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: []}\n", 3, 64,
	  "expected at least one address" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: }\n", 3, 64,
	  "expected at least one address" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.10]}\n", 3, 65,
	  "external_fixed_ips: expected an address and length like 192.0.2.1/24 or 2001:db8::1/64, found "
	  "'203.0.113.10'" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: [{ip_address: 203.0.113.10}]}\n", 3, 65,
	  "found a map" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.010/24]}\n", 3, 65,
	  "203.0.113.010/24" },
	{ R "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.10/33]}\n", 3, 65,
	  "203.0.113.10/33" },
	{ R GWX "gateway_ips: [203.0.113.1/24]}\n", 3, 97,
	  "gateway_ips: expected an address like 192.0.2.1 or 2001:db8::1, found" },
	{ R GWX "gateway_ips: [203.0.113.255]}\n", 3, 97,
	  "expected the address of a host in 203.0.113.0/24, found '203.0.113.255'" },
	{ R GWX "gateway_ips: [203.0.113.10]}\n", 3, 97,
	  "203.0.113.10 is an address of the external gateway already (line 3)" },
	{ R GWX "gateway_ips: [203.0.113.1, 203.0.113.1]}\n", 3, 110,
	  "203.0.113.1 is an entry of gateway_ips already" },
	{ R GWX "gateway_ips: [224.0.0.1]}\n", 3, 97,
	  "expected the address of a host, found 224.0.0.1, a multicast address" },
	{ R GWX "mtu: 67}\n", 3, 88, "mtu: expected a number from 68 to 65535, found '67'" },
	{ R GWX "mtu: 65536}\n", 3, 88, "found '65536'" },
	{ R GWX "mtu: 0x5dc}\n", 3, 88, "found '0x5dc'" },
	{ R GWX "mtu: 01500}\n", 3, 88, "found '01500'" },
	{ R GWX "mtu: 1e3}\n", 3, 88, "found '1e3'" },
	{ R GWX "mtu: -1500}\n", 3, 88, "found '-1500'" },
	{ R GWX "mtu: '1500'}\n", 3, 88, "expected a number" },
	{ R GWX "mtu: 99999999999}\n", 3, 88, "expected a number" },
	{ R GWX "mac_address: 01:00:5e:00:00:01}\n", 3, 96, "mac_address: expected a unicast MAC address like" },
	{ R GWX "mac_address: fa16.3e00.0001}\n", 3, 96, "mac_address: expected" },
	{ R GWX "enable_snat: on}\n", 3, 96, "enable_snat: expected true or false, found 'on'" },
	{ R GWX "extra_subnets: [198.18.4.1/24]}\n", 3, 99,
	  "expected a network without host bits, that is 198.18.4.0/24" },
	{ R GWX "extra_subnets: [203.0.113.0/25]}\n", 3, 99,
	  "network 203.0.113.0/25 overlaps the external network 203.0.113.0/24" },
	{ R GWX "extra_subnets: [0.0.0.0/0]}\n", 3, 99, "expected a length from 1 to 32" },
	/* interfaces */
	{ R "  interfaces:\n  - blue\n", 4, 5, "an entry of interfaces: expected a map, found 'blue'" },
	{ R "  interfaces:\n  - {network: blue}\n", 4, 5, "an entry of interfaces needs the key 'fixed_ips'" },
	{ R "  interfaces:\n  - {network: blue, fixed_ips: [10.0.0.1/24], enable_snat: true}\n", 4, 47,
	  "unknown key 'enable_snat'" },
	{ R IFX("10.0.0.0/24", ""), 4, 33,
	  "an address within 10.0.0.0/24, not the network's own, found '10.0.0.0/24'" },
	{ R IFX("10.0.0.255/24", ""), 4, 33, "not its broadcast address" },
	{ R IFX("2001:db8::/64", ""), 4, 33, "not its routers' anycast address" },
	{ R IFX("10.0.0.1/0", ""), 4, 33, "expected a length from 1 to 32" },
	{ R IFX("127.0.0.1/8", ""), 4, 33, "found 127.0.0.1, a loopback address" },
	{ R IFX("224.0.0.1/24", ""), 4, 33, "a multicast address" },
	{ R IFX("0.0.0.0/8", ""), 4, 33, "the unspecified address" },
	{ R IFX("0.1.2.3/8", ""), 4, 33, "0.0.0.0/8" },
	{ R IFX("255.255.255.255/32", ""), 4, 33, "the broadcast address" },
	{ R IFX("169.254.1.1/16", ""), 4, 33, "a link-local address" },
	{ R IFX("fe80::1/64", ""), 4, 33, "a link-local address" },
	{ R IFX("'::1/128'", ""), 4, 33, "a loopback address" },
	{ R IFX("'::ffff:10.0.0.1/120'", ""), 4, 33, "an IPv4-mapped address" },
	{ R IFX("ff02::1/64", ""), 4, 33, "a multicast address" },
	{ R IFX("10.0.0.1/24, 10.0.0.1/24", ""), 4, 46, "10.0.0.1 is an interface's address already (line 4)" },
	{ R IFX("10.0.0.1/24, 10.0.0.129/25", ""), 4, 46,
	  "network 10.0.0.128/25 overlaps 10.0.0.0/24 of this router (line 4)" },
	{ R IF "  - {network: green, fixed_ips: [10.0.0.2/24]}\n", 5, 34, "network 10.0.0.0/24 overlaps 10.0.0.0/24" },
	{ R "  interfaces:\n  - {network: green, fixed_ips: [10.0.5.1/24]}\n"
	    "  - {network: blue, fixed_ips: [10.0.0.1/16]}\n",
	  5, 33, "network 10.0.0.0/16 overlaps 10.0.5.0/24 of this router (line 4)" },
	{ R GW IFX("203.0.113.129/25", ""), 5, 33,
	  "network 203.0.113.128/25 overlaps the external network 203.0.113.0/24" },
	{ R IFX("10.0.0.1/24", ", ipv6_ra_mode: radvd"), 4, 61,
	  "ipv6_ra_mode: expected slaac, dhcpv6-stateless or dhcpv6-stateful, found 'radvd'" },
	{ R IFX("10.0.0.1/24", ", ipv6_ra_mode: slaac"), 4, 61, "expected an IPv6 address in fixed_ips, found none" },
	{ R IFX("2001:db8::1/60", ", ipv6_ra_mode: slaac"), 4, 64,
	  "slaac needs a network of length 64, found 2001:db8::/60" },
	{ R IFX("10.0.0.1/24", ", dns_nameservers: 192.0.2.53"), 4, 64,
	  "dns_nameservers: expected a list, found '192.0.2.53'" },
	{ R IFX("10.0.0.1/24", ", dns_nameservers: [192.0.2.53, 192.0.2.53]"), 4, 77,
	  "192.0.2.53 is in the list twice" },
	{ R IFX("10.0.0.1/24", ", dns_nameservers: [dns.example]"), 4, 65, "expected an address like" },
	{ R IFX("10.0.0.1/24", ", id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f")
	  "  - {network: green, fixed_ips: [10.0.1.1/24], id: 6f9a1c3e-5200-4b7a-9c1e-0a2b4c6d8e0f}\n",
	  4, 5, "must differ in their first 11 characters" },
	/* floating IPs */
	{ R IF FIP("203.0.113.20", "10.0.0.5"), 6, 3, "floatingips: needs external_gateway_info, found none" },
	{ R GW IF FIP("203.0.113.20", "10.0.1.5"), 7, 59,
	  "10.0.1.5 is in no network of this router's interfaces or routes" },
	{ R GW IF FIP("203.0.113.10", "10.0.0.5"), 7, 27,
	  "203.0.113.10 is an address of the external gateway already (line 3)" },
	{ R GWX "gateway_ips: [203.0.113.1]}\n" IF FIP("203.0.113.1", "10.0.0.5"), 7, 27,
	  "203.0.113.1 is an entry of gateway_ips" },
	{ R GW IF FIP("203.0.113.255", "10.0.0.5"), 7, 27,
	  "203.0.113.255 is the broadcast address of 203.0.113.0/24" },
	{ R GW IF FIP("203.0.113.0", "10.0.0.5"), 7, 27, "203.0.113.0 is the network address of 203.0.113.0/24" },
	{ R GW IF FIP("2001:db8::20", "10.0.0.5"), 7, 27,
	  "floating_ip_address: expected an IPv4 address like 192.0.2.1" },
	{ R GW IF FIP("203.0.113.20", "2001:db8::5"), 7, 59, "fixed_ip_address: expected an IPv4 address" },
	{ R GW IF FIP("203.0.113.20", "null"), 7, 59,
	  "fixed_ip_address: expected an IPv4 address like 192.0.2.1, found nothing" },
	{ R GW IF FIP("10.0.0.1", "10.0.0.5"), 7, 27, "10.0.0.1 is an interface's address already" },
	{ R GW IF "  floatingips:\n  - {floating_ip_address: 203.0.113.20}\n", 7, 5,
	  "an entry of floatingips needs the key 'fixed_ip_address'" },
	{ R GW IF FIP("203.0.113.20", "10.0.0.5")
	  "  - {floating_ip_address: 203.0.113.20, fixed_ip_address: 10.0.0.6}\n",
	  8, 27, "203.0.113.20 is a floating IP already (line 7)" },
	{ R GW IF FIP("203.0.113.20", "10.0.0.5")
	  "  - {floating_ip_address: 203.0.113.21, fixed_ip_address: 10.0.0.5}\n",
	  8, 59, "10.0.0.5 has a floating IP already (line 7)" },
	{ R GW IF FIP("203.0.113.21", "10.0.0.5") PF("80", "80"), 9, 27,
	  "203.0.113.21 is a floating IP already (line 7)" },
	{ R GW IF PF("80", "80") FIP("203.0.113.21", "10.0.0.5"), 9, 27,
	  "203.0.113.21 is a floating IP with port forwardings already (line 7)" },
	{ R GW IF FIP("203.0.113.20", "10.0.0.5") "- name: s\n"
	  "  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.11/24]}\n"
	  IFX("10.0.1.1/24", "") FIP("203.0.113.20", "10.0.1.5"),
	  13, 27, "203.0.113.20 on network 'public' is a floating IP of router 'r' already (line 7)" },
	{ R GW "- name: s\n" GW, 5, 65,
	  "203.0.113.10 on network 'public' is an address of the external gateway of "
	  "router 'r'" },
	/* port forwardings */
	{ R IF PF("80", "80"), 6, 3, "port_forwardings: needs external_gateway_info, found none" },
	{ R GW IF PF("0", "80"), 7, 71,
	  "external_port: expected a port from 1 to 65535, or a range like 8000-8010, "
	  "found '0'" },
	{ R GW IF PF("65536", "80"), 7, 71, "found '65536'" },
	{ R GW IF PF("080", "80"), 7, 71, "found '080'" },
	{ R GW IF PF("90-80", "80"), 7, 71, "found '90-80'" },
	{ R GW IF PF("80-", "80"), 7, 71, "found '80-'" },
	{ R GW IF PF("80-81-82", "80"), 7, 71, "found '80-81-82'" },
	{ R GW IF PF("[80]", "80"), 7, 71, "found a list" },
	{ R GW IF PF("http", "80"), 7, 71, "found 'http'" },
	{ R GW IF PF("80", "80-81"), 7, 121,
	  "internal_port: expected at most as many ports as external_port has (1), found 2" },
	{ R GW IF PF("80-90", "80") PF2("tcp", "90"), 8, 71,
	  "external_port: tcp port 90 is forwarded already (line 7)" },
	{ R GW IF PF("80-90", "80") PF2("tcp", "200") PF2("tcp", "89-95"), 9, 71,
	  "tcp port 89 is forwarded already (line 7)" },
	{ R GW IF PF("1-60000", "80") PF2("udp", "1-60000"), 8, 126,
	  "expected at most 65536 forwarded ports in one router, found 120000" },
	{ R GW IF PF("80", "80") PF2("icmp", "80"), 8, 51,
	  "protocol: expected tcp, udp, sctp, dccp or udplite, found 'icmp'" },
	/* routes */
	{ R IF RT("10.9.0.1/16", "10.0.0.9"), 6, 19,
	  "destination: expected a network without host bits, that is 10.9.0.0/16" },
	{ R IF RT("10.9.0.0", "10.0.0.9"), 6, 19, "destination: expected an address and length" },
	{ R IF RT("224.0.0.0/4", "10.0.0.9"), 6, 19, "expected a network of hosts" },
	{ R IF RT("2001:db8:9::/48", "10.0.0.9"), 6, 45,
	  "nexthop: expected an IPv6 address as 2001:db8:9::/48 is, found '10.0.0.9'" },
	{ R IF RT("10.9.0.0/16", "10.0.0.1"), 6, 5, "nexthop: 10.0.0.1 is this router's own address" },
	{ R IF RT("10.9.0.0/16", "10.0.7.9"), 6, 5, "nexthop: 10.0.7.9 is in no network of this router" },
	{ R IF RT("2001:db8:9::/48", "fe80::9"), 6, 45, "a link-local address" },
	{ R IF RT("10.0.0.0/24", "10.0.0.9"), 6, 5,
	  "destination: 10.0.0.0/24 is a network of this router itself (line 4)" },
	{ R IF RT("10.9.0.0/16", "10.0.0.9") "  - {destination: 10.9.0.0/16, nexthop: 10.0.0.9}\n", 7, 5,
	  "this route to 10.9.0.0/16 is written already (line 6)" },
	/* instances */
	{ R IF "  instances:\n  - {fixed_ip_address: 10.0.0.5}\n", 6, 5,
	  "an entry of instances needs the key 'instance_id'" },
	{ R IF VM "}\n  - {fixed_ip_address: 10.0.0.5, instance_id: j}\n", 7, 24,
	  "10.0.0.5 is another instance's already (line 6)" },
	{ R IF "  instances:\n  - {fixed_ip_address: 10.1.0.5, instance_id: i}\n", 6, 24,
	  "10.1.0.5 is in no network of this router" },
	{ R IF VM ", public_keys: \"ssh-ed25519 A\"}\n", 6, 63,
	  "public_keys: expected a list, found 'ssh-ed25519 A'" },
	{ R IF VM ", public_keys: [\"a\\nb\"]}\n", 6, 64,
	  "public_keys: expected text without control characters, found 'a\\x0ab'" },
	{ R IF VM ", hostname: {}}\n", 6, 60, "hostname: expected text, found a map" },
	{ R IF VM ", user_date: x}\n", 6, 50,
	  "unknown key 'user_date' in an entry of instances, did you mean 'user_data'?" },
};

static void every_fault_has_its_place(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct problems problems = { 0 };
		struct routers routers = { 0 };
		struct text out = { 0 };
		size_t n = strlen(faults[i].text);
		int error = routers_parse("r.yaml", faults[i].text, n, conf, &problems, &routers);

		problems_print(&problems, &out);
		if (error != -22 || problems.n != 1 || problems.at[0].line != faults[i].line ||
		    problems.at[0].column != faults[i].column || !strstr(problems.at[0].text, faults[i].says)) {
			print_error("%s\nexpected %u:%u %s\ngot %d\n%s\n", faults[i].text, faults[i].line,
				    faults[i].column, faults[i].says, error, text_str(&out));
			wrong++;
		}
		assert_null(routers.at);
		text_free(&out);
		problems_clear(&problems);
	}
	assert_int_equal(wrong, 0);
}

static void reading_goes_on_after_a_fault(void **state)
{
	static const char text[] =
		"routers:\n"
		"- name: a b\n"
		"  interfaces:\n"
		"  - {network: red, fixed_ips: [10.0.0.0/24, 10.0.1/24]}\n"
		"- nmae: b\n"
		"  routes: [{destination: 10.9.0.0/16}]\n";
	static const char want[] =
		"r.yaml:2:9: name: expected text without white space and '/', found 'a b'\n"
		"r.yaml:4:15: network 'red' is not configured in agent.yaml\n"
		"r.yaml:4:32: fixed_ips: expected an address within 10.0.0.0/24, not the network's own, found "
		"'10.0.0.0/24'\n"
		"r.yaml:4:45: fixed_ips: expected an address and length like 192.0.2.1/24 or 2001:db8::1/64, found "
		"'10.0.1/24'\n"
		"r.yaml:5:3: unknown key 'nmae' in an entry of routers, did you mean 'name'?\n"
		"r.yaml:5:3: an entry of routers needs the key 'name'\n"
		"r.yaml:6:12: an entry of routes needs the key 'nexthop'\n";
	struct problems problems = { 0 };
	struct routers routers = { 0 };
	struct text out = { 0 };

	(void)state;
	assert_int_equal(routers_parse("r.yaml", text, sizeof text - 1, conf, &problems, &routers), -22);
	problems_print(&problems, &out);
	assert_string_equal(text_str(&out), want);
	text_free(&out);
	problems_clear(&problems);
}

static void only_so_many_problems_are_kept(void **state)
{
	struct problems problems = { 0 };
	struct routers routers = { 0 };
	struct text text = { 0 }, out = { 0 };

	(void)state;
	text_put(&text, "routers:\n");
	for (int i = 0; i < PROBLEMS_MAX + 7; i++)
		text_put(&text, "- 1\n");
	assert_int_equal(routers_parse("r.yaml", text.at, text.n, conf, &problems, &routers), -22);
	assert_int_equal(problems.n, PROBLEMS_MAX);
	assert_int_equal(problems.more, 7);
	problems_print(&problems, &out);
	assert_non_null(strstr(text_str(&out), "and 7 more\n"));
	problems_clear(&problems);
	assert_int_equal(problems.n + problems.more, 0);
	text_free(&text);
	text_free(&out);
}

/* ---- limits ---- */

static void assert_refused(struct text *text, const char *says)
{
	struct problems problems = { 0 };
	struct routers routers = { 0 };

	assert_int_equal(routers_parse("r.yaml", text->at, text->n, conf, &problems, &routers), -22);
	assert_int_equal(problems.n, 1);
	if (!strstr(problems.at[0].text, says))
		fail_msg("expected %s, got %s", says, problems.at[0].text);
	problems_clear(&problems);
	text_free(text);
}

static void put_times(struct text *t, size_t n, const char *s)
{
	while (n--)
		text_put(t, s);
}

static void limits_are_kept(void **state)
{
	struct text t = { 0 };

	(void)state;
	put_times(&t, ROUTERS_MAX_BYTES / 16 + 1, "# 16 characters\n");
	assert_refused(&t, "file is larger than 16 MiB");
	text_put(&t, "routers: [");
	put_times(&t, ROUTERS_MAX_NODES, "0,");
	text_put(&t, "]");
	assert_refused(&t, "more than 2000000 values in one file");
	text_put(&t, "routers:\n");
	put_times(&t, ROUTERS_MAX + 1, "- {}\n");
	assert_refused(&t, "routers: expected at most 10000 entries, found 10001");
	text_put(&t, R "  interfaces:\n");
	put_times(&t, ROUTER_MAX_INTERFACES + 1, "  - {}\n");
	assert_refused(&t, "interfaces: expected at most 512 entries, found 513");
	text_put(&t, R "  interfaces:\n  - network: blue\n    fixed_ips:\n");
	for (int i = 0; i <= ROUTER_MAX_FIXED_IPS; i++)
		text_printf(&t, "    - 10.0.0.%d/24\n", i + 1);
	assert_refused(&t, "fixed_ips: expected at most 64 entries, found 65");
	text_put(&t, R GW "  floatingips:\n");
	put_times(&t, ROUTER_MAX_FLOATINGIPS + 1, "  - {}\n");
	assert_refused(&t, "floatingips: expected at most 65536 entries, found 65537");
	text_put(&t, R IF "  routes:\n");
	for (int i = 0; i <= ROUTER_MAX_NEXTHOPS; i++)
		text_printf(&t, "  - {destination: 10.9.0.0/16, nexthop: 10.0.0.%d}\n", i + 2);
	assert_refused(&t, "more than 64 next hops to 10.9.0.0/16");
	text_put(&t, "routers:\n- name: ");
	put_times(&t, ROUTER_MAX_NAME + 1, "x");
	assert_refused(&t, "name: expected text of at most 255 bytes, found 256");
	text_put(&t, R "  ");
	put_times(&t, 256, "x");
	text_put(&t, ": 1\n");
	{
		struct problems problems = { 0 };
		struct routers routers = { 0 };

		assert_int_equal(routers_parse("r.yaml", t.at, t.n, conf, &problems, &routers), -22);
		assert_non_null(strstr(problems.at[0].text, "a key must be at most 255 bytes long"));
		problems_clear(&problems);
		text_free(&t);
	}
	text_put(&t, R IF VM ", user_data: ");
	put_times(&t, ROUTER_MAX_USER_DATA + 1, "x");
	text_put(&t, "}\n");
	assert_refused(&t, "user_data: expected text of at most 65535 bytes, found 65536");
}

static void many_keys_twice_are_found(void **state)
{
	struct problems problems = { 0 };
	struct routers routers = { 0 };
	struct text t = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		text_printf(&t, "k%d: 1\n", i);
	text_put(&t, "k3: 1\n");
	assert_int_equal(routers_parse("r.yaml", t.at, t.n, conf, &problems, &routers), -22);
	assert_string_equal(problems.at[0].text, "key 'k3' is in this map twice (first in line 4)");
	assert_int_equal(problems.at[0].line, 21);
	problems_clear(&problems);
	text_free(&t);
}

static void a_small_router_stays_small(void **state)
{
	struct routers routers = good(
		R "  external_gateway_info: {network: public, "
		"external_fixed_ips: [203.0.113.10/24, 2001:db8:ff::10/64],"
		" gateway_ips: [203.0.113.1, 2001:db8:ff::1]}\n"
		"  interfaces:\n  - {network: blue, fixed_ips: [10.0.0.1/24, 2001:db8:1::1/64], ipv6_ra_mode: slaac}\n"
		"  - {network: green, fixed_ips: [10.0.1.1/24, 2001:db8:2::1/64], ipv6_ra_mode: slaac}\n" FIP(
			"203.0.113.20",
			"10.0.0.20") "  - {floating_ip_address: 203.0.113.21, fixed_ip_address: 10.0.0.21}\n"
				     "  - {floating_ip_address: 203.0.113.22, fixed_ip_address: 10.0.0.22}\n"
				     "  - {floating_ip_address: 203.0.113.23, fixed_ip_address: 10.0.0.23}\n"
				     "  - {floating_ip_address: 203.0.113.24, fixed_ip_address: 10.0.0.24}\n");

	(void)state;
	assert_in_range(arena_size(routers.at[0]->arena), 1, 6 << 10);
	routers_free(&routers);
}

/* ---- equality ---- */

static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	struct text out = { 0 };

	if (!at)
		fail_msg("'%s' is not in the text", from);
	text_add(&out, text, (size_t)(at - text));
	text_put(&out, to);
	text_put(&out, at + strlen(from));
	return out.at;
}

static void equality_sees_every_field(void **state)
{
	static const struct { const char *from, *to; } changes[] = {
		{ "name: web", "name: weg" }, { "project_id: demo", "project_id: dome" },
		  { "  project_id: demo\n", "" },
		{ "enable_snat: false", "enable_snat: true" }, { "network: public", "network: green" },
		{ "203.0.113.10/24", "203.0.113.11/24" }, { "198.51.100.2/28", "198.51.100.2/27" },
		{ "gateway_ips: [203.0.113.1", "gateway_ips: [203.0.113.3" }, { "'fe80::1', 203.0.113.2",
		  "203.0.113.2, 'fe80::1'" },
		{ "198.18.4.0/24", "198.18.5.0/24" }, { "[198.18.4.0/24]", "[]" }, { "mtu: 1400", "mtu: 1401" },
		{ "FA:16:3e:00:00:01", "fa:16:3e:00:00:02" }, { "dhcpv6-stateless", "slaac" },
		{ "2620:fe::fe", "2620:fe::fd" }, { "192.0.2.53, ", "" }, { "52d4-4b7a", "52d5-4b7a" },
		{ "admin_state_up: false\n    fixed", "admin_state_up: true\n    fixed" }, { ", 10.0.0.2/24", "" },
		{ "fixed_ip_address: 10.0.0.5}", "fixed_ip_address: 10.0.0.7}" }, { "203.0.113.20", "203.0.113.22" },
		{ "11111111", "11111112" }, { "protocol: tcp", "protocol: sctp" }, { "2222,", "2223," },
		{ "internal_port: 22", "internal_port: 23" }, { "9000-9002", "9000-9003" }, { "8000:8010",
		  "8000:8011" },
		{ "10.9.0.0/16", "10.8.0.0/15" }, { "nexthop: 10.0.0.9", "nexthop: 10.0.0.8" }, { "i-1", "i-3" },
		{ "project_id: demo\n    hostname", "project_id: x\n    hostname" }, { "hostname: a", "hostname: b" },
		{ "echo hello", "echo hallo" }, { "AAAA", "AAAB" }, { "'fe80::5'", "'fe80::6'" },
	};
	struct routers one = good(complete), two = good(complete);

	(void)state;
	assert_true(router_equal(one.at[0], two.at[0]));
	assert_true(router_equal(one.at[1], two.at[1]));
	assert_false(router_equal(one.at[0], one.at[1]));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		char *text = replaced(complete, changes[i].from, changes[i].to);
		struct routers other = good(text);

		if (router_equal(one.at[0], other.at[0]) || router_equal(other.at[0], one.at[0]))
			fail_msg("'%s' for '%s' makes no difference", changes[i].to, changes[i].from);
		routers_free(&other);
		free(text);
	}
	routers_free(&one);
	routers_free(&two);
}

static void place_and_style_make_no_difference(void **state)
{
	struct routers one = good(R IF),
		       two = good("# moved\nrouters:\n- interfaces:\n  - network: blue\n    fixed_ips:\n"
				  "    - '10.0.0.1/24'\n  name: r\n");

	(void)state;
	assert_true(router_equal(one.at[0], two.at[0]));
	assert_int_equal(two.at[0]->line, 3);
	routers_free(&one);
	routers_free(&two);
}

static void names_and_protocols(void **state)
{
	static const char *const protocols[] = { "tcp", "udp", "sctp", "dccp", "udplite" };

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(protocol_name(protocol_parse(protocols[i])), protocols[i]);
	assert_int_equal(protocol_parse("icmp"), 0);
	assert_null(protocol_name(1));
	assert_null(ra_mode_name(RA_MODE_NONE));
	assert_string_equal(ra_mode_name(RA_MODE_DHCPV6_STATEFUL), "dhcpv6-stateful");
	router_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gateway_is_read),
		cmocka_unit_test(interfaces_are_read),
		cmocka_unit_test(the_rest_is_read),
		cmocka_unit_test(files_without_routers_are_fine),
		cmocka_unit_test(json_is_yaml),
		cmocka_unit_test(every_fault_has_its_place),
		cmocka_unit_test(reading_goes_on_after_a_fault),
		cmocka_unit_test(only_so_many_problems_are_kept),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(many_keys_twice_are_found),
		cmocka_unit_test(a_small_router_stays_small),
		cmocka_unit_test(equality_sees_every_field),
		cmocka_unit_test(place_and_style_make_no_difference),
		cmocka_unit_test(names_and_protocols),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
