/* SPDX-License-Identifier: GPL-3.0-or-later */

/* nat/ against the running kernel, in a network namespace of the test's own. Needs root, nft(8) and conntrack(8), which
 * play the people who change things behind our back and who look. */

#include "nat.h"
#include "nl.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct nat_conf conf = { .fully_random = true, .metadata_port = 9697 };

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static char *output(const char *command)
{
	struct text t = { 0 };
	char part[4096];
	size_t n;
	FILE *f = popen(command, "r");

	assert_non_null(f);
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		text_add(&t, part, n);
	if (pclose(f) != 0)
		fail_msg("%s", command);
	text_put(&t, "");
	return t.at;
}

static struct ip ip(const char *s)
{
	struct ip ret;

	assert_int_equal(ip_parse(s, &ret), 0);
	return ret;
}

static void add_dnat(struct nat *n, const char *from, const char *to)
{
	*vec_add(&n->dnats) = (struct nat_dnat){ ip(from), ip(to) };
	nat_sort(n);
}

static void add_forward(struct nat *n, const char *from, uint8_t protocol, uint16_t port, const char *to, uint16_t to_port)
{
	*vec_add(&n->forwards) = (struct nat_forward){ ip(from), protocol, port, ip(to), to_port };
	nat_sort(n);
}

/* A router with a gateway, floating IPs (two of them for one guest) and port forwardings. */
static void router(struct nat *n)
{
	*n = (struct nat){ .gateway = ip("203.0.113.10") };
	strcpy(vec_add(&n->external)->dev, "qg-1");
	*vec_add(&n->snat) = (struct nat_snat){ "qg-1", ip("203.0.113.10") };
	add_dnat(n, "203.0.113.20", "10.0.0.5");
	add_dnat(n, "203.0.113.21", "10.0.0.6");
	add_dnat(n, "203.0.113.22", "10.0.0.5");
	add_forward(n, "203.0.113.30", IPPROTO_TCP, 2222, "10.0.0.7", 22);
	add_forward(n, "203.0.113.30", IPPROTO_UDP, 53, "10.0.0.7", 5353);
	add_forward(n, "203.0.113.31", IPPROTO_SCTP, 1, "10.0.0.7", 2);
	add_forward(n, "203.0.113.31", IPPROTO_DCCP, 1, "10.0.0.7", 2);
	add_forward(n, "203.0.113.31", IPPROTO_UDPLITE, 1, "10.0.0.7", 2);
}

/* Brings the kernel to `want`; returns the number of operations that it took. */
static size_t bring(const struct nat *want, const struct nat_conf *c)
{
	struct nat_have have = { 0 };
	struct nat_ops ops;
	char error_text[200];
	size_t n;

	assert_int_equal(nat_observe(c, &have), 0);
	have.flows = false;		/* as if no packet had passed; see what_comes_is_flushed */
	nat_diff(&have, want, c, NULL, 0, &ops);
	n = ops.ops.n;
	if (nat_apply(&ops, &have, want, c, error_text) != 0)
		fail_msg("%s", error_text);
	nat_ops_free(&ops);
	nat_have_free(&have);
	return n;
}

static void settle(const struct nat *want)
{
	uint64_t writes;

	bring(want, &conf);
	writes = nl_writes();
	assert_int_equal(bring(want, &conf), 0);
	assert_int_equal(nl_writes(), writes);
}

static void flush_journal(size_t want_elements, size_t want_flows)
{
	struct nat_have have;
	size_t flows;
	char error_text[200];

	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_int_equal(have.elements.leaving.n, want_elements);
	if (nat_flush(have.elements.leaving.at, have.elements.leaving.n, &flows, error_text) != 0)
		fail_msg("%s", error_text);
	assert_int_equal(flows, want_flows);
	nat_have_free(&have);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_int_equal(have.elements.leaving.n, 0);
	assert_true(have.skeleton);
	nat_have_free(&have);
}

static int start(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (mkdir("/run/netns", 0755) < 0 && errno != EEXIST) || mount("none", "/run/netns", "tmpfs", 0, NULL) < 0) {
		perror("a namespace of our own");
		return -1;
	}
	return 0;
}

