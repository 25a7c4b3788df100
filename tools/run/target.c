/* Whether a program can be preloaded.  The loader that would do it is named in the
 * program (PT_INTERP), must be the one we were built for, and ignores LD_PRELOAD in
 * programs that gain rights.  What cannot be read cannot be refused: it is run. */
#include "run/target.h"

#include "common/path.h"
#include "support/say.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_INTERPRETERS 5   /* scripts of scripts: the kernel follows as many */
#define SCRIPT_BYTES     256 /* of the first line: BINPRM_BUF_SIZE */

/* -- by PATH ---------------------------------------------------------------------- */

static bool is_runnable(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return false;
	errno = EACCES;
	return S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

char *target_find(const char *program)
{
	const char *path = getenv("PATH");
	int best = ENOENT;

	if (strchr(program, '/')) {
		if (is_runnable(program))
			return say_strdup(program);
		return NULL;
	}
	if (!path)
		path = "/bin:/usr/bin";
	for (const char *at = path; *program;) {
		size_t bytes = strcspn(at, ":");
		char *candidate =
			say_printf("%.*s%s%s", (int)bytes, at, bytes ? "/" : "", program);

		if (is_runnable(candidate))
			return candidate;
		if (errno == EACCES)
			best = EACCES;
		free(candidate);
		if (!at[bytes])
			break;
		at += bytes + 1;
	}
	errno = best;
	return NULL;
}

/* -- rights ----------------------------------------------------------------------- */

/* As the kernel decides AT_SECURE: would the program's effective ids differ from our real
 * ones, or does its file add capabilities to a user who is not root? */
static const char *gains_rights(int fd)
{
	struct statvfs system;
	struct stat status;

	if (fstat(fd, &status) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return NULL;
	if (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_NOSUID))
		return NULL;
	if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
		return "is setuid, and the loader ignores LD_PRELOAD in programs that "
		       "gain rights";
	if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) &&
	    status.st_gid != getgid())
		return "is setgid, and the loader ignores LD_PRELOAD in programs that "
		       "gain rights";
	if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "has file capabilities, and the loader ignores LD_PRELOAD in "
		       "programs "
		       "that gain rights";
	return NULL;
}

/* -- ELF -------------------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{EM_386, "i386"},        {EM_X86_64, "x86_64"}, {EM_ARM, "arm"},
		{EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},
		{EM_S390, "s390"},       {EM_MIPS, "mips"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another architecture";
}

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#error "which e_machine is this?"
#endif
#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

bool target_is_loader(const char *path)
{
	return path_is_loader_of_glibc(path);
}

/* PT_INTERP into `interpreter`; "" if there is none. */
static void find_interpreter(Elf *elf, char *interpreter, size_t size)
{
	size_t n = 0;
	GElf_Phdr program;

	*interpreter = 0;
	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, (int)i, &program) || program.p_type != PT_INTERP)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)program.p_offset,
						      program.p_filesz, ELF_T_BYTE);
		if (data && data->d_buf)
			snprintf(interpreter, size, "%.*s", (int)data->d_size,
				 (const char *)data->d_buf);
		return;
	}
}

/* The string of the first such row of the dynamic section that begins with `begin`; the
 * caller frees it. */
static char *find_needed(Elf *elf, const char *begin, int64_t tag)
{
	Elf_Scn *section = NULL;
	GElf_Shdr head;
	GElf_Dyn row;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &head) || head.sh_type != SHT_DYNAMIC)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		for (int i = 0;
		     data && gelf_getdyn(data, i, &row) && row.d_tag != DT_NULL; i++) {
			const char *name =
				row.d_tag == tag
					? elf_strptr(elf, head.sh_link, row.d_un.d_val)
					: NULL;
			if (name && string_begins(name, begin))
				return say_strdup(name);
		}
	}
	return NULL;
}

/* The loader itself, which preloads into the program that it is given. */
static bool is_loader(Elf *elf)
{
	char *name = find_needed(elf, "ld", DT_SONAME);
	bool result = name && path_is_loader_of_glibc(name);

	free(name);
	return result;
}

static bool find_section(Elf *elf, const char *wanted)
{
	Elf_Scn *section = NULL;
	GElf_Shdr head;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		const char *name = gelf_getshdr(section, &head)
					   ? elf_strptr(elf, names, head.sh_name)
					   : NULL;
		if (name && strcmp(name, wanted) == 0)
			return true;
	}
	return false;
}

static void refuse(struct target *target, enum unwatched_reason reason)
{
	target->refusal = say_strdup(unwatched_sentence(reason));
	target->reason = reason;
}

