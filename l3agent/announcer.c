/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "announcer.h"

#include "agent.h"
#include "clock.h"
#include "conf.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Neutron's agent sends three rounds two seconds apart. An IPv6 address is tentative for its first second or two: rounds
 * that find it so do not count, up to a limit. */
enum { ROUNDS = 3, ROUNDS_MAX = 6, ROUND_MS = 2000, LOOP_LEVEL = 2, ADDRESSES_MAX = 200000 };

/* Addresses that go out in one turn of the loop, in the background: on a bridge with a thousand ports each frame takes a
 * millisecond, for which a person who asks meanwhile has to wait. */
enum { BACKGROUND_BATCH = 2 };

/* The addresses of one router that appeared in one pass. Every batch waits equally long for its next round, so a queue in
 * order of arrival is in order of time. */
struct batch {
	TAILQ_ENTRY(batch) queue;
	uint64_t due_ms;
	unsigned round;
	bool urgent;
	char namespace[NS_NAME_MAX];
	size_t n;
	struct target { char dev[IFNAMSIZ]; struct ip ip; uint8_t sent; } targets[];
};

TAILQ_HEAD(batches, batch);

struct announcer {
	struct agent *agent;
	struct event *timer;
	struct batches urgent, background;
	size_t addresses;			/* in both queues */
	uint64_t tokens_ms;			/* when `tokens` was last filled up */
	double tokens;				/* frames that may go out now, for the background */
};

static struct batches *queue_of(struct announcer *an, const struct batch *b)
{
	return b->urgent ? &an->urgent : &an->background;
}

static void drop(struct announcer *an, struct batch *b)
{
	an->addresses -= b->n;
	free(b);
}

static void refill(struct announcer *an, uint64_t now_ms)
{
	double rate = an->agent->conf->announcements_per_s;

	an->tokens += rate * (double)(now_ms - an->tokens_ms) / 1000;
	/* A tenth of a second's worth: no bursts that a bridge with a thousand ports would have to copy a thousand times. */
	if (an->tokens > rate / 10)
		an->tokens = rate / 10;
	an->tokens_ms = now_ms;
}

static size_t send_round(struct announcer *an, struct batch *b)
{
	struct announcement *list = calloc(b->n, sizeof *list);
	size_t frames = 0, kept = 0;
	int error;

	if (!list)
		fatal("out of memory");
	for (size_t i = 0; i < b->n; i++) {
		memcpy(list[i].dev, b->targets[i].dev, IFNAMSIZ);
		list[i].ip = b->targets[i].ip;
	}
	error = announce_send(b->namespace, list, b->n, &frames);
	b->round++;
	/* A namespace that is gone has nothing to announce; any other failure is worth the next round. */
	if (error && error != -ENOENT)
		log_debug(b->namespace, "announcing: %s", strerror(-error));
	for (size_t i = 0; error != -ENOENT && i < b->n; i++) {
		struct target t = b->targets[i];

		t.sent += list[i].result == ANNOUNCE_SENT;
		if (list[i].result != ANNOUNCE_NOT_OURS && t.sent < ROUNDS)
			b->targets[kept++] = t;
	}
	an->addresses -= b->n - kept;
	b->n = kept;
	free(list);
	return frames;
}

/* Sends the batch's next round and queues it for the one after. Takes b, which is in no queue. */
static void advance(struct announcer *an, struct batch *b)
{
	an->tokens -= (double)send_round(an, b);
	if (!b->n || b->round >= ROUNDS_MAX) {
		drop(an, b);
		return;
	}
	b->due_ms = clock_ms() + ROUND_MS;
	TAILQ_INSERT_TAIL(queue_of(an, b), b, queue);
}

static struct batch *next_due(struct announcer *an, uint64_t now_ms)
{
	struct batch *b = TAILQ_FIRST(&an->urgent);

	if (b && b->due_ms <= now_ms)
		return b;
	b = TAILQ_FIRST(&an->background);
	return b && b->due_ms <= now_ms && an->tokens >= 1 ? b : NULL;
}

static void arm(struct announcer *an, uint64_t now_ms)
{
	struct batch *urgent = TAILQ_FIRST(&an->urgent), *background = TAILQ_FIRST(&an->background);
	uint64_t due = UINT64_MAX;
	struct timeval delay;

	if (background) {
		uint64_t wait = an->tokens >= 1 ? 0 :
				(uint64_t)((1 - an->tokens) * 1000 / an->agent->conf->announcements_per_s) + 1;

		due = background->due_ms > now_ms + wait ? background->due_ms : now_ms + wait;
	}
	if (urgent && urgent->due_ms < due)
		due = urgent->due_ms;
	if (due == UINT64_MAX)
		return;
	due = due > now_ms ? due - now_ms : 0;
	delay = (struct timeval){ (time_t)(due / 1000), (suseconds_t)(due % 1000) * 1000 };
	event_add(an->timer, &delay);
}

/* One batch a turn: whatever has come up meanwhile goes first. */
static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct announcer *an = ctx;
	uint64_t now_ms = clock_ms();
	struct batch *b;

	(void)fd, (void)what;
	refill(an, now_ms);
	b = next_due(an, now_ms);
	if (b) {
		TAILQ_REMOVE(queue_of(an, b), b, queue);
		advance(an, b);
	}
	arm(an, clock_ms());
}

struct announcer *announcer_new(struct agent *a)
{
	struct announcer *an = calloc(1, sizeof *an);

	if (!an)
		fatal("out of memory");
	an->agent = a;
	an->tokens_ms = clock_ms();
	TAILQ_INIT(&an->urgent);
	TAILQ_INIT(&an->background);
	an->timer = evtimer_new(a->loop, on_timer, an);
	if (!an->timer)
		fatal("out of memory");
	event_priority_set(an->timer, LOOP_LEVEL);
	return an;
}

static void drop_all(struct announcer *an, struct batches *queue)
{
	struct batch *b;

	while ((b = TAILQ_FIRST(queue))) {
		TAILQ_REMOVE(queue, b, queue);
		drop(an, b);
	}
}

void announcer_free(struct announcer *an)
{
	if (!an)
		return;
	drop_all(an, &an->urgent);
	drop_all(an, &an->background);
	event_free(an->timer);
	free(an);
}

static void add_batch(struct announcer *an, const char *namespace, const struct announcement *list, size_t n, bool urgent)
{
	struct batch *b = calloc(1, sizeof *b + n * sizeof *b->targets);

	if (!b)
		fatal("out of memory");
	snprintf(b->namespace, sizeof b->namespace, "%s", namespace);
	b->urgent = urgent;
	b->n = n;
	for (size_t i = 0; i < n; i++) {
		memcpy(b->targets[i].dev, list[i].dev, IFNAMSIZ);
		b->targets[i].ip = list[i].ip;
	}
	an->addresses += n;
	b->due_ms = clock_ms();
	if (urgent)
		advance(an, b);
	else
		TAILQ_INSERT_TAIL(&an->background, b, queue);
}

void announcer_add(struct announcer *an, const char *namespace, const struct announcement *list, size_t n, bool urgent)
{
	size_t most = urgent ? n : BACKGROUND_BATCH;

	if (an->addresses + n > ADDRESSES_MAX) {
		log_warn(namespace, "%zu addresses are not announced: %zu are waiting already", n, an->addresses);
		return;
	}
	for (size_t i = 0; i < n; i += most)
		add_batch(an, namespace, list + i, n - i < most ? n - i : most, urgent);
	arm(an, clock_ms());
}
