/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Edits of router files: the whole text before and after, in every style that people write. */

#include "problems.h"
#include "routers.h"
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A router that floating IPs can be added to; its text goes on in the router's map. */
#define HEAD "routers:\n- name: web\n" \
	"  external_gateway_info: {network: public, external_fixed_ips: [203.0.113.10/24]}\n" \
	"  interfaces:\n  - {network: blue, fixed_ips: [10.0.0.1/24]}\n"
#define ENTRY(last) "{floating_ip_address: 203.0.113." last ", fixed_ip_address: 10.0.0." last "}"

static struct ip ip(const char *text)
{
	struct ip ret;

	assert_int_equal(ip_parse(text, &ret), 0);
	return ret;
}

struct outcome { int error; char *text, *why; size_t n; };

static struct outcome add(const char *text, const char *floating, const char *fixed)
{
	struct edit_floatingip fip = { .floating_ip_address = ip(floating), .fixed_ip_address = ip(fixed) };
	struct outcome o = { 0 };

	o.error = routers_edit_floatingip_add(text, strlen(text), "web", &fip, &o.text, &o.n, &o.why);
	return o;
}

static struct outcome del(const char *text, const char *floating)
{
	struct ip address = ip(floating);
	struct outcome o = { 0 };

	o.error = routers_edit_floatingip_del(text, strlen(text), "web", &address, &o.text, &o.n, &o.why);
	return o;
}

static void outcome_free(struct outcome *o)
{
	free(o->text);
	free(o->why);
}

/* 1 if it is not `want`, which is said. */
static unsigned differs(struct outcome o, const char *before, const char *want)
{
	unsigned wrong = o.error || o.n != strlen(want) || strcmp(o.text, want) != 0;

	if (wrong)
		print_error("---- before\n%s\n---- want\n%s\n---- got %d %s\n%s\n", before, want, o.error,
			    o.why ? o.why : "", o.text ? o.text : "");
	outcome_free(&o);
	return wrong;
}

/* ---- floating IPs: adding ---- */

