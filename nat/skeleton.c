/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "skeleton.h"

#include "nat.h"
#include "text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <string.h>

/* nft(8) numbers its data types; the kernel only stores the number. Members of a concatenation take six bits each. */
enum { TYPE_NFPROTO = 2, TYPE_IPV4 = 7, TYPE_IPV6 = 8, TYPE_PROTO = 12, TYPE_SERVICE = 13, TYPE_IFNAME = 41,
       TYPE_SOCKET = TYPE_IPV4 << 6 | TYPE_SERVICE, TYPE_FLOW = TYPE_IPV4 << 12 | TYPE_PROTO << 6 | TYPE_SERVICE };

const struct nat_shape nat_shapes[NAT_SETS] = {
	[SET_EXTERNAL] = { "external", "ifname", TYPE_IFNAME, 16, 0, 0 },
	[SET_FLOATING] = { "floating", "ipv4_addr : ipv4_addr", TYPE_IPV4, 4, TYPE_IPV4, 4 },
	[SET_FIXED] = { "fixed", "ipv4_addr : ipv4_addr", TYPE_IPV4, 4, TYPE_IPV4, 4 },
	[SET_FORWARDS] = { "forwards", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
			   TYPE_FLOW, 12, TYPE_SOCKET, 8 },
	[SET_SOURCES] = { "sources", "ifname : ipv4_addr", TYPE_IFNAME, 16, TYPE_IPV4, 4 },
	[SET_HAIRPIN] = { "hairpin", "nf_proto : ipv4_addr", TYPE_NFPROTO, 1, TYPE_IPV4, 4 },
	[SET_LEAVING] = { "leaving", "ipv4_addr . inet_proto . inet_service", TYPE_FLOW, 12, 0, 0 },
	[SET_LEAVING6] = { "leaving6", "ipv6_addr", TYPE_IPV6, 16, 0, 0 },
};

static const struct chain {
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
	const char *priority_text;
} chains[SKELETON_CHAINS] = {
	{ "prerouting", "nat", NF_INET_PRE_ROUTING, -100, "dstnat" },
	{ "output", "nat", NF_INET_LOCAL_OUT, -100, "-100" },
	{ "postrouting", "nat", NF_INET_POST_ROUTING, 100, "srcnat" },
	{ "input", "filter", NF_INET_LOCAL_IN, 0, "filter" },
};
enum { PREROUTING, OUTPUT, POSTROUTING, INPUT };

/* One expression of a rule. Registers are 4 bytes wide here (NFT_REG32_00…), but the first is named by its old name
 * NFT_REG_1, as the kernel does when it dumps. */
struct expr {
	enum { LOAD_META, LOAD_CT, LOAD_PAYLOAD, COMPARE, MASK, LOOKUP, PORT, VERDICT, NAT, REDIRECT } kind;
	uint32_t what;		/* key, base, operator, verdict, type of NAT */
	uint32_t reg;
	uint8_t offset, size;
	bool original, inverted, metadata_port, ports;
	enum nat_set set;
	union { uint8_t data[16]; uint32_t word; };
};

