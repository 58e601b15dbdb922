/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routers.h"

#include "conf.h"
#include "layout.h"
#include "log.h"
#include "problems.h"
#include "text.h"
#include "vec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An edit is a set of spans of the text and what stands in their place. Which spans is a matter of layout, where a guess
 * can be wrong in the face of all that YAML permits; so the result is read again, and its tree must differ from the old
 * one by the change that was asked for and by nothing else. */

struct span { size_t start, end; char *with; };

struct edit {
	struct layout l;
	struct tree tree;
	const char *eol;
	const struct node *key, *list;	/* `routers` and its value; list NULL: there is neither */
	const struct node *router;	/* the one that is meant; NULL: it is not in the text */
	VEC(struct span) spans;
};

static const struct tree_limits limits = {
	.bytes = ROUTERS_MAX_BYTES, .depth = ROUTERS_MAX_DEPTH, .nodes = ROUTERS_MAX_NODES };

/* ---- refusals ---- */

static int refuse(char **why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(char **why, int error, const char *format, ...)
{
	struct text text = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&text, format, ap);
	va_end(ap);
	*why = text.at;
	return error;
}

static int refuse_style(char **why, const char *what)
{
	return refuse(why, -EINVAL, "this file's style cannot be edited in place: %s", what);
}

/* The first of the problems, which are cleared. */
static int refuse_faults(char **why, const char *what, struct problems *p)
{
	const struct problem *first = &p->at[0];

	if (first->line)
		refuse(why, -EINVAL, "%s, line %u column %u: %s", what, first->line, first->column, first->text);
	else
		refuse(why, -EINVAL, "%s: %s", what, first->text);
	problems_clear(p);
	return -EINVAL;
}

/* A tree without any fault. */
static int parse(const char *text, size_t n, const char *what, struct tree *ret, char **why)
{
	struct problems problems = { 0 };
	struct tree tree;
	int error = tree_parse("", text, n, &limits, &problems, &tree);

	if (!error && problems.n) {
		tree_free(&tree);
		error = -EINVAL;
	}
	if (error)
		return refuse_faults(why, what, &problems);
	*ret = tree;
	return 0;
}

/* ---- begin and end of an edit ---- */

static const struct node *key_of(const struct node *map, const char *name)
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

static void done(struct edit *e)
{
	for (size_t i = 0; i < e->spans.n; i++)
		free(e->spans.at[i].with);
	vec_free(&e->spans);
	tree_free(&e->tree);
}

static int begin(struct edit *e, const char *text, size_t n, const char *router, char **why)
{
	const char *line_end = memchr(text, '\n', n);
	int error;

	*e = (struct edit){ .l = { .text = text, .n = n } };
	e->eol = line_end && line_end > text && line_end[-1] == '\r' ? "\r\n" : "\n";
	error = parse(text, n, "the file has faults", &e->tree, why);
	if (error)
		return error;
	if (!e->tree.root || node_is_null(e->tree.root))
		return 0;
	e->key = e->tree.root->kind == NODE_MAP ? key_of(e->tree.root, "routers") : NULL;
	e->list = e->key ? e->key->next : NULL;
	if (!e->list || (e->list->kind != NODE_LIST && !node_is_null(e->list))) {
		error = refuse(why, -EINVAL, "the file has faults: expected a map with a list of routers");
		done(e);
		return error;
	}
	if (e->list->kind == NODE_LIST)
		node_each_item(item, e->list)
			if (!e->router && is_router(item, router))
				e->router = item;
	return 0;
}

static void replace(struct edit *e, size_t start, size_t end, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void replace(struct edit *e, size_t start, size_t end, const char *format, ...)
{
	struct text with = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&with, format, ap);
	va_end(ap);
	*vec_add(&e->spans) = (struct span){ .start = start, .end = end, .with = with.at };
}

static void cut(struct edit *e, size_t start, size_t end)
{
	if (start < end)
		*vec_add(&e->spans) = (struct span){ .start = start, .end = end };
}

static int by_start(const void *a, const void *b)
{
	const struct span *l = a, *r = b;

	return l->start != r->start ? (l->start < r->start ? -1 : 1) : l->end < r->end ? -1 : l->end > r->end;
}

static void carry_out(struct edit *e, struct text *ret)
{
	size_t at = 0;

	vec_sort(&e->spans, by_start);
	for (size_t i = 0; i < e->spans.n; i++) {
		const struct span *s = &e->spans.at[i];

		if (s->start > at)
			text_add(ret, e->l.text + at, s->start - at);
		if (s->with)
			text_put(ret, s->with);
		at = s->end > at ? s->end : at;
	}
	text_add(ret, e->l.text + at, e->l.n - at);	/* at least the zero byte: never NULL */
}

