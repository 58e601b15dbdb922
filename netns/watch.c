/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include "nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVE = 32 << 10,
	/* Some ten thousand events: a bulk of foreign changes while one pass of ours is under way. */
	RECEIVE_BUFFER = 8 << 20,
	NEW_GENERATION = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN,
};

static const int route_groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
				    RTNLGRP_IPV6_ROUTE };
static const int nft_groups[] = { NFNLGRP_NFTABLES };

/* ---- sockets ---- */

/* Loads of more than a byte are in network order, netlink's fields in the host's. */
#define TYPE_IS(type, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(type), yes, no)
#define LOAD_TYPE BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type))
#define PASS BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)

static int open_socket(int protocol, const struct sock_filter *filter, size_t n, int *ret)
{
	struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)filter };
	struct sockaddr_nl any_port = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), error = 0;
	int on = 1, size = RECEIVE_BUFFER;

	if (fd < 0)
		return -errno;
	/* Port 0, that of a socket not bound, is passed over: it is the sender of all that the kernel tells. */
	if (bind(fd, (struct sockaddr *)&any_port, sizeof any_port) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	*ret = fd;
	return 0;
}

/* Of routes only those of protocol static: each address that comes or goes brings two or three of the kernel's own. */
static int open_route_socket(int *ret)
{
	const struct sock_filter filter[] = {
		LOAD_TYPE,
		TYPE_IS(RTM_NEWROUTE, 1, 0),
		TYPE_IS(RTM_DELROUTE, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct nlmsghdr) + offsetof(struct rtmsg, rtm_protocol)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_STATIC, 0, 1),
		PASS,
		DROP,
	};

	return open_socket(NETLINK_ROUTE, filter, sizeof filter / sizeof *filter, ret);
}

/* One message a commit, instead of one an object. */
static int open_nft_socket(int *ret)
{
	const struct sock_filter filter[] = { LOAD_TYPE, TYPE_IS(NEW_GENERATION, 0, 1), PASS, DROP };

	return open_socket(NETLINK_NETFILTER, filter, sizeof filter / sizeof *filter, ret);
}

int watch_open(struct watch *w)
{
	int error;

	*w = (struct watch){ .route_fd = -1, .nft_fd = -1 };
	error = open_route_socket(&w->route_fd);
	if (!error)
		error = open_nft_socket(&w->nft_fd);
	if (error)
		watch_close(w);
	return error;
}

void watch_close(struct watch *w)
{
	if (w->route_fd >= 0)
		close(w->route_fd);
	if (w->nft_fd >= 0)
		close(w->nft_fd);
	w->route_fd = w->nft_fd = -1;
}

static int set_groups(int fd, const int *groups, size_t n, int option)
{
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, SOL_NETLINK, option, &groups[i], sizeof *groups) < 0)
			return -errno;
	return 0;
}

static int set_all_groups(struct watch *w, int option)
{
	int error = set_groups(w->route_fd, route_groups, sizeof route_groups / sizeof *route_groups, option);

	return error ? error : set_groups(w->nft_fd, nft_groups, sizeof nft_groups / sizeof *nft_groups, option);
}

int watch_listen(struct watch *w)
{
	return set_all_groups(w, NETLINK_ADD_MEMBERSHIP);
}

static void drain(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}

void watch_pause(struct watch *w)
{
	set_all_groups(w, NETLINK_DROP_MEMBERSHIP);
	drain(w->route_fd);
	drain(w->nft_fd);
}

/* ---- events ---- */

struct hearing {
	int ns_id;
	void (*got)(const struct watch_event *e, void *ctx);
	void *ctx;
};

static void tell(const struct hearing *to, int kind, int ns_id, const struct nlattr *name)
{
	struct watch_event e = { .ns_id = ns_id, .kind = kind };

	if (name)
		memcpy(e.dev, mnl_attr_get_payload(name), strnlen(mnl_attr_get_payload(name), IFNAMSIZ - 1));
	to->got(&e, to->ctx);
}

static bool is_bridge(const struct nlattr *linkinfo)
{
	static const uint16_t want[IFLA_INFO_KIND + 1] = { [IFLA_INFO_KIND] = sizeof "bridge" };
	const struct nlattr *tb[IFLA_INFO_KIND + 1];

	if (!linkinfo)
		return false;
	nl_attrs(tb, want, IFLA_INFO_KIND + 1, mnl_attr_get_payload(linkinfo),
		 (const char *)linkinfo + linkinfo->nla_len);
	return tb[IFLA_INFO_KIND] && memcmp(mnl_attr_get_payload(tb[IFLA_INFO_KIND]), "bridge", sizeof "bridge") == 0;
}

