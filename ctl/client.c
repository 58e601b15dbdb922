/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int client_open(const char *path, struct client *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	*ret = (struct client){ .fd = fd };
	return 0;
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->at);
	*c = (struct client){ .fd = -1 };
}

static int send_all(int fd, const char *at, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return -errno;
		if (sent > 0) {
			at += sent;
			n -= (size_t)sent;
		}
	}
	return 0;
}

static int send_request(int fd, const json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t n;
	int error;

	if (!line)
		fatal("out of memory");
	n = strlen(line);
	line[n] = '\n';		/* in the place of the ending zero byte: one write, one wake-up of the daemon */
	error = n + 1 > CLIENT_MAX_REQUEST ? -E2BIG : send_all(fd, line, n + 1);
	free(line);
	/* A daemon that refuses a request closes before it has read all of it; the reason waits to be read. */
	return error == -EPIPE || error == -ECONNRESET ? 0 : error;
}

static int read_more(struct client *c)
{
	ssize_t got;

	if (c->n == CLIENT_MAX_ANSWER)
		return -EMSGSIZE;
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 64 << 10;
		c->at = realloc(c->at, c->room);
		if (!c->at)
			fatal("out of memory");
	}
	do
		got = recv(c->fd, c->at + c->n, c->room - c->n, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : -ECONNRESET;
	c->n += (size_t)got;
	return 0;
}

static int read_line(struct client *c)
{
	size_t seen = 0;
	char *end;

	if (c->line) {
		memmove(c->at, c->at + c->line, c->n - c->line);
		c->n -= c->line;
		c->line = 0;
	}
	while (!(end = c->n > seen ? memchr(c->at + seen, '\n', c->n - seen) : NULL)) {
		int error;

		seen = c->n;
		error = read_more(c);
		if (error)
			return error;
	}
	c->line = (size_t)(end - c->at) + 1;
	return 0;
}

int client_ask(struct client *c, const json_t *request, void (*progress)(const json_t *progress, void *ctx), void *ctx,
	       json_t **ret)
{
	int error = send_request(c->fd, request);

	while (!error) {
		json_t *answer;

		error = read_line(c);
		if (error)
			break;
		answer = json_loadb(c->at, c->line - 1, JSON_ALLOW_NUL, NULL);
		if (!json_is_object(answer)) {
			json_decref(answer);
			return -EPROTO;
		}
		if (json_is_boolean(json_object_get(answer, "ok"))) {
			*ret = answer;
			return 0;
		}
		if (progress)
			progress(json_object_get(answer, "progress"), ctx);
		json_decref(answer);
	}
	return error;
}
