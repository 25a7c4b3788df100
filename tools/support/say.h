/* What the command says on standard error: "sockleak: cannot open X: reason". */
#ifndef SOCKLEAK_SAY_H
#define SOCKLEAK_SAY_H

#include <stddef.h>

/* Exit statuses of report, list, scan and symbolize. */
#define SAY_USAGE 2 /* usage, or unreadable input */

/* One line with the prefix.  A format that ends in ':' gets " strerror(errno)" added.
 * What is printed of other people's bytes (paths, names in ledgers) is escaped: no
 * control character reaches the terminal. */
void say_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, then the end of the process with `status`. */
_Noreturn void say_die(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "sockleak: SUBCOMMAND: ...", then where help is to be had; ends with the status below.
 */
_Noreturn void say_usage(const char *subcommand, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Memory, or the end of the process. */
void *say_calloc(size_t n, size_t bytes);
void *say_realloc(void *at, size_t n, size_t bytes);
/* Room for one more behind the `n` of an array that grew by nothing else; NULL is one of
 * 0. It doubles where `n` is a power of two. */
void *say_one_more(void *array, size_t n, size_t bytes);
char *say_strdup(const char *string);
char *say_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The status with which these five and say_usage() end the process: 2, in run 125. */
extern int say_memory_status;

#endif
