/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "print.h"

#include "text.h"

#include <string.h>

void print_escaped(const char *s, size_t n, bool lines, struct text *out)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f)
			text_printf(out, "\\u%04x", c);
		else if (c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0)	/* C1, as UTF-8 writes it */
			text_printf(out, "\\u%04x", (unsigned char)s[++i]);
		else
			text_add(out, s + i, 1);
	}
}

static void put(const json_t *value, struct text *out)
{
	if (json_is_string(value))
		print_escaped(json_string_value(value), json_string_length(value), false, out);
	else if (json_is_integer(value))
		text_printf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		text_printf(out, "%.3g", json_real_value(value));
	else if (json_is_boolean(value))
		text_put(out, json_is_true(value) ? "yes" : "no");
	else
		text_put(out, "-");
}

static void put_key(const json_t *object, const char *key, struct text *out)
{
	put(json_object_get(object, key), out);
}

static void put_lines(const char *indent, const json_t *value, struct text *out)
{
	const char *s = json_string_value(value), *end = s ? s + json_string_length(value) : NULL;

	while (s && s < end) {
		const char *line_end = memchr(s, '\n', (size_t)(end - s));

		if (!line_end)
			line_end = end;
		text_put(out, indent);
		print_escaped(s, (size_t)(line_end - s), true, out);
		text_put(out, "\n");
		s = line_end + 1;
	}
}

/* An array of strings, a line each. */
static void put_list(const char *indent, const json_t *list, struct text *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		text_put(out, indent);
		put(item, out);
		text_put(out, "\n");
	}
}

/* Columns on a terminal, near enough: characters, not bytes. */
static size_t width(const char *s, size_t n)
{
	size_t columns = 0;

	for (size_t i = 0; i < n; i++)
		columns += ((unsigned char)s[i] & 0xc0) != 0x80;
	return columns;
}

static void put_padded(const struct text *cell, size_t columns, struct text *out)
{
	size_t have = width(text_str(cell), cell->n);

	text_put(out, text_str(cell));
	for (; have < columns; have++)
		text_put(out, " ");
}

static const struct column { const char *title, *key; } router_columns[] = {
	{ "NAME", "name" }, { "STATE", "state" }, { "GATEWAY", "gateway" }, { "INTERFACES", "interfaces" },
	{ "FLOATING IPS", "floatingips" }, { "ID", "id" },
};
enum { N_COLUMNS = sizeof router_columns / sizeof *router_columns };

static void print_routers(const json_t *routers, struct text *out)
{
	size_t widths[N_COLUMNS], i;
	struct text cell = { 0 };
	const json_t *r;

	for (size_t k = 0; k < N_COLUMNS; k++) {
		widths[k] = strlen(router_columns[k].title);
		json_array_foreach(routers, i, r) {
			size_t n;

			cell.n = 0;
			put_key(r, router_columns[k].key, &cell);
			n = width(text_str(&cell), cell.n);
			widths[k] = n > widths[k] ? n : widths[k];
		}
	}
	for (size_t k = 0; k < N_COLUMNS; k++) {
		cell.n = 0;
		text_put(&cell, router_columns[k].title);
		put_padded(&cell, k + 1 < N_COLUMNS ? widths[k] + 2 : 0, out);
	}
	text_put(out, "\n");
	json_array_foreach(routers, i, r) {
		for (size_t k = 0; k < N_COLUMNS; k++) {
			cell.n = 0;
			put_key(r, router_columns[k].key, &cell);
			put_padded(&cell, k + 1 < N_COLUMNS ? widths[k] + 2 : 0, out);
		}
		text_put(out, "\n");
		if (json_is_string(json_object_get(r, "error"))) {
			text_put(out, "  error: ");
			put_key(r, "error", out);
			text_put(out, "\n");
		}
	}
	text_free(&cell);
}

static void put_counts(const json_t *counts, struct text *out)
{
	put_key(counts, "in_sync", out);
	text_put(out, " in sync, ");
	put_key(counts, "pending", out);
	text_put(out, " pending");
	if (json_integer_value(json_object_get(counts, "failed")) > 0) {
		text_put(out, ", ");
		put_key(counts, "failed", out);
		text_put(out, " failed");
	}
}

