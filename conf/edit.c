/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "log.h"
#include "problems.h"
#include "routers.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tree_limits limits = {
	.bytes = ROUTERS_MAX_BYTES, .depth = ROUTERS_MAX_DEPTH, .nodes = ROUTERS_MAX_NODES };

/* ---- refusals ---- */

int edit_refuse(char **why, int error, const char *format, ...)
{
	struct text text = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&text, format, ap);
	va_end(ap);
	*why = text.at;
	return error;
}

int edit_refuse_style(char **why, const char *what)
{
	return edit_refuse(why, -EINVAL, "this file's style cannot be edited in place: %s", what);
}

/* The first of the problems, which are cleared. */
int edit_refuse_faults(char **why, const char *what, struct problems *p)
{
	const struct problem *first = &p->at[0];

	if (first->line)
		edit_refuse(why, -EINVAL, "%s, line %u column %u: %s", what, first->line, first->column, first->text);
	else
		edit_refuse(why, -EINVAL, "%s: %s", what, first->text);
	problems_clear(p);
	return -EINVAL;
}

/* A tree without any fault. */
int edit_parse(const char *text, size_t n, const char *what, struct tree *ret, char **why)
{
	struct problems problems = { 0 };
	struct tree tree;
	int error = tree_parse("", text, n, &limits, &problems, &tree);

	if (!error && problems.n) {
		tree_free(&tree);
		error = -EINVAL;
	}
	if (error)
		return edit_refuse_faults(why, what, &problems);
	*ret = tree;
	return 0;
}

/* ---- begin and end of an edit ---- */

const struct node *edit_key(const struct node *map, const char *name)
{
	node_each_key(key, map)
		if (key->kind == NODE_SCALAR && strcmp(key->text, name) == 0)
			return key;
	return NULL;
}

static const char *scalar_of(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return n && n->kind == NODE_SCALAR ? n->text : NULL;
}

/* Is `router` the name or the id, written or derived, of this item? */
static bool is_router(const struct node *item, const char *router)
{
	const char *name = scalar_of(item, "name"), *written = scalar_of(item, "id");
	struct uuid id, wanted;
	struct text derived = { 0 };

	if (name && strcmp(name, router) == 0)
		return true;
	if (uuid_parse(router, &wanted) < 0)
		return false;
	if (written)
		return uuid_parse(written, &id) == 0 && uuid_compare(&id, &wanted) == 0;
	text_printf(&derived, "router:%s", name ? name : "");
	id = uuid_v5(&uuid_space_l3agent, text_str(&derived));
	text_free(&derived);
	return uuid_compare(&id, &wanted) == 0;
}

void edit_done(struct edit *e)
{
	for (size_t i = 0; i < e->spans.n; i++)
		free(e->spans.at[i].with);
	vec_free(&e->spans);
	tree_free(&e->tree);
}

int edit_begin(struct edit *e, const char *text, size_t n, const char *router, char **why)
{
	const char *line_end = memchr(text, '\n', n);
	int error;

	*e = (struct edit){ .l = { .text = text, .n = n } };
	e->eol = line_end && line_end > text && line_end[-1] == '\r' ? "\r\n" : "\n";
	error = edit_parse(text, n, "the file has faults", &e->tree, why);
	if (error)
		return error;
	if (!e->tree.root || node_is_null(e->tree.root))
		return 0;
	e->key = e->tree.root->kind == NODE_MAP ? edit_key(e->tree.root, "routers") : NULL;
	e->list = e->key ? e->key->next : NULL;
	if (!e->list || (e->list->kind != NODE_LIST && !node_is_null(e->list))) {
		error = edit_refuse(why, -EINVAL, "the file has faults: expected a map with a list of routers");
		edit_done(e);
		return error;
	}
	if (e->list->kind == NODE_LIST)
		node_each_item(item, e->list)
			if (!e->router && is_router(item, router))
				e->router = item;
	return 0;
}

void edit_replace(struct edit *e, size_t start, size_t end, const char *format, ...)
{
	struct text with = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&with, format, ap);
	va_end(ap);
	*vec_add(&e->spans) = (struct edit_span){ .start = start, .end = end, .with = with.at };
}

static void cut(struct edit *e, size_t start, size_t end)
{
	if (start < end)
		*vec_add(&e->spans) = (struct edit_span){ .start = start, .end = end };
}

static int by_start(const void *a, const void *b)
{
	const struct edit_span *l = a, *r = b;

	return l->start != r->start ? (l->start < r->start ? -1 : 1) : l->end < r->end ? -1 : l->end > r->end;
}

