/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reader.h"

#include "problems.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- faults ---- */

static void fault_va(struct reader *rd, const struct node *at, const char *format, va_list ap)
{
	struct text text = { 0 };

	text_vprintf(&text, format, ap);
	problems_add(rd->problems, rd->file, at->line, at->column, "%s", text_str(&text));
	text_free(&text);
}

void reader_fault(struct reader *rd, const struct node *at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fault_va(rd, at, format, ap);
	va_end(ap);
}

const char *reader_show(const char *text, char buf[READER_SHOWN])
{
	const char *const end = buf + READER_SHOWN - sizeof "\\x00...'";
	char *p = buf;

	*p++ = '\'';
	for (; *text && p < end; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			p += sprintf(p, "\\x%02x", (unsigned)*text);
		else
			*p++ = *text;
	}
	if (*text) {
		while ((*text & 0xc0) == 0x80) {	/* not in the middle of a character */
			text--;
			p--;
		}
		p = stpcpy(p, "...");
	}
	strcpy(p, "'");
	return buf;
}

static const char *found(const struct node *n, char buf[READER_SHOWN])
{
	switch (n->kind) {
	case NODE_MAP:
		return "a map";
	case NODE_LIST:
		return "a list";
	default:
		return node_is_null(n) ? "nothing" : reader_show(n->text, buf);
	}
}

void reader_expected(struct reader *rd, const struct node *at, const char *format, ...)
{
	struct text text = { 0 };
	char buf[READER_SHOWN];
	va_list ap;

	if (at->key)
		text_printf(&text, "%s: ", at->key);
	text_put(&text, "expected ");
	va_start(ap, format);
	text_vprintf(&text, format, ap);
	va_end(ap);
	text_printf(&text, ", found %s", found(at, buf));
	problems_add(rd->problems, rd->file, at->line, at->column, "%s", text_str(&text));
	text_free(&text);
}

/* ---- near words ---- */

enum { LONGEST = 64 };

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t n = strlen(b);

	if (n > LONGEST || strlen(a) > LONGEST)
		return LONGEST;
	for (size_t k = 0; k <= n; k++)
		last[k] = (unsigned)k;
	for (size_t i = 1; a[i - 1]; i++) {
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= n; k++) {
			unsigned least = last[k - 1] + (a[i - 1] != b[k - 1]);

			least = last[k] + 1 < least ? last[k] + 1 : least;
			least = row[k - 1] + 1 < least ? row[k - 1] + 1 : least;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < least)
				least = before[k - 2] + 1;
			row[k] = least;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

const char *reader_nearest(const char *word, const char *const *names, size_t n, size_t stride)
{
	const char *best = NULL;
	size_t length = strlen(word);
	unsigned least = length < 4 ? 2 : length < 8 ? 3 : 4;	/* first distance that is too far */

	for (size_t i = 0; i < n; i++) {
		const char *name = *(const char *const *)((const char *)names + i * stride);
		unsigned d = distance(word, name);

		if (d < least) {
			least = d;
			best = name;
		}
	}
	return best;
}

/* ---- maps and lists ---- */

bool reader_map(struct reader *rd, const struct node *n, const char *where, const char *const *keys)
{
	size_t n_keys = 0;

	if (n->kind == NODE_BAD)
		return false;
	if (n->kind != NODE_MAP) {
		char buf[READER_SHOWN];

		reader_fault(rd, n, "%s: expected a map, found %s", where, found(n, buf));
		return false;
	}
	while (keys[n_keys])
		n_keys++;
	node_each_key(key, n) {
		char buf[READER_SHOWN];
		const char *near;
		size_t i = 0;

		if (key->kind != NODE_SCALAR)
			continue;
		while (i < n_keys && strcmp(key->text, keys[i]) != 0)
			i++;
		if (i < n_keys)
			continue;
		near = reader_nearest(key->text, keys, n_keys, sizeof *keys);
		if (near)
			reader_fault(rd, key, "unknown key %s in %s, did you mean '%s'?", reader_show(key->text, buf),
				     where, near);
		else
			reader_fault(rd, key, "unknown key %s in %s", reader_show(key->text, buf), where);
	}
	return true;
}

bool reader_list(struct reader *rd, const struct node *n, size_t max, size_t *ret_n)
{
	if (!n || n->kind == NODE_BAD)
		return false;
	if (n->kind != NODE_LIST && !node_is_null(n)) {
		reader_expected(rd, n, "a list");
		return false;
	}
	if (node_count(n) > max) {
		reader_fault(rd, n, "%s: expected at most %zu entries, found %zu", n->key ? n->key : "a list", max,
			     node_count(n));
		return false;
	}
	*ret_n = node_count(n);
	return *ret_n > 0;
}

const struct node *reader_need(struct reader *rd, const struct node *map, const char *where, const char *key)
{
	const struct node *n = node_get(map, key);

	if (!n)
		reader_fault(rd, map, "%s needs the key '%s'", where, key);
	return n;
}

/* ---- scalars ---- */

/* The text of a scalar that is not null, or NULL: the caller says what it expected. */
static const char *scalar(const struct node *n)
{
	return n->kind == NODE_SCALAR && !node_is_null(n) ? n->text : NULL;
}