/* Whether the library can run on the program's processor. */
static bool check_architecture(struct target *target, const GElf_Ehdr *head)
{
	if (head->e_machine != OUR_MACHINE)
		target->refusal = say_printf(
			"is a program for %s, and this sockleak is for %s",
			machine_name(head->e_machine), machine_name(OUR_MACHINE));
	else if (head->e_ident[EI_CLASS] != OUR_CLASS)
		target->refusal = say_printf(
			"is a %d-bit program, and this sockleak is a %d-bit one",
			head->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
			OUR_CLASS == ELFCLASS64 ? 64 : 32);
	else
		return true;
	target->reason = UNWATCHED_ARCHITECTURE;
	return false;
}

static struct target inspect_elf(Elf *elf)
{
	struct target target = {0};
	char interpreter[4096];
	GElf_Ehdr head;

	if (!gelf_getehdr(elf, &head) || !check_architecture(&target, &head))
		return target;
	find_interpreter(elf, interpreter, sizeof(interpreter));
	if (find_section(elf, ".go.buildinfo"))
		refuse(&target, UNWATCHED_GO);
	else if (!*interpreter && !is_loader(elf))
		refuse(&target, UNWATCHED_STATIC);
	else if (*interpreter && !path_is_loader_of_glibc(interpreter))
		target = (struct target){
			.refusal = say_printf("uses another C library than glibc (its "
					      "loader is %s)",
					      interpreter),
			.reason = UNWATCHED_LIBC};
	else
		target.asan = find_needed(elf, "libasan.so", DT_NEEDED);
	return target;
}

/* -- scripts ---------------------------------------------------------------------- */

static struct target inspect(const char *path, int depth);

/* Another word of the line; it is cut out of it.  NULL = no more. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " \t");
	size_t bytes = strcspn(word, " \t");

	if (!bytes)
		return NULL;
	*at = word + bytes + (word[bytes] != 0);
	word[bytes] = 0;
	return word;
}

/* What "#!/usr/bin/env [-S] [NAME=VALUE] PROGRAM" comes to. */
static char *program_of_env(char *at)
{
	for (char *word; (word = next_word(&at));)
		if (*word != '-' && !strchr(word, '='))
			return target_find(word);
	return NULL;
}

static struct target inspect_interpreter(const char *interpreter, int depth)
{
	struct target target = inspect(interpreter, depth - 1);

	if (target.refusal) {
		char *because = say_printf("is a script whose interpreter %s %s",
					   interpreter, target.refusal);
		free(target.refusal);
		target.refusal = because;
	}
	return target;
}

static struct target inspect_script(char *line, int depth)
{
	char *interpreter, *program;

	line[strcspn(line, "\n")] = 0;
	interpreter = next_word(&line);
	if (!interpreter)
		return (struct target){0};
	struct target target = inspect_interpreter(interpreter, depth);
	if (target.refusal || strcmp(path_base(interpreter), "env") != 0)
		return target;
	program = program_of_env(line);
	if (program) {
		target_free(&target);
		target = inspect_interpreter(program, depth);
		free(program);
	}
	return target;
}

/* -- the whole -------------------------------------------------------------------- */

static struct target inspect_file(int fd, int depth)
{
	char line[SCRIPT_BYTES + 1] = "";
	struct target target = {0};
	const char *gained = gains_rights(fd);

	ssize_t bytes = pread(fd, line, SCRIPT_BYTES, 0);
	/* The kernel takes no rights from scripts. */
	if (bytes > 2 && line[0] == '#' && line[1] == '!')
		return inspect_script(line + 2, depth);
	if (gained)
		return (struct target){.refusal = say_strdup(gained),
				       .reason = UNWATCHED_RIGHTS};
	if (bytes < SELFMAG || memcmp(line, ELFMAG, SELFMAG) != 0)
		/* execvp(3) gives what the kernel does not know to the shell. */
		return inspect("/bin/sh", depth - 1);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf)
		target = inspect_elf(elf);
	elf_end(elf);
	return target;
}

static struct target inspect(const char *path, int depth)
{
	struct target target = {0};
	int fd =
		depth > 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

	if (fd < 0)
		return target;
	target = inspect_file(fd, depth);
	close(fd);
	return target;
}

struct target target_inspect(const char *path)
{
	return inspect(path, MAX_INTERPRETERS);
}

void target_free(struct target *target)
{
	free(target->refusal);
	free(target->asan);
	*target = (struct target){0};
}
