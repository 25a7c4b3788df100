/* See program.h.  A program that will be watched costs the four system calls that open a
 * file, read its first bytes and close it, which the kernel is about to read anyway, and
 * one for each page of the environment up to LD_PRELOAD.
 *
 * The reasons are those of the command (tools/run/target.c), as far as the first bytes of
 * a file show them; a program of Go whose loader is glibc's passes here. */
#include "base/program.h"

#include "base/guard.h"
#include "base/own_memory.h"
#include "base/page.h"
#include "base/single_thread.h"
#include "base/unchecked.h"
#include "common/path.h"
#include "common/text.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define HEADER_BYTES     320 /* most often with the place of the loader's name */
#define NAME_BYTES       64  /* of its path, the end */
#define MAX_INTERPRETERS 5   /* scripts of scripts: the kernel follows as many */
#define LINE_BYTES       256 /* of a script's first line: BINPRM_BUF_SIZE */
#define PATH_BYTES       512 /* longer ones are not searched */
#define MAX_VARIABLES    100000

#if defined __x86_64__
#define OUR_MACHINE  EM_X86_64
#define USUAL_LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define OUR_MACHINE  EM_AARCH64
#define USUAL_LOADER "/lib/ld-linux-aarch64.so.1"
#endif

/* ---- the file ---- */

/* Whether the host has other threads, as the kernel counts them, and the helper among
 * them: the directory of the threads has a link of each, and two. */
static bool has_threads(struct stat *is)
{
	char path[sizeof("/proc/4294967295/task")] = {0};
	struct text text = {.at = path, .size = sizeof(path) - 1};

	if (host_is_single_threaded())
		return false;
	text_string(&text, "/proc/");
	if (guard_is_vfork_child) /* whose memory it has */
		text_unsigned(&text, (uint64_t)guard_sys(SYS_getppid));
	else
		text_string(&text, "self");
	text_string(&text, "/task");
	return guard_sys(SYS_newfstatat, AT_FDCWD, path, is, 0) || is->st_nlink != 3;
}

/* The struct stat is of more bytes than a hook may keep. */
static __attribute__((noinline)) void open_file(struct program *program, int directory,
						const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct stat is = {.st_mode = 0};

	program->is_alone = guard_is_vfork_child || host_is_single_threaded();
	if (!program->is_alone) {
		program->fd = guard_open(directory, path, flags, 0, &is);
	} else {
		program->fd = guard_sys(SYS_openat, directory, path, flags);
		if (program->fd >= 0)
			guard_sys(SYS_newfstatat, program->fd, "", &is, AT_EMPTY_PATH);
	}
	program->device = is.st_dev;
	program->inode = is.st_ino;
	program->mode = is.st_mode;
	program->user = is.st_uid;
	program->group = is.st_gid;
	program->is_shared = has_threads(&is);
}

bool program_open(struct program *program, int directory, const char *path)
{
	open_file(program, directory, path);
	if (program->fd < 0 || (S_ISREG(program->mode) && (program->mode & 0111)))
		return program->fd >= 0;
	program_close(program);
	program->fd = -1;
	return false;
}

__attribute__((noinline)) void program_close(const struct program *program)
{
	struct stat is = {.st_dev = program->device, .st_ino = program->inode};

	if (program->fd < 0)
		return;
	if (program->is_alone)
		guard_sys(SYS_close, program->fd);
	else
		guard_close(program->fd, &is);
}

/* glibc takes the host's own PATH, and not that of the environment it passes on.  Each
 * function of the C library that is not used elsewhere would make a start dearer. */
static const char *find_path_list(void)
{
	for (char **variable = environ; variable && *variable; variable++)
		if (strncmp(*variable, "PATH=", 5) == 0)
			return *variable + 5;
	return "/bin:/usr/bin";
}

