/* Where and how the helper thread runs: not as the thread that starts it. */
#ifndef SOCKLEAK_SCHEDULE_H
#define SOCKLEAK_SCHEDULE_H

/* By the main thread, before the program can pin itself: the helper may run where it may
 * run then.  The first call counts. */
void schedule_note_processors(void);
/* By the helper. */
void schedule_take_usual(void);

#endif
