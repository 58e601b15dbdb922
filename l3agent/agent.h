/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The table of routers and the queue: who is wanted, whose turn it is, what came of it. Sources put whole routers in,
 * each turn of the loop takes one out and lets reconcile() work; nobody else touches the kernel. One thread.
 *
 *   files ─► agent_router, agent_gone, agent_synced          announcer ◄─ addresses that appeared
 *   control ─► agent_queue, agent_find, …   ◄─ control_pass_done     drift ─► agent_queue */

#include "plan.h"
#include "reconcile.h"
#include "router.h"

#include <event2/event.h>
#include <sys/queue.h>
#include <uthash.h>

struct announcer;
struct conf;
struct control;
struct drift;
struct files;

/* Earlier comes first. A router that is queued twice keeps the better place. */
enum agent_priority { PRIORITY_PERSON, PRIORITY_DRIFT, PRIORITY_SYNC, PRIORITY_AUDIT, PRIORITIES };

enum entry_state { ENTRY_PENDING, ENTRY_IN_SYNC, ENTRY_FAILED };

/* One namespace that is ours to keep or to remove. */
struct entry {
	struct agent *agent;
	char namespace[NS_NAME_MAX];		/* key: "qrouter-<uuid>" */
	struct uuid id;
	struct router *want;			/* owned; NULL: to be removed, and the entry with it */
	enum entry_state state;
	enum agent_priority priority;		/* while queued */
	bool queued;
	uint32_t failures;			/* in a row */
	struct event *retry;			/* while it waits for its next try */
	char *error;				/* of the last pass; malloc's */
	uint64_t error_since_ms;
	uint64_t pass_ms;			/* when the last pass ended (clock_ms); 0: never */
	uint32_t pass_us;			/* how long it took */
	uint64_t pass_writes;
	bool announced;				/* gateway and internal addresses, once in the agent's life */
	int ns_id;				/* the kernel's number for the namespace in events; -1: not asked yet */
	unsigned long ns_inode;			/* of the namespace that ns_id is the number of */
	TAILQ_ENTRY(entry) queue;
	UT_hash_handle by_namespace, by_ns_id;
};

struct agent {
	struct event_base *loop;
	struct conf *conf;
	struct entry *entries;			/* hash by namespace */
	struct entry *entries_by_ns_id;
	struct name_use *names;			/* hash: which router has a name, and how many have it */
	TAILQ_HEAD(, entry) queues[PRIORITIES];
	size_t pending;				/* entries in state ENTRY_PENDING */
	size_t failed;
	size_t routers;				/* entries with a want */
	struct event *work;
	bool synced;				/* the source has delivered everything: what is not wanted may go */
	char *held;				/* why nothing is removed all the same; NULL: it is. malloc's */
	struct {
		bool running;
		uint64_t start_us, writes_before;
		size_t routers;			/* of the last one that ended */
		uint64_t us, writes;
	} sync;
	struct announcer *announcer;
	struct control *control;
	struct drift *drift;
	struct files *files;
};

void agent_init(struct agent *a, struct event_base *loop, struct conf *conf);
void agent_done(struct agent *a);

/* From the source. Takes r. Queues it if it differs from what was wanted before. */
void agent_router(struct agent *a, struct router *r, enum agent_priority priority);
/* This router is wanted no more. */
void agent_gone(struct agent *a, const struct uuid *id, enum agent_priority priority);
/* The source does not vouch for this router any more, nor for its absence: it leaves the table and its namespace stays as
 * it is (an orphan, see below). */
void agent_disown(struct agent *a, const struct uuid *id);
/* The source has delivered all there is: from now on what is not wanted is removed, and namespaces that belong to no router
 * are queued for it unless `held` says otherwise. */
void agent_synced(struct agent *a);
/* Nothing that belongs to no router is removed until agent_prune; `why` is for the status. */
void agent_hold(struct agent *a, const char *why);

/* By name or id. NULL: none; *ret_ambiguous: the name is used more than once. */
struct entry *agent_find(struct agent *a, const char *name_or_id, bool *ret_ambiguous);
struct entry *agent_find_id(struct agent *a, const struct uuid *id);
void agent_queue(struct agent *a, struct entry *e, enum agent_priority priority);
/* Queues every entry; with `sync` the time until all are done is measured as a sync. Returns their number. */
size_t agent_queue_all(struct agent *a, enum agent_priority priority, bool sync);
/* Queues those that failed, now instead of after their delay. */
void agent_retry_failed(struct agent *a);
/* New settings: everything is looked at again. Takes conf. */
void agent_reconfigure(struct agent *a, struct conf *conf);

/* Namespaces that are named like ours ("qrouter-<uuid>", "snat-<uuid>") and belong to no router, in order of their names. */
struct orphans { VEC(char *) names; };
void agent_orphans(struct agent *a, struct orphans *ret);
void orphans_free(struct orphans *o);
/* Queues these for removal and lifts `held`. */
void agent_prune(struct agent *a, const struct orphans *o);
