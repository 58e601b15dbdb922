/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layout.h"

#include <string.h>

/* ---- lines ---- */

size_t layout_line(const struct layout *l, size_t at)
{
	while (at && l->text[at - 1] != '\n')
		at--;
	return at;
}

size_t layout_next_line(const struct layout *l, size_t at)
{
	const char *end = memchr(l->text + at, '\n', l->n - at);

	return end ? (size_t)(end - l->text) + 1 : l->n;
}

size_t layout_skip_spaces(const struct layout *l, size_t at)
{
	while (at < l->n && (l->text[at] == ' ' || l->text[at] == '\t'))
		at++;
	return at;
}

bool layout_first(const struct layout *l, size_t at)
{
	return layout_skip_spaces(l, layout_line(l, at)) >= at;
}

static bool at_line_end(const struct layout *l, size_t at)
{
	return at == l->n || l->text[at] == '\n' || l->text[at] == '\r';
}

bool layout_last(const struct layout *l, size_t at)
{
	size_t end = layout_skip_spaces(l, at);

	/* A '#' begins a comment only after a blank. */
	return at_line_end(l, end) || (l->text[end] == '#' && end > at);
}

size_t layout_skip(const struct layout *l, size_t at)
{
	for (;;) {
		at = layout_skip_spaces(l, at);
		if (at < l->n && l->text[at] == '#')
			at = layout_next_line(l, at);
		else if (at < l->n && at_line_end(l, at))
			at++;
		else
			return at;
	}
}

/* ---- marks between nodes ---- */

size_t layout_colon(const struct layout *l, const struct node *key)
{
	size_t at = layout_skip_spaces(l, key->end);

	return at < l->n && l->text[at] == ':' ? at : NOWHERE;
}

size_t layout_comma(const struct layout *l, const struct node *n)
{
	size_t at = layout_skip(l, n->end);

	return at < l->n && l->text[at] == ',' ? at : NOWHERE;
}

size_t layout_dash(const struct layout *l, const struct node *list, const struct node *item)
{
	size_t at = list->start;

	/* Between two items there is nothing but blanks and comments. */
	node_each_item(i, list) {
		if (i == item)
			break;
		at = layout_skip(l, i->end);
	}
	return at < l->n && l->text[at] == '-' && layout_first(l, at) ? at : NOWHERE;
}

static const struct node *last_leaf(const struct node *n)
{
	while (n->kind != NODE_SCALAR && n->kind != NODE_BAD && n->child)
		for (n = n->child; n->next; )
			n = n->next;
	return n;
}

size_t layout_end(const struct layout *l, const struct node *n)
{
	const struct node *leaf = last_leaf(n);
	size_t end = n->end;

	if (end <= leaf->start || l->text[end - 1] != '\n')
		return layout_next_line(l, end);
	/* A literal or folded block ends after the blank lines that follow it: content only with "keep" (+). */
	if (memchr(l->text + leaf->start, '+', layout_next_line(l, leaf->start) - leaf->start))
		return end;
	for (size_t line = layout_line(l, end - 1); line > leaf->start; line = layout_line(l, line - 1)) {
		if (!at_line_end(l, layout_skip_spaces(l, line)))
			break;
		end = line;
	}
	return end;
}

/* ---- an item with its comments ---- */

/* Column, from 0, of the comment that is alone in the line that begins at `line`; NOWHERE if the line is another. */
static size_t comment_column(const struct layout *l, size_t line)
{
	size_t at = layout_skip_spaces(l, line);

	return at < l->n && l->text[at] == '#' ? at - line : NOWHERE;
}

bool layout_block(const struct layout *l, const struct node *list, const struct node *item, size_t *ret_start,
		  size_t *ret_end)
{
	size_t dash = layout_dash(l, list, item), start, end, column;

	if (dash == NOWHERE)
		return false;
	start = layout_line(l, dash);
	column = dash - start;
	while (start) {
		size_t line = layout_line(l, start - 1), comment = comment_column(l, line);

		if (comment == NOWHERE || comment > column)
			break;
		start = line;
	}
	end = layout_end(l, item);
	for (size_t line = end; line < l->n; line = layout_next_line(l, line)) {
		size_t comment = comment_column(l, line);

		if (comment != NOWHERE && comment > column)
			end = layout_next_line(l, line);
		else if (!at_line_end(l, layout_skip_spaces(l, line)))
			break;
	}
	*ret_start = start;
	*ret_end = end;
	return true;
}