bool program_search(struct program *program, const char *name)
{
	size_t name_bytes = strnlen(name, PATH_BYTES);
	char path[PATH_BYTES];

	for (const char *at = find_path_list(); *name; at++) {
		const char *end = at + strcspn(at, ":");
		size_t bytes = (size_t)(end - at);

		if (bytes + name_bytes + 2 <= sizeof(path)) {
			memcpy(path, at, bytes);
			path[bytes] = '/';
			memcpy(path + bytes + (bytes != 0), name, name_bytes + 1);
			if (program_open(program, AT_FDCWD, path))
				return true;
		}
		at = end;
		if (!*at)
			break;
	}
	return false;
}

static size_t read_at(const struct program *program, uint64_t offset, void *to,
		      size_t bytes)
{
	long n = guard_sys(SYS_pread64, program->fd, to, bytes, offset);

	return n > 0 ? (size_t)n : 0;
}

/* ---- ELF ---- */

struct header {
	_Alignas(Elf64_Ehdr) char bytes[HEADER_BYTES];
	size_t used;
};

/* From what was read, or else from the file. */
static bool get(const struct program *program, const struct header *header,
		uint64_t offset, void *to, size_t bytes)
{
	if (offset > header->used || bytes > header->used - offset)
		return read_at(program, offset, to, bytes) == bytes;
	memcpy(to, header->bytes + offset, bytes);
	return true;
}

static __attribute__((noinline)) const char *refuses_loader(const struct program *program,
							    const struct header *header,
							    const Elf64_Phdr *segment)
{
	size_t bytes = segment->p_filesz < NAME_BYTES ? segment->p_filesz : NAME_BYTES;
	char name[NAME_BYTES + 1];

	/* The one most programs have is not read. */
	if (segment->p_filesz == sizeof(USUAL_LOADER) ||
	    !get(program, header, segment->p_offset + segment->p_filesz - bytes, name,
		 bytes))
		return NULL;
	name[bytes] = '\0';
	return path_is_loader_of_glibc(name) ? NULL : "libc";
}

static const char *refuses_elf(const struct program *program, const struct header *header)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;

	if (header->used < sizeof(head))
		return NULL;
	memcpy(&head, header->bytes, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != OUR_MACHINE)
		return "architecture";
	if (head.e_phentsize != sizeof(segment))
		return NULL;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (!get(program, header, head.e_phoff + i * sizeof(segment), &segment,
			 sizeof(segment)))
			return NULL;
		if (segment.p_type == PT_INTERP)
			return refuses_loader(program, header, &segment);
	}
	return "static";
}

/* ---- rights ---- */

