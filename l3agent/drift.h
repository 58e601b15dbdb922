/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Somebody else changed what is ours: kernel events of all routers' namespaces and /run/netns put the router in the queue
 * again; the pass finds out what was missing. Events are hints only. Not listening while a sync is under way (see
 * watch.h); everything is looked at once when it begins to listen again. */

struct agent;
struct drift;
struct entry;

struct drift *drift_new(struct agent *a);		/* NULL: the kernel does not offer it; said in the log */
void drift_free(struct drift *d);
void drift_pause(struct drift *d);
void drift_listen(struct drift *d);			/* queues an audit of every router if it was paused */
/* After a pass: learn by which number the kernel names this router's namespace in events. */
void drift_follow(struct drift *d, struct entry *e);
