/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent.h"

#include "announcer.h"
#include "clock.h"
#include "conf.h"
#include "control.h"
#include "drift.h"
#include "files.h"
#include "log.h"
#include "nl.h"
#include "ns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failed router is tried again after this; most causes (a missing bridge) announce their end by an event anyway. */
enum { RETRY_FIRST_MS = 200, RETRY_MAX_MS = 30000 };

/* Loop priorities: what a person or the kernel says, then the work on routers, then announcements. */
enum { WORK_LEVEL = 1, MENDED_LINES = 10 };

static void set_state(struct agent *a, struct entry *e, enum entry_state state)
{
	a->pending += (state == ENTRY_PENDING) - (e->state == ENTRY_PENDING);
	a->failed += (state == ENTRY_FAILED) - (e->state == ENTRY_FAILED);
	e->state = state;
}

static struct entry *find_namespace(struct agent *a, const char *namespace)
{
	struct entry *e;

	HASH_FIND(by_namespace, a->entries, namespace, strlen(namespace), e);
	return e;
}

static struct entry *entry_new(struct agent *a, const char *namespace)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e)
		fatal("out of memory");
	e->agent = a;
	snprintf(e->namespace, sizeof e->namespace, "%s", namespace);
	uuid_parse(namespace + strcspn(namespace, "-") + 1, &e->id);
	e->ns_id = -1;
	e->state = ENTRY_PENDING;
	a->pending++;
	HASH_ADD_KEYPTR(by_namespace, a->entries, e->namespace, strlen(e->namespace), e);
	return e;
}

static void dequeue(struct agent *a, struct entry *e)
{
	if (e->queued)
		TAILQ_REMOVE(&a->queues[e->priority], e, queue);
	e->queued = false;
}

/* Names need not be unique; nearly always they are, and a person who types one must not wait for a search. */
struct name_use { struct entry *entry; size_t uses; UT_hash_handle hh; char name[]; };

static struct name_use *find_name(struct agent *a, const char *name)
{
	struct name_use *u;

	HASH_FIND_STR(a->names, name, u);
	return u;
}

static void name_add(struct agent *a, struct entry *e)
{
	struct name_use *u = find_name(a, e->want->name);

	if (!u) {
		u = calloc(1, sizeof *u + strlen(e->want->name) + 1);
		if (!u)
			fatal("out of memory");
		strcpy(u->name, e->want->name);
		HASH_ADD_KEYPTR(hh, a->names, u->name, strlen(u->name), u);
	}
	u->entry = e;
	u->uses++;
}

static void name_del(struct agent *a, struct entry *e)
{
	struct name_use *u = find_name(a, e->want->name);
	struct entry *other, *next;

	if (--u->uses == 0) {
		HASH_DEL(a->names, u);
		free(u);
		return;
	}
	HASH_ITER(by_namespace, a->entries, other, next)
		if (other != e && other->want && strcmp(other->want->name, u->name) == 0)
			u->entry = other;
}

/* Takes r, which may be NULL. */
static void set_want(struct agent *a, struct entry *e, struct router *r)
{
	if (e->want)
		name_del(a, e);
	a->routers += (r != NULL) - (e->want != NULL);
	router_free(e->want);
	e->want = r;
	if (r)
		name_add(a, e);
}

static void forget(struct agent *a, struct entry *e)
{
	dequeue(a, e);
	set_state(a, e, ENTRY_IN_SYNC);
	set_want(a, e, NULL);
	HASH_DELETE(by_namespace, a->entries, e);
	if (e->ns_id >= 0)
		HASH_DELETE(by_ns_id, a->entries_by_ns_id, e);
	if (e->retry)
		event_free(e->retry);
	free(e->error);
	free(e);
}

static const char *entry_name(const struct entry *e)
{
	return e->want ? e->want->name : e->namespace;
}

void agent_queue(struct agent *a, struct entry *e, enum agent_priority priority)
{
	if (e->queued && e->priority <= priority)
		return;
	dequeue(a, e);
	if (e->retry)
		event_del(e->retry);
	if (e->state == ENTRY_IN_SYNC && priority != PRIORITY_AUDIT)
		set_state(a, e, ENTRY_PENDING);
	e->priority = priority;
	e->queued = true;
	TAILQ_INSERT_TAIL(&a->queues[priority], e, queue);
	event_active(a->work, 0, 0);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct entry *e = ctx;

	(void)fd, (void)what;
	agent_queue(e->agent, e, PRIORITY_SYNC);
}

