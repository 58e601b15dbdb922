/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include "agent.h"
#include "changes.h"
#include "clock.h"
#include "conf.h"
#include "files.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, REQUEST_MAX = 16 << 20, ERRORS_MAX = 100, NAMED_MAX = 10, PROGRESS_MS = 1000 };

/* One connection, with at most one request under way. */
struct client {
	struct control *control;
	struct bufferevent *stream;
	enum { NOT_WAITING, WAITING_FOR_PASSES, WAITING_FOR_IDLE } waiting;
	json_t *expected;			/* namespace → {"router": name} whose pass is awaited */
	json_t *plans;				/* what they yielded */
	struct event *timer;			/* progress of a wait */
	uint64_t deadline_ms;
	TAILQ_ENTRY(client) list;
};

struct control {
	struct agent *agent;
	struct evconnlistener *listener;
	char *path;
	TAILQ_HEAD(, client) clients;
	size_t n_clients;
};

static void client_free(struct client *c)
{
	TAILQ_REMOVE(&c->control->clients, c, list);
	c->control->n_clients--;
	evconnlistener_enable(c->control->listener);
	json_decref(c->expected);
	json_decref(c->plans);
	if (c->timer)
		event_free(c->timer);
	bufferevent_free(c->stream);
	free(c);
}

/* Takes answer. */
static void say(struct client *c, json_t *answer)
{
	char *line = json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	if (!line)
		fatal("out of memory");
	bufferevent_write(c->stream, line, strlen(line));
	bufferevent_write(c->stream, "\n", 1);
	free(line);
}

/* Text of foreign origin (a path, a name in the kernel) as JSON, whatever its bytes are. */
static json_t *utf8(const char *s)
{
	json_t *json = s ? json_string(s) : json_null();
	struct text shown = { 0 };

	if (json)
		return json;
	for (; *s; s++) {
		if ((unsigned char)*s < 0x80)
			text_add(&shown, s, 1);
		else
			text_printf(&shown, "\\x%02x", (unsigned char)*s);
	}
	json = json_string(text_str(&shown));
	text_free(&shown);
	return json;
}

static void refuse(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void refuse(struct client *c, const char *format, ...)
{
	struct text why = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&why, format, ap);
	va_end(ap);
	say(c, json_pack("{s:b, s:o}", "ok", 0, "error", utf8(text_str(&why))));
	text_free(&why);
}

static json_t *problems_json(const struct problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->at[i];

		json_array_append_new(list, json_pack("{s:o, s:i, s:i, s:o}", "file", utf8(p->file), "line",
						      (int)p->line, "column", (int)p->column, "text", utf8(p->text)));
	}
	return list;
}

static void refuse_problems(struct client *c, const char *what, const struct problems *problems)
{
	size_t n = problems->n + problems->more;
	struct text why = { 0 };

	text_printf(&why, "%s: %zu fault%s, nothing was changed", what, n, n == 1 ? "" : "s");
	say(c, json_pack("{s:b, s:o, s:o}", "ok", 0, "error", utf8(text_str(&why)), "problems", problems_json(problems)));
	text_free(&why);
}

static json_t *lines_json(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t n = strcspn(text, "\n");

		struct text line = { 0 };

		text_add(&line, text, n);
		json_array_append_new(list, utf8(line.at));
		text_free(&line);
		text += n + (text[n] == '\n');
	}
	return list;
}

static json_t *plan_json(const char *router, const struct uuid *id, const char *namespace, const struct pass *pass)
{
	char text[UUID_TEXT];

	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "router", utf8(router), "id", uuid_print(id, text), "namespace",
			 namespace, "ops", pass ? lines_json(text_str(&pass->ops)) : json_array(),
			 "error", pass && pass->error ? utf8(pass->error_text) : json_null());
}

/* What would be done for r, which may be one that is not in the table. */
static json_t *dry_run(struct agent *a, const struct router *r, struct text *print)
{
	char namespace[NS_NAME_MAX];
	struct plan plan;
	struct pass pass;
	json_t *json;

	plan_namespace(&r->id, namespace);
	plan_build(namespace, r, a->conf, &plan);
	reconcile(&plan, a->conf, true, true, &pass);
	if (print)
		plan_print(&plan, a->conf, print);
	json = plan_json(r->name, &r->id, namespace, &pass);
	plan_free(&plan);
	pass_free(&pass);
	return json;
}

