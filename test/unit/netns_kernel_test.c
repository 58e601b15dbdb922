/* SPDX-License-Identifier: GPL-3.0-or-later */

/* netns/ against the running kernel, in network and mount namespaces of the test's own. Needs root and ip(8), which
 * plays the people who change things behind our back and who look. */

#include "announce.h"
#include "arena.h"
#include "clock.h"
#include "nl.h"
#include "state.h"
#include "text.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- tools ---- */

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* What a command prints; the caller frees it. */
__attribute__((format(printf, 1, 2))) static char *output(const char *format, ...)
{
	struct text t = { 0 };
	char part[4096];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, format);
	text_vprintf(&t, format, ap);
	va_end(ap);
	f = popen(t.at, "r");
	assert_non_null(f);
	t.n = 0;
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		text_add(&t, part, n);
	pclose(f);
	text_put(&t, "");
	return t.at;
}

static void assert_output(const char *wanted, const char *command)
{
	char *got = output("%s", command);

	if (!strstr(got, wanted))
		fail_msg("no \"%s\" in what `%s` prints:\n%s", wanted, command, got);
	free(got);
}

static void assert_no_output(const char *unwanted, const char *command)
{
	char *got = output("%s", command);

	if (strstr(got, unwanted))
		fail_msg("\"%s\" in what `%s` prints:\n%s", unwanted, command, got);
	free(got);
}

static struct ip ip(const char *s)
{
	struct ip ret;

	assert_int_equal(ip_parse(s, &ret), 0);
	return ret;
}

static uint32_t ifindex_in(const char *ns, const char *dev)
{
	char *got = output("ip -n %s -o link show %s", ns, dev);
	uint32_t ret = (uint32_t)strtoul(got, NULL, 10);

	free(got);
	return ret;
}

/* The kernel makes it when the carrier comes, in the background. */
static void await_link_local(const char *ns, const char *dev)
{
	run("for i in $(seq 100); do ip -n %s -6 addr show %s | grep -q 'inet6 fe80' && exit 0; sleep 0.05; done; "
	    "exit 1", ns,
	    dev);
}

/* ---- wanted states ---- */

static const char *const br_ex[] = { "br-ex" }, *const br_a[] = { "br-a" }, *const br_b[] = { "br-b" };
static const char *const prefixes[] = { "qr-", "qg-", NULL };

static void begin_state(struct ns_state *s, const char *name)
{
	*s = (struct ns_state){ .arena = arena_new(16 << 20), .exists = true, .lo_up = true, .prefixes = prefixes };
	snprintf(s->name, sizeof s->name, "%s", name);
}

static void end_state(struct ns_state *s)
{
	ns_state_free(s);
	arena_free(s->arena);
}

static struct ns_link *want_link(struct ns_state *s, const char *name, const char *const *bridges, size_t n_bridges)
{
	struct ns_link *l = vec_add(&s->links);
	uint32_t hash = 5381;

	snprintf(l->name, sizeof l->name, "%s", name);
	snprintf(l->peer, sizeof l->peer, "tap%s", strchr(name, '-') ? strchr(name, '-') + 1 : name);
	for (const char *p = name; *p; p++)
		hash = hash * 33 + (unsigned char)*p;
	l->mac = (struct mac){ { 0xfa, 0x16, 0x3e, (uint8_t)(hash >> 16), (uint8_t)(hash >> 8), (uint8_t)hash } };
	l->mtu = 1450;
	l->bridges = bridges;
	l->n_bridges = n_bridges;
	return l;
}

static void want_addr(struct ns_state *s, const char *dev, const char *text)
{
	struct ns_addr *a = vec_add(&s->addrs);
	struct prefix p;

	assert_int_equal(prefix_parse(text, true, &p), 0);
	snprintf(a->dev, sizeof a->dev, "%s", dev);
	a->ip = p.ip;
	a->prefixlen = p.length;
}

/* hops: "via dev[ onlink]" each, "-" for either if it has none; ended by NULL. */
static void want_route(struct ns_state *s, const char *dest, const char *const *hops)
{
	struct ns_route *r = vec_add(&s->routes);
	struct ns_hop *h = arena_array(s->arena, ROUTE_MAX_HOPS, sizeof *h);

	assert_int_equal(prefix_parse(dest, true, &r->dest), 0);
	r->metric = r->dest.ip.family == AF_INET6 ? 1024 : 0;
	for (; hops[r->n_hops]; r->n_hops++) {
		char via[64], dev[64], flag[16] = "";

		assert_true(sscanf(hops[r->n_hops], "%63s %63s %15s", via, dev, flag) >= 2);
		if (*via != '-')
			h[r->n_hops].via = ip(via);
		if (*dev != '-')
			snprintf(h[r->n_hops].dev, IFNAMSIZ, "%.15s", dev);
		h[r->n_hops].onlink = *flag;
	}
	r->hops = h;
}
#define ROUTE(s, dest, ...) want_route(s, dest, (const char *const[]){ __VA_ARGS__, NULL })

static void want_sysctl(struct ns_state *s, const char *key, const char *value, bool late)
{
	struct ns_sysctl *c = vec_add(&s->sysctls);

	snprintf(c->key, sizeof c->key, "%s", key);
	snprintf(c->value, sizeof c->value, "%s", value);
	c->late = late;
}

/* One gateway, two dual-stack networks, five floating IPs. */
static void standard(struct ns_state *s, const char *name, unsigned n)
{
	char qg[24], qr1[24], qr2[24], text[64];

	snprintf(qg, sizeof qg, "qg-%u", n);
	snprintf(qr1, sizeof qr1, "qr-%ua", n);
	snprintf(qr2, sizeof qr2, "qr-%ub", n);
	begin_state(s, name);
	want_sysctl(s, "ipv4/ip_forward", "1", false);
	want_sysctl(s, "ipv4/conf/all/arp_ignore", "1", false);
	want_sysctl(s, "ipv4/conf/all/arp_announce", "2", false);
	want_sysctl(s, "ipv4/conf/all/promote_secondaries", "1", false);
	want_sysctl(s, "ipv6/conf/all/forwarding", "1", false);
	snprintf(text, sizeof text, "ipv6/conf/%s/accept_ra", qg);
	want_sysctl(s, text, "0", true);
	want_link(s, qg, br_ex, 1);
	want_link(s, qr1, br_a, 1);
	want_link(s, qr2, br_b, 1);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "198.18.%u.%u/%u", n / 40, 2 + n % 40 * 6 + i, i ? 32 : 16);
		want_addr(s, qg, text);
	}
	snprintf(text, sizeof text, "2001:db8:ff::%x:1/64", n + 1);
	want_addr(s, qg, text);
	want_addr(s, qr1, "10.0.0.1/24");
	want_addr(s, qr1, "2001:db8:1::1/64");
	want_addr(s, qr2, "10.0.1.1/24");
	want_addr(s, qr2, "2001:db8:2::1/64");
	snprintf(text, sizeof text, "198.18.255.254 %s", qg);
	ROUTE(s, "0.0.0.0/0", text);
	snprintf(text, sizeof text, "2001:db8:ff::1 %s", qg);
	ROUTE(s, "::/0", text);
	ROUTE(s, "10.9.0.0/16", "10.0.0.9 -");
	ns_state_sort(s);
}

/* ---- passes ---- */

static char *ops_text(const struct ns_ops *o)
{
	struct text t = { 0 };

	text_put(&t, "");
	for (size_t i = 0; i < o->ops.n; i++) {
		ns_op_print(&o->ops.at[i], &t);
		text_put(&t, "\n");
	}
	return t.at;
}

