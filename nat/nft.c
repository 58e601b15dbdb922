/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nat.h"

#include "elements.h"
#include "key.h"
#include "skeleton.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { OBSERVE_TRIES = 6, ERROR_TEXT = 200 };

/* ---- observe ---- */

struct reading {
	const struct nat_conf *conf;
	struct nat_have have;
	struct skeleton_seen seen;
	struct nat_fixed fixed;
	enum nat_set set;		/* whose elements are coming */
	size_t mark;			/* of the journal, which two sets share */
	bool foreign;			/* there is an element that is none of ours */
};

static int hear_generation(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[NFTA_GEN_MAX + 1] = { [NFTA_GEN_ID] = 4 };
	const struct nlattr *tb[NFTA_GEN_MAX + 1];
	uint32_t *ret = ctx;

	nl_attrs(tb, want, NFTA_GEN_MAX + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)),
		 mnl_nlmsg_get_payload_tail(h));
	if (!tb[NFTA_GEN_ID])
		return -EPROTO;
	*ret = ntohl(mnl_attr_get_u32(tb[NFTA_GEN_ID]));
	return 0;
}

static int hear(const struct nlmsghdr *h, void *ctx)
{
	struct reading *r = ctx;

	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWGEN:
		return hear_generation(h, &r->have.generation);
	case NFT_MSG_NEWTABLE:
		r->have.table = true;
		break;
	case NFT_MSG_NEWSETELEM:
		r->foreign |= !elements_take(h, r->set, &r->have.elements, &r->fixed);
		return 0;
	}
	skeleton_see(&r->seen, r->conf, h);
	return 0;
}

/* Nothing of the skeleton but the count of rules minds being told twice. */
static void restart_skeleton(void *ctx)
{
	struct reading *r = ctx;

	memset(r->seen.rules, 0, sizeof r->seen.rules);
}

static void restart_elements(void *ctx)
{
	struct reading *r = ctx;
	struct nat *n = &r->have.elements;

	switch (r->set) {
	case SET_EXTERNAL: n->external.n = 0; break;
	case SET_FLOATING: n->dnats.n = 0; break;
	case SET_FIXED: r->fixed.pairs.n = 0; break;
	case SET_FORWARDS: n->forwards.n = 0; break;
	case SET_SOURCES: n->snat.n = 0; break;
	case SET_HAIRPIN: n->gateway = (struct ip){ 0 }; break;
	case SET_LEAVING:
	case SET_LEAVING6: n->leaving.n = r->mark; break;
	case NAT_SETS: break;
	}
}

static void ask_generation(struct nl_batch *b)
{
	static const struct nfgenmsg nfgen = { .version = NFNETLINK_V0 };

	nl_begin(b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, &nfgen, sizeof nfgen);
}

/* -ENOENT, because the table has gone meanwhile, is no error here: the generation has moved then. */
static int read_parts(struct nl *nl, struct nl_batch *b, struct reading *r)
{
	static const uint16_t parts[] = { NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETRULE };
	int error = 0;

	for (size_t i = 0; !error && i < sizeof parts / sizeof *parts; i++) {
		skeleton_begin(b, parts[i], NLM_F_DUMP);
		error = nl_ask(nl, b, hear, restart_skeleton, r);
	}
	for (r->set = 0; !error && r->set < NAT_SETS; r->set++) {
		if (!(r->seen.sets & 1u << r->set) || !r->seen.elements[r->set])
			continue;
		r->mark = r->have.elements.leaving.n;
		elements_ask(b, r->set);
		error = nl_ask(nl, b, hear, restart_elements, r);
	}
	return error == -ENOENT ? 0 : error;
}

/* Are the two maps that make a floating IP about the same ones? */
static bool fixed_agrees(const struct reading *r)
{
	struct nat_fixed derived;
	bool ret;

	fixed_derive(&r->have.elements, &derived);
	ret = derived.pairs.n == r->fixed.pairs.n &&
	      (!derived.pairs.n ||
	       memcmp(derived.pairs.at, r->fixed.pairs.at, derived.pairs.n * sizeof(uint64_t)) == 0);
	fixed_free(&derived);
	return ret;
}

static int compare_fixed(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a >> 32, y = *(const uint64_t *)b >> 32;

	return (x > y) - (x < y);
}

static bool has_twins(const void *at, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	const char *p = at;

	for (size_t i = 1; i < n; i++)
		if (compare(p + (i - 1) * size, p + i * size) == 0)
			return true;
	return false;
}

/* While the kernel moves a set that has grown into a larger hash table (it does so some time after the commit), a
 * dump in several parts can tell one element twice and leave another out, and does not say so. The number of
 * elements told is right, so where one is missing there are twins. */
