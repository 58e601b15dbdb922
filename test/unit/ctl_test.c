/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "args.h"
#include "client.h"
#include "print.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_WORDS = 8 };

static int parse(const char *line, struct args *ret, struct text *why)
{
	static char copy[512];		/* what *ret borrows from */
	char *argv[MAX_WORDS + 2] = { (char *)"l3ctl" };
	int argc = 1;

	assert_true(strlen(line) < sizeof copy);
	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc <= MAX_WORDS);
		argv[argc++] = word;
	}
	return args_parse(argc, argv, ret, why);
}

static void parses_every_command(void **state)
{
	static const struct { const char *line; enum command command; const char *router, *floating, *fixed, *file; } good[] = {
		{ "status", CMD_STATUS }, { "--json status", CMD_STATUS }, { "status --json", CMD_STATUS },
		{ "routers", CMD_ROUTERS }, { "show web", CMD_SHOW, "web" }, { "plan web", CMD_PLAN, "web" },
		{ "plan -f a.yaml", CMD_PLAN, .file = "a.yaml" }, { "plan --file=-", CMD_PLAN, .file = "-" },
		{ "apply -f a.yaml", CMD_APPLY, .file = "a.yaml" }, { "delete web", CMD_DELETE, "web" },
		{ "floatingip add web 203.0.113.20 10.0.0.5", CMD_FLOATINGIP_ADD, "web", "203.0.113.20", "10.0.0.5" },
		{ "floatingip del web 203.0.113.20", CMD_FLOATINGIP_DEL, "web", "203.0.113.20" },
		{ "resync", CMD_RESYNC }, { "resync web", CMD_RESYNC, "web" }, { "prune --yes", CMD_PRUNE },
		{ "wait", CMD_WAIT }, { "show -- -odd", CMD_SHOW, "-odd" }, { "-V", CMD_VERSION }, { "help", CMD_HELP },
		{ "--help", CMD_HELP }, { "help plan", CMD_HELP }, { "floatingip --help", CMD_HELP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct text why = { 0 };
		struct args a;

		if (parse(good[i].line, &a, &why) < 0)
			fail_msg("%s: %s", good[i].line, text_str(&why));
		assert_int_equal(a.command, good[i].command);
		assert_string_equal(a.router ? a.router : "", good[i].router ? good[i].router : "");
		assert_string_equal(a.floating ? a.floating : "", good[i].floating ? good[i].floating : "");
		assert_string_equal(a.fixed ? a.fixed : "", good[i].fixed ? good[i].fixed : "");
		assert_string_equal(a.file ? a.file : "", good[i].file ? good[i].file : "");
	}
}

static void keeps_options(void **state)
{
	struct text why = { 0 };
	struct args a;

	(void)state;
	unsetenv("L3AGENT_SOCKET");
	assert_int_equal(parse("wait --timeout 30 --json", &a, &why), 0);
	assert_int_equal(a.timeout_s, 30);
	assert_true(a.json);
	assert_string_equal(a.socket, "/run/l3agent/control.sock");
	setenv("L3AGENT_SOCKET", "/tmp/other.sock", 1);
	assert_int_equal(parse("apply --dry-run -f x", &a, &why), 0);
	assert_true(a.dry_run && !a.yes && !a.json);
	assert_int_equal(a.timeout_s, 0);
	assert_string_equal(a.socket, "/tmp/other.sock");
	assert_int_equal(parse("-s here prune -y", &a, &why), 0);
	assert_true(a.yes);
	assert_string_equal(a.socket, "here");
	unsetenv("L3AGENT_SOCKET");
	assert_int_equal(parse("floatingip --help", &a, &why), 0);
	assert_string_equal(a.topic, "floatingip");
}

static void refuses_wrong_usage(void **state)
{
	static const struct { const char *line, *why; } bad[] = {
		{ "", "no command given; l3ctl help lists them" },
		{ "frobnicate", "unknown command \"frobnicate\"" },
		{ "floatingip", "floatingip: add or del?" }, { "floatingip move web", "floatingip: add or del?" },
		{ "floatingip add web 203.0.113.20", "too few words; usage: l3ctl floatingip add ROUTER FLOATING FIXED" },
		{ "floatingip del web a b", "too many words; usage: l3ctl floatingip del ROUTER FLOATING" },
		{ "status web", "too many words; usage: l3ctl status" },
		{ "show", "too few words; usage: l3ctl show ROUTER" },
		{ "plan", "plan needs either a router or -f FILE" }, { "plan web -f x", "plan needs either a router or -f FILE" },
		{ "apply", "apply needs -f FILE" }, { "apply -f", "option -f needs a value" },
		{ "delete web --yes", "delete does not take --yes" }, { "status -f x", "status does not take -f" },
		{ "show web --timeout 3", "show does not take --timeout" },
		{ "plan web --dry-run", "plan does not take --dry-run" },
		{ "wait --timeout 0", "--timeout takes a number of seconds from 1 to 86400, not \"0\"" },
		{ "wait --timeout -1", "--timeout takes a number of seconds from 1 to 86400, not \"-1\"" },
		{ "wait --timeout 3s", "--timeout takes a number of seconds from 1 to 86400, not \"3s\"" },
		{ "wait --timeout 99999999999999999999", "--timeout takes a number of seconds from 1 to 86400, not "
						       "\"99999999999999999999\"" },
		{ "status -x", "unknown option -x" }, { "status --xyz", "unknown option --xyz" },
		{ "status --json=1", "unknown option --json=1" }, { "prune --yes=no", "unknown option --yes=no" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct args a = { .timeout_s = 77 };
		struct text why = { 0 };

		assert_int_equal(parse(bad[i].line, &a, &why), -EINVAL);
		assert_string_equal(text_str(&why), bad[i].why);
		assert_int_equal(a.timeout_s, 77);
		text_free(&why);
	}
}

static void helps(void **state)
{
	struct text out = { 0 };

	(void)state;
	assert_int_equal(args_help(NULL, &out), 0);
	assert_non_null(strstr(out.at, "floatingip add ROUTER FLOATING FIXED\n"));
	out.n = 0;
	assert_int_equal(args_help("floatingip", &out), 0);
	assert_non_null(strstr(out.at, "floatingip add"));
	assert_non_null(strstr(out.at, "floatingip del"));
	assert_null(strstr(out.at, "prune"));
	assert_int_equal(args_help("nothing", &out), -ENOENT);
	text_free(&out);
}

static json_t *json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_ALLOW_NUL, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static void prints(enum command command, const char *answer, const char *expected)
{
	struct text out = { 0 };
	json_t *value = json(answer);

	print_answer(command, value, &out);
	assert_string_equal(text_str(&out), expected);
	json_decref(value);
	text_free(&out);
}

#define WEB "\"router\":\"web\",\"id\":\"1\",\"namespace\":\"qrouter-1\""

static void prints_plans(void **state)
{
	(void)state;
	prints(CMD_PLAN, "{\"ok\":true,\"plans\":[{" WEB ",\"ops\":[\"+ netns qrouter-1\",\"+ link qg-1\"]},{" WEB ",\"ops\":[]}]}",
	       "router web (qrouter-1):\n  + netns qrouter-1\n  + link qg-1\nrouter web (qrouter-1): nothing to do\n");
	prints(CMD_APPLY, "{\"ok\":true,\"plans\":[]}", "nothing to do\n");
	prints(CMD_DELETE, "{\"ok\":true}", "nothing to do\n");
	prints(CMD_RESYNC, "{\"ok\":true,\"routers\":7}", "7 queued\n");
	prints(CMD_PRUNE, "{\"ok\":true,\"orphans\":[]}", "no namespace is without a router\n");
	prints(CMD_PRUNE, "{\"ok\":true,\"orphans\":[\"qrouter-1\",\"qrouter-2\"]}", "qrouter-1\nqrouter-2\n");
	prints(CMD_PRUNE, "{\"ok\":true,\"orphans\":[],\"removed\":2}", "2 removed\n");
	prints(CMD_WAIT, "{\"ok\":true}", "");
}

static void prints_tables(void **state)
{
	(void)state;
	prints(CMD_ROUTERS,
	       "{\"ok\":true,\"routers\":["
	       "{\"id\":\"i1\",\"name\":\"web\",\"state\":\"in_sync\",\"gateway\":\"203.0.113.10\",\"interfaces\":2,\"floatingips\":5,"
	       "\"error\":null},"
	       "{\"id\":\"i2\",\"name\":\"grün-lang\",\"state\":\"failed\",\"gateway\":null,\"interfaces\":1,\"floatingips\":0,"
	       "\"error\":\"bridge br-x does not exist\"}]}",
	       "NAME       STATE    GATEWAY       INTERFACES  FLOATING IPS  ID\n"
	       "web        in_sync  203.0.113.10  2           5             i1\n"
	       "grün-lang  failed   -             1           0             i2\n"
	       "  error: bridge br-x does not exist\n");
	prints(CMD_ROUTERS, "{\"ok\":true,\"routers\":[]}", "NAME  STATE  GATEWAY  INTERFACES  FLOATING IPS  ID\n");
	prints(CMD_SHOW,
	       "{\"ok\":true,\"router\":{\"name\":\"web\",\"id\":\"i1\",\"state\":\"in_sync\",\"namespace\":\"qrouter-i1\","
	       "\"gateway\":null,\"interfaces\":1,\"floatingips\":0,\"file\":\"/etc/a.yaml\",\"line\":3,\"error\":null,"
	       "\"plan\":\"namespace qrouter-i1\\n  link qr-1\\n\",\"ops\":[],"
	       "\"last\":{\"seconds_ago\":3,\"milliseconds\":1.25,\"writes\":40}}}",
	       "router web\n  id           i1\n  state        in_sync\n  namespace    qrouter-i1\n  interfaces   1\n"
	       "  floating ips 0\n  file         /etc/a.yaml:3\n  last pass    3 s ago, 1.25 ms, 40 writes\n"
	       "the kernel should hold:\n  namespace qrouter-i1\n    link qr-1\nnothing differs from it\n");
}

static void prints_status(void **state)
{
	(void)state;
	prints(CMD_STATUS,
	       "{\"ok\":true,\"status\":{\"host\":\"n1\",\"version\":\"0.1.0\",\"source\":{\"kind\":\"files\",\"synced\":true,"
	       "\"path\":\"/etc/r.d\",\"error\":null,\"held\":\"the directory is empty\"},"
	       "\"routers\":{\"total\":3,\"in_sync\":2,\"pending\":0,\"failed\":1},"
	       "\"last_sync\":{\"routers\":3,\"seconds\":0.01234,\"writes\":90},"
	       "\"workers\":[{\"role\":\"wire\",\"pid\":12,\"connected\":true}],\"orphans\":1,"
	       "\"errors\":[{\"object\":\"web\",\"text\":\"bridge br-x does not exist\",\"seconds_ago\":4}]}}",
	       "l3agentd 0.1.0 on n1\nsource     files /etc/r.d, synced\n"
	       "           nothing is removed: the directory is empty\n"
	       "routers    3: 2 in sync, 0 pending, 1 failed\nlast sync  3 routers in 0.0123 s, 90 writes\n"
	       "workers    wire, pid 12, connected\norphans    1 (l3ctl prune lists and removes them)\n"
	       "errors     web: bridge br-x does not exist (4 s ago)\n");
	/* Nothing that the daemon leaves out, or sends in another type, may hurt. */
	prints(CMD_STATUS, "{\"ok\":true,\"status\":[1]}",
	       "l3agentd - on -\nsource     -, not synced yet\nrouters    -: - in sync, - pending\n");
	prints(CMD_STATUS, "{\"ok\":true,\"status\":{\"errors\":{\"a\":1},\"workers\":\"x\",\"routers\":7}}",
	       "l3agentd - on -\nsource     -, not synced yet\nrouters    -: - in sync, - pending\n");
	prints(CMD_SHOW, "{\"ok\":true}", "router -\n  id           -\n  state        -\n  namespace    -\n  gateway      -\n"
	       "  interfaces   -\n  floating ips -\n  error        -\nthe kernel should hold:\nnothing differs from it\n");
}

static void escapes_control_characters(void **state)
{
	static const char odd[] = "a\033[2J\n\t\x7f\xc2\x9b" "ü\0z";
	struct text out = { 0 };

	(void)state;
	print_escaped(odd, sizeof odd - 1, false, &out);
	assert_string_equal(out.at, "a\\u001b[2J\\u000a\\u0009\\u007f\\u009bü\\u0000z");
	out.n = 0;
	print_escaped("a\n\tb\033", 5, true, &out);
	assert_string_equal(out.at, "a\n\tb\\u001b");
	text_free(&out);
	prints(CMD_PLAN, "{\"ok\":true,\"plans\":[{\"router\":\"w\\u001b\\nb\",\"namespace\":\"\\u0007\",\"ops\":[\"\\u009b2J\\n\"]}]}",
	       "router w\\u001b\\u000ab (\\u0007):\n  \\u009b2J\\u000a\n");
	prints(CMD_SHOW, "{\"router\":{\"name\":\"w\\u001b\",\"id\":null,\"state\":null,\"namespace\":null,\"gateway\":null,"
	       "\"interfaces\":null,\"floatingips\":null,\"error\":null,\"plan\":\"a\\u001b\\nb\",\"ops\":[\"\\u0000\"]}}",
	       "router w\\u001b\nthe kernel should hold:\n  a\\u001b\n  b\nwhat differs:\n  \\u0000\n");
}

static void says_why_it_was_refused(void **state)
{
	json_t *answer = json("{\"ok\":false,\"error\":\"the file has errors\",\"problems\":["
			      "{\"file\":\"a.yaml\",\"line\":3,\"column\":5,\"text\":\"unknown key\"},"
			      "{\"file\":\"b\\u001b.yaml\",\"line\":0,\"column\":0,\"text\":\"too large\"}]}");
	json_t *failed = json("{\"ok\":true,\"plans\":[{\"router\":\"a\",\"error\":null},{\"router\":\"b\",\"error\":\"no\\u0007\"}]}");
	struct text out = { 0 };

	(void)state;
	print_refusal(answer, &out);
	assert_string_equal(out.at, "a.yaml:3:5: unknown key\nb\\u001b.yaml: too large\nl3ctl: the file has errors\n");
	out.n = 0;
	assert_int_equal(print_failures(failed, &out), 1);
	assert_string_equal(out.at, "l3ctl: router b: no\\u0007\n");
	json_decref(answer);
	json_decref(failed);
	text_free(&out);
}

static void payload_is_what_was_asked_for(void **state)
{
	static const struct { enum command command; const char *answer, *payload; } cases[] = {
		{ CMD_STATUS, "{\"ok\":true,\"status\":{\"host\":\"n\"}}", "{\"host\":\"n\"}" },
		{ CMD_ROUTERS, "{\"ok\":true,\"routers\":[]}", "[]" }, { CMD_SHOW, "{\"ok\":true,\"router\":{}}", "{}" },
		{ CMD_PLAN, "{\"ok\":true,\"plans\":[{}]}", "[{}]" }, { CMD_RESYNC, "{\"ok\":true,\"routers\":3}", "{\"routers\":3}" },
		{ CMD_PRUNE, "{\"ok\":true,\"orphans\":[\"a\"],\"removed\":1}", "{\"orphans\":[\"a\"],\"removed\":1}" },
		{ CMD_WAIT, "{\"ok\":true}", "{}" },
		{ CMD_STATUS, "{\"ok\":false,\"error\":\"e\"}", "{\"ok\":false,\"error\":\"e\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *answer = json(cases[i].answer), *expected = json(cases[i].payload);
		json_t *payload = print_payload(cases[i].command, answer);

		assert_true(json_equal(payload, expected));
		json_decref(payload);
		json_decref(expected);
		json_decref(answer);
	}
}

/* A daemon for one connection: for each line that it reads it says the next piece of its script, then it goes. */
struct fake { char dir[64], path[96]; pid_t pid; };

static void serve(int listener, const char *const *script, size_t flood)
{
	char *line = NULL, *block = malloc(1 << 20);
	size_t room = 0;
	FILE *in;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test that fails leaves nothing behind */
	fd = accept(listener, NULL, NULL);
	in = fdopen(fd, "r");
	signal(SIGPIPE, SIG_IGN);
	memset(block, ' ', 1 << 20);
	for (; *script && getline(&line, &room, in) > 0; script++) {
		for (const char *at = *script; *at;) {	/* in small pieces, as a stream may deliver them */
			size_t n = strlen(at) < 7 ? strlen(at) : 7;

			if (write(fd, at, n) < 0)
				_exit(1);
			at += n;
		}
		for (size_t i = 0; i < flood; i++)
			if (write(fd, block, 1 << 20) < 0)
				break;
	}
	_exit(0);
}

static void fake_start(struct fake *f, const char *const *script, size_t flood)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(f->dir, "/tmp/ctl_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/control.sock", f->dir);
	strcpy(address.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		serve(fd, script, flood);
	close(fd);
}

static void fake_stop(struct fake *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	unlink(f->path);
	rmdir(f->dir);
}

static void count_progress(const json_t *progress, void *ctx)
{
	int *sum = ctx;

	*sum += (int)json_integer_value(json_object_get(progress, "total"));
}

static void asks_and_hears(void **state)
{
	static const char *const script[] = {
		"{\"progress\":{\"total\":1}}\n{\"progress\":{\"total\":10}}\n{\"ok\":true,\"n\":1}\n", "{\"ok\":false}\n", NULL };
	json_t *request = json("{\"op\":\"wait\"}"), *answer = NULL;
	struct client c;
	struct fake f;
	int sum = 0;

	(void)state;
	fake_start(&f, script, 0);
	assert_int_equal(client_open(f.path, &c), 0);
	assert_int_equal(client_ask(&c, request, count_progress, &sum, &answer), 0);
	assert_int_equal(sum, 11);
	assert_int_equal(json_integer_value(json_object_get(answer, "n")), 1);
	json_decref(answer);
	assert_int_equal(client_ask(&c, request, NULL, NULL, &answer), 0);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = NULL;
	assert_int_equal(client_ask(&c, request, NULL, NULL, &answer), -ECONNRESET);	/* the script has ended */
	assert_null(answer);
	json_decref(request);
	client_close(&c);
	fake_stop(&f);
}

static int ask_once(const char *first, size_t flood)
{
	const char *const script[] = { first, NULL };
	json_t *request = json("{\"op\":\"status\"}"), *answer = NULL;
	struct client c;
	struct fake f;
	int result;

	fake_start(&f, script, flood);
	assert_int_equal(client_open(f.path, &c), 0);
	result = client_ask(&c, request, NULL, NULL, &answer);
	json_decref(answer);
	json_decref(request);
	client_close(&c);
	fake_stop(&f);
	return result;
}

static void survives_bad_answers(void **state)
{
	(void)state;
	assert_int_equal(ask_once("{\"ok\":true}\n", 0), 0);
	assert_int_equal(ask_once("{\"ok\":true,\"plans\":[", 0), -ECONNRESET);
	assert_int_equal(ask_once("{\"ok\":true}", 0), -ECONNRESET);
	assert_int_equal(ask_once("", 0), -ECONNRESET);
	assert_int_equal(ask_once("hello\n", 0), -EPROTO);
	assert_int_equal(ask_once("[1]\n", 0), -EPROTO);
	assert_int_equal(ask_once("\n", 0), -EPROTO);
	assert_int_equal(ask_once("{\"ok\":true", 65), -EMSGSIZE);
}

static void refuses_large_requests(void **state)
{
	static const char *const script[] = { "{\"ok\":true}\n", NULL };
	char *large = malloc(CLIENT_MAX_REQUEST + 1);
	json_t *request, *answer = NULL;
	struct client c;
	struct fake f;

	(void)state;
	memset(large, 'x', CLIENT_MAX_REQUEST);
	large[CLIENT_MAX_REQUEST] = 0;
	request = json_pack("{s:s}", "text", large);
	free(large);
	fake_start(&f, script, 0);
	assert_int_equal(client_open(f.path, &c), 0);
	assert_int_equal(client_ask(&c, request, NULL, NULL, &answer), -E2BIG);
	json_decref(request);
	client_close(&c);
	fake_stop(&f);
}

static void says_why_it_cannot_connect(void **state)
{
	char longer[200];
	struct client c;

	(void)state;
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = 0;
	assert_int_equal(client_open(longer, &c), -ENAMETOOLONG);
	assert_int_equal(client_open("/nonexistent/control.sock", &c), -ENOENT);
}

/* Runs the real program, which meson puts one folder above this test, with `line` for its arguments and `input` for its
 * standard input; *ret_said gets what it wrote to both outputs. */
static int run_l3ctl(const char *socket_path, const char *line, const char *input, struct text *ret_said)
{
	char self[PATH_MAX] = { 0 }, command[PATH_MAX * 2], piece[4096];
	FILE *out;
	size_t got;
	int status;

	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	*strrchr(self, '/') = 0;
	snprintf(command, sizeof command, "printf '%s' | timeout 20 %s/../l3ctl -s %s %s 2>&1", input, self, socket_path, line);
	out = popen(command, "r");
	assert_non_null(out);
	ret_said->n = 0;
	text_add(ret_said, "", 0);
	while ((got = fread(piece, 1, sizeof piece, out)) > 0)
		text_add(ret_said, piece, got);
	status = pclose(out);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void runs(const char *answer, const char *line, const char *input, int status, const char *said)
{
	const char *const script[] = { answer, NULL };
	struct text out = { 0 };
	struct fake f;

	fake_start(&f, script, 0);
	assert_int_equal(run_l3ctl(f.path, line, input, &out), status);
	assert_string_equal(text_str(&out), said);
	text_free(&out);
	fake_stop(&f);
}

static void exits_as_documented(void **state)
{
	static const char plans[] = "{\"ok\":true,\"plans\":[{" WEB ",\"ops\":[\"+ x\"],\"error\":null}]}\n";
	struct text out = { 0 };

	(void)state;
	runs("{\"ok\":true,\"status\":{\"host\":\"n\"}}\n", "--json status", "", 0, "{\n  \"host\": \"n\"\n}\n");
	runs(plans, "apply -f -", "routers: []", 0, "router web (qrouter-1):\n  + x\n");
	runs(plans, "floatingip add web 203.0.113.20 10.0.0.5", "", 0, "router web (qrouter-1):\n  + x\n");
	runs("{\"ok\":true,\"plans\":[{" WEB ",\"ops\":[],\"error\":\"no\"}]}\n", "delete web", "", 1,
	     "router web (qrouter-1): nothing to do\nl3ctl: router web: no\n");
	runs("{\"ok\":false,\"error\":\"no router is called web\"}\n", "show web", "", 1, "l3ctl: no router is called web\n");
	runs("{\"ok\":", "status", "", 1, "l3ctl: l3agentd closed the connection before its answer was complete\n");
	runs("{\"ok\":true,\"orphans\":[\"qrouter-1\"]}\n", "prune", "", 1,
	     "qrouter-1\nl3ctl: nothing removed: standard input is not a terminal, so --yes is needed\n");
	runs("{\"ok\":true,\"orphans\":[]}\n", "prune", "", 0, "no namespace is without a router\n");
	runs("{\"ok\":true,\"orphans\":[\"qrouter-1\"],\"removed\":1}\n", "prune --yes", "", 0, "qrouter-1\n1 removed\n");
	runs("", "plan -f -", "a\\n b\\377", 1, "<stdin>:2:3: not UTF-8 text\n");
	assert_int_equal(run_l3ctl("/nonexistent/s", "status", "", &out), 1);
	assert_string_equal(text_str(&out), "l3ctl: cannot connect to /nonexistent/s: No such file or directory (is l3agentd running?)\n");
	assert_int_equal(run_l3ctl("/nonexistent/s", "plan", "", &out), 2);
	assert_string_equal(text_str(&out), "l3ctl: plan needs either a router or -f FILE\n");
	assert_int_equal(run_l3ctl("/nonexistent/s", "plan -f /nonexistent/f", "", &out), 1);
	assert_string_equal(text_str(&out), "l3ctl: cannot read /nonexistent/f: No such file or directory\n");
	assert_int_equal(run_l3ctl("/nonexistent/s", "help nothing", "", &out), 2);
	assert_int_equal(run_l3ctl("/nonexistent/s", "-V", "", &out), 0);
	assert_string_equal(text_str(&out), "l3ctl " VERSION "\n");
	assert_int_equal(run_l3ctl("/nonexistent/s", "help > /dev/full", "", &out), 1);
	text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_every_command), cmocka_unit_test(keeps_options), cmocka_unit_test(refuses_wrong_usage),
		cmocka_unit_test(helps), cmocka_unit_test(prints_plans), cmocka_unit_test(prints_tables),
		cmocka_unit_test(prints_status), cmocka_unit_test(escapes_control_characters),
		cmocka_unit_test(says_why_it_was_refused), cmocka_unit_test(payload_is_what_was_asked_for),
		cmocka_unit_test(asks_and_hears), cmocka_unit_test(survives_bad_answers),
		cmocka_unit_test(refuses_large_requests), cmocka_unit_test(says_why_it_cannot_connect),
		cmocka_unit_test(exits_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
