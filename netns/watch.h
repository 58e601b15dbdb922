/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Notices that somebody else has changed something in a namespace of ours or around it: one rtnetlink and one nf_tables
 * socket in root that hear all namespaces which have an id there (NETLINK_LISTEN_ALL_NSID). One socket and not one per
 * namespace, because every multicast in the machine walks the list of all listening sockets. The kernel looks an
 * event's namespace up by a walk over all ids, so during a bulk of own changes the sockets do not listen (watch_pause),
 * and the caller looks at everything once afterwards. Events are hints: the caller observes again. */

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct watch { int route_fd, nft_fd; };

struct watch_event {
	int ns_id;				/* -1: root itself, or OVERRUN */
	enum { WATCH_CHANGED, WATCH_LINK_NEW, WATCH_OVERRUN } kind;	/* OVERRUN: lost some, look at everything */
	char dev[IFNAMSIZ];			/* of a link event: whose; LINK_NEW: new in root, or a bridge there */
};

/* 0 or negative errno (-EPERM: needs CAP_NET_BROADCAST too); not listening yet. */
int watch_open(struct watch *w);
void watch_close(struct watch *w);
int watch_listen(struct watch *w);
void watch_pause(struct watch *w);		/* also drops what is queued */
/* Reads one datagram of fd (route_fd or nft_fd) and calls `got` for what matters in it: what other processes did, and
 * what the kernel removed by itself; not what this process did, nor what the kernel adds as a consequence (connected
 * routes, link-local addresses). Three things the kernel does not sign, so that own ones are told as well: IPv6
 * addresses, changes of a link, what goes along with a link. A change of a veth's root end is told as one of the
 * namespace at its other end. 0, or -EAGAIN when there is nothing more. */
int watch_read(struct watch *w, int fd, void (*got)(const struct watch_event *e, void *ctx), void *ctx);
