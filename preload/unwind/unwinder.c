/* libunwind sees the copy through the functions below: registers and stack as they were,
 * code and unwind tables from the modules, and nothing else.
 *
 * Every word it takes from the registers and the stack is noted: the backtrace is a
 * function of these words and the modules alone. */
#include "unwind/unwinder.h"

#include "base/guard.h"
#include "base/sections.h"
#include "unwind/generated_code.h"
#include "unwind/modules.h"
#include "unwind/unwind_library.h"

#include <string.h>

#if defined __aarch64__
#define CALL_BYTES 4
#else
#define CALL_BYTES 1 /* enough to be inside it */
#endif

#define MAX_STEPS   1024 /* with those that are left out */
#define MAX_UNKNOWN 64

#define MAX_ACCESSORS 32 /* libunwind 1.6 has 8, 1.8 has 11 */

static unw_addr_space_t address_space; /* of the copies; NULL = not allocated */
static bool is_ready;

/* What is being unwound, for the accessors. */
ARENA_TABLE static struct {
	const struct capture *capture;
	struct unwinder_backtrace *backtrace;
	uint64_t from, end; /* addresses that the copy holds */
	unsigned max_frames, n_steps;
	uint64_t ip;         /* of the frame now looked at */
	bool has_no_table;   /* for that frame */
	bool is_searching;   /* for its table */
	bool is_at_bottom;   /* that frame has no caller */
	uint64_t last_read;  /* of the copy */
	uint64_t returns_at; /* where its address was read */
	bool is_unsure;      /* the backtrace rests on more than the words noted */
	/* The registers are those of this frame; NULL = of the capture. */
	const struct generated_frame *from_frame;
	uint32_t registers_seen;
	uint64_t seen[STACK_MAX_BYTES / 8 / 64]; /* a bit a word of the copy */
} job;

/* libunwind's numbers of our registers, in our order. */
static const int register_numbers[REGISTERS_N] = {
#if defined __x86_64__
	UNW_X86_64_RIP, UNW_X86_64_RSP, UNW_X86_64_RBP, UNW_X86_64_RBX,
	UNW_X86_64_R12, UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15,
#else
	UNW_AARCH64_PC,  UNW_AARCH64_SP,  UNW_AARCH64_X29, UNW_AARCH64_X19,
	UNW_AARCH64_X20, UNW_AARCH64_X21, UNW_AARCH64_X22, UNW_AARCH64_X23,
	UNW_AARCH64_X24, UNW_AARCH64_X25, UNW_AARCH64_X26, UNW_AARCH64_X27,
	UNW_AARCH64_X28, UNW_AARCH64_X30,
#endif
};

static void note_read(uint32_t at, uint64_t value)
{
	struct unwinder_backtrace *backtrace = job.backtrace;

	if (backtrace->n_reads < UNWINDER_MAX_READS)
		backtrace->reads[backtrace->n_reads] = (struct unwinder_read){at, value};
	backtrace->n_reads++;
}

/* Return addresses may be signed; not every libunwind knows. */
static uint64_t without_signature(uint64_t word)
{
	uint64_t plain = registers_plain(word);

	return plain != word && modules_at(plain) ? plain : word;
}

static uint64_t read_copy(uint64_t address)
{
	uint64_t offset = address - job.from, word;

	job.last_read = address;
	memcpy(&word, job.capture->copy.at + offset, sizeof(word));
	if (offset % 8 != 0) { /* no unwind table asks for that */
		job.is_unsure = true;
		return word;
	}
	word = without_signature(word);
	uint64_t bit = UINT64_C(1) << (offset / 8 % 64);
	if (!(job.seen[offset / 8 / 64] & bit)) {
		job.seen[offset / 8 / 64] |= bit;
		note_read((uint32_t)offset, word);
	}
	return word;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *word,
		      int is_write, void *argument)
{
	(void)space, (void)argument;
	if (is_write)
		return -UNW_EINVAL;
	if (address >= job.from && address < job.end && job.end - address >= 8) {
		*word = read_copy(address);
		return 0;
	}
	if (modules_read(address, job.is_searching, word))
		return 0;
	if (job.backtrace->unreadable && job.backtrace->unreadable != address)
		job.is_unsure = true;
	job.backtrace->unreadable = address;
	return -UNW_EINVAL;
}

