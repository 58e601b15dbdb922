/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elements.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* A request's list of elements is one attribute, whose length has 16 bits. */
enum { LIST_MAX = 48 << 10 };

/* A concatenation's members are padded to four bytes each: address, protocol, port; address, port. */
enum { AT_PROTOCOL = 4, AT_PORT = 8, AT_TO_PORT = 4 };

static struct ip ip4(const uint8_t *bytes)
{
	struct ip ret = { .family = AF_INET };

	memcpy(ret.bytes, bytes, 4);
	return ret;
}

static void put_port(uint8_t *at, uint16_t port)
{
	at[0] = (uint8_t)(port >> 8);
	at[1] = (uint8_t)port;
}

static uint16_t get_port(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

struct nat_element element_external(const struct nat_external *e)
{
	struct nat_element ret = { 0 };

	memcpy(ret.key, e->dev, strnlen(e->dev, IFNAMSIZ - 1));
	return ret;
}

struct nat_element element_source(const struct nat_snat *s)
{
	struct nat_element ret = { 0 };

	memcpy(ret.key, s->dev, strnlen(s->dev, IFNAMSIZ - 1));
	memcpy(ret.data, s->ip.bytes, 4);
	return ret;
}

struct nat_element element_hairpin(const struct ip *gateway)
{
	struct nat_element ret = { .key = { NFPROTO_IPV4 } };

	memcpy(ret.data, gateway->bytes, 4);
	return ret;
}

struct nat_element element_floating(const struct nat_dnat *d)
{
	struct nat_element ret = { 0 };

	memcpy(ret.key, d->from.bytes, 4);
	memcpy(ret.data, d->to.bytes, 4);
	return ret;
}

struct nat_element element_forward(const struct nat_forward *f)
{
	struct nat_element ret = { 0 };

	memcpy(ret.key, f->ip.bytes, 4);
	ret.key[AT_PROTOCOL] = f->protocol;
	put_port(ret.key + AT_PORT, f->port);
	memcpy(ret.data, f->to.bytes, 4);
	put_port(ret.data + AT_TO_PORT, f->to_port);
	return ret;
}

struct nat_element element_leaving(const struct nat_leaving *l, enum nat_set *ret_set)
{
	struct nat_element ret = { 0 };

	*ret_set = l->ip.family == AF_INET6 ? SET_LEAVING6 : SET_LEAVING;
	memcpy(ret.key, l->ip.bytes, l->ip.family == AF_INET6 ? 16 : 4);
	if (*ret_set == SET_LEAVING) {
		ret.key[AT_PROTOCOL] = l->protocol;
		put_port(ret.key + AT_PORT, l->port);
	}
	return ret;
}

/* ---- fixed ---- */

static uint32_t number(const uint8_t *bytes)
{
	uint32_t n;

	memcpy(&n, bytes, sizeof n);
	return ntohl(n);
}

static int compare_pairs(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void fixed_sort(struct nat_fixed *f)
{
	vec_sort(&f->pairs, compare_pairs);
}

void fixed_derive(const struct nat *n, struct nat_fixed *ret)
{
	struct nat_fixed f = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < n->dnats.n; i++)
		*vec_add(&f.pairs) = (uint64_t)number(n->dnats.at[i].to.bytes) << 32 |
				     number(n->dnats.at[i].from.bytes);
	fixed_sort(&f);
	for (size_t i = 0; i < f.pairs.n; i++)
		if (!i || f.pairs.at[i] >> 32 != f.pairs.at[i - 1] >> 32)
			f.pairs.at[kept++] = f.pairs.at[i];
	f.pairs.n = kept;
	*ret = f;
}

void fixed_free(struct nat_fixed *f)
{
	vec_free(&f->pairs);
}

struct nat_element element_fixed(uint64_t pair)
{
	uint32_t fixed = htonl((uint32_t)(pair >> 32)), floating = htonl((uint32_t)pair);
	struct nat_element ret = { 0 };

	memcpy(ret.key, &fixed, 4);
	memcpy(ret.data, &floating, 4);
	return ret;
}

/* ---- out ---- */

void elements_end(struct elements *e)
{
	if (e->request) {
		mnl_attr_nest_end(e->request, e->list);
		nl_end(e->b);
	}
	e->request = NULL;
}

static void put_value(struct nlmsghdr *h, uint16_t type, const uint8_t *bytes, size_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, n, bytes);
	mnl_attr_nest_end(h, nest);
}