static const struct { const char *before, *after; } adds[] = {
	/* no key */
	{ HEAD, HEAD "  floatingips:\n  - " ENTRY("5") "\n" },
	{ HEAD "\n# the end\n", HEAD "  floatingips:\n  - " ENTRY("5") "\n\n# the end\n" },
	{ HEAD "  routes: [] # none", HEAD "  routes: [] # none\n  floatingips:\n  - " ENTRY("5") },
	{ HEAD "- name: b\n", HEAD "  floatingips:\n  - " ENTRY("5") "\n- name: b\n" },
	/* no key, lists indented, dash on a line of its own */
	{ "routers:\n  -\n    interfaces:\n      - network: blue\n        fixed_ips:\n          - 10.0.0.1/24\n"
	  "    name: web\n"
	  "    external_gateway_info:\n      network: public\n      external_fixed_ips:\n        - 203.0.113.10/24\n",
	  "routers:\n  -\n    interfaces:\n      - network: blue\n        fixed_ips:\n          - 10.0.0.1/24\n"
	  "    name: web\n"
	  "    external_gateway_info:\n      network: public\n      external_fixed_ips:\n        - 203.0.113.10/24\n"
	  "    floatingips:\n      - " ENTRY("5") "\n" },
	/* after a literal block, whose last blank line is not its content */
	{ HEAD "  instances:\n  - fixed_ip_address: 10.0.0.5\n    instance_id: i\n    user_data: |\n      #!/bin/sh\n\n"
	  "- name: b\n",
	  HEAD "  instances:\n  - fixed_ip_address: 10.0.0.5\n    instance_id: i\n    user_data: |\n      #!/bin/sh\n"
	  "  floatingips:\n  - " ENTRY("5") "\n\n- name: b\n" },
	/* the blank line is content here */
	{ HEAD "  instances:\n  - fixed_ip_address: 10.0.0.5\n    instance_id: i\n    user_data: |+\n      #!/bin/sh\n"
	  "\n- name: b\n",
	  HEAD "  instances:\n  - fixed_ip_address: 10.0.0.5\n    instance_id: i\n    user_data: |+\n      #!/bin/sh\n"
	  "\n"
	  "  floatingips:\n  - " ENTRY("5") "\n- name: b\n" },
	/* an empty value */
	{ HEAD "  floatingips:\n", HEAD "  floatingips:\n  - " ENTRY("5") "\n" },
	{ HEAD "  floatingips:", HEAD "  floatingips:\n  - " ENTRY("5") },
	{ HEAD "  floatingips: []   # none yet\n  routes: []\n",
	  HEAD "  floatingips:   # none yet\n  - " ENTRY("5") "\n  routes: []\n" },
	{ HEAD "  floatingips: null\n", HEAD "  floatingips:\n  - " ENTRY("5") "\n" },
	{ HEAD "  floatingips: [\n  ]\n", HEAD "  floatingips: [" ENTRY("5") "\n  ]\n" },
	/* a block list */
	{ HEAD "  floatingips:\n  - " ENTRY("9") "\n  routes: []\n",
	  HEAD "  floatingips:\n  - " ENTRY("9") "\n  - " ENTRY("5") "\n  routes: []\n" },
	{ HEAD "  floatingips:\n  # first\n  - " ENTRY("9") " # nine\n\n  # routes follow\n  routes: []\n",
	  HEAD "  floatingips:\n  # first\n  - " ENTRY("9") " # nine\n  - " ENTRY("5")
	  "\n\n  # routes follow\n  routes: []\n" },
	{ HEAD "  floatingips:\n      - " ENTRY("9"),
	  HEAD "  floatingips:\n      - " ENTRY("9") "\n      - " ENTRY("5") },
	{ HEAD "  floatingips:\n  -   floating_ip_address: 203.0.113.9\n      fixed_ip_address: 10.0.0.9 # nine\n"
	  "# end\n",
	  HEAD "  floatingips:\n  -   floating_ip_address: 203.0.113.9\n      fixed_ip_address: 10.0.0.9 # nine\n"
	  "  -   floating_ip_address: 203.0.113.5\n      fixed_ip_address: 10.0.0.5\n# end\n" },
	{ HEAD "  floatingips:\n  - {floating_ip_address: 203.0.113.9,\n     fixed_ip_address: 10.0.0.9}\n",
	  HEAD "  floatingips:\n  - {floating_ip_address: 203.0.113.9,\n     fixed_ip_address: 10.0.0.9}\n  - "
	  ENTRY("5") "\n" },
	/* a flow list */
	{ HEAD "  floatingips: [" ENTRY("9") "]\n", HEAD "  floatingips: [" ENTRY("9") ", " ENTRY("5") "]\n" },
	{ HEAD "  floatingips: [" ENTRY("9") ",]\n", HEAD "  floatingips: [" ENTRY("9") ", " ENTRY("5") "]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("9") "\n  ]\n",
	  HEAD "  floatingips: [\n    " ENTRY("9") ",\n    " ENTRY("5") "\n  ]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("9") ", # nine\n  ]\n",
	  HEAD "  floatingips: [\n    " ENTRY("9") ", # nine\n    " ENTRY("5") ",\n  ]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("9") " # nine\n  ]\n",
	  HEAD "  floatingips: [\n    " ENTRY("9") ", # nine\n    " ENTRY("5") "\n  ]\n" },
	{ HEAD "  floatingips: [" ENTRY("8") ",\n    " ENTRY("9") "]\n",
	  HEAD "  floatingips: [" ENTRY("8") ",\n    " ENTRY("9") ", " ENTRY("5") "]\n" },
	/* a router in flow style, and JSON */
	{ "routers:\n- {name: web, external_gateway_info: {network: p, external_fixed_ips: [203.0.113.10/24]},\n"
	  "   interfaces: [{network: b, fixed_ips: [10.0.0.1/24]}]}\n",
	  "routers:\n- {name: web, external_gateway_info: {network: p, external_fixed_ips: [203.0.113.10/24]},\n"
	  "   interfaces: [{network: b, fixed_ips: [10.0.0.1/24]}], floatingips: [" ENTRY("5") "]}\n" },
	{ "{\"routers\": [{\"name\": \"web\", \"floatingips\": [], \"interfaces\": [{\"network\": \"b\", "
	  "\"fixed_ips\": "
	  "[\"10.0.0.1/24\"]}], \"external_gateway_info\": {\"network\": \"p\", \"external_fixed_ips\": "
	  "[\"203.0.113.10/24\"]}}]}",
	  "{\"routers\": [{\"name\": \"web\", \"floatingips\": [{\"floating_ip_address\": \"203.0.113.5\", "
	  "\"fixed_ip_address\": "
	  "\"10.0.0.5\"}], \"interfaces\": [{\"network\": \"b\", \"fixed_ips\": [\"10.0.0.1/24\"]}], "
	  "\"external_gateway_info\": {\"network\": \"p\", \"external_fixed_ips\": [\"203.0.113.10/24\"]}}]}" },
	/* line ends, characters of several bytes, a byte order mark */
	{ "# \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\r\nrouters:\r\n- name: web # \xc3\xa4\r\n"
	  "  external_gateway_info: {network: \"\xc3\xa4\", "
	  "external_fixed_ips: [203.0.113.10/24]}\r\n  interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}]\r\n",
	  "# \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\r\nrouters:\r\n- name: web # \xc3\xa4\r\n"
	  "  external_gateway_info: {network: \"\xc3\xa4\", "
	  "external_fixed_ips: [203.0.113.10/24]}\r\n  interfaces: [{network: blue, fixed_ips: [10.0.0.1/24]}]\r\n"
	  "  floatingips:\r\n  - " ENTRY("5") "\r\n" },
	{ "\xef\xbb\xbf" HEAD "  floatingips: []\n", "\xef\xbb\xbf" HEAD "  floatingips:\n  - " ENTRY("5") "\n" },
	/* pointing one at another guest: only the address changes */
	{ HEAD "  floatingips:\n  - {floating_ip_address: 203.0.113.5, fixed_ip_address: 10.0.0.77}   # five\n",
	  HEAD "  floatingips:\n  - {floating_ip_address: 203.0.113.5, fixed_ip_address: 10.0.0.5}   # five\n" },
	{ HEAD "  floatingips:\n  - fixed_ip_address: '10.0.0.77'   # five\n    floating_ip_address: \"203.0.113.5\"\n",
	  HEAD "  floatingips:\n  - fixed_ip_address: '10.0.0.5'   # five\n"
	  "    floating_ip_address: \"203.0.113.5\"\n" },
	{ HEAD "  floatingips: [" ENTRY("9") ", {fixed_ip_address: \"10.0.0.77\", floating_ip_address: 203.0.113.5}]\n",
	  HEAD "  floatingips: [" ENTRY("9") ", {fixed_ip_address: \"10.0.0.5\", floating_ip_address: "
	  "203.0.113.5}]\n" },
};

