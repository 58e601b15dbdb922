/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The command line of l3ctl: words in, a checked struct out. Pure: opens nothing, prints nothing. It checks the shape of a
 * command (how many words, which options); whether a router or an address exists is the daemon's to say. */

#include <stdbool.h>
#include <stdint.h>

struct text;

enum command {
	CMD_STATUS, CMD_ROUTERS, CMD_SHOW, CMD_PLAN, CMD_APPLY, CMD_DELETE, CMD_FLOATINGIP_ADD, CMD_FLOATINGIP_DEL,
	CMD_WAIT, CMD_RESYNC, CMD_PRUNE, CMD_HELP, CMD_VERSION,
};

enum { ARGS_MAX_TIMEOUT_S = 86400 };

struct args {
	enum command command;
	const char *socket;		/* -s, else $L3AGENT_SOCKET, else the default */
	bool json, dry_run, yes;
	const char *file;		/* -f; "-" is standard input */
	const char *router, *floating, *fixed;
	uint32_t timeout_s;		/* 0: no limit */
	const char *topic;		/* CMD_HELP: a command's first word, NULL: all */
};

/* 0 and *ret, which borrows from argv and the environment; -EINVAL: a usage error, said in `why`. */
int args_parse(int argc, char **argv, struct args *ret, struct text *why);
/* The help text of the commands whose first word is `topic`; of the program if it is NULL. -ENOENT: no such command. */
int args_help(const char *topic, struct text *out);
