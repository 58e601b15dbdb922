/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nl.h"

#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The kernel works a request off within sendmsg, and makes the next part of a dump within recvmsg. So whatever will
 * ever come back is there when the call returns, nothing here needs to wait, and an answer that is missing is an answer
 * lost. */

enum {
	/* Failures that come back from one sendmsg: each is an skb of less than 1 KiB of truesize, and the receive
	 * buffer holds 208 KiB by default. The answer to a request for one link takes 4 to 5 KiB. */
	SEND_CHUNK = 128, ASK_CHUNK = 32,
	/* Below the default send buffer together with the largest request. */
	CHUNK_BYTES = 64 << 10,
	RECEIVE = 64 << 10,		/* the kernel's dumps use 32 KiB at most */
	DUMP_TRIES = 6,
	PORT_BITS = 22, PORT_COUNTERS = 1 << (32 - PORT_BITS),
};

static uint64_t writes;
static uint32_t port_tag;	/* 0: not chosen yet */

/* ---- crash build ---- */

#ifdef L3AGENT_CRASH
static uint64_t die_after(void)
{
	static uint64_t after;

	if (!after) {
		const char *text = getenv("L3AGENT_DIE_AFTER");

		after = text ? strtoull(text, NULL, 10) : 0;
		if (!after)
			after = UINT64_MAX;
	}
	return after;
}

/* How many of the next n writes go out. */
static size_t allowed(size_t n)
{
	uint64_t left = die_after() - writes;

	return n < left ? n : (size_t)left;
}

static void die_if_due(void)
{
	if (writes >= die_after())
		kill(getpid(), SIGKILL);
}
#else
static inline size_t allowed(size_t n) { return n; }
static inline void die_if_due(void) { }
#endif

static void count_writes(size_t n)
{
	writes += n;
	die_if_due();
}

void nl_count_write(void)
{
	count_writes(1);
}

uint64_t nl_writes(void)
{
	return writes;
}

/* ---- socket ---- */

/* A random tag and not the process id: agents in two containers can both be process 7. */
static uint32_t own_tag(void)
{
	while (!port_tag) {
		if (getrandom(&port_tag, sizeof port_tag, 0) != sizeof port_tag)
			port_tag = (uint32_t)getpid();
		port_tag &= (1u << PORT_BITS) - 1;
	}
	return port_tag;
}

bool nl_is_ours(uint32_t port)
{
	return port >> PORT_BITS && (port & ((1u << PORT_BITS) - 1)) == own_tag();
}

static int bind_port(int fd)
{
	static uint32_t counter;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };

	for (int i = 1; i < PORT_COUNTERS; i++) {
		counter = counter + 1 < PORT_COUNTERS ? counter + 1 : 1;
		address.nl_pid = counter << PORT_BITS | own_tag();
		if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

int nl_open(struct nl *nl, int protocol)
{
	static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), on = 1, error;

	if (fd < 0)
		return -errno;
	error = bind_port(fd);
	for (size_t i = 0; !error && i < sizeof options / sizeof *options; i++)
		if (setsockopt(fd, SOL_NETLINK, options[i], &on, sizeof on) < 0)
			error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	*nl = (struct nl){ .fd = fd };
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

uint32_t nl_ifindex(const struct nl *nl, const char *dev)
{
	struct ifreq q = { 0 };
	size_t n = strlen(dev);

	if (n >= sizeof q.ifr_name)
		return 0;
	memcpy(q.ifr_name, dev, n);
	return ioctl(nl->fd, SIOCGIFINDEX, &q) == 0 ? (uint32_t)q.ifr_ifindex : 0;
}

/* ---- batch ---- */

struct nlmsghdr *nl_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const void *extra, size_t extra_n)
{
	size_t need;

	nl_end(b);
	need = b->n + NL_REQUEST_MAX + MNL_NLMSG_HDRLEN + MNL_ALIGN(extra_n);
	if (need > b->room) {
		/* Twice: the second request must not find the room too small already. Not realloc, which would copy the
		 * unused rest along. */
		size_t room = 2 * need;
		char *grown = malloc(room);

		if (!grown)
			fatal("out of memory");
		if (b->n)
			memcpy(grown, b->at, b->n);
		free(b->at);
		b->at = grown;
		b->room = room;
	}
	b->open = (struct nlmsghdr *)(b->at + b->n);
	memset(b->open, 0, MNL_NLMSG_HDRLEN + MNL_ALIGN(extra_n));
	b->open->nlmsg_len = (uint32_t)(MNL_NLMSG_HDRLEN + MNL_ALIGN(extra_n));
	b->open->nlmsg_type = type;
	b->open->nlmsg_flags = flags | NLM_F_REQUEST;
	if (extra)
		memcpy(b->open + 1, extra, extra_n);
	return b->open;
}

