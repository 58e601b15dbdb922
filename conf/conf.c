/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "conf.h"

#include "arena.h"
#include "problems.h"
#include "reader.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	MAX_BYTES = 16 << 20, MAX_DEPTH = 8, MAX_NODES = 500000,
	MAX_NAME = 255, MAX_URL = 4096, MAX_CONFIG_FILES = 64,
	/* run_dir holds sockets, whose paths are this short; their names need the rest. */
	MAX_RUN_DIR = sizeof ((struct sockaddr_un *)0)->sun_path - 32,
	CEILING = 64 << 20,		/* above the largest settings that the limits allow */
};

struct reading { struct reader rd; struct conf *c; };

static char *copy(struct reading *in, const char *s)
{
	return arena_strdup(in->c->arena, s);
}

/* ---- single values ---- */

static void read_text(struct reading *in, const struct node *n, enum reader_text form, size_t max, char **ret)
{
	const char *s;

	if (reader_text(&in->rd, n, form, max, &s) == 0)
		*ret = copy(in, s);
}

static int check_path(struct reading *in, const struct node *n, size_t max, const char **ret)
{
	const char *s;
	int error = reader_text(&in->rd, n, READER_LINE, max, &s);

	if (!error && *s != '/') {
		reader_expected(&in->rd, n, "an absolute path");
		return -EINVAL;
	}
	if (!error)
		*ret = s;
	return error;
}

static void read_path(struct reading *in, const struct node *n, size_t max, char **ret)
{
	const char *s;

	if (check_path(in, n, max, &s) == 0)
		*ret = copy(in, s);
}

static void read_url(struct reading *in, const struct node *n, char **ret)
{
	const char *s, *host;

	if (reader_text(&in->rd, n, READER_WORD, MAX_URL, &s) < 0)
		return;
	host = strncmp(s, "http://", 7) == 0 ? s + 7 : strncmp(s, "https://", 8) == 0 ? s + 8 : "";
	if (!*host || strchr("/:?#@", *host))
		reader_expected(&in->rd, n, "a URL like http://192.0.2.1:8775");
	else
		*ret = copy(in, s);
}

/* address:port, an IPv6 address in brackets. */
static void read_endpoint(struct reading *in, const struct node *n, char **ret)
{
	const char *s, *colon;
	char address[IP_TEXT];
	struct ip ip;
	unsigned long port;
	bool bracket;
	size_t length;

	if (reader_text(&in->rd, n, READER_WORD, MAX_NAME, &s) < 0)
		return;
	colon = strrchr(s, ':');
	bracket = *s == '[';
	length = colon ? (size_t)(colon - s) : 0;
	if (bracket && length > 2 && colon[-1] == ']')
		length -= 2;
	else if (bracket)
		length = 0;
	if (length && length < sizeof address && colon[1] >= '1' && colon[1] <= '9' &&
	    strspn(colon + 1, "0123456789") == strlen(colon + 1) && strlen(colon + 1) <= 5) {
		memcpy(address, s + bracket, length);
		address[length] = 0;
		port = strtoul(colon + 1, NULL, 10);
		if (port <= 65535 && ip_parse(address, &ip) == 0 && (ip.family == AF_INET6) == bracket) {
			*ret = copy(in, s);
			return;
		}
	}
	reader_expected(&in->rd, n, "an address and port like 127.0.0.1:9469 or \"[::1]:9469\"");
}

/* ---- networks ---- */

static int read_bridge(struct reading *in, const struct node *n, struct network *network)
{
	const char *s;

	if (reader_text(&in->rd, n, READER_NAME, MAX_NAME, &s) < 0)
		return -EINVAL;
	if (strlen(s) >= IFNAMSIZ || strchr(s, ':') || strcmp(s, ".") == 0 || strcmp(s, "..") == 0) {
		reader_expected(&in->rd, n, "the name of a bridge (at most %d bytes, without ':')", IFNAMSIZ - 1);
		return -EINVAL;
	}
	for (size_t i = 0; i < network->n_bridges; i++)
		if (strcmp(network->bridges[i], s) == 0) {
			reader_fault(&in->rd, n, "bridge: '%s' is in the list twice", s);
			return -EINVAL;
		}
	network->bridges[network->n_bridges++] = copy(in, s);
	return 0;
}

