/* Where reports go: standard error while it still is the file it was at the start, a file
 * by path, or nowhere.  One write a block, no SIGPIPE, no waiting: what a full pipe does
 * not take is dropped and counted.  Raw system calls; errno untouched. */
#ifndef SOCKLEAK_LOG_H
#define SOCKLEAK_LOG_H

#include "probe.h"
#include "settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At start: remembers what standard error is, or makes the file, or leaves that to
 * log_open().  NULL or the reason why there is no log, a whole sentence. */
const char *log_start(const struct settings *settings, bool opens_now);
/* In a child, at once: the file is its parent's to remove. */
void log_disown(void);
/* By the ticker, late, or in a child: a file of its own where the path has its pid.  What
 * standard error is was known at the start: the calling thread may have no descriptor
 * 2. */
const char *log_open(const struct settings *settings);

/* Whole lines.  Not for hooks: it opens the file. */
void log_write(const struct probe_way *way, const char *bytes, size_t n_bytes);

/* One line to standard error whatever the log is, "==PID==WARNING: sockleak: LINE". */
void log_complain(const char *line);
/* The same with the path that it is about: "LINE: PATH". */
void log_complain_of(const char *line, const char *path_of);

uint64_t log_lost(void); /* blocks that could not be written */
/* At exit: removes the file if nothing was ever written to it. */
void log_end(void);

#endif
