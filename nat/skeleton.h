/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What every router's table is made of: its sets and maps, chains and rules, as data; the requests that make them,
 * and the comparison with what the kernel says that it has. Knows nothing of elements. Used within nat/ only. */

#include "nl.h"

#include <stdbool.h>
#include <stdint.h>

struct nat_conf;
struct text;

enum nat_set { SET_EXTERNAL, SET_FLOATING, SET_FIXED, SET_FORWARDS, SET_SOURCES, SET_HAIRPIN, SET_LEAVING, SET_LEAVING6,
	       NAT_SETS };

struct nat_shape {
	const char *name, *type;		/* type: as nft writes it */
	uint32_t key_type, key_size;		/* key_type, data_type: nft's numbers, for nft's eyes only */
	uint32_t data_type, data_size;		/* size 0: a set, not a map */
};
extern const struct nat_shape nat_shapes[NAT_SETS];

/* Begins a request of nf_tables about our table (its name is put already): NFT_MSG_*. */
struct nlmsghdr *skeleton_begin(struct nl_batch *b, uint16_t type, uint16_t flags);
/* Puts the requests that make the table, its sets, chains and rules. */
void skeleton_build(const struct nat_conf *conf, struct nl_batch *b);
/* The chains of the table as nft text. */
void skeleton_print_chains(const struct nat_conf *conf, struct text *out);

enum { SKELETON_CHAINS = 4, SKELETON_RULES = 12 };

/* What was seen of a table so far; zero at first. */
struct skeleton_seen {
	bool damaged;
	uint32_t objects;			/* chains and sets that the table says it has */
	uint32_t chains, sets;			/* bits: seen as they should be */
	uint32_t rules[SKELETON_CHAINS];
	uint32_t elements[NAT_SETS];		/* UINT32_MAX: the kernel does not tell */
};
/* Takes one answer: NFT_MSG_NEWTABLE, NEWCHAIN, NEWSET or NEWRULE (these in the kernel's order). Chains of other
 * tables do not matter. */
void skeleton_see(struct skeleton_seen *seen, const struct nat_conf *conf, const struct nlmsghdr *h);
/* Was all of it seen, and nothing else? */
bool skeleton_whole(const struct skeleton_seen *seen);
