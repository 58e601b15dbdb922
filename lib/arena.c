/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "arena.h"

#include "log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block is small because most routers are: 5,000 of them share a node. */
enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 64 << 10, ALIGN = 16 };

struct block {
	struct block *next;
	size_t used, room;
	_Alignas(ALIGN) char at[];
};

struct arena {
	struct block *blocks;
	size_t ceiling, size, next_block;
	bool full;
};

struct arena *arena_new(size_t ceiling)
{
	struct arena *a = calloc(1, sizeof *a);

	if (!a)
		fatal("out of memory");
	a->ceiling = ceiling;
	a->next_block = FIRST_BLOCK;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->blocks;
	void *ret;

	if (size > a->ceiling || a->full) {
		a->full = true;
		return NULL;
	}
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!b || b->room - b->used < size) {
		size_t room = size > a->next_block - sizeof *b ? size : a->next_block - sizeof *b;

		if (a->size + sizeof *b + room > a->ceiling) {
			a->full = true;
			return NULL;
		}
		b = malloc(sizeof *b + room);
		if (!b)
			fatal("out of memory");
		*b = (struct block){ .next = a->blocks, .room = room };
		a->blocks = b;
		a->size += sizeof *b + room;
		if (a->next_block < LARGEST_BLOCK)
			a->next_block *= 2;
	}
	ret = b->at + b->used;
	b->used += size;
	return memset(ret, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		a->full = true;
		return NULL;
	}
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *ret = arena_alloc(a, n + 1);

	return ret ? memcpy(ret, s, n) : NULL;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *ret;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	ret = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!ret)
		return NULL;
	va_start(ap, format);
	vsnprintf(ret, (size_t)n + 1, format, ap);
	va_end(ap);
	return ret;
}

bool arena_full(const struct arena *a)
{
	return a->full;
}

size_t arena_size(const struct arena *a)
{
	return a->size + sizeof *a;
}