/* Every test begins with an empty ruleset. */
static int clean(void **state)
{
	(void)state;
	return system("nft flush ruleset && conntrack -F 2>/dev/null");
}

static void nothing_is_there(void **state)
{
	struct nat_have have;
	struct nat_ops ops;

	(void)state;
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_false(have.table);
	assert_false(have.skeleton);
	nat_diff(&have, NULL, &conf, NULL, 0, &ops);
	assert_int_equal(ops.ops.n, 0);
	nat_have_free(&have);
}

static void comes_and_goes(void **state)
{
	struct nat want, nothing = { 0 };
	struct nat_have have;

	(void)state;
	router(&want);
	settle(&want);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_true(have.table);
	assert_true(have.skeleton);
	assert_int_equal(have.elements.dnats.n, 3);
	assert_int_equal(have.elements.forwards.n, 5);
	assert_string_equal(have.elements.external.at[0].dev, "qg-1");
	assert_true(ip_equal(&have.elements.gateway, &want.gateway));
	nat_have_free(&have);
	settle(&nothing);
	bring(NULL, &conf);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_false(have.table);
	nat_have_free(&have);
	nat_free(&want);
}

/* What nat_print says is what nft makes the same table of, whatever the settings. */
static void nft_understands_the_text(void **state)
{
	static const struct nat_conf plain = { .metadata_port = 80 };
	const struct nat_conf *both[] = { &conf, &plain };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct text t = { 0 };
		struct nat_have have;
		struct nat want;
		char *ours, *theirs;
		FILE *f;

		router(&want);
		bring(&want, both[i]);
		ours = output("nft -n list ruleset");
		run("nft flush ruleset");
		*vec_add(&want.leaving) = (struct nat_leaving){ .ip = ip("203.0.113.40") };
		*vec_add(&want.leaving) = (struct nat_leaving){ ip("203.0.113.41"), IPPROTO_UDPLITE, 7 };
		*vec_add(&want.leaving) = (struct nat_leaving){ .ip = ip("2001:db8::1") };
		nat_print(&want, both[i], &t);
		f = popen("nft -f -", "w");
		assert_non_null(f);
		fwrite(t.at, 1, t.n, f);
		assert_int_equal(pclose(f), 0);
		assert_int_equal(nat_observe(both[i], &have), 0);
		assert_true(have.skeleton);
		assert_int_equal(have.elements.leaving.n, 3);
		nat_have_free(&have);
		assert_int_equal(bring(&want, both[i]), 0);
		run("nft 'flush set inet l3agent leaving; flush set inet l3agent leaving6'");
		assert_int_equal(nat_observe(both[!i], &have), 0);
		assert_false(have.skeleton);
		theirs = output("nft -n list ruleset");
		assert_string_equal(ours, theirs);
		nat_have_free(&have);
		free(ours);
		free(theirs);
		text_free(&t);
		nat_free(&want);
		run("nft flush ruleset");
	}
}

