/* Names of generated code, from the file that a just-in-time compiler writes for perf:
 * /tmp/perf-PID.map, a line "START BYTES NAME" for each piece of code (see
 * tools/perf/Documentation/jit-interface.txt of Linux). */
#ifndef SOCKLEAK_PERF_MAP_H
#define SOCKLEAK_PERF_MAP_H

#include <stdint.h>
#include <sys/types.h>

/* The process whose file it has to be. */
struct perf_map_writer {
	uid_t user;
	int64_t from_ns, to_ns; /* it wrote the file last between these; CLOCK_REALTIME */
};

struct perf_map; /* one thread at a time */

/* NULL = there is none that this process has written, or it cannot be read. */
struct perf_map *perf_map_open(const char *path, const struct perf_map_writer *writer);
void perf_map_close(struct perf_map *map);

/* The name of the code at this address, until perf_map_close(); without V8's mark that
 * says by which of its compilers it was made.  NULL = none, or more than one: memory is
 * used again, and the file does not say when. */
const char *perf_map_find(const struct perf_map *map, uint64_t address);

#endif