/* Where code of a module called generated code: its other registers are not known. */
static int access_reg_of_frame(unw_regnum_t number, unw_word_t *word)
{
	const struct generated_frame *frame = job.from_frame;

	if (number == register_numbers[REGISTERS_IP])
		*word = frame->ip - CALL_BYTES;
	else if (number == register_numbers[REGISTERS_SP])
		*word = frame->sp;
	else if (number == register_numbers[REGISTERS_FP])
		*word = frame->fp;
	else
		return -UNW_EBADREG;
	return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t number, unw_word_t *word,
		      int is_write, void *argument)
{
	(void)space, (void)argument;
	if (is_write)
		return -UNW_EREADONLYREG;
	if (job.from_frame)
		return access_reg_of_frame(number, word);
	for (uint32_t i = 0; i < REGISTERS_N; i++) {
		if (register_numbers[i] != number)
			continue;
		*word = job.capture->words[i];
		if (i > REGISTERS_SP && !(job.registers_seen & 1u << i)) {
			job.registers_seen |= 1u << i;
			note_read(UNWINDER_REGISTER + i, *word);
		}
		return 0;
	}
	return -UNW_EBADREG;
}

/* A module that took the place of another after the copy was taken says nothing of what
 * was there then. */
static const struct module *module_then(uint64_t address)
{
	const struct module *module = modules_at(address);

	if (!module || !module->shares_range ||
	    module->found_at <= job.capture->module_list_version)
		return module;
	job.is_unsure = true;
	return NULL;
}

static int search(const struct module *module, uint64_t ip, unw_proc_info_t *found,
		  int need_unwind_info)
{
	unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE};

	table.start_ip = module->start;
	table.end_ip = module->end;
	table.u.rti.segbase = module->eh_frame_hdr;
	table.u.rti.table_data = module->search_table;
	table.u.rti.table_len = module->search_table_bytes / sizeof(unw_word_t);
	/* A table may point to a pointer to a personality routine, which is not needed
	 * here. */
	job.is_searching = true;
	int result = unwind_library.search(address_space, ip, &table, found,
					   need_unwind_info, NULL);
	job.is_searching = false;
	return result;
}

/* A return address at the very start of a function, with no function before it: no call
 * can have come from there.  It was put there when the stack was made, as the bottom. */
static bool is_bottom(const struct module *module)
{
	unw_proc_info_t found;

	return search(module, job.ip, &found, 0) >= 0 && found.start_ip == job.ip;
}

/* Asked with the address of the call, or of the instruction a signal interrupted. */
static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *found,
			  int need_unwind_info, void *argument)
{
	const struct module *module = module_then(ip);
	int result = -UNW_ENOINFO;

	(void)space, (void)argument;
	if (!module)
		return -UNW_ESTOPUNWIND;
	if (module->search_table_bytes > 0) {
		result = search(module, ip, found, need_unwind_info);
		if (result < 0 && ip < job.ip && is_bottom(module)) {
			job.is_at_bottom = true;
			return -UNW_ESTOPUNWIND;
		}
	}
	job.has_no_table = result < 0;
	return result;
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *found,
			    void *argument)
{
	(void)space, (void)found, (void)argument;
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *list,
				  void *argument)
{
	(void)space, (void)list, (void)argument;
	return -UNW_ENOINFO;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value,
			int is_write, void *argument)
{
	(void)space, (void)number, (void)value, (void)is_write, (void)argument;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *argument)
{
	(void)space, (void)cursor, (void)argument;
	return -UNW_EINVAL;
}

/* Newer versions have more of them, which they copy from here: none of those is there. */
static union {
	unw_accessors_t known;
	void *all[MAX_ACCESSORS];
} accessors = {.known = {
		       .find_proc_info = find_proc_info,
		       .put_unwind_info = put_unwind_info,
		       .get_dyn_info_list_addr = get_dyn_info_list_addr,
		       .access_mem = access_mem,
		       .access_reg = access_reg,
		       .access_fpreg = access_fpreg,
		       .resume = resume,
	       }};

void unwinder_allocate(void)
{
	uint64_t before;

	if (!unwind_library.is_loaded || address_space)
		return;
	bool is_blocked = unwind_library_enter(&before);
	address_space = unwind_library.create_addr_space(&accessors.known, 0);
	unwind_library_leave(is_blocked, before);
}

