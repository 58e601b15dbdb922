/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nat.h"

#include "elements.h"
#include "key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	ERROR_TEXT = 200,
	DELETE_BYTES = 256 << 10,
	/* One walk over the kernel's table, which all namespaces share, costs as much as telling this many flows (7
	 * ms with 262,144 buckets). */
	FLOWS_PER_WALK = 8192,
	/* Bits of CTA_FILTER_ORIG_FLAGS and _REPLY_FLAGS; no header for user space has them. */
	FILTER_IP_DST = 1 << 1, FILTER_PROTO_NUM = 1 << 3, FILTER_PROTO_DST_PORT = 1 << 5,
};

/* One end of a flow's tuple that matters here. */
struct target { struct ip ip; uint8_t protocol; uint16_t port; };

struct flush {
	const struct nat_leaving *leaving;	/* sorted */
	size_t n;
	struct nl out;				/* a second socket: the first is in the middle of its dump */
	struct nl_batch dels;
	size_t in_flight, gone;			/* requests of the batch under way, and those that found nothing */
	size_t flows;
	int error;
};

static const void *payload(const struct nlattr *nest, uint16_t type, size_t n)
{
	const struct nlattr *a;

	if (nest)
		mnl_attr_for_each_nested(a, nest)
			if (mnl_attr_get_type(a) == type && mnl_attr_get_payload_len(a) >= n)
				return mnl_attr_get_payload(a);
	return NULL;
}

/* The nest itself: payload() gives what is behind an attribute's header. */
static const struct nlattr *nest(const struct nlattr *in, uint16_t type)
{
	const char *at = payload(in, type, 0);

	return at ? (const struct nlattr *)(at - MNL_ATTR_HDRLEN) : NULL;
}

static struct target destination(const struct nlattr *tuple)
{
	const struct nlattr *ip = nest(tuple, CTA_TUPLE_IP), *proto = nest(tuple, CTA_TUPLE_PROTO);
	const void *v4 = payload(ip, CTA_IP_V4_DST, 4), *v6 = payload(ip, CTA_IP_V6_DST, 16);
	const uint8_t *protocol = payload(proto, CTA_PROTO_NUM, 1), *port = payload(proto, CTA_PROTO_DST_PORT, 2);
	struct target ret = { 0 };

	if (v4) {
		ret.ip.family = AF_INET;
		memcpy(ret.ip.bytes, v4, 4);
	} else if (v6) {
		ret.ip.family = AF_INET6;
		memcpy(ret.ip.bytes, v6, 16);
	}
	ret.protocol = protocol ? *protocol : 0;
	ret.port = port ? (uint16_t)(port[0] << 8 | port[1]) : 0;
	return ret;
}

static bool is_leaving(const struct flush *f, const struct ip *ip, uint8_t protocol, uint16_t port)
{
	struct nat_leaving key = { *ip, protocol, port };

	return bsearch(&key, f->leaving, f->n, sizeof key, key_leaving) != NULL;
}

static void refused(const struct nl_error *e, void *ctx)
{
	struct flush *f = ctx;

	f->gone++;
	if (e->error != -ENOENT && !f->error)	/* ENOENT: it has ended by itself */
		f->error = e->error;
}

static int send_deletions(struct flush *f)
{
	int error;

	f->in_flight = f->dels.count + !!f->dels.open;
	f->gone = 0;
	error = nl_send(&f->out, &f->dels, refused, f);
	f->flows += f->in_flight - f->gone;
	return f->error ? f->error : error == -ENOENT ? 0 : error;
}

static struct nlmsghdr *begin(struct nl_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nfgenmsg nfgen = { .nfgen_family = family, .version = NFNETLINK_V0 };

	return nl_begin(b, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, &nfgen, sizeof nfgen);
}

static int hear_flow(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[CTA_MAX + 1] = { [CTA_ID] = 4, [CTA_ZONE] = 2 };
	static const uint16_t echoed[] = { CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID };
	const struct nfgenmsg *nfgen = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[CTA_MAX + 1];
	struct flush *f = ctx;
	struct target original, reply;
	struct nlmsghdr *del;

	nl_attrs(tb, want, CTA_MAX + 1, mnl_nlmsg_get_payload_offset(h, sizeof *nfgen), mnl_nlmsg_get_payload_tail(h));
	original = destination(tb[CTA_TUPLE_ORIG]);
	reply = destination(tb[CTA_TUPLE_REPLY]);
	if (!is_leaving(f, &original.ip, 0, 0) && !is_leaving(f, &reply.ip, 0, 0) &&
	    !is_leaving(f, &original.ip, original.protocol, original.port))
		return 0;
	/* By its id too: a new flow with the same tuple is not the one that was seen. */
	del = begin(&f->dels, IPCTNL_MSG_CT_DELETE, 0, nfgen->nfgen_family);
	for (size_t i = 0; i < sizeof echoed / sizeof *echoed; i++)
		if (tb[echoed[i]])
			mnl_attr_put(del, tb[echoed[i]]->nla_type, mnl_attr_get_payload_len(tb[echoed[i]]),
				     mnl_attr_get_payload(tb[echoed[i]]));
	return f->dels.n > DELETE_BYTES ? send_deletions(f) : 0;
}

