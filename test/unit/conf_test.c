/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Settings: defaults, every key, and for every way to be wrong the place and the words. */

#include "conf.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct conf *good(const char *text)
{
	struct problems problems = { 0 };
	struct text out = { 0 };
	struct conf *c = NULL;

	if (conf_parse("agent.yaml", text, strlen(text), &problems, &c) < 0) {
		problems_print(&problems, &out);
		problems_clear(&problems);
		fail_msg("%s\n%s", text, text_str(&out));
	}
	return c;
}

static void defaults_hold(void **state)
{
	static const char *const texts[] = { "", "# nothing\n", "{}",
		"networks:\nlog:\nnat:\nmetadata:\nmetrics:\nneutron:\n" };
	char host[256] = "";

	(void)state;
	gethostname(host, sizeof host - 1);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct conf *c = good(texts[i]);

		assert_string_equal(c->path, "agent.yaml");
		assert_string_equal(c->host, host);
		assert_int_equal(c->source, SOURCE_FILES);
		assert_string_equal(c->files, "/etc/l3agent/routers.d");
		assert_int_equal(c->n_networks, 0);
		assert_null(c->metadata.url);
		assert_null(c->metadata.shared_secret_file);
		assert_int_equal(c->metadata.port, 9697);
		assert_true(c->nat.use_random_fully);
		assert_false(c->nat.flush_moved_floatingips);
		assert_int_equal(c->announcements_per_s, 256);
		assert_string_equal(c->run_dir, "/run/l3agent");
		assert_string_equal(c->state_dir, "/var/lib/l3agent");
		assert_string_equal(c->metrics_listen, "127.0.0.1:9469");
		assert_int_equal(c->log.level, LOG_LEVEL_INFO);
		assert_int_equal(c->log.format, LOG_FORMAT_TEXT);
		conf_free(c);
	}
	conf_free(NULL);
}

static void every_key_is_read(void **state)
{
	struct conf *c = good(
		"host: netnode1\nsource: files\nfiles: /srv/routers\n"
		"neutron: {config_files: [/etc/neutron/neutron.conf]}\n"
		"networks:\n  wide: {bridge: [br-a, br-b, br-c], mtu: 9000}\n  public: {bridge: br-ex}\n"
		"  blue: {bridge: br-blue, mtu: 68}\n"
		"metadata: {url: 'https://meta.example:8775/', shared_secret_file: /etc/secret, port: 80}\n"
		"nat: {use_random_fully: false, flush_moved_floatingips: true}\nannouncements_per_s: 1\n"
		"run_dir: /tmp/run\nstate_dir: /tmp/state\nmetrics: {listen: '[2001:db8::1]:1'}\n"
		"log: {level: debug, format: json}\n");

	(void)state;
	assert_string_equal(c->host, "netnode1");
	assert_string_equal(c->files, "/srv/routers");
	assert_int_equal(c->n_networks, 3);
	assert_string_equal(c->networks[0].name, "blue");
	assert_int_equal(c->networks[0].mtu, 68);
	assert_string_equal(c->networks[1].name, "public");
	assert_int_equal(c->networks[1].mtu, 1500);
	assert_int_equal(c->networks[2].n_bridges, 3);
	assert_string_equal(c->networks[2].bridges[2], "br-c");
	assert_ptr_equal(conf_network(c, "public"), &c->networks[1]);
	assert_null(conf_network(c, "publi"));
	assert_null(conf_network(c, "zzz"));
	assert_string_equal(c->metadata.url, "https://meta.example:8775/");
	assert_string_equal(c->metadata.shared_secret_file, "/etc/secret");
	assert_int_equal(c->metadata.port, 80);
	assert_false(c->nat.use_random_fully);
	assert_true(c->nat.flush_moved_floatingips);
	assert_int_equal(c->announcements_per_s, 1);
	assert_string_equal(c->run_dir, "/tmp/run");
	assert_string_equal(c->state_dir, "/tmp/state");
	assert_string_equal(c->metrics_listen, "[2001:db8::1]:1");
	assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log.format, LOG_FORMAT_JSON);
	conf_free(c);
}

static void what_is_printed_reads_back(void **state)
{
	struct conf *c = good("host: \"a\\\"b\\\\c\"\n"
			      "networks: {wide: {bridge: [br-a, br-b], mtu: 9000}, \"x\\\\y\": {bridge: 'b\"r'}}\n"
			      "metadata: {url: 'http://192.0.2.1', shared_secret_file: \"/a b\"}\n"
			      "log: {level: error, format: json}\n");
	struct text one = { 0 }, two = { 0 };
	struct conf *again;

	(void)state;
	conf_print(c, &one);
	again = good(text_str(&one));
	assert_string_equal(again->host, "a\"b\\c");
	assert_string_equal(conf_network(again, "x\\y")->bridges[0], "b\"r");
	assert_int_equal(conf_network(again, "wide")->n_bridges, 2);
	assert_string_equal(again->metadata.shared_secret_file, "/a b");
	assert_int_equal(again->log.level, LOG_LEVEL_ERROR);
	conf_print(again, &two);
	assert_string_equal(text_str(&one), text_str(&two));
	conf_free(c);
	conf_free(again);
	text_free(&one);
	text_free(&two);
}