static void retry_later(struct entry *e)
{
	uint32_t ms = clock_backoff_ms(e->failures, RETRY_FIRST_MS, RETRY_MAX_MS);
	struct timeval delay = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (!e->retry)
		e->retry = evtimer_new(e->agent->loop, on_retry, e);
	if (!e->retry)
		fatal("out of memory");
	event_add(e->retry, &delay);
}

static void record_failure(struct agent *a, struct entry *e, const struct pass *pass)
{
	/* One line when it begins and one when the reason changes; the tries in between are no news. */
	if (!e->error || strcmp(e->error, pass->error_text) != 0) {
		log_warn(entry_name(e), "%s", pass->error_text);
		free(e->error);
		e->error = strdup(pass->error_text);
		e->error_since_ms = clock_ms();
	}
	e->failures++;
	set_state(a, e, ENTRY_FAILED);
	retry_later(e);
}

static void record_success(struct agent *a, struct entry *e, const struct pass *pass)
{
	if (e->failures)
		log_info(entry_name(e), "in sync again after %u failed tries", e->failures);
	e->failures = 0;
	free(e->error);
	e->error = NULL;
	set_state(a, e, ENTRY_IN_SYNC);
	if (pass->flows)
		log_debug(entry_name(e), "ended %llu flows of addresses that changed", (unsigned long long)pass->flows);
}

/* The operations of a pass, a line each: at debug level; as warnings if they mend what somebody else has changed, then only
 * as many as a person reads, and through a bucket in case that somebody is a program that does not give up. */
static void log_ops(const struct entry *e, const struct pass *pass, enum agent_priority priority)
{
	static struct log_bucket bucket = { .burst = 100, .every_ms = 500 };
	bool mended = (priority == PRIORITY_DRIFT || priority == PRIORITY_AUDIT) && e->pass_ms && !e->failures;
	enum log_level level = mended ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
	size_t said = 0;
	uint64_t dropped;

	if (level > log_level())
		return;
	for (const char *line = text_str(&pass->ops); *line; said++) {
		size_t n = strcspn(line, "\n");

		if (mended && (said == MENDED_LINES || !log_bucket_take(&bucket, clock_ms(), &dropped)))
			break;
		log_line(level, entry_name(e), "%s%.*s", mended ? "was changed by somebody else, mending: " : "", (int)n, line);
		line += n + (line[n] == '\n');
	}
	if (mended && said < pass->n_ops)
		log_line(level, entry_name(e), "and %zu more operations", pass->n_ops - said);
}

static void announce_port(const struct port *port, const char *prefix, struct pass *pass)
{
	for (size_t i = 0; i < port->n_fixed_ips; i++) {
		struct announcement *a;
		bool there = false;

		for (size_t j = 0; j < pass->added.n; j++)
			there |= ip_equal(&pass->added.at[j].ip, &port->fixed_ips[i].ip_address);
		if (there)
			continue;
		a = vec_add(&pass->added);
		plan_device(prefix, &port->id, a->dev);
		a->ip = port->fixed_ips[i].ip_address;
	}
}

/* New addresses; and once after a start those of the ports, whatever was there before: while the agent was away a
 * neighbour may have learned otherwise. */
static void announce(struct agent *a, struct entry *e, struct pass *pass, enum agent_priority priority)
{
	if (!e->announced && e->want && e->want->admin_state_up) {
		for (size_t i = 0; i < e->want->n_interfaces; i++)
			if (e->want->interfaces[i].admin_state_up)
				announce_port(&e->want->interfaces[i], "qr-", pass);
		if (e->want->gw_port && e->want->gw_port->admin_state_up)
			announce_port(e->want->gw_port, "qg-", pass);
		e->announced = true;
	}
	if (pass->added.n)
		announcer_add(a->announcer, e->namespace, pass->added.at, pass->added.n, priority == PRIORITY_PERSON);
}