static void diff_of(const struct ns_state *want, struct ns_ops *ret)
{
	struct ns_state have;

	assert_int_equal(ns_observe(want, &have), 0);
	ns_diff(&have, want, ret);
	ns_state_free(&have);
}

static int apply(struct ns_ops *o)
{
	size_t filter = ns_ops_filter_point(o);
	int before = ns_apply(o, 0, filter), after = ns_apply(o, filter, o->ops.n);

	return before ? before : after;
}

static void assert_in_sync(const struct ns_state *want)
{
	uint64_t writes = nl_writes();
	struct ns_ops o;

	diff_of(want, &o);
	if (o.ops.n)
		fail_msg("not in sync:\n%s", ops_text(&o));
	assert_int_equal(apply(&o), 0);
	assert_int_equal(nl_writes(), writes);
	ns_ops_free(&o);
}

/* Makes it so and proves that nothing is left to be done; returns what was done, a line each (the caller frees it). */
static char *make(const struct ns_state *want)
{
	struct ns_ops o;
	char *ret;
	int error;

	diff_of(want, &o);
	ret = ops_text(&o);
	error = apply(&o);
	for (size_t i = 0; i < o.ops.n; i++)
		if (o.ops.at[i].error)
			print_message("%s: %s\n", want->name, o.ops.at[i].error_text);
	if (error)
		fail_msg("%s: %s\n%s", want->name, strerror(-error), ret);
	ns_ops_free(&o);
	assert_in_sync(want);
	return ret;
}

static void make_quietly(const struct ns_state *want)
{
	free(make(want));
}

/* Makes it so and expects exactly these operations. */
static void assert_done(const struct ns_state *want, const char *wanted)
{
	char *done = make(want);

	assert_string_equal(done, wanted);
	free(done);
}

static void unmake(struct ns_state *want)
{
	struct ns_state gone = { .arena = want->arena, .prefixes = prefixes };

	memcpy(gone.name, want->name, sizeof gone.name);
	make_quietly(&gone);
	end_state(want);
}

/* ---- namespaces ---- */

static void see_name(const char *name, void *ctx)
{
	strcat(ctx, name);
	strcat(ctx, " ");
}

static void test_namespaces(void **state)
{
	char names[256] = "", value[16];
	unsigned long inode;
	int fd, id;

	(void)state;
	assert_false(ns_exists("qrouter-x"));
	assert_int_equal(ns_enter("qrouter-x", NULL), -ENOENT);
	assert_int_equal(ns_delete("qrouter-x"), 0);
	assert_int_equal(ns_enter("../qrouter-x", NULL), -EINVAL);
	assert_int_equal(ns_create("", NULL), -EINVAL);

	/* A file that is left of a creation that did not finish is no namespace, and taken over. */
	run("touch /run/netns/qrouter-x");
	assert_false(ns_exists("qrouter-x"));
	assert_int_equal(ns_enter("qrouter-x", NULL), -ENOENT);
	assert_int_equal(ns_create("qrouter-x", &fd), 0);
	assert_int_equal(sysctl_write("ipv4/ip_forward", "1"), 0);
	assert_int_equal(sysctl_read("ipv4/ip_forward", value, sizeof value), 0);
	assert_string_equal(value, "1");
	assert_int_equal(sysctl_read("ipv4/no_such_key", value, sizeof value), -ENOENT);
	assert_int_equal(sysctl_read("../kernel/ostype", value, sizeof value), -EINVAL);
	ns_leave();
	assert_int_equal(sysctl_read("ipv4/ip_forward", value, sizeof value), 0);
	assert_string_equal(value, "0");
	assert_output("net.ipv4.ip_forward = 1", "ip netns exec qrouter-x sysctl net.ipv4.ip_forward");
	assert_int_equal(ns_create("qrouter-x", NULL), -EEXIST);

	id = ns_id(fd);
	assert_true(id >= 0);
	assert_int_equal(ns_id(fd), id);
	close(fd);
	inode = ns_inode("qrouter-x");
	assert_true(inode > 0);
	run("ip netns add other");
	assert_true(ns_inode("other") != inode);
	ns_list("qrouter-", see_name, names);
	assert_string_equal(names, "qrouter-x ");
	assert_int_equal(ns_delete("qrouter-x"), 0);
	assert_false(ns_exists("qrouter-x"));
	assert_int_not_equal(access("/run/netns/qrouter-x", F_OK), 0);
	run("ip netns del other");
}

/* Every namespace is written and read through mounts that are renewed on the way. */
static void test_sysctls_of_many(void **state)
{
	char name[32], value[16];

	(void)state;
	for (int i = 0; i < 120; i++) {
		snprintf(name, sizeof name, "many-%d", i);
		assert_int_equal(ns_create(name, NULL), 0);
		assert_int_equal(sysctl_write("ipv4/conf/all/arp_ignore", i % 2 ? "1" : "2"), 0);
		ns_leave();
	}
	for (int i = 0; i < 120; i++) {
		snprintf(name, sizeof name, "many-%d", i);
		assert_int_equal(ns_enter(name, NULL), 0);
		assert_int_equal(sysctl_read("ipv4/conf/all/arp_ignore", value, sizeof value), 0);
		assert_string_equal(value, i % 2 ? "1" : "2");
		ns_leave();
		assert_int_equal(ns_delete(name), 0);
	}
}

