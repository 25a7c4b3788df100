/* A file is believed if its build-id is the one that was recorded.  Where the file itself
 * is gone or was replaced, a debug file of that build-id still has all names and lines;
 * for the others libdwfl finds the separate debug file, by build-id or by the debuglink
 * with its checksum. */
#include "symbols/debug_files.h"

#include "support/files.h"
#include "support/say.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DEBUG_PATH ":.debug:/usr/lib/debug" /* libdwfl's own */

void debug_search_open(struct debug_search *search)
{
	const char *ours = getenv("SOCKLEAK_DEBUG_PATH");
	char *copy = say_strdup(ours ? ours : ""), *rest = copy;
	char *path = say_strdup("");
	for (const char *one; (one = strsep(&rest, ":"));) {
		/* A relative one would be looked for beside each module. */
		if (*one != '/')
			continue;
		char *longer = say_printf("%s%s:", path, one);
		free(path);
		path = longer;
	}
	search->debug_path = say_printf("%s" DEFAULT_DEBUG_PATH, path);
	search->callbacks =
		(Dwfl_Callbacks){.find_elf = dwfl_build_id_find_elf,
				 .find_debuginfo = dwfl_standard_find_debuginfo,
				 .debuginfo_path = &search->debug_path};
	free(path);
	free(copy);
}

void debug_search_close(struct debug_search *search)
{
	free(search->debug_path);
}

/* Only a regular file named by an absolute path: what names a module comes from a log or
 * a ledger, and must open no pipe, no device, and nothing in the current directory. */
static int open_regular(const char *path)
{
	return path[0] == '/' ? files_open_regular(path) : -1;
}

static bool has_build_id(Dwfl_Module *file, const uint8_t *build_id, unsigned bytes)
{
	const unsigned char *own;
	GElf_Addr at;
	int n = dwfl_module_build_id(file, &own, &at);
	if (!build_id)
		return true;
	return n >= 0 && (unsigned)n == bytes && memcmp(own, build_id, bytes) == 0;
}

static void find_code(struct debug_file *module)
{
	GElf_Addr bias;
	size_t n = 0;
	Elf *elf = dwfl_module_getelf(module->file, &bias);
	if (!elf || bias != 0 || elf_getphdrnum(elf, &n) != 0)
		return;
	for (size_t i = 0; i < n && i < INT_MAX; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
		    (segment.p_flags & PF_X))
			spans_add(&module->code, segment.p_vaddr,
				  segment.p_vaddr + segment.p_memsz, 0);
	}
	spans_sort(&module->code);
}

static struct debug_file open_file(const struct debug_search *search, const char *path,
				   const uint8_t *build_id, unsigned build_id_bytes)
{
	struct debug_file module = {0};
	int fd = open_regular(path);
	if (fd < 0)
		return module;
	module.dwfl = dwfl_begin(&search->callbacks);
	if (module.dwfl) {
		dwfl_report_begin(module.dwfl);
		module.file = dwfl_report_elf(module.dwfl, path, path, fd, 0, true);
		dwfl_report_end(module.dwfl, NULL, NULL);
	}
	if (!module.file)
		close(fd); /* else libdwfl owns it */
	if (module.file && has_build_id(module.file, build_id, build_id_bytes))
		find_code(&module);
	else
		debug_file_close(&module);
	return module;
}

/* DIRECTORY/.build-id/xx/yyyy.debug in one of the absolute directories of the path. */
static struct debug_file open_debug_file(const struct debug_search *search,
					 const uint8_t *build_id, unsigned build_id_bytes)
{
	struct debug_file module = {0};
	char hex[2 * 64 + 1] = "";
	char *copy = say_strdup(search->debug_path), *rest = copy;
	for (unsigned i = 0; i < build_id_bytes && i < 64; i++)
		sprintf(hex + 2 * i, "%02x", build_id[i]);
	for (const char *one; !module.dwfl && (one = strsep(&rest, ":"));) {
		if (*one != '/')
			continue;
		char *path = say_printf("%s/.build-id/%.2s/%s.debug", one, hex, hex + 2);
		module = open_file(search, path, build_id, build_id_bytes);
		free(path);
	}
	free(copy);
	return module;
}

struct debug_file debug_file_open(const struct debug_search *search, const char *path,
				  const uint8_t *build_id, unsigned build_id_bytes)
{
	struct debug_file module = open_file(search, path, build_id, build_id_bytes);
	module.is_own = module.dwfl != NULL;
	if (!module.dwfl && build_id && build_id_bytes > 1)
		module = open_debug_file(search, build_id, build_id_bytes);
	return module;
}

void debug_file_close(struct debug_file *module)
{
	if (module->dwfl)
		dwfl_end(module->dwfl);
	spans_free(&module->code);
	*module = (struct debug_file){0};
}
