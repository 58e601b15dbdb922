/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree.h"

#include "arena.h"
#include "log.h"
#include "problems.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
	MAX_DEPTH = 32,			/* no caller's limit is larger */
	FEW_KEYS = 12,			/* up to here comparing all pairs beats sorting */
};

/* A map or list that is still open. */
struct frame {
	struct node *node, *last;
	const char *key;		/* a map's key that waits for its value; a list's own */
	size_t n;
	bool want_value;
};

struct builder {
	const char *file, *text;
	size_t n, bom;			/* bytes; of them, a byte order mark's, which libyaml does not see */
	const struct tree_limits *limits;
	struct problems *problems;
	struct tree tree;
	struct frame frames[MAX_DEPTH];
	size_t depth, nodes, documents;
	/* libyaml counts characters; edits need bytes. Marks come nearly in order, so a moving pair answers cheaply. */
	size_t at_char, at_byte;
};

/* ---- bytes ---- */

/* Is this ASCII character one of our files? A CR only as part of a line end. */
static bool is_text(const unsigned char *s, size_t n)
{
	return *s == '\r' ? n > 1 && s[1] == '\n' : (*s >= 0x20 && *s != 0x7f) || *s == '\n' || *s == '\t';
}

/* Length of the character at s that is valid in our files, 0 if it is not. Stricter than libyaml, which also takes for
 * line ends what no editor counts as one (a lone CR, U+0085, U+2028, U+2029), so that line numbers are everybody's. */
static size_t character(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { [2] = 0xa0, [3] = 0x800, [4] = 0x10000 };
	size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0] & (0x7f >> length);

	if (s[0] < 0x80)
		return is_text(s, n);
	if (s[0] < 0xc2 || s[0] > 0xf4 || n < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c == 0x2028 || c == 0x2029 ||
	    c == 0xfeff || c == 0xfffe || c == 0xffff)
		return 0;
	return length;
}

static int check_bytes(struct builder *b)
{
	const unsigned char *s = (const unsigned char *)b->text;
	unsigned line = 1, column = 1;
	size_t i = b->bom, length;

	for (; i < b->n && (length = character(s + i, b->n - i)); i += length) {
		column = s[i] == '\n' ? 1 : column + 1;
		line += s[i] == '\n';
	}
	if (i == b->n)
		return 0;
	if (s[i] == '\r')
		problems_add(b->problems, b->file, line, column, "a carriage return that no line feed follows");
	else if (s[i] < 0x80 || (s[i] == 0xc2 && i + 1 < b->n && s[i + 1] >= 0x80 && s[i + 1] < 0xa0))
		problems_add(b->problems, b->file, line, column,
			     "control character 0x%02x: a file holds printable text only",
			     s[i] < 0x80 ? s[i] : s[i + 1]);
	else
		problems_add(b->problems, b->file, line, column, "byte 0x%02x: expected UTF-8 text", s[i]);
	return -EINVAL;
}

/* Bytes before the index-th character. */
static size_t byte_of(struct builder *b, size_t index)
{
	for (; b->at_char < index && b->at_byte < b->n; b->at_char++)
		do
			b->at_byte++;
		while (b->at_byte < b->n && (b->text[b->at_byte] & 0xc0) == 0x80);
	for (; b->at_char > index; b->at_char--)
		do
			b->at_byte--;
		while ((b->text[b->at_byte] & 0xc0) == 0x80);
	return b->at_byte;
}

/* ---- faults ---- */

#define fault(b, mark, ...) \
	problems_add((b)->problems, (b)->file, (unsigned)(mark)->line + 1, (unsigned)(mark)->column + 1, __VA_ARGS__)

/* libyaml's words, but for those that puzzle everybody. */
static void syntax_fault(struct builder *b, const yaml_parser_t *p)
{
	const char *what = p->problem ? p->problem : "not YAML";
	size_t at = byte_of(b, p->problem_mark.index);
	char c = at < b->n ? b->text[at] : 0;

	if (c == '\t')
		what = "a tab: indent with spaces";
	else if (strcmp(what, "found character that cannot start any token") == 0)
		what = "text that begins like this needs quotes";
	if (p->context && c != '\t')
		fault(b, &p->problem_mark, "syntax: %s (%s from line %zu)", what, p->context, p->context_mark.line + 1);
	else
		fault(b, &p->problem_mark, "syntax: %s", what);
}

/* ---- duplicate keys ---- */

