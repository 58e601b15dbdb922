/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routers.h"

#include "edit.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- entries ---- */

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
	text_printf(out, "%sfloating_ip_address%s: %s%s%s%s%sfixed_ip_address%s: %s%s%s", q, q, q, floating, q,
		    between, q, q, q, fixed, q);
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
	const struct node *last = edit_nth(list, node_count(list) - 1);
	size_t dash = layout_dash(&e->l, list, last), column;
	struct text lines = { 0 }, between = { 0 };

	if (dash == NOWHERE)
		return edit_refuse_style(why, "an entry of floatingips shares its line with something else");
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
	edit_put_lines(e, layout_end(&e->l, last), lines.at);
	text_free(&lines);
	text_free(&between);
	return 0;
}

/* After the items of a flow list: on a line of its own if the last one has that, else beside it. */
static void append_flow(struct edit *e, const struct node *list, const struct edit_floatingip *fip)
{
	const struct node *last = edit_nth(list, node_count(list) - 1);
	size_t comma = layout_comma(&e->l, last), after = comma == NOWHERE ? last->end : comma + 1;
	struct text entry = { 0 };

	print_flow_entry(e, fip, &entry);
	if (layout_first(&e->l, last->start) && layout_last(&e->l, after)) {
		size_t column = last->start - layout_line(&e->l, last->start);

		if (comma == NOWHERE)
			edit_replace(e, after, after, ",");
		edit_replace(e, layout_next_line(&e->l, after), layout_next_line(&e->l, after), "%*s%s%s%s",
			     (int)column, "", entry.at, comma == NOWHERE ? "" : ",", e->eol);
	} else {
		edit_replace(e, after, after, "%s%s", comma == NOWHERE ? ", " : " ", entry.at);
	}
	text_free(&entry);
}

static int fill_empty(struct edit *e, const struct node *key, const struct edit_floatingip *fip)
{
	const struct node *value = key->next;
	struct text lines = { 0 }, entry = { 0 };

	print_flow_entry(e, fip, &entry);
	text_printf(&lines, "%*s- %s", (int)(key->column - 1 + list_indent(e)), "", entry.at);
	if (edit_put_below_key(e, e->router, key, lines.at))
		;
	else if (value->kind == NODE_LIST)
		edit_replace(e, value->start + 1, value->start + 1, "%s", entry.at);
	else
		edit_replace(e, value->start, value->end, " [%s]", entry.at);
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

		text_printf(&lines, "%*s%sfloatingips%s:%s%*s- %s", indent, "", q, q, e->eol,
			    indent + (int)list_indent(e), "", entry.at);
		edit_put_lines(e, layout_end(&e->l, router), lines.at);
	} else {
		while (last->next)
			last = last->next;
		comma = layout_comma(&e->l, last);
		after = comma == NOWHERE ? last->end : comma + 1;
		edit_replace(e, after, after, "%s%sfloatingips%s: [%s]", comma == NOWHERE ? ", " : " ", q, q, entry.at);
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
		return edit_refuse(why, -EINVAL, "the file has faults: a router is not a map");
	*ret_key = edit_key(e->router, "floatingips");
	list = *ret_key ? (*ret_key)->next : NULL;
	if (list && list->kind != NODE_LIST && !node_is_null(list))
		return edit_refuse(why, -EINVAL, "the file has faults: floatingips is not a list");
	for (const struct node *n = edit_first(list); n && !*ret; n = n->next)
		if (edit_is_ip(node_get(n, "floating_ip_address"), floating))
			*ret = n;
	return 0;
}

/* Another address in place of the one that is written, in its quotes. */
static int move(struct edit *e, const struct node *item, const struct ip *fixed, char **why)
{
	const struct node *value = node_get(item, "fixed_ip_address");
	char ip[IP_TEXT], quote[2] = "";

	if (!value || value->kind != NODE_SCALAR || value->start == value->end)
		return edit_refuse(why, -EINVAL, "the file has faults: a floating IP without fixed_ip_address");
	if (!value->plain)
		*quote = e->l.text[value->start];
	if (*quote && *quote != '\'' && *quote != '"')
		return edit_refuse_style(why, "an address that is not written on one line");
	edit_replace(e, value->start, value->end, "%s%s%s", quote, ip_print(fixed, ip), quote);
	return 0;
}

/* The rules between entries (an address used twice, a router without gateway) are the parser's. */
static int check_result(const char *text, size_t n, char **why)
{
	struct problems problems = { 0 };
	struct routers routers;

	if (routers_parse("", text, n, NULL, &problems, &routers) < 0)
		return edit_refuse_faults(why, "the changed file", &problems);
	routers_free(&routers);
	return 0;
}

int routers_edit_floatingip_add(const char *text, size_t n, const char *router, const struct edit_floatingip *fip,
				char **ret, size_t *ret_n, char **why)
{
	struct edit_change change = { .kind = FLOATINGIP_ADD, .fip = fip };
	const struct node *key, *list;
	struct edit e;
	char *changed;
	size_t changed_n;
	int error = edit_begin(&e, text, n, router, why);

	if (error)
		return error;
	if (!e.router)
		return edit_give_up(&e, edit_refuse(why, -ENOENT, "no router %s in this file", router));
	error = find_floatingip(&e, &fip->floating_ip_address, &key, &change.item, why);
	list = key ? key->next : NULL;
	if (error) {
		;
	} else if (change.item) {
		change.kind = FLOATINGIP_MOVE;
		error = edit_is_entry(change.item, fip) ? edit_refuse(why, -EEXIST, "the floating IP is there already")
							: move(&e, change.item, &fip->fixed_ip_address, why);
	} else if (!list) {
		error = add_key(&e, fip);
	} else if (!edit_first(list)) {
		error = fill_empty(&e, key, fip);
	} else if (list->flow) {
		append_flow(&e, list, fip);
	} else {
		error = append_block(&e, list, fip, why);
	}
	if (error)
		return edit_give_up(&e, error);
	error = edit_finish(&e, &change, &changed, &changed_n, why);
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
	struct edit_change change = { .kind = FLOATINGIP_DEL };
	const struct node *key;
	char ip[IP_TEXT];
	size_t dash = 0;
	struct edit e;
	int error = edit_begin(&e, text, n, router, why);

	if (error)
		return error;
	if (!e.router)
		return edit_give_up(&e, edit_refuse(why, -ENOENT, "no router %s in this file", router));
	error = find_floatingip(&e, floating_ip_address, &key, &change.item, why);
	if (!error && !change.item)
		error = edit_refuse(why, -ENOENT, "router %s has no floating IP %s here", router,
				    ip_print(floating_ip_address, ip));
	if (!error && !key->next->flow) {
		dash = layout_dash(&e.l, key->next, change.item);
		if (dash == NOWHERE)
			error = edit_refuse_style(why, "an entry of floatingips shares its line with something else");
	}
	if (!error)
		error = edit_take_out(&e, key, change.item, layout_line(&e.l, dash), layout_end(&e.l, change.item),
				      why);
	return error ? edit_give_up(&e, error) : edit_finish(&e, &change, ret, ret_n, why);
}
