/* For libraries that stand in for calls which open sockets: captures the frames of a
 * language in each, keeps them, and writes them where the program asks for it.  A fault
 * in a capture ends the program with 98. */
#ifndef SOCKLEAK_KEPT_CAPTURES_H
#define SOCKLEAK_KEPT_CAPTURES_H

#include "captures.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_FRAMES 128
#define N_KEPT   (1u << 17)
#define BYTES    (1ull << 30) /* not reserved */

/* What the program calls. */
EXPORTED int captures_dump(const char *path);
EXPORTED unsigned captures_frames(void);

struct kept {
	int fd;
	char kind;
	unsigned n;
	struct language_frame frames[];
};

static struct kept *kept[N_KEPT];
static unsigned n_kept;
static char *memory;
static uint64_t used;
static bool is_on;
static __thread bool is_capturing __attribute__((tls_model("initial-exec")));

static unsigned capture(struct language_frame frames[N_FRAMES])
{
	is_capturing = true;
	unsigned n = language_capture(frames, N_FRAMES);
	is_capturing = false;
	return n;
}

static void on_fault(int signal_number)
{
	if (is_capturing)
		_exit(98);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void note(char kind, int fd)
{
	struct language_frame frames[N_FRAMES];

	if (!is_on || fd < 0)
		return;
	unsigned n = capture(frames);
	size_t bytes = (sizeof(struct kept) + n * sizeof(*frames) + 15) & ~15ul;
	uint64_t at = __atomic_fetch_add(&used, bytes, __ATOMIC_RELAXED);
	unsigned number = __atomic_fetch_add(&n_kept, 1, __ATOMIC_RELAXED);
	if (at + bytes > BYTES || number >= N_KEPT)
		return;
	struct kept *one = (struct kept *)(memory + at);
	one->fd = fd;
	one->kind = kind;
	one->n = n;
	memcpy(one->frames, frames, n * sizeof(*frames));
	__atomic_store_n(&kept[number], one, __ATOMIC_RELEASE);
}

EXPORTED int socket(int domain, int type, int protocol)
{
	NEXT(socket);
	int fd = next(domain, type, protocol);
	note('s', fd);
	return fd;
}

EXPORTED int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	NEXT(accept4);
	int accepted = next(fd, address, bytes, flags);
	note('a', accepted);
	return accepted;
}

EXPORTED int accept(int fd, struct sockaddr *address, socklen_t *bytes)
{
	NEXT(accept);
	int accepted = next(fd, address, bytes);
	note('a', accepted);
	return accepted;
}

EXPORTED int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	NEXT(connect);
	note('c', fd);
	return next(fd, address, bytes);
}

static void write_text(FILE *to, const char *text)
{
	for (; *text; text++)
		fprintf(to, "%02x", (unsigned char)*text);
}

/* A line for each capture: kind, descriptor, and for each frame the line, the function
 * and the file in hexadecimal. */
EXPORTED int captures_dump(const char *path)
{
	FILE *to = fopen(path, "w");
	unsigned n = n_kept < N_KEPT ? n_kept : N_KEPT;

	for (unsigned i = 0; to && i < n; i++) {
		if (!kept[i])
			continue;
		fprintf(to, "%c %d", kept[i]->kind, kept[i]->fd);
		for (unsigned k = 0; k < kept[i]->n; k++) {
			const struct language_code *code =
				language_code(kept[i]->frames[k].identity);
			fprintf(to, " %u:", kept[i]->frames[k].line);
			write_text(to, code->function);
			fputc(':', to);
			write_text(to, code->file);
		}
		fputc('\n', to);
	}
	return to ? fclose(to) : -1;
}

EXPORTED unsigned captures_frames(void)
{
	struct language_frame frames[N_FRAMES];

	return language_capture(frames, N_FRAMES);
}

/* After start_captures(). */
static void start_keeping(void)
{
	memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	is_on = memory != MAP_FAILED;
}

#endif
