/* Where the library is that `sockleak run` preloads. */
#ifndef SOCKLEAK_LIBRARY_H
#define SOCKLEAK_LIBRARY_H

#define LIBRARY_NAME      "libsockleak.so"
#define LIBRARY_NODE_NAME "sockleak_node.js" /* beside it */

/* The absolute path of the library: beside the running command (build/), in
 * ../lib/sockleak seen from it (installed, also moved as a whole), or where it was
 * configured to be installed; the first that is a readable file.  Never in the current
 * directory, never by a search path.  The caller frees it; NULL with errno (ENOENT: in
 * none of them). */
char *library_path(void);

/* Says on standard error that it is in none of them. */
void library_say_missing(void);

#endif
