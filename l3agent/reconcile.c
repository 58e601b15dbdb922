/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reconcile.h"

#include "conf.h"
#include "nl.h"
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A ruleset that changes under our hands is observed again, but not for ever. */
enum { RESTARTS = 5 };

/* What is read and to be done in one pass; lives on the stack of reconcile(). */
struct work {
	const struct plan *plan;
	struct nat_conf nat_conf;
	bool lines;
	struct ns_state have;
	struct ns_ops ns_ops;
	struct nat_have nat_have;
	struct nat_ops nat_ops;
	VEC(struct nat_leaving) journal;
	VEC(struct ip) wanted;			/* addresses of the plan, sorted, if there is a journal */
	VEC(struct ip) left;			/* addresses that will go from the devices of a namespace that stays */
	struct pass *pass;
};

static void fail(struct pass *pass, int error, const char *what, const char *text)
{
	if (pass->error)
		return;
	pass->error = error;
	snprintf(pass->error_text, sizeof pass->error_text, "%s%s%s", what ? what : "", what ? ": " : "",
		 text && *text ? text : strerror(-error));
}

static void find_left(struct work *w)
{
	for (size_t i = 0; i < w->ns_ops.ops.n; i++) {
		const struct ns_op *op = &w->ns_ops.ops.at[i];

		if (op->kind == NS_ADDR_DEL)
			*vec_add(&w->left) = op->addr.have.ip;
		if (op->kind != NS_LINK_DEL)
			continue;
		for (size_t j = 0; j < w->have.addrs.n; j++)
			if (strcmp(w->have.addrs.at[j].dev, op->link.have.name) == 0)
				*vec_add(&w->left) = w->have.addrs.at[j].ip;
	}
}

/* Reads the table and finds what is due in it. A namespace that does not exist has no table. */
static int observe_nat(struct work *w)
{
	int error = 0;

	nat_have_free(&w->nat_have);
	nat_ops_free(&w->nat_ops);
	w->nat_have = (struct nat_have){ 0 };
	w->nat_ops = (struct nat_ops){ 0 };
	if (w->have.exists) {
		error = ns_enter(w->plan->ns.name, NULL);
		if (!error) {
			error = nat_observe(&w->nat_conf, &w->nat_have);
			ns_leave();
		}
	}
	if (error)
		return error;
	nat_diff(&w->nat_have, &w->plan->nat, &w->nat_conf, w->left.at, w->left.n, &w->nat_ops);
	return 0;
}

static void end_line(struct pass *pass)
{
	pass->n_ops++;
	text_put(&pass->ops, "\n");
}

static void print_ns_ops(struct work *w, size_t first, size_t last)
{
	for (size_t i = first; i < last; i++) {
		if (!w->lines || w->pass->n_ops >= PASS_MAX_LINES) {
			w->pass->n_ops++;
			continue;
		}
		ns_op_print(&w->ns_ops.ops.at[i], &w->pass->ops);
		end_line(w->pass);
	}
}

static void print_ops(struct work *w)
{
	size_t filter = ns_ops_filter_point(&w->ns_ops);

	print_ns_ops(w, 0, filter);
	for (size_t i = 0; i < w->nat_ops.ops.n; i++) {
		if (!w->lines || w->pass->n_ops >= PASS_MAX_LINES) {
			w->pass->n_ops++;
			continue;
		}
		nat_op_print(&w->nat_ops.ops.at[i], &w->pass->ops);
		end_line(w->pass);
	}
	print_ns_ops(w, filter, w->ns_ops.ops.n);
	if (w->lines && w->pass->n_ops > PASS_MAX_LINES)
		text_printf(&w->pass->ops, "… and %zu more\n", w->pass->n_ops - PASS_MAX_LINES);
}

static void apply_ns(struct work *w, size_t first, size_t last)
{
	int error = first < last ? ns_apply(&w->ns_ops, first, last) : 0;

	for (size_t i = first; error && i < last; i++) {
		const struct ns_op *op = &w->ns_ops.ops.at[i];
		struct text what = { 0 };

		if (!op->error)
			continue;
		ns_op_print(op, &what);
		fail(w->pass, op->error, text_str(&what), op->error_text);
		text_free(&what);
	}
	if (error)
		fail(w->pass, error, w->plan->ns.name, NULL);
}

/* True if the rules stand as wanted. */
static bool apply_nat(struct work *w)
{
	char text[200] = "";
	int error = 0;

	for (int i = 0; i < RESTARTS && w->nat_ops.ops.n; i++) {
		error = ns_enter(w->plan->ns.name, NULL);
		if (!error) {
			error = nat_apply(&w->nat_ops, &w->nat_have, &w->plan->nat, &w->nat_conf, text);
			ns_leave();
		}
		if (error != -ERESTART)
			break;
		w->have.exists = true;
		error = observe_nat(w);
		if (error)
			break;
		error = w->nat_ops.ops.n ? -ERESTART : 0;
	}
	if (error)
		fail(w->pass, error, "table inet " NAT_TABLE, text);
	return !error;
}