/* What somebody did behind our back. The last of several lines of one command is what harms. */
static const char *const damages[] = {
	"delete table inet l3agent",
	"flush table inet l3agent",
	"add rule inet l3agent prerouting drop",
	"insert rule inet l3agent prerouting accept",
	"insert rule inet l3agent input tcp dport 9697 accept",
	"flush chain inet l3agent output",
	"flush chain inet l3agent postrouting",
	"add chain inet l3agent another",
	"add set inet l3agent another { type ipv4_addr; }",
	"add counter inet l3agent another",
	"add chain inet l3agent input { policy drop; }",
	"add table inet l3agent { flags dormant; }",
	"flush chain inet l3agent output; delete chain inet l3agent output",
	"flush chain inet l3agent output; delete chain inet l3agent output;"
	" add chain inet l3agent output { type nat hook output priority -99; };"
	" add rule inet l3agent output dnat ip to ip daddr map @floating",
	"flush chain inet l3agent output; delete chain inet l3agent output;"
	" add chain inet l3agent output { type nat hook prerouting priority -100; };"
	" add rule inet l3agent output dnat ip to ip daddr map @floating",
	"flush chain inet l3agent output; delete chain inet l3agent output; add chain inet l3agent output;"
	" add rule inet l3agent output drop",
	"flush chain inet l3agent output; add rule inet l3agent output dnat ip to ip saddr map @floating",
	"flush chain inet l3agent output; add rule inet l3agent output dnat ip to ip daddr map @fixed",
	"flush chain inet l3agent output; add rule inet l3agent output dnat ip to ip daddr map @floating persistent",
	"flush chain inet l3agent output; add rule inet l3agent output counter dnat ip to ip daddr map @floating",
	/* the right rules in the wrong order */
	"flush chain inet l3agent input;"
	" add rule inet l3agent input tcp dport 9697 drop;"
	" add rule inet l3agent input tcp dport 9697 ct original ip daddr 169.254.169.254 accept;"
	" add rule inet l3agent input tcp dport 9697 ct original ip6 daddr fe80::a9fe:a9fe accept",
	"flush chain inet l3agent input;"
	" add rule inet l3agent input tcp dport 9697 ct original ip daddr 169.254.169.254 accept;"
	" add rule inet l3agent input tcp dport 9697 ct original ip6 daddr fe80::a9fe:a9fe drop;"
	" add rule inet l3agent input tcp dport 9697 drop",
	"delete set inet l3agent leaving6",
	"delete set inet l3agent leaving6; add set inet l3agent leaving6 { type ipv4_addr; }",
	"delete set inet l3agent leaving6; add set inet l3agent leaving6 { type ipv6_addr; size 2; }",
	"delete set inet l3agent leaving6; add set inet l3agent leaving6 { type ipv6_addr; flags interval; }",
	"delete set inet l3agent leaving6; add set inet l3agent leaving6 { type ipv6_addr; timeout 1s; }",
	/* elements */
	"add element inet l3agent external { qg-2 }",
	"flush set inet l3agent external",
	"flush map inet l3agent floating",
	"flush map inet l3agent fixed",
	"flush map inet l3agent forwards",
	"flush map inet l3agent sources",
	"flush map inet l3agent hairpin",
	"add element inet l3agent floating { 203.0.113.99 : 10.0.0.9 }",
	"add element inet l3agent floating { * : 10.0.0.9 }",
	"add element inet l3agent fixed { 10.0.0.9 : 203.0.113.99 }",
	"delete element inet l3agent fixed { 10.0.0.6 }",
	"delete element inet l3agent fixed { 10.0.0.5 }; add element inet l3agent fixed { 10.0.0.5 : 203.0.113.22 }",
	"add element inet l3agent hairpin { ipv6 : 203.0.113.99 }",
	"delete element inet l3agent hairpin { ipv4 }; add element inet l3agent hairpin { ipv4 : 203.0.113.99 }",
	"delete element inet l3agent forwards { 203.0.113.30 . tcp . 2222 };"
	" add element inet l3agent forwards { 203.0.113.30 . tcp . 2222 : 10.0.0.7 . 23 }",
};

static void every_damage_is_mended(void **state)
{
	struct nat want;
	char *good;

	(void)state;
	router(&want);
	settle(&want);
	good = output("nft -n list ruleset");
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		struct nat_have have;
		struct nat_ops ops;
		struct text command = { 0 };
		char error_text[200], *mended;

		text_printf(&command, "nft '%s'", damages[i]);
		run(command.at);
		assert_int_equal(nat_observe(&conf, &have), 0);
		nat_diff(&have, &want, &conf, NULL, 0, &ops);
		if (!ops.ops.n)
			fail_msg("not noticed: %s", damages[i]);
		if (nat_apply(&ops, &have, &want, &conf, error_text) != 0)
			fail_msg("%s: %s", damages[i], error_text);
		nat_ops_free(&ops);
		nat_have_free(&have);
		if (bring(&want, &conf) != 0)
			fail_msg("not mended: %s", damages[i]);
		assert_int_equal(nat_observe(&conf, &have), 0);
		if (have.elements.leaving.n) {
			const struct nat_leaving *due = have.elements.leaving.at;
			size_t ended;

			assert_int_equal(nat_flush(due, have.elements.leaving.n, &ended, error_text), 0);
		}
		nat_have_free(&have);
		mended = output("nft -n list ruleset");
		if (strcmp(mended, good) != 0)
			fail_msg("%s: before\n%s\nafter\n%s", damages[i], good, mended);
		free(mended);
		text_free(&command);
	}
	free(good);
	nat_free(&want);
}

