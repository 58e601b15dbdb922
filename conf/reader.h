/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Tree nodes as typed values, with a fault that says what was expected and what was found. What both the settings and
 * the router files need; knows neither. Each typed function takes a node or NULL (the key is absent): 0 and *ret;
 * -ENOENT for NULL or a node that was refused before, silently; -EINVAL after a fault. *ret is untouched unless 0. */

#include "ip.h"
#include "tree.h"

struct reader { const char *file; struct problems *problems; };

void reader_fault(struct reader *rd, const struct node *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A fault "<key>: expected <format…>, found <what is there>". */
void reader_expected(struct reader *rd, const struct node *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it a map whose keys are all among `keys` (ended by NULL)? False only if it is no map: unknown keys are faults, but
 * what is known can be read. `where` names the map in messages. */
bool reader_map(struct reader *rd, const struct node *n, const char *where, const char *const *keys);
/* Is it a list of at most max items? Null is an empty list; absence is none. *ret_n items are in it. */
bool reader_list(struct reader *rd, const struct node *n, size_t max, size_t *ret_n);
/* The value of a key that must be there. */
const struct node *reader_need(struct reader *rd, const struct node *map, const char *where, const char *key);

int reader_bool(struct reader *rd, const struct node *n, bool *ret);
int reader_number(struct reader *rd, const struct node *n, uint32_t min, uint32_t max, uint32_t *ret);
/* One of `names` (ended by NULL): its index. */
int reader_choice(struct reader *rd, const struct node *n, const char *const *names, unsigned *ret);
int reader_ip(struct reader *rd, const struct node *n, struct ip *ret);
int reader_ip4(struct reader *rd, const struct node *n, struct ip *ret);
int reader_prefix(struct reader *rd, const struct node *n, struct prefix *ret);
int reader_uuid(struct reader *rd, const struct node *n, struct uuid *ret);
int reader_mac(struct reader *rd, const struct node *n, struct mac *ret);
/* Text of 1 to max bytes. READER_LINE: without control characters; READER_WORD: nor space; READER_NAME: nor '/'. */
enum reader_text { READER_ANY, READER_LINE, READER_WORD, READER_NAME };
int reader_text(struct reader *rd, const struct node *n, enum reader_text form, size_t max, const char **ret);

/* The entry of `names` (n of them, each at `stride` bytes after the one before) that a person most likely meant by
 * `word`; NULL if none is near. */
const char *reader_nearest(const char *word, const char *const *names, size_t n, size_t stride);
/* `text` in quotes, cut and with control characters shown, for messages. */
enum { READER_SHOWN = 80 };
const char *reader_show(const char *text, char buf[READER_SHOWN]);