static int by_ip(const void *a, const void *b)
{
	return ip_compare(a, b);
}

/* What is on the journal: what a former pass left there and what this one has put there. */
static void collect_journal(struct work *w)
{
	for (size_t i = 0; i < w->nat_have.elements.leaving.n; i++)
		*vec_add(&w->journal) = w->nat_have.elements.leaving.at[i];
	for (size_t i = 0; i < w->nat_ops.ops.n; i++)
		if (w->nat_ops.ops.at[i].kind == NAT_LEAVING && w->nat_ops.ops.at[i].verb == NAT_ADD)
			*vec_add(&w->journal) = w->nat_ops.ops.at[i].leaving;
	if (!w->journal.n)
		return;
	for (size_t i = 0; i < w->plan->ns.addrs.n; i++)
		*vec_add(&w->wanted) = w->plan->ns.addrs.at[i].ip;
	vec_sort(&w->wanted, by_ip);
}

/* Ends the flows of what is on the journal. Addresses that come or stay: after their rules stand and before they answer, so
 * that no packet finds a flow that passed without the rules. Addresses that go: after they have gone. */
static void flush(struct work *w, bool wanted)
{
	VEC(struct nat_leaving) some = { 0 };
	char text[200] = "";
	size_t flows = 0;
	int error;

	for (size_t i = 0; i < w->journal.n; i++) {
		const struct ip *ip = &w->journal.at[i].ip;

		if (wanted == (w->wanted.n && bsearch(ip, w->wanted.at, w->wanted.n, sizeof *ip, by_ip) != NULL))
			*vec_add(&some) = w->journal.at[i];
	}
	if (some.n) {
		error = ns_enter(w->plan->ns.name, NULL);
		if (!error) {
			error = nat_flush(some.at, some.n, &flows, text);
			ns_leave();
		}
		if (error)
			fail(w->pass, error, "ending the flows of addresses that changed", text);
	}
	w->pass->flows += flows;
	vec_free(&some);
}

static void collect_added(struct work *w)
{
	for (size_t i = 0; i < w->ns_ops.ops.n; i++) {
		const struct ns_op *op = &w->ns_ops.ops.at[i];
		struct announcement *a;

		if ((op->kind != NS_ADDR_ADD && op->kind != NS_ADDR_REPLACE) || op->error)
			continue;
		a = vec_add(&w->pass->added);
		memcpy(a->dev, op->addr.want.dev, IFNAMSIZ);
		a->ip = op->addr.want.ip;
	}
}

/* Rules stand before an address answers, and go before it goes. If the rules cannot be set, no address is
 * touched: better the old state than an address whose packets end at the router itself. */
static void apply(struct work *w)
{
	size_t filter = ns_ops_filter_point(&w->ns_ops);

	apply_ns(w, 0, filter);
	if (w->plan->ns.exists && !apply_nat(w))
		return;
	collect_journal(w);
	flush(w, true);
	apply_ns(w, filter, w->ns_ops.ops.n);
	flush(w, false);
	collect_added(w);
}

void reconcile(const struct plan *p, const struct conf *conf, bool dry_run, bool lines, struct pass *ret)
{
	uint64_t writes = nl_writes();
	struct work w = { .plan = p, .lines = lines, .pass = ret };
	int error;

	*ret = (struct pass){ 0 };
	plan_nat_conf(conf, &w.nat_conf);
	error = ns_observe(&p->ns, &w.have);
	if (error) {
		fail(ret, error, "reading the namespace", NULL);
		goto out;
	}
	ns_diff(&w.have, &p->ns, &w.ns_ops);
	find_left(&w);
	if (p->ns.exists) {
		error = observe_nat(&w);
		if (error) {
			fail(ret, error, "reading table inet " NAT_TABLE, NULL);
			goto out;
		}
	}
	print_ops(&w);
	if (!dry_run)
		apply(&w);
out:
	ret->writes = nl_writes() - writes;
	nat_ops_free(&w.nat_ops);
	nat_have_free(&w.nat_have);
	ns_ops_free(&w.ns_ops);
	ns_state_free(&w.have);
	vec_free(&w.journal);
	vec_free(&w.wanted);
	vec_free(&w.left);
}

void pass_free(struct pass *p)
{
	text_free(&p->ops);
	vec_free(&p->added);
}
