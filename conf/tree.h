/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* YAML text as a bounded tree of maps, lists and scalars, each with its place in the text. Owns what this project
 * takes of YAML: one document, no anchors, aliases or tags (a reader must see what a file says where it says it), no
 * key twice, no control characters. Knows nothing of what the keys mean. Not called yaml.h: libyaml's own header has
 * that name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problems;

enum node_kind {
	NODE_SCALAR,
	NODE_MAP,		/* children alternate: key, value */
	NODE_LIST,
	NODE_BAD,		/* refused already (an alias): readers pass over it without a further fault */
};

struct node {
	union {
		const char *text;	/* scalar: its value, UTF-8 without zero bytes */
		struct node *child;	/* map, list: the first; NULL: empty */
	};
	struct node *next;		/* sibling */
	const char *key;		/* the key it belongs to, a list's also for its items; NULL: none */
	uint32_t line, column;		/* 1…, the column in characters */
	uint32_t start, end;		/* bytes of the text; end of a block map or list: where its last scalar ends */
	uint8_t kind;
	bool plain;			/* scalar: without quotes, not a literal or folded block */
	bool flow;			/* map, list: {}, [] */
};

struct tree_limits { size_t bytes, depth, nodes; };

struct tree {
	struct arena *arena;
	struct node *root;		/* NULL: nothing but comments */
};

/* Reads n bytes of text; `file` stands for it in messages. 0 and *ret if there is a tree that can be read on (there
 * may be faults in `problems` all the same), -EINVAL if not. Memory: about 80 bytes a node and twice the text. */
int tree_parse(const char *file, const char *text, size_t n, const struct tree_limits *limits,
	       struct problems *problems, struct tree *ret);
void tree_free(struct tree *t);

/* The value of `key`, NULL if map has none (or is no map). */
const struct node *node_get(const struct node *map, const char *key);
/* Items of a list, values of a map. */
size_t node_count(const struct node *n);
/* Written as nothing, ~ or null. */
bool node_is_null(const struct node *n);
/* The same content? Place and style do not count, but "1" is not 1. */
bool node_equal(const struct node *a, const struct node *b);

#define node_each_item(item, list) \
	for (const struct node *item = (list)->child; item; item = item->next)
#define node_each_key(item, map) \
	for (const struct node *item = (map)->child; item; item = item->next->next)