/* The directory becomes a shared mount of its own, as ip-netns(8) makes it. */
static void test_directory_is_shared(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		bool good = unshare(CLONE_NEWNS) == 0 && mount("none", "/run", "tmpfs", 0, NULL) == 0 &&
			    ns_create("qrouter-first", NULL) == 0;

		ns_leave();
		good = good && system("grep -q ' /run/netns .* shared:' /proc/self/mountinfo") == 0 &&
		       system("ip netns exec qrouter-first true") == 0 && ns_delete("qrouter-first") == 0;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- observe, diff, apply ---- */

static void test_cold_then_nothing(void **state)
{
	struct ns_state want;

	(void)state;
	standard(&want, "qrouter-cold", 1);
	make_quietly(&want);
	assert_output("LOOPBACK,UP", "ip -n qrouter-cold link show lo");
	assert_output("198.18.0.8/16 brd 198.18.255.255 scope global", "ip -n qrouter-cold addr show qg-1");
	assert_output("198.18.0.9/32 brd 198.18.0.9 scope global", "ip -n qrouter-cold addr show qg-1");
	assert_output("default via 198.18.255.254 dev qg-1 proto static \n", "ip -n qrouter-cold route show default");
	assert_output("default via 2001:db8:ff::1 dev qg-1 proto static metric 1024",
		      "ip -n qrouter-cold -6 route show default");
	assert_output("10.9.0.0/16 via 10.0.0.9 dev qr-1a proto static", "ip -n qrouter-cold route");
	assert_output("mtu 1450", "ip -n qrouter-cold link show qr-1a");
	assert_output("master br-ex", "ip link show tap1");
	assert_output("mtu 1450", "ip link show tap1");
	assert_output("state UP", "ip link show tap1a");
	assert_no_output("inet6", "ip addr show tap1a");
	assert_output("= 1\nnet.ipv4.conf.all.arp_announce = 2\nnet.ipv6.conf.qr-1a.forwarding = 1",
		      "ip netns exec qrouter-cold sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_announce "
		      "net.ipv6.conf.qr-1a.forwarding");
	/* The kernel's link-local address of the device is nobody's to remove. */
	await_link_local("qrouter-cold", "qr-1a");
	assert_in_sync(&want);
	unmake(&want);
	assert_no_output("tap1", "ip link");
	assert_false(ns_exists("qrouter-cold"));
}

static void test_every_operation(void **state)
{
	struct ns_state want;

	(void)state;
	begin_state(&want, "qrouter-op");
	want_sysctl(&want, "ipv4/ip_forward", "1", false);
	want_sysctl(&want, "ipv6/conf/qg-o/accept_ra", "2", true);
	want_link(&want, "qg-o", br_ex, 1)->mac = (struct mac){ { 2, 0, 0, 0, 0, 1 } };
	want_addr(&want, "qg-o", "192.0.2.1/24");
	want_addr(&want, "qg-o", "2001:db8::1/64");
	ROUTE(&want, "0.0.0.0/0", "192.0.2.254 qg-o");
	assert_done(&want, "+ namespace\n~ link lo up\n~ sysctl net.ipv4.ip_forward = 1\n"
			   "+ link qg-o peer tapo mac 02:00:00:00:00:01 mtu 1450 bridge br-ex\n"
			   "~ sysctl net.ipv6.conf.qg-o.accept_ra = 2\n"
			   "+ addr 192.0.2.1/24 dev qg-o\n+ addr 2001:db8::1/64 dev qg-o\n"
			   "+ route 0.0.0.0/0 via 192.0.2.254 dev qg-o\n");

	await_link_local("qrouter-op", "qg-o");
	strcpy(want.sysctls.at[0].value, "0");
	strcpy(want.sysctls.at[1].value, "0");
	want.links.at[0].mtu = 1400;
	want.links.at[0].mac.bytes[5] = 2;
	want.addrs.at[0].prefixlen = 25;
	want.addrs.at[1].prefixlen = 128;
	want.routes.n = 0;
	ROUTE(&want, "0.0.0.0/0", "192.0.2.253 qg-o");
	ROUTE(&want, "::/0", "fe80::1 qg-o");
	assert_done(&want, "~ sysctl net.ipv4.ip_forward 1 → 0\n"
			   "~ link qg-o mac 02:00:00:00:00:01 → 02:00:00:00:00:02 mtu 1450 → 1400 peer mtu 1450 → "
			   "1400\n"
			   "~ sysctl net.ipv6.conf.qg-o.accept_ra 2 → 0\n"
			   "+ addr 192.0.2.1/25 dev qg-o\n~ addr 2001:db8::1/128 dev qg-o, was /64\n"
			   "+ route ::/0 metric 1024 via fe80::1 dev qg-o\n"
			   "~ route 0.0.0.0/0 via 192.0.2.253 dev qg-o, was via 192.0.2.254 dev qg-o\n"
			   "- addr 192.0.2.1/24 dev qg-o\n- addr fe80::ff:fe00:1/64 dev qg-o\n");
	assert_output("inet6 fe80::ff:fe00:2/64", "ip -n qrouter-op addr show qg-o");

	want.routes.n = 0;
	want.addrs.n = 1;
	assert_done(&want, "- route 0.0.0.0/0 via 192.0.2.253 dev qg-o\n- route ::/0 metric 1024 via fe80::1 dev qg-o\n"
			   "- addr 2001:db8::1/128 dev qg-o\n");
	want.links.n = want.addrs.n = want.sysctls.n = 0;
	assert_done(&want, "- link qg-o\n");
	want.exists = false;
	assert_done(&want, "- namespace\n");
	assert_done(&want, "");
	run("touch /run/netns/qrouter-op");
	assert_done(&want, "- namespace\n");
	assert_false(ns_is_named("qrouter-op"));
	end_state(&want);
}

static void test_missing_bridge(void **state)
{
	static const char *const missing[] = { "br-missing" }, *const second[] = { "br-missing", "br-a" };
	struct ns_state want;
	struct ns_ops o;

	(void)state;
	begin_state(&want, "qrouter-nobr");
	want_link(&want, "qg-n", missing, 1);
	want_link(&want, "qr-n", br_a, 1);
	ns_state_sort(&want);
	diff_of(&want, &o);
	assert_int_equal(apply(&o), -ENODEV);
	assert_string_equal(o.ops.at[2].error_text, "bridge br-missing does not exist");
	assert_int_equal(o.ops.at[3].error, 0);
	ns_ops_free(&o);
	assert_no_output("qg-n", "ip -n qrouter-nobr link");
	assert_no_output("tapn", "ip -n qrouter-nobr link");
	assert_output("master br-a", "ip link show tapn");	/* the other link's peer has that name: see below */
	want.links.n = 1;
	want.links.at[0] = (struct ns_link){ 0 };
	want.links.n = 0;
	want_link(&want, "qg-m", second, 2);
	assert_done(&want, "+ link qg-m peer tapm mac fa:16:3e:9c:c2:b7 mtu 1450 bridge br-missing,br-a\n- link "
	    "qr-n\n");
	unmake(&want);
}

/* Every kind of damage by hand is found and mended, and what is whole stays: the links keep their indexes unless they
 * were beyond mending. */
static void test_hand_damage(void **state)
{
	static const struct { const char *damage, *done; bool made_anew; } table[] = {
		{ "ip -n qrouter-d addr del 198.18.0.9/32 dev qg-1", "+ addr 198.18.0.9/32 dev qg-1\n" },
		{ "ip -n qrouter-d addr add 192.0.2.9/32 dev qr-1a", "- addr 192.0.2.9/32 dev qr-1a\n" },
		{ "ip -n qrouter-d addr add 2001:db8:9::9/64 dev qr-1a", "- addr 2001:db8:9::9/64 dev qr-1a\n" },
		{ "ip -n qrouter-d addr add fe80::99/64 dev qr-1a", "- addr fe80::99/64 dev qr-1a\n" },
		{ "ip -n qrouter-d addr del 2001:db8:1::1/64 dev qr-1a; ip -n qrouter-d addr add 2001:db8:1::1/80 "
		    "dev qr-1a",
		  "~ addr 2001:db8:1::1/64 dev qr-1a, was /80\n" },
		{ "ip -n qrouter-d addr del 10.0.0.1/24 dev qr-1a; ip -n qrouter-d addr add 10.0.0.1/25 dev qr-1a",
		  "+ addr 10.0.0.1/24 dev qr-1a\n+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n- addr 10.0.0.1/25 dev "
		  "qr-1a\n" },
		{ "ip -n qrouter-d addr del 198.18.0.9/32 dev qg-1; "
		  "ip -n qrouter-d addr add 198.18.0.9/32 dev qg-1 valid_lft 900 preferred_lft 900",
		  "~ addr 198.18.0.9/32 dev qg-1, had a lifetime\n" },
		{ "ip -n qrouter-d -6 addr change 2001:db8:1::1/64 dev qr-1a valid_lft 900 preferred_lft 900",
		  "~ addr 2001:db8:1::1/64 dev qr-1a, had a lifetime\n" },
		{ "ip -n qrouter-d route del default", "+ route 0.0.0.0/0 via 198.18.255.254 dev qg-1\n" },
		{ "ip -n qrouter-d route replace default via 198.18.255.253 dev qg-1 proto static",
		  "~ route 0.0.0.0/0 via 198.18.255.254 dev qg-1, was via 198.18.255.253 dev qg-1\n" },
		{ "ip -n qrouter-d route append default via 198.18.255.253 dev qg-1 proto static",
		  "- route 0.0.0.0/0 via 198.18.255.253 dev qg-1\n" },
		{ "ip -n qrouter-d route prepend default via 198.18.255.253 dev qg-1 proto static",
		  "- route 0.0.0.0/0 via 198.18.255.253 dev qg-1\n" },
		{ "ip -n qrouter-d route add blackhole 192.0.2.0/24 proto static; ip -n qrouter-d route del "
		    "10.9.0.0/16; "
		  "ip -n qrouter-d route add blackhole 10.9.0.0/16 proto static",
		  "~ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a, was\n- route 192.0.2.0/24\n" },
		{ "ip -n qrouter-d -6 route replace default via 2001:db8:ff::9 dev qg-1 proto static metric 1024",
		  "~ route ::/0 metric 1024 via 2001:db8:ff::1 dev qg-1, was via 2001:db8:ff::9 dev qg-1\n" },
		{ "ip -n qrouter-d -6 route add default via 2001:db8:ff::9 dev qg-1 proto static metric 77",
		  "- route ::/0 metric 77 via 2001:db8:ff::9 dev qg-1\n" },
		{ "ip -n qrouter-d -6 route append default via 2001:db8:ff::9 dev qg-1 proto static metric 1024",
		  "~ route ::/0 metric 1024 via 2001:db8:ff::1 dev qg-1, was nexthop via 2001:db8:ff::1 dev qg-1 "
		  "nexthop via 2001:db8:ff::9 dev qg-1\n" },
		{ "ip -n qrouter-d link set qr-1a mtu 1300", "~ link qr-1a mtu 1300 → 1450\n" },
		{ "ip link set tap1a mtu 1300", "~ link qr-1a peer mtu 1300 → 1450\n" },
		{ "ip link set tap1a down", "~ link qr-1a peer up\n" },
		{ "ip link set tap1a nomaster", "~ link qr-1a bridge br-a\n" },
		{ "ip link set tap1a master br-b", "~ link qr-1a bridge br-a\n" },
		{ "sysctl -qw net.ipv6.conf.tap1a.disable_ipv6=0", "~ link qr-1a peer without IPv6\n" },
		{ "ip -n qrouter-d link set qr-1b address fa:16:3e:00:00:99",
		  "~ link qr-1b mac fa:16:3e:00:00:99 → fa:16:3e:3b:1a:68\n" },
		{ "ip -n qrouter-d link set lo down", "~ link lo up\n" },
		{ "ip netns exec qrouter-d sysctl -qw net.ipv4.conf.all.arp_ignore=0",
		  "~ sysctl net.ipv4.conf.all.arp_ignore 0 → 1\n" },
		{ "ip netns exec qrouter-d sysctl -qw net.ipv6.conf.qg-1.accept_ra=1",
		  "~ sysctl net.ipv6.conf.qg-1.accept_ra 1 → 0\n" },
		{ "ip -n qrouter-d link set qr-1a down",
		  "~ link qr-1a up\n+ addr 2001:db8:1::1/64 dev qr-1a\n+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n" },
		{ "ip -n qrouter-d link add qr-stale type bridge", "- link qr-stale\n" },
		{ "ip link add tapstale type veth peer qg-stale netns qrouter-d", "- link qg-stale\n" },
		{ "ip link add tapstale type veth peer qg-stale netns qrouter-d; ip -n qrouter-d link add qr-stale "
		    "type bridge; "
		  "ip -n qrouter-d link set qg-stale up; ip -n qrouter-d addr add 192.0.2.1/24 dev qg-stale; "
		  "ip -n qrouter-d route add 192.0.2.128/25 via 192.0.2.7 proto static", "- link qg-stale\n- link "
		  "qr-stale\n" },
		/* from here on the index changes */
		{ "ip link del tap1a", "+ link qr-1a peer tap1a mac fa:16:3e:3b:1a:67 mtu 1450 bridge br-a\n"
		  "+ addr 10.0.0.1/24 dev qr-1a\n+ addr 2001:db8:1::1/64 dev qr-1a\n"
		  "+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n", true },
		{ "ip link set tap1a down; ip link set tap1a name tapstranger",
		  "~ made anew: link qr-1a peer tap1a mac fa:16:3e:3b:1a:67 mtu 1450 bridge br-a\n"
		  "+ addr 10.0.0.1/24 dev qr-1a\n+ addr 2001:db8:1::1/64 dev qr-1a\n"
		  "+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n", true },
		{ "ip link set tap1a netns qrouter-d",
		  "~ made anew: link qr-1a peer tap1a mac fa:16:3e:3b:1a:67 mtu 1450 bridge br-a\n"
		  "+ addr 10.0.0.1/24 dev qr-1a\n+ addr 2001:db8:1::1/64 dev qr-1a\n"
		  "+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n", true },
		{ "ip -n qrouter-d link del qr-1a; ip -n qrouter-d link add qr-1a type bridge",
		  "~ made anew: link qr-1a peer tap1a mac fa:16:3e:3b:1a:67 mtu 1450 bridge br-a\n"
		  "+ addr 10.0.0.1/24 dev qr-1a\n+ addr 2001:db8:1::1/64 dev qr-1a\n"
		  "+ route 10.9.0.0/16 via 10.0.0.9 dev qr-1a\n", true },
	};
	struct ns_state want;

	(void)state;
	standard(&want, "qrouter-d", 1);
	memcpy(((struct ns_hop *)want.routes.at[1].hops)->dev, "qr-1a", 6);
	make_quietly(&want);
	await_link_local("qrouter-d", "qg-1");
	await_link_local("qrouter-d", "qr-1a");
	await_link_local("qrouter-d", "qr-1b");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		uint32_t before = ifindex_in("qrouter-d", "qr-1a");
		char *done;

		run("%s", table[i].damage);
		done = make(&want);
		if (strcmp(done, table[i].done) != 0)
			fail_msg("after `%s`\n%sand not\n%s", table[i].damage, done, table[i].done);
		free(done);
		if (!table[i].made_anew)
			assert_int_equal(ifindex_in("qrouter-d", "qr-1a"), before);
	}
	assert_no_output("tapstranger", "ip link");
	unmake(&want);
}