void print_progress(const json_t *progress, struct text *out)
{
	text_put(out, "of ");
	put_key(progress, "total", out);
	text_put(out, " routers ");
	put_counts(progress, out);
}

static void print_source(const json_t *source, struct text *out)
{
	text_put(out, "source     ");
	put_key(source, "kind", out);
	if (json_is_string(json_object_get(source, "path"))) {
		text_put(out, " ");
		put_key(source, "path", out);
	}
	text_put(out, json_is_true(json_object_get(source, "synced")) ? ", synced\n" : ", not synced yet\n");
	if (json_is_string(json_object_get(source, "error"))) {
		text_put(out, "           error: ");
		put_key(source, "error", out);
		text_put(out, "\n");
	}
	if (json_is_string(json_object_get(source, "held"))) {
		text_put(out, "           nothing is removed: ");
		put_key(source, "held", out);
		text_put(out, "\n");
	}
}

static void print_status(const json_t *s, struct text *out)
{
	const json_t *routers = json_object_get(s, "routers"), *last = json_object_get(s, "last_sync"), *item;
	size_t i;

	text_put(out, "l3agentd ");
	put_key(s, "version", out);
	text_put(out, " on ");
	put_key(s, "host", out);
	text_put(out, "\n");
	print_source(json_object_get(s, "source"), out);
	text_put(out, "routers    ");
	put_key(routers, "total", out);
	text_put(out, ": ");
	put_counts(routers, out);
	text_put(out, "\n");
	if (json_is_object(last)) {
		text_put(out, "last sync  ");
		put_key(last, "routers", out);
		text_put(out, " routers in ");
		put_key(last, "seconds", out);
		text_put(out, " s, ");
		put_key(last, "writes", out);
		text_put(out, " writes\n");
	}
	json_array_foreach(json_object_get(s, "workers"), i, item) {
		text_put(out, i ? "           " : "workers    ");
		put_key(item, "role", out);
		text_put(out, ", pid ");
		put_key(item, "pid", out);
		text_put(out, json_is_true(json_object_get(item, "connected")) ? ", connected\n" : ", not connected\n");
	}
	if (json_integer_value(json_object_get(s, "orphans")) > 0) {
		text_put(out, "orphans    ");
		put_key(s, "orphans", out);
		text_put(out, " (l3ctl prune lists and removes them)\n");
	}
	json_array_foreach(json_object_get(s, "errors"), i, item) {
		text_put(out, i ? "           " : "errors     ");
		put_key(item, "object", out);
		text_put(out, ": ");
		put_key(item, "text", out);
		text_put(out, " (");
		put_key(item, "seconds_ago", out);
		text_put(out, " s ago)\n");
	}
}

static void print_plan(const json_t *plan, struct text *out)
{
	const json_t *ops = json_object_get(plan, "ops");

	text_put(out, "router ");
	put_key(plan, "router", out);
	text_put(out, " (");
	put_key(plan, "namespace", out);
	text_put(out, json_array_size(ops) ? "):\n" : "): nothing to do\n");
	put_list("  ", ops, out);
}

static void print_plans(const json_t *plans, struct text *out)
{
	const json_t *plan;
	size_t i;

	if (json_array_size(plans) == 0)
		text_put(out, "nothing to do\n");
	json_array_foreach(plans, i, plan)
		print_plan(plan, out);
}