static const struct { const char *text; unsigned line, column; const char *says; } faults[] = {
	{ "- a\n", 1, 1, "the settings: expected a map, found a list" },
	{ "hots: a\n", 1, 1, "unknown key 'hots' in the settings, did you mean 'host'?" },
	{ "networks:\n  public: {brige: br, bridge: br}\n", 2, 12,
	  "unknown key 'brige' in networks.public, did you mean 'bridge'?" },
	{ "networks:\n  public: {bridges: [br], bridge: br}\n", 2, 12, "did you mean 'bridge'?" },
	{ "host: [a]\n", 1, 7, "host: expected text, found a list" },
	{ "host: a b\n", 1, 7, "host: expected text without white space, found 'a b'" },
	{ "host:\n", 1, 6, "host: expected text, found nothing" },
	{ "source: ovn\n", 1, 9, "source: expected files or neutron, found 'ovn'" },
	{ "source: neutron\n", 1, 9, "source: neutron is not available yet, use files" },
	{ "files: routers.d\n", 1, 8, "files: expected an absolute path, found 'routers.d'" },
	{ "neutron: /etc/neutron.conf\n", 1, 10, "neutron: expected a map, found '/etc/neutron.conf'" },
	{ "neutron: {config_files: /etc/neutron.conf}\n", 1, 25, "config_files: expected a list" },
	{ "neutron: {config_files: [neutron.conf]}\n", 1, 26, "config_files: expected an absolute path" },
	{ "networks: [public]\n", 1, 11, "networks: expected a map of networks, found a list" },
	{ "networks:\n  public: br-ex\n", 2, 11, "networks.public: expected a map, found 'br-ex'" },
	{ "networks:\n  public:\n", 2, 10, "networks.public: expected a map, found nothing" },
	{ "networks:\n  public: {mtu: 1500}\n", 2, 11, "networks.public needs the key 'bridge'" },
	{ "networks:\n  a b: {bridge: br}\n", 2, 3, "expected text without white space, found 'a b'" },
	{ "networks:\n  public: {bridge: br, mtu: 67}\n", 2, 29,
	  "mtu: expected a number from 68 to 65535, found '67'" },
	{ "networks:\n  public: {bridge: br, mtu: big}\n", 2, 29,
	  "mtu: expected a number from 68 to 65535, found 'big'" },
	{ "networks:\n  public: {bridge: sixteen-bytes-xx}\n", 2, 20,
	  "expected the name of a bridge (at most 15 bytes, without ':')" },
	{ "networks:\n  public: {bridge: a/b}\n", 2, 20, "bridge: expected text without white space and '/'" },
	{ "networks:\n  public: {bridge: ..}\n", 2, 20, "expected the name of a bridge" },
	{ "networks:\n  public: {bridge: 'br:1'}\n", 2, 20, "expected the name of a bridge" },
	{ "networks:\n  public: {bridge: []}\n", 2, 20, "bridge: expected at least one name" },
	{ "networks:\n  public: {bridge: [a, b, a]}\n", 2, 27, "bridge: 'a' is in the list twice" },
	{ "networks:\n  public: {bridge: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}\n", 2, 20,
	  "expected at most 16 entries, found 17" },
	{ "networks:\n  public: {bridge: {a: b}}\n", 2, 20, "bridge: expected text, found a map" },
	{ "networks: {a: {bridge: x}, a: {bridge: y}}\n", 1, 28, "key 'a' is in this map twice (first in line 1)" },
	{ "metadata: {url: 'ftp://192.0.2.1'}\n", 1, 17,
	  "url: expected a URL like http://192.0.2.1:8775, found 'ftp://192.0.2.1'" },
	{ "metadata: {url: 'http:///x'}\n", 1, 17, "url: expected a URL" },
	{ "metadata: {shared_secret_file: secret}\n", 1, 32, "shared_secret_file: expected an absolute path" },
	{ "metadata: {port: 0}\n", 1, 18, "port: expected a number from 1 to 65535, found '0'" },
	{ "metadata: {secret: x}\n", 1, 12, "unknown key 'secret' in metadata" },
	{ "nat: {use_random_fully: 1}\n", 1, 25, "use_random_fully: expected true or false, found '1'" },
	{ "nat: {flush_moved_floatingips: True}\n", 1, 32,
	  "flush_moved_floatingips: expected true or false, found 'True'" },
	{ "announcements_per_s: 0\n", 1, 22, "announcements_per_s: expected a number from 1 to 1000000" },
	{ "run_dir: /run/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789\n",
	  1, 10,
	  "run_dir: expected text of at most 76 bytes, found 92" },
	{ "run_dir: \"/run/a\\nb\"\n", 1, 10, "run_dir: expected text without control characters" },
	{ "metrics: {listen: 9469}\n", 1, 19, "listen: expected an address and port like 127.0.0.1:9469" },
	{ "metrics: {listen: 127.0.0.1:65536}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: 127.0.0.1:09}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: '2001:db8::1:80'}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: '[127.0.0.1]:80'}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: '[]:80'}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: '[::1:80'}\n", 1, 19, "listen: expected an address and port" },
	{ "metrics: {listen: 'localhost:80'}\n", 1, 19, "listen: expected an address and port" },
	{ "log: {level: loud}\n", 1, 14, "level: expected error, warn, info or debug, found 'loud'" },
	{ "log: {format: xml}\n", 1, 15, "format: expected text or json, found 'xml'" },
	{ "log: debug\n", 1, 6, "log: expected a map, found 'debug'" },
	{ "a: [[[[[[[[[]]]]]]]]]\n", 1, 11, "nested deeper than 8" },
	{ "host: *x\n", 1, 7, "alias '*x'" },
	{ "host: \"\n", 2, 1, "syntax" },
};

