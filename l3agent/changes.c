/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "changes.h"

#include "agent.h"
#include "conf.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void init(struct changes *ch, const char *what)
{
	*ch = (struct changes){ .problems = calloc(1, sizeof *ch->problems), .what = strdup(what) };
	if (!ch->problems || !ch->what)
		fatal("out of memory");
}

void changes_free(struct changes *ch)
{
	for (size_t i = 0; i < ch->files.n; i++) {
		free(ch->files.at[i].path);
		free(ch->files.at[i].text);
	}
	for (size_t i = 0; i < ch->routers.n; i++)
		free(ch->routers.at[i].name);
	vec_free(&ch->files);
	vec_free(&ch->routers);
	routers_free(&ch->parsed);
	problems_clear(ch->problems);
	free(ch->problems);
	free(ch->why);
	free(ch->what);
}

static int refuse(struct changes *ch, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(struct changes *ch, int error, const char *format, ...)
{
	struct text why = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&why, format, ap);
	va_end(ap);
	free(ch->why);
	ch->why = why.at;
	return error;
}

static void concerns(struct changes *ch, const struct router *r)
{
	struct changes_router *c = vec_add(&ch->routers);

	c->id = r->id;
	c->name = strdup(r->name);
	if (!c->name)
		fatal("out of memory");
}

/* The text that path will have, as far as it is known: several routers of one file are edited one after the other. */
static int working_text(struct changes *ch, const char *path, struct files_change **ret)
{
	struct files_change *change;
	char *text;
	size_t n;
	int error;

	for (size_t i = 0; i < ch->files.n; i++)
		if (strcmp(ch->files.at[i].path, path) == 0) {
			*ret = &ch->files.at[i];
			return 0;
		}
	error = text_load(path, ROUTERS_MAX_BYTES, &text, &n);
	if (error)
		return refuse(ch, error, "%s: %s", path, strerror(-error));
	change = vec_add(&ch->files);
	*change = (struct files_change){ .path = strdup(path), .text = text, .n = n };
	if (!change->path)
		fatal("out of memory");
	*ret = change;
	return 0;
}

/* Takes text and why, what an edit gave. */
static int edited(struct changes *ch, struct files_change *change, int error, char *text, size_t n, char *why)
{
	if (error) {
		refuse(ch, error, "%s: %s", change->path, why ? why : strerror(-error));
		free(why);
		return error;
	}
	free(change->text);
	change->text = text;
	change->n = n;
	return 0;
}

static int replace_known(struct changes *ch, const struct router *known, const char *block, size_t block_n)
{
	char *text = NULL, *why = NULL;
	struct files_change *change;
	size_t n = 0;
	int error = working_text(ch, known->file, &change);

	if (error)
		return error;
	error = routers_edit_replace(change->text, change->n, known->name, block, block_n, &text, &n, &why);
	return edited(ch, change, error, text, n, why);
}

/* "<name>.yaml", or with the id's beginning if there is such a file already. */
static char *new_path(const struct changes *ch, const struct conf *conf, const struct router *r)
{
	struct text path = { 0 };
	char id[UUID_TEXT];
	bool taken;

	text_printf(&path, "%s/%s.yaml", conf->files, r->name);
	taken = r->name[0] == '.' || access(path.at, F_OK) == 0;
	for (size_t i = 0; i < ch->files.n; i++)
		taken |= strcmp(ch->files.at[i].path, path.at) == 0;
	if (taken) {
		text_free(&path);
		text_printf(&path, "%s/%s%s-%.8s.yaml", conf->files, r->name[0] == '.' ? "router" : "", r->name, uuid_print(&r->id, id));
	}
	return path.at;
}

static int add_new(struct changes *ch, const struct conf *conf, const struct router *r, const char *block, size_t block_n)
{
	static const char empty[] = "routers: []\n";
	char *text = NULL, *why = NULL;
	struct files_change change = { .path = new_path(ch, conf, r) };
	int error = routers_edit_replace(empty, sizeof empty - 1, r->name, block, block_n, &text, &change.n, &why);

	if (error) {
		refuse(ch, error, "router %s: %s", r->name, why ? why : strerror(-error));
		free(why);
		free(change.path);
		return error;
	}
	change.text = text;
	*vec_add(&ch->files) = change;
	return 0;
}

int changes_apply(struct agent *a, const char *name, const char *text, size_t n, struct changes *ret)
{
	int error;

	init(ret, name);
	error = routers_parse(name, text, n, a->conf, ret->problems, &ret->parsed);
	for (size_t i = 0; !error && i < ret->parsed.n; i++) {
		const struct router *r = ret->parsed.at[i];
		struct entry *e = agent_find_id(a, &r->id);
		size_t start, block_n;

		error = routers_block(text, n, i, &start, &block_n);
		if (error)
			return refuse(ret, error, "%s: the text of router %s cannot be told from the rest", name, r->name);
		if (e && e->want && router_equal(e->want, r))
			;	/* nothing to write; it is still reported */
		else if (e && e->want && e->want->file)
			error = replace_known(ret, e->want, text + start, block_n);
		else
			error = add_new(ret, a->conf, r, text + start, block_n);
		concerns(ret, r);
	}
	return error ? error : files_conflicts(a->files, name, &ret->parsed, ret->problems);
}

int changes_delete(const struct router *r, struct changes *ret)
{
	char *text = NULL, *why = NULL;
	struct files_change *change;
	bool empty = false;
	size_t n = 0;
	int error;

	init(ret, r->file);
	concerns(ret, r);
	error = working_text(ret, r->file, &change);
	if (error)
		return error;
	error = routers_edit_delete(change->text, change->n, r->name, &text, &n, &empty, &why);
	error = edited(ret, change, error, text, n, why);
	if (!error && empty) {
		free(change->text);
		change->text = NULL;
	}
	return error;
}

int changes_floatingip_add(const struct router *r, const struct edit_floatingip *fip, struct changes *ret)
{
	char *text = NULL, *why = NULL;
	struct files_change *change;
	size_t n = 0;
	int error;

	init(ret, r->file);
	concerns(ret, r);
	for (size_t i = 0; i < r->n_floatingips; i++)
		if (ip_equal(&r->floatingips[i].floating_ip_address, &fip->floating_ip_address) &&
		    ip_equal(&r->floatingips[i].fixed_ip_address, &fip->fixed_ip_address))
			return 0;
	error = working_text(ret, r->file, &change);
	if (error)
		return error;
	error = routers_edit_floatingip_add(change->text, change->n, r->name, fip, &text, &n, &why);
	return edited(ret, change, error, text, n, why);
}

int changes_floatingip_del(const struct router *r, const struct ip *floating_ip_address, struct changes *ret)
{
	char *text = NULL, *why = NULL, ip[IP_TEXT];
	struct files_change *change;
	bool there = false;
	size_t n = 0;
	int error;

	init(ret, r->file);
	concerns(ret, r);
	for (size_t i = 0; i < r->n_floatingips; i++)
		there |= ip_equal(&r->floatingips[i].floating_ip_address, floating_ip_address);
	if (!there)
		return refuse(ret, -ENOENT, "router %s has no floating IP %s", r->name, ip_print(floating_ip_address, ip));
	error = working_text(ret, r->file, &change);
	if (error)
		return error;
	error = routers_edit_floatingip_del(change->text, change->n, r->name, floating_ip_address, &text, &n, &why);
	return edited(ret, change, error, text, n, why);
}
