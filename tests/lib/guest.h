/* What a fixture says of a call, so that a bare and a preloaded run can be compared line
 * by line, and what it may ask of the library's books where it is preloaded.
 *
 * The books are read from the process's own ledger: run with ledger=DIR, and GUEST_LEDGER
 * naming DIR.  Bare, every question about them is answered "as it should be", and so with
 * GUEST_BOOKS_ARE_LATE set, for a host whose ledger begins with its first connection. */
#ifndef GUEST_H
#define GUEST_H

#include "common/ledger.h"
#include "peer.h"
#include "sockleak.h"

#include <dirent.h>
#include <sys/mman.h>

#define GUEST_ERRNO 4711 /* no error has this number: it stays where a call succeeds */

/* How often this thread allocates or frees, for the fixture that counts (guest_lean.c);
 * others stay at 0. */
static __thread unsigned guest_n_allocations __attribute__((unused));

/* Makes the call and says what came of it, errno and allocations too. */
#define CALL(expression)                                                                 \
	({                                                                               \
		unsigned guest_before = guest_n_allocations;                             \
		errno = GUEST_ERRNO;                                                     \
		long guest_result = (long)(expression);                                  \
		int guest_errno = errno;                                                 \
		printf("%s = %ld %s, %u\n", #expression, guest_result,                   \
		       guest_error(guest_errno), guest_n_allocations - guest_before);    \
		errno = guest_errno;                                                     \
		guest_result;                                                            \
	})

static inline const char *guest_error(int error)
{
	const char *name = strerrorname_np(error);

	return error == GUEST_ERRNO ? "untouched" : name ? name : "?";
}

