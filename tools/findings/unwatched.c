/* The words for why a process was not watched. */
#include "findings/unwatched.h"

#include <string.h>

static const struct {
	const char *name, *sentence;
} reasons[UNWATCHED_N_REASONS] = {
	[UNWATCHED_STATIC] = {"static", "is statically linked, so nothing can be "
					"preloaded into it"},
	[UNWATCHED_GO] = {"go", "is a Go program, which makes its system calls itself"},
	[UNWATCHED_RIGHTS] = {"gains-rights", "is setuid, setgid or has file "
					      "capabilities, so the loader ignores "
					      "LD_PRELOAD"},
	[UNWATCHED_ARCHITECTURE] = {"architecture", "is a program for another processor "
						    "or word size"},
	[UNWATCHED_LIBC] = {"libc", "uses another C library than glibc"},
	[UNWATCHED_ENVIRONMENT] = {"environment", "was started without LD_PRELOAD: its "
						  "environment was cleared"},
	[UNWATCHED_ELSEWHERE] = {"elsewhere",
				 "keeps no ledger of this run: LD_PRELOAD or "
				 "SOCKLEAK_OPTIONS was replaced"},
	[UNWATCHED_NOT_LOADED] = {"not-loaded", "did not load the library"},
	[UNWATCHED_NO_LEDGER] = {"no-ledger", "could not keep its ledger"},
	[UNWATCHED_ENDED_FIRST] = {"ended-first", "ended, or became another program, "
						  "while its ledger was made"},
	[UNWATCHED_FILTER] = {"filter", "laid a seccomp filter upon itself: from then on "
					"nothing could be asked about its sockets"},
	[UNWATCHED_LEFT_OUT] = {"left-out", "may have been left out by the options "
					    "programs, not or off"},
	[UNWATCHED_RUNNING] = {"running", "still runs: what it does from now on is not "
					  "in this report"},
};

const char *unwatched_name(enum unwatched_reason reason)
{
	return reasons[reason].name;
}

bool unwatched_find(const char *name, enum unwatched_reason *reason)
{
	for (int i = 0; i < UNWATCHED_N_REASONS; i++) {
		if (strcmp(reasons[i].name, name) != 0)
			continue;
		*reason = i;
		return true;
	}
	return false;
}

const char *unwatched_sentence(enum unwatched_reason reason)
{
	return reasons[reason].sentence;
}