static void hear_link(const struct hearing *to, const struct nlmsghdr *h)
{
	static const uint16_t want[IFLA_LINK_NETNSID + 1] = { [IFLA_IFNAME] = 2, [IFLA_LINK_NETNSID] = 4 };
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFLA_LINK_NETNSID + 1];
	bool is_new = h->nlmsg_type == RTM_NEWLINK && i->ifi_change == UINT32_MAX;

	if (i->ifi_family != AF_UNSPEC)		/* a port's state, by the bridge; the link's own message comes too */
		return;
	nl_attrs(tb, want, IFLA_LINK_NETNSID + 1, mnl_nlmsg_get_payload_offset(h, sizeof *i),
		 mnl_nlmsg_get_payload_tail(h));
	if (to->ns_id >= 0) {
		tell(to, WATCH_CHANGED, to->ns_id, tb[IFLA_IFNAME]);
	} else if (tb[IFLA_LINK_NETNSID]) {
		int other = (int)mnl_attr_get_u32(tb[IFLA_LINK_NETNSID]);

		if (other >= 0 && !is_new)
			tell(to, WATCH_CHANGED, other, tb[IFLA_IFNAME]);
	} else if (h->nlmsg_type == RTM_DELLINK) {
		tell(to, WATCH_CHANGED, -1, tb[IFLA_IFNAME]);
	} else if (is_new || is_bridge(tb[IFLA_LINKINFO])) {
		tell(to, WATCH_LINK_NEW, -1, tb[IFLA_IFNAME]);
	}
}

/* What the kernel adds by itself has a lifetime or is link-local. */
static bool is_consequence(const struct nlmsghdr *h)
{
	static const uint16_t want[IFA_FLAGS + 1] = { [IFA_FLAGS] = 4 };
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFA_FLAGS + 1];

	if (h->nlmsg_type != RTM_NEWADDR || i->ifa_family != AF_INET6)
		return false;
	nl_attrs(tb, want, IFA_FLAGS + 1, mnl_nlmsg_get_payload_offset(h, sizeof *i), mnl_nlmsg_get_payload_tail(h));
	return i->ifa_scope == RT_SCOPE_LINK || !tb[IFA_FLAGS] || !(mnl_attr_get_u32(tb[IFA_FLAGS]) & IFA_F_PERMANENT);
}

static void hear(const struct hearing *to, const struct nlmsghdr *h)
{
	if (nl_is_ours(h->nlmsg_pid))
		return;
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		hear_link(to, h);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (to->ns_id >= 0 && !is_consequence(h))
			tell(to, WATCH_CHANGED, to->ns_id, NULL);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case NEW_GENERATION:
		if (to->ns_id >= 0)
			tell(to, WATCH_CHANGED, to->ns_id, NULL);
		break;
	}
}

/* Messages of root itself carry no id. */
static int id_of(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int ret;

		if (c->cmsg_level != SOL_NETLINK || c->cmsg_type != NETLINK_LISTEN_ALL_NSID)
			continue;
		memcpy(&ret, CMSG_DATA(c), sizeof ret);
		return ret;
	}
	return -1;
}

int watch_read(struct watch *w, int fd, void (*got)(const struct watch_event *e, void *ctx), void *ctx)
{
	char buffer[RECEIVE] __attribute__((aligned(MNL_ALIGNTO))), control[CMSG_SPACE(sizeof(int)) * 4];
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { buffer, sizeof buffer };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control, .msg_controllen = sizeof control };
	struct hearing to = { .ns_id = -1, .got = got, .ctx = ctx };
	ssize_t n;
	int left;

	(void)w;
	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ENOBUFS)
		return -errno;
	if (n < 0 || msg.msg_flags & MSG_TRUNC) {
		tell(&to, WATCH_OVERRUN, -1, NULL);
		return 0;
	}
	if (from.nl_pid)		/* only the kernel is believed */
		return 0;
	to.ns_id = id_of(&msg);
	left = (int)n;
	for (const struct nlmsghdr *h = (void *)buffer; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		hear(&to, h);
	return 0;
}
