/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Text that grows: messages, plans, answers. Memory is malloc's; running out of it ends the process. */

#include <stdarg.h>
#include <stddef.h>

struct text { char *at; size_t n, room; };	/* at is NULL while empty, else ended by a zero byte */

void text_add(struct text *t, const char *s, size_t n);
void text_put(struct text *t, const char *s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
void text_free(struct text *t);
/* Never NULL. */
static inline const char *text_str(const struct text *t) { return t->at ? t->at : ""; }

/* The whole file at path, of at most `limit` bytes. 0 or negative errno (-EFBIG: larger). *ret is malloc's, ended by a
 * zero byte that *ret_size does not count. */
int text_load(const char *path, size_t limit, char **ret, size_t *ret_size);
/* Replaces the file at path by n bytes: temporary file beside it, fsync, rename, fsync of
 * the directory; mode is that of the file it replaces,
 * else 0644. 0 or negative errno; on failure the old file is untouched and the temporary one is gone. */
int text_save(const char *path, const char *bytes, size_t n);