static void read_network(struct reading *in, const struct node *key, struct network *network)
{
	static const char *const keys[] = { "bridge", "mtu", NULL };
	const struct node *map = key->next, *bridge;
	char where[MAX_NAME + sizeof "networks."];
	const char *name = "";
	size_t n;

	if (key->kind == NODE_SCALAR)
		reader_text(&in->rd, key, READER_WORD, MAX_NAME, &name);
	network->name = copy(in, name);
	network->mtu = 1500;
	snprintf(where, sizeof where, "networks.%s", name);
	if (!reader_map(&in->rd, map, where, keys))
		return;
	reader_number(&in->rd, node_get(map, "mtu"), 68, 65535, &network->mtu);
	bridge = reader_need(&in->rd, map, where, "bridge");
	if (!bridge)
		return;
	if (bridge->kind != NODE_LIST)
		read_bridge(in, bridge, network);
	else if (!bridge->child)
		reader_fault(&in->rd, bridge, "bridge: expected at least one name");
	else if (reader_list(&in->rd, bridge, CONF_MAX_BRIDGES, &n))
		node_each_item(item, bridge)
			read_bridge(in, item, network);
}

static int by_name(const void *a, const void *b)
{
	const struct network *l = a, *r = b;

	return strcmp(l->name, r->name);
}

static void read_networks(struct reading *in, const struct node *map)
{
	if (!map || map->kind == NODE_BAD || node_is_null(map))
		return;
	if (map->kind != NODE_MAP) {
		reader_expected(&in->rd, map, "a map of networks");
		return;
	}
	if (node_count(map) > CONF_MAX_NETWORKS) {
		reader_fault(&in->rd, map, "networks: expected at most %d, found %zu", CONF_MAX_NETWORKS,
			     node_count(map));
		return;
	}
	in->c->networks = arena_array(in->c->arena, node_count(map), sizeof *in->c->networks);
	node_each_key(key, map)
		read_network(in, key, &in->c->networks[in->c->n_networks++]);
	if (in->c->n_networks)
		qsort(in->c->networks, in->c->n_networks, sizeof *in->c->networks, by_name);
}

/* ---- sections ---- */

/* A section that is a map; false if it is absent, null or faulty. */
static bool section(struct reading *in, const struct node *n, const char *const *keys)
{
	return n && !node_is_null(n) && reader_map(&in->rd, n, n->key, keys);
}

static void read_source(struct reading *in, const struct node *root)
{
	static const char *const names[] = { "files", "neutron", NULL };
	static const char *const keys[] = { "config_files", NULL };
	const struct node *n = node_get(root, "source"), *neutron = node_get(root, "neutron"), *list;
	unsigned choice;
	const char *path;
	size_t count;

	if (reader_choice(&in->rd, n, names, &choice) == 0 && choice == SOURCE_NEUTRON)
		reader_fault(&in->rd, n, "source: neutron is not available yet, use files");
	read_path(in, node_get(root, "files"), PATH_MAX - 1, &in->c->files);
	if (!section(in, neutron, keys))
		return;
	list = node_get(neutron, "config_files");
	if (reader_list(&in->rd, list, MAX_CONFIG_FILES, &count))
		node_each_item(item, list)
			check_path(in, item, PATH_MAX - 1, &path);
}

static void read_metadata(struct reading *in, const struct node *map)
{
	static const char *const keys[] = { "url", "shared_secret_file", "port", NULL };
	uint32_t port;

	if (!section(in, map, keys))
		return;
	read_url(in, node_get(map, "url"), &in->c->metadata.url);
	read_path(in, node_get(map, "shared_secret_file"), PATH_MAX - 1, &in->c->metadata.shared_secret_file);
	if (reader_number(&in->rd, node_get(map, "port"), 1, 65535, &port) == 0)
		in->c->metadata.port = (uint16_t)port;
}

static void read_nat(struct reading *in, const struct node *map)
{
	static const char *const keys[] = { "use_random_fully", "flush_moved_floatingips", NULL };

	if (!section(in, map, keys))
		return;
	reader_bool(&in->rd, node_get(map, "use_random_fully"), &in->c->nat.use_random_fully);
	reader_bool(&in->rd, node_get(map, "flush_moved_floatingips"), &in->c->nat.flush_moved_floatingips);
}