/* What is neither wanted nor has one of the prefixes is somebody else's. */
static void test_strangers_stay(void **state)
{
	struct ns_state want;

	(void)state;
	standard(&want, "qrouter-s", 1);
	make_quietly(&want);
	run("ip -n qrouter-s link add vpn0 type bridge; ip -n qrouter-s link set vpn0 up; "
	    "ip -n qrouter-s addr add 192.0.2.1/24 dev vpn0; ip -n qrouter-s route add 198.51.100.0/24 via 192.0.2.2; "
	    "ip -n qrouter-s route add default via 192.0.2.2 proto static table 77; "
	    "ip -n qrouter-s route add default via 192.0.2.2 proto static tos 4; "
	    "ip -n qrouter-s addr add 192.0.2.77/32 dev qr-1a valid_lft 900 preferred_lft 900");
	assert_done(&want, "");
	want.addrs.n--;
	make_quietly(&want);
	assert_output("192.0.2.1/24", "ip -n qrouter-s addr show vpn0");
	assert_output("198.51.100.0/24 via 192.0.2.2 dev vpn0", "ip -n qrouter-s route");
	assert_output("default via 192.0.2.2 dev vpn0", "ip -n qrouter-s route show table 77");
	assert_output("default tos", "ip -n qrouter-s route");
	assert_output("192.0.2.77/32", "ip -n qrouter-s addr show qr-1a");
	unmake(&want);
}

