/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What netns/ costs per router: microseconds of a cold apply, a warm observe, one added address and a removal, for each
 * number of namespaces on the command line (default 10 100 1000). Runs in namespaces of its own; needs root. */

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "nl.h"
#include "state.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { MAX_NAMESPACES = 10000, ROUNDS = 1000, KINDS = 3, MAX_BRIDGES = MAX_NAMESPACES / 25 + 1 };

/* Routers that share a bridge: an external network has many, a tenant's few. */
static const unsigned share[KINDS] = { 1000, 25, 25 };


static const char *const prefixes[] = { "qr-", "qg-", NULL };
static char bridge_names[KINDS][MAX_BRIDGES][IFNAMSIZ];
static const char *bridges[KINDS][MAX_BRIDGES];

static void make_bridges(unsigned n)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	int error = nl_open(&nl, NETLINK_ROUTE);

	for (size_t kind = 0; !error && kind < KINDS; kind++)
		for (size_t i = 0; i <= n / share[kind]; i++) {
			struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
			struct nlmsghdr *h = nl_begin(&b, RTM_NEWLINK, NLM_F_CREATE, &up, sizeof up);
			struct nlattr *info;

			snprintf(bridge_names[kind][i], IFNAMSIZ, "br-%zu-%zu", kind, i);
			bridges[kind][i] = bridge_names[kind][i];
			mnl_attr_put_strz(h, IFLA_IFNAME, bridges[kind][i]);
			info = mnl_attr_nest_start(h, IFLA_LINKINFO);
			mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
			mnl_attr_nest_end(h, info);
		}
	if (!error)
		error = nl_send(&nl, &b, NULL, NULL);
	if (error)
		fatal("bridges: %s", strerror(-error));
	nl_batch_free(&b);
	nl_close(&nl);
}

__attribute__((format(printf, 3, 4)))
static void want_addr(struct ns_state *s, const char *dev, const char *format, ...)
{
	struct ns_addr *a = vec_add(&s->addrs);
	char text[PREFIX_TEXT];
	struct prefix p;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (prefix_parse(text, false, &p) < 0)
		fatal("%s", text);
	snprintf(a->dev, sizeof a->dev, "%s", dev);
	a->ip = p.ip;
	a->prefixlen = p.length;
}

static void want_route(struct ns_state *s, const char *via, const char *dev)
{
	struct ns_route *r = vec_add(&s->routes);
	struct ns_hop *h = arena_alloc(s->arena, sizeof *h);

	if (ip_parse(via, &h->via) < 0)
		fatal("%s", via);
	snprintf(h->dev, sizeof h->dev, "%s", dev);
	r->dest.ip.family = h->via.family;
	r->metric = h->via.family == AF_INET6 ? 1024 : 0;
	r->hops = h;
	r->n_hops = 1;
}

static void want_sysctl(struct ns_state *s, const char *key, const char *value, bool late)
{
	struct ns_sysctl *c = vec_add(&s->sysctls);

	snprintf(c->key, sizeof c->key, "%s", key);
	snprintf(c->value, sizeof c->value, "%s", value);
	c->late = late;
}

/* One gateway with five floating IPs and two dual-stack networks. */
static void want_router(struct ns_state *s, unsigned n)
{
	static const char *const names[] = { "qg-", "qr-a", "qr-b" };
	char dev[3][IFNAMSIZ], key[64];

	*s = (struct ns_state){ .arena = arena_new(1 << 20), .exists = true, .lo_up = true, .prefixes = prefixes };
	snprintf(s->name, sizeof s->name, "qrouter-%u", n);
	want_sysctl(s, "ipv4/ip_forward", "1", false);
	want_sysctl(s, "ipv4/conf/all/arp_ignore", "1", false);
	want_sysctl(s, "ipv4/conf/all/arp_announce", "2", false);
	want_sysctl(s, "ipv4/conf/all/promote_secondaries", "1", false);
	want_sysctl(s, "ipv6/conf/all/forwarding", "1", false);
	for (unsigned i = 0; i < 3; i++) {
		struct ns_link *l = vec_add(&s->links);

		snprintf(dev[i], IFNAMSIZ, "%s%u", names[i], n);
		memcpy(l->name, dev[i], IFNAMSIZ);
		snprintf(l->peer, sizeof l->peer, "tap%u%u", i, n);
		l->mac = (struct mac){ { 0xfa, 0x16, 0x3e, (uint8_t)i, (uint8_t)(n >> 8), (uint8_t)n } };
		l->mtu = 1450;
		l->bridges = &bridges[i][n / share[i]];
		l->n_bridges = 1;
	}
	snprintf(key, sizeof key, "ipv6/conf/%s/accept_ra", dev[0]);
	want_sysctl(s, key, "0", true);
	for (unsigned i = 0; i < 6; i++)
		want_addr(s, dev[0], "198.18.%u.%u/%d", n / 40 % 250, 2 + n % 40 * 6 + i, i ? 32 : 15);
	want_addr(s, dev[0], "2001:db8:ff::%x/64", n + 2);
	for (unsigned i = 1; i < 3; i++) {
		want_addr(s, dev[i], "10.%u.%u.1/24", i, n % 250);
		want_addr(s, dev[i], "2001:db8:%x:%x::1/64", i, n);
	}
	want_route(s, "198.19.255.254", dev[0]);
	want_route(s, "2001:db8:ff::1", dev[0]);
	ns_state_sort(s);
}