static const char *state_name(const struct entry *e)
{
	static const char *const names[] = { "pending", "in_sync", "failed" };

	return e->state == ENTRY_IN_SYNC && e->want && !e->want->admin_state_up ? "disabled" : names[e->state];
}

static json_t *router_json(const struct entry *e)
{
	const struct router *r = e->want;
	const struct port *gw = r->gw_port;
	char id[UUID_TEXT], ip[IP_TEXT];
	json_t *gateway = gw && gw->n_fixed_ips ? json_string(ip_print(&gw->fixed_ips[0].ip_address, ip)) : json_null();

	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:I, s:I, s:o, s:i, s:o}", "id", uuid_print(&r->id, id), "name", utf8(r->name),
			 "state", state_name(e), "namespace", e->namespace, "gateway", gateway, "interfaces",
			 (json_int_t)r->n_interfaces, "floatingips", (json_int_t)r->n_floatingips, "file",
			 utf8(r->file), "line", (int)r->line, "error", utf8(e->error));
}

/* The router that a request names; NULL: the client has been told why there is none. */
static struct entry *named_router(struct client *c, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "router"));
	struct entry *e;
	bool ambiguous;

	if (!name) {
		refuse(c, "the request needs \"router\", a name or id");
		return NULL;
	}
	e = agent_find(c->control->agent, name, &ambiguous);
	if (!e && ambiguous)
		refuse(c, "more than one router is named %s, use the id", name);
	else if (!e)
		refuse(c, "there is no router %s", name);
	return e;
}

static void add_error(json_t *list, const char *object, const char *text, uint64_t since_ms)
{
	if (json_array_size(list) < ERRORS_MAX)
		json_array_append_new(list, json_pack("{s:o, s:o, s:f}", "object", utf8(object), "text",
						      utf8(text), "seconds_ago", since_ms ? (double)(clock_ms() - since_ms) / 1000 : 0.0));
}

static void add_problem(const struct problem *p, void *ctx)
{
	struct text where = { 0 };

	text_put(&where, p->file);
	if (p->line)
		text_printf(&where, ":%u:%u", p->line, p->column);
	add_error(ctx, where.at, p->text, 0);
	text_free(&where);
}

static json_t *errors_json(struct agent *a)
{
	json_t *list = json_array();
	struct entry *e, *next;

	if (files_error(a->files))
		add_error(list, "source", files_error(a->files), 0);
	files_problems(a->files, add_problem, list);
	if (a->failed)
		HASH_ITER(by_namespace, a->entries, e, next)
			if (e->state == ENTRY_FAILED)
				add_error(list, e->want ? e->want->name : e->namespace, e->error, e->error_since_ms);
	return list;
}

static void do_status(struct client *c, json_t *request)
{
	struct agent *a = c->control->agent;
	struct orphans orphans;
	json_t *status;

	(void)request;
	agent_orphans(a, &orphans);
	status = json_pack(
		"{s:o, s:s, s:{s:s, s:b, s:o, s:o, s:o}, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:f, s:I}, s:[], s:I, s:o}",
		"host", utf8(a->conf->host), "version", VERSION,
		"source", "kind", "files", "synced", a->synced, "path", utf8(a->conf->files), "error",
		utf8(files_error(a->files)), "held", utf8(a->held),
		"routers", "total", (json_int_t)a->routers, "in_sync",
		(json_int_t)(HASH_CNT(by_namespace, a->entries) - a->pending - a->failed), "pending", (json_int_t)a->pending,
		"failed", (json_int_t)a->failed,
		"last_sync", "routers", (json_int_t)a->sync.routers, "seconds", (double)a->sync.us / 1e6, "writes",
		(json_int_t)a->sync.writes, "workers", "orphans", (json_int_t)orphans.names.n, "errors", errors_json(a));
	orphans_free(&orphans);
	say(c, json_pack("{s:b, s:o}", "ok", 1, "status", status));
}