static void duplicate(struct builder *b, const struct node *first, const struct node *second)
{
	problems_add(b->problems, b->file, second->line, second->column,
		     "key '%s' is in this map twice (first in line %u)", second->text, first->line);
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *l = *(const struct node *const *)a, *r = *(const struct node *const *)b;
	int order = strcmp(l->text, r->text);

	return order ? order : l->start < r->start ? -1 : l->start > r->start;
}

static void check_duplicates(struct builder *b, const struct node *map, size_t n)
{
	const struct node *few[FEW_KEYS], **keys = few;
	size_t n_keys = 0;

	if (n > FEW_KEYS && !(keys = malloc(n * sizeof *keys)))
		fatal("out of memory");
	node_each_key(key, map)
		if (key->kind == NODE_SCALAR)
			keys[n_keys++] = key;
	if (n > FEW_KEYS) {
		qsort(keys, n_keys, sizeof *keys, compare_keys);
		for (size_t i = 1; i < n_keys; i++)
			if (strcmp(keys[i - 1]->text, keys[i]->text) == 0)
				duplicate(b, keys[i - 1], keys[i]);
		free(keys);
		return;
	}
	for (size_t i = 1; i < n_keys; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(keys[k]->text, keys[i]->text) == 0) {
				duplicate(b, keys[k], keys[i]);
				break;
			}
}

/* ---- events → nodes ---- */

/* A new node as the next child of the open frame. NULL past a limit, which has been said. */
static struct node *add(struct builder *b, const yaml_event_t *e, enum node_kind kind)
{
	struct frame *f = b->depth ? &b->frames[b->depth - 1] : NULL;
	struct node *n;

	if (++b->nodes > b->limits->nodes) {
		fault(b, &e->start_mark, "more than %zu values in one file", b->limits->nodes);
		return NULL;
	}
	n = arena_alloc(b->tree.arena, sizeof *n);
	if (!n) {
		fault(b, &e->start_mark, "the values of this file do not fit into memory");
		return NULL;
	}
	n->kind = kind;
	n->line = (uint32_t)e->start_mark.line + 1;
	n->column = (uint32_t)e->start_mark.column + 1;
	n->start = (uint32_t)byte_of(b, e->start_mark.index);
	n->end = kind == NODE_MAP || kind == NODE_LIST ? n->start : (uint32_t)byte_of(b, e->end_mark.index);
	if (!f) {
		b->tree.root = n;
		return n;
	}
	if (f->last)
		f->last->next = n;
	else
		f->node->child = n;
	f->last = n;
	if (f->node->kind == NODE_LIST || f->want_value)
		n->key = f->key;
	return n;
}

/* Anchors and tags: refused, the rest of the node is read on. */
static void check_properties(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor,
			     const yaml_char_t *tag)
{
	if (anchor)
		fault(b, &e->start_mark, "anchor '&%s': anchors are not accepted, write the value out",
		      (const char *)anchor);
	if (tag)
		fault(b, &e->start_mark, "tag '%s': tags are not accepted", (const char *)tag);
}

/* A child of the open frame is complete: in a map, a key or the value that it waits for. */
static void complete(struct builder *b, const struct node *n, const yaml_event_t *e)
{
	struct frame *f = b->depth ? &b->frames[b->depth - 1] : NULL;

	if (!f)
		return;
	if (n->end > f->node->end)
		f->node->end = n->end;
	if (f->node->kind != NODE_MAP) {
		f->n++;
	} else if (f->want_value) {
		f->want_value = false;
		f->n++;
	} else {
		if (n->kind == NODE_MAP || n->kind == NODE_LIST)
			problems_add(b->problems, b->file, n->line, n->column, "a key must be a word, found a %s",
				     n->kind == NODE_MAP ? "map" : "list");
		else if (n->kind == NODE_SCALAR && strlen(n->text) > 255)
			fault(b, &e->start_mark, "a key must be at most 255 bytes long");
		f->key = n->kind == NODE_SCALAR ? n->text : NULL;
		f->want_value = true;
	}
}

static int add_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	struct node *n = add(b, e, NODE_SCALAR);

	if (!n)
		return -EINVAL;
	check_properties(b, e, e->data.scalar.anchor, e->data.scalar.tag);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = arena_strndup(b->tree.arena, value, e->data.scalar.length);
	if (!n->text) {
		fault(b, &e->start_mark, "the values of this file do not fit into memory");
		return -EINVAL;
	}
	if (strlen(value) != e->data.scalar.length)
		fault(b, &e->start_mark, "a zero byte in a text");
	complete(b, n, e);
	return 0;
}