/* A primary address of a subnet goes, its secondaries and what is routed by them stay. */
static void test_secondaries_are_promoted(void **state)
{
	struct ns_state want;

	(void)state;
	begin_state(&want, "qrouter-p");
	want_sysctl(&want, "ipv4/conf/all/promote_secondaries", "1", false);
	want_link(&want, "qg-p", br_ex, 1);
	want_addr(&want, "qg-p", "192.0.2.1/24");
	want_addr(&want, "qg-p", "192.0.2.2/24");
	want_addr(&want, "qg-p", "192.0.2.3/24");
	ROUTE(&want, "0.0.0.0/0", "192.0.2.254 qg-p");
	make_quietly(&want);
	want.addrs.at[0] = want.addrs.at[2];
	want.addrs.n = 2;
	ns_state_sort(&want);
	assert_done(&want, "- addr 192.0.2.1/24 dev qg-p\n");

	/* All addresses are exchanged: the link is never without one, so that its routes stay. */
	want.addrs.n = 0;
	want_addr(&want, "qg-p", "192.0.2.9/24");
	assert_done(&want, "+ addr 192.0.2.9/24 dev qg-p\n- addr 192.0.2.2/24 dev qg-p\n- addr 192.0.2.3/24 dev "
	    "qg-p\n");
	unmake(&want);
}

static void test_gateway_out_of_subnet(void **state)
{
	struct ns_state want;

	(void)state;
	begin_state(&want, "qrouter-o");
	want_link(&want, "qg-o", br_ex, 1);
	want_addr(&want, "qg-o", "192.0.2.1/24");
	want_addr(&want, "qg-o", "2001:db8::1/64");
	ROUTE(&want, "0.0.0.0/0", "198.51.100.1 qg-o onlink");
	ROUTE(&want, "::/0", "2001:db8:99::1 qg-o onlink");
	ROUTE(&want, "203.0.113.0/24", "- qg-o");
	ROUTE(&want, "198.18.0.0/16", "203.0.113.7 -");		/* reached by the route before */
	ROUTE(&want, "198.19.0.0/16", "198.51.100.2 qg-o onlink", "198.51.100.3 qg-o onlink");
	ROUTE(&want, "2001:db8:77::/48", "2001:db8:99::2 qg-o onlink", "2001:db8:99::3 qg-o onlink");
	ROUTE(&want, "2001:db8:78::/48", "- qg-o");
	ROUTE(&want, "198.51.100.128/25", "fe80::1 qg-o");
	ns_state_sort(&want);
	make_quietly(&want);
	assert_output("default via 198.51.100.1 dev qg-o proto static onlink", "ip -n qrouter-o route");
	assert_output("203.0.113.0/24 dev qg-o proto static scope link", "ip -n qrouter-o route");
	assert_output("198.51.100.128/25 via inet6 fe80::1 dev qg-o", "ip -n qrouter-o route");
	unmake(&want);

	begin_state(&want, "qrouter-o");
	want_link(&want, "qg-o", br_ex, 1);
	ROUTE(&want, "0.0.0.0/0", "198.51.100.1 qg-o");
	ROUTE(&want, "198.18.0.0/16", "198.51.100.1 qr-none");
	{
		struct ns_ops o;

		ns_state_sort(&want);
		diff_of(&want, &o);
		assert_int_equal(apply(&o), -ENETUNREACH);
		assert_string_equal(o.ops.at[3].error_text,
				    "Network is unreachable (kernel: Nexthop has invalid gateway)");
		assert_string_equal(o.ops.at[4].error_text, "device qr-none does not exist");
		assert_int_equal(o.ops.at[4].error, -ENODEV);
		assert_int_equal(o.ops.at[2].error, 0);
		ns_ops_free(&o);
	}
	unmake(&want);
}

/* ---- multipath ---- */

struct prober { pid_t pid; struct { volatile unsigned long asked, missed; volatile bool stop; } *shared; };

/* Another process asks for a route to each of the two without a pause: connect() of a datagram socket is a look-up. */
static void start_prober(struct prober *p, const char *ns)
{
	p->shared = mmap(NULL, sizeof *p->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(p->shared != MAP_FAILED);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(9) };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
		int fd4, fd6;

		if (ns_enter(ns, NULL) < 0)
			_exit(1);
		inet_pton(AF_INET, "203.0.113.1", &v4.sin_addr);
		inet_pton(AF_INET6, "2001:db8:77::1", &v6.sin6_addr);
		fd4 = socket(AF_INET, SOCK_DGRAM, 0);
		fd6 = socket(AF_INET6, SOCK_DGRAM, 0);
		while (!p->shared->stop) {
			p->shared->missed += connect(fd4, (struct sockaddr *)&v4, sizeof v4) < 0;
			p->shared->missed += connect(fd6, (struct sockaddr *)&v6, sizeof v6) < 0;
			p->shared->asked++;
		}
		_exit(0);
	}
	while (p->shared->asked < 10)
		usleep(1000);
}

static void stop_prober(struct prober *p)
{
	int status;

	p->shared->stop = true;
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
	if (p->shared->missed)
		fail_msg("no route in %lu of %lu look-ups", p->shared->missed, p->shared->asked);
	munmap((void *)p->shared, sizeof *p->shared);
}

static void want_hops(struct ns_state *want, const char *const *v4, const char *const *v6)
{
	want->routes.n = 0;
	want_route(want, "203.0.113.0/24", v4);
	want_route(want, "2001:db8:77::/48", v6);
	ns_state_sort(want);
}
#define HOPS(...) (const char *const[]){ __VA_ARGS__, NULL }

static void test_multipath(void **state)
{
	struct ns_state want;
	struct prober p;

	(void)state;
	begin_state(&want, "qrouter-mp");
	want_link(&want, "qr-mp", br_a, 1);
	want_addr(&want, "qr-mp", "192.0.2.1/24");
	want_addr(&want, "qr-mp", "2001:db8::1/64");
	ns_state_sort(&want);
	make_quietly(&want);
	run("for i in $(seq 100); do ip -n qrouter-mp -6 addr | grep -q tentative || exit 0; sleep 0.05; done");
	want_hops(&want, HOPS("192.0.2.8 -", "192.0.2.9 qr-mp"), HOPS("2001:db8::8 -", "2001:db8::9 qr-mp"));
	make_quietly(&want);
	assert_output("203.0.113.0/24 proto static \n\tnexthop via 192.0.2.8 dev qr-mp weight 1 \n"
		      "\tnexthop via 192.0.2.9 dev qr-mp weight 1", "ip -n qrouter-mp route");
	start_prober(&p, "qrouter-mp");
	for (int i = 0; i < 25; i++) {
		want_hops(&want, HOPS("192.0.2.9 -"), HOPS("2001:db8::9 -"));
		make_quietly(&want);
		assert_output("203.0.113.0/24 via 192.0.2.9 dev qr-mp proto static \n", "ip -n qrouter-mp route");
		want_hops(&want, HOPS("192.0.2.7 -", "192.0.2.8 -", "192.0.2.9 qr-mp"),
			  HOPS("2001:db8::7 -", "2001:db8::8 qr-mp", "2001:db8::9 -"));
		make_quietly(&want);
		want_hops(&want, HOPS("192.0.2.5 -", "192.0.2.6 -"), HOPS("2001:db8::5 -", "2001:db8::6 -"));
		make_quietly(&want);
		want_hops(&want, HOPS("- qr-mp"), HOPS("- qr-mp"));
		make_quietly(&want);
		want_hops(&want, HOPS("192.0.2.8 -", "192.0.2.9 -"), HOPS("2001:db8::8 -", "2001:db8::9 -"));
		make_quietly(&want);
		want_hops(&want, HOPS("- qr-mp"), HOPS("- qr-mp"));
		make_quietly(&want);
		want_hops(&want, HOPS("192.0.2.7 -"), HOPS("2001:db8::7 -"));
		make_quietly(&want);
		want_hops(&want, HOPS("192.0.2.8 -", "192.0.2.9 -"), HOPS("2001:db8::8 -", "2001:db8::9 -"));
		make_quietly(&want);
	}
	stop_prober(&p);
	want.routes.n = 0;
	assert_done(&want, "- route 203.0.113.0/24 nexthop via 192.0.2.8 dev qr-mp nexthop via 192.0.2.9 dev qr-mp\n"
			   "- route 2001:db8:77::/48 metric 1024 nexthop via 2001:db8::8 dev qr-mp "
			   "nexthop via 2001:db8::9 dev qr-mp\n");
	assert_no_output("2001:db8:77::/48", "ip -n qrouter-mp -6 route");
	unmake(&want);
}

