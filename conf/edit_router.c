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

/* The text that comes in, without byte order mark and blank lines before it, ended by a line end: with a literal block
 * at its end, that line end is content. */
struct block {
	struct text text;
	struct layout l;
	struct tree tree;
	size_t dash, end;		/* end: of what is copied, the last line end not counted */
};

static void block_free(struct block *b)
{
	tree_free(&b->tree);
	text_free(&b->text);
}

static int block_parse(const char *text, size_t n, struct block *ret, char **why)
{
	struct block b = { .dash = NOWHERE };
	const struct node *root;
	size_t start = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	int error;

	for (size_t i = start; i < n && strchr(" \t\r\n", text[i]); i++)
		start = text[i] == '\n' ? i + 1 : start;
	text_add(&b.text, text + start, n - start);
	if (n > start && text[n - 1] != '\n')
		text_put(&b.text, "\n");
	b.l = (struct layout){ .text = b.text.at, .n = b.text.n };
	error = edit_parse(b.l.text, b.l.n, "the router's text has faults", &b.tree, why);
	root = error ? NULL : b.tree.root;
	if (root && root->kind == NODE_LIST && !root->flow && root->child && !root->child->next)
		b.dash = layout_dash(&b.l, root, root->child);
	if (!error && b.dash == NOWHERE)
		error = edit_refuse(why, -EINVAL,
				    "the router's text has faults: expected one list item, \"- name: …\"");
	if (error) {
		block_free(&b);
		return error;
	}
	for (b.end = b.l.n; b.end && strchr(" \t\r\n", b.l.text[b.end - 1]); )
		b.end--;
	/* Blank lines at the end can be content of a literal block. */
	if (layout_end(&b.l, root->child) > b.end)
		b.end = layout_end(&b.l, root->child);
	*ret = b;
	return 0;
}

/* The block's lines with its dash in column `to`, in the file's line ends, without the last one. */
static void block_print(const struct edit *e, const struct block *b, size_t to, struct text *out)
{
	size_t from = b->dash - layout_line(&b->l, b->dash);

	for (size_t line = 0, next; line < b->end; line = next) {
		size_t end, skip = 0;

		next = layout_next_line(&b->l, line);
		end = next < b->end ? next : b->end;
		while (end > line && (b->l.text[end - 1] == '\n' || b->l.text[end - 1] == '\r'))
			end--;
		while (to + skip < from && line + skip < end && b->l.text[line + skip] == ' ')
			skip++;
		if (line)
			text_put(out, e->eol);
		if (end > line && to > from)
			text_printf(out, "%*s", (int)(to - from), "");
		text_add(out, b->l.text + line + skip, end - line - skip);
	}
}

/* At the end of a file without final line end the block goes without one too, unless it ends in a literal. */
static void end_literal(const struct edit *e, const struct block *b, size_t at, struct text *lines)
{
	const struct node *item = b->tree.root->child;

	if (at == e->l.n && at && e->l.text[at - 1] != '\n' && b->l.text[item->end - 1] == '\n')
		text_put(lines, e->eol);
}

static int put_router(struct edit *e, const struct block *b, char **why)
{
	size_t start, end, to;
	const struct node *at = e->router;
	struct text lines = { 0 };

	if (!e->list) {
		block_print(e, b, 0, &lines);
		edit_replace(e, e->l.n, e->l.n, "%srouters:%s%s%s",
			     e->l.n && e->l.text[e->l.n - 1] != '\n' ? e->eol : "", e->eol, text_str(&lines), e->eol);
		text_free(&lines);
		return 0;
	}
	if (!edit_first(e->list)) {
		bool fits;

		block_print(e, b, e->key->column - 1, &lines);
		end_literal(e, b, layout_next_line(&e->l, e->list->end), &lines);
		fits = edit_put_below_key(e, e->tree.root, e->key, text_str(&lines));
		text_free(&lines);
		return fits ? 0 : edit_refuse_style(why, "its empty list of routers leaves no room for a router");
	}
	at = at ? at : edit_nth(e->list, node_count(e->list) - 1);
	if (e->list->flow || !layout_block(&e->l, e->list, at, &start, &end))
		return edit_refuse_style(why, "a router shares its line with something else");
	to = layout_dash(&e->l, e->list, at);
	to -= layout_line(&e->l, to);
	block_print(e, b, to, &lines);
	end_literal(e, b, end, &lines);
	if (e->router) {
		/* A block that brings no comment leaves the one above in place. */
		if (layout_line(&b->l, b->dash) == 0)
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
	struct edit_change change = { 0 };
	struct block b;
	struct edit e;
	int error = block_parse(block, block_n, &b, why);

	if (error)
		return error;
	error = edit_begin(&e, text, n, router, why);
	if (error) {
		block_free(&b);
		return error;
	}
	change = (struct edit_change){ .kind = e.router ? ROUTER_REPLACE : ROUTER_APPEND, .item = e.router,
				       .block = b.tree.root->child };
	error = put_router(&e, &b, why);
	error = error ? edit_give_up(&e, error) : edit_finish(&e, &change, ret, ret_n, why);
	block_free(&b);
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
