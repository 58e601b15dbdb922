/* SPDX-License-Identifier: GPL-3.0-or-later */

/* nat_diff, nat_op_print and nat_print: pure, from tables. */

#include "nat.h"
#include "text.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ip ip(const char *s)
{
	struct ip ret;

	assert_int_equal(ip_parse(s, &ret), 0);
	return ret;
}

/* One word an element: "E dev", "G ip", "S dev ip", "D from to", "F ip protocol port to port", "L ip protocol port",
 * lines apart by ";". */
static void build(const char *text, struct nat *ret)
{
	char copy[1024], *rest = copy, *item;

	*ret = (struct nat){ 0 };
	assert_true(strlen(text) < sizeof copy);
	strcpy(copy, text);
	while ((item = strsep(&rest, ";"))) {
		char a[64] = "", b[64] = "";
		unsigned protocol = 0, port = 0, to_port = 0;

		switch (*item) {
		case 'E':
			assert_int_equal(sscanf(item, "E %15s", vec_add(&ret->external)->dev), 1);
			break;
		case 'G':
			assert_int_equal(sscanf(item, "G %63s", a), 1);
			ret->gateway = ip(a);
			break;
		case 'S':
			assert_int_equal(sscanf(item, "S %15s %63s", vec_add(&ret->snat)->dev, a), 2);
			ret->snat.at[ret->snat.n - 1].ip = ip(a);
			break;
		case 'D':
			assert_int_equal(sscanf(item, "D %63s %63s", a, b), 2);
			*vec_add(&ret->dnats) = (struct nat_dnat){ ip(a), ip(b) };
			break;
		case 'F':
			assert_int_equal(sscanf(item, "F %63s %u %u %63s %u", a, &protocol, &port, b, &to_port), 5);
			*vec_add(&ret->forwards) = (struct nat_forward){ ip(a), (uint8_t)protocol, (uint16_t)port, ip(b),
									 (uint16_t)to_port };
			break;
		case 'L':
			assert_int_equal(sscanf(item, "L %63s %u %u", a, &protocol, &port), 3);
			*vec_add(&ret->leaving) = (struct nat_leaving){ ip(a), (uint8_t)protocol, (uint16_t)port };
			break;
		default:
			assert_int_equal(*item, 0);
		}
	}
	nat_sort(ret);
}

struct row {
	const char *name;
	enum { WHOLE, DAMAGED, ABSENT } table;
	const char *have;
	const char *want;	/* NULL: to go */
	const char *left;	/* "" or an address */
	bool flush_moved;
	const char *ops;
};