static void others_tables_are_left_alone(void **state)
{
	struct nat want;
	char *theirs;

	(void)state;
	run("nft 'add table inet other; add chain inet other c; add rule inet other c drop;"
	    " add table ip l3agent; add chain ip l3agent prerouting; add rule ip l3agent prerouting accept'");
	router(&want);
	settle(&want);
	bring(NULL, &conf);
	theirs = output("nft -n list ruleset | tr -d '\\n\\t'");
	assert_string_equal(theirs, "table inet other {chain c {drop}}table ip l3agent {chain prerouting {accept}}");
	free(theirs);
	nat_free(&want);
}

static void every_element_changes(void **state)
{
	struct nat want, other = { .gateway = ip("203.0.113.11") };
	uint64_t writes;

	(void)state;
	router(&want);
	settle(&want);
	/* one floating IP more is one request for each of its two maps, in one batch with its end */
	add_dnat(&want, "203.0.113.23", "10.0.0.8");
	writes = nl_writes();
	assert_int_equal(bring(&want, &conf), 1);
	assert_int_equal(nl_writes() - writes, 3);
	/* a second floating IP of a guest changes what it shows only if it is lower */
	add_dnat(&want, "203.0.113.24", "10.0.0.8");
	writes = nl_writes();
	assert_int_equal(bring(&want, &conf), 1);
	assert_int_equal(nl_writes() - writes, 2);
	add_dnat(&want, "203.0.113.19", "10.0.0.8");
	settle(&want);
	run("nft get element inet l3agent fixed '{ 10.0.0.8 : 203.0.113.19 }' >/dev/null");
	want.dnats.at[0].to = ip("10.0.0.9");
	settle(&want);
	run("nft get element inet l3agent fixed '{ 10.0.0.8 : 203.0.113.23 }' >/dev/null");
	run("nft get element inet l3agent fixed '{ 10.0.0.9 : 203.0.113.19 }' >/dev/null");
	want.forwards.at[0].to_port++;
	want.gateway = want.snat.at[0].ip = ip("203.0.113.12");
	settle(&want);
	strcpy(want.external.at[0].dev, "qg-2");
	strcpy(want.snat.at[0].dev, "qg-2");
	settle(&want);
	add_dnat(&other, "203.0.113.20", "10.0.0.6");
	add_forward(&other, "203.0.113.30", IPPROTO_SCTP, 2222, "10.0.0.7", 22);
	settle(&other);
	settle(&want);
	nat_free(&want);
	nat_free(&other);
}

static void the_journal_survives(void **state)
{
	struct nat_have have;
	struct nat_ops ops;
	struct nat want;
	struct ip left[] = { ip("2001:db8::1"), ip("203.0.113.77"), ip("203.0.113.77") };
	char error_text[200];

	(void)state;
	router(&want);
	settle(&want);
	want.dnats.n = 1;
	want.forwards.n--;
	assert_int_equal(nat_observe(&conf, &have), 0);
	nat_diff(&have, &want, &conf, left, 3, &ops);
	assert_int_equal(nat_apply(&ops, &have, &want, &conf, error_text), 0);
	nat_ops_free(&ops);
	nat_have_free(&have);
	/* The process ended before it flushed. What leaves twice is there once, and what is due is no difference. */
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_int_equal(have.elements.leaving.n, 5);
	assert_int_equal(have.elements.leaving.at[4].ip.family, AF_INET6);
	nat_diff(&have, &want, &conf, left, 3, &ops);
	assert_int_equal(ops.ops.n, 0);
	nat_have_free(&have);
	/* The table is made anew with its journal. */
	run("nft flush chain inet l3agent output");
	settle(&want);
	/* Somebody takes one out, which must not hold up the others. */
	assert_int_equal(nat_observe(&conf, &have), 0);
	run("nft delete element inet l3agent leaving6 '{ 2001:db8::1 }'");
	{
		size_t flows;

		assert_int_equal(nat_flush(have.elements.leaving.at, have.elements.leaving.n, &flows, error_text), 0);
	}
	nat_have_free(&have);
	flush_journal(0, 0);
	assert_int_equal(bring(&want, &conf), 0);
	nat_free(&want);
}

