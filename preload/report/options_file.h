/* Options for a process whose environment lost SOCKLEAK_OPTIONS and kept LD_PRELOAD, as
 * that of a CGI program, or in which a script has set options of its own: the file
 * `options` beside the library in the directory of `sockleak run`.  Not asked for in
 * other directories: it would cost every start. */
#ifndef SOCKLEAK_OPTIONS_FILE_H
#define SOCKLEAK_OPTIONS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_FILE_BYTES 4096

/* Whether `options`, of the environment, say where the ledger is.  At the start. */
bool options_name_ledger(const char *options);

/* `preload` is the value of LD_PRELOAD.  The file, to be closed by SYS_close; -1 where
 * there is none, it is longer than the above, or somebody else than root and this user
 * may have written it.  At the start. */
long options_file_open(const char *preload);

#endif
