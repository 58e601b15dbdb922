/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nat.h"

#include "elements.h"
#include "key.h"
#include "text.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nat_free(struct nat *n)
{
	vec_free(&n->external);
	vec_free(&n->snat);
	vec_free(&n->dnats);
	vec_free(&n->forwards);
	vec_free(&n->leaving);
	n->gateway = (struct ip){ 0 };
}

void nat_have_free(struct nat_have *h)
{
	nat_free(&h->elements);
	*h = (struct nat_have){ 0 };
}

int key_external(const void *a, const void *b)
{
	const struct nat_external *x = a, *y = b;

	return strncmp(x->dev, y->dev, IFNAMSIZ);
}

int key_snat(const void *a, const void *b)
{
	const struct nat_snat *x = a, *y = b;

	return strncmp(x->dev, y->dev, IFNAMSIZ);
}

int key_dnat(const void *a, const void *b)
{
	const struct nat_dnat *x = a, *y = b;

	return ip_compare(&x->from, &y->from);
}

int key_forward(const void *a, const void *b)
{
	const struct nat_forward *x = a, *y = b;
	int ip = ip_compare(&x->ip, &y->ip);

	return ip ? ip : x->protocol != y->protocol ? (int)x->protocol - (int)y->protocol : (int)x->port - (int)y->port;
}

int key_leaving(const void *a, const void *b)
{
	const struct nat_leaving *x = a, *y = b;
	int ip = ip_compare(&x->ip, &y->ip);

	return ip ? ip : x->protocol != y->protocol ? (int)x->protocol - (int)y->protocol : (int)x->port - (int)y->port;
}

const char *key_protocol(uint8_t protocol, char buf[KEY_PROTOCOL_TEXT])
{
	switch (protocol) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_SCTP: return "sctp";
	case IPPROTO_DCCP: return "dccp";
	case IPPROTO_UDPLITE: return "udplite";
	}
	snprintf(buf, KEY_PROTOCOL_TEXT, "%u", protocol);
	return buf;
}

void nat_sort(struct nat *n)
{
	vec_sort(&n->external, key_external);
	vec_sort(&n->snat, key_snat);
	vec_sort(&n->dnats, key_dnat);
	vec_sort(&n->forwards, key_forward);
	vec_sort(&n->leaving, key_leaving);
}

/* ---- text ---- */

/* A set's elements, one line each, in a frame that is left out if there are none. */
struct list { struct text *out; bool any; };

static void line(struct list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(struct list *l, const char *format, ...)
{
	va_list ap;

	text_put(l->out, l->any ? ",\n\t\t\t" : "\t\telements = {\n\t\t\t");
	l->any = true;
	va_start(ap, format);
	text_vprintf(l->out, format, ap);
	va_end(ap);
}

static void print_elements(const struct nat *n, enum nat_set set, struct list *l)
{
	char a[IP_TEXT], b[IP_TEXT], p[KEY_PROTOCOL_TEXT];
	struct nat_fixed fixed;

	switch (set) {
	case SET_EXTERNAL:
		for (size_t i = 0; i < n->external.n; i++)
			line(l, "\"%s\"", n->external.at[i].dev);
		break;
	case SET_FLOATING:
		for (size_t i = 0; i < n->dnats.n; i++)
			line(l, "%s : %s", ip_print(&n->dnats.at[i].from, a), ip_print(&n->dnats.at[i].to, b));
		break;
	case SET_FIXED:
		fixed_derive(n, &fixed);
		for (size_t i = 0; i < fixed.pairs.n; i++) {
			struct nat_element e = element_fixed(fixed.pairs.at[i]);

			line(l, "%u.%u.%u.%u : %u.%u.%u.%u", e.key[0], e.key[1], e.key[2], e.key[3], e.data[0], e.data[1],
			     e.data[2], e.data[3]);
		}
		fixed_free(&fixed);
		break;
	case SET_FORWARDS:
		for (size_t i = 0; i < n->forwards.n; i++) {
			const struct nat_forward *f = &n->forwards.at[i];

			line(l, "%s . %s . %u : %s . %u", ip_print(&f->ip, a), key_protocol(f->protocol, p), f->port,
			     ip_print(&f->to, b), f->to_port);
		}
		break;
	case SET_SOURCES:
		for (size_t i = 0; i < n->snat.n; i++)
			line(l, "\"%s\" : %s", n->snat.at[i].dev, ip_print(&n->snat.at[i].ip, a));
		break;
	case SET_HAIRPIN:
		if (n->gateway.family)
			line(l, "ipv4 : %s", ip_print(&n->gateway, a));
		break;
	case SET_LEAVING:
	case SET_LEAVING6:
		for (size_t i = 0; i < n->leaving.n; i++) {
			const struct nat_leaving *v = &n->leaving.at[i];

			if ((v->ip.family == AF_INET6) != (set == SET_LEAVING6))
				continue;
			if (set == SET_LEAVING6)
				line(l, "%s", ip_print(&v->ip, a));
			else
				line(l, "%s . %s . %u", ip_print(&v->ip, a), key_protocol(v->protocol, p), v->port);
		}
		break;
	case NAT_SETS:
		break;
	}
}

void nat_print(const struct nat *n, const struct nat_conf *conf, struct text *out)
{
	text_put(out, "table inet " NAT_TABLE " {\n");
	for (int i = 0; i < NAT_SETS; i++) {
		const struct nat_shape *s = &nat_shapes[i];
		struct list l = { .out = out };

		text_printf(out, "\t%s %s {\n\t\ttype %s\n", s->data_size ? "map" : "set", s->name, s->type);
		print_elements(n, (enum nat_set)i, &l);
		text_put(out, l.any ? "\n\t\t}\n\t}\n\n" : "\t}\n\n");
	}
	skeleton_print_chains(conf, out);
	text_put(out, "}\n");
}
