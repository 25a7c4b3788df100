/* --github: annotations on standard error, and the summary of the step. */
#ifndef SOCKLEAK_GITHUB_OUTPUT_H
#define SOCKLEAK_GITHUB_OUTPUT_H

#include "findings/findings.h"

/* Annotations go where Actions reads them as it does standard output, and where no format
 * is disturbed.  -1 after one line on standard error. */
int github_output_write(const struct findings *findings);

#endif