#define META(key, into) { LOAD_META, NFT_META_##key, into }
#define CT(key) { LOAD_CT, NFT_CT_##key, NFT_REG_1 }
#define CT_ORIGINAL(key) { LOAD_CT, NFT_CT_##key, NFT_REG_1, .original = true }
#define PAYLOAD(base, from, n, into) { LOAD_PAYLOAD, NFT_PAYLOAD_##base##_HEADER, into, from, n }
#define IS(n, ...) { COMPARE, NFT_CMP_EQ, NFT_REG_1, .size = n, .data = { __VA_ARGS__ } }
#define IS_METADATA_PORT { COMPARE, NFT_CMP_EQ, NFT_REG_1, .size = 2, .metadata_port = true }
/* in host order, as the kernel loads it */
#define STATUS(op, bit) CT(STATUS), { MASK, 0, NFT_REG_1, .size = 4, .word = bit }, \
	{ COMPARE, NFT_CMP_##op, NFT_REG_1, .size = 4 }
#define MAP(of) { LOOKUP, 0, NFT_REG_1, .set = of }
#define NOT_IN(of) { LOOKUP, 0, NFT_REG_1, .set = of, .inverted = true }
#define SNAT { NAT, NFT_NAT_SNAT, NFT_REG_1 }
#define DNAT { NAT, NFT_NAT_DNAT, NFT_REG_1 }
#define ACCEPT { VERDICT, NF_ACCEPT }

#define IPV4 META(NFPROTO, NFT_REG_1), IS(1, NFPROTO_IPV4)
#define IPV6 META(NFPROTO, NFT_REG_1), IS(1, NFPROTO_IPV6)
#define SADDR PAYLOAD(NETWORK, 12, 4, NFT_REG_1)
#define DADDR PAYLOAD(NETWORK, 16, 4, NFT_REG_1)
#define DADDR6 PAYLOAD(NETWORK, 24, 16, NFT_REG_1)
#define FROM_GUEST META(IIFNAME, NFT_REG_1), IS(3, 'q', 'r', '-')
#define TCP_DPORT META(L4PROTO, NFT_REG_1), IS(1, IPPROTO_TCP), PAYLOAD(TRANSPORT, 2, 2, NFT_REG_1)
#define METADATA_IP IS(4, 169, 254, 169, 254)
#define METADATA_IP6 IS(16, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa9, 0xfe, 0xa9, 0xfe)
#define REDIRECT_METADATA { PORT, 0, NFT_REG_1 }, { REDIRECT, 0, NFT_REG_1 }

#define RULE(chain, text, ...) { chain, text, (const struct expr[]){ __VA_ARGS__ }, \
	sizeof((const struct expr[]){ __VA_ARGS__ }) / sizeof(struct expr) }

/* In the text, $ stands for the metadata port and ~ for " fully-random" where that is configured.
 *
 * Only a flow's first packet meets the NAT chains. Order in postrouting: what goes from network to network stays as
 * it is; a guest with a floating IP shows that one, even to another floating IP of this router; then the router's
 * own for what goes out; and at last what was sent to a floating IP from inside, or by the router itself (whose
 * packets have no iifname), so that the answer comes back this way. The input chain sees every packet: the metadata
 * port answers redirected flows only, and a packet that conntrack does not know has no original destination and is
 * dropped with the rest. */
static const struct rule {
	int chain;
	const char *text;
	const struct expr *exprs;
	size_t n;
} rules[SKELETON_RULES] = {
	RULE(PREROUTING, "dnat ip to ip daddr map @floating",
	     IPV4, DADDR, MAP(SET_FLOATING), DNAT),
	RULE(PREROUTING, "iifname \"qr-*\" ip daddr 169.254.169.254 tcp dport 80 redirect to :$",
	     FROM_GUEST, IPV4, DADDR, METADATA_IP, TCP_DPORT, IS(2, 0, 80), REDIRECT_METADATA),
	RULE(PREROUTING, "iifname \"qr-*\" ip6 daddr fe80::a9fe:a9fe tcp dport 80 redirect to :$",
	     FROM_GUEST, IPV6, DADDR6, METADATA_IP6, TCP_DPORT, IS(2, 0, 80), REDIRECT_METADATA),
	RULE(PREROUTING, "dnat ip to ip daddr . meta l4proto . th dport map @forwards",
	     IPV4, DADDR, META(L4PROTO, NFT_REG32_01), PAYLOAD(TRANSPORT, 2, 2, NFT_REG32_02), MAP(SET_FORWARDS),
	     { NAT, NFT_NAT_DNAT, NFT_REG_1, .ports = true }),
	RULE(OUTPUT, "dnat ip to ip daddr map @floating",
	     IPV4, DADDR, MAP(SET_FLOATING), DNAT),
	RULE(POSTROUTING, "oifname != @external ct status ! dnat accept",
	     META(OIFNAME, NFT_REG_1), NOT_IN(SET_EXTERNAL), STATUS(EQ, IPS_DST_NAT), ACCEPT),
	RULE(POSTROUTING, "snat ip to ip saddr map @fixed~",
	     IPV4, SADDR, MAP(SET_FIXED), SNAT),
	RULE(POSTROUTING, "meta nfproto ipv4 snat ip to oifname map @sources~",
	     IPV4, META(OIFNAME, NFT_REG_1), MAP(SET_SOURCES), SNAT),
	RULE(POSTROUTING, "iifname != @external ct status dnat snat ip to meta nfproto map @hairpin~",
	     META(IIFNAME, NFT_REG_1), NOT_IN(SET_EXTERNAL), STATUS(NEQ, IPS_DST_NAT), META(NFPROTO, NFT_REG_1),
	     MAP(SET_HAIRPIN), SNAT),
	RULE(INPUT, "tcp dport $ ct original ip daddr 169.254.169.254 accept",
	     TCP_DPORT, IS_METADATA_PORT, CT_ORIGINAL(DST_IP), METADATA_IP, ACCEPT),
	RULE(INPUT, "tcp dport $ ct original ip6 daddr fe80::a9fe:a9fe accept",
	     TCP_DPORT, IS_METADATA_PORT, CT_ORIGINAL(DST_IP6), METADATA_IP6, ACCEPT),
	RULE(INPUT, "tcp dport $ drop",
	     TCP_DPORT, IS_METADATA_PORT, { VERDICT, NF_DROP }),
};

