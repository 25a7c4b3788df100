/* What hooks need of the order of things (start.c). */
#ifndef SOCKLEAK_START_H
#define SOCKLEAK_START_H

/* A real child noticed that it runs on a copy of our memory (fork's handler did not run:
 * _Fork, raw clone): it begins its own books. */
void start_child(void);

/* _exit was called: the report, as at exit.  Returns the status to end with. */
int start_last_words(int status);

/* The first connection of the process, or the first one since a fork. */
void start_connection(void);

#endif
