/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The source "files": every *.yaml in a directory. Reads one file per turn of the loop, publishes its routers whole, keeps
 * the last good version of a file with a fault, notices edits at once (inotify, by name: an edit costs one file, not the
 * directory). Also checks what only all files together can tell: two routers with one id, one floating IP twice on one
 * network, two ports that would share a device name.
 *
 * Removes nothing that it cannot vouch for: a directory that is missing, unreadable, or suddenly another one and empty is a
 * fault of the source, not the wish for an empty node. */

#include "problems.h"
#include "router.h"

#include <stdbool.h>

struct agent;
struct conf;
struct files;
struct routers;
struct text;

/* Begins to read conf->files of a->conf. Never fails: a directory that is not there is said in the status and awaited. */
struct files *files_new(struct agent *a);
void files_free(struct files *f);
/* Look at every file again (SIGHUP, resync). */
void files_rescan(struct files *f);
bool files_reading(const struct files *f);		/* files are still to be read, or what left them to be settled */
/* NULL: the directory is fine. */
const char *files_error(const struct files *f);
/* Faults of all files, in the order of their names. */
void files_problems(const struct files *f, void (*each)(const struct problem *p, void *ctx), void *ctx);

/* Replaces the texts of some of the directory's files (or makes them), after having checked each as a whole and against all
 * other files; their routers are published with PRIORITY_PERSON before this returns. `text` NULL: the file is removed.
 * Returns 0; -EINVAL with the faults in `problems`; or the errno of writing, with a problem that says so.
 * All are checked before any is written; with dry_run none is written. */
struct files_change { char *path; char *text; size_t n; };
int files_write_all(struct files *f, const struct files_change *changes, size_t n, bool dry_run, struct problems *problems);

/* Faults for what these routers, which stand in a text called `name`, claim although another file has it than those where
 * they stand now: a person is told of his own text and not of the file that it would have become. 0 or -EINVAL. */
int files_conflicts(struct files *f, const char *name, const struct routers *routers, struct problems *problems);

/* Checks the whole directory without an agent (l3agentd -n): number of routers, faults in `problems`. */
size_t files_check(const struct conf *conf, struct problems *problems);
