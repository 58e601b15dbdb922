/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "args.h"

#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/l3agent/control.sock"

enum { OPT_FILE = 1, OPT_DRY_RUN = 2, OPT_YES = 4, OPT_TIMEOUT = 8 };

static const struct form {
	const char *word, *second;	/* "floatingip", "add" */
	enum command command;
	int min, max;			/* words behind */
	int options;			/* those that it takes, beside the general ones */
	const char *usage, *help;
} forms[] = {
	{ "status", NULL, CMD_STATUS, 0, 0, 0, "status",
	  "Tells how the daemon does: its source, its routers, what went wrong." },
	{ "routers", NULL, CMD_ROUTERS, 0, 0, 0, "routers",
	  "Lists the routers and their states." },
	{ "show", NULL, CMD_SHOW, 1, 1, 0, "show ROUTER",
	  "Shows what the kernel should hold for one router and what differs from it now." },
	{ "plan", NULL, CMD_PLAN, 0, 1, OPT_FILE, "plan ROUTER | plan -f FILE",
	  "Prints the operations that would bring the kernel in line with a router, or with a\n"
	  "router file, and carries none of them out." },
	{ "apply", NULL, CMD_APPLY, 0, 0, OPT_FILE | OPT_DRY_RUN, "apply -f FILE [--dry-run]",
	  "Takes the routers of FILE into the daemon's router files and waits until they are in\n"
	  "place. With --dry-run it prints the operations only." },
	{ "delete", NULL, CMD_DELETE, 1, 1, 0, "delete ROUTER",
	  "Takes a router out of its file and out of the kernel." },
	{ "floatingip", "add", CMD_FLOATINGIP_ADD, 3, 3, 0, "floatingip add ROUTER FLOATING FIXED",
	  "Adds a floating IP to a router, or points one that is there at another fixed address.\n"
	  "Returns when it works and has been announced." },
	{ "floatingip", "del", CMD_FLOATINGIP_DEL, 2, 2, 0, "floatingip del ROUTER FLOATING",
	  "Takes a floating IP from a router and ends its connections." },
	{ "wait", NULL, CMD_WAIT, 0, 0, OPT_TIMEOUT, "wait [--timeout SECONDS]",
	  "Returns when every router is in sync; fails at the timeout, or when a router failed." },
	{ "resync", NULL, CMD_RESYNC, 0, 1, 0, "resync [ROUTER]",
	  "Compares a router, or all of them, with the kernel once more, at once." },
	{ "prune", NULL, CMD_PRUNE, 0, 0, OPT_YES, "prune [--yes]",
	  "Lists the namespaces that look like the daemon's own and belong to no router, asks, and\n"
	  "removes them. With --yes it does not ask." },
	{ "help", NULL, CMD_HELP, 0, 1, 0, "help [COMMAND]",
	  "Explains a command." },
};
enum { N_FORMS = sizeof forms / sizeof *forms };

/* Marks what came by its long name, so that a complaint can call it by that. */
enum { LONG = 0x100 };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, LONG | 's' }, { "json", no_argument, NULL, LONG | 'j' },
	{ "help", no_argument, NULL, LONG | 'h' }, { "version", no_argument, NULL, LONG | 'V' },
	{ "file", required_argument, NULL, LONG | 'f' }, { "dry-run", no_argument, NULL, LONG | 'n' },
	{ "yes", no_argument, NULL, LONG | 'y' }, { "timeout", required_argument, NULL, LONG | 't' },
	{ 0 },
};

static const char *option_name(int option)
{
	return option == OPT_FILE ? "-f" : option == OPT_DRY_RUN ? "--dry-run" : option == OPT_YES ? "--yes" : "--timeout";
}

static int parse_timeout(const char *word, uint32_t *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno || value < 1 || value > ARGS_MAX_TIMEOUT_S)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

/* What getopt gave, before it is known which command it was for. */
struct given { bool help, version; int options; };

static int read_options(int argc, char **argv, struct args *a, struct given *g, struct text *why)
{
	int option;

	optind = 0;		/* glibc: start over, for a caller that parses twice */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:f:yhV", long_options, NULL)) >= 0)
		switch (option & ~LONG) {
		case 's': a->socket = optarg; break;
		case 'j': a->json = true; break;
		case 'h': g->help = true; break;
		case 'V': g->version = true; break;
		case 'f': a->file = optarg; g->options |= OPT_FILE; break;
		case 'n': a->dry_run = true; g->options |= OPT_DRY_RUN; break;
		case 'y': a->yes = true; g->options |= OPT_YES; break;
		case 't':
			g->options |= OPT_TIMEOUT;
			if (parse_timeout(optarg, &a->timeout_s) == 0)
				break;
			text_printf(why, "--timeout takes a number of seconds from 1 to %d, not \"%s\"",
				    ARGS_MAX_TIMEOUT_S, optarg);
			return -EINVAL;
		case ':':
			text_printf(why, "option %s needs a value", argv[optind - 1]);
			return -EINVAL;
		default:
			if (optopt && optopt < LONG)
				text_printf(why, "unknown option -%c", optopt);
			else
				text_printf(why, "unknown option %s", argv[optind - 1]);
			return -EINVAL;
		}
	return 0;
}

