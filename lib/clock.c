/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "clock.h"

#include <sys/random.h>
#include <time.h>

uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

uint32_t clock_backoff_ms(uint32_t failures, uint32_t first_ms, uint32_t max_ms)
{
	uint64_t delay = first_ms;
	uint32_t dice = 0;

	for (uint32_t i = 1; i < failures && delay < max_ms; i++)
		delay *= 2;
	if (delay > max_ms)
		delay = max_ms;
	if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) < 0)
		dice = (uint32_t)clock_us();
	return (uint32_t)(delay - delay / 4 * (dice % 1024) / 1024);
}
