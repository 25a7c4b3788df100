/* Suppressions: rules that take sockets out of the findings. */
#ifndef SOCKLEAK_RULES_H
#define SOCKLEAK_RULES_H

#include "findings/findings.h"

#include <stdbool.h>
#include <stdio.h>

struct rules;

/* Reads a file of rules, one a line.  NULL after one clear line on standard error if it
 * cannot be read or a line of it is malformed. */
struct rules *rules_read(const char *path);

/* Takes out what the rules match, in their order, and notes in the findings which were
 * used.  Frames must have their names by now. */
void rules_apply(const struct rules *rules, struct findings *findings);
void rules_free(struct rules *rules);

/* A rule for this place, "leak:NAME", for the caller to free; the most telling name of
 * its frames.  NULL if there is none: nothing but unknown code, or a name that no rule
 * can hold. */
char *rules_propose(const struct findings_place *place);

/* -- the baseline: ids of places that are known already --------------------------- */

struct baseline;

/* Reads ids as --write-baseline wrote them, one a line, comments after '#'.  NULL after
 * one clear line on standard error. */
struct baseline *rules_read_baseline(const char *path);
/* Takes out the leaks whose place it names. */
void rules_apply_baseline(const struct baseline *baseline, struct findings *findings);
void rules_free_baseline(struct baseline *baseline);
/* Writes the ids of all leaks, with a comment each that says which place it is. */
void rules_write_baseline(const struct findings *findings, FILE *file);

#endif