static int entries_by_name(const struct entry *a, const struct entry *b)
{
	int order = a->want && b->want ? strcmp(a->want->name, b->want->name) : (a->want ? -1 : 0) + (b->want ? 1 : 0);

	return order ? order : strcmp(a->namespace, b->namespace);
}

static void do_routers(struct client *c, json_t *request)
{
	struct agent *a = c->control->agent;
	struct entry *e, *next;
	json_t *list = json_array();

	(void)request;
	HASH_SRT(by_namespace, a->entries, entries_by_name);
	HASH_ITER(by_namespace, a->entries, e, next)
		if (e->want)
			json_array_append_new(list, router_json(e));
	say(c, json_pack("{s:b, s:o}", "ok", 1, "routers", list));
}

static void do_show(struct client *c, json_t *request)
{
	struct entry *e = named_router(c, request);
	struct text print = { 0 };
	json_t *router, *plan, *last;

	if (!e)
		return;
	router = router_json(e);
	plan = dry_run(c->control->agent, e->want, &print);
	last = e->pass_ms ? json_pack("{s:f, s:f, s:I}", "seconds_ago", (double)(clock_ms() - e->pass_ms) / 1000,
				      "milliseconds", (double)e->pass_us / 1000, "writes", (json_int_t)e->pass_writes) :
			    json_null();
	json_object_set_new(router, "plan", utf8(text_str(&print)));
	json_object_set(router, "ops", json_object_get(plan, "ops"));
	json_object_set_new(router, "last", last);
	json_decref(plan);
	text_free(&print);
	say(c, json_pack("{s:b, s:o}", "ok", 1, "router", router));
}

static void answer_plans(struct client *c)
{
	json_t *plans = c->plans, *plan;
	struct text failed = { 0 };
	size_t i;

	c->plans = NULL;
	c->waiting = NOT_WAITING;
	json_decref(c->expected);
	c->expected = NULL;
	json_array_foreach(plans, i, plan) {
		const char *error = json_string_value(json_object_get(plan, "error"));

		if (error && !failed.n)
			text_printf(&failed, "router %s: %s", json_string_value(json_object_get(plan, "router")), error);
	}
	if (failed.n)
		say(c, json_pack("{s:b, s:o, s:o}", "ok", 0, "error", utf8(failed.at), "plans", plans));
	else
		say(c, json_pack("{s:b, s:o}", "ok", 1, "plans", plans));
	text_free(&failed);
}

/* After a change of files: answers when the passes over these routers have ended. */
static void await(struct client *c, const struct changes *ch)
{
	struct agent *a = c->control->agent;

	c->expected = json_object();
	c->plans = json_array();
	for (size_t i = 0; i < ch->routers.n; i++) {
		const struct changes_router *r = &ch->routers.at[i];
		struct entry *e = agent_find_id(a, &r->id);
		char namespace[NS_NAME_MAX];

		plan_namespace(&r->id, namespace);
		if (e && e->queued)
			json_object_set_new(c->expected, namespace, json_pack("{s:o}", "router", utf8(r->name)));
		else
			json_array_append_new(c->plans, plan_json(r->name, &r->id, namespace, NULL));
	}
	c->waiting = WAITING_FOR_PASSES;
	if (!json_object_size(c->expected))
		answer_plans(c);
}

void control_pass_done(struct control *control, const struct entry *e, const struct pass *pass)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&control->clients); c; c = next) {
		json_t *who;

		next = TAILQ_NEXT(c, list);
		who = c->waiting == WAITING_FOR_PASSES ? json_object_get(c->expected, e->namespace) : NULL;
		if (!who)
			continue;
		json_array_append_new(c->plans, plan_json(json_string_value(json_object_get(who, "router")), &e->id,
							  e->namespace, pass));
		json_object_del(c->expected, e->namespace);
		if (!json_object_size(c->expected))
			answer_plans(c);
	}
}

bool control_waits_for(const struct control *control, const struct entry *e)
{
	const struct client *c;

	TAILQ_FOREACH(c, &control->clients, list)
		if (c->waiting == WAITING_FOR_PASSES && json_object_get(c->expected, e->namespace))
			return true;
	return false;
}