static void floatingips_are_added(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof adds / sizeof *adds; i++)
		wrong += differs(add(adds[i].before, "203.0.113.5", "10.0.0.5"), adds[i].before, adds[i].after);
	assert_int_equal(wrong, 0);
}

/* ---- floating IPs: removing ---- */

static const struct { const char *before, *after; } dels[] = {
	{ HEAD "  floatingips:\n  - " ENTRY("5") "\n  - " ENTRY("6") "\n",
	  HEAD "  floatingips:\n  - " ENTRY("6") "\n" },
	{ HEAD "  floatingips:\n  - " ENTRY("6") "\n  - " ENTRY("5") "\n",
	  HEAD "  floatingips:\n  - " ENTRY("6") "\n" },
	{ HEAD "  floatingips:\n  - " ENTRY("6") "\n  - " ENTRY("5"), HEAD "  floatingips:\n  - " ENTRY("6") },
	{ HEAD "  floatingips:\n  # six\n  - " ENTRY("6") " # 6\n\n  # five\n  - " ENTRY("5")
	  " # 5\n  # more\n  routes: []\n",
	  HEAD "  floatingips:\n  # six\n  - " ENTRY("6") " # 6\n\n  # five\n  # more\n  routes: []\n" },
	{ HEAD "  floatingips:\n  - floating_ip_address: 203.0.113.5\n\n    fixed_ip_address: 10.0.0.5\n\n  - "
	  ENTRY("6") "\n",
	  HEAD "  floatingips:\n\n  - " ENTRY("6") "\n" },
	/* the last one */
	{ HEAD "  floatingips:\n  - " ENTRY("5") "\n  routes: []\n", HEAD "  floatingips: []\n  routes: []\n" },
	{ HEAD "  floatingips: # of web\n  # five\n  - " ENTRY("5"), HEAD "  floatingips: [] # of web\n  # five" },
	{ HEAD "  'floatingips' :\n  - " ENTRY("5") "\n", HEAD "  'floatingips' : []\n" },
	{ HEAD "  floatingips: [" ENTRY("5") "]\n", HEAD "  floatingips: []\n" },
	{ HEAD "  floatingips: [ " ENTRY("5") ", ]\n", HEAD "  floatingips: [ ]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("5") " # five\n  ]\n", HEAD "  floatingips: [\n  ]\n" },
	/* flow lists */
	{ HEAD "  floatingips: [" ENTRY("5") ", " ENTRY("6") "]\n", HEAD "  floatingips: [" ENTRY("6") "]\n" },
	{ HEAD "  floatingips: [" ENTRY("6") ", " ENTRY("5") "]\n", HEAD "  floatingips: [" ENTRY("6") "]\n" },
	{ HEAD "  floatingips: [" ENTRY("6") ", " ENTRY("5") ",]\n", HEAD "  floatingips: [" ENTRY("6") ", ]\n" },
	{ HEAD "  floatingips: [" ENTRY("6") ", " ENTRY("5") ", " ENTRY("7") "]\n",
	  HEAD "  floatingips: [" ENTRY("6") ", " ENTRY("7") "]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("5") ", # five\n    " ENTRY("6") " # six\n  ]\n",
	  HEAD "  floatingips: [\n    " ENTRY("6") " # six\n  ]\n" },
	{ HEAD "  floatingips: [\n    " ENTRY("6") ",\n    " ENTRY("5") "\n  ]\n",
	  HEAD "  floatingips: [\n    " ENTRY("6") ",\n  ]\n" },
	{ HEAD "  floatingips: [ " ENTRY("6") "\n               , " ENTRY("5") "\n               ]\n",
	  HEAD "  floatingips: [ " ENTRY("6") "\n               \n               ]\n" },
	{ HEAD "  floatingips: [ " ENTRY("5") "\n               , " ENTRY("6") "\n               ]\n",
	  HEAD "  floatingips: [ \n               " ENTRY("6") "\n               ]\n" },
	{ HEAD "  floatingips: [" ENTRY("6") ", # six\n    " ENTRY("5") "]\n",
	  HEAD "  floatingips: [" ENTRY("6") " # six\n    ]\n" },
	{ HEAD "  floatingips: [" ENTRY("5") ", # five\n    " ENTRY("6") "]\n",
	  HEAD "  floatingips: [ # five\n    " ENTRY("6") "]\n" },
	{ "{\"routers\": [{\"floatingips\": [{\"floating_ip_address\": \"203.0.113.5\"}], \"name\": \"web\"}]}",
	  "{\"routers\": [{\"floatingips\": [], \"name\": \"web\"}]}" },
	/* CRLF, and a router that begins with the list */
	{ "routers:\r\n- floatingips:\r\n  - " ENTRY("5") "\r\n  name: web\r\n",
	  "routers:\r\n- floatingips: []\r\n  name: web\r\n" },
	{ "routers:\r\n- name: web\r\n  floatingips:\r\n  - " ENTRY("5"),
	  "routers:\r\n- name: web\r\n  floatingips: []" },
};

static void floatingips_are_removed(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof dels / sizeof *dels; i++)
		wrong += differs(del(dels[i].before, "203.0.113.5"), dels[i].before, dels[i].after);
	assert_int_equal(wrong, 0);
}

