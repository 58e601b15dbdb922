/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "announce.h"

#include "nl.h"
#include "ns.h"
#include "vec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARP_FORMS = 2 };

/* ---- frames ---- */

static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

/* RFC 826 for Ethernet and IPv4. */
struct arp_frame {
	uint8_t to[6], from[6];
	uint16_t ethertype;
	uint16_t hardware, protocol;
	uint8_t hardware_size, protocol_size;
	uint16_t operation;
	uint8_t sha[6], spa[4], tha[6], tpa[4];
} __attribute__((packed));

static size_t build_arp(const struct ip *ip, const struct mac *mac, int form, uint8_t *at)
{
	struct arp_frame f = {
		.ethertype = htons(ETHERTYPE_ARP), .hardware = htons(ARPHRD_ETHER), .protocol = htons(ETHERTYPE_IP),
		.hardware_size = 6, .protocol_size = 4, .operation = htons(form ? ARPOP_REPLY : ARPOP_REQUEST),
	};

	memcpy(f.to, everybody.bytes, 6);
	memcpy(f.from, mac->bytes, 6);
	memcpy(f.sha, mac->bytes, 6);
	memcpy(f.tha, form ? mac->bytes : everybody.bytes, 6);
	memcpy(f.spa, ip->bytes, 4);
	memcpy(f.tpa, ip->bytes, 4);
	memcpy(at, &f, sizeof f);
	return sizeof f;
}

/* RFC 4861, section 4.4, with the target link-layer address option of section 4.6.1, to all nodes. */
struct na_frame {
	uint8_t to[6], from[6];
	uint16_t ethertype;
	uint32_t version;		/* and class and flow label, zero */
	uint16_t length;
	uint8_t next_header, hop_limit;
	uint8_t source[16], destination[16];
	uint8_t type, code;
	uint16_t checksum;
	uint32_t flags;
	uint8_t target[16];
	uint8_t option, option_length, target_mac[6];
} __attribute__((packed));

_Static_assert(sizeof(struct na_frame) == ANNOUNCE_FRAME_MAX, "the longest frame");

enum { NA_SIZE = 32, ICMPV6 = 58, HOP_LIMIT = 255 };

static uint32_t add_words(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	return sum;
}

/* RFC 4443, section 2.3: over the pseudo header and the message, whose last NA_SIZE bytes the frame ends with. */
static uint16_t na_checksum(const struct na_frame *f)
{
	const uint8_t *message = (const uint8_t *)f + sizeof *f - NA_SIZE;
	uint32_t sum = NA_SIZE + ICMPV6;

	sum = add_words(sum, f->source, sizeof f->source);
	sum = add_words(sum, f->destination, sizeof f->destination);
	sum = add_words(sum, message, NA_SIZE);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static size_t build_na(const struct ip *ip, const struct mac *mac, uint8_t *at)
{
	struct na_frame f = {
		.to = { 0x33, 0x33, 0, 0, 0, 1 }, .ethertype = htons(ETHERTYPE_IPV6), .version = htonl(6u << 28),
		.length = htons(NA_SIZE), .next_header = ICMPV6, .hop_limit = HOP_LIMIT,
		.destination = { 0xff, 2, [15] = 1 }, .type = ND_NEIGHBOR_ADVERT,
		.flags = ND_NA_FLAG_ROUTER | ND_NA_FLAG_OVERRIDE,
		.option = ND_OPT_TARGET_LINKADDR, .option_length = 1,
	};

	memcpy(f.from, mac->bytes, 6);
	memcpy(f.source, ip->bytes, 16);
	memcpy(f.target, ip->bytes, 16);
	memcpy(f.target_mac, mac->bytes, 6);
	f.checksum = na_checksum(&f);
	memcpy(at, &f, sizeof f);
	return sizeof f;
}

size_t announce_build(const struct ip *ip, const struct mac *mac, int form, uint8_t frame[ANNOUNCE_FRAME_MAX])
{
	return ip->family == AF_INET ? build_arp(ip, mac, form, frame) : build_na(ip, mac, frame);
}

/* ---- what the kernel has ---- */

struct owned { uint32_t ifindex; struct ip ip; bool tentative; };

struct sending {
	VEC(struct owned) owned;
	int fd;
	char dev[IFNAMSIZ];		/* the last one looked up */
	uint32_t ifindex;
	struct mac mac;
	size_t frames;
};

static int compare_owned(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	return x->ifindex != y->ifindex ? (x->ifindex < y->ifindex ? -1 : 1) : ip_compare(&x->ip, &y->ip);
}

static int got_addr(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[IFA_FLAGS + 1] = { [IFA_ADDRESS] = 4, [IFA_LOCAL] = 4, [IFA_FLAGS] = 4 };
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFA_FLAGS + 1], *ip;
	struct sending *s = ctx;
	struct owned *o;
	uint32_t flags;

	nl_attrs(tb, want, IFA_FLAGS + 1, mnl_nlmsg_get_payload_offset(h, sizeof *i), mnl_nlmsg_get_payload_tail(h));
	ip = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (!ip || h->nlmsg_type != RTM_NEWADDR || mnl_attr_get_payload_len(ip) != ip_bits(i->ifa_family) / 8u)
		return 0;
	flags = tb[IFA_FLAGS] ? mnl_attr_get_u32(tb[IFA_FLAGS]) : i->ifa_flags;
	o = vec_add(&s->owned);
	o->ifindex = i->ifa_index;
	o->ip.family = i->ifa_family;
	memcpy(o->ip.bytes, mnl_attr_get_payload(ip), mnl_attr_get_payload_len(ip));
	o->tentative = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED);
	return 0;
}

