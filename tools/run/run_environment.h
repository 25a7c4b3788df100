/* The environment of a program that is run. */
#ifndef SOCKLEAK_RUN_ENVIRONMENT_H
#define SOCKLEAK_RUN_ENVIRONMENT_H

#include "run/run_files.h"

#include <stdbool.h>

/* Puts the library into LD_PRELOAD of this process, and into SOCKLEAK_OPTIONS what the
 * user has there, `settings` (":name=value" each) and where the ledgers are kept.  `asan`
 * is the runtime of the address sanitizer that must come first; NULL = none.  With
 * `node` NODE_OPTIONS loads sockleak_node.js before what the user has there.  -1 after one
 * clear line. */
int run_environment_set(struct run_files *files, const char *settings, const char *asan,
			bool node);

#endif