void nl_end(struct nl_batch *b)
{
	if (!b->open)
		return;
	if (b->open->nlmsg_len > NL_REQUEST_MAX) {
		b->error = -EMSGSIZE;
	} else {
		b->n += MNL_ALIGN(b->open->nlmsg_len);
		b->count++;
	}
	b->open = NULL;
}

static void empty(struct nl_batch *b)
{
	b->n = b->count = 0;
	b->open = NULL;
	b->error = 0;
}

void nl_batch_free(struct nl_batch *b)
{
	free(b->at);
	*b = (struct nl_batch){ 0 };
}

static struct nlmsghdr *next(struct nlmsghdr *h)
{
	return (struct nlmsghdr *)((char *)h + MNL_ALIGN(h->nlmsg_len));
}

/* Numbers up to `count` requests from `first` on, as many as fit in one message to the kernel; only the last of them
 * asks for an ack, because failures come back unasked. */
struct chunk { struct nlmsghdr *first; size_t count, bytes; uint32_t seq; };

static struct chunk take_chunk(struct nl *nl, struct nlmsghdr *first, size_t count, size_t at_most)
{
	struct chunk ret = { .first = first, .seq = nl->seq + 1 };
	struct nlmsghdr *h = first, *last = first;

	for (; ret.count < count && ret.count < at_most && ret.bytes < CHUNK_BYTES; h = next(h)) {
		h->nlmsg_seq = ++nl->seq;
		h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		ret.bytes += MNL_ALIGN(h->nlmsg_len);
		ret.count++;
		last = h;
	}
	last->nlmsg_flags |= NLM_F_ACK;
	return ret;
}

/* ---- exchange ---- */

static int send_iov(int fd, struct iovec *iov, size_t n)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr msg = { .msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	do
		sent = sendmsg(fd, &msg, 0);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EMSGSIZE) {
		int size = 0;

		for (size_t i = 0; i < n; i++)
			size += (int)iov[i].iov_len;
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
			return -errno;
		sent = sendmsg(fd, &msg, 0);
	}
	return sent < 0 ? -errno : 0;
}

/* One datagram from the kernel: its size, 0 when there is none left, or negative errno. */
static ssize_t receive(int fd, char *buffer)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { buffer, RECEIVE };
	struct msghdr msg;
	ssize_t got;

	do {
		msg = (struct msghdr){ .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov,
				       .msg_iovlen = 1 };
		got = recvmsg(fd, &msg, MSG_DONTWAIT);
	} while ((got < 0 && errno == EINTR) || (got >= 0 && from.nl_pid));
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
}

/* The kernel's verdict in an NLMSG_ERROR message; its words, if it has any, go to `text`. */
static int verdict(const struct nlmsghdr *h, char *text, size_t size)
{
	static const uint16_t want[] = { [NLMSGERR_ATTR_MSG] = 0 };
	const struct nlattr *tb[NLMSGERR_ATTR_MSG + 1];
	const struct nlmsgerr *e = (const void *)(h + 1);
	size_t skip = sizeof *h + sizeof *e;

	if (size)
		*text = 0;
	if (h->nlmsg_len < skip)
		return -EPROTO;
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->error)
		skip += e->msg.nlmsg_len - sizeof e->msg;
	if (!size || !(h->nlmsg_flags & NLM_F_ACK_TLVS) || skip >= h->nlmsg_len)
		return e->error;
	nl_attrs(tb, want, NLMSGERR_ATTR_MSG + 1, (const void *)((const char *)h + MNL_ALIGN(skip)),
		 (const char *)h + h->nlmsg_len);
	if (tb[NLMSGERR_ATTR_MSG]) {
		size_t n = strnlen(mnl_attr_get_payload(tb[NLMSGERR_ATTR_MSG]),
				   mnl_attr_get_payload_len(tb[NLMSGERR_ATTR_MSG]));

		n = n < size ? n : size - 1;
		memcpy(text, mnl_attr_get_payload(tb[NLMSGERR_ATTR_MSG]), n);
		text[n] = 0;
	}
	return e->error;
}

