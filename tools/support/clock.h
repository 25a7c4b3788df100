/* The kernel's clocks, and waiting. */
#ifndef SOCKLEAK_TOOL_CLOCK_H
#define SOCKLEAK_TOOL_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t clock_ns(clockid_t clock);
/* CLOCK_MONOTONIC, as ledgers have it. */
uint64_t clock_now_ns(void);
uint64_t clock_now_ms(void);
/* The whole time, also where a signal handler runs meanwhile. */
void clock_sleep_ms(uint64_t ms);

#endif