static void do_pass(struct agent *a, struct entry *e)
{
	enum agent_priority priority = e->priority;
	uint64_t start_us = clock_us();
	bool lines = priority == PRIORITY_DRIFT || priority == PRIORITY_AUDIT || log_level() >= LOG_LEVEL_DEBUG ||
		     control_waits_for(a->control, e);
	struct pass pass;
	struct plan plan;

	dequeue(a, e);
	plan_build(e->namespace, e->want, a->conf, &plan);
	reconcile(&plan, a->conf, false, lines, &pass);
	plan_free(&plan);
	log_ops(e, &pass, priority);
	if (pass.error)
		record_failure(a, e, &pass);
	else
		record_success(a, e, &pass);
	e->pass_ms = clock_ms();
	e->pass_us = (uint32_t)(clock_us() - start_us);
	e->pass_writes = pass.writes;
	if (!pass.error)
		announce(a, e, &pass, priority);
	else if (pass.added.n)
		announcer_add(a->announcer, e->namespace, pass.added.at, pass.added.n, priority == PRIORITY_PERSON);
	if (!pass.error && e->want && e->want->admin_state_up)
		drift_follow(a->drift, e);
	if (priority == PRIORITY_PERSON && pass.n_ops && !pass.error)
		log_info(entry_name(e), "%s: %zu operations in %.1f ms", e->want ? "changed" : "removed", pass.n_ops,
			 (double)e->pass_us / 1000);
	control_pass_done(a->control, e, &pass);
	pass_free(&pass);
	if (!e->want && e->state == ENTRY_IN_SYNC)
		forget(a, e);
}

static void sync_begin(struct agent *a)
{
	a->sync.running = true;
	a->sync.start_us = clock_us();
	a->sync.writes_before = nl_writes();
	if (a->drift)
		drift_pause(a->drift);
}

static void sync_end(struct agent *a)
{
	a->sync.running = false;
	a->sync.us = clock_us() - a->sync.start_us;
	a->sync.writes = nl_writes() - a->sync.writes_before;
	a->sync.routers = a->routers;
	log_info(NULL, "%zu routers in %.3f s, %zu of them failed, %llu changes to the kernel", a->routers,
		 (double)a->sync.us / 1e6, a->failed, (unsigned long long)a->sync.writes);
	if (a->drift)
		drift_listen(a->drift);
}

/* One router, then back to the loop: a person's change waits for one router and not for all. */
static void on_work(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;
	struct entry *next = NULL;

	(void)fd, (void)what;
	for (int p = 0; p < PRIORITIES && !next; p++)
		next = TAILQ_FIRST(&a->queues[p]);
	if (next)
		do_pass(a, next);
	if (!a->pending && !files_reading(a->files)) {
		if (a->sync.running)
			sync_end(a);
		control_idle(a->control);
	}
	for (int p = 0; p < PRIORITIES; p++)
		if (!TAILQ_EMPTY(&a->queues[p])) {
			event_active(a->work, 0, 0);
			return;
		}
}

void agent_init(struct agent *a, struct event_base *loop, struct conf *conf)
{
	*a = (struct agent){ .loop = loop, .conf = conf };
	for (int p = 0; p < PRIORITIES; p++)
		TAILQ_INIT(&a->queues[p]);
	a->work = event_new(loop, -1, EV_PERSIST, on_work, a);
	if (!a->work)
		fatal("out of memory");
	event_priority_set(a->work, WORK_LEVEL);
	sync_begin(a);
	event_active(a->work, 0, 0);	/* an empty source must come to its end as well */
}

void agent_done(struct agent *a)
{
	struct entry *e, *next;

	HASH_ITER(by_namespace, a->entries, e, next)
		forget(a, e);
	event_free(a->work);
	conf_free(a->conf);
	free(a->held);
}

/* A new wish: what failed before has a new chance, at once. */
static void want_changed(struct agent *a, struct entry *e, enum agent_priority priority)
{
	e->failures = 0;
	set_state(a, e, ENTRY_PENDING);
	agent_queue(a, e, priority);
}