/* Flows that passed before their rule was there go on untranslated unless they are ended. */
static void what_comes_is_flushed(void **state)
{
	struct nat_have have;
	struct nat_ops ops;
	struct nat want;
	char error_text[200];

	(void)state;
	router(&want);
	settle(&want);
	run("conntrack -I -p udp -t 60 -s 192.0.2.9 -d 203.0.113.40 --sport 1000 --dport 53 2>/dev/null");
	run("conntrack -I -p udp -t 60 -s 192.0.2.9 -d 203.0.113.30 --sport 1000 --dport 99 2>/dev/null");
	run("conntrack -I -p udp -t 60 -s 192.0.2.9 -d 203.0.113.30 --sport 1000 --dport 98 2>/dev/null");
	add_dnat(&want, "203.0.113.40", "10.0.0.8");
	add_forward(&want, "203.0.113.30", IPPROTO_UDP, 99, "10.0.0.7", 99);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_true(have.flows);
	nat_diff(&have, &want, &conf, NULL, 0, &ops);
	assert_int_equal(ops.ops.n, 4);
	assert_int_equal(nat_apply(&ops, &have, &want, &conf, error_text), 0);
	nat_ops_free(&ops);
	nat_have_free(&have);
	flush_journal(2, 2);
	nat_free(&want);
}

static void a_flush_without_table_is_fine(void **state)
{
	struct nat_leaving l = { .ip = ip("203.0.113.20") };
	char error_text[200];
	size_t flows = 7;

	(void)state;
	assert_int_equal(nat_flush(&l, 1, &flows, error_text), 0);
	assert_int_equal(flows, 0);
}

static void a_moved_ruleset_is_noticed(void **state)
{
	struct nat_have have;
	struct nat_ops ops;
	struct nat want;
	char error_text[200];

	(void)state;
	router(&want);
	for (int i = 0; i < 2; i++) {		/* with no table yet, and with one */
		assert_int_equal(nat_observe(&conf, &have), 0);
		nat_diff(&have, &want, &conf, NULL, 0, &ops);
		assert_true(ops.ops.n > 0);
		run("nft add table inet other");
		run("nft delete table inet other");
		assert_int_equal(nat_apply(&ops, &have, &want, &conf, error_text), -ERESTART);
		nat_ops_free(&ops);
		nat_have_free(&have);
		settle(&want);
		add_dnat(&want, "203.0.113.25", "10.0.0.9");
	}
	nat_free(&want);
}

static void a_refusal_says_what(void **state)
{
	struct nat_have have;
	struct nat_ops ops;
	struct nat want;
	char error_text[200];

	(void)state;
	router(&want);
	assert_int_equal(nat_observe(&conf, &have), 0);
	/* the same key twice, with two meanings */
	*vec_add(&want.forwards) = want.forwards.at[0];
	want.forwards.at[5].to_port = 1;
	nat_diff(&have, &want, &conf, NULL, 0, &ops);
	assert_true(nat_apply(&ops, &have, &want, &conf, error_text) < 0);
	assert_non_null(strstr(error_text, "add elements to forwards: "));
	nat_ops_free(&ops);
	nat_have_free(&have);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_false(have.table);
	nat_have_free(&have);
	nat_free(&want);
}

static void many_elements(void **state)
{
	struct nat_have have;
	struct nat want;
	uint64_t writes;

	(void)state;
	router(&want);
	want.forwards.n = 0;
	for (uint32_t i = 0; i < 65536; i++)
		*vec_add(&want.forwards) = (struct nat_forward){ ip("203.0.113.30"), IPPROTO_TCP, (uint16_t)i,
								 ip("10.0.0.7"), (uint16_t)(i ^ 1) };
	nat_sort(&want);
	settle(&want);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_int_equal(have.elements.forwards.n, 65536);
	assert_int_equal(have.elements.forwards.at[65535].to_port, 65534);
	nat_have_free(&have);
	want.forwards.at[4711].to_port++;
	writes = nl_writes();
	assert_int_equal(bring(&want, &conf), 2);	/* and its place on the journal */
	assert_int_equal(nl_writes() - writes, 4);	/* out, in, journal, end */
	assert_int_equal(bring(&want, &conf), 0);
	nat_free(&want);
}

