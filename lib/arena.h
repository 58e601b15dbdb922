/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Memory that is freed as a whole. One arena per router, per plan, per document; nothing in it is freed alone.
 * An arena has a ceiling, so that a file or a peer cannot make it grow without end: past the ceiling every request
 * yields NULL and the arena remembers that it is full, which the owner asks once, at the end. An exhausted machine
 * (malloc fails below the ceiling) ends the process: restart and reconcile are the recovery. */

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* An empty arena that holds at most `ceiling` bytes. Never NULL. */
struct arena *arena_new(size_t ceiling);
/* Frees the arena and all in it. NULL is fine. */
void arena_free(struct arena *a);
/* `size` zeroed bytes, aligned for any type; NULL past the ceiling. */
void *arena_alloc(struct arena *a, size_t size);
/* `n` zeroed items of `size` bytes; NULL on overflow or past the ceiling. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A copy of s (of its first n bytes, ended by a zero byte). */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True once a request was refused for the ceiling. */
bool arena_full(const struct arena *a);
/* Bytes taken from the system. */
size_t arena_size(const struct arena *a);
