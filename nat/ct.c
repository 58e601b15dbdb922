/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nat.h"

#include "elements.h"
#include "key.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_TEXT = 200, DELETE_BYTES = 256 << 10 };

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
	del = nl_begin(&f->dels, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0,
		       &(struct nfgenmsg){ nfgen->nfgen_family, NFNETLINK_V0, 0 }, sizeof *nfgen);
	for (size_t i = 0; i < sizeof echoed / sizeof *echoed; i++)
		if (tb[echoed[i]])
			mnl_attr_put(del, tb[echoed[i]]->nla_type, mnl_attr_get_payload_len(tb[echoed[i]]),
				     mnl_attr_get_payload(tb[echoed[i]]));
	return f->dels.n > DELETE_BYTES ? send_deletions(f) : 0;
}

/* Both families at once if both leave: the kernel walks its one table for either. */
static uint8_t family(const struct flush *f)
{
	uint8_t first = f->leaving[0].ip.family;

	return f->leaving[f->n - 1].ip.family == first ? first : AF_UNSPEC;
}

static int flush_flows(struct nl *nl, struct nl_batch *b, struct flush *f)
{
	struct nfgenmsg nfgen = { .nfgen_family = family(f), .version = NFNETLINK_V0 };
	int error, sent;

	nl_begin(b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &nfgen, sizeof nfgen);
	error = nl_ask(nl, b, hear_flow, NULL, f);
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
