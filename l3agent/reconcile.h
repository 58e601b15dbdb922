/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One pass over one router: have against want, module by module, in the order that never leaves an address without its
 * rule. The same pass makes, changes, mends and removes; it keeps nothing between two calls. */

#include "announce.h"
#include "text.h"
#include "vec.h"

#include <stdbool.h>
#include <stdint.h>

struct plan;
struct conf;

struct pass {
	int error;				/* the first one, negative errno; 0: the kernel holds what the plan wants */
	char error_text[256];			/* a sentence for the operator */
	size_t n_ops;				/* operations found to be due */
	uint64_t writes;
	uint64_t flows;				/* conntrack entries ended */
	struct text ops;			/* a line each, as an operator reads them; at most PASS_MAX_LINES */
	VEC(struct announcement) added;		/* addresses that have just come to be ours */
};

enum { PASS_MAX_LINES = 10000 };

/* Brings the kernel to what p wants; with dry_run only finds out what would be done. Never fails as a call: see `error`.
 * `lines` false leaves `ops` empty. The thread is in root before and after. */
void reconcile(const struct plan *p, const struct conf *conf, bool dry_run, bool lines, struct pass *ret);
void pass_free(struct pass *p);
