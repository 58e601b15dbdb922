/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Netlink by libmnl, for every protocol that we speak: a socket born in the current network namespace, a batch of
 * requests that goes out by one sendmsg and whose answers are read together, and dumps that are taken again when the
 * kernel says that they were torn. Knows framing, acks and extended acks; no message's meaning.
 * One thread, blocking: an exchange with the kernel takes microseconds. */

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl { int fd; uint32_t seq; };

/* An empty socket: fd -1. */
#define NL_NONE { .fd = -1 }

/* Opens a socket for `protocol` (NETLINK_ROUTE, NETLINK_NETFILTER) in the calling thread's network namespace, with
 * strict checking of dump requests, extended and capped acks. 0 or negative errno. */
int nl_open(struct nl *nl, int protocol);
void nl_close(struct nl *nl);		/* -1 is fine; sets it to -1 */
/* The index of the device of that name in the socket's namespace, 0 if there is none. By ioctl, which costs a tenth of
 * the answer to a question by netlink. */
uint32_t nl_ifindex(const struct nl *nl, const char *dev);
/* Does a message with this port id (nlmsg_pid of a notification) come from a request of this process? */
bool nl_is_ours(uint32_t port);

/* One failed request of a batch: which (0…), and what the kernel said. */
struct nl_error { size_t index; int error; char text[160]; };	/* error: negative errno; text: extended ack or "" */

/* A batch: requests one after the other in one buffer that grows. Puts fail sticky (a request larger than
 * NL_REQUEST_MAX) and are checked once, at send. */
enum { NL_REQUEST_MAX = 128 << 10 };
struct nl_batch { char *at; size_t n, room; size_t count; struct nlmsghdr *open; int error; };

/* Begins a request and gives its header with `extra` zeroed bytes behind it (the family's fixed header) reserved;
 * attributes go in by mnl_attr_put* until the next nl_begin, nl_end or send. NL_REQUEST_MAX bytes of room are
 * guaranteed. The pointer is valid until the next nl_begin. An attribute, also a nest, holds less than 64 KiB (its
 * length has 16 bits): who puts a list into a nest goes on in a new request in time. */
struct nlmsghdr *nl_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const void *extra, size_t extra_n);
/* Ends the open request (its length is final then). nl_send does it too. */
void nl_end(struct nl_batch *b);
void nl_batch_free(struct nl_batch *b);

/* Sends all requests of b in as few sendmsg as the receive buffer allows for (rtnetlink: the kernel carries each out in
 * turn, whatever became of the one before), reads what comes back, and empties the batch. `each` is called for every
 * request that failed; it may be NULL. Returns 0 or the first request's error. Every request counts as a write. */
int nl_send(struct nl *nl, struct nl_batch *b, void (*each)(const struct nl_error *e, void *ctx), void *ctx);

/* Sends b as one nf_tables batch: BEGIN (with the generation that the caller saw, unless 0) and END are added here. All
 * or nothing: 0, or the first request's error; -ERESTART: the generation has moved, observe again. `each` as above,
 * index counting the caller's requests; an error of the batch as a whole is only returned. The commit counts as one
 * more write. Batches of many megabytes are fine. Empties b. */
int nl_send_nft(struct nl *nl, struct nl_batch *b, uint32_t generation,
		void (*each)(const struct nl_error *e, void *ctx), void *ctx);

/* Asks by `b`, which holds one request with NLM_F_DUMP, or any number without it, each for a single object, and calls
 * `got` for every message of the answer. An object that is not there (-ENODEV, -ENOENT) does not keep the others from
 * coming. If the kernel says that the dump was torn (NLM_F_DUMP_INTR), `restart` is called and it is asked again, at
 * most 5 times (-EAGAIN then). Returns 0, the first error, or what `got` returned if negative (the rest is drained).
 * Empties b. Does not count as a write. */
int nl_ask(struct nl *nl, struct nl_batch *b, int (*got)(const struct nlmsghdr *h, void *ctx),
	   void (*restart)(void *ctx), void *ctx);

/* Want table for attributes: the payload size of each type that the caller reads; 0: any size; others are skipped.
 * tb[type] is NULL for those that are absent or shorter than wanted. */
void nl_attrs(const struct nlattr **tb, const uint16_t *want, uint16_t n, const struct nlattr *first, const void *end);

/* Requests that asked the kernel to change something since the program started: what "the second apply writes nothing"
 * is measured by. sysctl writes, namespaces made and removed count here too (nl_count_write). */
uint64_t nl_writes(void);
/* Counts one write that is not netlink's. */
void nl_count_write(void);
/* In a build with -Dcrash=true and L3AGENT_DIE_AFTER=n set, the process kills itself right after the n-th write has
 * gone out, in the middle of a batch if need be: what the crash tests drive. */