/* Ends the program with 1 unless the books say so, at once. */
#define books(condition)                                                                 \
	do {                                                                             \
		bool guest_is_so = (condition);                                          \
		if (guest_is_watched() && !guest_is_so) {                                \
			fflush(stdout);                                                  \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,       \
				#condition);                                             \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

static inline bool guest_is_watched(void)
{
	return sockleak_mark() != 0 && !getenv("GUEST_BOOKS_ARE_LATE");
}

/* The ledger of a process, mapped as large as it may become; NULL = it has none.  A
 * program that became another one left the older of two. */
static inline const struct sl_header *guest_ledger(pid_t pid)
{
	char start[32], newest[256] = "", path[1024];
	const char *name = getenv("GUEST_LEDGER");
	DIR *directory = name ? opendir(name) : NULL;
	const void *at = MAP_FAILED;

	snprintf(start, sizeof(start), "%d.", (int)pid);
	for (struct dirent *one; directory && (one = readdir(directory));)
		if (!strncmp(one->d_name, start, strlen(start)) &&
		    strstr(one->d_name, SL_LEDGER_SUFFIX) &&
		    strcmp(one->d_name, newest) > 0)
			snprintf(newest, sizeof(newest), "%s", one->d_name);
	snprintf(path, sizeof(path), "%s/%s", name, newest);
	int fd = *newest ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		at = mmap(NULL, sizeof(struct sl_header) + SL_MAX_BLOCKS * SL_BLOCK_BYTES,
			  PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
		close(fd);
	}
	if (directory)
		closedir(directory);
	return at == MAP_FAILED ? NULL : at;
}

/* Whether process `pid` left word that it became a program that is not watched. */
static inline bool guest_became_unwatched(pid_t pid)
{
	char start[32];
	const char *name = getenv("GUEST_LEDGER");
	DIR *directory = name ? opendir(name) : NULL;
	bool result = false;

	must(directory);
	snprintf(start, sizeof(start), "%d.", (int)pid);
	for (struct dirent *one; (one = readdir(directory));)
		result |= !strncmp(one->d_name, start, strlen(start)) &&
			  strstr(one->d_name, SL_UNWATCHED_SUFFIX);
	closedir(directory);
	return result;
}

/* The row of `fd` in this process's ledger, a copy; zeroed where there is none. */
static inline struct sl_descriptor guest_row(int fd)
{
	static const struct sl_header *header;
	static pid_t whose;
	struct sl_descriptor copy = {0};

	if (whose != getpid()) {
		header = guest_ledger(getpid());
		whose = getpid();
	}
	for (uint32_t i = 0; header && i < header->n_blocks; i++) {
		const struct sl_block *block = &header->blocks[i];
		if (block->kind != SL_BLOCK_ROWS ||
		    block->first != (uint32_t)fd - (uint32_t)fd % SL_ROWS_PER_BLOCK)
			continue;
		const struct sl_descriptor *row =
			(const void *)((const char *)(header + 1) +
				       (size_t)i * SL_BLOCK_BYTES);
		row += fd % SL_ROWS_PER_BLOCK;
		do {
			memcpy(&copy, row, sizeof(copy));
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
		} while ((copy.sequence & 1) ||
			 copy.sequence != *(const volatile uint32_t *)&row->sequence);
	}
	return copy;
}

/* Whether this process's ledger has an event of this kind about the socket. */
static inline bool guest_has_event(uint32_t kind, uint64_t cookie)
{
	const struct sl_header *header = guest_ledger(getpid());

	for (uint32_t i = 0; header && i < header->n_blocks; i++) {
		const char *at = (const char *)(header + 1) + (size_t)i * SL_BLOCK_BYTES,
			   *end = at + SL_BLOCK_BYTES;
		const struct sl_event *event;

		if (header->blocks[i].kind != SL_BLOCK_RECORDS)
			continue;
		for (; (event = (const void *)at)->head.kind; at += event->head.bytes) {
			if (event->head.kind == SL_RECORD_EVENT && event->kind == kind &&
			    event->cookie == cookie)
				return true;
			if (at + event->head.bytes + sizeof(event->head) > end)
				break;
		}
	}
	return false;
}

/* Opened by this call, and held. */
static inline bool is_recorded(int fd, enum sl_call call)
{
	struct sl_descriptor row = guest_row(fd);

	return row.held && row.call == call;
}

static inline bool is_held(int fd)
{
	return guest_row(fd).held;
}

static inline bool was_told(int fd, enum sl_call call)
{
	struct sl_descriptor row = guest_row(fd);

	return row.held && row.told_ns && row.eof_call == call;
}

static inline bool was_not_told(int fd)
{
	struct sl_descriptor row = guest_row(fd);

	return row.held && !row.told_ns;
}

static inline int guest_n_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int n = 0;

	must(directory);
	while (readdir(directory))
		n++;
	closedir(directory);
	return n - 2;
}

/* A connection, both ends here. */
struct pair {
	int listener, client, server;
};

static inline struct pair connected(void)
{
	struct pair pair = {.listener = peer_listen()};

	pair.client = peer_connect(pair.listener);
	pair.server = peer_accept(pair.listener);
	return pair;
}

/* ... whose peer has closed. */
static inline struct pair ended(void)
{
	struct pair pair = connected();

	peer_close(pair.client);
	await_fin(pair.server);
	return pair;
}

/* ... whose peer left by RST. */
static inline struct pair reset(void)
{
	struct pair pair = connected();

	peer_reset(pair.client);
	await_gone(pair.server);
	return pair;
}

static inline void finish(struct pair pair)
{
	close(pair.server);
	close(pair.listener);
}

/* A program of cases: without an argument it lists them, with a name it runs that one. */
struct guest_case {
	const char *name;
	void (*run)(void);
};

static inline int guest_main(const struct guest_case *cases, size_t n, int argc,
			     char **argv)
{
	alarm(120);
	for (size_t i = 0; i < n; i++) {
		if (argc < 2)
			puts(cases[i].name);
		else if (!strcmp(argv[1], cases[i].name))
			return cases[i].run(), 0;
	}
	return argc < 2 ? 0 : 96;
}

#define GUEST_MAIN(cases)                                                                \
	int main(int argc, char **argv)                                                  \
	{                                                                                \
		return guest_main(cases, sizeof(cases) / sizeof *(cases), argc, argv);   \
	}

#endif
