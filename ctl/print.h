/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The daemon's answers as a person reads them. Pure: JSON in, text out. A field that is missing or of another type prints
 * as "-"; whatever a string contains, control characters come out escaped, so that no name reaches the terminal as a
 * command. */

#include "args.h"

#include <jansson.h>

struct text;

/* The answer to a command that succeeded. */
void print_answer(enum command command, const json_t *answer, struct text *out);
/* The part of it that --json prints: what the command asked for, without the frame around it. A reference of the caller's;
 * NULL when memory is out. */
json_t *print_payload(enum command command, const json_t *answer);
/* Why a request was refused: a line for each problem, `file:line:column: text`, else the sentence of the answer. */
void print_refusal(const json_t *answer, struct text *out);
/* A line for each of the answer's plans that failed; the number of them. */
size_t print_failures(const json_t *answer, struct text *out);
/* "12 of 1000 in sync, 988 pending", with the failed if there are any. */
void print_progress(const json_t *progress, struct text *out);
/* s with control characters (C0, DEL, C1) as \u00XX, and the line end and tab too unless `lines`. */
void print_escaped(const char *s, size_t n, bool lines, struct text *out);
