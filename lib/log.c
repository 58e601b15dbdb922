/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum log_level max_level = LOG_LEVEL_INFO;
static enum log_format log_as = LOG_FORMAT_TEXT;
static const char *const names[] = { "error", "warn", "info", "debug" };

void log_setup(enum log_level level, enum log_format format)
{
	max_level = level;
	log_as = format;
}

enum log_level log_level(void)
{
	return max_level;
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

/* Control characters are shown, so that one event stays one line whatever a name contains. */
static void put_escaped(struct text *out, const char *s, const char *also)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			text_printf(out, "\\u%04x", (unsigned char)*s);
		else if (strchr(also, *s))
			text_printf(out, "\\%c", *s);
		else
			text_add(out, s, 1);
	}
}

static void say(enum log_level level, const char *who, const char *message)
{
	static const char priorities[] = { '3', '4', '6', '7' };	/* syslog's, as sd-daemon(3) reads them */
	struct text line = { 0 };
	ssize_t ignored;

	if (log_as == LOG_FORMAT_JSON) {
		text_printf(&line, "{\"level\":\"%s\",", names[level]);
		if (who) {
			text_put(&line, "\"object\":\"");
			put_escaped(&line, who, "\"\\");
			text_put(&line, "\",");
		}
		text_put(&line, "\"message\":\"");
		put_escaped(&line, message, "\"\\");
		text_put(&line, "\"}\n");
	} else {
		if (getenv("JOURNAL_STREAM"))
			text_printf(&line, "<%c>", priorities[level]);
		text_printf(&line, "%s: ", names[level]);
		if (who) {
			put_escaped(&line, who, "");
			text_put(&line, ": ");
		}
		put_escaped(&line, message, "");
		text_put(&line, "\n");
	}
	/* One write, so that lines of several processes do not mix. */
	ignored = write(STDERR_FILENO, line.at, line.n);
	(void)ignored;
	text_free(&line);
}

void log_line(enum log_level level, const char *who, const char *format, ...)
{
	int saved = errno;
	struct text message = { 0 };
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, format);
	text_vprintf(&message, format, ap);
	va_end(ap);
	say(level, who, text_str(&message));
	text_free(&message);
	errno = saved;
}

void fatal(const char *format, ...)
{
	char message[512];		/* not on the heap: it may be gone */
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof message, format, ap);
	va_end(ap);
	fprintf(stderr, "error: %s\n", message);
	exit(1);
}

bool log_bucket_take(struct log_bucket *b, uint64_t now_ms, uint64_t *dropped)
{
	uint64_t back = b->every_ms ? (now_ms - b->last_ms) / b->every_ms : b->used;

	if (back) {
		b->used = back >= b->used ? 0 : b->used - (uint32_t)back;
		b->last_ms = now_ms;
	}
	if (b->used >= b->burst) {
		b->dropped++;
		return false;
	}
	b->used++;
	*dropped = b->dropped;
	b->dropped = 0;
	return true;
}