static const struct row rows[] = {
	{ "nothing and nothing", ABSENT, "", NULL, "", false, "" },
	{ "the first time", ABSENT, "", "E qg-1;G 203.0.113.10;S qg-1 203.0.113.10;D 203.0.113.20 10.0.0.5;"
	  "F 203.0.113.21 6 2222 10.0.0.6 22", "", false,
	  "+ table inet l3agent\n+ external qg-1\n+ gateway 203.0.113.10\n+ snat qg-1 203.0.113.10\n"
	  "+ dnat 203.0.113.20 → 10.0.0.5\n+ forward 203.0.113.21 tcp 2222 → 10.0.0.6 22\n" },
	{ "an empty router has a table too", ABSENT, "", "", "", false, "+ table inet l3agent\n" },
	{ "nothing changes", WHOLE, "E qg-1;D 203.0.113.20 10.0.0.5;F 203.0.113.21 17 53 10.0.0.6 53",
	  "F 203.0.113.21 17 53 10.0.0.6 53;D 203.0.113.20 10.0.0.5;E qg-1", "", false, "" },
	{ "damage alone", DAMAGED, "E qg-1", "E qg-1", "", false, "~ table inet l3agent\n" },
	{ "damage that took elements along: they are told", DAMAGED, "E qg-1", "E qg-1;D 203.0.113.20 10.0.0.5", "", false,
	  "~ table inet l3agent\n+ dnat 203.0.113.20 → 10.0.0.5\n" },
	{ "all goes", WHOLE, "E qg-1;D 203.0.113.20 10.0.0.5", NULL, "", false, "- table inet l3agent\n" },
	{ "a floating IP comes", WHOLE, "D 203.0.113.20 10.0.0.5", "D 203.0.113.20 10.0.0.5;D 203.0.113.19 10.0.0.5", "",
	  false, "+ dnat 203.0.113.19 → 10.0.0.5\n" },
	{ "a floating IP goes", WHOLE, "D 203.0.113.20 10.0.0.5;D 203.0.113.21 10.0.0.6", "D 203.0.113.21 10.0.0.6", "", false,
	  "- dnat 203.0.113.20 → 10.0.0.5\n+ flush 203.0.113.20\n" },
	{ "a floating IP moves: old flows stay", WHOLE, "D 203.0.113.20 10.0.0.5", "D 203.0.113.20 10.0.0.6", "", false,
	  "~ dnat 203.0.113.20 10.0.0.5 → 10.0.0.6\n" },
	{ "a floating IP moves, flows shall not stay", WHOLE, "D 203.0.113.20 10.0.0.5", "D 203.0.113.20 10.0.0.6", "", true,
	  "~ dnat 203.0.113.20 10.0.0.5 → 10.0.0.6\n+ flush 203.0.113.20\n" },
	{ "a forwarded port goes", WHOLE, "F 203.0.113.21 6 22 10.0.0.6 22;F 203.0.113.21 6 23 10.0.0.6 23",
	  "F 203.0.113.21 6 23 10.0.0.6 23", "", false,
	  "- forward 203.0.113.21 tcp 22 → 10.0.0.6 22\n+ flush 203.0.113.21 tcp 22\n" },
	{ "a forwarded port's target changes", WHOLE, "F 203.0.113.21 132 22 10.0.0.6 22", "F 203.0.113.21 132 22 10.0.0.7 22",
	  "", false,
	  "~ forward 203.0.113.21 sctp 22 10.0.0.6 22 → 10.0.0.7 22\n+ flush 203.0.113.21 sctp 22\n" },
	{ "only the target's port changes", WHOLE, "F 203.0.113.21 6 22 10.0.0.6 22", "F 203.0.113.21 6 22 10.0.0.6 2222", "",
	  false, "~ forward 203.0.113.21 tcp 22 10.0.0.6 22 → 10.0.0.6 2222\n+ flush 203.0.113.21 tcp 22\n" },
	{ "the same port of another protocol is another key", WHOLE, "F 203.0.113.21 17 53 10.0.0.6 53",
	  "F 203.0.113.21 6 53 10.0.0.6 53;F 203.0.113.21 17 53 10.0.0.6 53", "", false,
	  "+ forward 203.0.113.21 tcp 53 → 10.0.0.6 53\n" },
	{ "the gateway goes", WHOLE, "E qg-1;G 203.0.113.10;S qg-1 203.0.113.10", "", "", false,
	  "- external qg-1\n- gateway 203.0.113.10\n- snat qg-1 203.0.113.10\n+ flush 203.0.113.10\n" },
	{ "another gateway address", WHOLE, "G 203.0.113.10;S qg-1 203.0.113.10", "G 203.0.113.11;S qg-1 203.0.113.11", "",
	  false, "~ gateway 203.0.113.10 → 203.0.113.11\n~ snat qg-1 203.0.113.10 → 203.0.113.11\n+ flush 203.0.113.10\n" },
	{ "another gateway device with the same address: flows stay", WHOLE, "E qg-1;S qg-1 203.0.113.10",
	  "E qg-2;S qg-2 203.0.113.10", "", false,
	  "- external qg-1\n+ external qg-2\n- snat qg-1 203.0.113.10\n+ snat qg-2 203.0.113.10\n" },
	{ "enable_snat: false", WHOLE, "G 203.0.113.10;S qg-1 203.0.113.10", "G 203.0.113.10", "", false,
	  "- snat qg-1 203.0.113.10\n+ flush 203.0.113.10\n" },
	{ "enable_snat: true", WHOLE, "G 203.0.113.10", "G 203.0.113.10;S qg-1 203.0.113.10", "", false,
	  "+ snat qg-1 203.0.113.10\n" },
	{ "an address leaves a device", WHOLE, "", "", "2001:db8::1", false, "+ flush 2001:db8::1\n" },
	{ "it leaves twice, once is told", WHOLE, "D 203.0.113.20 10.0.0.5", "", "203.0.113.20", false,
	  "- dnat 203.0.113.20 → 10.0.0.5\n+ flush 203.0.113.20\n" },
	{ "what is due is no difference", WHOLE, "L 203.0.113.20 0 0;L 203.0.113.21 6 22", "", "", false, "" },
	{ "what is due is not told again", WHOLE, "D 203.0.113.20 10.0.0.5;L 203.0.113.20 0 0", "", "203.0.113.20", false,
	  "- dnat 203.0.113.20 → 10.0.0.5\n" },
};

static void diffs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct nat_conf conf = { .flush_moved = r->flush_moved };
		struct nat_have have = { .table = r->table != ABSENT, .skeleton = r->table == WHOLE };
		struct nat want = { 0 };
		struct nat_ops ops;
		struct text t = { 0 };
		struct ip left = { 0 };

		build(r->have, &have.elements);
		if (r->want)
			build(r->want, &want);
		if (*r->left)
			left = ip(r->left);
		nat_diff(&have, r->want ? &want : NULL, &conf, &left, !!*r->left, &ops);
		for (size_t k = 0; k < ops.ops.n; k++) {
			nat_op_print(&ops.ops.at[k], &t);
			text_put(&t, "\n");
		}
		if (strcmp(text_str(&t), r->ops) != 0)
			fail_msg("%s: wanted\n%sgot\n%s", r->name, r->ops, text_str(&t));
		text_free(&t);
		nat_ops_free(&ops);
		nat_free(&want);
		nat_have_free(&have);
	}
}