static void look(const struct ns_state *want, struct ns_ops *ret)
{
	struct ns_state have;
	int error = ns_observe(want, &have);

	if (error)
		fatal("%s: %s", want->name, strerror(-error));
	ns_diff(&have, want, ret);
	ns_state_free(&have);
}

static void make(const struct ns_state *want)
{
	struct ns_ops o;
	int error;

	look(want, &o);
	error = ns_apply(&o, 0, o.ops.n);
	if (error)
		fatal("%s: %s", want->name, strerror(-error));
	ns_ops_free(&o);
}

struct spent { uint64_t wall, cpu; };

static struct spent now(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (struct spent){ clock_us(), (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
					   (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) };
}

static void tell(const char *what, struct spent *start, unsigned n)
{
	struct spent end = now();

	printf("  %s %.0f (%.0f)", what, (double)(end.wall - start->wall) / n, (double)(end.cpu - start->cpu) / n);
	fflush(stdout);
	*start = now();
}

static void measure(unsigned n)
{
	struct ns_state *want = calloc(n, sizeof *want);
	struct spent start;
	unsigned rounds = n > ROUNDS ? n : ROUNDS;

	if (!want)
		fatal("out of memory");
	make_bridges(n);
	for (unsigned i = 0; i < n; i++)
		want_router(&want[i], i);
	printf("%6u namespaces, us a router (of that processor time):", n);
	start = now();
	for (unsigned i = 0; i < n; i++)
		make(&want[i]);
	tell("cold", &start, n);
	for (unsigned i = 0; i < rounds; i++) {
		struct ns_ops o;

		look(&want[i % n], &o);
		if (o.ops.n)
			fatal("%s: not in sync", want[i % n].name);
		ns_ops_free(&o);
	}
	tell("warm", &start, rounds);
	for (unsigned i = 0; i < n; i++) {
		char dev[IFNAMSIZ];

		snprintf(dev, sizeof dev, "qg-%u", i);
		want_addr(&want[i], dev, "203.0.113.%u/32", i % 250);
		ns_state_sort(&want[i]);
		make(&want[i]);
	}
	tell("address", &start, n);
	for (unsigned i = 0; i < n; i++) {
		want[i].exists = false;
		want[i].links.n = want[i].addrs.n = want[i].routes.n = want[i].sysctls.n = 0;
		make(&want[i]);
		ns_state_free(&want[i]);
		arena_free(want[i].arena);
	}
	tell("removal", &start, n);
	printf("\n");
	free(want);
}

int main(int argc, char **argv)
{
	static const unsigned defaults[] = { 10, 100, 1000 };

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (mkdir(NS_DIR, 0755) < 0 && errno != EEXIST) || mount("none", NS_DIR, "tmpfs", 0, NULL) < 0 ||
	    ns_init() < 0)
		fatal("needs root: %s", strerror(errno));
	for (int i = 1; i < argc; i++) {
		unsigned n = (unsigned)strtoul(argv[i], NULL, 10);

		if (!n || n > MAX_NAMESPACES)
			fatal("%s: a number from 1 to %d", argv[i], MAX_NAMESPACES);
		measure(n);
	}
	for (size_t i = 0; argc < 2 && i < sizeof defaults / sizeof *defaults; i++)
		measure(defaults[i]);
	return 0;
}
