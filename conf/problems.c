/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "problems.h"

#include "log.h"
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void problems_add(struct problems *p, const char *file, unsigned line, unsigned column, const char *format, ...)
{
	struct text text = { 0 };
	char *name;
	va_list ap;

	if (p->n == PROBLEMS_MAX) {
		p->more++;
		return;
	}
	va_start(ap, format);
	text_vprintf(&text, format, ap);
	va_end(ap);
	name = strdup(file);
	if (!name)
		fatal("out of memory");
	if (!text.at)
		text_put(&text, "");
	p->at[p->n++] = (struct problem){ .file = name, .line = line, .column = column, .text = text.at };
}

void problems_clear(struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->at[i].file);
		free(p->at[i].text);
	}
	p->n = p->more = 0;
}

void problems_print(const struct problems *p, struct text *out)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct problem *at = &p->at[i];

		if (at->line)
			text_printf(out, "%s:%u:%u: %s\n", at->file, at->line, at->column, at->text);
		else
			text_printf(out, "%s: %s\n", at->file, at->text);
	}
	if (p->more)
		text_printf(out, "and %zu more\n", p->more);
}
