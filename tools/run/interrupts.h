/* What ends the report of a run that takes too long. */
#ifndef SOCKLEAK_INTERRUPTS_H
#define SOCKLEAK_INTERRUPTS_H

/* From now on SIGHUP, SIGINT, SIGQUIT and SIGTERM, which are blocked, end this process as
 * they do by default, `patience_ms` after the first of them: `clean` is called with `of`,
 * in another thread, and then the signal ends us.  A report that is nearly done gets
 * done, also when whoever ends the program ends us a moment later (timeout(1) does).
 * Those that are pending now are forgotten: the program has ended by them.  A signal that
 * was ignored when we were started (nohup) stays so. */
void interrupts_watch(void (*clean)(void *of), void *of, unsigned patience_ms);

/* `clean` is not called any more, or this call does not return. */
void interrupts_end(void);

#endif