/* ---- what must have come out ---- */

static const struct node *first_of(const struct node *list)
{
	return list && list->kind == NODE_LIST ? list->child : NULL;
}

/* Equal item by item, but for one item that is left out in each (NULL: none). Null is an empty list. */
static bool same_list_but(const struct node *a, const struct node *not_a, const struct node *b, const struct node *not_b)
{
	const struct node *l = first_of(a), *r = first_of(b);

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

static const struct node *nth(const struct node *list, size_t i)
{
	const struct node *n = first_of(list);

	while (n && i--)
		n = n->next;
	return n;
}

static size_t index_of(const struct node *list, const struct node *item)
{
	size_t i = 0;

	for (const struct node *n = first_of(list); n && n != item; n = n->next)
		i++;
	return i;
}

/* The change that was asked for. */
struct change {
	enum { FLOATINGIP_ADD, FLOATINGIP_MOVE, FLOATINGIP_DEL, ROUTER_DEL, ROUTER_REPLACE, ROUTER_APPEND } kind;
	const struct node *item;	/* the floating IP or router that it concerns, in the old tree */
	const struct edit_floatingip *fip;
	const struct node *block;	/* the router that comes in */
};

static bool is_ip(const struct node *n, const struct ip *ip)
{
	struct ip is;

	return n && n->kind == NODE_SCALAR && ip_parse(n->text, &is) == 0 && ip_equal(&is, ip);
}

static bool is_entry(const struct node *map, const struct edit_floatingip *fip)
{
	return map && is_ip(node_get(map, "floating_ip_address"), &fip->floating_ip_address) &&
	       is_ip(node_get(map, "fixed_ip_address"), &fip->fixed_ip_address);
}

static bool floatingips_as_asked(const struct change *c, const struct node *was, const struct node *is)
{
	const struct node *new;

	switch (c->kind) {
	case FLOATINGIP_ADD:
		new = nth(is, is && is->kind == NODE_LIST && is->child ? node_count(is) - 1 : 0);
		return new && node_count(new) == 2 && is_entry(new, c->fip) && same_list_but(was, NULL, is, new);
	case FLOATINGIP_MOVE:
		new = nth(is, index_of(was, c->item));
		return new && is_entry(new, c->fip) && same_map_but(c->item, new, "fixed_ip_address") &&
		       same_list_but(was, c->item, is, new);
	default:
		return same_list_but(was, c->item, is, NULL);
	}
}

static bool as_asked(const struct edit *e, const struct change *c, const struct node *root)
{
	const struct node *list = root && root->kind == NODE_MAP ? node_get(root, "routers") : NULL, *is;

	if (!list || (e->list && !same_map_but(e->tree.root, root, "routers")))
		return false;
	switch (c->kind) {
	case ROUTER_DEL:
		return same_list_but(e->list, c->item, list, NULL);
	case ROUTER_REPLACE:
		is = nth(list, index_of(e->list, c->item));
		return is && node_equal(is, c->block) && same_list_but(e->list, c->item, list, is);
	case ROUTER_APPEND:
		is = list->kind == NODE_LIST && list->child ? nth(list, node_count(list) - 1) : NULL;
		return is && node_equal(is, c->block) && same_list_but(e->list, NULL, list, is);
	default:
		is = nth(list, index_of(e->list, e->router));
		return is && same_list_but(e->list, e->router, list, is) && same_map_but(e->router, is, "floatingips") &&
		       floatingips_as_asked(c, node_get(e->router, "floatingips"), node_get(is, "floatingips"));
	}
}

/* Ends e: the new text, if its tree is what was asked for. */
static int finish(struct edit *e, const struct change *c, char **ret, size_t *ret_n, char **why)
{
	struct text text = { 0 };
	struct tree tree = { 0 };
	char *fault = NULL;
	bool right;

	carry_out(e, &text);
	right = parse(text_str(&text), text.n, "", &tree, &fault) == 0 && as_asked(e, c, tree.root);
	free(fault);
	tree_free(&tree);
	done(e);
	if (!right) {
		text_free(&text);
		return refuse_style(why, "the change would touch more than what it is for");
	}
	*ret = text.at;
	*ret_n = text.n;
	return 0;
}

static int give_up(struct edit *e, int error)
{
	done(e);
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
		size_t blank = layout_skip_spaces(&e->l, item->end);

		cut(e, item->start, blank == comma ? comma : item->end);
		cut(e, comma, layout_skip_spaces(&e->l, comma + 1));
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
static int take_out(struct edit *e, const struct node *key, const struct node *item, size_t start, size_t end, char **why)
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
			return refuse_style(why, "a key that its colon does not follow");
		replace(e, colon + 1, colon + 1, " []");
	}
	cut_lines(e, start, end);
	return 0;
}