/* Carries out what changes.h worked out, or says why not. */
static void commit(struct client *c, struct changes *ch, int error, bool dry)
{
	struct agent *a = c->control->agent;

	if (!error)
		error = files_write_all(a->files, ch->files.at, ch->files.n, dry, ch->problems);
	if (error && ch->why)
		refuse(c, "%s", ch->why);
	else if (error)
		refuse_problems(c, ch->what, ch->problems);
	else if (!dry)
		await(c, ch);
}

static void do_plan(struct client *c, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *text = json_object_get(request, "text");
	struct agent *a = c->control->agent;
	struct changes ch;
	json_t *plans;
	int error;

	if (!text) {
		struct entry *e = named_router(c, request);

		if (e)
			say(c, json_pack("{s:b, s:[o]}", "ok", 1, "plans", dry_run(a, e->want, NULL)));
		return;
	}
	error = changes_apply(a, name ? name : "-", json_string_value(text), json_string_length(text), &ch);
	commit(c, &ch, error, true);
	/* commit has spoken if anything is wrong */
	if (!error && !ch.problems->n && !ch.why) {
		plans = json_array();
		for (size_t i = 0; i < ch.parsed.n; i++)
			json_array_append_new(plans, dry_run(a, ch.parsed.at[i], NULL));
		say(c, json_pack("{s:b, s:o}", "ok", 1, "plans", plans));
	}
	changes_free(&ch);
}

static void do_apply(struct client *c, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	json_t *text = json_object_get(request, "text");
	struct changes ch;
	int error;

	if (!json_is_string(text)) {
		refuse(c, "the request needs \"text\", the text of a router file");
		return;
	}
	error = changes_apply(c->control->agent, name ? name : "-", json_string_value(text), json_string_length(text), &ch);
	commit(c, &ch, error, false);
	changes_free(&ch);
}

static void do_delete(struct client *c, json_t *request)
{
	struct entry *e = named_router(c, request);
	struct changes ch;
	int error;

	if (!e)
		return;
	error = changes_delete(e->want, &ch);
	commit(c, &ch, error, false);
	changes_free(&ch);
}

/* An IPv4 address of the request; false: the client has been told what is wrong. */
static bool address(struct client *c, json_t *request, const char *key, struct ip *ret)
{
	const char *text = json_string_value(json_object_get(request, key));

	if (text && ip_parse(text, ret) == 0 && ret->family == AF_INET)
		return true;
	refuse(c, "%s: expected an IPv4 address%s%s", key, text ? ", found " : "", text ? text : "");
	return false;
}

static void do_floatingip_add(struct client *c, json_t *request)
{
	struct entry *e = named_router(c, request);
	struct edit_floatingip fip;
	struct changes ch;
	int error;

	if (!e || !address(c, request, "floating_ip_address", &fip.floating_ip_address) ||
	    !address(c, request, "fixed_ip_address", &fip.fixed_ip_address))
		return;
	error = changes_floatingip_add(e->want, &fip, &ch);
	commit(c, &ch, error, false);
	changes_free(&ch);
}

static void do_floatingip_del(struct client *c, json_t *request)
{
	struct entry *e = named_router(c, request);
	struct changes ch;
	struct ip ip;
	int error;

	if (!e || !address(c, request, "floating_ip_address", &ip))
		return;
	error = changes_floatingip_del(e->want, &ip, &ch);
	commit(c, &ch, error, false);
	changes_free(&ch);
}

static bool idle(const struct agent *a)
{
	return a->synced && !a->pending && !a->sync.running && !files_reading(a->files);
}

static void end_wait(struct client *c)
{
	event_free(c->timer);
	c->timer = NULL;
	c->waiting = NOT_WAITING;
}

static void name_failed(struct agent *a, struct text *out)
{
	struct entry *e, *next;
	size_t named = 0;

	HASH_ITER(by_namespace, a->entries, e, next)
		if (e->state == ENTRY_FAILED && named++ < NAMED_MAX)
			text_printf(out, "%s%s: %s", named > 1 ? "; " : "", e->want ? e->want->name : e->namespace, e->error);
	if (named > NAMED_MAX)
		text_printf(out, "; and %zu more", named - NAMED_MAX);
}

