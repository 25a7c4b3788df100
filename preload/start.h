/* What hooks need of the order of things (start.c). */
#ifndef SOCKLEAK_START_H
#define SOCKLEAK_START_H

#include <stdbool.h>

/* A real child noticed that it runs on a copy of our memory (fork's handler did not run:
 * _Fork, raw clone): it begins its own books. */
void start_child(void);

/* _exit was called, maybe on top of a signal handler: the report, as at exit.  Returns
 * the status to end with. */
int start_last_words(int status);

/* A socket is there: asks what is only of use to a process that has some.  Later calls
 * find all done.  In a child that may not write in our books it stays undone. */
void start_first_socket(void);
extern bool start_has_socket;

/* The first connection of the process, or the first one since a fork. */
void start_connection(void);

#endif