/* ---- bridges and stale devices ---- */

/* By pairs, both ends of which are ports. */
static void fill_bridge(const char *bridge, unsigned n)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	uint32_t master;

	assert_int_equal(nl_open(&nl, NETLINK_ROUTE), 0);
	master = nl_ifindex(&nl, bridge);
	for (unsigned i = 0; i < n; i++) {
		struct ifinfomsg down = { 0 };
		struct nlmsghdr *h;
		struct nlattr *info, *data, *peer;
		char name[IFNAMSIZ];

		snprintf(name, sizeof name, "%.8s.%u", bridge, i);
		if (i % 2 == 0) {
			h = nl_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &down, sizeof down);
			mnl_attr_put_strz(h, IFLA_IFNAME, name);
			info = mnl_attr_nest_start(h, IFLA_LINKINFO);
			mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
			data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
			peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
			memset(mnl_nlmsg_get_payload_tail(h), 0, sizeof down);
			h->nlmsg_len += sizeof down;
			snprintf(name, sizeof name, "%.8s.%u", bridge, i + 1);
			mnl_attr_put_strz(h, IFLA_IFNAME, name);
			mnl_attr_nest_end(h, peer);
			mnl_attr_nest_end(h, data);
			mnl_attr_nest_end(h, info);
			snprintf(name, sizeof name, "%.8s.%u", bridge, i);
		}
		h = nl_begin(&b, RTM_SETLINK, 0, &down, sizeof down);
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
		mnl_attr_put_u32(h, IFLA_MASTER, master);
	}
	assert_int_equal(nl_send(&nl, &b, NULL, NULL), 0);
	nl_batch_free(&b);
	nl_close(&nl);
}

/* Deleting 1,025 devices one by one would take half a minute: in one sweep, by their group. */
static void forget_devices(const char *bridge, const char *other)
{
	run("for d in $(ip -o link show master %s | sed 's/^[0-9]*: //; s/[@:].*//'); do echo link set $d group 7; "
	    "done | ip -b - &&"
	    " ip link del group 7; ip link del %s; ip link del %s", bridge, bridge, other);
}

static void test_full_bridges(void **state)
{
	static const char *const two[] = { "br-full1", "br-full2" }, *const first[] = { "br-full1" };
	struct ns_state want;
	struct ns_ops o;

	(void)state;
	run("ip link add br-full1 type bridge; ip link add br-full2 type bridge");
	fill_bridge("br-full1", 1023);
	begin_state(&want, "qrouter-f");
	want_link(&want, "qg-f1", two, 2);
	want_link(&want, "qg-f2", two, 2);
	ns_state_sort(&want);
	make_quietly(&want);
	assert_output("master br-full2", "ip link show tapf1");
	assert_output("master br-full2", "ip link show tapf2");

	/* A port that becomes free makes nobody move. */
	run("ip link set br-full1.0 nomaster");
	assert_done(&want, "");
	run("ip link set br-full1.0 master br-full1");

	want.links.at[0].bridges = first;
	want.links.at[0].n_bridges = 1;
	diff_of(&want, &o);
	assert_int_equal(o.ops.n, 1);
	assert_int_equal(apply(&o), -EXFULL);
	assert_string_equal(o.ops.at[0].error_text, "bridge br-full1 has no free port (1,023 at most)");
	ns_ops_free(&o);
	run("ip link set br-full1.7 nomaster");
	make_quietly(&want);
	assert_output("master br-full1", "ip link show tapf1");
	unmake(&want);
	forget_devices("br-full1", "br-full2");
}

/* A root end that is left by a namespace which lingers: a process of somebody else keeps it alive. */
static void test_stale_peer(void **state)
{
	struct ns_state want;
	struct ns_ops o;

	(void)state;
	begin_state(&want, "qrouter-l");
	want_link(&want, "qg-l", br_ex, 1);
	make_quietly(&want);
	run("ip netns exec qrouter-l sh -c 'sleep 30 & echo $! >/run/netns/pid'; ip netns del qrouter-l");
	assert_output("tapl", "ip link");
	make_quietly(&want);
	assert_output("master br-ex", "ip link show tapl");
	run("kill $(cat /run/netns/pid); rm /run/netns/pid");
	unmake(&want);

	/* A device of another kind is not ours to delete. */
	run("ip link add tapl type bridge");
	begin_state(&want, "qrouter-l");
	want_link(&want, "qg-l", br_ex, 1);
	diff_of(&want, &o);
	assert_int_equal(apply(&o), -EEXIST);
	assert_string_equal(o.ops.at[2].error_text, "tapl exists in the root namespace and is no veth");
	ns_ops_free(&o);
	run("ip link del tapl");
	unmake(&want);
}

/* The port of a network is replaced by another one with the same addresses: duplicate address detection must not see
 * both. */
static void test_replaced_port(void **state)
{
	struct ns_state want;
	char *done;

	(void)state;
	begin_state(&want, "qrouter-r");
	want_link(&want, "qr-old", br_a, 1);
	want_addr(&want, "qr-old", "192.0.2.1/24");
	want_addr(&want, "qr-old", "2001:db8::1/64");
	make_quietly(&want);
	run("for i in $(seq 100); do ip -n qrouter-r -6 addr | grep -q tentative || exit 0; sleep 0.05; done");
	want.links.n = want.addrs.n = 0;
	want_link(&want, "qr-new", br_a, 1);
	want_addr(&want, "qr-new", "192.0.2.1/24");
	want_addr(&want, "qr-new", "2001:db8::1/64");
	done = make(&want);
	assert_int_equal(strncmp(done, "- link qr-old\n+ link qr-new", 27), 0);
	free(done);
	run("for i in $(seq 100); do ip -n qrouter-r -6 addr | grep -q tentative || exit 0; sleep 0.05; done");
	assert_no_output("dadfailed", "ip -n qrouter-r -6 addr");
	unmake(&want);
}

