/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One line an event to standard error: journal-friendly text ("<4>web: …", the prefix only under systemd) or JSON.
 * Mechanism modules do not log above debug; l3agent/ logs a failure once. What a tenant or a peer can trigger goes
 * through a bucket. */

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_setup(enum log_level level, enum log_format format);
enum log_level log_level(void);
/* "error", "warn", "info", "debug" and back: 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);
const char *log_level_name(enum log_level level);

/* `who` is the object the line speaks of (a router's name, a file); NULL: the program itself. */
void log_line(enum log_level level, const char *who, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define log_error(who, ...) log_line(LOG_LEVEL_ERROR, who, __VA_ARGS__)
#define log_warn(who, ...) log_line(LOG_LEVEL_WARN, who, __VA_ARGS__)
#define log_info(who, ...) log_line(LOG_LEVEL_INFO, who, __VA_ARGS__)
#define log_debug(who, ...) \
	do { if (log_level() >= LOG_LEVEL_DEBUG) log_line(LOG_LEVEL_DEBUG, who, __VA_ARGS__); } while (0)

/* Says one line and ends the process with status 1. Only before the loop starts, and for an exhausted machine. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A token bucket: `burst` lines at once, one more each `every_ms`. Zero-initialised but for these two. */
struct log_bucket { uint32_t burst, every_ms; uint32_t used; uint64_t last_ms; uint64_t dropped; };
/* May a line be said now? If some were dropped since the last one, their number is in *dropped. */
bool log_bucket_take(struct log_bucket *b, uint64_t now_ms, uint64_t *dropped);
