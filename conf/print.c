/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "conf.h"

#include "text.h"

/* In double quotes, YAML's escapes are those of C for what can stand in a checked value. */
static void put_string(struct text *out, const char *s)
{
	text_put(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_put(out, "\\");
		text_add(out, s, 1);
	}
	text_put(out, "\"");
}

static void put_line(struct text *out, const char *key, const char *value)
{
	if (!value)
		return;
	text_printf(out, "%s: ", key);
	put_string(out, value);
	text_put(out, "\n");
}

static void put_network(struct text *out, const struct network *n)
{
	text_put(out, "  ");
	put_string(out, n->name);
	text_put(out, ": {bridge: [");
	for (size_t i = 0; i < n->n_bridges; i++) {
		text_put(out, i ? ", " : "");
		put_string(out, n->bridges[i]);
	}
	text_printf(out, "], mtu: %u}\n", n->mtu);
}

void conf_print(const struct conf *c, struct text *out)
{
	put_line(out, "host", c->host);
	put_line(out, "source", c->source == SOURCE_FILES ? "files" : "neutron");
	put_line(out, "files", c->files);
	text_put(out, c->n_networks ? "networks:\n" : "");
	for (size_t i = 0; i < c->n_networks; i++)
		put_network(out, &c->networks[i]);
	text_put(out, "metadata:\n");
	put_line(out, "  url", c->metadata.url);
	put_line(out, "  shared_secret_file", c->metadata.shared_secret_file);
	text_printf(out, "  port: %u\n", c->metadata.port);
	text_printf(out, "nat: {use_random_fully: %s, flush_moved_floatingips: %s}\n",
		    c->nat.use_random_fully ? "true" : "false", c->nat.flush_moved_floatingips ? "true" : "false");
	text_printf(out, "announcements_per_s: %u\n", c->announcements_per_s);
	put_line(out, "run_dir", c->run_dir);
	put_line(out, "state_dir", c->state_dir);
	text_put(out, "metrics:\n");
	put_line(out, "  listen", c->metrics_listen);
	text_printf(out, "log: {level: %s, format: %s}\n", log_level_name(c->log.level),
		    c->log.format == LOG_FORMAT_JSON ? "json" : "text");
}