/* ---- putting lines and entries in ---- */

/* Puts whole lines (each ended but the last) at `at`, the begin of a line or the end of the text. */
static void put_lines(struct edit *e, size_t at, const char *lines)
{
	if (at == e->l.n && at && e->l.text[at - 1] != '\n')
		replace(e, at, at, "%s%s", e->eol, lines);
	else
		replace(e, at, at, "%s%s", lines, e->eol);
}

/* The quotes in which this router's keys are written: a file of JSON stays one. */
static const char *quotes(const struct edit *e, const struct node *map)
{
	return map->child && e->l.text[map->child->start] == '"' ? "\"" : "";
}

static void print_entry(struct edit *e, const struct edit_floatingip *fip, const char *between, struct text *out)
{
	const char *q = quotes(e, e->router);
	char floating[IP_TEXT], fixed[IP_TEXT];

	ip_print(&fip->floating_ip_address, floating);
	ip_print(&fip->fixed_ip_address, fixed);
	text_printf(out, "%sfloating_ip_address%s: %s%s%s%s%sfixed_ip_address%s: %s%s%s", q, q, q, floating, q, between, q, q,
		    q, fixed, q);
}

static void print_flow_entry(struct edit *e, const struct edit_floatingip *fip, struct text *out)
{
	text_put(out, "{");
	print_entry(e, fip, ", ", out);
	text_put(out, "}");
}

/* Columns that the items of a block list are indented by against its key, as elsewhere in this router or file. */
static unsigned list_indent(const struct edit *e)
{
	if (!e->router->flow)
		node_each_key(key, e->router)
			if (key->next->kind == NODE_LIST && !key->next->flow && key->next->column >= key->column)
				return key->next->column - key->column;
	if (!e->list->flow && e->list->column >= e->key->column)
		return e->list->column - e->key->column;
	return 0;
}

/* After the items of a block list, in the style of the last one. */
static int append_block(struct edit *e, const struct node *list, const struct edit_floatingip *fip, char **why)
{
	const struct node *last = nth(list, node_count(list) - 1);
	size_t dash = layout_dash(&e->l, list, last), column;
	struct text lines = { 0 }, between = { 0 };

	if (dash == NOWHERE)
		return refuse_style(why, "an entry of floatingips shares its line with something else");
	column = dash - layout_line(&e->l, dash);
	text_printf(&lines, "%*s-", (int)column, "");
	if (last->kind == NODE_MAP && !last->flow && layout_line(&e->l, last->start) == layout_line(&e->l, dash)) {
		text_printf(&lines, "%*s", (int)(last->start - dash - 1), "");
		text_printf(&between, "%s%*s", e->eol, (int)(last->column - 1), "");
		print_entry(e, fip, between.at, &lines);
	} else {
		text_put(&lines, " ");
		print_flow_entry(e, fip, &lines);
	}
	put_lines(e, layout_end(&e->l, last), lines.at);
	text_free(&lines);
	text_free(&between);
	return 0;
}

/* After the items of a flow list: on a line of its own if the last one has that, else beside it. */
static void append_flow(struct edit *e, const struct node *list, const struct edit_floatingip *fip)
{
	const struct node *last = nth(list, node_count(list) - 1);
	size_t comma = layout_comma(&e->l, last), after = comma == NOWHERE ? last->end : comma + 1;
	struct text entry = { 0 };

	print_flow_entry(e, fip, &entry);
	if (layout_first(&e->l, last->start) && layout_last(&e->l, after)) {
		size_t column = last->start - layout_line(&e->l, last->start);

		if (comma == NOWHERE)
			replace(e, after, after, ",");
		replace(e, layout_next_line(&e->l, after), layout_next_line(&e->l, after), "%*s%s%s%s", (int)column, "",
			entry.at, comma == NOWHERE ? "" : ",", e->eol);
	} else {
		replace(e, after, after, "%s%s", comma == NOWHERE ? ", " : " ", entry.at);
	}
	text_free(&entry);
}