static int add_collection(struct builder *b, const yaml_event_t *e, enum node_kind kind)
{
	struct node *n;

	if (b->depth == b->limits->depth) {
		fault(b, &e->start_mark, "nested deeper than %zu", b->limits->depth);
		return -EINVAL;
	}
	n = add(b, e, kind);
	if (!n)
		return -EINVAL;
	if (kind == NODE_MAP) {
		check_properties(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		n->flow = e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	} else {
		check_properties(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		n->flow = e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	}
	b->frames[b->depth++] = (struct frame){ .node = n, .key = kind == NODE_LIST ? n->key : NULL };
	return 0;
}

static void end_collection(struct builder *b, const yaml_event_t *e)
{
	struct frame *f = &b->frames[--b->depth];

	if (f->node->flow)
		f->node->end = (uint32_t)byte_of(b, e->end_mark.index);
	if (f->node->kind == NODE_MAP && f->n > 1)
		check_duplicates(b, f->node, f->n);
	complete(b, f->node, e);
}

static int take(struct builder *b, const yaml_event_t *e)
{
	struct node *n;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (!b->documents++)
			return 0;
		fault(b, &e->start_mark, "a second document begins: a file holds one");
		return -EINVAL;
	case YAML_ALIAS_EVENT:
		fault(b, &e->start_mark, "alias '*%s': aliases are not accepted, write the value out",
		      (const char *)e->data.alias.anchor);
		n = add(b, e, NODE_BAD);
		if (!n)
			return -EINVAL;
		complete(b, n, e);
		return 0;
	case YAML_SCALAR_EVENT:
		return add_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return add_collection(b, e, NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return add_collection(b, e, NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		end_collection(b, e);
		return 0;
	default:
		return 0;
	}
}

static int build(struct builder *b)
{
	yaml_parser_t parser;
	yaml_event_t e;
	bool done = false;
	int error = 0;

	if (!yaml_parser_initialize(&parser))
		fatal("out of memory");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b->text + b->bom, b->n - b->bom);
	while (!error && !done) {
		if (!yaml_parser_parse(&parser, &e)) {
			if (parser.error == YAML_MEMORY_ERROR)
				fatal("out of memory");
			syntax_fault(b, &parser);
			error = -EINVAL;
			break;
		}
		error = take(b, &e);
		done = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return error;
}

int tree_parse(const char *file, const char *text, size_t n, const struct tree_limits *limits,
	       struct problems *problems, struct tree *ret)
{
	struct builder b = { .file = file, .text = text, .n = n, .limits = limits, .problems = problems };
	int error;

	if (n > limits->bytes) {
		problems_add(problems, file, 0, 0, "file is larger than %zu MiB", limits->bytes >> 20);
		return -EINVAL;
	}
	b.bom = b.at_byte = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	error = check_bytes(&b);
	if (error)
		return error;
	b.tree.arena = arena_new(limits->nodes * (sizeof(struct node) + 32) + 2 * limits->bytes);
	error = build(&b);
	if (error)
		tree_free(&b.tree);
	else
		*ret = b.tree;
	return error;
}

void tree_free(struct tree *t)
{
	arena_free(t->arena);
	*t = (struct tree){ 0 };
}

/* ---- questions ---- */

const struct node *node_get(const struct node *map, const char *key)
{
	if (map && map->kind == NODE_MAP)
		node_each_key(k, map)
			if (k->kind == NODE_SCALAR && strcmp(k->text, key) == 0)
				return k->next;
	return NULL;
}

size_t node_count(const struct node *n)
{
	size_t count = 0;

	if (n->kind == NODE_MAP)
		node_each_key(key, n)
			count++;
	else if (n->kind == NODE_LIST)
		node_each_item(item, n)
			count++;
	return count;
}

bool node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->plain &&
	       (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

/* Recursion ends at the depth limit of tree_parse. */
bool node_equal(const struct node *a, const struct node *b)
{
	const struct node *l, *r;

	if (a->kind != b->kind)
		return false;
	if (a->kind == NODE_SCALAR)
		return strcmp(a->text, b->text) == 0 && (a->plain == b->plain || node_is_null(a) == node_is_null(b));
	if (a->kind == NODE_BAD)
		return true;
	for (l = a->child, r = b->child; l && r; l = l->next, r = r->next)
		if (!node_equal(l, r))
			return false;
	return !l && !r;
}
