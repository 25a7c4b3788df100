/* See scan_asked.h. */
#include "commands/scan_asked.h"

#include "common/path.h"
#include "support/say.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_NAME_BYTES 15 /* the kernel keeps no more of a name */

/* -1 = it is none */
static long parse_number(const char *word, long most)
{
	char *end;
	errno = 0;
	long number = strtol(word, &end, 10);
	return isdigit((unsigned char)*word) && !*end && !errno && number <= most ? number
										  : -1;
}

/* As the kernel has it, of a name or a path.  A process that is just ending has none. */
static bool has_name(const char *name, const char *word)
{
	const char *base = path_base(word);
	size_t n = strnlen(base, KERNEL_NAME_BYTES);
	return n && strlen(name) == n && strncmp(name, base, n) == 0;
}

static bool has_port(const struct diag_socket *socket, long port)
{
	return socket->local_port == port || socket->peer_port == port;
}

static bool is_meant(const struct scan_socket *found, const char *word)
{
	long pid = parse_number(word, INT32_MAX);
	if (*word == ':')
		return has_port(found->socket, parse_number(word + 1, UINT16_MAX));
	for (size_t i = 0; i < found->n_holders; i++)
		if (pid < 0 ? has_name(found->holders[i].name, word)
			    : found->holders[i].at.pid == (uint32_t)pid)
			return true;
	return false;
}

static bool is_asked_for(const struct scan_socket *found, char *const *words)
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (is_meant(found, *words))
			return true;
	return false;
}

void scan_leave_out(struct scan *scan, char *const *words)
{
	size_t n = 0;
	for (size_t i = 0; i < scan->n_found; i++)
		if (is_asked_for(&scan->found[i], words))
			scan->found[n++] = scan->found[i];
		else
			free(scan->found[i].holders);
	scan->n_found = n;
}

static bool is_running(const char *word)
{
	char name[PROCESS_NAME_BYTES];
	long pid = parse_number(word, INT32_MAX);
	DIR *proc = opendir("/proc");
	bool found = false;
	for (const struct dirent *one; !found && proc && (one = readdir(proc));) {
		long number = parse_number(one->d_name, INT32_MAX);
		if (number < 0)
			continue;
		process_name((uint32_t)number, name);
		found = pid < 0 ? has_name(name, word) : pid == number;
	}
	if (proc)
		closedir(proc);
	return found;
}

void scan_check_asked(char *const *words)
{
	for (; *words; words++) {
		if (**words == ':' && parse_number(*words + 1, UINT16_MAX) < 1)
			say_usage("scan", "'%s' is no port", *words);
		if (**words != ':' && !is_running(*words))
			say_usage("scan", "there is no process '%s'", *words);
	}
}