/* ---- requests ---- */

static void put_u32(struct nlmsghdr *h, uint16_t type, uint32_t value)
{
	mnl_attr_put_u32(h, type, htonl(value));
}

static void put_value(struct nlmsghdr *h, uint16_t type, const void *data, size_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, n, data);
	mnl_attr_nest_end(h, nest);
}

static void put_verdict(struct nlmsghdr *h, uint32_t verdict)
{
	struct nlattr *data, *nest;

	put_u32(h, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(h, NFTA_IMMEDIATE_DATA);
	nest = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
	put_u32(h, NFTA_VERDICT_CODE, verdict);
	mnl_attr_nest_end(h, nest);
	mnl_attr_nest_end(h, data);
}

/* What the kernel would fill in by itself (the end of a range, the flags) is said too, so that the comparison can
 * insist. */
static void put_nat(struct nlmsghdr *h, const struct expr *e, const struct nat_conf *conf)
{
	uint32_t flags = NF_NAT_RANGE_MAP_IPS;

	if (e->what == NFT_NAT_SNAT && conf->fully_random)
		flags |= NF_NAT_RANGE_PROTO_RANDOM_FULLY;
	put_u32(h, NFTA_NAT_TYPE, e->what);
	put_u32(h, NFTA_NAT_FAMILY, NFPROTO_IPV4);
	put_u32(h, NFTA_NAT_REG_ADDR_MIN, e->reg);
	put_u32(h, NFTA_NAT_REG_ADDR_MAX, e->reg);
	if (e->ports) {			/* they stand behind the address in the map */
		flags |= NF_NAT_RANGE_PROTO_SPECIFIED;
		put_u32(h, NFTA_NAT_REG_PROTO_MIN, NFT_REG32_01);
		put_u32(h, NFTA_NAT_REG_PROTO_MAX, NFT_REG32_01);
	}
	put_u32(h, NFTA_NAT_FLAGS, flags);
}

static void put_load(struct nlmsghdr *h, const struct expr *e)
{
	if (e->kind == LOAD_META) {
		put_u32(h, NFTA_META_KEY, e->what);
		put_u32(h, NFTA_META_DREG, e->reg);
	} else if (e->kind == LOAD_CT) {
		put_u32(h, NFTA_CT_KEY, e->what);
		put_u32(h, NFTA_CT_DREG, e->reg);
		if (e->original)
			mnl_attr_put_u8(h, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	} else {
		put_u32(h, NFTA_PAYLOAD_DREG, e->reg);
		put_u32(h, NFTA_PAYLOAD_BASE, e->what);
		put_u32(h, NFTA_PAYLOAD_OFFSET, e->offset);
		put_u32(h, NFTA_PAYLOAD_LEN, e->size);
	}
}

static void put_expr(struct nlmsghdr *h, const struct expr *e, const struct nat_conf *conf)
{
	static const char *const names[] = { "meta", "ct", "payload", "cmp", "bitwise", "lookup", "immediate",
					     "immediate", "nat", "redir" };
	static const uint32_t zero;
	uint16_t port = htons(conf->metadata_port);
	struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM), *data;

	mnl_attr_put_strz(h, NFTA_EXPR_NAME, names[e->kind]);
	data = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
	switch (e->kind) {
	case LOAD_META:
	case LOAD_CT:
	case LOAD_PAYLOAD:
		put_load(h, e);
		break;
	case COMPARE:
		put_u32(h, NFTA_CMP_SREG, e->reg);
		put_u32(h, NFTA_CMP_OP, e->what);
		put_value(h, NFTA_CMP_DATA, e->metadata_port ? (const void *)&port : e->data, e->size);
		break;
	case MASK:
		put_u32(h, NFTA_BITWISE_SREG, e->reg);
		put_u32(h, NFTA_BITWISE_DREG, e->reg);
		put_u32(h, NFTA_BITWISE_LEN, e->size);
		put_value(h, NFTA_BITWISE_MASK, e->data, e->size);
		put_value(h, NFTA_BITWISE_XOR, &zero, e->size);
		break;
	case LOOKUP:
		mnl_attr_put_strz(h, NFTA_LOOKUP_SET, nat_shapes[e->set].name);
		put_u32(h, NFTA_LOOKUP_SREG, e->reg);
		if (nat_shapes[e->set].data_size)
			put_u32(h, NFTA_LOOKUP_DREG, NFT_REG_1);
		put_u32(h, NFTA_LOOKUP_FLAGS, e->inverted ? NFT_LOOKUP_F_INV : 0);
		break;
	case PORT:
		put_u32(h, NFTA_IMMEDIATE_DREG, e->reg);
		put_value(h, NFTA_IMMEDIATE_DATA, &port, sizeof port);
		break;
	case VERDICT:
		put_verdict(h, e->what);
		break;
	case NAT:
		put_nat(h, e, conf);
		break;
	case REDIRECT:
		put_u32(h, NFTA_REDIR_REG_PROTO_MIN, e->reg);
		put_u32(h, NFTA_REDIR_REG_PROTO_MAX, e->reg);
		put_u32(h, NFTA_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
		break;
	}
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, element);
}

/* How the kernel wrote each rule when it was last found to be the right one: mostly it is these bytes again. */
static struct { size_t n; uint8_t at[768]; } known[SKELETON_RULES];

/* All rules' expressions as attributes, made once: they are sent as they are, and compared with. */
static const struct nlattr *const *expressions(const struct nat_conf *conf)
{
	enum { ROOM = 16 << 10 };
	static uint32_t bytes[ROOM / 4];
	static const struct nlattr *at[SKELETON_RULES];
	static struct nat_conf made_for;
	struct nlmsghdr *h = (struct nlmsghdr *)bytes;

	if (at[0] && made_for.fully_random == conf->fully_random && made_for.metadata_port == conf->metadata_port)
		return at;
	memset(bytes, 0, sizeof bytes);
	mnl_nlmsg_put_header(h);
	for (size_t i = 0; i < SKELETON_RULES; i++) {
		struct nlattr *list = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);

		for (size_t k = 0; k < rules[i].n; k++)
			put_expr(h, &rules[i].exprs[k], conf);
		mnl_attr_nest_end(h, list);
		at[i] = list;
	}
	assert(h->nlmsg_len <= ROOM);
	memset(known, 0, sizeof known);
	made_for = *conf;
	return at;
}