/* In place of an empty value (nothing, null, []): lines of block style below the key if they can stand there. False: not. */
static bool put_below_key(struct edit *e, const struct node *map, const struct node *key, const char *lines)
{
	const struct node *value = key->next;
	size_t colon = layout_colon(&e->l, key);

	if (map->flow || colon == NOWHERE || layout_line(&e->l, value->end) != layout_line(&e->l, key->start) ||
	    value->end < colon + 1 || !layout_last(&e->l, value->end))
		return false;
	cut(e, colon + 1, value->end);
	put_lines(e, layout_next_line(&e->l, value->end), lines);
	return true;
}

static int fill_empty(struct edit *e, const struct node *key, const struct edit_floatingip *fip)
{
	const struct node *value = key->next;
	struct text lines = { 0 }, entry = { 0 };

	print_flow_entry(e, fip, &entry);
	text_printf(&lines, "%*s- %s", (int)(key->column - 1 + list_indent(e)), "", entry.at);
	if (put_below_key(e, e->router, key, lines.at))
		;
	else if (value->kind == NODE_LIST)
		replace(e, value->start + 1, value->start + 1, "%s", entry.at);
	else
		replace(e, value->start, value->end, " [%s]", entry.at);
	text_free(&lines);
	text_free(&entry);
	return 0;
}

/* The key and its first entry, after all that the router has. */
static int add_key(struct edit *e, const struct edit_floatingip *fip)
{
	const struct node *router = e->router, *last = router->child;
	const char *q = quotes(e, router);
	struct text entry = { 0 }, lines = { 0 };
	size_t comma, after;

	print_flow_entry(e, fip, &entry);
	if (!router->flow) {
		int indent = (int)router->column - 1;

		text_printf(&lines, "%*s%sfloatingips%s:%s%*s- %s", indent, "", q, q, e->eol, indent + (int)list_indent(e), "",
			    entry.at);
		put_lines(e, layout_end(&e->l, router), lines.at);
	} else {
		while (last->next)
			last = last->next;
		comma = layout_comma(&e->l, last);
		after = comma == NOWHERE ? last->end : comma + 1;
		replace(e, after, after, "%s%sfloatingips%s: [%s]", comma == NOWHERE ? ", " : " ", q, q, entry.at);
	}
	text_free(&entry);
	text_free(&lines);
	return 0;
}

/* ---- floating IPs ---- */

/* The router's floating IP with this address; *ret_key is its list's key, NULL if there is none. */
static int find_floatingip(const struct edit *e, const struct ip *floating, const struct node **ret_key,
			   const struct node **ret, char **why)
{
	const struct node *list;

	*ret = NULL;
	*ret_key = NULL;
	if (e->router->kind != NODE_MAP || !e->router->child)
		return refuse(why, -EINVAL, "the file has faults: a router is not a map");
	*ret_key = key_of(e->router, "floatingips");
	list = *ret_key ? (*ret_key)->next : NULL;
	if (list && list->kind != NODE_LIST && !node_is_null(list))
		return refuse(why, -EINVAL, "the file has faults: floatingips is not a list");
	for (const struct node *n = first_of(list); n && !*ret; n = n->next)
		if (is_ip(node_get(n, "floating_ip_address"), floating))
			*ret = n;
	return 0;
}

/* Another address in place of the one that is written, in its quotes. */
static int move(struct edit *e, const struct node *item, const struct ip *fixed, char **why)
{
	const struct node *value = node_get(item, "fixed_ip_address");
	char ip[IP_TEXT], quote[2] = "";

	if (!value || value->kind != NODE_SCALAR || value->start == value->end)
		return refuse(why, -EINVAL, "the file has faults: a floating IP without fixed_ip_address");
	if (!value->plain)
		*quote = e->l.text[value->start];
	if (*quote && *quote != '\'' && *quote != '"')
		return refuse_style(why, "an address that is not written on one line");
	replace(e, value->start, value->end, "%s%s%s", quote, ip_print(fixed, ip), quote);
	return 0;
}

/* The rules between entries (an address used twice, a router without gateway) are the parser's. */
static int check_result(const char *text, size_t n, char **why)
{
	struct problems problems = { 0 };
	struct routers routers;

	if (routers_parse("", text, n, NULL, &problems, &routers) < 0)
		return refuse_faults(why, "the changed file", &problems);
	routers_free(&routers);
	return 0;
}

