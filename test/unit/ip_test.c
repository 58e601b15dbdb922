/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Addresses, prefixes, MAC addresses and UUIDs. */

#include "ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct ip ip(const char *text)
{
	struct ip ret;

	if (ip_parse(text, &ret) < 0)
		fail_msg("%s", text);
	return ret;
}

static struct prefix prefix(const char *text)
{
	struct prefix ret;

	if (prefix_parse(text, true, &ret) < 0)
		fail_msg("%s", text);
	return ret;
}

static void addresses_print_as_rfc5952_says(void **state)
{
	static const struct { const char *text, *canonical; } cases[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "0.0.0.0", "0.0.0.0" }, { "255.255.255.255", "255.255.255.255" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" }, { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" }, { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "::", "::" }, { "::1", "::1" }, { "fe80::", "fe80::" }, { "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
	};
	char buf[IP_TEXT];
	struct ip none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ip a = ip(cases[i].text);

		assert_string_equal(ip_print(&a, buf), cases[i].canonical);
	}
	assert_string_equal(ip_print(&none, buf), "-");
}

static void other_text_is_no_address(void **state)
{
	static const char *const texts[] = {
		"", " ", "192.0.2", "192.0.2.1 ", " 192.0.2.1", "192.0.2.01", "192.0.2.0x1", "192.0.2.256",
		"192.0.2.1.1", "0300.0.2.1",
		"3221225985", "192.0.2.1/24", "2001:db8", "2001:db8:::1", "1::2::3", "1:2:3:4:5:6:7:8:9",
		"fe80::1%eth0", "[::1]",
		"::12345", "g::", ":::", "1.2.3.4::", "example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct ip ret = { .family = 77 };

		if (ip_parse(texts[i], &ret) != -22 || ret.family != 77)
			fail_msg("'%s'", texts[i]);
	}
}

static void prefixes_are_parsed_strictly(void **state)
{
	static const char *const bad[] = {
		"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/024", "192.0.2.0/+24", "192.0.2.0/ 24", "192.0.2.0/24 ",
		"192.0.2.0/2x", "/24",
		"2001:db8::/129", "2001:db8::/1000", "192.0.2.0/24/24", "192.0.2.0/-1",
		"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff:2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff/64",
	};
	struct prefix p;
	char buf[PREFIX_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		p.length = 77;
		if (prefix_parse(bad[i], true, &p) != -22 || p.length != 77)
			fail_msg("'%s'", bad[i]);
	}
	assert_int_equal(prefix_parse("192.0.2.7/0", false, &p), 0);
	assert_string_equal(prefix_print(&p, buf), "192.0.2.7/0");
	assert_int_equal(prefix_parse("2001:db8::1/128", false, &p), 0);
	assert_string_equal(prefix_print(&p, buf), "2001:db8::1/128");
	assert_int_equal(prefix_parse("192.0.2.7", false, &p), -22);
	assert_int_equal(prefix_parse("192.0.2.7", true, &p), 0);
	assert_int_equal(p.length, 32);
	assert_int_equal(prefix_parse("2001:db8::7", true, &p), 0);
	assert_int_equal(p.length, 128);
	p = (struct prefix){ 0 };
	assert_string_equal(prefix_print(&p, buf), "-");
}

static void networks_and_broadcasts(void **state)
{
	static const struct { const char *prefix, *network, *broadcast; } cases[] = {
		{ "192.0.2.77/24", "192.0.2.0/24", "192.0.2.255" }, { "192.0.2.77/27", "192.0.2.64/27", "192.0.2.95" },
		{ "192.0.2.77/30", "192.0.2.76/30", "192.0.2.79" }, { "192.0.2.77/31", "192.0.2.76/31", "-" },
		{ "192.0.2.77/32", "192.0.2.77/32", "192.0.2.77" }, { "192.0.2.77/0", "0.0.0.0/0", "255.255.255.255" },
		{ "2001:db8::ff:1/112", "2001:db8::ff:0/112", "-" },
		{ "2001:db8:ffff::1/33", "2001:db8:8000::/33", "-" },
		{ "2001:db8::1/128", "2001:db8::1/128", "-" }, { "2001:db8::1/0", "::/0", "-" },
	};
	char buf[PREFIX_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct prefix p = prefix(cases[i].prefix), network = prefix_network(&p);
		struct ip broadcast = prefix_broadcast(&p);

		assert_string_equal(prefix_print(&network, buf), cases[i].network);
		assert_string_equal(ip_print(&broadcast, buf), cases[i].broadcast);
	}
}

