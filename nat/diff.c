/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nat.h"

#include "key.h"
#include "text.h"

#include <string.h>

struct work {
	const struct nat *want;
	const struct nat_conf *conf;
	bool flows;				/* packets may have passed untranslated */
	struct nat_ops ops;
	VEC(struct nat_leaving) left;
};

static void leave(struct work *w, const struct ip *ip, uint8_t protocol, uint16_t port)
{
	*vec_add(&w->left) = (struct nat_leaving){ *ip, protocol, port };
}

static struct nat_op *op(struct work *w, int kind, const void *have, const void *want)
{
	struct nat_op *o = vec_add(&w->ops.ops);

	o->kind = kind;
	o->verb = !have ? NAT_ADD : !want ? NAT_DEL : NAT_CHANGE;
	return o;
}

static void diff_external(const void *have, const void *want, void *ctx)
{
	const struct nat_external *e = want ? want : have;

	if (!have || !want)
		memcpy(op(ctx, NAT_EXTERNAL, have, want)->dev, e->dev, IFNAMSIZ);
}

/* Does the router still show itself as ip? A gateway device that is replaced by another one keeps its flows. */
static bool still_source(const struct nat *want, const struct ip *ip)
{
	for (size_t i = 0; i < want->snat.n; i++)
		if (ip_equal(&want->snat.at[i].ip, ip))
			return true;
	return false;
}

static void diff_gateway(struct work *w, const struct ip *have, const struct ip *want)
{
	struct nat_op *o;

	if (ip_equal(have, want))
		return;
	o = op(w, NAT_GATEWAY, have->family ? have : NULL, want->family ? want : NULL);
	o->ip = want->family ? *want : *have;
	o->old_ip = *have;
	if (have->family)
		leave(w, have, 0, 0);
}

static void diff_snat(const void *have, const void *want, void *ctx)
{
	const struct nat_snat *h = have, *n = want;
	struct work *w = ctx;
	struct nat_op *o;

	if (h && n && ip_equal(&h->ip, &n->ip))
		return;
	o = op(w, NAT_SNAT, have, want);
	memcpy(o->dev, n ? n->dev : h->dev, IFNAMSIZ);
	o->ip = n ? n->ip : h->ip;
	if (!h)
		return;
	o->old_ip = h->ip;
	if (!still_source(w->want, &h->ip))
		leave(w, &h->ip, 0, 0);
}

static void diff_dnat(const void *have, const void *want, void *ctx)
{
	const struct nat_dnat *h = have, *n = want;
	struct work *w = ctx;
	struct nat_op *o;

	if (h && n && ip_equal(&h->to, &n->to))
		return;
	o = op(w, NAT_DNAT, have, want);
	o->dnat = n ? *n : *h;
	if (h)
		o->old_to = h->to;
	if (h ? !n || w->conf->flush_moved : w->flows)
		leave(w, &o->dnat.from, 0, 0);
}

static void diff_forward(const void *have, const void *want, void *ctx)
{
	const struct nat_forward *h = have, *n = want;
	struct work *w = ctx;
	struct nat_op *o;

	if (h && n && h->to_port == n->to_port && ip_equal(&h->to, &n->to))
		return;
	o = op(w, NAT_FORWARD, have, want);
	o->forward = n ? *n : *h;
	if (h)
		o->old_forward = *h;
	if (h || w->flows)
		leave(w, &o->forward.ip, o->forward.protocol, o->forward.port);
}

static void diff_leaving(const void *have, const void *want, void *ctx)
{
	if (!have)
		op(ctx, NAT_LEAVING, NULL, want)->leaving = *(const struct nat_leaving *)want;
}

/* What leaves and is not on the journal yet, each once. */
static void diff_journal(struct work *w, const struct nat *have, const struct ip *left, size_t n_left)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_left; i++)
		leave(w, &left[i], 0, 0);
	vec_sort(&w->left, key_leaving);
	for (size_t i = 0; i < w->left.n; i++)
		if (!kept || key_leaving(&w->left.at[i], &w->left.at[kept - 1]) != 0)
			w->left.at[kept++] = w->left.at[i];
	vec_walk(have->leaving.at, have->leaving.n, w->left.at, kept, sizeof(struct nat_leaving), key_leaving,
		 diff_leaving, w);
	vec_free(&w->left);
}