void elements_put(struct elements *e, enum nat_set set, bool del, const struct nat_element *element)
{
	const struct nat_shape *s = &nat_shapes[set];
	struct nlattr *nest;

	if (e->request && (e->set != set || e->del != del || e->request->nlmsg_len > LIST_MAX))
		elements_end(e);
	if (!e->request) {
		/* Without NLM_F_EXCL: an address can be on the journal already. */
		e->request = del ? skeleton_begin(e->b, NFT_MSG_DELSETELEM, 0) :
				   skeleton_begin(e->b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
		mnl_attr_put_strz(e->request, NFTA_SET_ELEM_LIST_SET, s->name);
		e->list = mnl_attr_nest_start(e->request, NFTA_SET_ELEM_LIST_ELEMENTS);
		e->set = set;
		e->del = del;
	}
	nest = mnl_attr_nest_start(e->request, NFTA_LIST_ELEM);
	put_value(e->request, NFTA_SET_ELEM_KEY, element->key, s->key_size);
	if (s->data_size && !del)
		put_value(e->request, NFTA_SET_ELEM_DATA, element->data, s->data_size);
	mnl_attr_nest_end(e->request, nest);
}

void elements_put_all(struct elements *e, const struct nat *n)
{
	struct nat_element element;
	struct nat_fixed fixed;

	for (size_t i = 0; i < n->external.n; i++) {
		element = element_external(&n->external.at[i]);
		elements_put(e, SET_EXTERNAL, false, &element);
	}
	for (size_t i = 0; i < n->dnats.n; i++) {
		element = element_floating(&n->dnats.at[i]);
		elements_put(e, SET_FLOATING, false, &element);
	}
	fixed_derive(n, &fixed);
	for (size_t i = 0; i < fixed.pairs.n; i++) {
		element = element_fixed(fixed.pairs.at[i]);
		elements_put(e, SET_FIXED, false, &element);
	}
	fixed_free(&fixed);
	for (size_t i = 0; i < n->forwards.n; i++) {
		element = element_forward(&n->forwards.at[i]);
		elements_put(e, SET_FORWARDS, false, &element);
	}
	for (size_t i = 0; i < n->snat.n; i++) {
		element = element_source(&n->snat.at[i]);
		elements_put(e, SET_SOURCES, false, &element);
	}
	if (n->gateway.family) {
		element = element_hairpin(&n->gateway);
		elements_put(e, SET_HAIRPIN, false, &element);
	}
}

/* ---- in ---- */

void elements_ask(struct nl_batch *b, enum nat_set set)
{
	struct nlmsghdr *h = skeleton_begin(b, NFT_MSG_GETSETELEM, NLM_F_DUMP);

	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nat_shapes[set].name);
}

static const uint8_t *value(const struct nlattr *nest, size_t n)
{
	const struct nlattr *a;

	if (nest)
		mnl_attr_for_each_nested(a, nest)
			if (mnl_attr_get_type(a) == NFTA_DATA_VALUE && mnl_attr_get_payload_len(a) == n)
				return mnl_attr_get_payload(a);
	return NULL;
}

static bool take_dev(const uint8_t *key, char *ret)
{
	if (!memchr(key, 0, IFNAMSIZ))
		return false;
	memcpy(ret, key, IFNAMSIZ);
	return true;
}

static void take_forward(const uint8_t *key, const uint8_t *data, struct nat_forward *ret)
{
	*ret = (struct nat_forward){ .ip = ip4(key), .protocol = key[AT_PROTOCOL], .port = get_port(key + AT_PORT),
				     .to = ip4(data), .to_port = get_port(data + AT_TO_PORT) };
}

static bool take(enum nat_set set, const uint8_t *key, const uint8_t *data, struct nat *n, struct nat_fixed *fixed)
{
	struct nat_leaving *l;

	switch (set) {
	case SET_EXTERNAL:
		return take_dev(key, vec_add(&n->external)->dev);
	case SET_FLOATING:
		*vec_add(&n->dnats) = (struct nat_dnat){ ip4(key), ip4(data) };
		return true;
	case SET_FIXED:
		*vec_add(&fixed->pairs) = (uint64_t)number(key) << 32 | number(data);
		return true;
	case SET_FORWARDS:
		take_forward(key, data, vec_add(&n->forwards));
		return true;
	case SET_SOURCES:
		*vec_add(&n->snat) = (struct nat_snat){ .ip = ip4(data) };
		return take_dev(key, n->snat.at[n->snat.n - 1].dev);
	case SET_HAIRPIN:
		n->gateway = ip4(data);
		return *key == NFPROTO_IPV4;
	case SET_LEAVING:
		*vec_add(&n->leaving) = (struct nat_leaving){ ip4(key), key[AT_PROTOCOL], get_port(key + AT_PORT) };
		return true;
	case SET_LEAVING6:
		l = vec_add(&n->leaving);
		l->ip.family = AF_INET6;
		memcpy(l->ip.bytes, key, 16);
		return true;
	case NAT_SETS:
		break;
	}
	return false;
}

static bool take_element(const struct nlattr *element, enum nat_set set, struct nat *n, struct nat_fixed *fixed)
{
	static const uint16_t want[NFTA_SET_ELEM_MAX + 1];
	const struct nlattr *tb[NFTA_SET_ELEM_MAX + 1];
	const struct nat_shape *s = &nat_shapes[set];
	const uint8_t *key, *data;

	nl_attrs(tb, want, NFTA_SET_ELEM_MAX + 1, mnl_attr_get_payload(element),
		 (const char *)element + element->nla_len);
	/* Flags: the catch-all element. */
	key = value(tb[NFTA_SET_ELEM_KEY], s->key_size);
	data = value(tb[NFTA_SET_ELEM_DATA], s->data_size);
	if (tb[NFTA_SET_ELEM_FLAGS] || tb[NFTA_SET_ELEM_EXPR] || tb[NFTA_SET_ELEM_EXPRESSIONS] || !key ||
	    (s->data_size && !data))
		return false;
	return take(set, key, data, n, fixed);
}

bool elements_take(const struct nlmsghdr *h, enum nat_set set, struct nat *n, struct nat_fixed *fixed)
{
	static const uint16_t want[NFTA_SET_ELEM_LIST_MAX + 1];
	const struct nlattr *tb[NFTA_SET_ELEM_LIST_MAX + 1], *element;
	bool good = true;

	nl_attrs(tb, want, NFTA_SET_ELEM_LIST_MAX + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)),
		 mnl_nlmsg_get_payload_tail(h));
	if (tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		mnl_attr_for_each_nested(element, tb[NFTA_SET_ELEM_LIST_ELEMENTS])
			good &= take_element(element, set, n, fixed);
	return good;
}