int routers_edit_floatingip_add(const char *text, size_t n, const char *router, const struct edit_floatingip *fip,
				char **ret, size_t *ret_n, char **why)
{
	struct change change = { .kind = FLOATINGIP_ADD, .fip = fip };
	const struct node *key, *list;
	struct edit e;
	char *changed;
	size_t changed_n;
	int error = begin(&e, text, n, router, why);

	if (error)
		return error;
	if (!e.router)
		return give_up(&e, refuse(why, -ENOENT, "no router %s in this file", router));
	error = find_floatingip(&e, &fip->floating_ip_address, &key, &change.item, why);
	list = key ? key->next : NULL;
	if (error) {
		;
	} else if (change.item) {
		change.kind = FLOATINGIP_MOVE;
		error = is_entry(change.item, fip) ? refuse(why, -EEXIST, "the floating IP is there already") :
			move(&e, change.item, &fip->fixed_ip_address, why);
	} else if (!list) {
		error = add_key(&e, fip);
	} else if (!first_of(list)) {
		error = fill_empty(&e, key, fip);
	} else if (list->flow) {
		append_flow(&e, list, fip);
	} else {
		error = append_block(&e, list, fip, why);
	}
	if (error)
		return give_up(&e, error);
	error = finish(&e, &change, &changed, &changed_n, why);
	if (error)
		return error;
	error = check_result(changed, changed_n, why);
	if (error) {
		free(changed);
		return error;
	}
	*ret = changed;
	*ret_n = changed_n;
	return 0;
}

int routers_edit_floatingip_del(const char *text, size_t n, const char *router, const struct ip *floating_ip_address,
				char **ret, size_t *ret_n, char **why)
{
	struct change change = { .kind = FLOATINGIP_DEL };
	const struct node *key;
	char ip[IP_TEXT];
	size_t dash = 0;
	struct edit e;
	int error = begin(&e, text, n, router, why);

	if (error)
		return error;
	if (!e.router)
		return give_up(&e, refuse(why, -ENOENT, "no router %s in this file", router));
	error = find_floatingip(&e, floating_ip_address, &key, &change.item, why);
	if (!error && !change.item)
		error = refuse(why, -ENOENT, "router %s has no floating IP %s here", router, ip_print(floating_ip_address, ip));
	if (!error && !key->next->flow) {
		dash = layout_dash(&e.l, key->next, change.item);
		if (dash == NOWHERE)
			error = refuse_style(why, "an entry of floatingips shares its line with something else");
	}
	if (!error)
		error = take_out(&e, key, change.item, layout_line(&e.l, dash), layout_end(&e.l, change.item), why);
	return error ? give_up(&e, error) : finish(&e, &change, ret, ret_n, why);
}

/* ---- routers ---- */

/* Is nothing left that a person wrote: no router, no comment? */
static bool nothing_left(const char *text, size_t n)
{
	struct tree tree;
	char *why = NULL;
	bool ret;

	if (parse(text, n, "", &tree, &why) < 0) {
		free(why);
		return false;
	}
	ret = !memchr(text, '#', n) && tree.root && node_count(tree.root) == 1 && !first_of(node_get(tree.root, "routers"));
	tree_free(&tree);
	return ret;
}

int routers_edit_delete(const char *text, size_t n, const char *router, char **ret, size_t *ret_n, bool *ret_empty,
			char **why)
{
	struct change change = { .kind = ROUTER_DEL };
	size_t start = 0, end = 0;
	struct edit e;
	int error = begin(&e, text, n, router, why);

	if (error)
		return error;
	change.item = e.router;
	if (!e.router)
		error = refuse(why, -ENOENT, "no router %s in this file", router);
	else if (!e.list->flow && !layout_block(&e.l, e.list, e.router, &start, &end))
		error = refuse_style(why, "a router shares its line with something else");
	else
		error = take_out(&e, e.key, e.router, start, end, why);
	if (error)
		return give_up(&e, error);
	error = finish(&e, &change, ret, ret_n, why);
	if (!error)
		*ret_empty = nothing_left(*ret, *ret_n);
	return error;
}

/* The router in a block, with where its dash stands and whether comments come before it. */
static int parse_block(const struct layout *block, struct tree *ret, size_t *ret_dash, char **why)
{
	const struct node *root;
	struct tree tree;
	size_t dash = NOWHERE;
	int error = parse(block->text, block->n, "the router's text has faults", &tree, why);

	if (error)
		return error;
	root = tree.root;
	if (root && root->kind == NODE_LIST && !root->flow && root->child && !root->child->next)
		dash = layout_dash(block, root, root->child);
	if (dash == NOWHERE) {
		tree_free(&tree);
		return refuse(why, -EINVAL, "the router's text has faults: expected one list item, \"- name: …\"");
	}
	*ret = tree;
	*ret_dash = dash;
	return 0;
}

