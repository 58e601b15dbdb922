/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Plan goldens: each DIRECTORY/NAME.yaml is a router file, NAME.plan what the kernel should hold for it, as text that can be
 * reviewed in a diff. `plan_test --update DIRECTORY` writes the .plan files anew. */

#include "conf.h"
#include "plan.h"
#include "problems.h"
#include "routers.h"
#include "text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct problems problems;

static _Noreturn void give_up(const char *what)
{
	struct text text = { 0 };

	problems_print(&problems, &text);
	fprintf(stderr, "%s\n%s", what, text_str(&text));
	exit(1);
}

/* The plans of all routers in the file at path, one after the other. */
static char *plans(const char *path, const struct conf *conf)
{
	struct text out = { 0 };
	struct routers routers;
	char *text, namespace[NS_NAME_MAX];
	size_t n;

	if (text_load(path, ROUTERS_MAX_BYTES, &text, &n) < 0)
		give_up(path);
	if (routers_parse(path, text, n, conf, &problems, &routers) < 0)
		give_up(path);
	for (size_t i = 0; i < routers.n; i++) {
		struct plan p;

		plan_namespace(&routers.at[i]->id, namespace);
		plan_build(namespace, routers.at[i], conf, &p);
		text_printf(&out, "# router %s\n", routers.at[i]->name);
		plan_print(&p, conf, &out);
		plan_free(&p);
	}
	routers_free(&routers);
	free(text);
	return out.at ? out.at : calloc(1, 1);
}

static int wanted(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0 && strcmp(entry->d_name, "agent.yaml") != 0;
}

static bool compare(const char *golden, const char *have)
{
	char *want;
	size_t n;

	if (text_load(golden, 64 << 20, &want, &n) < 0) {
		fprintf(stderr, "%s is missing\n", golden);
		return false;
	}
	for (const char *w = want, *h = have, *line = want; ; w++, h++) {
		if (*w != *h) {
			int at = (int)(line - want);

			fprintf(stderr, "%s differs:\n  golden: %.*s\n  now:    %.*s\n", golden, (int)strcspn(line, "\n"), line,
				(int)strcspn(have + at, "\n"), have + at);
			free(want);
			return false;
		}
		if (!*w)
			break;
		if (*w == '\n')
			line = w + 1;
	}
	free(want);
	return true;
}

int main(int argc, char **argv)
{
	bool update = argc == 3 && strcmp(argv[1], "--update") == 0;
	const char *directory = argc == 2 ? argv[1] : update ? argv[2] : NULL;
	struct dirent **names;
	struct conf *conf;
	char path[4096];
	int n, passed = 0;

	if (!directory)
		give_up("usage: plan_test [--update] DIRECTORY");
	snprintf(path, sizeof path, "%s/agent.yaml", directory);
	if (conf_load(path, &problems, &conf) < 0)
		give_up(path);
	n = scandir(directory, &names, wanted, alphasort);
	for (int i = 0; i < n; i++) {
		char *have;

		snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);
		have = plans(path, conf);
		memcpy(strrchr(path, '.'), ".plan", 6);
		if (update)
			passed += text_save(path, have, strlen(have)) == 0;
		else
			passed += compare(path, have);
		free(have);
		free(names[i]);
	}
	free(names);
	conf_free(conf);
	printf("%d of %d plans as expected\n", passed, n);
	return n > 0 && passed == n ? 0 : 1;
}