#define WALK(field, key, each) \
	vec_walk(have->elements.field.at, have->elements.field.n, want->field.at, want->field.n, \
		 sizeof *want->field.at, key, each, &w)

void nat_diff(const struct nat_have *have, const struct nat *want, const struct nat_conf *conf, const struct ip *left,
	      size_t n_left, struct nat_ops *ret)
{
	struct work w = { .want = want, .conf = conf, .flows = have->flows };

	if (!want) {
		if (have->table)
			op(&w, NAT_TABLE_DEL, have, NULL);
		*ret = w.ops;
		return;
	}
	if (!have->table)
		op(&w, NAT_TABLE_ADD, NULL, want);
	else if (!have->skeleton)
		op(&w, NAT_TABLE_REPLACE, have, want);
	WALK(external, key_external, diff_external);
	diff_gateway(&w, &have->elements.gateway, &want->gateway);
	WALK(snat, key_snat, diff_snat);
	WALK(dnats, key_dnat, diff_dnat);
	WALK(forwards, key_forward, diff_forward);
	diff_journal(&w, &have->elements, left, n_left);
	*ret = w.ops;
}

void nat_ops_free(struct nat_ops *o)
{
	vec_free(&o->ops);
}

/* ---- text ---- */

/* " A", or " old → A" if it changes */
static void print_ip(const struct nat_op *o, const struct ip *old, const struct ip *ip, struct text *out)
{
	char buf[IP_TEXT];

	if (o->verb == NAT_CHANGE)
		text_printf(out, " %s →", ip_print(old, buf));
	text_printf(out, " %s", ip_print(ip, buf));
}

static void print_forward(const struct nat_op *o, struct text *out)
{
	const struct nat_forward *f = &o->forward, *old = &o->old_forward;
	char buf[IP_TEXT], protocol[KEY_PROTOCOL_TEXT];

	text_printf(out, "forward %s %s %u", ip_print(&f->ip, buf), key_protocol(f->protocol, protocol), f->port);
	if (o->verb == NAT_CHANGE)
		text_printf(out, " %s %u", ip_print(&old->to, buf), old->to_port);
	text_printf(out, " → %s %u", ip_print(&f->to, buf), f->to_port);
}

void nat_op_print(const struct nat_op *o, struct text *out)
{
	char buf[IP_TEXT], protocol[KEY_PROTOCOL_TEXT];

	text_printf(out, "%c ", "+-~"[o->verb]);
	switch (o->kind) {
	case NAT_TABLE_ADD:
	case NAT_TABLE_REPLACE:
	case NAT_TABLE_DEL:
		text_put(out, "table inet " NAT_TABLE);
		break;
	case NAT_EXTERNAL:
		text_printf(out, "external %s", o->dev);
		break;
	case NAT_GATEWAY:
		text_put(out, "gateway");
		print_ip(o, &o->old_ip, &o->ip, out);
		break;
	case NAT_SNAT:
		text_printf(out, "snat %s", o->dev);
		print_ip(o, &o->old_ip, &o->ip, out);
		break;
	case NAT_DNAT:
		text_printf(out, "dnat %s", ip_print(&o->dnat.from, buf));
		if (o->verb == NAT_CHANGE)
			text_printf(out, " %s", ip_print(&o->old_to, buf));
		text_printf(out, " → %s", ip_print(&o->dnat.to, buf));
		break;
	case NAT_FORWARD:
		print_forward(o, out);
		break;
	case NAT_LEAVING:
		text_printf(out, "flush %s", ip_print(&o->leaving.ip, buf));
		if (o->leaving.protocol)
			text_printf(out, " %s %u", key_protocol(o->leaving.protocol, protocol), o->leaving.port);
		break;
	}
}
