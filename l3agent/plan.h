/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The plan: what the kernel should hold for one router. plan_build is pure: no system call, the same input gives the same
 * output, and it can be printed. It is the only place where Neutron's intent meets Linux. */

#include "nat.h"
#include "state.h"

struct router;
struct conf;

struct plan {
	struct arena *arena;
	struct ns_state ns;
	struct nat nat;
};

/* The plan for r in `namespace`. An administratively disabled router, and r NULL, give a plan with nothing wanted.
 * Never fails: what cannot be done shows as an error of the operation. Borrows r and conf for its life; plan_free. */
void plan_build(const char *namespace, const struct router *r, const struct conf *conf, struct plan *ret);
void plan_free(struct plan *p);
void plan_print(const struct plan *p, const struct conf *conf, struct text *out);
/* "qrouter-<uuid>" */
void plan_namespace(const struct uuid *id, char ret[NS_NAME_MAX]);
/* prefix + the first 11 characters of the port's id ("qr-a1b2c3d4-e5") */
void plan_device(const char *prefix, const struct uuid *port_id, char ret[IFNAMSIZ]);
void plan_nat_conf(const struct conf *conf, struct nat_conf *ret);
