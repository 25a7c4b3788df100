/* See allocation.h. */
#include "scan/allocation.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"
#include "unwind/room.h"
#include "unwind/stack.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* musl has no such function, and refuses to start a program that refers to it
 * strongly. */
extern __typeof__(dladdr1) dladdr1 __attribute__((weak));

#define SEARCH_BYTES (256 * 1024) /* of the stack */
#define SEARCH_WORDS 64           /* at once */

/* What of a signal's frame stands at the same place of every 16 bytes.  x86_64: the
 * kernel puts the address of the restorer right below a multiple of 16, and where
 * sigaction() had its copies, or we have ours, it stands on one.  aarch64, which has no
 * restorer: the head of struct fpsimd_context, the first of what a frame keeps. */
#if defined __x86_64__
#define MARK_AT         8
#define MARK_OF(action) (action)[2]
#else
#define MARK_AT         0
#define MARK_OF(action) (UINT64_C(528) << 32 | 0x46508001)
#endif

/* Whether a word of this thread's stack, above this function's frame, is one that
 * `is_wanted` takes; where the stack may not be read, it may.  Of every two words it is
 * shown the one that stands at MARK_AT, or both. */
__attribute__((noinline)) static bool
stack_has(bool (*is_wanted)(uint64_t word, uint64_t mark), uint64_t mark, unsigned step)
{
	const uint64_t *own = __builtin_frame_address(0);
	uint64_t stack = (uint64_t)(uintptr_t)own, frame_end = stack + 2 * sizeof(*own);
	uint64_t part[SEARCH_WORDS];

	for (uint64_t at = 0; at < SEARCH_BYTES; at += sizeof(part)) {
		uint32_t bytes =
			stack_read(stack, frame_end, stack + at, part, sizeof(part));
		for (uint32_t i = step == 2 ? MARK_AT / 8 : 0; i < bytes / 8; i += step)
			if (is_wanted(part[i], mark))
				return true;
		if (bytes < sizeof(part))
			return !stack_is_known(stack);
	}
	return false;
}

/* ---- signal handlers ---- */

static bool is_mark(uint64_t word, uint64_t mark)
{
	return word == mark;
}

/* Whether this thread may stand on top of a signal handler, which may have interrupted
 * malloc.  In a handler its signal is blocked and the signal's frame stands on the stack;
 * a program that blocks the signals it has handlers for all its life (to take them in
 * ppoll) shows the first and not the second. */
static bool may_be_in_handler(void)
{
	uint64_t blocked = 0;
	stack_t alternate = {0};

	if (!guard_has_filter)
		guard_sys(SYS_sigaltstack, NULL, &alternate);
	if (alternate.ss_flags & SS_ONSTACK)
		return true;
	guard_sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	for (int signal = 1; signal <= 64; signal++) {
		/* The kernel's struct: handler, flags, restorer, mask. */
		uint64_t action[4] = {0};

		/* With SA_NODEFER the signal is not blocked in its handler. */
		if (guard_sys(SYS_rt_sigaction, signal, NULL, action, 8) < 0 ||
		    action[0] <= 1 ||
		    !((blocked & UINT64_C(1) << (signal - 1)) ||
		      (action[1] & SA_NODEFER)))
			continue;
		if (stack_has(is_mark, MARK_OF(action), 2))
			return true;
	}
	return false;
}

/* ---- an allocator of the program's own ---- */

static const char *const names[] = {"malloc",   "calloc",         "realloc",      "free",
				    "memalign", "posix_memalign", "aligned_alloc"};
#define N_NAMES (sizeof(names) / sizeof(*names))

/* Where its functions lie, if not in the C library. */
ARENA_TABLE static struct {
	uint64_t start, end;
} functions[N_NAMES];
static unsigned n_functions;

static void add_function(void *address)
{
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (!address || !&dladdr1 ||
	    !dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
		return;
	functions[n_functions].start = (uint64_t)(uintptr_t)address;
	functions[n_functions].end = (uint64_t)(uintptr_t)address + symbol->st_size;
	n_functions++;
}

/* Its functions stand in for malloc, make no connection, and leave addresses of their own
 * all over the stack. */
static bool has_sanitizer(void)
{
	return libc_own.dlsym(RTLD_DEFAULT, "__asan_init") ||
	       libc_own.dlsym(RTLD_DEFAULT, "__tsan_init") ||
	       libc_own.dlsym(RTLD_DEFAULT, "__lsan_init");
}

void allocation_start(void)
{
	void *used = libc_own.dlsym(RTLD_DEFAULT, "calloc"),
	     *exit_of_libc = imports_of_libc("exit");
	struct imports_extent libc;
	uint64_t at = (uint64_t)(uintptr_t)used;

	bool is_sanitizers = has_sanitizer();
	dlerror();
	if (is_sanitizers)
		return;
	if (&imports_extent_of && exit_of_libc &&
	    imports_extent_of(exit_of_libc, &libc) == 0 && at >= libc.start &&
	    at < libc.end)
		return;
	for (unsigned i = 0; i < N_NAMES; i++)
		add_function(libc_own.dlsym(RTLD_DEFAULT, names[i]));
	dlerror();
}

static bool is_in_function(uint64_t word, uint64_t mark)
{
	(void)mark;
	for (unsigned i = 0; i < n_functions; i++)
		if (word > functions[i].start && word < functions[i].end)
			return true;
	return false;
}

/* If the allocator has called, over whatever functions, this one, a return address into
 * it is on the stack. */
static bool may_be_in_allocator(void)
{
	return n_functions && stack_has(is_in_function, 0, 1);
}

bool allocation_is_safe(void)
{
	return !reentrancy_depth && !room_is_elsewhere && !may_be_in_handler() &&
	       !may_be_in_allocator();
}