static void many_floating_ips(void **state)
{
	struct nat_have have;
	struct nat want;

	(void)state;
	router(&want);
	want.dnats.n = 0;
	for (uint32_t i = 0; i < 65536; i++) {
		struct nat_dnat d = { ip("198.18.0.0"), ip("10.0.0.0") };

		d.from.bytes[2] = d.to.bytes[3] = (uint8_t)(i >> 8);
		d.from.bytes[3] = d.to.bytes[2] = (uint8_t)i;
		*vec_add(&want.dnats) = d;
	}
	nat_sort(&want);
	settle(&want);
	want.dnats.n--;
	settle(&want);
	assert_int_equal(nat_observe(&conf, &have), 0);
	assert_int_equal(have.elements.dnats.n, 65535);
	nat_have_free(&have);
	nat_free(&want);
}

/* ---- conntrack ---- */

static const char *const flows[] = {
	/* in through a floating IP that leaves, out as it, and IPv6 to an address that leaves: 4 */
	"-p tcp -s 198.51.100.1 -d 203.0.113.21 --sport 1 --dport 80 -r 10.0.0.6 -q 198.51.100.1"
	" --reply-port-src 80 --reply-port-dst 1 --state ESTABLISHED -u ASSURED -t 100",
	"-p udp -s 10.0.0.6 -d 198.51.100.1 --sport 2 --dport 53 -r 198.51.100.1 -q 203.0.113.21"
	" --reply-port-src 53 --reply-port-dst 2 -t 100",
	"-p icmp -s 198.51.100.1 -d 203.0.113.21 --icmp-type 8 --icmp-code 0 --icmp-id 5 -t 100",
	"-p tcp -s 2001:db8::2 -d 2001:db8::1 --sport 3 --dport 80 --state ESTABLISHED -t 100",
	/* a forwarded port that leaves: 1 */
	"-p udp -s 198.51.100.1 -d 203.0.113.30 --sport 4 --dport 53 -r 10.0.0.7 -q 198.51.100.1"
	" --reply-port-src 5353 --reply-port-dst 4 -t 100",
};
static const char *const bystanders[] = {
	"-p tcp -s 198.51.100.1 -d 203.0.113.20 --sport 1 --dport 80 -r 10.0.0.5 -q 198.51.100.1"
	" --reply-port-src 80 --reply-port-dst 1 --state ESTABLISHED -t 100",
	/* the other port, and the same port by the other protocol */
	"-p tcp -s 198.51.100.1 -d 203.0.113.30 --sport 4 --dport 2222 -r 10.0.0.7 -q 198.51.100.1"
	" --reply-port-src 22 --reply-port-dst 4 --state ESTABLISHED -t 100",
	"-p tcp -s 198.51.100.1 -d 203.0.113.30 --sport 4 --dport 53 --state ESTABLISHED -t 100",
	/* from the address, and to the fixed address: neither its original nor its reply goes there */
	"-p udp -s 203.0.113.21 -d 198.51.100.9 --sport 1 --dport 1 -r 198.51.100.9 -q 198.51.100.8"
	" --reply-port-src 1 --reply-port-dst 1 -t 100",
	"-p tcp -s 10.0.0.9 -d 10.0.0.6 --sport 1 --dport 80 --state ESTABLISHED -t 100",
	"-p tcp -s 2001:db8::1 -d 2001:db8::2 --sport 1 --dport 80 -r 2001:db8::2 -q 2001:db8::3"
	" --reply-port-src 80 --reply-port-dst 1 --state ESTABLISHED -t 100",
};

static void inject(const char *const *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct text t = { 0 };

		text_printf(&t, "conntrack -I %s >/dev/null 2>&1", at[i]);
		run(t.at);
		text_free(&t);
	}
}