struct outcome {
	void (*each)(const struct nl_error *e, void *ctx);
	void *ctx;
	int error;		/* the first one */
};

static void failed(struct outcome *o, const struct nl_error *e)
{
	if (!o->error)
		o->error = e->error;
	if (o->each)
		o->each(e, o->ctx);
}

/* Reads the verdicts on `count` requests numbered from seq, the first of which is the batch's request `base`, until the
 * one on the last. A verdict on something outside of these (the batch's frame) is an error without an index. */
static int read_verdicts(struct nl *nl, uint32_t seq, size_t count, size_t base, struct outcome *o)
{
	char buffer[RECEIVE] __attribute__((aligned(MNL_ALIGNTO)));
	int lost = -EPROTO, outside = 0;
	bool answered = false;

	while (!answered) {
		ssize_t got = receive(nl->fd, buffer);
		int n = (int)got;

		if (got == 0)
			break;
		if (got < 0) {
			lost = n;
			if (n != -ENOBUFS && n != -EMSGSIZE)
				break;
			continue;
		}
		for (const struct nlmsghdr *h = (void *)buffer; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
			struct nl_error e = { .index = base + (h->nlmsg_seq - seq) };

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			e.error = verdict(h, e.text, sizeof e.text);
			if (h->nlmsg_seq - seq >= count) {
				outside = outside ? outside : e.error;
				continue;
			}
			answered |= h->nlmsg_seq == seq + (uint32_t)count - 1;
			if (e.error)
				failed(o, &e);
		}
	}
	return outside ? outside : answered ? 0 : lost;
}

static void fail_chunk(struct outcome *o, size_t base, size_t count, int error)
{
	for (size_t i = 0; i < count; i++)
		failed(o, &(struct nl_error){ .index = base + i, .error = error });
}

int nl_send(struct nl *nl, struct nl_batch *b, void (*each)(const struct nl_error *e, void *ctx), void *ctx)
{
	struct outcome o = { .each = each, .ctx = ctx };
	struct nlmsghdr *h;

	nl_end(b);
	h = (struct nlmsghdr *)b->at;
	if (b->error) {
		fail_chunk(&o, 0, b->count, b->error);
		o.error = b->error;
		b->count = 0;
	}
	for (size_t base = 0; base < b->count; ) {
		size_t some = allowed(b->count - base);
		struct chunk c = take_chunk(nl, h, some, SEND_CHUNK);
		struct iovec iov = { h, c.bytes };
		int error = send_iov(nl->fd, &iov, 1);

		count_writes(c.count);
		if (error) {
			fail_chunk(&o, base, c.count, error);
		} else {
			error = read_verdicts(nl, c.seq, c.count, base, &o);
			if (error)	/* nothing is known of the last, and perhaps of others */
				failed(&o, &(struct nl_error){ .index = base + c.count - 1, .error = error });
		}
		base += c.count;
		h = (struct nlmsghdr *)((char *)h + c.bytes);
	}
	empty(b);
	return o.error;
}

/* ---- nf_tables ---- */

struct frame {
	struct nlmsghdr h;
	struct nfgenmsg nfgen;
	struct { struct nlattr attr; uint32_t generation; } genid;
};

static struct frame frame(uint16_t type, uint32_t seq, uint32_t generation)
{
	struct frame ret = {
		.h = { .nlmsg_len = sizeof ret - (generation ? 0 : sizeof ret.genid), .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = seq },
		.nfgen = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) },
		.genid = { { sizeof ret.genid, NFNL_BATCH_GENID }, htonl(generation) },
	};

	return ret;
}

int nl_send_nft(struct nl *nl, struct nl_batch *b, uint32_t generation,
		void (*each)(const struct nl_error *e, void *ctx), void *ctx)
{
	struct outcome o = { .each = each, .ctx = ctx };
	struct frame begin = frame(NFNL_MSG_BATCH_BEGIN, ++nl->seq, generation), end;
	struct nlmsghdr *h, *last;
	size_t bytes = 0, some;
	uint32_t seq = nl->seq + 1;
	int error;

	nl_end(b);
	some = allowed(b->count + 1);		/* + 1: END, the commit */
	if (b->error || !b->count) {
		error = b->error;
		empty(b);
		return error;
	}
	h = last = (struct nlmsghdr *)b->at;
	for (size_t i = 0; i < b->count && i < some; i++, h = next(h)) {
		h->nlmsg_seq = ++nl->seq;
		h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		bytes += MNL_ALIGN(h->nlmsg_len);
		last = h;
	}
	/* Not on END: only kernels from 6.10 on ack that. */
	last->nlmsg_flags |= NLM_F_ACK;
	end = frame(NFNL_MSG_BATCH_END, ++nl->seq, 0);
	error = send_iov(nl->fd, (struct iovec[]){ { &begin, begin.h.nlmsg_len }, { b->at, bytes },
						   { &end, end.h.nlmsg_len } }, some > b->count ? 3 : 2);
	count_writes(some);
	if (!error)
		error = read_verdicts(nl, seq, b->count, 0, &o);
	empty(b);
	/* A refused commit and a moved generation are told about the frame, a lost ack only matters if nothing else is.
	 * */
	return o.error ? o.error : error;
}