/* ---- stress ---- */

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static void random_state(struct ns_state *s)
{
	static const char *const v4[] = { "10.0.%u.%u/24", "10.0.%u.%u/25", "10.0.%u.%u/32" };
	static const char *const v6[] = { "2001:db8:%x::%x/64", "2001:db8:%x::%x/80" };
	static const char *const *const bridges[] = { br_ex, br_a, br_b };
	char text[64], via[ROUTE_MAX_HOPS][64];
	const char *hops[ROUTE_MAX_HOPS + 1];

	begin_state(s, "qrouter-stress");
	want_sysctl(s, "ipv4/conf/all/promote_secondaries", "1", false);
	want_sysctl(s, "ipv4/ip_forward", dice(2) ? "1" : "0", false);
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = dice(8);

		if (i && dice(4) == 0)
			continue;
		snprintf(text, sizeof text, "qr-%u", i);
		want_link(s, text, bridges[dice(3)], 1)->mtu = 1400 + dice(2) * 50;
		/* With its last IPv4 address a device loses its IPv4 routes, and that after the new ones are made. */
		snprintf(text, sizeof text, "10.1.%u.1/32", i);
		want_addr(s, &"qr-0\0qr-1\0qr-2\0qr-3"[i * 5], text);
		snprintf(text, sizeof text, "ipv6/conf/qr-%u/accept_ra", i);
		want_sysctl(s, text, dice(2) ? "0" : "2", true);
		for (unsigned k = 0; k < n; k++) {
			snprintf(text, sizeof text, v4[dice(3)], i, 1 + k * 3);
			want_addr(s, &"qr-0\0qr-1\0qr-2\0qr-3"[i * 5], text);
			snprintf(text, sizeof text, v6[dice(2)], i, 1 + dice(2) + 2 * k);
			want_addr(s, &"qr-0\0qr-1\0qr-2\0qr-3"[i * 5], text);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 1 + dice(3);

		for (unsigned k = 0; k < n; k++) {
			snprintf(via[k], sizeof via[k], "10.9.9.%u qr-0 onlink", 1 + k + dice(2) * 10);
			hops[k] = via[k];
		}
		hops[n] = NULL;
		snprintf(text, sizeof text, "203.0.113.%u/28", i * 16);
		if (dice(3))
			want_route(s, text, hops);
		for (unsigned k = 0; k < n; k++)
			snprintf(via[k], sizeof via[k], "fe80::%x qr-0", 1 + k + dice(2) * 16);
		snprintf(text, sizeof text, "2001:db8:f%u::/48", i);
		if (dice(3))
			want_route(s, text, hops);
	}
	ns_state_sort(s);
	if (dice(20) == 0) {
		s->exists = false;
		s->links.n = s->addrs.n = s->routes.n = s->sysctls.n = 0;
	}
}

static void test_stress(void **state)
{
	uint64_t end = clock_ms() + 5000;
	unsigned states = 0;
	struct ns_state want;
	const char *given = getenv("SEED");

	(void)state;
	if (given)
		seed = (uint32_t)strtoul(given, NULL, 10);
	else
		assert_int_equal(getrandom(&seed, sizeof seed, 0), sizeof seed);
	seed = seed ? seed : 1;
	print_message("SEED=%u\n", seed);
	while (clock_ms() < end) {
		random_state(&want);
		make_quietly(&want);
		end_state(&want);
		states++;
	}
	assert_true(states > 5);
	begin_state(&want, "qrouter-stress");
	unmake(&want);
}

#ifdef L3AGENT_CRASH
/* ---- killed in the middle ---- */

/* Does it in a process of its own that dies after the n-th write; true if it got to the end. */
static bool make_until_killed(const struct ns_state *want, unsigned n)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		char text[16];
		struct ns_state have;
		struct ns_ops o;

		snprintf(text, sizeof text, "%u", (unsigned)nl_writes() + n);
		setenv("L3AGENT_DIE_AFTER", text, 1);
		if (ns_observe(want, &have) < 0)
			_exit(1);
		ns_diff(&have, want, &o);
		_exit(apply(&o) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return false;
	assert_int_equal(status, 0);
	return true;
}

static void test_killed(void **state)
{
	struct ns_state want, gone;

	(void)state;
	for (unsigned n = 1, done = 0; !done; n++) {
		standard(&want, "qrouter-k", 1);
		done = make_until_killed(&want, n);
		make_quietly(&want);
		gone = (struct ns_state){ .arena = want.arena, .prefixes = prefixes };
		memcpy(gone.name, want.name, sizeof gone.name);
		make_until_killed(&gone, n);
		unmake(&want);
		assert_no_output("tap1", "ip link");
	}
}
#endif

/* ---- announce ---- */

static int listen_on(const char *dev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* The next frame that equals one of ours is `frame`; others (DAD, MLD) are the kernel's. */
static void assert_heard(int fd, const uint8_t *frame, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t got[2048];

	while (poll(&p, 1, 2000) == 1)
		if (recv(fd, got, sizeof got, 0) == (ssize_t)n && memcmp(got, frame, n) == 0)
			return;
	fail_msg("a frame was not heard");
}

static void test_announce(void **state)
{
	struct announcement list[] = {
		{ .dev = "qg-g" , .ip = ip("192.0.2.1") }, { .dev = "qg-g", .ip = ip("2001:db8::1") },
		{ .dev = "qg-g", .ip = ip("192.0.2.9") }, { .dev = "qr-none", .ip = ip("192.0.2.1") },
		{ .dev = "qr-g", .ip = ip("192.0.2.1") }, { .dev = "qr-g", .ip = ip("2001:db8:7::1") },
	};
	uint8_t frame[ANNOUNCE_FRAME_MAX];
	struct ns_state want;
	size_t frames = 99;
	int fd;

	(void)state;
	assert_int_equal(announce_send("qrouter-none", list, 1, &frames), -ENOENT);
	begin_state(&want, "qrouter-gratuitous");
	want_link(&want, "qg-g", br_ex, 1);
	strcpy(want_link(&want, "qr-g", br_a, 1)->peer, "tapg2");
	want_addr(&want, "qg-g", "192.0.2.1/24");
	want_addr(&want, "qg-g", "2001:db8::1/64");
	ns_state_sort(&want);
	make_quietly(&want);
	run("for i in $(seq 100); do ip -n qrouter-gratuitous -6 addr show qg-g | grep -q tentative || exit 0; "
	    "sleep 0.05; done");
	run("ip netns exec qrouter-gratuitous sysctl -qw net.ipv6.conf.qr-g.dad_transmits=100");
	want_addr(&want, "qr-g", "2001:db8:7::1/64");
	ns_state_sort(&want);
	make_quietly(&want);
	fd = listen_on("tapg");
	assert_int_equal(announce_send("qrouter-gratuitous", list, sizeof list / sizeof *list, &frames), 0);
	assert_int_equal(frames, 3);
	assert_int_equal(list[0].result, ANNOUNCE_SENT);
	assert_int_equal(list[1].result, ANNOUNCE_SENT);
	assert_int_equal(list[2].result, ANNOUNCE_NOT_OURS);
	assert_int_equal(list[3].result, ANNOUNCE_NOT_OURS);
	assert_int_equal(list[4].result, ANNOUNCE_NOT_OURS);
	assert_int_equal(list[5].result, ANNOUNCE_TENTATIVE);
	for (int form = 0; form < 2; form++)
		assert_heard(fd, frame, announce_build(&list[0].ip, &want.links.at[0].mac, form, frame));
	assert_heard(fd, frame, announce_build(&list[1].ip, &want.links.at[0].mac, 0, frame));
	close(fd);
	run("ip -n qrouter-gratuitous link set qg-g down");
	assert_int_equal(announce_send("qrouter-gratuitous", list, 1, &frames), 0);
	assert_int_equal(list[0].result, ANNOUNCE_FAILED);
	assert_int_equal(list[0].error, -ENETDOWN);
	unmake(&want);
}

/* ---- watch ---- */

struct heard { int id, changed, links, overruns; char dev[IFNAMSIZ]; };	/* changed: of namespace id */

static void on_event(const struct watch_event *e, void *ctx)
{
	struct heard *h = ctx;

	h->overruns += e->kind == WATCH_OVERRUN;
	h->links += e->kind == WATCH_LINK_NEW;
	h->changed += e->kind == WATCH_CHANGED && e->ns_id == h->id;
	if (*e->dev)
		memcpy(h->dev, e->dev, sizeof h->dev);
}

static struct heard hear(struct watch *w, int id)
{
	struct heard h = { .id = id };

	while (watch_read(w, w->route_fd, on_event, &h) == 0)
		;
	while (watch_read(w, w->nft_fd, on_event, &h) == 0)
		;
	return h;
}

/* Some things are told by the kernel's background workers. */
static void calm(struct watch *w)
{
	usleep(300000);
	hear(w, -1);
}

static void assert_told(struct watch *w, int id, const char *command)
{
	hear(w, id);
	run("%s", command);
	for (int i = 0; i < 100; i++) {
		if (hear(w, id).changed)
			return;
		usleep(20000);
	}
	fail_msg("`%s` was not told", command);
}

static void assert_not_told(struct watch *w, int id, const char *command)
{
	struct heard h;

	calm(w);
	run("%s", command);
	h = hear(w, id);
	if (h.changed)
		fail_msg("`%s` told %d times of %s", command, h.changed, h.dev);
}

static void commit_table(const char *ns)
{
	struct nfgenmsg family = { .nfgen_family = NFPROTO_INET };
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	struct nlmsghdr *h;

	assert_int_equal(ns_enter(ns, NULL), 0);
	assert_int_equal(nl_open(&nl, NETLINK_NETFILTER), 0);
	ns_leave();
	h = nl_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE, &family, sizeof family);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, "own");
	assert_int_equal(nl_send_nft(&nl, &b, 0, NULL, NULL), 0);
	nl_batch_free(&b);
	nl_close(&nl);
}

