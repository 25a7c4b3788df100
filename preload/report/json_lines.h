/* JSON lines: what a running process reports, with the fields of the command's report. */
#ifndef SOCKLEAK_JSON_LINES_H
#define SOCKLEAK_JSON_LINES_H

#include "common/text.h"

/* One object and a newline: events "leak", "closed-late", "summary".
 * `ts` is CLOCK_REALTIME in seconds with three decimals.  What does not fit is written
 * with fewer frames, and if that does not fit either, not at all: never half an object.
 */
void json_lines_leak(struct text *text, const struct text_place *place,
		     uint64_t realtime_ms);
void json_lines_closed_late(struct text *text, const struct text_place *place,
			    uint64_t realtime_ms);
void json_lines_summary(struct text *text, const struct text_summary *summary,
			uint64_t realtime_ms);

#endif
