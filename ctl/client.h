/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One connection to the daemon: a JSON object out, a JSON object back, a line each (doc/control.md). Knows no commands. */

#include <jansson.h>
#include <stddef.h>

enum {
	CLIENT_MAX_REQUEST = 16 << 20,	/* bytes; the daemon refuses more */
	CLIENT_MAX_ANSWER = 64 << 20,
};

struct client { int fd; char *at; size_t n, room, line; };	/* line: bytes of the buffer that the last answer took */

/* 0 or negative errno (-ENAMETOOLONG: the path does not fit a socket address). */
int client_open(const char *path, struct client *ret);
void client_close(struct client *c);
/* Sends `request` and waits for its answer; lines of progress before it go to `progress`, if that is not NULL. 0 and *ret
 * (a reference of the caller's); -E2BIG: the request is too large; -EMSGSIZE: the answer is; -ECONNRESET: the connection
 * ended before the answer was complete; -EPROTO: the answer is not a JSON object; other negative errno. */
int client_ask(struct client *c, const json_t *request, void (*progress)(const json_t *progress, void *ctx), void *ctx,
	       json_t **ret);