static void answer_idle(struct client *c)
{
	struct agent *a = c->control->agent;
	struct text failed = { 0 };

	end_wait(c);
	if (!a->failed) {
		say(c, json_pack("{s:b}", "ok", 1));
		return;
	}
	text_printf(&failed, "%zu router%s failed: ", a->failed, a->failed == 1 ? "" : "s");
	name_failed(a, &failed);
	refuse(c, "%s", failed.at);
	text_free(&failed);
}

static void on_wait_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;
	struct agent *a = c->control->agent;
	size_t total = HASH_CNT(by_namespace, a->entries);

	(void)fd, (void)what;
	if (clock_ms() >= c->deadline_ms) {
		end_wait(c);
		refuse(c, "timed out: %zu of %zu routers pending, %zu failed%s%s", a->pending, total, a->failed,
		       a->synced ? "" : "; the source is not synced: ",
		       a->synced ? "" : files_error(a->files) ? files_error(a->files) : "a router file has a fault, see status");
		return;
	}
	if (evbuffer_get_length(bufferevent_get_output(c->stream)) == 0)
		say(c, json_pack("{s:{s:I, s:I, s:I, s:I}}", "progress", "total", (json_int_t)total, "in_sync",
				 (json_int_t)(total - a->pending - a->failed), "pending", (json_int_t)a->pending, "failed",
				 (json_int_t)a->failed));
}

static void do_wait(struct client *c, json_t *request)
{
	static const struct timeval second = { PROGRESS_MS / 1000, 0 };
	json_t *timeout = json_object_get(request, "timeout_ms");
	struct timeval period = second;

	c->timer = event_new(c->control->agent->loop, -1, EV_PERSIST, on_wait_timer, c);
	if (!c->timer)
		fatal("out of memory");
	c->waiting = WAITING_FOR_IDLE;
	c->deadline_ms = UINT64_MAX;
	if (json_is_integer(timeout) && json_integer_value(timeout) >= 0) {
		uint64_t ms = (uint64_t)json_integer_value(timeout);

		c->deadline_ms = clock_ms() + ms;
		if (ms < PROGRESS_MS)
			period = (struct timeval){ 0, (suseconds_t)(ms + 1) * 1000 };
	}
	event_add(c->timer, &period);
	if (idle(c->control->agent))
		answer_idle(c);
}

void control_idle(struct control *control)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&control->clients); c; c = next) {
		next = TAILQ_NEXT(c, list);
		if (c->waiting == WAITING_FOR_IDLE && idle(control->agent))
			answer_idle(c);
	}
}

static void do_resync(struct client *c, json_t *request)
{
	struct agent *a = c->control->agent;
	size_t n = 1;

	if (json_object_get(request, "router")) {
		struct entry *e = named_router(c, request);

		if (!e)
			return;
		agent_queue(a, e, PRIORITY_PERSON);
	} else {
		n = agent_queue_all(a, PRIORITY_SYNC, true);
		files_rescan(a->files);
	}
	say(c, json_pack("{s:b, s:I}", "ok", 1, "routers", (json_int_t)n));
}

static void do_prune(struct client *c, json_t *request)
{
	struct agent *a = c->control->agent;
	bool confirm = json_is_true(json_object_get(request, "confirm"));
	json_t *names = json_array();
	struct orphans orphans;

	agent_orphans(a, &orphans);
	for (size_t i = 0; i < orphans.names.n; i++)
		json_array_append_new(names, json_string(orphans.names.at[i]));
	if (confirm && !a->synced) {
		refuse(c, "the source has not delivered all routers yet (see status), so it is not known what belongs to none");
		json_decref(names);
	} else {
		if (confirm)
			agent_prune(a, &orphans);
		say(c, json_pack("{s:b, s:o, s:I}", "ok", 1, "orphans", names, "removed",
				 confirm ? (json_int_t)orphans.names.n : (json_int_t)0));
	}
	orphans_free(&orphans);
}

