/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the kernel charges: makes the same kernel objects as l3agentd makes for N standard routers, in the plainest way. One
 * process, one request at a time with its ack, /proc/sys, one libnftables command a router; nothing is read, compared or
 * remembered. Prints one JSON object with the seconds that each kind of object took.
 *
 *   floor COUNT [FIRST]     routers FIRST… (0) to FIRST + COUNT - 1, in the network namespace that it is started in
 *   floor --bridges COUNT   only the bridges that so many routers need
 *
 * bench.py writes the same routers as files; the two must agree in every name, address and option. */

#include "ip.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

enum { FLOATING_IPS = 5, PORTS_PER_BRIDGE = 25, ROUTERS_MAX = 1000 };
enum phase { NETNS, SYSCTL, LINK, ADDR, ROUTE, NFT, PHASES };

static const char *const phase_names[PHASES] = { "netns", "sysctl", "link", "addr", "route", "nft" };
static double spent[PHASES];
static int root_fd = -1;		/* the network namespace that it was started in */

_Noreturn static void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn static void die(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "floor: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Books the time since *at to the phase. */
static void book(enum phase phase, double *at)
{
	double t = now();

	spent[phase] += t - *at;
	*at = t;
}

/* ---- rtnetlink, one message at a time ---- */

static char buffer[8192];
static struct nlmsghdr *request;

static void *begin(uint16_t type, uint16_t flags, size_t extra)
{
	request = mnl_nlmsg_put_header(buffer);
	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return mnl_nlmsg_put_extra_header(request, extra);
}

static void finish(struct mnl_socket *nl, const char *what)
{
	static unsigned int seq;
	char answer[8192];
	ssize_t n;

	request->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		die("%s", what);
	n = mnl_socket_recvfrom(nl, answer, sizeof answer);
	if (n < 0 || mnl_cb_run(answer, (size_t)n, seq, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		die("%s", what);
}

static struct mnl_socket *open_route(void)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("rtnetlink socket");
	return nl;
}

static void make_bridge(struct mnl_socket *nl, const char *name)
{
	struct ifinfomsg *link = begin(RTM_NEWLINK, NLM_F_CREATE, sizeof *link);
	struct nlattr *info;

	link->ifi_flags = link->ifi_change = IFF_UP;
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(request, info);
	finish(nl, name);
}

static void set_up(struct mnl_socket *nl, unsigned int index)
{
	struct ifinfomsg *link = begin(RTM_NEWLINK, 0, sizeof *link);

	link->ifi_index = (int)index;
	link->ifi_flags = link->ifi_change = IFF_UP;
	finish(nl, "link up");
}

static void make_veth(struct mnl_socket *nl, const char *tap, const char *dev, const struct mac *mac, unsigned int bridge,
		      int ns_fd)
{
	struct nlattr *info, *data, *peer;

	begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, tap);
	mnl_attr_put_u32(request, IFLA_MTU, 1500);
	mnl_attr_put_u32(request, IFLA_MASTER, bridge);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, dev);
	mnl_attr_put(request, IFLA_ADDRESS, sizeof mac->bytes, mac->bytes);
	mnl_attr_put_u32(request, IFLA_MTU, 1500);
	mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	mnl_attr_nest_end(request, peer);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	finish(nl, tap);
}

static void add_address(struct mnl_socket *nl, unsigned int index, const char *text)
{
	struct ifaddrmsg *addr = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *addr);
	struct prefix p;

	if (prefix_parse(text, true, &p) < 0)
		die("%s", text);
	addr->ifa_family = p.ip.family;
	addr->ifa_prefixlen = p.length;
	addr->ifa_index = index;
	mnl_attr_put(request, IFA_LOCAL, ip_bits(p.ip.family) / 8u, p.ip.bytes);
	if (p.ip.family == AF_INET) {
		struct ip broadcast = prefix_broadcast(&p);

		mnl_attr_put(request, IFA_ADDRESS, 4, p.ip.bytes);
		mnl_attr_put(request, IFA_BROADCAST, 4, broadcast.bytes);
	}
	finish(nl, text);
}

static void add_default(struct mnl_socket *nl, unsigned int index, const char *via)
{
	struct rtmsg *route = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *route);
	struct ip ip;

	if (ip_parse(via, &ip) < 0)
		die("%s", via);
	route->rtm_family = ip.family;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(request, RTA_GATEWAY, ip_bits(ip.family) / 8u, ip.bytes);
	mnl_attr_put_u32(request, RTA_OIF, index);
	finish(nl, via);
}

/* ---- one router ---- */

static void write_sysctl(const char *key, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/%s", key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die("%s", path);
	close(fd);
}

/* Leaves the process in the new namespace. */
static int make_namespace(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		die("%s", path);
	close(fd);
	if (unshare(CLONE_NEWNET) < 0 || mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) < 0)
		die("%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s", path);
	return fd;
}

static void enter(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		die("setns");
}