/* ---- routers ---- */

static struct outcome replace(const char *text, const char *router, const char *block)
{
	struct outcome o = { 0 };

	o.error = routers_edit_replace(text, strlen(text), router, block, strlen(block), &o.text, &o.n, &o.why);
	return o;
}

static const struct { const char *before, *block, *after; } replaces[] = {
	/* in its place */
	{ "routers:\n- name: a\n- name: b\n  routes: []\n- name: c\n", "- name: b\n  interfaces: []\n",
	  "routers:\n- name: a\n- name: b\n  interfaces: []\n- name: c\n" },
	{ "routers:\n# about b\n- name: b\n\n# about c\n- name: c\n", "- name: b\n  routes: []",
	  "routers:\n# about b\n- name: b\n"
	  "  routes: []\n\n# about c\n- name: c\n" },
	{ "routers:\n# about b\n- name: b\n\n# about c\n- name: c\n", "# new\n- name: b\n  routes: []\n\n",
	  "routers:\n# new\n"
	  "- name: b\n  routes: []\n\n# about c\n- name: c\n" },
	{ "routers:\n- name: b\n  routes: []", "- name: b", "routers:\n- name: b" },
	{ "routers:\n- {name: b}\n", "- {name: b, routes: []}\n", "routers:\n- {name: b, routes: []}\n" },
	/* indented more and less than the file, which has its own line ends */
	{ "routers:\n  - name: b\n  - name: c\n", "- name: b\n  project_id: |\n    x\n\n    y\n# end\n",
	  "routers:\n  - name: b\n    project_id: |\n      x\n\n      y\n  # end\n  - name: c\n" },
	{ "routers:\r\n- name: b\r\n- name: c\r\n", "    -\n      name: b\n      routes:\n        - nexthop: x\n",
	  "routers:\r\n-\r\n  name: b\r\n  routes:\r\n    - nexthop: x\r\n- name: c\r\n" },
	{ "routers:\n- name: b\n", "\xef\xbb\xbf- name: b\r\n  routes: []\r\n", "routers:\n- name: b\n  routes: []\n" },
	/* a literal block at the end: its last line end, and blank lines that are content */
	{ "routers:\n- name: b\n- name: c\n", "\n- name: b\n  project_id: |\n    x",
	  "routers:\n- name: b\n  project_id: |\n    x\n- name: c\n" },
	{ "routers:\n- name: b", "- name: b\n  project_id: |\n    x\n",
	  "routers:\n- name: b\n  project_id: |\n    x\n" },
	{ "routers:\n- name: a", "- name: b\n  project_id: |\n    x\n",
	  "routers:\n- name: a\n- name: b\n  project_id: |\n    x\n" },
	{ "routers:", "- name: b\n  project_id: |\n    x\n", "routers:\n- name: b\n  project_id: |\n    x\n" },
	{ "routers:\n- name: c\n  project_id: |+\n    x\n", "\n\n- name: b\n  project_id: |+\n    x\n\n\n",
	  "routers:\n- name: c\n  project_id: |+\n    x\n- name: b\n  project_id: |+\n    x\n\n\n" },
	/* by its id, which is derived from the name; a new name */
	{ "routers:\n- name: a\n- {name: x, id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f}\n",
	  "- {name: b, id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f}", "routers:\n- name: a\n"
	  "- {name: b, id: 6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f}\n" },
	/* at the end, because it is not there */
	{ "routers:\n- name: a\n\n# the end\n", "- name: b\n", "routers:\n- name: a\n- name: b\n\n# the end\n" },
	{ "routers:\n  - name: a\n    # of a\n# the end", "- name: b\n",
	  "routers:\n  - name: a\n    # of a\n  - name: b\n# the end" },
	{ "routers:\n- name: a", "- name: b\n", "routers:\n- name: a\n- name: b" },
	{ "routers: []\n", "- name: b\n", "routers:\n- name: b\n" },
	{ "routers: [] # none\n# end\n", "- name: b\n", "routers: # none\n- name: b\n# end\n" },
	{ "routers:", "- name: b\n", "routers:\n- name: b" },
	{ "", "- name: b\n", "routers:\n- name: b\n" },
	{ "# nothing", "  - name: b\n    routes: []\n", "# nothing\nrouters:\n- name: b\n  routes: []\n" },
	{ "---\n", "- name: b\n", "---\nrouters:\n- name: b\n" },
};

