/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Addresses of both families, prefixes, MAC addresses and UUIDs: parse, print, compare, derive. Pure: no system call,
 * no locale. Text is accepted in one spelling only (no octal, no leading zeros, no zone, no spaces) and printed in the
 * canonical one (RFC 5952). */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct ip {
	uint8_t family;		/* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];	/* network order; IPv4 in the first four, the rest zero */
};

struct prefix {
	struct ip ip;		/* as given: host bits may be set (see prefix_network) */
	uint8_t length;
};

struct mac { uint8_t bytes[6]; };
struct uuid { uint8_t bytes[16]; };

#define IP_TEXT INET6_ADDRSTRLEN		/* 46, with the zero byte */
#define PREFIX_TEXT (INET6_ADDRSTRLEN + 4)
#define MAC_TEXT 18
#define UUID_TEXT 37

/* Parsers: 0, or -EINVAL for anything that is not exactly one such value; *ret is untouched then.
 * prefix_parse accepts a bare address as a host prefix (/32, /128) only if bare_ok. */
int ip_parse(const char *text, struct ip *ret);
int prefix_parse(const char *text, bool bare_ok, struct prefix *ret);
int mac_parse(const char *text, struct mac *ret);
int uuid_parse(const char *text, struct uuid *ret);

/* Printers write to buf, which has the size named above, and return it. The family 0 prints as "-". */
const char *ip_print(const struct ip *ip, char buf[IP_TEXT]);
const char *prefix_print(const struct prefix *p, char buf[PREFIX_TEXT]);
const char *mac_print(const struct mac *mac, char buf[MAC_TEXT]);
const char *uuid_print(const struct uuid *id, char buf[UUID_TEXT]);

/* Order: family, then bytes, then length. */
int ip_compare(const struct ip *a, const struct ip *b);
int prefix_compare(const struct prefix *a, const struct prefix *b);
int uuid_compare(const struct uuid *a, const struct uuid *b);
static inline bool ip_equal(const struct ip *a, const struct ip *b) { return ip_compare(a, b) == 0; }

/* 32 or 128; 0 for family 0. */
uint8_t ip_bits(uint8_t family);
/* The same prefix with its host bits cleared. */
struct prefix prefix_network(const struct prefix *p);
/* Is ip within p (same family, first p->length bits equal)? */
bool prefix_contains(const struct prefix *p, const struct ip *ip);
/* The IPv4 broadcast address of p; family 0 for IPv6 and for /31; for /32 the address itself (ifconfig's habit, and
 * Neutron's). */
struct ip prefix_broadcast(const struct prefix *p);

bool ip_is_link_local(const struct ip *ip);	/* 169.254/16, fe80::/10 */
bool ip_is_multicast(const struct ip *ip);
bool ip_is_unspecified(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);

/* fe80::/64 with the modified EUI-64 of mac (RFC 4291, appendix A). */
struct ip ip_link_local(const struct mac *mac);

bool uuid_is_null(const struct uuid *id);
/* UUIDv5 (RFC 4122, section 4.3) of `name` within `space`. */
struct uuid uuid_v5(const struct uuid *space, const char *name);
/* This project's own name space, for ids derived from the names in router files. */
extern const struct uuid uuid_space_l3agent;
/* fa:16:3e and the first three bytes of a hash of the id: locally administered, stable across hosts. */
struct mac mac_from_uuid(const struct uuid *id);
bool mac_is_unicast(const struct mac *mac);	/* not multicast, not all zero */
