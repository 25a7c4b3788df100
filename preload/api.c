/* The other side of sockleak.h: what a program or a test suite may ask. */
#include "guard.h"
#include "places.h"
#include "registry.h"
#include "watch.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#define EXPORT       __attribute__((visibility("default")))
#define PATIENCE_MS  1000 /* for the look that may be under way */
#define MAX_PAUSE_MS 50   /* between looks of a drain */

int sockleak_check(void);
uint64_t sockleak_mark(void);
int sockleak_check_since(uint64_t mark, unsigned drain_ms);
void sockleak_name(const char *text);
int sockleak_expect(int fd);

/* One look, by the calling thread. */
static uint64_t check(uint32_t since, bool told_or_not, bool print, uint64_t *n_connected)
{
	int saved_errno = errno; /* libunwind changes it */

	if (guard_process() != GUARD_OURS || guard_is_sandboxed ||
	    !watch_await(PATIENCE_MS))
		return 0;
	uint64_t n =
		watch_check(registry_now_ns(), since, told_or_not, print, n_connected);
	watch_release();
	errno = saved_errno;
	return n;
}

EXPORT int sockleak_check(void)
{
	uint64_t n_connected;

	return (int)check(0, false, true, &n_connected);
}

/* The generation of the last row, with a bit that keeps it from being 0. */
EXPORT uint64_t sockleak_mark(void)
{
	return UINT64_C(1) << 32 | registry_last_generation();
}

EXPORT int sockleak_check_since(uint64_t mark, unsigned drain_ms)
{
	uint64_t end_ns = registry_now_ns() + drain_ms * UINT64_C(1000000);
	uint64_t n_gone, n_connected = 0;
	unsigned pause_ms = 1;

	/* A close that is on its way is no leak: short looks, and the verdict at the end.
	 * And a peer's end of stream may be on its way: once more where it could be. */
	while ((n_gone = check((uint32_t)mark, true, false, &n_connected)) ||
	       (n_connected && pause_ms == 1)) {
		uint64_t now_ns = registry_now_ns();
		struct timespec pause = {0, pause_ms * 1000000L};

		if (now_ns >= end_ns)
			return n_gone ? (int)check((uint32_t)mark, true, true,
						   &n_connected)
				      : 0;
		guard_sys(SYS_nanosleep, &pause, NULL);
		pause_ms = 2 * pause_ms < MAX_PAUSE_MS ? 2 * pause_ms : MAX_PAUSE_MS;
	}
	return 0;
}

EXPORT void sockleak_name(const char *text)
{
	atomic_store(&registry_name, text && *text ? places_name(text) : 0);
}

EXPORT int sockleak_expect(int fd)
{
	struct row row;

	if (!registry_read(fd, &row) || (atomic_load(&row.word) & ROW_NOT_TCP)) {
		errno = ENOENT;
		return -1;
	}
	registry_set_bits(fd, ROW_EXPECTED);
	return 0;
}
