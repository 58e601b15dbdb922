/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Gratuitous ARP (RFC 5227, section 3: request and reply form, both broadcast) and unsolicited neighbour advertisements
 * (RFC 4861, section 7.2.6) by a packet socket. Sends only; what to announce and when is the caller's. */

#include "ip.h"

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

struct announcement {
	char dev[IFNAMSIZ];
	struct ip ip;
	enum { ANNOUNCE_PENDING, ANNOUNCE_SENT, ANNOUNCE_NOT_OURS, ANNOUNCE_TENTATIVE, ANNOUNCE_FAILED } result;
	int error;
};

enum { ANNOUNCE_FRAME_MAX = 86 };
/* Frames for an IPv4 address: one ARP request and one ARP reply; for IPv6: one neighbour advertisement with Override,
 * and Router set, to ff02::1. Pure; returns the frame's length. `form` 0: request, 1: reply (ignored for IPv6). */
size_t announce_build(const struct ip *ip, const struct mac *mac, int form, uint8_t frame[ANNOUNCE_FRAME_MAX]);

/* Enters the namespace, asks the kernel for its addresses, and sends the frames of those announcements whose address is
 * still on its device and not tentative; sets each `result`. 0, or negative errno if nothing could be sent. *ret_frames
 * is the number of frames. */
int announce_send(const char *ns, struct announcement *list, size_t n, size_t *ret_frames);
