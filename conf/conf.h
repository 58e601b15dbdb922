/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The agent's settings, as l3agent.yaml(5) describes them. Immutable once loaded; a reload makes a new one. */

#include "log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problems;

enum { CONF_MAX_BRIDGES = 16, CONF_MAX_NETWORKS = 4096 };

struct network {
	char *name;
	char *bridges[CONF_MAX_BRIDGES];	/* tried in order: a bridge holds at most 1,023 ports */
	size_t n_bridges;
	uint32_t mtu;				/* default 1500 */
};

struct conf {
	struct arena *arena;
	char *path;				/* the file it was read from */
	char *host;				/* default: the host name */
	enum { SOURCE_FILES, SOURCE_NEUTRON } source;
	char *files;				/* directory, default /etc/l3agent/routers.d */
	struct network *networks;		/* sorted by name */
	size_t n_networks;
	struct {
		char *url;			/* NULL: answered from the router files */
		char *shared_secret_file;
		uint16_t port;			/* default 9697 */
	} metadata;
	struct {
		bool use_random_fully;		/* default true */
		bool flush_moved_floatingips;	/* default false: flows of a moved one stay with the old guest */
	} nat;
	uint32_t announcements_per_s;		/* gratuitous ARP and NA, default 256; a person's change never waits */
	char *run_dir;				/* default /run/l3agent */
	char *state_dir;			/* default /var/lib/l3agent */
	char *metrics_listen;			/* default 127.0.0.1:9469 */
	struct { enum log_level level; enum log_format format; } log;
};

/* Reads the settings at path. On success 0 and *ret; else -EINVAL with every fault in `problems`, or the errno of
 * reading (also as a problem). */
int conf_load(const char *path, struct problems *problems, struct conf **ret);
/* The same from memory (`name` stands for the path in messages): what the fuzzers and units drive. */
int conf_parse(const char *name, const char *text, size_t n, struct problems *problems, struct conf **ret);
void conf_free(struct conf *c);
/* The settings in effect, as a file that would give them. */
struct text;
void conf_print(const struct conf *c, struct text *out);
const struct network *conf_network(const struct conf *c, const char *name);
