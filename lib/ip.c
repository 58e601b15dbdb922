/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int ip_parse(const char *text, struct ip *ret)
{
	struct ip ip = { 0 };

	/* inet_pton takes no octal, no zone and no short form. */
	if (inet_pton(AF_INET, text, ip.bytes) == 1)
		ip.family = AF_INET;
	else if (inet_pton(AF_INET6, text, ip.bytes) == 1)
		ip.family = AF_INET6;
	else
		return -EINVAL;
	*ret = ip;
	return 0;
}

int prefix_parse(const char *text, bool bare_ok, struct prefix *ret)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char address[IP_TEXT];
	struct prefix p;
	unsigned length = 0;

	if (n >= sizeof address || (!slash && !bare_ok))
		return -EINVAL;
	memcpy(address, text, n);
	address[n] = 0;
	if (ip_parse(address, &p.ip) < 0)
		return -EINVAL;
	if (!slash) {
		p.length = ip_bits(p.ip.family);
		*ret = p;
		return 0;
	}
	slash++;
	if (!*slash || strlen(slash) > 3 || (slash[0] == '0' && slash[1]))
		return -EINVAL;
	for (; *slash; slash++) {
		if (*slash < '0' || *slash > '9')
			return -EINVAL;
		length = length * 10 + (unsigned)(*slash - '0');
	}
	if (length > ip_bits(p.ip.family))
		return -EINVAL;
	p.length = (uint8_t)length;
	*ret = p;
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mac_parse(const char *text, struct mac *ret)
{
	struct mac mac;

	if (strlen(text) != MAC_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		int high = hex(text[3 * i]), low = hex(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = mac;
	return 0;
}

int uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid id;
	size_t i = 0;

	if (strlen(text) != UUID_TEXT - 1)
		return -EINVAL;
	for (const char *p = text; *p; p += 2) {
		int high, low;

		if (p - text == 8 || p - text == 13 || p - text == 18 || p - text == 23)
			if (*p++ != '-')
				return -EINVAL;
		high = hex(p[0]);
		low = high < 0 ? -1 : hex(p[1]);
		if (low < 0)
			return -EINVAL;
		id.bytes[i++] = (uint8_t)(high << 4 | low);
	}
	*ret = id;
	return 0;
}

const char *ip_print(const struct ip *ip, char buf[IP_TEXT])
{
	if (!ip->family || !inet_ntop(ip->family, ip->bytes, buf, IP_TEXT))
		strcpy(buf, "-");
	return buf;
}

const char *prefix_print(const struct prefix *p, char buf[PREFIX_TEXT])
{
	ip_print(&p->ip, buf);
	if (p->ip.family)
		sprintf(buf + strlen(buf), "/%u", p->length);
	return buf;
}

const char *mac_print(const struct mac *mac, char buf[MAC_TEXT])
{
	const uint8_t *b = mac->bytes;

	snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

const char *uuid_print(const struct uuid *id, char buf[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *p = buf;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[id->bytes[i] >> 4];
		*p++ = digits[id->bytes[i] & 15];
	}
	*p = 0;
	return buf;
}

int ip_compare(const struct ip *a, const struct ip *b)
{
	return a->family != b->family ? (a->family < b->family ? -1 : 1) : memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = ip_compare(&a->ip, &b->ip);

	return order ? order : (int)a->length - (int)b->length;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

uint8_t ip_bits(uint8_t family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

struct prefix prefix_network(const struct prefix *p)
{
	struct prefix ret = *p;

	for (unsigned bit = p->length; bit < ip_bits(p->ip.family); bit++)
		ret.ip.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	return ret;
}

bool prefix_contains(const struct prefix *p, const struct ip *ip)
{
	struct prefix other = { .ip = *ip, .length = p->length }, network = prefix_network(p);

	if (p->ip.family != ip->family || !ip->family)
		return false;
	other = prefix_network(&other);
	return ip_equal(&network.ip, &other.ip);
}

struct ip prefix_broadcast(const struct prefix *p)
{
	struct ip ret = p->ip;

	if (p->ip.family != AF_INET || p->length == 31)
		return (struct ip){ 0 };
	for (unsigned bit = p->length; bit < 32; bit++)
		ret.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return ret;
}

bool ip_is_link_local(const struct ip *ip)
{
	return ip->family == AF_INET ? ip->bytes[0] == 169 && ip->bytes[1] == 254 :
	       ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

bool ip_is_multicast(const struct ip *ip)
{
	return ip->family == AF_INET ? (ip->bytes[0] & 0xf0) == 0xe0 : ip->family == AF_INET6 && ip->bytes[0] == 0xff;
}

bool ip_is_unspecified(const struct ip *ip)
{
	static const uint8_t zero[16];

	return ip->family && memcmp(ip->bytes, zero, sizeof zero) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const uint8_t one[16] = { [15] = 1 };

	return ip->family == AF_INET ? ip->bytes[0] == 127 :
	       ip->family == AF_INET6 && memcmp(ip->bytes, one, sizeof one) == 0;
}

struct ip ip_link_local(const struct mac *mac)
{
	const uint8_t *m = mac->bytes;

	return (struct ip){ .family = AF_INET6, .bytes = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe,
							   m[3], m[4], m[5] } };
}

bool mac_is_unicast(const struct mac *mac)
{
	static const struct mac zero;

	return !(mac->bytes[0] & 1) && memcmp(mac, &zero, sizeof zero) != 0;
}
