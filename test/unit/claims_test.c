/* SPDX-License-Identifier: GPL-3.0-or-later */

/* l3agent/claims.c: what only one router of the node may have. */

#include "claims.h"

#include "conf.h"
#include "plan.h"
#include "problems.h"
#include "routers.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static const char settings[] = "networks: {public: {bridge: br-ex}, other: {bridge: br-ex2}, blue: {bridge: br-blue}}\n";

static struct conf *conf;
static struct problems problems;

static struct routers parse(const char *text)
{
	struct routers routers = { 0 };

	problems_clear(&problems);
	if (!conf)
		assert_int_equal(conf_parse("agent.yaml", settings, strlen(settings), &problems, &conf), 0);
	assert_int_equal(routers_parse("x.yaml", text, strlen(text), conf, &problems, &routers), 0);
	return routers;
}

#define GATEWAY(net, ip) "external_gateway_info: {network: " net ", external_fixed_ips: [" ip "/24]}, "

/* May `second` stand beside `first`? If not, `fragment` is part of the reason. */
static void beside(const char *first, const char *second, const char *fragment)
{
	struct claims claims = { 0 };
	struct claim_owner a = { .path = "a.yaml" }, b = { .path = "b.yaml" };
	struct routers one = parse(first), two = parse(second);
	bool fine;

	claims_set(&claims, &a, &one);
	fine = claims_check(&claims, &b, &two, &problems);
	assert_int_equal(fine, fragment == NULL);
	if (fragment) {
		assert_string_equal(problems.at[0].file, "b.yaml");
		if (!strstr(problems.at[0].text, fragment))
			fail_msg("\"%s\" lacks \"%s\"", problems.at[0].text, fragment);
	}
	/* Whoever is about to be replaced is in nobody's way, and nobody is in his own. */
	a.replacing = true;
	assert_true(claims_check(&claims, &b, &two, &problems));
	a.replacing = false;
	assert_true(claims_check(&claims, &a, &one, &problems));
	claims_set(&claims, &a, NULL);
	assert_true(claims_check(&claims, &b, &two, &problems));
	assert_null(claims.table);
	routers_free(&one);
	routers_free(&two);
}

static void test_pairs(void **state)
{
	(void)state;
	beside("routers: [{name: a}]", "routers: [{name: b}]", NULL);
	beside("routers: [{name: a}]", "routers: [{name: a}]", "stands already in a.yaml:1");
	beside("routers: [{name: a, " GATEWAY("public", "203.0.113.10") "}]",
	       "routers: [{name: b, " GATEWAY("public", "203.0.113.10") "}]", "uses 203.0.113.10 on network public");
	beside("routers: [{name: a, " GATEWAY("public", "203.0.113.10") "}]",
	       "routers: [{name: b, " GATEWAY("other", "203.0.113.10") "}]", NULL);
	beside("routers: [{name: a, " GATEWAY("public", "203.0.113.10") "interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}],"
	       " floatingips: [{floating_ip_address: 203.0.113.20, fixed_ip_address: 10.0.0.5}]}]",
	       "routers: [{name: b, " GATEWAY("public", "203.0.113.20") "}]", "uses 203.0.113.20 on network public");
	beside("routers: [{name: a, " GATEWAY("public", "203.0.113.10") "interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}],"
	       " floatingips: [{floating_ip_address: 203.0.113.20, fixed_ip_address: 10.0.0.5}]}]",
	       "routers: [{name: b, " GATEWAY("public", "203.0.113.11") "interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}],"
	       " port_forwardings: [{floating_ip_address: 203.0.113.20, protocol: tcp, external_port: 80,"
	       " internal_ip_address: 10.0.0.5, internal_port: 80}]}]", "uses 203.0.113.20 on network public");
	/* Overlapping guests are what routers are for. */
	beside("routers: [{name: a, interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}]}]",
	       "routers: [{name: b, interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}]}]", NULL);
	beside("routers: [{name: a, interfaces: [{network: blue, id: a1b2c3d4-e5f6-4a7b-8c9d-000000000001,"
	       " fixed_ips: [10.0.0.1/24]}]}]",
	       "routers: [{name: b, interfaces: [{network: blue, id: a1b2c3d4-e5ff-4a7b-8c9d-000000000002,"
	       " fixed_ips: [10.0.0.1/24]}]}]", "a1b2c3d4-e5");
}

static void test_has_router(void **state)
{
	struct claims claims = { 0 };
	struct claim_owner a = { .path = "a.yaml" };
	struct routers one = parse("routers: [{name: a}, {name: b}]"), two = parse("routers: [{name: b}]");
	struct uuid id = one.at[0]->id;

	(void)state;
	assert_null(claims_router_owner(&claims, &id));
	claims_set(&claims, &a, &one);
	assert_ptr_equal(claims_router_owner(&claims, &id), &a);
	claims_set(&claims, &a, &two);
	assert_null(claims_router_owner(&claims, &id));
	assert_ptr_equal(claims_router_owner(&claims, &two.at[0]->id), &a);
	claims_set(&claims, &a, NULL);
	routers_free(&one);
	routers_free(&two);
}

static void test_device_names(void **state)
{
	struct uuid id;
	char name[IFNAMSIZ], namespace[NS_NAME_MAX];

	(void)state;
	assert_int_equal(uuid_parse("a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d", &id), 0);
	plan_device("qr-", &id, name);
	assert_string_equal(name, "qr-a1b2c3d4-e5");
	plan_device("tap", &id, name);
	assert_string_equal(name, "tapa1b2c3d4-e5");
	plan_namespace(&id, namespace);
	assert_string_equal(namespace, "qrouter-a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d");
}

static int end(void **state)
{
	(void)state;
	problems_clear(&problems);
	conf_free(conf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_has_router),
		cmocka_unit_test(test_device_names),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