static void read_metrics(struct reading *in, const struct node *map)
{
	static const char *const keys[] = { "listen", NULL };

	if (section(in, map, keys))
		read_endpoint(in, node_get(map, "listen"), &in->c->metrics_listen);
}

static void read_log(struct reading *in, const struct node *map)
{
	static const char *const keys[] = { "level", "format", NULL };
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	static const char *const formats[] = { "text", "json", NULL };
	unsigned choice;

	if (!section(in, map, keys))
		return;
	if (reader_choice(&in->rd, node_get(map, "level"), levels, &choice) == 0)
		log_level_parse(levels[choice], &in->c->log.level);
	if (reader_choice(&in->rd, node_get(map, "format"), formats, &choice) == 0)
		in->c->log.format = choice ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

static void read_settings(struct reading *in, const struct node *root)
{
	static const char *const keys[] = {
		"host", "source", "files", "neutron", "networks", "metadata", "nat", "announcements_per_s", "run_dir",
		"state_dir", "metrics", "log", NULL };

	if (!reader_map(&in->rd, root, "the settings", keys))
		return;
	read_text(in, node_get(root, "host"), READER_WORD, MAX_NAME, &in->c->host);
	read_source(in, root);
	read_networks(in, node_get(root, "networks"));
	read_metadata(in, node_get(root, "metadata"));
	read_nat(in, node_get(root, "nat"));
	reader_number(&in->rd, node_get(root, "announcements_per_s"), 1, 1000000, &in->c->announcements_per_s);
	read_path(in, node_get(root, "run_dir"), MAX_RUN_DIR, &in->c->run_dir);
	read_path(in, node_get(root, "state_dir"), PATH_MAX - 1, &in->c->state_dir);
	read_metrics(in, node_get(root, "metrics"));
	read_log(in, node_get(root, "log"));
}

/* ---- the whole ---- */

static struct conf *defaults(const char *path)
{
	struct arena *arena = arena_new(CEILING);
	struct conf *c = arena_alloc(arena, sizeof *c);
	char host[MAX_NAME + 1] = "localhost";

	gethostname(host, sizeof host - 1);
	*c = (struct conf){
		.arena = arena,
		.path = arena_strdup(arena, path),
		.host = arena_strdup(arena, host),
		.source = SOURCE_FILES,
		.files = arena_strdup(arena, "/etc/l3agent/routers.d"),
		.metadata.port = 9697,
		.nat.use_random_fully = true,
		.announcements_per_s = 256,
		.run_dir = arena_strdup(arena, "/run/l3agent"),
		.state_dir = arena_strdup(arena, "/var/lib/l3agent"),
		.metrics_listen = arena_strdup(arena, "127.0.0.1:9469"),
		.log = { .level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT },
	};
	return c;
}

int conf_parse(const char *name, const char *text, size_t n, struct problems *problems, struct conf **ret)
{
	static const struct tree_limits limits = { .bytes = MAX_BYTES, .depth = MAX_DEPTH, .nodes = MAX_NODES };
	struct reading in = { .rd = { .file = name, .problems = problems } };
	size_t before = problems->n + problems->more;
	struct tree tree;

	if (tree_parse(name, text, n, &limits, problems, &tree) < 0)
		return -EINVAL;
	in.c = defaults(name);
	if (tree.root && !node_is_null(tree.root))
		read_settings(&in, tree.root);
	tree_free(&tree);
	if (problems->n + problems->more != before) {
		conf_free(in.c);
		return -EINVAL;
	}
	*ret = in.c;
	return 0;
}

int conf_load(const char *path, struct problems *problems, struct conf **ret)
{
	char *text;
	size_t n;
	int error = text_load(path, MAX_BYTES, &text, &n);

	if (error == -EFBIG)
		problems_add(problems, path, 0, 0, "file is larger than %d MiB", MAX_BYTES >> 20);
	else if (error)
		problems_add(problems, path, 0, 0, "cannot be read: %s", strerror(-error));
	if (error)
		return error;
	error = conf_parse(path, text, n, problems, ret);
	free(text);
	return error;
}

void conf_free(struct conf *c)
{
	if (c)
		arena_free(c->arena);
}

const struct network *conf_network(const struct conf *c, const char *name)
{
	size_t low = 0, high = c->n_networks;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(c->networks[middle].name, name);

		if (!order)
			return &c->networks[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
