/* The command line of sockleak run. */
#ifndef SOCKLEAK_RUN_OPTIONS_H
#define SOCKLEAK_RUN_OPTIONS_H

#include "commands/output.h"

#include <stdbool.h>

struct run_options {
	struct output *output; /* owned by the caller; told what concerns it */
	char **argv;           /* the program and its arguments; owned by main() */
	/* For SOCKLEAK_OPTIONS, ":name=value" each, in the order given; owned. */
	char *settings;
	const char *kept_directory; /* of ledgers; NULL = they go with the run */
	bool force, strict, wants_progress;
	bool node;       /* programs that Node runs say where they open sockets */
	bool leaves_out; /* programs that are not to be watched */
};

/* Ends the process for --help, or where something is wrong. */
struct run_options run_options_take(struct output *output, int argc, char **argv);
void run_options_free(struct run_options *options);

#endif