static void print_show(const json_t *r, struct text *out)
{
	static const struct column lines[] = {
		{ "id           ", "id" }, { "state        ", "state" }, { "namespace    ", "namespace" },
		{ "gateway      ", "gateway" }, { "interfaces   ", "interfaces" }, { "floating ips ", "floatingips" },
		{ "error        ", "error" },
	};
	const json_t *last = json_object_get(r, "last"), *ops = json_object_get(r, "ops");

	text_put(out, "router ");
	put_key(r, "name", out);
	text_put(out, "\n");
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (json_is_null(json_object_get(r, lines[i].key)))
			continue;
		text_printf(out, "  %s", lines[i].title);
		put_key(r, lines[i].key, out);
		text_put(out, "\n");
	}
	if (json_is_string(json_object_get(r, "file"))) {
		text_put(out, "  file         ");
		put_key(r, "file", out);
		text_put(out, ":");
		put_key(r, "line", out);
		text_put(out, "\n");
	}
	if (json_is_object(last)) {
		text_put(out, "  last pass    ");
		put_key(last, "seconds_ago", out);
		text_put(out, " s ago, ");
		put_key(last, "milliseconds", out);
		text_put(out, " ms, ");
		put_key(last, "writes", out);
		text_put(out, " writes\n");
	}
	text_put(out, "the kernel should hold:\n");
	put_lines("  ", json_object_get(r, "plan"), out);
	text_put(out, json_array_size(ops) ? "what differs:\n" : "nothing differs from it\n");
	put_list("  ", ops, out);
}

static void print_prune(const json_t *answer, struct text *out)
{
	const json_t *orphans = json_object_get(answer, "orphans"), *removed = json_object_get(answer, "removed");

	if (json_array_size(orphans) == 0 && !json_integer_value(removed))
		text_put(out, "no namespace is without a router\n");
	put_list("", orphans, out);
	if (json_integer_value(removed)) {
		put(removed, out);
		text_put(out, " removed\n");
	}
}

void print_answer(enum command command, const json_t *answer, struct text *out)
{
	switch (command) {
	case CMD_STATUS: print_status(json_object_get(answer, "status"), out); break;
	case CMD_ROUTERS: print_routers(json_object_get(answer, "routers"), out); break;
	case CMD_SHOW: print_show(json_object_get(answer, "router"), out); break;
	case CMD_PLAN: case CMD_APPLY: case CMD_DELETE: case CMD_FLOATINGIP_ADD: case CMD_FLOATINGIP_DEL:
		print_plans(json_object_get(answer, "plans"), out);
		break;
	case CMD_RESYNC:
		put_key(answer, "routers", out);
		text_put(out, " queued\n");
		break;
	case CMD_PRUNE: print_prune(answer, out); break;
	case CMD_WAIT: case CMD_HELP: case CMD_VERSION: break;
	}
}

json_t *print_payload(enum command command, const json_t *answer)
{
	static const char *const keys[] = {
		[CMD_STATUS] = "status", [CMD_ROUTERS] = "routers", [CMD_SHOW] = "router", [CMD_PLAN] = "plans",
		[CMD_APPLY] = "plans", [CMD_DELETE] = "plans", [CMD_FLOATINGIP_ADD] = "plans",
		[CMD_FLOATINGIP_DEL] = "plans", [CMD_VERSION] = NULL,
	};
	json_t *whole;

	if (json_is_true(json_object_get(answer, "ok")) && keys[command])
		return json_incref(json_object_get(answer, keys[command]));
	whole = json_copy((json_t *)answer);
	if (json_is_true(json_object_get(answer, "ok")))
		json_object_del(whole, "ok");
	return whole;
}

void print_refusal(const json_t *answer, struct text *out)
{
	const json_t *problems = json_object_get(answer, "problems"), *p;
	size_t i;

	json_array_foreach(problems, i, p) {
		put_key(p, "file", out);
		if (json_integer_value(json_object_get(p, "line")) > 0) {
			text_put(out, ":");
			put_key(p, "line", out);
			text_put(out, ":");
			put_key(p, "column", out);
		}
		text_put(out, ": ");
		put_key(p, "text", out);
		text_put(out, "\n");
	}
	text_put(out, "l3ctl: ");
	put_key(answer, "error", out);
	text_put(out, "\n");
}

size_t print_failures(const json_t *answer, struct text *out)
{
	const json_t *plan;
	size_t i, failed = 0;

	json_array_foreach(json_object_get(answer, "plans"), i, plan) {
		if (!json_is_string(json_object_get(plan, "error")))
			continue;
		failed++;
		text_put(out, "l3ctl: router ");
		put_key(plan, "router", out);
		text_put(out, ": ");
		put_key(plan, "error", out);
		text_put(out, "\n");
	}
	return failed;
}