void unwinder_forget(void)
{
	uint64_t before;

	if (!is_ready)
		return;
	bool is_blocked = unwind_library_enter(&before);
	unwind_library.flush_cache(address_space, 0, 0);
	unwind_library_leave(is_blocked, before);
}

/* Our own are left out.  In a test "ours" is the main program: there only the innermost
 * is, origin_capture() itself. */
static void add_frame(struct unwinder_backtrace *backtrace, uint64_t address)
{
	const struct module *ours = modules_ours();
	bool is_ours = job.n_steps++ == 0 || (ours && modules_at(address) == ours);

	if (!is_ours && backtrace->n_frames < job.max_frames)
		backtrace->frames[backtrace->n_frames++] = address;
}

static bool is_full(const struct unwinder_backtrace *backtrace)
{
	return backtrace->n_frames == job.max_frames || job.n_steps > MAX_STEPS;
}

/* The code that a signal handler returns to.  libunwind's own answer means the frame of
 * this code in some versions and the interrupted one in others. */
static bool is_signal_return(uint64_t ip)
{
	uint64_t word = 0, next = 0;

	if (!modules_read(ip, false, &word) || !modules_read(ip + 8, false, &next))
		return false;
#if defined __x86_64__
	/* mov $SYS_rt_sigreturn, %rax; syscall */
	return word == UINT64_C(0x0f0000000fc0c748) && (next & 0xff) == 0x05;
#else
	/* mov x8, SYS_rt_sigreturn; svc 0 */
	return word == UINT64_C(0xd4000001d2801168);
#endif
}

/* The registers where generated code goes on.  The stack pointer is behind the address to
 * return to; where libunwind went by the frame pointer, for want of a table, its own is
 * that of an earlier frame. */
static bool find_frame(unw_cursor_t *cursor, struct generated_frame *frame)
{
	frame->sp = job.returns_at + 8;
	return generated_code_returns_by(job.capture, frame) &&
	       unwind_library.get_reg(cursor, register_numbers[REGISTERS_FP],
				      &frame->fp) >= 0;
}

/* What is called may be made executable a moment later: the first backtraces that end for
 * that are not remembered. */
static bool is_generated(uint64_t ip)
{
	static unsigned n_unknown;

	if (!generated_code_find())
		return false;
	if (generated_code_is_called(ip))
		return true;
	job.is_unsure |= n_unknown++ < MAX_UNKNOWN;
	return false;
}

/* Frames of generated code, from the one that goes on at `ip`, up to a caller in a module,
 * where libunwind takes over again.  false = they end before.  Not of a process that runs a
 * language whose frames are known otherwise. */
static bool pass_generated_code(unw_cursor_t *cursor, uint64_t ip,
				struct unwinder_backtrace *backtrace)
{
	ARENA_TABLE static struct generated_frame frame;

	frame.ip = ip;
	if (languages_may_walk() || !is_generated(ip) || !find_frame(cursor, &frame))
		return false;
	do {
		uint64_t fp = frame.fp;

		add_frame(backtrace, frame.ip - CALL_BYTES);
		if (is_full(backtrace) || !generated_code_step(job.capture, &frame))
			return false;
		/* The same two words mean the same frame: what lies before them in it
		 * follows from the code that is returned to. */
		read_copy(fp);
		read_copy(fp + 8);
		backtrace->is_guessed = true;
	} while (!module_then(frame.ip - CALL_BYTES));
	job.from_frame = &frame;
	return unwind_library.init_remote(cursor, address_space, NULL) >= 0;
}

/* One frame and the step to its caller: > 0 while there is one. */
static int follow(unw_cursor_t *cursor, struct unwinder_backtrace *backtrace,
		  bool *is_exact)
{
	unw_word_t ip;

	guard_progressed();
	if (unwind_library.get_reg(cursor, UNW_REG_IP, &ip) < 0 || ip == 0)
		return -1;
	job.returns_at = job.last_read;
	job.ip = ip = registers_plain(ip);
	job.has_no_table = job.is_at_bottom = false;
	bool is_return = is_signal_return(ip);
	uint64_t address = *is_exact || is_return ? ip : ip - CALL_BYTES;
	if (!module_then(address)) {
		backtrace->is_cut = true;
		backtrace->outside = address;
		if (*is_exact || !pass_generated_code(cursor, ip, backtrace))
			return is_full(backtrace) ? 1 : -1;
		*is_exact = true;
		return 1;
	}
	add_frame(backtrace, address);
	*is_exact = is_return;
	if (is_full(backtrace))
		return 1;
	int result = unwind_library.step(cursor);
	backtrace->is_guessed |= job.has_no_table;
	return job.is_at_bottom ? 0 : result;
}