static __attribute__((noinline)) bool loses_rights(const struct program *program)
{
	struct statfs system;

	return guard_sys(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	       (guard_sys(SYS_fstatfs, program->fd, &system) == 0 &&
		(system.f_flags & ST_NOSUID));
}

/* As the kernel decides AT_SECURE.  Capabilities give root nothing more.  A process that
 * was root when this program started, and is not any more, counts as root. */
static bool gains_rights(const struct program *program)
{
	bool gains =
		(program->mode & S_ISUID &&
		 program->user != (uid_t)guard_sys(SYS_getuid)) ||
		(program->mode & S_ISGID && program->mode & S_IXGRP &&
		 program->group != (gid_t)guard_sys(SYS_getgid)) ||
		(getauxval(AT_UID) != 0 && guard_sys(SYS_fgetxattr, program->fd,
						     "security.capability", NULL, 0) > 0);

	return gains && !loses_rights(program);
}

/* ---- the environment ---- */

/* Reads the host's memory: an invalid address must give an error of the call that
 * follows, and no signal here.  In a process of one thread a page that was found readable
 * stays; in others the kernel makes copies. */
struct reading {
	bool is_shared;
	uint64_t page; /* the last that was found readable */
	uint64_t from; /* of the copy */
	long n_copied;
	char copy[32];
};

static bool can_read(struct reading *reading, uint64_t at)
{
	uint64_t page = page_of(at);

	if (page == reading->page)
		return true;
	if (!own_memory_is_there(page))
		return false;
	reading->page = page;
	return true;
}

UNCHECKED_MEMORY static bool read_char(struct reading *reading, const char *at, char *to)
{
	uint64_t from = (uint64_t)(uintptr_t)at;

	if (!reading->is_shared) {
		if (!can_read(reading, from))
			return false;
		*to = *at;
		return true;
	}
	if ((int64_t)(from - reading->from) >= reading->n_copied ||
	    from < reading->from) {
		reading->from = from;
		reading->n_copied =
			own_memory_read(from, reading->copy, sizeof(reading->copy));
		if (reading->n_copied <= 0)
			return false;
	}
	*to = reading->copy[from - reading->from];
	return true;
}

UNCHECKED_MEMORY static bool read_variable(struct reading *reading, char *const *at,
					   const char **to)
{
	if (reading->is_shared)
		return own_memory_read((uint64_t)(uintptr_t)at, to, sizeof(*to)) ==
		       sizeof(*to);
	if (!can_read(reading, (uint64_t)(uintptr_t)at))
		return false;
	*to = *at;
	return true;
}

/* How far `text` and `begin` agree, all of `begin` or less; NULL = it cannot be read. */
static const char *match(struct reading *reading, const char *text, const char *begin)
{
	char one;

	for (; *begin; begin++, text++) {
		if (!read_char(reading, text, &one))
			return NULL;
		if (one != *begin)
			break;
	}
	return *begin ? NULL : text;
}

static bool names_library(struct reading *reading, const char *value)
{
	char one;

	for (; read_char(reading, value, &one) && one; value++)
		if (one == '/' && match(reading, value, "/libsockleak.so"))
			return true;
	return false;
}

/* Whether the loader will be asked for the library; true also where that is not known. */
static bool is_asked(char *const environment[], bool is_shared)
{
	struct reading list = {.is_shared = is_shared}, text = {.is_shared = is_shared};
	const char *variable;

	if (!environment)
		return false;
	if (is_shared && !own_memory_may_ask())
		return true;
	for (unsigned i = 0; i < MAX_VARIABLES; i++) {
		if (!read_variable(&list, &environment[i], &variable))
			return true;
		if (!variable)
			return false;
		const char *value = match(&text, variable, "LD_PRELOAD=");
		if (value)
			return names_library(&text, value);
	}
	return true;
}

/* ---- the whole ---- */

/* Puts the interpreter of a script in its place. */
static bool open_interpreter(struct program *program, struct header *header)
{
	size_t bytes = header->used < LINE_BYTES ? header->used : LINE_BYTES - 1;
	char *path = header->bytes + 2;

	header->bytes[bytes] = '\0';
	while (*path == ' ' || *path == '\t')
		path++;
	path[strcspn(path, " \t\n")] = '\0';
	program_close(program);
	return program_open(program, AT_FDCWD, path);
}

static bool read_header(const struct program *program, struct header *header)
{
	header->used = read_at(program, 0, header->bytes, sizeof(header->bytes));
	return header->used > 4;
}

const char *program_refuses(struct program *program, char *const environment[],
			    bool has_shell)
{
	struct header header;

	for (int i = 0; i < MAX_INTERPRETERS && read_header(program, &header); i++) {
		if (memcmp(header.bytes, ELFMAG, SELFMAG) == 0) {
			const char *reason = gains_rights(program)
						     ? "gains-rights"
						     : refuses_elf(program, &header);

			return reason || is_asked(environment, program->is_shared)
				       ? reason
				       : "environment";
		}
		if (header.bytes[0] == '#' && header.bytes[1] == '!') {
			if (!open_interpreter(program, &header))
				return NULL;
			continue;
		}
		program_close(program);
		if (!has_shell || !program_open(program, AT_FDCWD, "/bin/sh"))
			return program->fd = -1, NULL;
	}
	return NULL;
}
