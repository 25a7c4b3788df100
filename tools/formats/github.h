/* What GitHub Actions shows of a step: annotations and a summary. */
#ifndef SOCKLEAK_GITHUB_H
#define SOCKLEAK_GITHUB_H

#include "findings/findings.h"

#include <stdio.h>

/* Workflow commands, a line each, which become annotations at lines of the source. */
void github_annotations(const struct findings *findings, FILE *file);

/* A table in Markdown, of at most `room` bytes; what does not fit is counted. */
void github_summary(const struct findings *findings, size_t room, FILE *file);

#endif