static void routers_are_replaced_or_added(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof replaces / sizeof *replaces; i++) {
		const char *router =
			strstr(replaces[i].before, "6f9a1c3e") ? "6f9a1c3e-52d4-4b7a-9c1e-0a2b4c6d8e0f" : "b";

		wrong += differs(replace(replaces[i].before, router, replaces[i].block), replaces[i].before,
				 replaces[i].after);
	}
	assert_int_equal(wrong, 0);
}

static const struct { const char *before, *after; bool empty; } deletes[] = {
	{ "routers:\n- name: a\n# about b\n# more\n- name: b\n  routes: []\n  # of b\n# about c\n- name: c\n",
	  "routers:\n- name: a\n# about c\n- name: c\n", false },
	{ "routers:\n- name: a\n\n- name: b", "routers:\n- name: a\n", false },
	{ "routers:\n- name: b\n", "routers: []\n", true },
	{ "---\nrouters:\n  - name: b\n", "---\nrouters: []\n", true },
	{ "# mine\nrouters:\n- name: b\n", "# mine\nrouters: []\n", false },
	{ "routers: [{name: b}]", "routers: []", true },
	{ "routers: [{name: a}, {name: b}]", "routers: [{name: a}]", false },
	{ "routers:\n- name: b\n  routes:\n    []\n- name: c\n", "routers:\n- name: c\n", false },
	{ "routers:\n  # a\n  - name: a\n    # end of a\n  - name: b\n    # end of b\n\n    # and more\n\n  # c\n"
	  "  - name: c\n",
	  "routers:\n  # a\n  - name: a\n    # end of a\n\n  # c\n  - name: c\n", false },
};