static bool torn(const struct reading *r)
{
	const struct nat *n = &r->have.elements;

	return has_twins(n->dnats.at, n->dnats.n, sizeof *n->dnats.at, key_dnat) ||
	       has_twins(n->forwards.at, n->forwards.n, sizeof *n->forwards.at, key_forward) ||
	       has_twins(n->leaving.at, n->leaving.n, sizeof *n->leaving.at, key_leaving) ||
	       has_twins(n->external.at, n->external.n, sizeof *n->external.at, key_external) ||
	       has_twins(n->snat.at, n->snat.n, sizeof *n->snat.at, key_snat) ||
	       has_twins(r->fixed.pairs.at, r->fixed.pairs.n, sizeof *r->fixed.pairs.at, compare_fixed);
}

/* -ERESTART: the ruleset changed meanwhile, or moves within the kernel. */
static int observe_once(struct nl *nl, struct nl_batch *b, struct reading *r)
{
	uint32_t now = 0;
	int error;

	ask_generation(b);
	skeleton_begin(b, NFT_MSG_GETTABLE, 0);
	error = nl_ask(nl, b, hear, NULL, r);
	if (error == -ENOENT)
		return r->have.generation ? 0 : error;
	if (!error)
		error = read_parts(nl, b, r);
	if (error)
		return error;
	ask_generation(b);
	error = nl_ask(nl, b, hear_generation, NULL, &now);
	if (error || now != r->have.generation)
		return error ? error : -ERESTART;
	nat_sort(&r->have.elements);
	fixed_sort(&r->fixed);
	if (torn(r))
		return -ERESTART;
	r->have.skeleton = skeleton_whole(&r->seen) && !r->foreign && fixed_agrees(r);
	return 0;
}

int nat_observe(const struct nat_conf *conf, struct nat_have *ret)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	int error = nl_open(&nl, NETLINK_NETFILTER), done = -ERESTART;

	for (int i = 0; !error && done == -ERESTART && i < OBSERVE_TRIES; i++) {
		struct reading r = { .conf = conf };

		if (i)		/* the hash table is moved by a kernel thread, which needs a moment too */
			nanosleep(&(struct timespec){ .tv_nsec = 1000000L << i }, NULL);
		done = observe_once(&nl, &b, &r);
		fixed_free(&r.fixed);
		if (done)
			nat_have_free(&r.have);
		else
			*ret = r.have;
	}
	if (!error && !done)
		ret->flows = true;
	nl_batch_free(&b);
	nl_close(&nl);
	return error ? error : done == -ERESTART ? -EAGAIN : done;
}

/* ---- apply ---- */

/* The element that op takes out (del) or brings in; false if it does not. */
static bool op_element(const struct nat_op *op, bool del, enum nat_set *ret_set, struct nat_element *ret)
{
	if (op->verb == (del ? NAT_ADD : NAT_DEL))
		return false;
	switch (op->kind) {
	case NAT_EXTERNAL: {
		struct nat_external external;

		memcpy(external.dev, op->dev, sizeof external.dev);
		*ret_set = SET_EXTERNAL;
		*ret = element_external(&external);
		return true;
	}
	case NAT_SNAT: {
		struct nat_snat snat = { .ip = op->ip };

		memcpy(snat.dev, op->dev, sizeof snat.dev);
		*ret_set = SET_SOURCES;
		*ret = element_source(&snat);
		return true;
	}
	case NAT_GATEWAY:
		*ret_set = SET_HAIRPIN;
		*ret = element_hairpin(&op->ip);
		return true;
	case NAT_DNAT:
		*ret_set = SET_FLOATING;
		*ret = element_floating(&op->dnat);
		return true;
	case NAT_FORWARD:
		*ret_set = SET_FORWARDS;
		*ret = element_forward(&op->forward);
		return true;
	case NAT_LEAVING:
		*ret = element_leaving(&op->leaving, ret_set);
		return true;
	case NAT_TABLE_ADD:
	case NAT_TABLE_REPLACE:
	case NAT_TABLE_DEL:
		break;
	}
	return false;
}

struct fixed_step { struct elements *out; bool del; };

static void put_fixed(const void *have, const void *want, void *ctx)
{
	const struct fixed_step *step = ctx;
	const uint64_t *pair = step->del ? have : want;
	struct nat_element element;

	if (!pair || (have && want && *(const uint64_t *)have == *(const uint64_t *)want))
		return;
	element = element_fixed(*pair);
	elements_put(step->out, SET_FIXED, step->del, &element);
}

/* What changes in the map `fixed` between the two: what goes if `del`, else what comes. */
static void put_fixed_changes(struct elements *e, bool del, const struct nat_fixed *have, const struct nat_fixed *want)
{
	struct fixed_step step = { e, del };

	vec_walk(have->pairs.at, have->pairs.n, want->pairs.at, want->pairs.n, sizeof(uint64_t), compare_fixed,
		 put_fixed, &step);
}

