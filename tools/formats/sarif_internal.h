/* What the files of SARIF share: sarif.c writes the log, sarif_result.c its results. */
#ifndef SOCKLEAK_SARIF_INTERNAL_H
#define SOCKLEAK_SARIF_INTERNAL_H

#include "formats/formats.h"
#include "formats/values.h"

/* A path as a URI reference. */
json_t *sarif_uri(const char *path);
/* The place is one that format_source_line() knows a line of. */
json_t *sarif_result(const struct findings_place *place, const char *level);

#endif