static void forget_addrs(void *ctx)
{
	((struct sending *)ctx)->owned.n = 0;
}

static int read_addrs(struct sending *s)
{
	struct ifaddrmsg all = { .ifa_family = AF_UNSPEC };
	struct nl_batch b = { 0 };
	struct nl nl = NL_NONE;
	int error = nl_open(&nl, NETLINK_ROUTE);

	if (error)
		return error;
	nl_begin(&b, RTM_GETADDR, NLM_F_DUMP, &all, sizeof all);
	error = nl_ask(&nl, &b, got_addr, forget_addrs, s);
	vec_sort(&s->owned, compare_owned);
	nl_batch_free(&b);
	nl_close(&nl);
	return error;
}

/* False: there is no such device. */
static bool look_up(struct sending *s, const char *dev)
{
	struct ifreq q = { 0 };

	if (s->ifindex && strcmp(s->dev, dev) == 0)
		return true;
	s->ifindex = 0;
	memcpy(q.ifr_name, dev, sizeof q.ifr_name);
	if (ioctl(s->fd, SIOCGIFHWADDR, &q) < 0)
		return false;
	memcpy(s->mac.bytes, q.ifr_hwaddr.sa_data, sizeof s->mac.bytes);
	if (ioctl(s->fd, SIOCGIFINDEX, &q) < 0)
		return false;
	s->ifindex = (uint32_t)q.ifr_ifindex;
	memcpy(s->dev, dev, sizeof s->dev);
	return true;
}

static int send_frame(struct sending *s, const struct ip *ip, int form)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)s->ifindex, .sll_halen = 6,
				  .sll_protocol = htons(ip->family == AF_INET ? ETHERTYPE_ARP : ETHERTYPE_IPV6) };
	uint8_t frame[ANNOUNCE_FRAME_MAX];
	size_t n = announce_build(ip, &s->mac, form, frame);

	memcpy(to.sll_addr, frame, 6);
	if (sendto(s->fd, frame, n, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) < 0)
		return -errno;
	s->frames++;
	return 0;
}

static void announce(struct sending *s, struct announcement *a)
{
	struct owned key = { .ip = a->ip }, *o = NULL;

	if (look_up(s, a->dev)) {
		key.ifindex = s->ifindex;
		o = s->owned.n ? bsearch(&key, s->owned.at, s->owned.n, sizeof key, compare_owned) : NULL;
	}
	a->error = 0;
	a->result = !o ? ANNOUNCE_NOT_OURS : o->tentative ? ANNOUNCE_TENTATIVE : ANNOUNCE_SENT;
	for (int form = 0; a->result == ANNOUNCE_SENT && form < (a->ip.family == AF_INET ? ARP_FORMS : 1); form++) {
		a->error = send_frame(s, &a->ip, form);
		if (a->error)
			a->result = ANNOUNCE_FAILED;
	}
}

int announce_send(const char *ns, struct announcement *list, size_t n, size_t *ret_frames)
{
	struct sending s = { .fd = -1 };
	int error = ns_enter(ns, NULL);

	if (error)
		return error;
	error = read_addrs(&s);
	if (!error) {
		/* Protocol 0: it sends and hears nothing. */
		s.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (s.fd < 0)
			error = -errno;
	}
	ns_leave();
	for (size_t i = 0; !error && i < n; i++)
		announce(&s, &list[i]);
	if (s.fd >= 0)
		close(s.fd);
	vec_free(&s.owned);
	if (!error)
		*ret_frames = s.frames;
	return error;
}
