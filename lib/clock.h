/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Time: monotonic milliseconds and microseconds, and the one backoff of the project. */

#include <stdint.h>

uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Delay before the try after `failures` failures in a row (1, 2, …): first_ms, doubled each time, at most max_ms, with
 * up to a quarter of it taken off at random so that many failures do not come back at once. */
uint32_t clock_backoff_ms(uint32_t failures, uint32_t first_ms, uint32_t max_ms);