struct nlmsghdr *skeleton_begin(struct nl_batch *b, uint16_t type, uint16_t flags)
{
	struct nfgenmsg nfgen = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
	struct nlmsghdr *h = nl_begin(b, NFNL_SUBSYS_NFTABLES << 8 | type, flags, &nfgen, sizeof nfgen);

	/* The table's name is attribute 1 of every kind of request. */
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, NAT_TABLE);
	return h;
}

static void put_set(struct nl_batch *b, uint32_t id, const struct nat_shape *s)
{
	/* For nft(8), which shows a device's name as nothing if nobody has told it of the key's byte order. Type,
	 * length, value as libnftnl has them; 1 is the host's order. */
	static const uint8_t host_order[] = { 0, 4, __BYTE_ORDER == __LITTLE_ENDIAN, 0, 0,
					      __BYTE_ORDER == __BIG_ENDIAN };
	struct nlmsghdr *h = skeleton_begin(b, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);

	mnl_attr_put_strz(h, NFTA_SET_NAME, s->name);
	put_u32(h, NFTA_SET_ID, id);
	put_u32(h, NFTA_SET_FLAGS, s->data_size ? NFT_SET_MAP : 0);
	put_u32(h, NFTA_SET_KEY_TYPE, s->key_type);
	put_u32(h, NFTA_SET_KEY_LEN, s->key_size);
	if (s->key_type == TYPE_IFNAME)
		mnl_attr_put(h, NFTA_SET_USERDATA, sizeof host_order, host_order);
	if (!s->data_size)
		return;
	put_u32(h, NFTA_SET_DATA_TYPE, s->data_type);
	put_u32(h, NFTA_SET_DATA_LEN, s->data_size);
}