/* The table of the standard router, as `nft list ruleset` shows it in a router that l3agentd has made. */
static const char table[] =
	"table inet l3agent {\n"
	" set external { type ifname; elements = { \"%1$s\" }; }\n"
	" map floating { type ipv4_addr : ipv4_addr; elements = { %4$s }; }\n"
	" map fixed { type ipv4_addr : ipv4_addr; elements = { %5$s }; }\n"
	" map forwards { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\n"
	" map sources { type ifname : ipv4_addr; elements = { \"%1$s\" : %2$s }; }\n"
	" map hairpin { type nf_proto : ipv4_addr; elements = { ipv4 : %2$s }; }\n"
	" set leaving { type ipv4_addr . inet_proto . inet_service; }\n"
	" set leaving6 { type ipv6_addr; }\n"
	" chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n"
	"  dnat ip to ip daddr map @floating\n"
	"  iifname \"qr-*\" ip daddr 169.254.169.254 tcp dport 80 redirect to :%3$u\n"
	"  iifname \"qr-*\" ip6 daddr fe80::a9fe:a9fe tcp dport 80 redirect to :%3$u\n"
	"  dnat ip to ip daddr . meta l4proto . th dport map @forwards\n }\n"
	" chain output { type nat hook output priority -100; policy accept;\n"
	"  dnat ip to ip daddr map @floating\n }\n"
	" chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname != @external ct status ! dnat accept\n"
	"  snat ip to ip saddr map @fixed fully-random\n"
	"  meta nfproto ipv4 snat ip to oifname map @sources fully-random\n"
	"  iifname != @external ct status dnat snat ip to meta nfproto map @hairpin fully-random\n }\n"
	" chain input { type filter hook input priority filter; policy accept;\n"
	"  tcp dport %3$u ct original ip daddr 169.254.169.254 accept\n"
	"  tcp dport %3$u ct original ip6 daddr fe80::a9fe:a9fe accept\n"
	"  tcp dport %3$u drop\n }\n"
	"}\n";

static void make_table(const char *qg, const char *gateway, const char *floating, const char *fixed)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	char text[4096];

	snprintf(text, sizeof text, table, qg, gateway, 9697u, floating, fixed);
	if (!nft || nft_run_cmd_from_buffer(nft, text) != 0)
		die("nft");
	nft_ctx_free(nft);
}

struct port { char tap[IFNAMSIZ], dev[IFNAMSIZ]; struct mac mac; unsigned int index; };

/* As conf/routers.c derives a port's id: from the router's and the words that name the port. */
static void name_port(const char *prefix, const struct uuid *router, const char *what, struct port *ret)
{
	struct uuid id = uuid_v5(router, what);
	char id_text[UUID_TEXT];

	uuid_print(&id, id_text);
	ret->mac = mac_from_uuid(&id);
	snprintf(ret->tap, sizeof ret->tap, "tap%.11s", id_text);
	snprintf(ret->dev, sizeof ret->dev, "%s%.11s", prefix, id_text);
}

static unsigned int bridge_index(const char *name, unsigned int k)
{
	char text[IFNAMSIZ];
	unsigned int index;

	snprintf(text, sizeof text, "%s%u", name, k);
	index = if_nametoindex(text);
	if (!index)
		die("bridge %s", text);
	return index;
}

static void plug(struct mnl_socket *root, struct mnl_socket *inside, struct port *p, unsigned int bridge, int ns_fd)
{
	char disable_ipv6[64];

	enter(root_fd);
	make_veth(root, p->tap, p->dev, &p->mac, bridge, ns_fd);
	snprintf(disable_ipv6, sizeof disable_ipv6, "ipv6/conf/%s/disable_ipv6", p->tap);
	write_sysctl(disable_ipv6, "1");
	set_up(root, if_nametoindex(p->tap));
	enter(ns_fd);
	p->index = if_nametoindex(p->dev);
	set_up(inside, p->index);
}

