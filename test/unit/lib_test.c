/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The rest of the base library: arena, text, vec, log, clock. */

#include "arena.h"
#include "clock.h"
#include "log.h"
#include "text.h"
#include "vec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- arena ---- */

static void arena_gives_zeroed_aligned_bytes(void **state)
{
	struct arena *a = arena_new(1 << 20);
	unsigned char *last = NULL;

	(void)state;
	for (size_t size = 1; size < 3000; size += 7) {
		unsigned char *p = arena_alloc(a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
		/* What was given before is not given again. */
		if (last)
			assert_int_equal(*last, 0xff);
		last = p;
	}
	assert_false(arena_full(a));
	assert_true(arena_size(a) <= 1 << 20);
	arena_free(a);
	arena_free(NULL);
}

static void arena_keeps_its_ceiling(void **state)
{
	struct arena *a = arena_new(10000);
	size_t given = 0;

	(void)state;
	while (arena_alloc(a, 100))
		given += 100;
	assert_in_range(given, 3000, 10000);
	assert_in_range(arena_size(a), given, 10200);
	assert_true(arena_full(a));
	/* Refused once, always refused: the owner asks only at the end. */
	assert_null(arena_alloc(a, 1));
	assert_null(arena_strdup(a, "x"));
	assert_null(arena_printf(a, "%d", 1));
	assert_null(arena_array(a, 1, 1));
	arena_free(a);

	a = arena_new(10000);
	assert_null(arena_alloc(a, 10001));
	assert_true(arena_full(a));
	arena_free(a);

	a = arena_new(10000);
	assert_null(arena_alloc(a, SIZE_MAX));
	arena_free(a);

	a = arena_new(SIZE_MAX / 2);
	assert_null(arena_array(a, SIZE_MAX / 2, 3));
	assert_true(arena_full(a));
	arena_free(a);
}

static void arena_texts(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	assert_string_equal(arena_strdup(a, "web"), "web");
	assert_string_equal(arena_strdup(a, ""), "");
	assert_string_equal(arena_strndup(a, "webserver", 3), "web");
	assert_string_equal(arena_printf(a, "%s-%05d", "qr", 42), "qr-00042");
	assert_int_equal(strlen(arena_printf(a, "%5000d", 1)), 5000);
	assert_non_null(arena_alloc(a, 0));
	arena_free(a);
}

/* ---- text ---- */

static void texts_grow(void **state)
{
	struct text t = { 0 };
	char expected[4001] = "";

	(void)state;
	assert_string_equal(text_str(&t), "");
	text_add(&t, "", 0);
	assert_string_equal(t.at, "");
	for (int i = 0; i < 1000; i++) {
		text_printf(&t, "%03d", i % 1000);
		text_put(&t, ",");
		snprintf(expected + 4 * i, 5, "%03d,", i);
	}
	assert_int_equal(t.n, 4000);
	assert_string_equal(t.at, expected);
	text_add(&t, "a\0b", 3);
	assert_int_equal(t.n, 4003);
	assert_memory_equal(t.at + 4000, "a\0b", 4);
	text_free(&t);
	assert_null(t.at);
	text_printf(&t, "%300d", 1);
	assert_int_equal(t.n, 300);
	text_free(&t);
}

static char directory[32];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/lib_test.XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static const char *in_directory(const char *name)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void files_are_saved_and_loaded(void **state)
{
	const char *path = in_directory("a.yaml");
	struct stat st;
	char *bytes;
	size_t n;

	(void)state;
	assert_int_equal(text_load(path, 100, &bytes, &n), -ENOENT);
	assert_int_equal(text_save(path, "one\0two", 7), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(text_load(path, 7, &bytes, &n), 0);
	assert_int_equal(n, 7);
	assert_memory_equal(bytes, "one\0two", 8);
	free(bytes);
	assert_int_equal(text_load(path, 6, &bytes, &n), -EFBIG);
	/* Replaced, with the mode that somebody gave it. */
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(text_save(path, "", 0), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(text_load(path, 0, &bytes, &n), 0);
	assert_int_equal(n, 0);
	assert_string_equal(bytes, "");
	free(bytes);
	assert_int_equal(unlink(path), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	const char *path = in_directory("fifo");
	char *bytes;
	size_t n;

	(void)state;
	assert_int_equal(text_load(directory, 100, &bytes, &n), -EISDIR);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(text_load(path, 100, &bytes, &n), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(text_load("/dev/zero", 100, &bytes, &n), -EINVAL);
	assert_int_equal(text_save(in_directory("no/a.yaml"), "x", 1), -ENOENT);
	/* A directory in the file's place: refused, and remove_directory finds no temporary file left behind. */
	path = in_directory("full");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(text_save(path, "x", 1), -EISDIR);
	assert_int_equal(rmdir(path), 0);
}

/* ---- vec ---- */

static int by_int(const void *a, const void *b)
{
	int l = *(const int *)a, r = *(const int *)b;

	return (l > r) - (l < r);
}

static void vecs_grow_and_sort(void **state)
{
	VEC(int) v = { 0 };

	(void)state;
	vec_sort(&v, by_int);
	for (int i = 0; i < 1000; i++) {
		int *new = vec_add(&v);

		assert_int_equal(*new, 0);
		*new = i * 7919 % 1000;
	}
	vec_sort(&v, by_int);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.at[i], i);
	/* Used again, an item is zeroed again. */
	v.n = 0;
	v.at[0] = 5;
	assert_int_equal(*vec_add(&v), 0);
	vec_free(&v);
	assert_null(v.at);
	assert_int_equal(v.n + v.room, 0);
}

static void say(const void *left, const void *right, void *ctx)
{
	if (left && right)
		text_printf(ctx, "=%d", *(const int *)left);
	else
		text_printf(ctx, "%c%d", left ? '-' : '+', left ? *(const int *)left : *(const int *)right);
}

static void walks_meet_both_sides(void **state)
{
	static const int left[] = { 1, 2, 4, 7 }, right[] = { 2, 3, 7, 8, 9 };
	static const struct { size_t n_left, n_right; const char *want; } cases[] = {
		{ 4, 5, "-1=2+3-4=7+8+9" }, { 4, 0, "-1-2-4-7" }, { 0, 5, "+2+3+7+8+9" }, { 0, 0, "" },
		{ 1, 1, "-1+2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text t = { 0 };

		vec_walk(left, cases[i].n_left, right, cases[i].n_right, sizeof *left, by_int, say, &t);
		assert_string_equal(text_str(&t), cases[i].want);
		text_free(&t);
	}
}

/* ---- log ---- */

static void buckets_let_a_burst_through(void **state)
{
	struct log_bucket b = { .burst = 3, .every_ms = 100 };
	uint64_t dropped = 77;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(log_bucket_take(&b, 1000, &dropped));
		assert_int_equal(dropped, 0);
	}
	for (int i = 0; i < 5; i++)
		assert_false(log_bucket_take(&b, 1050, &dropped));
	/* One back after every_ms, with the number of those that were not said. */
	assert_true(log_bucket_take(&b, 1100, &dropped));
	assert_int_equal(dropped, 5);
	assert_false(log_bucket_take(&b, 1150, &dropped));
	assert_true(log_bucket_take(&b, 1200, &dropped));
	assert_int_equal(dropped, 1);
	/* After a long silence the whole burst, not more. */
	for (int i = 0; i < 3; i++)
		assert_true(log_bucket_take(&b, 1000000, &dropped));
	assert_false(log_bucket_take(&b, 1000000, &dropped));
}

/* What `line` writes to standard error. */
static void capture(void (*line)(void), char *ret, size_t room)
{
	int saved = dup(STDERR_FILENO), ends[2];
	ssize_t n;

	assert_true(saved >= 0);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	line();
	dup2(saved, STDERR_FILENO);
	close(ends[1]);
	close(saved);
	n = read(ends[0], ret, room - 1);
	close(ends[0]);
	ret[n > 0 ? n : 0] = 0;
}

static void say_odd(void)
{
	log_warn("a\nb\"", "%s: %d\x1b[2J \\", "bad", 1);
	log_debug(NULL, "not said");
}

static void say_plain(void)
{
	log_debug(NULL, "%d", 5);
}

static void one_event_is_one_line(void **state)
{
	char line[256];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture(say_odd, line, sizeof line);
	assert_string_equal(line, "warn: a\\u000ab\": bad: 1\\u001b[2J \\\n");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	capture(say_plain, line, sizeof line);
	assert_string_equal(line, "<7>debug: 5\n");
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	capture(say_odd, line, sizeof line);
	assert_string_equal(
		line, "{\"level\":\"warn\",\"object\":\"a\\u000ab\\\"\",\"message\":\"bad: 1\\u001b[2J \\\\\"}\n");
	capture(say_plain, line, sizeof line);
	assert_string_equal(line, "");
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("INFO", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* ---- clock ---- */

static void backoff_doubles_up_to_its_limit(void **state)
{
	static const struct { uint32_t failures, want; } cases[] = {
		{ 0, 1000 }, { 1, 1000 }, { 2, 2000 }, { 3, 4000 }, { 4, 8000 }, { 7, 60000 }, { 40, 60000 },
		{ UINT32_MAX, 60000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int k = 0; k < 200; k++)
			assert_in_range(clock_backoff_ms(cases[i].failures, 1000, 60000),
					cases[i].want - cases[i].want / 4, cases[i].want);
}

static void backoff_is_spread(void **state)
{
	uint32_t least = UINT32_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint32_t delay = clock_backoff_ms(1, 1000000, 1000000);

		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_true(least < 800000 && most > 950000);
}

static void time_goes_on(void **state)
{
	uint64_t ms = clock_ms(), us = clock_us();

	(void)state;
	usleep(2000);
	assert_in_range(clock_us() - us, 2000, 60000000);
	assert_in_range(clock_ms() - ms, 1, 60000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_gives_zeroed_aligned_bytes),
		cmocka_unit_test(arena_keeps_its_ceiling),
		cmocka_unit_test(arena_texts),
		cmocka_unit_test(texts_grow),
		cmocka_unit_test_setup_teardown(files_are_saved_and_loaded, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, make_directory, remove_directory),
		cmocka_unit_test(vecs_grow_and_sort),
		cmocka_unit_test(walks_meet_both_sides),
		cmocka_unit_test(buckets_let_a_burst_through),
		cmocka_unit_test(one_event_is_one_line),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(backoff_doubles_up_to_its_limit),
		cmocka_unit_test(backoff_is_spread),
		cmocka_unit_test(time_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
