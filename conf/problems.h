/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Every fault found in a file, each with its position, in the order in which it was found. Reading goes on after a
 * fault so that a person sees all of them at once; only PROBLEMS_MAX are kept, the rest is counted. */

#include <stddef.h>

enum { PROBLEMS_MAX = 100 };

struct problem { char *file; unsigned line, column; char *text; };	/* line, column: 1…; 0 = the file as a whole */

struct problems {
	struct problem at[PROBLEMS_MAX];
	size_t n, more;
};

void problems_add(struct problems *p, const char *file, unsigned line, unsigned column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void problems_clear(struct problems *p);
struct text;
/* `file:line:column: what is wrong`, a line each; without :line:column where there is none. */
void problems_print(const struct problems *p, struct text *out);