static void write_sysctls(const char *qg)
{
	static const char *const keys[] = { "ipv4/ip_forward", "ipv4/conf/all/arp_announce",
					    "ipv4/conf/all/arp_ignore", "ipv4/conf/all/promote_secondaries",
					    "ipv6/conf/all/forwarding", "netfilter/nf_conntrack_tcp_be_liberal" };
	char accept_ra[64];

	if (qg) {
		snprintf(accept_ra, sizeof accept_ra, "ipv6/conf/%s/accept_ra", qg);
		write_sysctl(accept_ra, "0");
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		write_sysctl(keys[i], i == 1 ? "2" : "1");
	write_sysctl("ipv6/conf/default/mldv2_unsolicited_report_interval", "10000");
}

static void add_addresses(struct mnl_socket *nl, const struct port ports[3], unsigned int i, char *ret_gateway,
			  struct text *ret_floating, struct text *ret_fixed)
{
	unsigned int high = i >> 8, low = i & 255;
	char text[PREFIX_TEXT];

	sprintf(ret_gateway, "198.18.%u.%u", 1 + high, low);
	snprintf(text, sizeof text, "%s/15", ret_gateway);
	add_address(nl, ports[0].index, text);
	snprintf(text, sizeof text, "2001:db8:ff::1:%x/64", i);
	add_address(nl, ports[0].index, text);
	for (unsigned int k = 0; k < FLOATING_IPS; k++) {
		unsigned int n = i * FLOATING_IPS + k;

		snprintf(text, sizeof text, "198.19.%u.%u", n >> 8, n & 255);
		add_address(nl, ports[0].index, text);
		text_printf(ret_floating, "%s%s : 10.%u.%u.%u", k ? ", " : "", text, high, low, 10 + k);
		text_printf(ret_fixed, "%s10.%u.%u.%u : %s", k ? ", " : "", high, low, 10 + k, text);
	}
	for (unsigned int net = 0; net < 2; net++) {
		snprintf(text, sizeof text, "10.%u.%u.1/24", net * 64 + high, low);
		add_address(nl, ports[1 + net].index, text);
		snprintf(text, sizeof text, "2001:db8:%x:%x::1/64", 0x100 + net, i);
		add_address(nl, ports[1 + net].index, text);
	}
}

static void make_router(struct mnl_socket *root, unsigned int i)
{
	static const char *const bridges[3] = { "br-ex", "br-blue", "br-green" };
	static const char *const networks[3] = { "gateway:ex%u", "interface:blue%u:0", "interface:green%u:0" };
	struct text floating = { 0 }, fixed = { 0 };
	char name[64], id_text[UUID_TEXT], gateway[32];
	struct mnl_socket *inside;
	struct port ports[3];
	double at = now();
	struct uuid id;
	int ns_fd;

	snprintf(name, sizeof name, "router:bench-%u", i);
	id = uuid_v5(&uuid_space_l3agent, name);
	snprintf(name, sizeof name, "qrouter-%s", uuid_print(&id, id_text));
	ns_fd = make_namespace(name);
	inside = open_route();
	set_up(inside, 1);			/* lo is the first device of every namespace */
	book(NETNS, &at);
	write_sysctls(NULL);
	book(SYSCTL, &at);
	for (unsigned int p = 0; p < 3; p++) {
		unsigned int bridge = p ? i / PORTS_PER_BRIDGE : 0;

		snprintf(name, sizeof name, networks[p], bridge);
		name_port(p ? "qr-" : "qg-", &id, name, &ports[p]);
		enter(root_fd);
		plug(root, inside, &ports[p], bridge_index(bridges[p], bridge), ns_fd);
	}
	book(LINK, &at);
	write_sysctls(ports[0].dev);
	book(SYSCTL, &at);
	add_addresses(inside, ports, i, gateway, &floating, &fixed);
	book(ADDR, &at);
	add_default(inside, ports[0].index, "198.18.0.1");
	add_default(inside, ports[0].index, "2001:db8:ff::1");
	book(ROUTE, &at);
	make_table(ports[0].dev, gateway, text_str(&floating), text_str(&fixed));
	book(NFT, &at);
	text_free(&floating);
	text_free(&fixed);
	mnl_socket_close(inside);
	enter(root_fd);
	close(ns_fd);
	book(NETNS, &at);
}

static void make_bridges(struct mnl_socket *nl, unsigned int count)
{
	char name[IFNAMSIZ];

	make_bridge(nl, "br-ex0");
	for (unsigned int k = 0; k * PORTS_PER_BRIDGE < count; k++) {
		snprintf(name, sizeof name, "br-blue%u", k);
		make_bridge(nl, name);
		snprintf(name, sizeof name, "br-green%u", k);
		make_bridge(nl, name);
	}
}

int main(int argc, char **argv)
{
	bool only_bridges = argc > 1 && strcmp(argv[1], "--bridges") == 0;
	unsigned int count = argc > 1 + only_bridges ? (unsigned int)atoi(argv[1 + only_bridges]) : 0;
	unsigned int first = !only_bridges && argc > 2 ? (unsigned int)atoi(argv[2]) : 0;
	struct mnl_socket *nl = open_route();
	double start;

	if (count < 1 || first + count > ROUTERS_MAX) {
		fprintf(stderr, "usage: floor COUNT [FIRST] | floor --bridges COUNT (at most %d routers)\n", ROUTERS_MAX);
		return 2;
	}
	if (only_bridges) {
		make_bridges(nl, count);
		return 0;
	}
	root_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	start = now();
	for (unsigned int i = first; i < first + count; i++)
		make_router(nl, i);
	printf("{\"routers\": %u, \"seconds\": %.6f", count, now() - start);
	for (int p = 0; p < PHASES; p++)
		printf(", \"%s\": %.6f", phase_names[p], spent[p]);
	printf("}\n");
	return 0;
}