/* First all that goes, then all that comes: a changed element does both. */
static void put_changes(struct elements *e, const struct nat_ops *ops, const struct nat *have, const struct nat *want)
{
	struct nat_fixed fixed_have = { 0 }, fixed_want = { 0 };
	bool dnats = false;

	for (size_t i = 0; i < ops->ops.n && !dnats; i++)
		dnats = ops->ops.at[i].kind == NAT_DNAT;
	if (dnats) {
		fixed_derive(have, &fixed_have);
		fixed_derive(want, &fixed_want);
	}
	for (int pass = 0; pass < 2; pass++) {
		bool del = pass == 0;

		for (size_t i = 0; i < ops->ops.n; i++) {
			struct nat_element element;
			enum nat_set set;

			if (op_element(&ops->ops.at[i], del, &set, &element))
				elements_put(e, set, del, &element);
		}
		put_fixed_changes(e, del, &fixed_have, &fixed_want);
	}
	fixed_free(&fixed_have);
	fixed_free(&fixed_want);
}

/* All that is wanted, what was on the journal, and what goes there now. */
static void put_new_table(struct elements *e, const struct nat_ops *ops, const struct nat *have, const struct nat *want)
{
	struct nat_element element;
	enum nat_set set;

	elements_put_all(e, want);
	for (size_t i = 0; i < have->leaving.n; i++) {
		element = element_leaving(&have->leaving.at[i], &set);
		elements_put(e, set, false, &element);
	}
	for (size_t i = 0; i < ops->ops.n; i++)
		if (ops->ops.at[i].kind == NAT_LEAVING) {
			element = element_leaving(&ops->ops.at[i].leaving, &set);
			elements_put(e, set, false, &element);
		}
}

struct refusal { const struct nl_batch *b; char *text; };

/* Finds the refused request in the batch again and says what it was about. */
static void refused(const struct nl_error *e, void *ctx)
{
	static const char *const verbs[] = {
		[NFT_MSG_NEWTABLE] = "add table", [NFT_MSG_DELTABLE] = "delete table", [NFT_MSG_NEWCHAIN] = "add chain",
		[NFT_MSG_NEWRULE] = "add rule to chain", [NFT_MSG_NEWSET] = "add set",
		[NFT_MSG_NEWSETELEM] = "add elements to", [NFT_MSG_DELSETELEM] = "delete elements from",
	};
	static const uint16_t want[4];
	const struct refusal *r = ctx;
	const struct nlmsghdr *h = (const void *)r->b->at;
	const struct nlattr *tb[4];
	uint16_t type;

	if (*r->text)
		return;
	for (size_t i = 0; i < e->index; i++)
		h = (const void *)((const char *)h + MNL_ALIGN(h->nlmsg_len));
	type = NFNL_MSG_TYPE(h->nlmsg_type);
	nl_attrs(tb, want, 4, mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)), mnl_nlmsg_get_payload_tail(h));
	/* Attribute 1 is the table's name; 2 the set's, the rule's chain's; a chain's own is 3. */
	if (type == NFT_MSG_NEWCHAIN)
		tb[2] = tb[NFTA_CHAIN_NAME];
	snprintf(r->text, ERROR_TEXT, "%s %.40s: %s%s%.80s", verbs[type],
		 type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE ? NAT_TABLE : mnl_attr_get_str(tb[2]),
		 strerror(-e->error), *e->text ? ", kernel: " : "", e->text);
}

int nat_apply(const struct nat_ops *ops, const struct nat_have *have, const struct nat *want, const struct nat_conf *conf,
	      char *error_text)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	struct elements e = { .b = &b };
	struct refusal refusal = { &b, error_text };
	int error;

	*error_text = 0;
	if (!ops->ops.n)
		return 0;
	error = nl_open(&nl, NETLINK_NETFILTER);
	if (error) {
		snprintf(error_text, ERROR_TEXT, "netlink socket: %s", strerror(-error));
		return error;
	}
	if (have->table && (!want || !have->skeleton))
		skeleton_begin(&b, NFT_MSG_DELTABLE, 0);
	if (want && (!have->table || !have->skeleton)) {
		skeleton_build(conf, &b);
		put_new_table(&e, ops, &have->elements, want);
	} else if (want) {
		put_changes(&e, ops, &have->elements, want);
	}
	elements_end(&e);
	error = nl_send_nft(&nl, &b, have->generation, refused, &refusal);
	if (error && !*error_text)
		snprintf(error_text, ERROR_TEXT, "nf_tables: %s", strerror(-error));
	nl_batch_free(&b);
	nl_close(&nl);
	return error;
}
