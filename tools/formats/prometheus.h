/* Metrics in the text format of Prometheus, for the textfile collector of node_exporter.
 *
 * What leaks is summed up by program, place and kind, and at most PROMETHEUS_MAX_SERIES
 * of each metric are written, the largest first; "other" has the rest.  No label changes
 * with every process or run, such as a pid. */
#ifndef SOCKLEAK_PROMETHEUS_H
#define SOCKLEAK_PROMETHEUS_H

#include "common/text.h"
#include "formats/list.h"
#include "formats/scan.h"

#include <stdio.h>

#define PROMETHEUS_MAX_SERIES 20

struct findings;
struct prometheus;

/* Sockets of one program. */
struct prometheus_program {
	uint64_t n_processes, open, opened, closed, missed, dropped;
};

/* `source`: the subcommand, by which several files in one directory differ; borrowed. */
struct prometheus *prometheus_open(const char *source);
/* The place is where the sockets were opened, or for scan the port; all are copied. */
void prometheus_add_leak(struct prometheus *prometheus, const char *program,
			 const char *place, const char *kind, uint64_t n_sockets,
			 uint64_t age_ms);
void prometheus_add_program(struct prometheus *prometheus, const char *program,
			    const struct prometheus_program *counts);
void prometheus_set_pending(struct prometheus *prometheus, uint64_t n_sockets);
/* Processes of which nothing is known. */
void prometheus_set_unseen(struct prometheus *prometheus, uint64_t n_processes);
/* Writes all of it, and gives it up. */
void prometheus_close(struct prometheus *prometheus, FILE *file);

/* "accept_client (app.c:25)", of the frame that stands for a place; NULL = `reason`. */
void prometheus_place(char *place, size_t size, const struct text_frame *frame,
		      const char *reason);

void format_prometheus(const struct findings *findings, FILE *file);
void list_prometheus(const struct list *list, FILE *file);
void scan_prometheus(const struct scan *scan, FILE *file);

#endif