/* The block's lines with its dash in another column, in the file's line ends, without the last one. */
static void print_block(const struct edit *e, const struct layout *block, size_t from, size_t to, struct text *out)
{
	size_t n = block->n;

	while (n && strchr(" \t\r\n", block->text[n - 1]))
		n--;
	for (size_t line = 0, next; line < n; line = next) {
		size_t end, skip = 0;

		next = layout_next_line(block, line);
		end = next < n ? next : n;
		while (end > line && (block->text[end - 1] == '\n' || block->text[end - 1] == '\r'))
			end--;
		while (to + skip < from && line + skip < end && block->text[line + skip] == ' ')
			skip++;
		if (line)
			text_put(out, e->eol);
		if (end > line && to > from)
			text_printf(out, "%*s", (int)(to - from), "");
		text_add(out, block->text + line + skip, end - line - skip);
	}
}

static int put_router(struct edit *e, const struct layout *block, size_t dash, char **why)
{
	size_t from = dash - layout_line(block, dash), start, end, to;
	const struct node *at = e->router;
	struct text lines = { 0 };

	if (!e->list) {
		print_block(e, block, from, 0, &lines);
		replace(e, e->l.n, e->l.n, "%srouters:%s%s%s", e->l.n && e->l.text[e->l.n - 1] != '\n' ? e->eol : "", e->eol,
			text_str(&lines), e->eol);
		text_free(&lines);
		return 0;
	}
	if (!first_of(e->list)) {
		bool fits;

		print_block(e, block, from, e->key->column - 1, &lines);
		fits = put_below_key(e, e->tree.root, e->key, text_str(&lines));
		text_free(&lines);
		return fits ? 0 : refuse_style(why, "its empty list of routers leaves no room for a router");
	}
	at = at ? at : nth(e->list, node_count(e->list) - 1);
	if (e->list->flow || !layout_block(&e->l, e->list, at, &start, &end))
		return refuse_style(why, "a router shares its line with something else");
	to = layout_dash(&e->l, e->list, at);
	to -= layout_line(&e->l, to);
	print_block(e, block, from, to, &lines);
	if (e->router) {
		/* A block that brings no comment leaves the one above in place. */
		if (layout_first(block, dash) && layout_line(block, dash) == 0)
			start = layout_line(&e->l, layout_dash(&e->l, e->list, at));
		replace(e, start, end, "%s%s", text_str(&lines), end == e->l.n && e->l.text[end - 1] != '\n' ? "" : e->eol);
	} else {
		put_lines(e, end, text_str(&lines));
	}
	text_free(&lines);
	return 0;
}

int routers_edit_replace(const char *text, size_t n, const char *router, const char *block, size_t block_n, char **ret,
			 size_t *ret_n, char **why)
{
	struct layout l = { .text = block, .n = block_n };
	struct change change = { 0 };
	struct tree tree;
	struct edit e;
	size_t dash = 0;
	int error;

	if (block_n >= 3 && memcmp(block, "\xef\xbb\xbf", 3) == 0) {
		l.text += 3;
		l.n -= 3;
	}
	error = parse_block(&l, &tree, &dash, why);
	if (error)
		return error;
	error = begin(&e, text, n, router, why);
	if (error) {
		tree_free(&tree);
		return error;
	}
	change = (struct change){ .kind = e.router ? ROUTER_REPLACE : ROUTER_APPEND, .item = e.router,
				  .block = tree.root->child };
	error = put_router(&e, &l, dash, why);
	error = error ? give_up(&e, error) : finish(&e, &change, ret, ret_n, why);
	tree_free(&tree);
	return error;
}

int routers_block(const char *text, size_t n, size_t i, size_t *ret_start, size_t *ret_n)
{
	const struct node *router;
	size_t start, end;
	char *why = NULL;
	struct edit e;
	int error = begin(&e, text, n, "", &why);

	if (error) {
		free(why);
		return error;
	}
	router = nth(e.list, i);
	if (!router)
		return give_up(&e, -ENOENT);
	if (e.list->flow || !layout_block(&e.l, e.list, router, &start, &end))
		return give_up(&e, -EINVAL);
	done(&e);
	*ret_start = start;
	*ret_n = end - start;
	return 0;
}
