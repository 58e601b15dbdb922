/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Router files (l3agent.yaml(5), "ROUTER FILES"): text → struct router, with the position of every fault. Also the edits
 * that l3ctl makes in them, which change only the lines concerned. Pure but for the two _load functions. */

#include "router.h"

struct conf;
struct problems;

enum {
	ROUTERS_MAX_BYTES = 16 << 20,	/* a larger file is refused unread */
	ROUTERS_MAX_DEPTH = 16,		/* nesting */
	ROUTERS_MAX_NODES = 2000000,	/* scalars, maps and lists in one file */
	ROUTERS_MAX = 10000,		/* routers in one file */
};

struct routers { struct router **at; size_t n; };	/* in the order of the file; the array is malloc's */

/* Reads one router file. 0 and *ret, or -EINVAL with all faults in `problems` (nothing is returned then: a file is taken
 * whole or not at all). Checks all that one file can tell: keys, types, ranges, networks known to conf, addresses that
 * clash within a router, two routers with one name, id or floating IP (on one external network). Anchors and aliases,
 * tags, several documents, duplicate keys, tabs, bytes that are not UTF-8 are faults. An empty file holds no routers. */
int routers_parse(const char *name, const char *text, size_t n, const struct conf *conf, struct problems *problems,
		  struct routers *ret);
/* Frees the array and the routers that are still in it (a taker sets its slot to NULL). */
void routers_free(struct routers *r);

/* Edits of a router file's text. Each gives the whole new text in *ret (malloc's), with all that a person wrote around
 * the change (comments, order, style, line ends) as it was. 0; -ENOENT: no such router / floating IP in this text;
 * -EEXIST: that floating IP is there already with this fixed address; -EINVAL: the text has faults or cannot be edited
 * in place, *why says so (malloc's). The caller parses the result before it trusts it. `router` is a name or an id. */
struct edit_floatingip { struct ip floating_ip_address, fixed_ip_address; };
/* Adds the floating IP, or points an existing one at the new fixed address. */
int routers_edit_floatingip_add(const char *text, size_t n, const char *router, const struct edit_floatingip *fip,
				char **ret, size_t *ret_n, char **why);
int routers_edit_floatingip_del(const char *text, size_t n, const char *router, const struct ip *floating_ip_address,
				char **ret, size_t *ret_n, char **why);
/* Removes the router's block. *ret_n may come out as 0 routers: the caller then removes the file if nothing but the
 * `routers:` key is left (*ret_empty). */
int routers_edit_delete(const char *text, size_t n, const char *router, char **ret, size_t *ret_n, bool *ret_empty,
			char **why);
/* Replaces the router's block by `block`: the text of one list item of a router file ("- name: web\n  …") in any
 * indentation; or appends it if the router is not in the text. */
int routers_edit_replace(const char *text, size_t n, const char *router, const char *block, size_t block_n, char **ret,
			 size_t *ret_n, char **why);
/* The text of the i-th router's list item within a file, as start and length (comments within it included, those before
 * it too as far as they are indented with it or directly above). 0, -ENOENT, -EINVAL. */
int routers_block(const char *text, size_t n, size_t i, size_t *ret_start, size_t *ret_n);
