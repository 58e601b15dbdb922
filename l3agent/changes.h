/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a request for a change means for the router files: which files get which new text. Writes nothing; files_write_all
 * does. A change thus takes the same way as a person's edit, and a restart finds it. */

#include "files.h"
#include "routers.h"
#include "vec.h"

struct agent;

struct changes_router { struct uuid id; char *name; };		/* concerned; name: this struct's own */

struct changes {
	VEC(struct files_change) files;		/* paths and texts are this struct's own */
	VEC(struct changes_router) routers;
	struct routers parsed;			/* of changes_apply: the routers as they would be */
	struct problems *problems;		/* never NULL: room for faults */
	char *why;				/* one sentence instead of faults with positions; NULL: none */
	char *what;				/* what the faults are in: a file's name */
};

/* Each gives 0 or negative errno with `why` or `problems` filled; *ret is to be freed in either case.
 * changes_apply: the routers of a router file's text (called `name` in messages): known ones are replaced in the file where
 * they stand, each new one gets a file of its own. */
int changes_apply(struct agent *a, const char *name, const char *text, size_t n, struct changes *ret);
int changes_delete(const struct router *r, struct changes *ret);
/* A floating IP that is there already with this fixed address: no files to write. */
int changes_floatingip_add(const struct router *r, const struct edit_floatingip *fip, struct changes *ret);
int changes_floatingip_del(const struct router *r, const struct ip *floating_ip_address, struct changes *ret);
void changes_free(struct changes *ch);