static void every_fault_has_its_place(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct problems problems = { 0 };
		struct text out = { 0 };
		struct conf *c = NULL;
		int error = conf_parse("r.yaml", faults[i].text, strlen(faults[i].text), &problems, &c);

		problems_print(&problems, &out);
		if (error != -EINVAL || c || problems.n != 1 || problems.at[0].line != faults[i].line ||
		    problems.at[0].column != faults[i].column || !strstr(problems.at[0].text, faults[i].says)) {
			print_error("%s\nexpected %u:%u %s\ngot %d\n%s\n", faults[i].text, faults[i].line,
				    faults[i].column, faults[i].says, error, text_str(&out));
			wrong++;
		}
		text_free(&out);
		problems_clear(&problems);
	}
	assert_int_equal(wrong, 0);
}

static void too_many_networks_are_refused(void **state)
{
	struct problems problems = { 0 };
	struct conf *c = NULL;
	struct text t = { 0 };

	(void)state;
	text_put(&t, "networks:\n");
	for (int i = 0; i <= CONF_MAX_NETWORKS; i++)
		text_printf(&t, "  n%d: {bridge: br}\n", i);
	assert_int_equal(conf_parse("agent.yaml", t.at, t.n, &problems, &c), -EINVAL);
	assert_string_equal(problems.at[0].text, "networks: expected at most 4096, found 4097");
	problems_clear(&problems);
	/* Without the last line they fit. */
	t.n -= strlen("  n4096: {bridge: br}\n");
	assert_int_equal(conf_parse("agent.yaml", t.at, t.n, &problems, &c), 0);
	assert_int_equal(c->n_networks, CONF_MAX_NETWORKS);
	for (int i = 0; i < CONF_MAX_NETWORKS; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%d", i);
		assert_non_null(conf_network(c, name));
	}
	conf_free(c);
	text_free(&t);
}

static void files_are_loaded(void **state)
{
	char path[] = "/tmp/conf_test.XXXXXX";
	int fd = mkstemp(path);
	struct problems problems = { 0 };
	struct text out = { 0 };
	struct conf *c = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "host: a\n", 8), 8);
	assert_int_equal(conf_load(path, &problems, &c), 0);
	assert_string_equal(c->host, "a");
	assert_string_equal(c->path, path);
	conf_free(c);
	/* A hole costs no disk. */
	assert_int_equal(ftruncate(fd, 100 << 20), 0);
	assert_int_equal(conf_load(path, &problems, &c), -EFBIG);
	assert_string_equal(problems.at[0].text, "file is larger than 16 MiB");
	close(fd);
	unlink(path);
	assert_int_equal(conf_load(path, &problems, &c), -ENOENT);
	problems_print(&problems, &out);
	assert_non_null(strstr(text_str(&out), ": cannot be read: No such file or directory\n"));
	text_free(&out);
	problems_clear(&problems);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_is_printed_reads_back),
		cmocka_unit_test(every_fault_has_its_place),
		cmocka_unit_test(too_many_networks_are_refused),
		cmocka_unit_test(files_are_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