static bool absent(const struct node *n)
{
	return !n || n->kind == NODE_BAD;
}

int reader_bool(struct reader *rd, const struct node *n, bool *ret)
{
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = n->plain ? scalar(n) : NULL;
	if (!s || (strcmp(s, "true") != 0 && strcmp(s, "false") != 0)) {
		reader_expected(rd, n, "true or false");
		return -EINVAL;
	}
	*ret = *s == 't';
	return 0;
}

int reader_number(struct reader *rd, const struct node *n, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t value = 0;
	const char *s;
	size_t i = 0;

	if (absent(n))
		return -ENOENT;
	s = n->plain ? scalar(n) : NULL;
	for (; s && i < 10 && s[i] >= '0' && s[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(s[i] - '0');
	/* 010 is eight to some readers of YAML and ten to others. */
	if (!i || s[i] || (s[0] == '0' && i > 1) || value < min || value > max) {
		reader_expected(rd, n, "a number from %u to %u", min, max);
		return -EINVAL;
	}
	*ret = (uint32_t)value;
	return 0;
}

int reader_choice(struct reader *rd, const struct node *n, const char *const *names, unsigned *ret)
{
	struct text text = { 0 };
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	for (unsigned i = 0; names[i]; i++) {
		if (s && strcmp(s, names[i]) == 0) {
			text_free(&text);
			*ret = i;
			return 0;
		}
		text_printf(&text, "%s%s", !i ? "" : names[i + 1] ? ", " : " or ", names[i]);
	}
	reader_expected(rd, n, "%s", text_str(&text));
	text_free(&text);
	return -EINVAL;
}

int reader_ip(struct reader *rd, const struct node *n, struct ip *ret)
{
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (s && ip_parse(s, ret) == 0)
		return 0;
	/* Within {} and [] YAML takes a ':' at the begin or end of a word for its own. */
	reader_expected(rd, n,
			n->kind == NODE_MAP
				? "an address like 192.0.2.1 or 2001:db8::1 (in quotes if it begins or ends "
				  "with ':')"
				: "an address like 192.0.2.1 or 2001:db8::1");
	return -EINVAL;
}

int reader_ip4(struct reader *rd, const struct node *n, struct ip *ret)
{
	const char *s;
	struct ip ip;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (s && ip_parse(s, &ip) == 0 && ip.family == AF_INET) {
		*ret = ip;
		return 0;
	}
	reader_expected(rd, n, "an IPv4 address like 192.0.2.1");
	return -EINVAL;
}

int reader_prefix(struct reader *rd, const struct node *n, struct prefix *ret)
{
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (s && prefix_parse(s, false, ret) == 0)
		return 0;
	reader_expected(rd, n,
			n->kind == NODE_MAP
				? "an address and length like 192.0.2.1/24 (in quotes if it begins with ':')"
				: "an address and length like 192.0.2.1/24 or 2001:db8::1/64");
	return -EINVAL;
}

int reader_uuid(struct reader *rd, const struct node *n, struct uuid *ret)
{
	struct uuid id;
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (s && uuid_parse(s, &id) == 0 && !uuid_is_null(&id)) {
		*ret = id;
		return 0;
	}
	reader_expected(rd, n, "a UUID like 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f");
	return -EINVAL;
}

int reader_mac(struct reader *rd, const struct node *n, struct mac *ret)
{
	struct mac mac;
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (s && mac_parse(s, &mac) == 0 && mac_is_unicast(&mac)) {
		*ret = mac;
		return 0;
	}
	reader_expected(rd, n, "a unicast MAC address like fa:16:3e:01:02:03");
	return -EINVAL;
}

/* The first character that does not belong into a text of this form, or NULL. */
static const char *stranger(const char *s, enum reader_text form)
{
	for (; form != READER_ANY && *s; s++) {
		unsigned char c = (unsigned char)*s;
		/* U+0080 to U+009F, which an escape can bring in, and the separators that are line ends to some. */
		bool odd = (c == 0xc2 && (unsigned char)s[1] < 0xa0) || strncmp(s, "\xe2\x80\xa8", 3) == 0 ||
			   strncmp(s, "\xe2\x80\xa9", 3) == 0;

		if (c < 0x20 || c == 0x7f || odd || (form >= READER_WORD && c == ' ') ||
		    (form == READER_NAME && c == '/'))
			return s;
	}
	return NULL;
}

int reader_text(struct reader *rd, const struct node *n, enum reader_text form, size_t max, const char **ret)
{
	static const char *const without[] = { "", "without control characters", "without white space",
					       "without white space and '/'" };
	const char *s;

	if (absent(n))
		return -ENOENT;
	s = scalar(n);
	if (!s || !*s) {
		reader_expected(rd, n, "text");
		return -EINVAL;
	}
	if (strlen(s) > max) {
		reader_fault(rd, n, "%s: expected text of at most %zu bytes, found %zu", n->key ? n->key : "text", max,
			     strlen(s));
		return -EINVAL;
	}
	if (stranger(s, form)) {
		reader_expected(rd, n, "text %s", without[form]);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}
