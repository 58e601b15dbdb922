/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vec.h"

#include "log.h"

#include <stdint.h>
#include <string.h>

void vec_grow(void **at, size_t *room, size_t n, size_t size)
{
	if (n == *room) {
		size_t more = *room ? *room * 2 : 8;
		void *grown = more > SIZE_MAX / size ? NULL : realloc(*at, more * size);

		if (!grown)
			fatal("out of memory");
		*at = grown;
		*room = more;
	}
	memset((char *)*at + n * size, 0, size);
}

void vec_walk(const void *left, size_t n_left, const void *right, size_t n_right, size_t size,
	      int (*compare)(const void *, const void *), void (*both)(const void *left, const void *right, void *ctx),
	      void *ctx)
{
	static const char none;		/* an empty array may be NULL, on which there is no arithmetic */
	const char *l = n_left ? left : &none, *r = n_right ? right : &none;
	const char *l_end = l + n_left * size, *r_end = r + n_right * size;

	while (l < l_end || r < r_end) {
		int order = l == l_end ? 1 : r == r_end ? -1 : compare(l, r);

		both(order <= 0 ? l : NULL, order >= 0 ? r : NULL, ctx);
		l += order <= 0 ? size : 0;
		r += order >= 0 ? size : 0;
	}
}
