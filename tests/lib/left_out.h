/* A case that tells nothing in a build with a sanitizer stands in the table of tests all
 * the same: by its name, as skipped, with the reason. */
#ifndef LEFT_OUT_H
#define LEFT_OUT_H

static inline void left_out(void **state)
{
	(void)state;
}

#define LEFT_OUT(test, why)                                                              \
	{                                                                                \
#test " # SKIP built with a sanitizer: " why, left_out, NULL, NULL, NULL \
	}

#endif