static void put_chain(struct nl_batch *b, const struct chain *c)
{
	struct nlmsghdr *h = skeleton_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *hook;

	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, c->name);
	mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, c->type);
	hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
	put_u32(h, NFTA_HOOK_HOOKNUM, c->hook);
	put_u32(h, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	mnl_attr_nest_end(h, hook);
	put_u32(h, NFTA_CHAIN_POLICY, NF_ACCEPT);
}

void skeleton_build(const struct nat_conf *conf, struct nl_batch *b)
{
	const struct nlattr *const *exprs = expressions(conf);

	skeleton_begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	for (size_t i = 0; i < NAT_SETS; i++)
		put_set(b, (uint32_t)i + 1, &nat_shapes[i]);
	for (size_t i = 0; i < SKELETON_CHAINS; i++)
		put_chain(b, &chains[i]);
	for (size_t i = 0; i < SKELETON_RULES; i++) {
		struct nlmsghdr *h = skeleton_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

		mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chains[rules[i].chain].name);
		mnl_attr_put(h, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, mnl_attr_get_payload_len(exprs[i]),
			     mnl_attr_get_payload(exprs[i]));
	}
}

/* ---- comparison ---- */

static uint32_t get_u32(const struct nlattr *a)
{
	uint32_t value = 0;

	if (a)
		memcpy(&value, mnl_attr_get_payload(a), sizeof value);
	return ntohl(value);
}

static bool is_text(const struct nlattr *a, const char *text)
{
	size_t n = strlen(text);

	return a && mnl_attr_get_payload_len(a) > n && memcmp(mnl_attr_get_payload(a), text, n + 1) == 0;
}

static bool is_zero(const struct nlattr *a)
{
	const uint8_t *p = mnl_attr_get_payload(a);

	for (size_t n = mnl_attr_get_payload_len(a); n--; )
		if (*p++)
			return false;
	return true;
}

static bool same_payload(const struct nlattr *want, const struct nlattr *have)
{
	uint16_t n = mnl_attr_get_payload_len(want);

	return mnl_attr_get_payload_len(have) == n &&
	       memcmp(mnl_attr_get_payload(want), mnl_attr_get_payload(have), n) == 0;
}

/* Does `have` say all that `want` says, and beside it only what is zero? Kernels learn new attributes, whose default is
 * dumped too; that is all they may add. Our own nests carry NLA_F_NESTED, the kernel's need not. */
static bool same_attrs(const struct nlattr *want, const struct nlattr *have)
{
	const struct nlattr *w, *h;

	mnl_attr_for_each_nested(h, have) {
		bool found = false;

		mnl_attr_for_each_nested(w, want)
			found |= mnl_attr_get_type(w) == mnl_attr_get_type(h);
		if (!found && !is_zero(h))
			return false;
	}
	mnl_attr_for_each_nested(w, want) {
		bool same = false;

		mnl_attr_for_each_nested(h, have)
			if (mnl_attr_get_type(w) == mnl_attr_get_type(h))
				same = w->nla_type & NLA_F_NESTED ? same_attrs(w, h) : same_payload(w, h);
		if (!same)
			return false;
	}
	return true;
}

/* Two lists of expressions: the same ones in the same order. */
static bool same_list(const struct nlattr *want, const struct nlattr *have)
{
	const char *end = (const char *)have + have->nla_len;
	const struct nlattr *w, *h = mnl_attr_get_payload(have);

	mnl_attr_for_each_nested(w, want) {
		if (!mnl_attr_ok(h, (int)(end - (const char *)h)) || mnl_attr_get_type(h) != NFTA_LIST_ELEM ||
		    !same_attrs(w, h))
			return false;
		h = mnl_attr_next(h);
	}
	return !mnl_attr_ok(h, (int)(end - (const char *)h));
}