static int hear_count(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[CTA_STATS_GLOBAL_MAX + 1] = { [CTA_STATS_GLOBAL_ENTRIES] = 4 };
	const struct nlattr *tb[CTA_STATS_GLOBAL_MAX + 1];

	nl_attrs(tb, want, CTA_STATS_GLOBAL_MAX + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)),
		 mnl_nlmsg_get_payload_tail(h));
	if (!tb[CTA_STATS_GLOBAL_ENTRIES])
		return -EPROTO;
	*(uint32_t *)ctx = ntohl(mnl_attr_get_u32(tb[CTA_STATS_GLOBAL_ENTRIES]));
	return 0;
}

/* The namespace's flows. */
static int count_flows(struct nl *nl, struct nl_batch *b, uint32_t *ret)
{
	begin(b, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
	return nl_ask(nl, b, hear_count, NULL, ret);
}

/* Asks for the flows with this destination in one direction. A kernel before 5.8 does not know the filter and tells
 * all: each is looked at anyway. */
static int ask_some(struct nl *nl, struct nl_batch *b, const struct nat_leaving *l, bool original, struct flush *f)
{
	bool v6 = l->ip.family == AF_INET6;
	uint32_t flags = FILTER_IP_DST | (l->protocol ? FILTER_PROTO_NUM | FILTER_PROTO_DST_PORT : 0);
	struct nlmsghdr *h = begin(b, IPCTNL_MSG_CT_GET, NLM_F_DUMP, l->ip.family);
	struct nlattr *tuple, *part;

	tuple = mnl_attr_nest_start(h, original ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY);
	part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put(h, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, v6 ? 16 : 4, l->ip.bytes);
	mnl_attr_nest_end(h, part);
	if (l->protocol) {
		part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
		mnl_attr_put_u8(h, CTA_PROTO_NUM, l->protocol);
		mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(l->port));
		mnl_attr_nest_end(h, part);
	}
	mnl_attr_nest_end(h, tuple);
	part = mnl_attr_nest_start(h, CTA_FILTER);
	mnl_attr_put_u32(h, CTA_FILTER_ORIG_FLAGS, original ? flags : 0);
	mnl_attr_put_u32(h, CTA_FILTER_REPLY_FLAGS, original ? 0 : flags);
	mnl_attr_nest_end(h, part);
	return nl_ask(nl, b, hear_flow, NULL, f);
}

/* Both families at once if both leave: the kernel walks its one table for either. */
static int ask_all(struct nl *nl, struct nl_batch *b, struct flush *f)
{
	uint8_t first = f->leaving[0].ip.family, last = f->leaving[f->n - 1].ip.family;

	begin(b, IPCTNL_MSG_CT_GET, NLM_F_DUMP, first == last ? first : AF_UNSPEC);
	return nl_ask(nl, b, hear_flow, NULL, f);
}

static int flush_flows(struct nl *nl, struct nl_batch *b, struct flush *f)
{
	uint32_t count = 0;
	size_t walks = 0;
	int error = count_flows(nl, b, &count), sent;

	if (error || !count)
		return error;
	for (size_t i = 0; i < f->n; i++)
		walks += f->leaving[i].protocol ? 1 : 2;
	if (walks * FLOWS_PER_WALK >= count)
		error = ask_all(nl, b, f);
	for (size_t i = 0; !error && walks * FLOWS_PER_WALK < count && i < f->n; i++) {
		error = ask_some(nl, b, &f->leaving[i], true, f);
		if (!error && !f->leaving[i].protocol)
			error = ask_some(nl, b, &f->leaving[i], false, f);
	}
	sent = send_deletions(f);
	return error ? error : sent;
}

/* Each element is added before it is deleted, because an element that is not there would make the whole batch fail, and
 * somebody may have removed one. Without the table there is no journal. */
static int clear_journal(struct nl *nl, struct nl_batch *b, const struct flush *f)
{
	struct elements e = { .b = b };
	int error;

	for (int del = 0; del < 2; del++)
		for (size_t i = 0; i < f->n; i++) {
			enum nat_set set;
			struct nat_element element = element_leaving(&f->leaving[i], &set);

			elements_put(&e, set, del, &element);
		}
	elements_end(&e);
	error = nl_send_nft(nl, b, 0, NULL, NULL);
	return error == -ENOENT ? 0 : error;
}

int nat_flush(const struct nat_leaving *leaving, size_t n, size_t *ret_flows, char *error_text)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	struct nat sorted = { 0 };
	struct flush f = { .out = NL_NONE };
	const char *what = "netlink socket";
	int error;

	*error_text = 0;
	*ret_flows = 0;
	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++)
		*vec_add(&sorted.leaving) = leaving[i];
	nat_sort(&sorted);
	f.leaving = sorted.leaving.at;
	f.n = sorted.leaving.n;
	error = nl_open(&nl, NETLINK_NETFILTER);
	if (!error)
		error = nl_open(&f.out, NETLINK_NETFILTER);
	if (!error) {
		what = "conntrack";
		error = flush_flows(&nl, &b, &f);
		*ret_flows = f.flows;
	}
	if (!error) {
		what = "delete elements from leaving";
		error = clear_journal(&nl, &b, &f);
	}
	if (error)
		snprintf(error_text, ERROR_TEXT, "%s: %s", what, strerror(-error));
	nl_batch_free(&f.dels);
	nl_batch_free(&b);
	nat_free(&sorted);
	nl_close(&f.out);
	nl_close(&nl);
	return error;
}
