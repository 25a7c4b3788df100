/* One pass over /proc: what a process holds is in its directory of descriptors, one link
 * "socket:[INODE]" for each.  Processes come and go meanwhile: what has gone holds
 * nothing any more. */
#include "kernel/holders.h"

#include "support/say.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

struct holders_socket {
	uint32_t inode;
	size_t n;
	struct holder *holders; /* owned */
	UT_hash_handle hh;
};

static void add_holder(struct holders *holders, uint32_t inode, struct holder holder)
{
	struct holders_socket *socket;
	HASH_FIND(hh, holders->sockets, &inode, sizeof inode, socket);
	if (!socket) {
		socket = say_calloc(1, sizeof *socket);
		socket->inode = inode;
		HASH_ADD(hh, holders->sockets, inode, sizeof socket->inode, socket);
	}
	socket->holders =
		say_one_more(socket->holders, socket->n, sizeof *socket->holders);
	socket->holders[socket->n++] = holder;
}

static void add_namespace(struct holders *holders, uint64_t inode, uint32_t pid)
{
	for (size_t i = 0; i < holders->n_namespaces; i++) {
		if (holders->namespaces[i].inode == inode)
			return;
	}
	holders->namespaces = say_one_more(holders->namespaces, holders->n_namespaces,
					   sizeof *holders->namespaces);
	holders->namespaces[holders->n_namespaces++] =
		(struct holders_namespace){.inode = inode, .pid = pid};
}

/* 0 = it leads to no socket. */
static uint32_t inode_of(int directory, const char *name)
{
	char link[64];
	uint32_t inode;
	ssize_t n = readlinkat(directory, name, link, sizeof link - 1);
	if (n <= 0)
		return 0;
	link[n] = 0;
	return sscanf(link, "socket:[%" SCNu32 "]", &inode) == 1 ? inode : 0;
}

uint32_t holders_inode(uint32_t pid, uint32_t fd)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/fd/%" PRIu32, pid, fd);
	return inode_of(AT_FDCWD, path);
}

static void look_at_descriptors(struct holders *holders, uint32_t pid, DIR *descriptors)
{
	for (const struct dirent *one; (one = readdir(descriptors));) {
		if (!isdigit((unsigned char)one->d_name[0]))
			continue;
		uint32_t inode = inode_of(dirfd(descriptors), one->d_name);
		if (inode)
			add_holder(holders, inode,
				   (struct holder){.pid = pid,
						   .fd = (uint32_t)atoi(one->d_name)});
	}
}

static void look_at_process(struct holders *holders, uint32_t pid)
{
	char path[64];
	struct stat namespace;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/fd", pid);
	DIR *descriptors = opendir(path);
	if (!descriptors) {
		holders->n_unseen += errno == EACCES || errno == EPERM;
		return;
	}
	look_at_descriptors(holders, pid, descriptors);
	closedir(descriptors);
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/ns/net", pid);
	if (stat(path, &namespace) == 0)
		add_namespace(holders, namespace.st_ino, pid);
}

static int by_pid_and_fd(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->fd < y->fd ? -1 : x->fd > y->fd;
}

void holders_find(struct holders *holders)
{
	DIR *proc = opendir("/proc");
	*holders = (struct holders){0};
	/* Where nothing is mounted there is an empty directory. */
	if (!proc || access("/proc/self", F_OK) < 0)
		say_die(SAY_USAGE, "cannot look into /proc:");
	for (const struct dirent *one; (one = readdir(proc));) {
		if (isdigit((unsigned char)one->d_name[0]))
			look_at_process(holders, (uint32_t)atoi(one->d_name));
	}
	closedir(proc);
	for (struct holders_socket *one = holders->sockets; one; one = one->hh.next)
		qsort(one->holders, one->n, sizeof *one->holders, by_pid_and_fd);
}

const struct holder *holders_of(const struct holders *holders, uint32_t inode, size_t *n)
{
	struct holders_socket *socket = NULL;
	if (inode)
		HASH_FIND(hh, holders->sockets, &inode, sizeof inode, socket);
	*n = socket ? socket->n : 0;
	return socket ? socket->holders : NULL;
}

void holders_free(struct holders *holders)
{
	struct holders_socket *one, *next;
	HASH_ITER(hh, holders->sockets, one, next)
	{
		HASH_DEL(holders->sockets, one);
		free(one->holders);
		free(one);
	}
	free(holders->namespaces);
	*holders = (struct holders){0};
}