static void carry_out(struct edit *e, struct text *ret)
{
	size_t at = 0;

	vec_sort(&e->spans, by_start);
	for (size_t i = 0; i < e->spans.n; i++) {
		const struct edit_span *s = &e->spans.at[i];

		if (s->start > at)
			text_add(ret, e->l.text + at, s->start - at);
		if (s->with)
			text_put(ret, s->with);
		at = s->end > at ? s->end : at;
	}
	text_add(ret, e->l.text + at, e->l.n - at);	/* at least the zero byte: never NULL */
}

/* ---- what must have come out ---- */

const struct node *edit_first(const struct node *list)
{
	return list && list->kind == NODE_LIST ? list->child : NULL;
}

/* Equal item by item, but for one item that is left out in each (NULL: none). Null is an empty list. */
static bool same_list_but(const struct node *a, const struct node *not_a, const struct node *b,
			  const struct node *not_b)
{
	const struct node *l = edit_first(a), *r = edit_first(b);

	for (;; l = l->next, r = r->next) {
		l = l && l == not_a ? l->next : l;
		r = r && r == not_b ? r->next : r;
		if (!l || !r)
			return !l && !r;
		if (!node_equal(l, r))
			return false;
	}
}

/* Equal key by key and in the same order, but for the value of one key, which may be absent. */
static bool same_map_but(const struct node *a, const struct node *b, const char *but)
{
	const struct node *l = a->child, *r = b->child;

	if (a->kind != NODE_MAP || b->kind != NODE_MAP)
		return false;
	for (;; l = l->next->next, r = r->next->next) {
		if (l && l->kind == NODE_SCALAR && strcmp(l->text, but) == 0)
			l = l->next->next;
		if (r && r->kind == NODE_SCALAR && strcmp(r->text, but) == 0)
			r = r->next->next;
		if (!l || !r)
			return !l && !r;
		if (!node_equal(l, r) || !node_equal(l->next, r->next))
			return false;
	}
}

const struct node *edit_nth(const struct node *list, size_t i)
{
	const struct node *n = edit_first(list);

	while (n && i--)
		n = n->next;
	return n;
}

static size_t index_of(const struct node *list, const struct node *item)
{
	size_t i = 0;

	for (const struct node *n = edit_first(list); n && n != item; n = n->next)
		i++;
	return i;
}

bool edit_is_ip(const struct node *n, const struct ip *ip)
{
	struct ip is;

	return n && n->kind == NODE_SCALAR && ip_parse(n->text, &is) == 0 && ip_equal(&is, ip);
}

bool edit_is_entry(const struct node *map, const struct edit_floatingip *fip)
{
	return map && edit_is_ip(node_get(map, "floating_ip_address"), &fip->floating_ip_address) &&
	       edit_is_ip(node_get(map, "fixed_ip_address"), &fip->fixed_ip_address);
}

static bool floatingips_as_asked(const struct edit_change *c, const struct node *was, const struct node *is)
{
	const struct node *new;

	switch (c->kind) {
	case FLOATINGIP_ADD:
		new = edit_nth(is, is && is->kind == NODE_LIST && is->child ? node_count(is) - 1 : 0);
		return new && node_count(new) == 2 && edit_is_entry(new, c->fip) && same_list_but(was, NULL, is, new);
	case FLOATINGIP_MOVE:
		new = edit_nth(is, index_of(was, c->item));
		return new && edit_is_entry(new, c->fip) && same_map_but(c->item, new, "fixed_ip_address") &&
		       same_list_but(was, c->item, is, new);
	default:
		return same_list_but(was, c->item, is, NULL);
	}
}

static bool as_asked(const struct edit *e, const struct edit_change *c, const struct node *root)
{
	const struct node *list = root && root->kind == NODE_MAP ? node_get(root, "routers") : NULL, *is;

	if (!list || (e->list && !same_map_but(e->tree.root, root, "routers")))
		return false;
	switch (c->kind) {
	case ROUTER_DEL:
		return same_list_but(e->list, c->item, list, NULL);
	case ROUTER_REPLACE:
		is = edit_nth(list, index_of(e->list, c->item));
		return is && node_equal(is, c->block) && same_list_but(e->list, c->item, list, is);
	case ROUTER_APPEND:
		is = list->kind == NODE_LIST && list->child ? edit_nth(list, node_count(list) - 1) : NULL;
		return is && node_equal(is, c->block) && same_list_but(e->list, NULL, list, is);
	default:
		is = edit_nth(list, index_of(e->list, e->router));
		return is && same_list_but(e->list, e->router, list, is) &&
		       same_map_but(e->router, is, "floatingips") &&
		       floatingips_as_asked(c, node_get(e->router, "floatingips"), node_get(is, "floatingips"));
	}
}

