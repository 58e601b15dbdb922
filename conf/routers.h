/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Router files (l3agent.yaml(5), "ROUTER FILES"): text → struct router, with the position of every fault. Also the
 * edits that l3ctl makes in them, which change only the lines concerned. Pure. */

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

/* Reads one router file. 0 and *ret, or -EINVAL with all faults in `problems` (nothing is returned then: a file is
 * taken whole or not at all). Checks all that one file can tell: keys, types, ranges, networks known to conf,
 * addresses that clash within a router, two routers with one name, id or floating IP (on one external network).
 * Anchors and aliases, tags, several documents, duplicate keys, tabs, bytes that are not UTF-8 are faults. An empty
 * file holds no routers. */
int routers_parse(const char *name, const char *text, size_t n, const struct conf *conf, struct problems *problems,
		  struct routers *ret);
/* Frees the array and the routers that are still in it (a taker sets its slot to NULL). */
void routers_free(struct routers *r);

/* Edits of a router file's text. Each gives the whole new text in *ret (malloc's), with all that a person wrote around
 * the change (comments, order, style, line ends) as it was: the new text was read again, and nothing but the change was
 * found in it. 0; -ENOENT: no such router / floating IP in this text; -EEXIST: that floating IP is there already with
 * this fixed address; -EINVAL: the text has faults or cannot be edited in place; *why (malloc's) says which. Only
 * adding a floating IP checks the rules between entries too; the others look at the YAML alone, so that several edits
 * may pass through a state that no file may stay in. The caller parses the result before it trusts it. `router` is a
 * name or an id, written or derived. */
struct edit_floatingip { struct ip floating_ip_address, fixed_ip_address; };
/* Adds the floating IP, or points an existing one at the new fixed address. */
int routers_edit_floatingip_add(const char *text, size_t n, const char *router, const struct edit_floatingip *fip,
				char **ret, size_t *ret_n, char **why);
int routers_edit_floatingip_del(const char *text, size_t n, const char *router, const struct ip *floating_ip_address,
				char **ret, size_t *ret_n, char **why);
/* Removes the router's block. *ret_empty: nothing but the `routers:` key is left, no router and no comment; the caller
 * then removes the file. */
int routers_edit_delete(const char *text, size_t n, const char *router, char **ret, size_t *ret_n, bool *ret_empty,
			char **why);
/* Replaces the router's block by `block`: the text of one list item of a router file ("- name: web\n  …") in any
 * indentation and with either line end; or appends it if the router is not in the text, which may be empty. Comments
 * above the old block stay if the new one brings none. */
int routers_edit_replace(const char *text, size_t n, const char *router, const char *block, size_t block_n, char **ret,
			 size_t *ret_n, char **why);
/* The text of the i-th router's list item within a file, as start and length: whole lines, with the comments directly
 * above its dash that are not indented deeper, and those below it that are. 0; -ENOENT; -EINVAL: the text has faults,
 * or its list of routers is in flow style ([…]). */
int routers_block(const char *text, size_t n, size_t i, size_t *ret_start, size_t *ret_n);