static void answer(struct client *c, json_t *request)
{
	static const struct { const char *op; void (*answer)(struct client *c, json_t *request); } table[] = {
		{ "status", do_status }, { "routers", do_routers }, { "show", do_show }, { "plan", do_plan },
		{ "apply", do_apply }, { "delete", do_delete }, { "floatingip_add", do_floatingip_add },
		{ "floatingip_del", do_floatingip_del }, { "wait", do_wait }, { "resync", do_resync },
		{ "prune", do_prune },
	};
	const char *op = json_string_value(json_object_get(request, "op"));

	for (size_t i = 0; op && i < sizeof table / sizeof *table; i++)
		if (strcmp(op, table[i].op) == 0) {
			table[i].answer(c, request);
			return;
		}
	refuse(c, "unknown request %s", op ? op : "without \"op\"");
}

/* One request after the other: the next one is looked at when the answer to the last is complete and sent, so that a
 * client cannot pile up answers that it does not read. */
static void serve(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->stream), *out = bufferevent_get_output(c->stream);

	while (c->waiting == NOT_WAITING && evbuffer_get_length(out) == 0) {
		size_t n;
		char *line = evbuffer_readln(in, &n, EVBUFFER_EOL_LF);
		json_error_t error;
		json_t *request;

		if (!line)
			break;
		request = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
		free(line);
		if (json_is_object(request)) {
			answer(c, request);
		} else {
			refuse(c, "not a JSON object: %s", request ? "something else" : error.text);
			bufferevent_disable(c->stream, EV_READ);
			evbuffer_drain(in, evbuffer_get_length(in));
		}
		json_decref(request);
	}
	if (evbuffer_get_length(in) >= REQUEST_MAX) {
		refuse(c, "the request is larger than 16 MiB");
		bufferevent_disable(c->stream, EV_READ);
		evbuffer_drain(in, evbuffer_get_length(in));
	}
}

static void on_read(struct bufferevent *stream, void *ctx)
{
	(void)stream;
	serve(ctx);
}

/* The answer has been sent. Whoever was refused for his manners is not read any more. */
static void on_written(struct bufferevent *stream, void *ctx)
{
	struct client *c = ctx;

	if (!(bufferevent_get_enabled(stream) & EV_READ) && c->waiting == NOT_WAITING)
		client_free(c);
	else
		serve(c);
}

static void on_event(struct bufferevent *stream, short what, void *ctx)
{
	(void)stream;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		client_free(ctx);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int n, void *ctx)
{
	struct control *control = ctx;
	struct client *c = calloc(1, sizeof *c);

	(void)peer, (void)n;
	if (!c)
		fatal("out of memory");
	c->control = control;
	c->stream = bufferevent_socket_new(control->agent->loop, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->stream)
		fatal("out of memory");
	bufferevent_priority_set(c->stream, 0);
	bufferevent_setcb(c->stream, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->stream, EV_READ, 0, REQUEST_MAX);
	bufferevent_enable(c->stream, EV_READ | EV_WRITE);
	TAILQ_INSERT_TAIL(&control->clients, c, list);
	if (++control->n_clients >= CLIENTS_MAX)
		evconnlistener_disable(listener);
}

struct control *control_new(struct agent *a)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct control *control = calloc(1, sizeof *control);
	struct text path = { 0 };
	mode_t mask;

	if (!control)
		fatal("out of memory");
	control->agent = a;
	TAILQ_INIT(&control->clients);
	text_printf(&path, "%s/control.sock", a->conf->run_dir);
	control->path = path.at;
	if (path.n >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		control_free(control);
		return NULL;
	}
	strcpy(address.sun_path, path.at);
	unlink(path.at);		/* of a former life: the lock says that nobody else is using it */
	mask = umask(0177);
	control->listener = evconnlistener_new_bind(a->loop, on_accept, control, LEV_OPT_CLOSE_ON_FREE |
						    LEV_OPT_CLOSE_ON_EXEC, 64, (struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (!control->listener) {
		int error = errno;

		free(control->path);
		free(control);
		errno = error;
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	while (!TAILQ_EMPTY(&control->clients))
		client_free(TAILQ_FIRST(&control->clients));
	if (control->listener)
		evconnlistener_free(control->listener);
	unlink(control->path);
	free(control->path);
	free(control);
}
