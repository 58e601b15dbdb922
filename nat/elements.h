/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Elements of the table's sets and maps as nf_tables carries them, and what they mean in struct nat. The map `fixed`
 * (fixed → floating) is not in struct nat, because it follows from the dnats: where several floating IPs point to
 * one fixed address, the lowest is the one that it shows. Used within nat/ only. */

#include "nat.h"
#include "skeleton.h"

struct nat_element { uint8_t key[16], data[8]; };	/* as many bytes of both as nat_shapes says */

struct nat_element element_external(const struct nat_external *e);
struct nat_element element_source(const struct nat_snat *s);
struct nat_element element_hairpin(const struct ip *gateway);
struct nat_element element_floating(const struct nat_dnat *d);
struct nat_element element_forward(const struct nat_forward *f);
/* *ret_set: SET_LEAVING or SET_LEAVING6 */
struct nat_element element_leaving(const struct nat_leaving *l, enum nat_set *ret_set);

/* The map `fixed`: fixed address and floating IP in the upper and lower half, as numbers, ascending. */
struct nat_fixed { VEC(uint64_t) pairs; };
void fixed_derive(const struct nat *n, struct nat_fixed *ret);
void fixed_sort(struct nat_fixed *f);
void fixed_free(struct nat_fixed *f);
struct nat_element element_fixed(uint64_t pair);

/* Puts elements into a batch, as few requests as attributes' 64 KiB allow for. Zero but for `b` at first. */
struct elements {
	struct nl_batch *b;
	struct nlmsghdr *request;
	struct nlattr *list;
	enum nat_set set;
	bool del;
};
void elements_put(struct elements *e, enum nat_set set, bool del, const struct nat_element *element);
void elements_end(struct elements *e);
/* Everything that the map and sets of a new table hold: n (without its journal). */
void elements_put_all(struct elements *e, const struct nat *n);

/* Puts the question for all elements of the set. */
void elements_ask(struct nl_batch *b, enum nat_set set);
/* Takes one answer to it. False if there is an element that struct nat cannot say, so not one of ours. */
bool elements_take(const struct nlmsghdr *h, enum nat_set set, struct nat *n, struct nat_fixed *fixed);
