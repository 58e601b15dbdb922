/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "text.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void reserve(struct text *t, size_t more)
{
	size_t room = t->room ? t->room : 64;
	char *grown;

	if (more < t->room - t->n && t->at)
		return;
	while (room - t->n <= more)
		room *= 2;
	grown = realloc(t->at, room);
	if (!grown)
		fatal("out of memory");
	t->at = grown;
	t->room = room;
}

void text_add(struct text *t, const char *s, size_t n)
{
	reserve(t, n);
	memcpy(t->at + t->n, s, n);
	t->n += n;
	t->at[t->n] = 0;
}

void text_put(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_vprintf(struct text *t, const char *format, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return;
	reserve(t, (size_t)n);
	vsnprintf(t->at + t->n, (size_t)n + 1, format, ap);
	t->n += (size_t)n;
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	text_vprintf(t, format, ap);
	va_end(ap);
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}

int text_load(const char *path, size_t limit, char **ret, size_t *ret_size)
{
	/* O_NONBLOCK: a FIFO or a device in a directory of files must not stop the program. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
	struct stat st;
	char *at = NULL;
	size_t n = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)st.st_size > limit)
		error = -EFBIG;
	else if (!(at = malloc((size_t)st.st_size + 1)))
		fatal("out of memory");
	while (!error && n < (size_t)st.st_size) {
		ssize_t got = read(fd, at + n, (size_t)st.st_size - n);

		if (got < 0 && errno != EINTR)
			error = -errno;
		else if (got == 0)
			break;
		else if (got > 0)
			n += (size_t)got;
	}
	close(fd);
	if (error) {
		free(at);
		return error;
	}
	at[n] = 0;
	*ret = at;
	*ret_size = n;
	return 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t put = write(fd, bytes, n);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			bytes += put;
			n -= (size_t)put;
		}
	}
	return 0;
}

/* The rename itself is on the disk only when the directory is. That a file system cannot do it is no failure. */
static void sync_directory(const char *path, size_t n)
{
	char *directory = strndup(path, n);
	int fd = directory ? open(n ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(directory);
}

int text_save(const char *path, const char *bytes, size_t n)
{
	struct text temporary = { 0 };
	struct stat st;
	mode_t mode = stat(path, &st) == 0 ? st.st_mode & 07777 : 0644;
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	int fd, error;

	/* The leading dot keeps it out of "every *.yaml in the directory". */
	text_printf(&temporary, "%.*s.%s.XXXXXX", (int)(base - path), path, base);
	fd = mkostemp(temporary.at, O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		text_free(&temporary);
		return error;
	}
	error = write_all(fd, bytes, n);
	if (!error && fchmod(fd, mode) < 0)
		error = -errno;
	if (!error && fsync(fd) < 0)
		error = -errno;
	close(fd);
	if (!error && rename(temporary.at, path) < 0)
		error = -errno;
	if (error)
		unlink(temporary.at);
	else
		sync_directory(path, (size_t)(base - path));
	text_free(&temporary);
	return error;
}