void agent_router(struct agent *a, struct router *r, enum agent_priority priority)
{
	char namespace[NS_NAME_MAX];
	struct entry *e;
	bool same;

	plan_namespace(&r->id, namespace);
	e = find_namespace(a, namespace);
	same = e && e->want && router_equal(e->want, r);
	if (!e)
		e = entry_new(a, namespace);
	set_want(a, e, r);		/* also if it is the same: its position in the file may have moved */
	if (!same)
		want_changed(a, e, priority);
}

void agent_gone(struct agent *a, const struct uuid *id, enum agent_priority priority)
{
	struct entry *e = agent_find_id(a, id);

	if (!e || !e->want)
		return;
	set_want(a, e, NULL);
	want_changed(a, e, priority);
}

void agent_disown(struct agent *a, const struct uuid *id)
{
	struct entry *e = agent_find_id(a, id);

	if (e)
		forget(a, e);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct orphan_search { struct agent *agent; struct orphans *found; };

static void see_namespace(const char *name, void *ctx)
{
	struct orphan_search *s = ctx;
	struct uuid id;

	if (uuid_parse(name + strcspn(name, "-") + 1, &id) < 0 || find_namespace(s->agent, name))
		return;
	*vec_add(&s->found->names) = strdup(name);
}

void agent_orphans(struct agent *a, struct orphans *ret)
{
	static const char *const prefixes[] = { "qrouter-", "snat-" };
	struct orphan_search s = { a, ret };

	*ret = (struct orphans){ 0 };
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		int error = ns_list(prefixes[i], see_namespace, &s);

		if (error)
			log_error(NS_DIR, "cannot list the namespaces: %s", strerror(-error));
	}
	vec_sort(&ret->names, by_name);
}

void orphans_free(struct orphans *o)
{
	for (size_t i = 0; i < o->names.n; i++)
		free(o->names.at[i]);
	vec_free(&o->names);
}

static void remove_orphans(struct agent *a, const struct orphans *o)
{
	for (size_t i = 0; i < o->names.n; i++) {
		if (find_namespace(a, o->names.at[i]))
			continue;
		log_info(o->names.at[i], "belongs to no router, removing it");
		agent_queue(a, entry_new(a, o->names.at[i]), PRIORITY_SYNC);
	}
}

void agent_prune(struct agent *a, const struct orphans *o)
{
	free(a->held);
	a->held = NULL;
	remove_orphans(a, o);
}

void agent_synced(struct agent *a)
{
	struct orphans o;

	a->synced = true;
	if (a->held)
		return;
	agent_orphans(a, &o);
	remove_orphans(a, &o);
	orphans_free(&o);
}

void agent_hold(struct agent *a, const char *why)
{
	log_warn(NULL, "nothing is removed: %s", why);
	free(a->held);
	a->held = strdup(why);
}

struct entry *agent_find_id(struct agent *a, const struct uuid *id)
{
	char namespace[NS_NAME_MAX];

	plan_namespace(id, namespace);
	return find_namespace(a, namespace);
}

struct entry *agent_find(struct agent *a, const char *name_or_id, bool *ret_ambiguous)
{
	struct name_use *u = find_name(a, name_or_id);
	struct entry *e;
	struct uuid id;

	*ret_ambiguous = u && u->uses > 1;
	if (u)
		return u->uses == 1 ? u->entry : NULL;
	if (uuid_parse(name_or_id, &id) < 0)
		return NULL;
	e = agent_find_id(a, &id);
	return e && e->want ? e : NULL;
}

size_t agent_queue_all(struct agent *a, enum agent_priority priority, bool sync)
{
	struct entry *e, *next;

	if (sync && !a->sync.running)
		sync_begin(a);
	HASH_ITER(by_namespace, a->entries, e, next)
		agent_queue(a, e, priority);
	event_active(a->work, 0, 0);
	return a->routers;
}

void agent_retry_failed(struct agent *a)
{
	struct entry *e, *next;

	if (!a->failed)
		return;
	HASH_ITER(by_namespace, a->entries, e, next)
		if (e->state == ENTRY_FAILED)
			agent_queue(a, e, PRIORITY_DRIFT);
}

void agent_reconfigure(struct agent *a, struct conf *conf)
{
	conf_free(a->conf);
	a->conf = conf;
	agent_queue_all(a, PRIORITY_SYNC, true);
}