static const char golden[] =
	"table inet l3agent {\n"
	"	set external {\n"
	"		type ifname\n"
	"		elements = {\n"
	"			\"qg-1\"\n"
	"		}\n"
	"	}\n"
	"\n"
	"	map floating {\n"
	"		type ipv4_addr : ipv4_addr\n"
	"		elements = {\n"
	"			203.0.113.20 : 10.0.0.6,\n"
	"			203.0.113.100 : 10.0.0.5,\n"
	"			203.0.113.101 : 10.0.0.5\n"
	"		}\n"
	"	}\n"
	"\n"
	"	map fixed {\n"
	"		type ipv4_addr : ipv4_addr\n"
	"		elements = {\n"
	"			10.0.0.5 : 203.0.113.100,\n"
	"			10.0.0.6 : 203.0.113.20\n"
	"		}\n"
	"	}\n"
	"\n"
	"	map forwards {\n"
	"		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service\n"
	"		elements = {\n"
	"			203.0.113.30 . tcp . 2222 : 10.0.0.7 . 22,\n"
	"			203.0.113.30 . dccp . 5 : 10.0.0.7 . 6\n"
	"		}\n"
	"	}\n"
	"\n"
	"	map sources {\n"
	"		type ifname : ipv4_addr\n"
	"		elements = {\n"
	"			\"qg-1\" : 203.0.113.10\n"
	"		}\n"
	"	}\n"
	"\n"
	"	map hairpin {\n"
	"		type nf_proto : ipv4_addr\n"
	"		elements = {\n"
	"			ipv4 : 203.0.113.10\n"
	"		}\n"
	"	}\n"
	"\n"
	"	set leaving {\n"
	"		type ipv4_addr . inet_proto . inet_service\n"
	"		elements = {\n"
	"			203.0.113.40 . 0 . 0,\n"
	"			203.0.113.41 . udplite . 7\n"
	"		}\n"
	"	}\n"
	"\n"
	"	set leaving6 {\n"
	"		type ipv6_addr\n"
	"		elements = {\n"
	"			2001:db8::1\n"
	"		}\n"
	"	}\n"
	"\n"
	"	chain prerouting {\n"
	"		type nat hook prerouting priority dstnat; policy accept;\n"
	"		dnat ip to ip daddr map @floating\n"
	"		iifname \"qr-*\" ip daddr 169.254.169.254 tcp dport 80 redirect to :9697\n"
	"		iifname \"qr-*\" ip6 daddr fe80::a9fe:a9fe tcp dport 80 redirect to :9697\n"
	"		dnat ip to ip daddr . meta l4proto . th dport map @forwards\n"
	"	}\n"
	"\n"
	"	chain output {\n"
	"		type nat hook output priority -100; policy accept;\n"
	"		dnat ip to ip daddr map @floating\n"
	"	}\n"
	"\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		oifname != @external ct status ! dnat accept\n"
	"		snat ip to ip saddr map @fixed fully-random\n"
	"		meta nfproto ipv4 snat ip to oifname map @sources fully-random\n"
	"		iifname != @external ct status dnat snat ip to meta nfproto map @hairpin fully-random\n"
	"	}\n"
	"\n"
	"	chain input {\n"
	"		type filter hook input priority filter; policy accept;\n"
	"		tcp dport 9697 ct original ip daddr 169.254.169.254 accept\n"
	"		tcp dport 9697 ct original ip6 daddr fe80::a9fe:a9fe accept\n"
	"		tcp dport 9697 drop\n"
	"	}\n"
	"}\n";

static void prints(void **state)
{
	struct nat_conf conf = { .fully_random = true, .metadata_port = 9697 };
	struct text t = { 0 };
	struct nat n;

	(void)state;
	build("E qg-1;G 203.0.113.10;S qg-1 203.0.113.10;D 203.0.113.101 10.0.0.5;D 203.0.113.100 10.0.0.5;"
	      "D 203.0.113.20 10.0.0.6;F 203.0.113.30 33 5 10.0.0.7 6;F 203.0.113.30 6 2222 10.0.0.7 22;"
	      "L 203.0.113.41 136 7;L 203.0.113.40 0 0;L 2001:db8::1 0 0", &n);
	nat_print(&n, &conf, &t);
	assert_string_equal(text_str(&t), golden);
	text_free(&t);
	conf = (struct nat_conf){ .metadata_port = 80 };
	nat_print(&n, &conf, &t);
	assert_null(strstr(text_str(&t), "random"));
	assert_null(strstr(text_str(&t), "9697"));
	assert_non_null(strstr(text_str(&t), "redirect to :80\n"));
	text_free(&t);
	nat_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diffs),
		cmocka_unit_test(prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