static void containment(void **state)
{
	static const struct { const char *prefix, *ip; bool in; } cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", true }, { "192.0.2.0/24", "192.0.3.0", false }, { "192.0.2.9/29",
		  "192.0.2.15", true },
		{ "192.0.2.9/29", "192.0.2.7", false }, { "0.0.0.0/0", "203.0.113.1", true },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "0.0.0.0", false }, { "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33",
		  "2001:db8:8000::1", false },
		{ "192.0.2.1/32", "192.0.2.1", true }, { "192.0.2.1/32", "192.0.2.0", false },
	};
	struct prefix none = { 0 };
	struct ip no_ip = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct prefix p = prefix(cases[i].prefix);
		struct ip a = ip(cases[i].ip);

		if (prefix_contains(&p, &a) != cases[i].in)
			fail_msg("%s in %s", cases[i].ip, cases[i].prefix);
	}
	assert_false(prefix_contains(&none, &no_ip));
}

static void order_is_family_bytes_length(void **state)
{
	static const char *const sorted[] = { "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.1/8", "255.0.0.0/8",
		"::/0", "::1/128", "fe80::/10" };

	(void)state;
	for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
		for (size_t k = 0; k < sizeof sorted / sizeof *sorted; k++) {
			struct prefix a = prefix(sorted[i]), b = prefix(sorted[k]);
			int order = prefix_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
	assert_int_equal(ip_bits(AF_INET), 32);
	assert_int_equal(ip_bits(AF_INET6), 128);
	assert_int_equal(ip_bits(0), 0);
}

static void kinds_of_addresses(void **state)
{
	/* l: link-local, m: multicast, u: unspecified, o: loopback */
	static const struct { const char *ip; const char *kinds; } cases[] = {
		{ "169.254.0.0", "l" }, { "169.255.0.0", "" }, { "169.253.255.255", "" }, { "fe80::1", "l" },
		{ "febf::1", "l" },
		{ "fec0::1", "" }, { "fe7f::1", "" }, { "224.0.0.1", "m" }, { "239.255.255.255", "m" },
		{ "240.0.0.1", "" },
		{ "223.255.255.255", "" }, { "ff02::1", "m" }, { "fe00::1", "" }, { "0.0.0.0", "u" }, { "::", "u" },
		{ "0.0.0.1", "" },
		{ "127.0.0.1", "o" }, { "127.255.0.1", "o" }, { "128.0.0.1", "" }, { "::1", "o" }, { "::2", "" },
		{ "1::1", "" },
	};
	struct ip none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ip a = ip(cases[i].ip);
		char kinds[5] = "", *p = kinds;

		if (ip_is_link_local(&a))
			*p++ = 'l';
		if (ip_is_multicast(&a))
			*p++ = 'm';
		if (ip_is_unspecified(&a))
			*p++ = 'u';
		if (ip_is_loopback(&a))
			*p++ = 'o';
		if (strcmp(kinds, cases[i].kinds) != 0)
			fail_msg("%s: '%s'", cases[i].ip, kinds);
	}
	assert_false(ip_is_unspecified(&none) || ip_is_loopback(&none) || ip_is_link_local(&none) ||
		     ip_is_multicast(&none));
}

