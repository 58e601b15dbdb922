/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The control socket, as doc/control.md describes it. */

#include <stdbool.h>

struct agent;
struct control;
struct entry;
struct pass;

/* Listens on <run_dir>/control.sock. NULL with errno on failure. */
struct control *control_new(struct agent *a);
void control_free(struct control *c);
/* A pass over e has ended; e is about to be forgotten if it was removed. */
void control_pass_done(struct control *c, const struct entry *e, const struct pass *pass);
/* Does somebody wait for e's next pass (its operations are printed then)? */
bool control_waits_for(const struct control *c, const struct entry *e);
/* The queue has run empty, or the source's state has changed: who waits for that is answered. */
void control_idle(struct control *c);
