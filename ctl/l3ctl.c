/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The command-line client: one request, one answer. Everything that decides is in the daemon. */

#include "args.h"
#include "client.h"
#include "log.h"
#include "print.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE };
enum { MAX_FILE = 16 << 20 };		/* bytes of a router file */

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int refuse(const char *format, ...)
{
	struct text line = { 0 }, escaped = { 0 };
	va_list ap;

	va_start(ap, format);
	text_vprintf(&line, format, ap);
	va_end(ap);
	print_escaped(text_str(&line), line.n, true, &escaped);
	fprintf(stderr, "l3ctl: %s\n", text_str(&escaped));
	text_free(&line);
	text_free(&escaped);
	return EXIT_REFUSED;
}

static int load_stdin(char **ret, size_t *ret_n)
{
	struct text all = { 0 };
	char piece[64 << 10];
	ssize_t got;

	while ((got = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
		int error = got < 0 ? -errno : all.n + (size_t)got > MAX_FILE ? -EFBIG : 0;

		if (error == -EINTR)
			continue;
		if (error) {
			text_free(&all);
			return error;
		}
		text_add(&all, piece, (size_t)got);
	}
	text_add(&all, "", 0);
	*ret = all.at;
	*ret_n = all.n;
	return 0;
}

/* Length of the UTF-8 character at s (n bytes are left); 0 if there is none, and for a zero byte, which is not text. */
static size_t utf8_length(const char *s, size_t n)
{
	if (n && (unsigned char)*s < 0x80)
		return *s ? 1 : 0;
	for (size_t length = 2; length <= 4 && length <= n; length++) {
		json_t *one = json_stringn(s, length);

		if (one) {
			json_decref(one);
			return length;
		}
	}
	return 0;
}

/* JSON holds UTF-8 only, so this fault is found here and not by the daemon. */
static int refuse_encoding(const char *name, const char *at, size_t n)
{
	size_t line = 1, column = 1, length;
	struct text escaped = { 0 };

	for (; (length = utf8_length(at, n)); at += length, n -= length) {
		column = *at == '\n' ? 1 : column + 1;
		line += *at == '\n';
	}
	print_escaped(name, strlen(name), false, &escaped);
	fprintf(stderr, "%s:%zu:%zu: not UTF-8 text\n", text_str(&escaped), line, column);
	text_free(&escaped);
	return EXIT_REFUSED;
}

/* Puts name and text of the router file into the request. */
static int add_file(const char *path, json_t *request)
{
	const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
	char *at;
	size_t n;
	int error = name != path ? load_stdin(&at, &n) : text_load(path, MAX_FILE, &at, &n);

	if (error == -EFBIG)
		return refuse("%s is larger than %d bytes", name, MAX_FILE);
	if (error)
		return refuse("cannot read %s: %s", name, strerror(-error));
	error = memchr(at, 0, n) ? -1 : json_object_set_new(request, "text", json_stringn(at, n));
	if (error)
		error = refuse_encoding(name, at, n);
	free(at);
	if (error)
		return error;
	return json_object_set_new(request, "name", json_string(name)) ? refuse("the name of %s is not UTF-8 text", name) : 0;
}

static json_t *build_request(const struct args *a, int *ret_status)
{
	static const char *const names[] = {
		[CMD_STATUS] = "status", [CMD_ROUTERS] = "routers", [CMD_SHOW] = "show", [CMD_PLAN] = "plan",
		[CMD_APPLY] = "apply", [CMD_DELETE] = "delete", [CMD_FLOATINGIP_ADD] = "floatingip_add",
		[CMD_FLOATINGIP_DEL] = "floatingip_del", [CMD_WAIT] = "wait", [CMD_RESYNC] = "resync", [CMD_PRUNE] = "prune",
	};
	const char *op = a->command == CMD_APPLY && a->dry_run ? "plan" : names[a->command];
	json_t *request = json_pack("{s:s, s:s*, s:s*, s:s*}", "op", op, "router", a->router, "floating_ip_address",
				    a->floating, "fixed_ip_address", a->fixed);
	int status = request ? EXIT_DONE : refuse("the arguments are not UTF-8 text");

	if (!status && a->file)
		status = add_file(a->file, request);
	if (!status && a->command == CMD_PRUNE)
		json_object_set_new(request, "confirm", json_boolean(a->yes));
	if (!status && a->timeout_s)
		json_object_set_new(request, "timeout_ms", json_integer((json_int_t)a->timeout_s * 1000));
	*ret_status = status;
	return request;
}

static void show_progress(const json_t *progress, void *ctx)
{
	struct text line = { 0 };
	bool *shown = ctx;

	if (!isatty(STDERR_FILENO))
		return;
	print_progress(progress, &line);
	fprintf(stderr, "\r%s\033[K", text_str(&line));
	text_free(&line);
	*shown = true;
}

static int ask(struct client *c, const struct args *a, const json_t *request, json_t **ret)
{
	bool shown = false;
	int error = client_ask(c, request, show_progress, &shown, ret);

	if (shown)
		fputs("\r\033[K", stderr);
	switch (error) {
	case 0: return EXIT_DONE;
	case -E2BIG: return refuse("the request is larger than %d bytes", CLIENT_MAX_REQUEST);
	case -EMSGSIZE: return refuse("the answer is larger than %d bytes", CLIENT_MAX_ANSWER);
	case -ECONNRESET: return refuse("l3agentd closed the connection before its answer was complete");
	case -EPROTO: return refuse("the answer from %s is not a JSON object", a->socket);
	default: return refuse("cannot talk to %s: %s", a->socket, strerror(-error));
	}
}

/* Prints an answer, success or not, and gives the exit status that it means. */
static int conclude(const struct args *a, const json_t *answer)
{
	struct text out = { 0 }, errors = { 0 };
	bool ok = json_is_true(json_object_get(answer, "ok"));
	int status = EXIT_DONE;

	if (a->json) {
		json_t *payload = print_payload(a->command, answer);

		if (!payload)
			return refuse("the answer lacks what was asked for");
		json_dumpf(payload, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(payload);
	} else if (ok) {
		print_answer(a->command, answer, &out);
	}
	if (!ok)
		print_refusal(answer, &errors);
	if (!ok || print_failures(answer, &errors))
		status = EXIT_REFUSED;
	fputs(text_str(&out), stdout);
	fflush(stdout);		/* before the errors, where both go to one terminal or file */
	fputs(text_str(&errors), stderr);
	text_free(&out);
	text_free(&errors);
	return status;
}

/* The namespaces have been listed; may they go? */
static bool confirmed(size_t n)
{
	char line[16];

	printf("remove %zu namespace%s and everything in %s? [y/N] ", n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
	fflush(stdout);
	return fgets(line, sizeof line, stdin) && (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0);
}

static int prune(struct client *c, const struct args *a, json_t *request, const json_t *listed)
{
	size_t n = json_array_size(json_object_get(listed, "orphans"));
	json_t *answer = NULL;
	int status = conclude(a, listed);

	fflush(stdout);
	if (status || n == 0)
		return status;
	if (!isatty(STDIN_FILENO))
		return refuse("nothing removed: standard input is not a terminal, so --yes is needed");
	if (!confirmed(n))
		return refuse("nothing removed");
	json_object_set_new(request, "confirm", json_true());
	status = ask(c, a, request, &answer);
	if (!status)
		status = conclude(a, answer);
	json_decref(answer);
	return status;
}

static int run(const struct args *a)
{
	struct client c = { .fd = -1 };
	json_t *request, *answer = NULL;
	int status, error;

	request = build_request(a, &status);
	if (!status) {
		error = client_open(a->socket, &c);
		if (error)
			status = refuse("cannot connect to %s: %s%s", a->socket, strerror(-error),
					error == -ENOENT || error == -ECONNREFUSED ? " (is l3agentd running?)" : "");
	}
	if (!status) {
		status = ask(&c, a, request, &answer);
		if (!status)
			status = a->command == CMD_PRUNE && !a->yes ? prune(&c, a, request, answer) : conclude(a, answer);
		client_close(&c);
	}
	json_decref(answer);
	json_decref(request);
	return status;
}

static int usage(struct text *why)
{
	refuse("%s", text_str(why));
	text_free(why);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct args a = { 0 };
	struct text text = { 0 };
	int status = EXIT_DONE;

	if (args_parse(argc, argv, &a, &text) < 0)
		return usage(&text);
	if (a.command == CMD_VERSION) {
		puts("l3ctl " VERSION);
	} else if (a.command == CMD_HELP) {
		if (args_help(a.topic, &text) < 0) {
			text_printf(&text, "unknown command \"%s\"", a.topic);
			return usage(&text);
		}
		fputs(text_str(&text), stdout);
	} else {
		status = run(&a);
	}
	text_free(&text);
	if (fflush(stdout) == EOF || ferror(stdout))
		return refuse("cannot write to standard output: %s", strerror(errno));
	return status;
}