/* The form that the words ask for, with *ret_used words of it; NULL and a sentence if there is none. */
static const struct form *find_form(char **words, int n, int *ret_used, struct text *why)
{
	const char *lacking = NULL;

	for (int i = 0; i < N_FORMS; i++) {
		if (strcmp(words[0], forms[i].word) != 0)
			continue;
		if (!forms[i].second || (n > 1 && strcmp(words[1], forms[i].second) == 0)) {
			*ret_used = forms[i].second ? 2 : 1;
			return &forms[i];
		}
		lacking = forms[i].word;
	}
	if (lacking)
		text_printf(why, "%s: add or del?", lacking);
	else
		text_printf(why, "unknown command \"%s\"", words[0]);
	return NULL;
}

static int check_form(const struct form *f, const struct given *g, const struct args *a, int n, struct text *why)
{
	for (int option = OPT_FILE; option <= OPT_TIMEOUT; option <<= 1)
		if ((g->options & option) && !(f->options & option)) {
			text_printf(why, "%s does not take %s", f->word, option_name(option));
			return -EINVAL;
		}
	if (f->command == CMD_APPLY && !a->file)
		text_put(why, "apply needs -f FILE");
	else if (f->command == CMD_PLAN && !a->file == (n == 0))
		text_put(why, "plan needs either a router or -f FILE");
	else if (n < f->min || n > f->max)
		text_printf(why, "too %s words; usage: l3ctl %s", n < f->min ? "few" : "many", f->usage);
	else
		return 0;
	return -EINVAL;
}

int args_parse(int argc, char **argv, struct args *ret, struct text *why)
{
	const char *from_environment = getenv("L3AGENT_SOCKET");
	struct args a = { .socket = from_environment && *from_environment ? from_environment : DEFAULT_SOCKET };
	struct given given = { 0 };
	const struct form *form;
	int n, used = 0;

	if (read_options(argc, argv, &a, &given, why) < 0)
		return -EINVAL;
	n = argc - optind;
	argv += optind;
	if (given.version || given.help) {
		a.command = given.version ? CMD_VERSION : CMD_HELP;
		a.topic = n ? argv[0] : NULL;
		*ret = a;
		return 0;
	}
	if (n == 0) {
		text_put(why, "no command given; l3ctl help lists them");
		return -EINVAL;
	}
	form = find_form(argv, n, &used, why);
	if (!form || check_form(form, &given, &a, n - used, why) < 0)
		return -EINVAL;
	argv += used;
	n -= used;
	a.command = form->command;
	if (form->command == CMD_HELP)
		a.topic = n ? argv[0] : NULL;
	else
		a.router = n ? argv[0] : NULL;
	a.floating = n > 1 ? argv[1] : NULL;
	a.fixed = n > 2 ? argv[2] : NULL;
	*ret = a;
	return 0;
}

int args_help(const char *topic, struct text *out)
{
	bool found = false;

	if (!topic)
		text_put(out, "usage: l3ctl [-s SOCKET] [--json] COMMAND\n\ncommands:\n");
	for (int i = 0; i < N_FORMS; i++) {
		if (!topic) {
			text_printf(out, "  %s\n", forms[i].usage);
		} else if (strcmp(topic, forms[i].word) == 0) {
			text_printf(out, "%susage: l3ctl [-s SOCKET] [--json] %s\n%s\n", found ? "\n" : "", forms[i].usage,
				    forms[i].help);
			found = true;
		}
	}
	if (topic)
		return found ? 0 : -ENOENT;
	text_put(out, "\noptions:\n"
		 "  -s, --socket SOCKET  the daemon's socket (default: $L3AGENT_SOCKET, else " DEFAULT_SOCKET ")\n"
		 "      --json           print one JSON document\n"
		 "  -h, --help           explain, a command if one is given\n"
		 "  -V, --version        print the version\n\n"
		 "Exit status: 0 done, 1 refused or failed, 2 wrong usage. See l3ctl(1).\n");
	return 0;
}
