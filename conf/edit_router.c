/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routers.h"

#include "edit.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is nothing left that a person wrote: no router, no comment? */
static bool nothing_left(const char *text, size_t n)
{
	struct tree tree;
	char *why = NULL;
	bool ret;

	if (edit_parse(text, n, "", &tree, &why) < 0) {
		free(why);
		return false;
	}
	ret = !memchr(text, '#', n) && tree.root && node_count(tree.root) == 1 &&
	      !edit_first(node_get(tree.root, "routers"));
	tree_free(&tree);
	return ret;
}

int routers_edit_delete(const char *text, size_t n, const char *router, char **ret, size_t *ret_n, bool *ret_empty,
			char **why)
{
	struct edit_change change = { .kind = ROUTER_DEL };
	size_t start = 0, end = 0;
	struct edit e;
	int error = edit_begin(&e, text, n, router, why);

	if (error)
		return error;
	change.item = e.router;
	if (!e.router)
		error = edit_refuse(why, -ENOENT, "no router %s in this file", router);
	else if (!e.list->flow && !layout_block(&e.l, e.list, e.router, &start, &end))
		error = edit_refuse_style(why, "a router shares its line with something else");
	else
		error = edit_take_out(&e, e.key, e.router, start, end, why);
	if (error)
		return edit_give_up(&e, error);
	error = edit_finish(&e, &change, ret, ret_n, why);
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
	int error = edit_parse(block->text, block->n, "the router's text has faults", &tree, why);

	if (error)
		return error;
	root = tree.root;
	if (root && root->kind == NODE_LIST && !root->flow && root->child && !root->child->next)
		dash = layout_dash(block, root, root->child);
	if (dash == NOWHERE) {
		tree_free(&tree);
		return edit_refuse(why, -EINVAL, "the router's text has faults: expected one list item, \"- name: …\"");
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
		edit_replace(e, e->l.n, e->l.n, "%srouters:%s%s%s",
			     e->l.n && e->l.text[e->l.n - 1] != '\n' ? e->eol : "", e->eol, text_str(&lines), e->eol);
		text_free(&lines);
		return 0;
	}
	if (!edit_first(e->list)) {
		bool fits;

		print_block(e, block, from, e->key->column - 1, &lines);
		fits = edit_put_below_key(e, e->tree.root, e->key, text_str(&lines));
		text_free(&lines);
		return fits ? 0 : edit_refuse_style(why, "its empty list of routers leaves no room for a router");
	}
	at = at ? at : edit_nth(e->list, node_count(e->list) - 1);
	if (e->list->flow || !layout_block(&e->l, e->list, at, &start, &end))
		return edit_refuse_style(why, "a router shares its line with something else");
	to = layout_dash(&e->l, e->list, at);
	to -= layout_line(&e->l, to);
	print_block(e, block, from, to, &lines);
	if (e->router) {
		/* A block that brings no comment leaves the one above in place. */
		if (layout_first(block, dash) && layout_line(block, dash) == 0)
			start = layout_line(&e->l, layout_dash(&e->l, e->list, at));
		edit_replace(e, start, end, "%s%s", text_str(&lines),
			     end == e->l.n && e->l.text[end - 1] != '\n' ? "" : e->eol);
	} else {
		edit_put_lines(e, end, text_str(&lines));
	}
	text_free(&lines);
	return 0;
}

int routers_edit_replace(const char *text, size_t n, const char *router, const char *block, size_t block_n, char **ret,
			 size_t *ret_n, char **why)
{
	struct layout l = { .text = block, .n = block_n };
	struct edit_change change = { 0 };
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
	error = edit_begin(&e, text, n, router, why);
	if (error) {
		tree_free(&tree);
		return error;
	}
	change = (struct edit_change){ .kind = e.router ? ROUTER_REPLACE : ROUTER_APPEND, .item = e.router,
				  .block = tree.root->child };
	error = put_router(&e, &l, dash, why);
	error = error ? edit_give_up(&e, error) : edit_finish(&e, &change, ret, ret_n, why);
	tree_free(&tree);
	return error;
}

int routers_block(const char *text, size_t n, size_t i, size_t *ret_start, size_t *ret_n)
{
	const struct node *router;
	size_t start, end;
	char *why = NULL;
	struct edit e;
	int error = edit_begin(&e, text, n, "", &why);

	if (error) {
		free(why);
		return error;
	}
	router = edit_nth(e.list, i);
	if (!router)
		return edit_give_up(&e, -ENOENT);
	if (e.list->flow || !layout_block(&e.l, e.list, router, &start, &end))
		return edit_give_up(&e, -EINVAL);
	edit_done(&e);
	*ret_start = start;
	*ret_n = end - start;
	return 0;
}