static void macs(void **state)
{
	static const char *const bad[] = { "", "fa:16:3e:00:00", "fa:16:3e:00:00:0", "fa:16:3e:00:00:0g",
		"fa-16-3e-00-00-01",
					   "fa:16:3e:00:00:01:", "fa:16:3e:00:00:012", "fa163e000001" };
	struct mac mac, group, zero;
	char buf[MAC_TEXT], text[IP_TEXT];
	struct ip a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mac_parse(bad[i], &mac) != -22)
			fail_msg("'%s'", bad[i]);
	assert_int_equal(mac_parse("FA:16:3e:0a:Bc:01", &mac), 0);
	assert_string_equal(mac_print(&mac, buf), "fa:16:3e:0a:bc:01");
	assert_true(mac_is_unicast(&mac));
	assert_int_equal(mac_parse("01:00:5e:00:00:01", &group), 0);
	assert_int_equal(mac_parse("00:00:00:00:00:00", &zero), 0);
	assert_false(mac_is_unicast(&group));
	assert_false(mac_is_unicast(&zero));
	/* RFC 4291, appendix A: the universal/local bit is inverted, ff:fe goes in between. */
	assert_int_equal(mac_parse("34:56:78:9a:bc:de", &mac), 0);
	a = ip_link_local(&mac);
	assert_string_equal(ip_print(&a, text), "fe80::3656:78ff:fe9a:bcde");
}

static void uuids(void **state)
{
	static const char *const bad[] = {
		"", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b810-9dad-11d1-80b4-00c04fd430c88",
		"6ba7b8109dad11d180b400c04fd430c8",
		"6ba7b810-9dad-11d1-80b4+00c04fd430c8", "6ba7b81-09dad-11d1-80b4-00c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cg",
		"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "6ba7b810-9dad-11d1-80b4-00c04fd430--",
	};
	/* RFC 4122, appendix C: the name space of domain names. */
	static const char dns_text[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	struct uuid dns, id = { 0 };
	char buf[UUID_TEXT];

	(void)state;
	assert_true(uuid_is_null(&id));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (uuid_parse(bad[i], &id) != -22 || !uuid_is_null(&id))
			fail_msg("'%s'", bad[i]);
	assert_int_equal(uuid_parse("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", &dns), 0);
	assert_string_equal(uuid_print(&dns, buf), dns_text);
	assert_int_equal(dns.bytes[0], 0x6b);
	assert_int_equal(dns.bytes[15], 0xc8);
	/* RFC 9562, appendix A.4, and the example of Python's uuid module. */
	id = uuid_v5(&dns, "www.example.com");
	assert_string_equal(uuid_print(&id, buf), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
	id = uuid_v5(&dns, "python.org");
	assert_string_equal(uuid_print(&id, buf), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	assert_false(uuid_is_null(&id));
	assert_true(uuid_compare(&id, &dns) > 0 && uuid_compare(&dns, &id) < 0 && uuid_compare(&id, &id) == 0);
}

/* These name devices of everybody who runs the program: they never change. */
static void derived_values_stay(void **state)
{
	struct uuid id = uuid_v5(&uuid_space_l3agent, "router:web");
	struct mac mac = mac_from_uuid(&id);
	char text[UUID_TEXT], mac_text[MAC_TEXT];

	(void)state;
	assert_string_equal(uuid_print(&uuid_space_l3agent, text), "5d0e913c-7a42-4b1f-9c36-e804b7d26f55");
	assert_string_equal(uuid_print(&id, text), "eed7833d-1551-510b-80cf-5605f22cbbd4");
	assert_string_equal(mac_print(&mac, mac_text), "fa:16:3e:db:67:6d");
	assert_true(mac_is_unicast(&mac));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_print_as_rfc5952_says),
		cmocka_unit_test(other_text_is_no_address),
		cmocka_unit_test(prefixes_are_parsed_strictly),
		cmocka_unit_test(networks_and_broadcasts),
		cmocka_unit_test(containment),
		cmocka_unit_test(order_is_family_bytes_length),
		cmocka_unit_test(kinds_of_addresses),
		cmocka_unit_test(macs),
		cmocka_unit_test(uuids),
		cmocka_unit_test(derived_values_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
