/* See threads.h.  Frames are followed by .eh_frame alone, which every program has; names
 * are another step (symbols.h), for which no thread needs to be stopped. */
#include "symbols/threads.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdbool.h>

struct walk {
	Dwfl *dwfl;
	struct threads_thread thread;
	void (*each)(const struct threads_thread *, void *);
	void *of;
};

/* Separate debug files, which may lie behind a network, are not needed. */
static int find_no_debuginfo(Dwfl_Module *module, void **user, const char *name,
			     Dwarf_Addr base, const char *file, const char *link,
			     GElf_Word crc, char **found)
{
	(void)module, (void)user, (void)name, (void)base;
	(void)file, (void)link, (void)crc, (void)found;
	return -1;
}

static void find_module(struct threads_frame *frame, Dwfl *dwfl, Dwarf_Addr pc)
{
	Dwfl_Module *module = dwfl_addrmodule(dwfl, pc);
	GElf_Addr bias = 0, at;
	const unsigned char *id;

	frame->offset = pc;
	if (!module || !dwfl_module_getelf(module, &bias))
		return;
	frame->offset = pc - bias;
	dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, &frame->module, NULL);
	int bytes = dwfl_module_build_id(module, &id, &at);
	if (bytes > 0) {
		frame->build_id = id;
		frame->build_id_bytes = (unsigned)bytes;
	}
}

static int add_frame(Dwfl_Frame *state, void *of)
{
	struct walk *walk = of;
	struct threads_thread *thread = &walk->thread;
	Dwarf_Addr pc;
	bool is_activation;

	if (thread->n == THREADS_MAX_FRAMES || !dwfl_frame_pc(state, &pc, &is_activation))
		return DWARF_CB_ABORT;
	thread->frames[thread->n] = (struct threads_frame){0};
	find_module(&thread->frames[thread->n++], walk->dwfl, pc - !is_activation);
	return DWARF_CB_OK;
}

static int add_thread(Dwfl_Thread *state, void *of)
{
	struct walk *walk = of;

	walk->thread.tid = (uint32_t)dwfl_thread_tid(state);
	walk->thread.n = 0;
	dwfl_thread_getframes(state, add_frame, walk);
	walk->each(&walk->thread, walk->of);
	return DWARF_CB_OK;
}

/* 0, or what errno is to be. */
static int attach(Dwfl *dwfl, pid_t pid)
{
	int result = dwfl_linux_proc_report(dwfl, pid);

	if (result == 0 && dwfl_report_end(dwfl, NULL, NULL) == 0)
		result = dwfl_linux_proc_attach(dwfl, pid, false);
	return result < 0 ? EPERM : result;
}

int threads_each(uint32_t pid, void (*each)(const struct threads_thread *, void *of),
		 void *of)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = find_no_debuginfo,
	};
	struct walk walk = {.dwfl = dwfl_begin(&callbacks), .each = each, .of = of};
	int result = walk.dwfl ? attach(walk.dwfl, (pid_t)pid) : ENOMEM;

	if (result == 0 && dwfl_getthreads(walk.dwfl, add_thread, &walk) < 0)
		result = EPERM;
	dwfl_end(walk.dwfl);
	errno = result;
	return result ? -1 : 0;
}