static void routers_are_deleted(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof deletes / sizeof *deletes; i++) {
		struct outcome o = { 0 };
		bool empty = !deletes[i].empty;

		o.error = routers_edit_delete(deletes[i].before, strlen(deletes[i].before), "b", &o.text, &o.n, &empty,
					      &o.why);
		assert_int_equal(empty, deletes[i].empty);
		wrong += differs(o, deletes[i].before, deletes[i].after);
	}
	assert_int_equal(wrong, 0);
}

static void derived_ids_find_their_router(void **state)
{
	struct uuid id = uuid_v5(&uuid_space_l3agent, "router:b");
	char text[UUID_TEXT];
	struct outcome o =
		replace("routers:\n- name: a\n- name: b\n", uuid_print(&id, text), "- name: b\n  routes: []\n");

	(void)state;
	assert_int_equal(o.error, 0);
	assert_string_equal(o.text, "routers:\n- name: a\n- name: b\n  routes: []\n");
	outcome_free(&o);
}

static void blocks_have_their_comments(void **state)
{
	static const char text[] = "routers:\n# a\n- name: a\n  # of a\n\n# about b\n# and more\n- name: b\n\n# end\n";
	static const char *const blocks[] = { "# a\n- name: a\n  # of a\n", "# about b\n# and more\n- name: b\n" };
	static const char flow[] = "routers: [{name: a}]\n", bad[] = "routers: [\n";
	size_t start, n;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(routers_block(text, sizeof text - 1, i, &start, &n), 0);
		assert_int_equal(n, strlen(blocks[i]));
		assert_memory_equal(text + start, blocks[i], n);
	}
	assert_int_equal(routers_block(text, sizeof text - 1, 2, &start, &n), -ENOENT);
	assert_int_equal(routers_block("", 0, 0, &start, &n), -ENOENT);
	assert_int_equal(routers_block(flow, sizeof flow - 1, 0, &start, &n), -EINVAL);
	assert_int_equal(routers_block(bad, sizeof bad - 1, 0, &start, &n), -EINVAL);
}