static bool same_rule(const struct nat_conf *conf, size_t i, const struct nlattr *have)
{
	const struct nlattr *want = expressions(conf)[i];
	size_t n = mnl_attr_get_payload_len(have);

	if (known[i].n && known[i].n == n && memcmp(known[i].at, mnl_attr_get_payload(have), n) == 0)
		return true;
	if (!same_list(want, have))
		return false;
	if (n <= sizeof known[i].at) {
		memcpy(known[i].at, mnl_attr_get_payload(have), n);
		known[i].n = n;
	}
	return true;
}

static void attrs(const struct nlmsghdr *h, const struct nlattr **tb, const uint16_t *want, uint16_t n)
{
	nl_attrs(tb, want, n, mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)), mnl_nlmsg_get_payload_tail(h));
}

static int chain_index(const struct nlattr *name)
{
	for (int i = 0; i < SKELETON_CHAINS; i++)
		if (is_text(name, chains[i].name))
			return i;
	return -1;
}

static bool see_table(struct skeleton_seen *seen, const struct nlmsghdr *h)
{
	static const uint16_t want[NFTA_TABLE_MAX + 1] = { [NFTA_TABLE_FLAGS] = 4, [NFTA_TABLE_USE] = 4 };
	const struct nlattr *tb[NFTA_TABLE_MAX + 1];

	attrs(h, tb, want, NFTA_TABLE_MAX + 1);
	seen->objects = get_u32(tb[NFTA_TABLE_USE]);
	return get_u32(tb[NFTA_TABLE_FLAGS]) == 0;
}

static bool see_chain(struct skeleton_seen *seen, const struct nlmsghdr *h)
{
	static const uint16_t want[NFTA_CHAIN_MAX + 1] = { [NFTA_CHAIN_POLICY] = 4, [NFTA_CHAIN_FLAGS] = 4 };
	static const uint16_t want_hook[NFTA_HOOK_MAX + 1] = { [NFTA_HOOK_HOOKNUM] = 4, [NFTA_HOOK_PRIORITY] = 4 };
	const struct nlattr *tb[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	int i;

	attrs(h, tb, want, NFTA_CHAIN_MAX + 1);
	if (!is_text(tb[NFTA_CHAIN_TABLE], NAT_TABLE))
		return true;		/* a dump of chains tells those of all tables */
	i = chain_index(tb[NFTA_CHAIN_NAME]);
	if (i < 0 || !tb[NFTA_CHAIN_HOOK] || !is_text(tb[NFTA_CHAIN_TYPE], chains[i].type) ||
	    get_u32(tb[NFTA_CHAIN_POLICY]) != NF_ACCEPT || get_u32(tb[NFTA_CHAIN_FLAGS]) & ~(uint32_t)NFT_CHAIN_BASE)
		return false;
	nl_attrs(hook, want_hook, NFTA_HOOK_MAX + 1, mnl_attr_get_payload(tb[NFTA_CHAIN_HOOK]),
		 (const char *)tb[NFTA_CHAIN_HOOK] + tb[NFTA_CHAIN_HOOK]->nla_len);
	if (!hook[NFTA_HOOK_HOOKNUM] || get_u32(hook[NFTA_HOOK_HOOKNUM]) != chains[i].hook ||
	    get_u32(hook[NFTA_HOOK_PRIORITY]) != (uint32_t)chains[i].priority)
		return false;
	seen->chains |= 1u << i;
	return true;
}

static bool see_set(struct skeleton_seen *seen, const struct nlmsghdr *h)
{
	/* Kernel 6.16 has begun to tell the number of elements; Debian 12's headers do not know of it. */
	enum { SET_COUNT = 20, SET_ATTRS };
	static const uint16_t want[SET_ATTRS] = { [NFTA_SET_FLAGS] = 4, [NFTA_SET_KEY_LEN] = 4, [NFTA_SET_DATA_LEN] = 4,
						  [SET_COUNT] = 4 };
	static const uint16_t want_desc[] = { [NFTA_SET_DESC_SIZE] = 4 };
	const struct nlattr *tb[SET_ATTRS], *desc[NFTA_SET_DESC_SIZE + 1] = { 0 };
	const struct nat_shape *s;
	int i = -1;

	attrs(h, tb, want, SET_ATTRS);
	for (int k = 0; k < NAT_SETS; k++)
		if (is_text(tb[NFTA_SET_NAME], nat_shapes[k].name))
			i = k;
	if (i < 0)
		return false;
	s = &nat_shapes[i];
	if (tb[NFTA_SET_DESC])
		nl_attrs(desc, want_desc, NFTA_SET_DESC_SIZE + 1, mnl_attr_get_payload(tb[NFTA_SET_DESC]),
			 (const char *)tb[NFTA_SET_DESC] + tb[NFTA_SET_DESC]->nla_len);
	/* A set with a size can be full. */
	if (get_u32(tb[NFTA_SET_FLAGS]) != (s->data_size ? NFT_SET_MAP : 0) || get_u32(desc[NFTA_SET_DESC_SIZE]) ||
	    get_u32(tb[NFTA_SET_KEY_TYPE]) != s->key_type || get_u32(tb[NFTA_SET_KEY_LEN]) != s->key_size ||
	    get_u32(tb[NFTA_SET_DATA_TYPE]) != s->data_type || get_u32(tb[NFTA_SET_DATA_LEN]) != s->data_size)
		return false;
	seen->elements[i] = tb[SET_COUNT] ? get_u32(tb[SET_COUNT]) : UINT32_MAX;
	seen->sets |= 1u << i;
	return true;
}

static bool see_rule(struct skeleton_seen *seen, const struct nat_conf *conf, const struct nlmsghdr *h)
{
	static const uint16_t want[NFTA_RULE_MAX + 1];
	const struct nlattr *tb[NFTA_RULE_MAX + 1];
	int chain;
	size_t i = 0;

	attrs(h, tb, want, NFTA_RULE_MAX + 1);
	chain = chain_index(tb[NFTA_RULE_CHAIN]);
	if (chain < 0 || !tb[NFTA_RULE_EXPRESSIONS])
		return false;
	while (i < SKELETON_RULES && rules[i].chain != chain)
		i++;
	i += seen->rules[chain]++;
	return i < SKELETON_RULES && rules[i].chain == chain &&
	       same_rule(conf, i, tb[NFTA_RULE_EXPRESSIONS]);
}

void skeleton_see(struct skeleton_seen *seen, const struct nat_conf *conf, const struct nlmsghdr *h)
{
	bool good = true;

	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		good = see_table(seen, h);
		break;
	case NFT_MSG_NEWCHAIN:
		good = see_chain(seen, h);
		break;
	case NFT_MSG_NEWSET:
		good = see_set(seen, h);
		break;
	case NFT_MSG_NEWRULE:
		good = see_rule(seen, conf, h);
		break;
	}
	seen->damaged |= !good;
}

