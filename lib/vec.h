/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A growing array of one type, and the walk over two sorted ones that every reconcile here is made of.
 * Use: VEC(struct foo) v = {0}; *vec_add(&v) = item; v.at[i]; v.n; vec_free(&v). Memory is malloc's; running out of it
 * ends the process (see arena.h). */

#include <stddef.h>
#include <stdlib.h>

#define VEC(type) struct { type *at; size_t n, room; }

/* Room for one more; exits the process when the machine has no memory left. */
void vec_grow(void **at, size_t *room, size_t n, size_t size);

/* A pointer to one new zeroed item at the end. */
#define vec_add(v) \
	(vec_grow((void **)&(v)->at, &(v)->room, (v)->n, sizeof *(v)->at), &(v)->at[(v)->n++])
#define vec_free(v) (free((v)->at), (v)->at = NULL, (v)->n = (v)->room = 0)
#define vec_sort(v, compare) ((v)->n ? qsort((v)->at, (v)->n, sizeof *(v)->at, compare) : (void)0)

/* Walks two arrays sorted by `compare` and calls `both(left, right, ctx)` for equal keys, with NULL for the side that
 * lacks the key. Order is that of the keys. */
void vec_walk(const void *left, size_t n_left, const void *right, size_t n_right, size_t size,
	      int (*compare)(const void *, const void *), void (*both)(const void *left, const void *right, void *ctx),
	      void *ctx);
