/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* An edit of a router file: a set of spans of the text and what stands in their place. Which spans is a matter of
 * layout, where a guess can be wrong in the face of all that YAML permits; so the result is read again, and its tree
 * must differ from the old one by the change that was asked for and by nothing else. Only for edit_*.c; others use
 * routers.h. */

#include "ip.h"
#include "layout.h"
#include "tree.h"
#include "vec.h"

struct edit_floatingip;
struct problems;

struct edit_span { size_t start, end; char *with; };

struct edit {
	struct layout l;
	struct tree tree;
	const char *eol;
	const struct node *key, *list;	/* `routers` and its value; NULL: the file is empty */
	const struct node *router;	/* the one that is meant; NULL: it is not in the text */
	VEC(struct edit_span) spans;
};

/* The change that was asked for. */
struct edit_change {
	enum { FLOATINGIP_ADD, FLOATINGIP_MOVE, FLOATINGIP_DEL, ROUTER_DEL, ROUTER_REPLACE, ROUTER_APPEND } kind;
	const struct node *item;	/* the floating IP or router that it concerns, in the old tree */
	const struct edit_floatingip *fip;
	const struct node *block;	/* the router that comes in */
};

/* Refusals: `error` with a sentence in *why (malloc's). edit_refuse_faults says the first problem, clears them all. */
int edit_refuse(char **why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int edit_refuse_style(char **why, const char *what);
int edit_refuse_faults(char **why, const char *what, struct problems *p);

/* A tree without any fault, or a refusal that begins with `what`. */
int edit_parse(const char *text, size_t n, const char *what, struct tree *ret, char **why);

/* Begins an edit of the router with this name or id, which need not be there. After 0 it ends with edit_finish, which
 * gives the new text, with edit_give_up, which passes `error` through, or with edit_done. */
int edit_begin(struct edit *e, const char *text, size_t n, const char *router, char **why);
int edit_finish(struct edit *e, const struct edit_change *c, char **ret, size_t *ret_n, char **why);
int edit_give_up(struct edit *e, int error);
void edit_done(struct edit *e);

/* Text in place of a span. */
void edit_replace(struct edit *e, size_t start, size_t end, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Whole lines, each ended but the last, at the begin of a line or the end of the text. */
void edit_put_lines(struct edit *e, size_t at, const char *lines);
/* Lines of block style below a key, in place of its empty value (nothing, null, []). False: they cannot stand there. */
bool edit_put_below_key(struct edit *e, const struct node *map, const struct node *key, const char *lines);
/* Takes `item` out of the list that is the value of `key`; one of a block list with its lines from start to end. */
int edit_take_out(struct edit *e, const struct node *key, const struct node *item, size_t start, size_t end,
		  char **why);

/* A key of a map; items of a list, which may be NULL or null: NULL if there is none. */
const struct node *edit_key(const struct node *map, const char *name);
const struct node *edit_first(const struct node *list);
const struct node *edit_nth(const struct node *list, size_t i);
bool edit_is_ip(const struct node *n, const struct ip *ip);
/* Does this entry of floatingips say just that? */
bool edit_is_entry(const struct node *map, const struct edit_floatingip *fip);
