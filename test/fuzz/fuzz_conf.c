/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Settings from any bytes. */

#include "conf.h"
#include "problems.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(truth) ((truth) ? (void)0 : abort())

static void walk(const struct conf *c)
{
	require(c->host && *c->host && c->source == SOURCE_FILES && c->metadata.port && c->announcements_per_s);
	require(*c->files == '/' && *c->run_dir == '/' && *c->state_dir == '/' && *c->metrics_listen);
	require(!c->metadata.shared_secret_file || *c->metadata.shared_secret_file == '/');
	require(c->n_networks <= CONF_MAX_NETWORKS);
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network *n = &c->networks[i];

		require(*n->name && conf_network(c, n->name) == n);
		require(n->n_bridges >= 1 && n->n_bridges <= CONF_MAX_BRIDGES && n->mtu >= 68 && n->mtu <= 65535);
		for (size_t k = 0; k < n->n_bridges; k++)
			require(*n->bridges[k] && strlen(n->bridges[k]) <= 15);
	}
}

/* What is printed must read back as the same settings. */
static void print_again(const struct conf *c)
{
	struct problems problems = { 0 };
	struct text one = { 0 }, two = { 0 };
	struct conf *again;

	conf_print(c, &one);
	require(conf_parse("fuzz", text_str(&one), one.n, &problems, &again) == 0);
	conf_print(again, &two);
	require(strcmp(text_str(&one), text_str(&two)) == 0);
	conf_free(again);
	text_free(&one);
	text_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems = { 0 };
	struct conf *c = NULL;
	int error = conf_parse("fuzz", (const char *)data, size, &problems, &c);

	require(!error == !problems.n && !error == !!c);
	if (c) {
		walk(c);
		print_again(c);
	}
	conf_free(c);
	problems_clear(&problems);
	return 0;
}
