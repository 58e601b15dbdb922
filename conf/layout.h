/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where the nodes of a tree stand in their text: lines, dashes, commas, comments. Knows YAML's layout, not what a file
 * means. Positions are bytes; NOWHERE is none. Line ends are LF or CRLF, as tree_parse has made sure. */

#include "tree.h"

#include <stddef.h>

#define NOWHERE ((size_t)-1)

struct layout { const char *text; size_t n; };

/* First byte of the line that `at` is in; first byte of the line after it. */
size_t layout_line(const struct layout *l, size_t at);
size_t layout_next_line(const struct layout *l, size_t at);
/* Is there nothing but blanks before `at` in its line? Nothing but blanks and a comment from `at` to the line's end? */
bool layout_first(const struct layout *l, size_t at);
bool layout_last(const struct layout *l, size_t at);
/* The first byte from `at` on that is not blank, a line end or in a comment; n if there is none. */
size_t layout_skip(const struct layout *l, size_t at);
/* First byte after spaces from `at` on. */
size_t layout_skip_spaces(const struct layout *l, size_t at);

/* The colon after a key of a map; NOWHERE if it is not on the key's line. */
size_t layout_colon(const struct layout *l, const struct node *key);
/* The comma after an item of a flow list or a value of a flow map; NOWHERE if there is none. */
size_t layout_comma(const struct layout *l, const struct node *n);
/* The dash of an item of a block list, NOWHERE if it is not the first of its line. */
size_t layout_dash(const struct layout *l, const struct node *list, const struct node *item);
/* Where the lines of a node in block style end: a line's begin, or n. */
size_t layout_end(const struct layout *l, const struct node *n);
/* The whole lines of an item of a block list with the comments that are its own: those directly above its dash and not
 * indented deeper, and those below that are indented deeper. False if it shares a line with something else. */
bool layout_block(const struct layout *l, const struct node *list, const struct node *item, size_t *ret_start,
		  size_t *ret_end);