/* Ends e: the new text, if its tree is what was asked for. */
int edit_finish(struct edit *e, const struct edit_change *c, char **ret, size_t *ret_n, char **why)
{
	struct text text = { 0 };
	struct tree tree = { 0 };
	char *fault = NULL;
	bool right;

	carry_out(e, &text);
	right = edit_parse(text_str(&text), text.n, "", &tree, &fault) == 0 && as_asked(e, c, tree.root);
	free(fault);
	tree_free(&tree);
	edit_done(e);
	if (!right) {
		text_free(&text);
		return edit_refuse_style(why, "the change would touch more than what it is for");
	}
	*ret = text.at;
	*ret_n = text.n;
	return 0;
}

int edit_give_up(struct edit *e, int error)
{
	edit_done(e);
	return error;
}

/* ---- taking an item out ---- */

/* Whole lines go; at the end of a file without final line end, the one before them does instead of their own. */
static void cut_lines(struct edit *e, size_t start, size_t end)
{
	if (end == e->l.n && end && e->l.text[end - 1] != '\n' && start) {
		start--;
		start -= start && e->l.text[start - 1] == '\r';
	}
	cut(e, start, end);
}

static void cut_flow_item(struct edit *e, const struct node *list, const struct node *item)
{
	size_t comma = layout_comma(&e->l, item), end = comma == NOWHERE ? item->end : comma + 1;
	const struct node *before = NULL;

	node_each_item(i, list)
		if (i->next == item)
			before = i;
	if (layout_first(&e->l, item->start) && layout_last(&e->l, end) &&
	    layout_line(&e->l, end) == layout_line(&e->l, item->end)) {
		cut(e, layout_line(&e->l, item->start), layout_next_line(&e->l, end));
		return;
	}
	/* A comma goes with it: the one behind, else the one before; comments between stay. */
	if (comma != NOWHERE) {
		size_t blank = layout_skip_spaces(&e->l, item->end), next = layout_skip_spaces(&e->l, comma + 1);

		cut(e, item->start, blank == comma ? comma : item->end);
		cut(e, comma, e->l.text[next] == '#' ? comma + 1 : next);	/* the comment keeps its blank */
		return;
	}
	comma = before ? layout_comma(&e->l, before) : NOWHERE;
	if (comma == NOWHERE) {
		cut(e, item->start, item->end);
	} else if (layout_skip_spaces(&e->l, comma + 1) == item->start) {
		cut(e, comma, item->end);
	} else {
		cut(e, comma, comma + 1);
		cut(e, item->start, item->end);
	}
}

/* Takes `item` out of the list that is the value of `key`; in block style its lines from start to end. */
int edit_take_out(struct edit *e, const struct node *key, const struct node *item, size_t start, size_t end, char **why)
{
	const struct node *list = key->next;
	size_t colon = layout_colon(&e->l, key);

	if (list->flow) {
		cut_flow_item(e, list, item);
		return 0;
	}
	/* A key without value would be null, which not every reader of such files takes for an empty list. */
	if (!list->child->next) {
		if (colon == NOWHERE)
			return edit_refuse_style(why, "a key that its colon does not follow");
		edit_replace(e, colon + 1, colon + 1, " []");
	}
	cut_lines(e, start, end);
	return 0;
}

/* ---- putting lines in ---- */

/* Puts whole lines (each ended but the last) at `at`, the begin of a line or the end of the text. */
void edit_put_lines(struct edit *e, size_t at, const char *lines)
{
	if (at == e->l.n && at && e->l.text[at - 1] != '\n')
		edit_replace(e, at, at, "%s%s", e->eol, lines);
	else
		edit_replace(e, at, at, "%s%s", lines, e->eol);
}

/* In place of an empty value (nothing, null, []) the lines below it; "[" on one line, "]" on the next leave no room. */
bool edit_put_below_key(struct edit *e, const struct node *map, const struct node *key, const char *lines)
{
	const struct node *value = key->next;
	size_t colon = layout_colon(&e->l, key);

	if (map->flow || colon == NOWHERE || layout_line(&e->l, value->end) != layout_line(&e->l, key->start) ||
	    value->end < colon + 1 || !layout_last(&e->l, value->end))
		return false;
	cut(e, colon + 1, value->end);
	edit_put_lines(e, layout_next_line(&e->l, value->end), lines);
	return true;
}