/* Before the first stack: what libunwind sets up for itself takes no memory from malloc,
 * but touches a dozen pages: 26 us for a start that may never unwind. */
static void get_ready(void)
{
	if (is_ready)
		return;
	/* What it keeps of the tables, by address: 5 us a stack of 20 frames for 35. */
	unwind_library.set_caching_policy(address_space, UNW_CACHE_GLOBAL);
	is_ready = true;
}

static void unwind_copy(struct unwinder_backtrace *backtrace)
{
	unw_cursor_t cursor;

	get_ready();
	bool is_exact = true; /* the first frame is where the registers were read */
	int result =
		unwind_library.init_remote(&cursor, address_space, NULL) < 0 ? -1 : 1;

	while (result > 0 && !is_full(backtrace))
		result = follow(&cursor, backtrace, &is_exact);
	backtrace->is_short = result < 0 || (result == 0 && job.has_no_table);
}

/* Without libunwind.  `frame` has the caller's frame pointer and the return address. */
static void follow_copy(const struct capture *capture,
			struct unwinder_backtrace *backtrace)
{
	uint64_t frame = capture->words[REGISTERS_FP], below = job.from - 1;

	add_frame(backtrace, capture->words[REGISTERS_IP]);
	while (!is_full(backtrace) && frame > below && frame % 16 == 0 &&
	       frame < job.end && job.end - frame >= 16) {
		uint64_t words[2];
		memcpy(words, capture->copy.at + (frame - job.from), sizeof(words));
		uint64_t address = registers_plain(words[1]) - CALL_BYTES;
		if (!module_then(address))
			break;
		add_frame(backtrace, address);
		below = frame;
		frame = words[0];
	}
}

static void take_returns(const struct capture *capture,
			 struct unwinder_backtrace *backtrace)
{
	add_frame(backtrace, capture->words[REGISTERS_IP]);
	for (unsigned i = 0; i < capture->n_returns; i++) {
		if (!module_then(capture->returns[i] - CALL_BYTES))
			break;
		add_frame(backtrace, capture->returns[i] - CALL_BYTES);
	}
}

/* Clears the marks in job.seen, which has room for the largest copy. */
static void forget_seen(const struct unwinder_backtrace *backtrace)
{
	if (backtrace->n_reads > UNWINDER_MAX_READS)
		memset(job.seen, 0, sizeof(job.seen));
	else
		for (unsigned i = 0; i < backtrace->n_reads; i++)
			if (backtrace->reads[i].at < UNWINDER_REGISTER)
				job.seen[backtrace->reads[i].at / 8 / 64] = 0;
}

void unwinder_follow(const struct capture *capture, unsigned max_frames,
		     struct unwinder_backtrace *backtrace)
{
	job.capture = capture;
	job.backtrace = backtrace;
	job.from = capture->words[REGISTERS_SP];
	job.end = job.from + capture->copy.bytes;
	job.from_frame = NULL;
	job.registers_seen = 0;
	job.is_unsure = false;
	backtrace->n_frames = backtrace->n_reads = 0;
	backtrace->is_short = true;
	backtrace->is_cut = backtrace->is_guessed = false;
	backtrace->unreadable = 0;
	job.n_steps = 0;
	job.max_frames =
		max_frames < UNWINDER_MAX_FRAMES ? max_frames : UNWINDER_MAX_FRAMES;
	if (!capture->copy.at) {
		take_returns(capture, backtrace);
	} else if (!unwind_library.is_loaded || !address_space) {
		follow_copy(capture, backtrace);
	} else {
		uint64_t before;
		bool is_blocked = unwind_library_enter(&before);
		unwind_copy(backtrace);
		unwind_library_leave(is_blocked, before);
		forget_seen(backtrace);
	}
	if (backtrace->n_reads > UNWINDER_MAX_READS || job.is_unsure)
		backtrace->n_reads = 0;
}
