/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Edits of any bytes. The first byte says which, the next two are the last bytes of the floating and the fixed address;
 * then the text, and for a replacement after a byte 0xff (which no good text has) the block. */

#include "problems.h"
#include "routers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(truth) ((truth) ? (void)0 : abort())

static const char name[] = "web";

struct edited { char *text, *why; size_t n; };

static struct routers parse(const char *text, size_t n, bool *ret_good)
{
	struct problems problems = { 0 };
	struct routers routers = { 0 };

	*ret_good = routers_parse("fuzz", text, n, NULL, &problems, &routers) == 0;
	problems_clear(&problems);
	return routers;
}

static void edited_free(struct edited *e)
{
	free(e->text);
	free(e->why);
}

static bool has_floatingip(const struct routers *routers, const struct ip *floating)
{
	for (size_t i = 0; i < routers->n; i++)
		for (size_t k = 0; k < routers->at[i]->n_floatingips; k++)
			if (ip_equal(&routers->at[i]->floatingips[k].floating_ip_address, floating))
				return true;
	return false;
}

/* What was added and is taken out again leaves what was there. */
static void undo(const struct edited *added, const struct routers *before, const struct ip *floating)
{
	struct edited e = { 0 };
	struct routers after;
	bool good;

	if (routers_edit_floatingip_del(added->text, added->n, name, floating, &e.text, &e.n, &e.why) == 0) {
		after = parse(e.text, e.n, &good);
		require(good && after.n == before->n);
		for (size_t i = 0; i < after.n; i++)
			require(router_equal(after.at[i], before->at[i]));
		routers_free(&after);
	}
	edited_free(&e);
}

static int edit(unsigned op, const char *text, size_t n, const struct edit_floatingip *fip, struct edited *ret)
{
	const char *split = memchr(text, 0xff, n);
	size_t start, block_n;
	bool empty;

	switch (op) {
	case 0:
		return routers_edit_floatingip_add(text, n, name, fip, &ret->text, &ret->n, &ret->why);
	case 1:
		return routers_edit_floatingip_del(text, n, name, &fip->floating_ip_address, &ret->text, &ret->n,
						   &ret->why);
	case 2:
		return routers_edit_delete(text, n, name, &ret->text, &ret->n, &empty, &ret->why);
	case 3:
		if (!split)
			return -1;
		return routers_edit_replace(text, (size_t)(split - text), name, split + 1,
					    n - (size_t)(split + 1 - text), &ret->text, &ret->n, &ret->why);
	default:
		if (routers_block(text, n, op - 4, &start, &block_n) == 0)
			require(block_n && start + block_n <= n);
		return -1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edit_floatingip fip = { .floating_ip_address = { AF_INET, { 203, 0, 113 } },
				       .fixed_ip_address = { AF_INET, { 10, 0, 0 } } };
	struct routers before, after;
	struct edited e = { 0 };
	bool good_before, good_after;
	char *text;
	int error;
	unsigned op;

	if (size < 3)
		return 0;
	op = data[0] % 8;
	fip.floating_ip_address.bytes[3] = data[1];
	fip.fixed_ip_address.bytes[3] = data[2];
	size -= 3;
	text = malloc(size + 1);	/* of its own, so that a byte too far is seen */
	require(text);
	memcpy(text, data + 3, size);
	text[size] = 0;
	before = parse(text, size, &good_before);
	error = edit(op, text, size, &fip, &e);
	require(!error == !!e.text && (!error || op > 2 || e.why));
	if (!error && op != 3) {
		after = parse(e.text, e.n, &good_after);
		require(good_after || !good_before);
		if (op == 0 && good_before && !has_floatingip(&before, &fip.floating_ip_address))
			undo(&e, &before, &fip.floating_ip_address);
		if (op == 2 && good_before)
			require(after.n + 1 == before.n);
		routers_free(&after);
	}
	routers_free(&before);
	edited_free(&e);
	free(text);
	return 0;
}