/* ---- refusals ---- */

static void assert_refused(struct outcome o, int error, const char *why)
{
	assert_int_equal(o.error, error);
	assert_null(o.text);
	if (!o.why || !strstr(o.why, why))
		fail_msg("expected %s, got %s", why, o.why ? o.why : "no reason");
	outcome_free(&o);
}

static void refusals_say_why(void **state)
{
	(void)state;
	assert_refused(add("routers:\n- name: a\n", "203.0.113.5", "10.0.0.5"), -ENOENT, "no router web in this file");
	assert_refused(add(HEAD "  floatingips: [" ENTRY("5") "]\n", "203.0.113.5", "10.0.0.5"), -EEXIST,
		       "there already");
	assert_refused(add("routers: [\n", "203.0.113.5", "10.0.0.5"), -EINVAL,
		       "the file has faults, line 2 column 1: syntax");
	assert_refused(add("- name: web\n", "203.0.113.5", "10.0.0.5"), -EINVAL, "the file has faults");
	assert_refused(add(HEAD, "203.0.113.10", "10.0.0.5"), -EINVAL,
		       "203.0.113.10 is an address of the external gateway");
	assert_refused(add(HEAD, "203.0.113.5", "10.0.7.5"), -EINVAL, "10.0.7.5 is in no network");
	assert_refused(add("routers:\n- name: web\n", "203.0.113.5", "10.0.0.5"), -EINVAL,
		       "needs external_gateway_info");
	assert_refused(del(HEAD, "203.0.113.5"), -ENOENT, "router web has no floating IP 203.0.113.5 here");
	assert_refused(del(HEAD "  floatingips: 5\n", "203.0.113.5"), -EINVAL, "floatingips is not a list");
	assert_refused(del("routers:\n- name: web\n  ? floatingips\n  : - " ENTRY("5") "\n", "203.0.113.5"), -EINVAL,
		       "this file's style cannot be edited in place: ");
	assert_refused(replace("routers: [{name: a}]\n", "b", "- name: b\n"), -EINVAL,
		       "style cannot be edited in place");
	assert_refused(replace("routers: []\n", "b", "name: b\n"), -EINVAL, "expected one list item");
	assert_refused(replace("routers: []\n", "b", "- name: b\n- name: c\n"), -EINVAL, "expected one list item");
	assert_refused(replace("routers: []\n", "b", "[{name: b}]\n"), -EINVAL, "expected one list item");
	assert_refused(replace("routers: []\n", "b", "- name: *b\n"), -EINVAL,
		       "the router's text has faults, line 1 column 9");
	assert_refused(replace("{routers: []}\n", "b", "- name: b\n"), -EINVAL, "style cannot be edited in place");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(floatingips_are_added),
		cmocka_unit_test(floatingips_are_removed),
		cmocka_unit_test(routers_are_replaced_or_added),
		cmocka_unit_test(routers_are_deleted),
		cmocka_unit_test(derived_ids_find_their_router),
		cmocka_unit_test(blocks_have_their_comments),
		cmocka_unit_test(refusals_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