static void exactly_what_left_is_flushed(void **state)
{
	struct ip left = ip("2001:db8::1");
	struct nat_have have;
	struct nat_ops ops;
	struct nat want;
	char error_text[200], *count;

	(void)state;
	router(&want);
	settle(&want);
	inject(flows, sizeof flows / sizeof *flows);
	inject(bystanders, sizeof bystanders / sizeof *bystanders);
	want.dnats.at[1] = want.dnats.at[2];	/* 203.0.113.21 goes */
	want.dnats.n = 2;
	want.forwards.at[1].to_port++;		/* udp 53 */
	assert_int_equal(nat_observe(&conf, &have), 0);
	nat_diff(&have, &want, &conf, &left, 1, &ops);
	assert_int_equal(nat_apply(&ops, &have, &want, &conf, error_text), 0);
	nat_ops_free(&ops);
	nat_have_free(&have);
	flush_journal(3, sizeof flows / sizeof *flows);
	count = output("(conntrack -L -f ipv4; conntrack -L -f ipv6) 2>/dev/null | wc -l");
	assert_int_equal(atoi(count), sizeof bystanders / sizeof *bystanders);
	free(count);
	nat_free(&want);
}

static void count_flows(long want)
{
	char *count = output("conntrack -C");

	assert_int_equal(atol(count), want);
	free(count);
}

/* So many flows that the kernel is asked for those of one address, first here, then for those of one port. */
static void many_flows_are_flushed(void **state)
{
	struct nat_leaving address = { .ip = ip("203.0.113.20") }, port = { ip("203.0.113.21"), IPPROTO_UDP, 9 };
	char error_text[200];
	size_t ended;

	(void)state;
	/* conntrack -R reads what -L -o save writes: one process for all. Each address has half of them, in or out. */
	run("for i in $(seq 11 4260); do "
	    "printf '%b\\n' \"-A -t 100 -u SEEN_REPLY -s 198.51.100.1 -d 203.0.113.20 -r 10.0.0.5 -q 198.51.100.1 -p udp --sport $i "
	    "--dport 9 --reply-port-src 9 --reply-port-dst $i\n"
	    "-A -t 100 -u SEEN_REPLY -s 10.0.0.5 -d 198.51.100.1 -r 198.51.100.1 -q 203.0.113.20 -p udp --sport $i "
	    "--dport 9 --reply-port-src 9 --reply-port-dst $i\n"
	    "-A -t 100 -u SEEN_REPLY -s 198.51.100.1 -d 203.0.113.21 -r 10.0.0.6 -q 198.51.100.1 -p udp --sport $i "
	    "--dport 9 --reply-port-src 9 --reply-port-dst $i\n"
	    "-A -t 100 -u SEEN_REPLY -s 198.51.100.1 -d 203.0.113.21 -r 10.0.0.6 -q 198.51.100.1 -p udp --sport $i "
	    "--dport 10 --reply-port-src 10 --reply-port-dst $i\"; done | conntrack -R - >/dev/null 2>&1");
	count_flows(4 * 4250);
	assert_int_equal(nat_flush(&address, 1, &ended, error_text), 0);
	assert_int_equal(ended, 2 * 4250);
	count_flows(2 * 4250);
	assert_int_equal(nat_flush(&port, 1, &ended, error_text), 0);
	assert_int_equal(ended, 4250);
	count_flows(4250);
	assert_int_equal(nat_flush(&port, 1, &ended, error_text), 0);
	assert_int_equal(ended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_there, clean),
		cmocka_unit_test_setup(comes_and_goes, clean),
		cmocka_unit_test_setup(nft_understands_the_text, clean),
		cmocka_unit_test_setup(every_damage_is_mended, clean),
		cmocka_unit_test_setup(others_tables_are_left_alone, clean),
		cmocka_unit_test_setup(every_element_changes, clean),
		cmocka_unit_test_setup(the_journal_survives, clean),
		cmocka_unit_test_setup(what_comes_is_flushed, clean),
		cmocka_unit_test_setup(a_flush_without_table_is_fine, clean),
		cmocka_unit_test_setup(a_moved_ruleset_is_noticed, clean),
		cmocka_unit_test_setup(a_refusal_says_what, clean),
		cmocka_unit_test_setup(many_elements, clean),
		cmocka_unit_test_setup(many_floating_ips, clean),
		cmocka_unit_test_setup(exactly_what_left_is_flushed, clean),
		cmocka_unit_test_setup(many_flows_are_flushed, clean),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