bool skeleton_whole(const struct skeleton_seen *seen)
{
	uint32_t missing[SKELETON_CHAINS] = { 0 };

	for (size_t i = 0; i < SKELETON_RULES; i++)
		missing[rules[i].chain]++;
	return !seen->damaged && seen->objects == SKELETON_CHAINS + NAT_SETS &&
	       seen->chains == (1u << SKELETON_CHAINS) - 1 && seen->sets == (1u << NAT_SETS) - 1 &&
	       memcmp(missing, seen->rules, sizeof missing) == 0;
}

/* ---- text ---- */

static void print_rule(const struct rule *r, const struct nat_conf *conf, struct text *out)
{
	text_put(out, "\t\t");
	for (const char *p = r->text; *p; p++) {
		if (*p == '$')
			text_printf(out, "%u", conf->metadata_port);
		else if (*p == '~')
			text_put(out, conf->fully_random ? " fully-random" : "");
		else
			text_add(out, p, 1);
	}
	text_put(out, "\n");
}

void skeleton_print_chains(const struct nat_conf *conf, struct text *out)
{
	for (int i = 0; i < SKELETON_CHAINS; i++) {
		const struct chain *c = &chains[i];

		text_printf(out, "%s\tchain %s {\n\t\ttype %s hook %s priority %s; policy accept;\n", i ? "\n" : "",
			    c->name, c->type, c->name, c->priority_text);
		for (size_t k = 0; k < SKELETON_RULES; k++)
			if (rules[k].chain == i)
				print_rule(&rules[k], conf, out);
		text_put(out, "\t}\n");
	}
}