/* ---- questions ---- */

struct question {
	int (*got)(const struct nlmsghdr *h, void *ctx);
	void *ctx;
	uint32_t seq, last;
	int error;		/* the kernel's or got's first one */
	bool done, torn, stopped;
};

static void hear(struct question *q, const struct nlmsghdr *h)
{
	int error = 0;

	if (h->nlmsg_seq - q->seq > q->last - q->seq)
		return;
	q->torn |= !!(h->nlmsg_flags & NLM_F_DUMP_INTR);
	if (h->nlmsg_type == NLMSG_ERROR) {
		error = verdict(h, NULL, 0);
		q->done |= h->nlmsg_seq == q->last;
	} else if (h->nlmsg_type == NLMSG_DONE) {
		if (mnl_nlmsg_get_payload_len(h) >= sizeof error)
			memcpy(&error, h + 1, sizeof error);
		q->done = true;
	} else if (!q->stopped) {
		error = q->got(h, q->ctx);
		q->stopped = error < 0;
	}
	if (error < 0 && !q->error)
		q->error = error;
}

static int ask_once(struct nl *nl, const struct chunk *c, struct question *q)
{
	char buffer[RECEIVE] __attribute__((aligned(MNL_ALIGNTO)));
	struct iovec iov = { c->first, c->bytes };
	int error = send_iov(nl->fd, &iov, 1);

	if (error)
		return error;
	q->seq = c->seq;
	q->last = c->seq + (uint32_t)c->count - 1;
	while (!q->done) {
		ssize_t got = receive(nl->fd, buffer);
		int n = (int)got;

		if (got <= 0)
			return got ? n : -EPROTO;
		for (const struct nlmsghdr *h = (void *)buffer; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n))
			hear(q, h);
	}
	return q->error;
}

static int ask_dump(struct nl *nl, struct nl_batch *b, int (*got)(const struct nlmsghdr *h, void *ctx),
		    void (*restart)(void *ctx), void *ctx)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		struct question q = { .got = got, .ctx = ctx };
		struct chunk c = take_chunk(nl, (struct nlmsghdr *)b->at, 1, 1);
		int error;

		if (i && restart)
			restart(ctx);
		c.first->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
		error = ask_once(nl, &c, &q);
		if (error || !q.torn)
			return error;
	}
	return -EAGAIN;
}

int nl_ask(struct nl *nl, struct nl_batch *b, int (*got)(const struct nlmsghdr *h, void *ctx),
	   void (*restart)(void *ctx), void *ctx)
{
	struct nlmsghdr *h;
	int error;

	nl_end(b);
	h = (struct nlmsghdr *)b->at;
	error = b->error;
	if (!error && b->count == 1 && (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
		error = ask_dump(nl, b, got, restart, ctx);
		b->count = 0;
	}
	for (size_t done = 0; (!error || error == -ENODEV || error == -ENOENT) && done < b->count; ) {
		struct question q = { .got = got, .ctx = ctx };
		struct chunk c = take_chunk(nl, h, b->count - done, ASK_CHUNK);
		int now = ask_once(nl, &c, &q);

		error = error ? error : now;
		done += c.count;
		h = (struct nlmsghdr *)((char *)h + c.bytes);
	}
	empty(b);
	return error;
}

void nl_attrs(const struct nlattr **tb, const uint16_t *want, uint16_t n, const struct nlattr *first, const void *end)
{
	memset(tb, 0, n * sizeof *tb);
	for (const struct nlattr *a = first; mnl_attr_ok(a, (int)((const char *)end - (const char *)a));
	     a = mnl_attr_next(a)) {
		uint16_t type = mnl_attr_get_type(a);

		if (type < n && mnl_attr_get_payload_len(a) >= want[type])
			tb[type] = a;
	}
}