static void test_watch(void **state)
{
	static const char *const told[] = {
		"ip -n qrouter-w addr add 192.0.2.7/24 dev qg-w",
		"ip -n qrouter-w addr del 192.0.2.1/24 dev qg-w",
		"ip -n qrouter-w addr add 192.0.2.1/24 dev qg-w",
		"ip -n qrouter-w -6 addr add 2001:db8::7/64 dev qg-w nodad",
		"ip -n qrouter-w -6 addr del 2001:db8::7/64 dev qg-w",
		"ip -n qrouter-w route del default",
		"ip -n qrouter-w route add default via 192.0.2.254 proto static",
		"ip -n qrouter-w link set qg-w mtu 1300",
		"ip -n qrouter-w link set qg-w down",
		"ip -n qrouter-w link set qg-w up",
		"ip link set tapw mtu 1200",
		"ip link set tapw down",
		"ip link set tapw nomaster",
		"ip netns exec qrouter-w nft add table ip stranger",
		"ip -n qrouter-w link del qg-w",
	};
	struct ns_state want;
	struct watch w;
	struct heard h;
	int fd, id;

	(void)state;
	begin_state(&want, "qrouter-w");
	want_sysctl(&want, "ipv4/conf/all/promote_secondaries", "1", false);
	want_link(&want, "qg-w", br_ex, 1);
	want_addr(&want, "qg-w", "192.0.2.1/24");
	ROUTE(&want, "0.0.0.0/0", "192.0.2.254 qg-w");
	make_quietly(&want);
	assert_int_equal(ns_enter("qrouter-w", &fd), 0);
	ns_leave();
	id = ns_id(fd);
	close(fd);
	assert_true(id >= 0);
	assert_int_equal(watch_open(&w), 0);
	h = hear(&w, id);
	assert_int_equal(h.changed, 0);
	run("ip -n qrouter-w addr add 192.0.2.6/24 dev qg-w");
	assert_int_equal(hear(&w, id).changed, 0);		/* not listening yet */
	run("ip -n qrouter-w addr del 192.0.2.6/24 dev qg-w");
	assert_int_equal(watch_listen(&w), 0);
	await_link_local("qrouter-w", "qg-w");
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		assert_told(&w, id, told[i]);
	assert_not_told(&w, id, "ip addr add 192.0.2.99/32 dev lo; ip addr del 192.0.2.99/32 dev lo");
	assert_not_told(&w, id, "ip -n qrouter-w route add 192.0.2.99/32 dev lo; ip -n qrouter-w route del "
	    "192.0.2.99/32");

	/* Own changes: an address, a route, a removal. */
	make_quietly(&want);
	calm(&w);
	want.routes.n = 0;
	ROUTE(&want, "0.0.0.0/0", "192.0.2.253 qg-w");
	ROUTE(&want, "198.51.100.0/24", "192.0.2.252 -");
	want_addr(&want, "qg-w", "192.0.2.2/32");
	make_quietly(&want);
	want.addrs.n--;
	want.routes.n--;
	make_quietly(&want);
	commit_table("qrouter-w");
	h = hear(&w, id);
	if (h.changed)
		fail_msg("own changes were told: %d, %s", h.changed, h.dev);

	/* A bridge that appears. */
	run("ip link add br-late type bridge");
	h = hear(&w, id);
	assert_true(h.links > 0);
	assert_string_equal(h.dev, "br-late");
	run("ip link del br-late");

	watch_pause(&w);
	run("ip -n qrouter-w addr add 192.0.2.5/24 dev qg-w");
	assert_int_equal(hear(&w, id).changed, 0);
	assert_int_equal(watch_listen(&w), 0);
	assert_int_equal(hear(&w, id).changed, 0);
	watch_close(&w);
	unmake(&want);
}

static void test_watch_overrun(void **state)
{
	struct watch w;
	int size = 4096;
	struct heard h;

	(void)state;
	assert_int_equal(watch_open(&w), 0);
	assert_int_equal(setsockopt(w.route_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size), 0);
	assert_int_equal(watch_listen(&w), 0);
	run("for i in $(seq 20); do ip link set br-a mtu 1400; ip link set br-a mtu 1500; done");
	h = hear(&w, -1);
	assert_int_equal(h.overruns, 1);
	watch_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_sysctls_of_many),
		cmocka_unit_test(test_directory_is_shared),
		cmocka_unit_test(test_cold_then_nothing),
		cmocka_unit_test(test_every_operation),
		cmocka_unit_test(test_missing_bridge),
		cmocka_unit_test(test_hand_damage),
		cmocka_unit_test(test_strangers_stay),
		cmocka_unit_test(test_secondaries_are_promoted),
		cmocka_unit_test(test_gateway_out_of_subnet),
		cmocka_unit_test(test_multipath),
		cmocka_unit_test(test_full_bridges),
		cmocka_unit_test(test_stale_peer),
		cmocka_unit_test(test_replaced_port),
		cmocka_unit_test(test_stress),
#ifdef L3AGENT_CRASH
		cmocka_unit_test(test_killed),
#endif
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_watch_overrun),
	};

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (mkdir(NS_DIR, 0755) < 0 && errno != EEXIST) || mount("none", NS_DIR, "tmpfs", 0, NULL) < 0 ||
	    ns_init() < 0) {
		perror("needs root");
		return 1;
	}
	run("ip link set lo up; for b in br-ex br-a br-b; do ip link add $b type bridge; ip link set $b up; done");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
