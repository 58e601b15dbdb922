/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drift.h"

#include "agent.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Datagrams read per wake-up: a flood of events must not keep the loop from its work. */
enum { READS_PER_TURN = 64 };

struct drift {
	struct agent *agent;
	struct watch watch;
	struct event *route, *nft, *names;
	int inotify;
	bool listening;
};

static void on_watch_event(const struct watch_event *we, void *ctx)
{
	struct drift *d = ctx;
	struct entry *e;

	if (we->kind == WATCH_OVERRUN) {
		log_info(NULL, "kernel events were lost, looking at every router");
		agent_queue_all(d->agent, PRIORITY_AUDIT, false);
		return;
	}
	if (we->kind == WATCH_LINK_NEW && we->ns_id < 0) {
		agent_retry_failed(d->agent);	/* a bridge that somebody waits for, perhaps */
		return;
	}
	if (we->ns_id < 0)
		return;
	HASH_FIND(by_ns_id, d->agent->entries_by_ns_id, &we->ns_id, sizeof we->ns_id, e);
	if (e)
		agent_queue(d->agent, e, PRIORITY_DRIFT);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct drift *d = ctx;

	(void)what;
	for (int i = 0; i < READS_PER_TURN && d->listening; i++)
		if (watch_read(&d->watch, fd, on_watch_event, d) < 0)
			break;
}

/* Somebody made or removed a name in /run/netns: the router of that name, if it is one, is looked at. */
static void on_name(evutil_socket_t fd, short what, void *ctx)
{
	struct drift *d = ctx;
	_Alignas(struct inotify_event) char buffer[16384];
	ssize_t n = read(fd, buffer, sizeof buffer);

	(void)what;
	for (char *p = buffer; n > 0 && p < buffer + n;) {
		struct inotify_event *ie = (struct inotify_event *)p;
		struct entry *e = NULL;

		if (ie->mask & IN_Q_OVERFLOW)
			agent_queue_all(d->agent, PRIORITY_AUDIT, false);
		if (ie->len)
			HASH_FIND(by_namespace, d->agent->entries, ie->name, strlen(ie->name), e);
		if (e && e->want && d->listening && ns_inode(e->namespace) != e->ns_inode)
			agent_queue(d->agent, e, PRIORITY_DRIFT);
		p += sizeof *ie + ie->len;
	}
}

static struct event *watch_fd(struct drift *d, int fd, event_callback_fn callback)
{
	struct event *e = event_new(d->agent->loop, fd, EV_READ | EV_PERSIST, callback, d);

	if (!e)
		fatal("out of memory");
	event_priority_set(e, 0);
	event_add(e, NULL);
	return e;
}

struct drift *drift_new(struct agent *a)
{
	struct drift *d = calloc(1, sizeof *d);
	int error;

	if (!d)
		fatal("out of memory");
	d->agent = a;
	error = watch_open(&d->watch);
	if (error) {
		log_warn(NULL, "changes made by others are not noticed at once: %s", strerror(-error));
		free(d);
		return NULL;
	}
	d->route = watch_fd(d, d->watch.route_fd, on_readable);
	d->nft = watch_fd(d, d->watch.nft_fd, on_readable);
	d->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return d;
}

/* The directory is made with the first namespace of the machine, so it may not be there when the agent starts. */
static void watch_names(struct drift *d)
{
	if (!d->names && d->inotify >= 0 &&
	    inotify_add_watch(d->inotify, NS_DIR, IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR) >= 0)
		d->names = watch_fd(d, d->inotify, on_name);
}

void drift_free(struct drift *d)
{
	if (!d)
		return;
	event_free(d->route);
	event_free(d->nft);
	if (d->names)
		event_free(d->names);
	if (d->inotify >= 0)
		close(d->inotify);
	watch_close(&d->watch);
	free(d);
}

void drift_pause(struct drift *d)
{
	if (d->listening)
		watch_pause(&d->watch);
	d->listening = false;
}

void drift_listen(struct drift *d)
{
	int error;

	if (d->listening)
		return;
	error = watch_listen(&d->watch);
	if (error) {
		log_warn(NULL, "changes made by others are not noticed at once: %s", strerror(-error));
		return;
	}
	d->listening = true;
	agent_queue_all(d->agent, PRIORITY_AUDIT, false);
}

static void unhash(struct drift *d, struct entry *e)
{
	if (e->ns_id >= 0)
		HASH_DELETE(by_ns_id, d->agent->entries_by_ns_id, e);
	e->ns_id = -1;
}

void drift_follow(struct drift *d, struct entry *e)
{
	char path[sizeof NS_DIR + NS_NAME_MAX];
	struct entry *former;
	unsigned long inode;
	int fd, id;

	if (!d || !d->listening)
		return;
	watch_names(d);
	inode = ns_inode(e->namespace);
	if (!inode || (inode == e->ns_inode && e->ns_id >= 0))
		return;
	snprintf(path, sizeof path, "%s/%s", NS_DIR, e->namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	id = ns_id(fd);
	close(fd);
	unhash(d, e);
	if (id < 0)
		return;
	/* The kernel gives the number of a namespace that has died to another one. */
	HASH_FIND(by_ns_id, d->agent->entries_by_ns_id, &id, sizeof id, former);
	if (former)
		unhash(d, former);
	e->ns_id = id;
	e->ns_inode = inode;
	HASH_ADD(by_ns_id, d->agent->entries_by_ns_id, ns_id, sizeof e->ns_id, e);
}
