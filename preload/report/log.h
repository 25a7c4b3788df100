/* Where reports go: standard error while it still is the file it was at the start, a file
 * by path, or nowhere.  In pieces of 4 KiB, without SIGPIPE; a full pipe is waited for up
 * to 200 ms, then the rest of the block is dropped and counted.  Raw system calls; errno
 * untouched. */
#ifndef SOCKLEAK_LOG_H
#define SOCKLEAK_LOG_H

#include "base/probe.h"
#include "report/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At start: remembers what standard error is, or makes the file, or leaves that to
 * log_open().  NULL or the reason why there is no log, a whole sentence. */
const char *log_start(const struct settings *settings, bool opens_now);
/* In a child, at once: the file is its parent's to remove. */
void log_disown(void);
/* By the scanning thread, late, or in a child: a file of its own where the path has its
 * pid.  What standard error is was known at the start: the calling thread may have no
 * descriptor 2. */
const char *log_open(const struct settings *settings);

/* Whether what is written goes anywhere. */
bool log_is_kept(void);
/* Whole lines.  Not for hooks: it opens the file. */
void log_write(const struct fd_access *access, const char *bytes, size_t n_bytes);

/* What is written from now on is kept, too, whether it goes anywhere or not: its first 64
 * KiB, in whole blocks.  What was kept before is forgotten.  Until log_keep_no_more(). */
void log_keep(void);
void log_keep_no_more(void);
/* As much of it as fits, terminated; returns the length of all of it. */
size_t log_copy_kept(char *buffer, size_t size);

/* One line to standard error whatever the log is, "==PID==WARNING: sockleak: LINE". */
void log_warn(const char *line);
/* The same with the path that it is about: "LINE: PATH". */
void log_warn_of(const char *line, const char *path_of);

uint64_t log_lost(void); /* blocks that could not be written */
/* At exit: removes the file if nothing was ever written to it. */
void log_end(void);

#endif
