/* The walk of HotSpot's frames over memory that this program lays out as HotSpot does:
 * whole, with each field of the layout shifted, and with bytes of it replaced at random.
 * HotSpot itself is built without sanitizers; here they see every read. */
#include "base/guard.h"
#include "languages/java_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_TAKEN  16
#define N_ROUNDS   4000
#define SEGMENT    64 /* of the code cache */
#define CODE_BYTES 8192
#define HAS_LINES  4

/* --- The structs; only what is read of them, and something between. */

struct anchor {
	uint64_t sp, other, pc, fp;
};
struct thread {
	uint64_t functions, os;
	struct anchor anchor;
	uint32_t other, state;
	uint64_t base, size, vframes;
};
struct block {
	uint32_t length;
	uint8_t used, other[11];
};
struct blob {
	uint64_t functions, name;
	uint32_t size, frame_size; /* in words */
	uint64_t code_begin, code_end;
	uint32_t code_offset, data_offset, mutable_size, relocation_size;
	uint64_t mutable, method;
	uint32_t compile_id, original_pc, pcs, dependencies, metadata, scopes;
	uint64_t scopes_begin, deopt_begin, deopt_mh_begin, immutable;
	uint32_t immutable_size, deopt, deopt_mh, other;
};
struct pc_desc {
	int32_t pc, scope, other[2];
};
struct method {
	uint64_t functions, constant;
	uint32_t access, other;
};
struct const_method {
	uint64_t other, pool;
	uint32_t words, new_flags;
	uint16_t flags, code_size, name, other2;
};
struct pool {
	uint64_t other, holder;
	uint32_t length;
	uint16_t file, other2;
	uint64_t slots[3];
};
struct klass {
	uint64_t other, name;
};
struct symbol {
	uint16_t length;
	char other[4], body[58];
};
struct space {
	uint64_t low, high;
};
struct heap {
	struct space memory, map;
	uint32_t other, shift;
};

#define AT(type, member) (int)offsetof(struct type, member)

static struct java_layout layout_of(int major)
{
	bool is_old = major < 20;

#define OLD(type, member) (is_old ? AT(type, member) : JAVA_ABSENT)
#define NEW(type, member) (is_old ? JAVA_ABSENT : AT(type, member))
	return (struct java_layout){
		.thread_os = AT(thread, os),
		.thread_anchor = AT(thread, anchor),
		.thread_state = AT(thread, state),
		.thread_stack_base = AT(thread, base),
		.thread_stack_size = AT(thread, size),
		.thread_vframes = AT(thread, vframes),
		.anchor_sp = AT(anchor, sp),
		.anchor_pc = AT(anchor, pc),
		.anchor_fp = AT(anchor, fp),
		.heap_memory = AT(heap, memory),
		.heap_segments = AT(heap, map),
		.heap_shift = AT(heap, shift),
		.space_low = AT(space, low),
		.space_high = AT(space, high),
		.block_used = AT(block, used),
		.block_bytes = sizeof(struct block),
		.blob_name = AT(blob, name),
		.blob_size = AT(blob, size),
		.blob_frame_size = AT(blob, frame_size),
		.blob_code_begin = OLD(blob, code_begin),
		.blob_code_end = OLD(blob, code_end),
		.blob_code_offset = NEW(blob, code_offset),
		.blob_data_offset = AT(blob, data_offset),
		.blob_mutable = NEW(blob, mutable),
		.blob_mutable_size = NEW(blob, mutable_size),
		.blob_relocation_size = NEW(blob, relocation_size),
		.method_of = AT(blob, method),
		.compile_id = AT(blob, compile_id),
		.original_pc = AT(blob, original_pc),
		.pcs = AT(blob, pcs),
		.scopes_begin = OLD(blob, scopes_begin),
		.deopt_begin = OLD(blob, deopt_begin),
		.deopt_mh_begin = OLD(blob, deopt_mh_begin),
		.dependencies = OLD(blob, dependencies),
		.metadata = OLD(blob, metadata),
		.immutable = NEW(blob, immutable),
		.immutable_size = NEW(blob, immutable_size),
		.scopes = NEW(blob, scopes),
		.deopt = NEW(blob, deopt),
		.deopt_mh = NEW(blob, deopt_mh),
		.pc_offset = AT(pc_desc, pc),
		.pc_scope = AT(pc_desc, scope),
		.pc_bytes = sizeof(struct pc_desc),
		.method_const = AT(method, constant),
		.method_access = AT(method, access),
		.const_pool = AT(const_method, pool),
		.const_flags = OLD(const_method, flags),
		.const_new_flags = NEW(const_method, new_flags),
		.const_code_size = AT(const_method, code_size),
		.const_name = AT(const_method, name),
		.const_words = AT(const_method, words),
		.const_bytes = sizeof(struct const_method),
		.pool_holder = AT(pool, holder),
		.pool_file = AT(pool, file),
		.pool_length = AT(pool, length),
		.pool_bytes = AT(pool, slots),
		.klass_name = AT(klass, name),
		.symbol_length = AT(symbol, length),
		.symbol_body = AT(symbol, body),
		.wrapper_anchor = sizeof(uint64_t),
		.array_length = 0,
		.array_data = 8,
		.queue_stubs = 8,
		.queue_limit = 0,
		.call_wrapper = -6,
		.in_native = 4,
		.has_lines = HAS_LINES,
	};
}

/* --- What HotSpot has in memory. */

static struct image {
	struct thread thread;
	struct heap heap;
	uint64_t heaps, heap_list[2], heap_at; /* a variable, a GrowableArray, its data */
	uint64_t low, high, interpreter, queue[2], call_stub;
	uint8_t map[CODE_BYTES / SEGMENT];
	char names[3][64], end_of_names[64];
	struct each {
		struct method method;
		struct const_method constant;
		uint8_t code[16], lines[16];
		struct pool pool;
		struct klass klass;
		struct symbol klass_name, name, file;
	} each[5];
	uint8_t immutable[256], mutable[64];
	uint8_t code[CODE_BYTES] __attribute__((aligned(SEGMENT)));
} image;

static const struct shown {
	const char *klass, *name, *file, *function;
	uint32_t line, index;
	bool is_native;
} methods[] = {
	{"sun/nio/ch/Net", "connect0", "Net.java", "sun.nio.ch.Net.connect0", 0, 0, true},
	{"app/Pool", "take", "Pool.java", "app.Pool.take", 12, 3, false},
	{"app/Pool", "checkout", "Pool.java", "app.Pool.checkout", 30, 5, false},
	{"app/Native", "go", "Native.java", "app.Native.go", 0, 0, true},
	{"app/Main", "main", "Main.java", "app.Main.main", 7, 2, false},
};
#define N_METHODS (sizeof(methods) / sizeof(*methods))

static uint64_t address_of(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

/* UNSIGNED5 of a small number. */
static uint8_t packed(unsigned number)
{
	return (uint8_t)(number + (java_machine.major >= 20));
}

static void write_symbol(struct symbol *symbol, const char *text)
{
	symbol->length = (uint16_t)strlen(text);
	memcpy(symbol->body, text, strlen(text));
}

/* One line before, one behind. */
static void write_lines(uint8_t *at, const struct shown *shown)
{
	const uint8_t lines[] = {0xff, packed(0),     packed(2 * 3),
				 0xff, packed(2 * 1), packed(2 * (shown->line - 3)),
				 0xff, packed(2 * 8), packed(2 * 5),
				 0};

	memcpy(at, lines, sizeof(lines));
}

static void write_method(struct each *each, const struct shown *shown)
{
	each->method.constant = address_of(&each->constant);
	each->method.access = shown->is_native ? 0x100 : 1;
	each->constant = (struct const_method){
		.pool = address_of(&each->pool),
		.words = (sizeof(each->constant) + sizeof(each->code) +
			  sizeof(each->lines)) /
			 8,
		.new_flags = HAS_LINES,
		.flags = HAS_LINES,
		.code_size = shown->is_native ? 0 : sizeof(each->code),
		.name = 1,
	};
	if (!shown->is_native) {
		memcpy(each->code, "\x2a\xb4\x00\x01\xb6\x00\x02\x4c\x2b\xb6\x00\x03\xac",
		       14);
		write_lines(each->lines, shown);
	}
	each->pool = (struct pool){
		.holder = address_of(&each->klass),
		.length = 3,
		.file = 2,
		.slots = {0, address_of(&each->name), address_of(&each->file) | 1}};
	each->klass.name = address_of(&each->klass_name);
	write_symbol(&each->klass_name, shown->klass);
	write_symbol(&each->name, shown->name);
	write_symbol(&each->file, shown->file);
}

/* A block of the code cache from this byte on. */
static struct blob *write_blob(unsigned at, unsigned bytes, unsigned name,
			       unsigned frame_words)
{
	struct block *block = (struct block *)(image.code + at);
	struct blob *blob = (struct blob *)(block + 1);

	for (unsigned i = 0; i < bytes / SEGMENT; i++)
		image.map[at / SEGMENT + i] = (uint8_t)i;
	*block = (struct block){.length = bytes / SEGMENT, .used = 1};
	*blob = (struct blob){.name = address_of(image.names[name]),
			      .size = bytes - (unsigned)sizeof(*block),
			      .frame_size = frame_words};
	return blob;
}

/* Descriptions of two return addresses, two scopes of which one was inlined into the
 * other, two methods. */
static void write_compiled(struct blob *blob)
{
	const struct pc_desc pcs[] = {{10, 1, {0, 0}}, {32, 4, {0, 0}}, {50, 1, {0, 0}}};
	const uint8_t scopes[] = {0xfe,
				  packed(0),
				  packed(1),
				  packed(methods[2].index + 1),
				  packed(1),
				  packed(2),
				  packed(methods[1].index + 1),
				  0};
	const uint64_t known[] = {address_of(&image.each[2].method),
				  address_of(&image.each[1].method)};
	uint8_t *inside = (uint8_t *)(blob + 1), *data = inside + 64;

	blob->method = known[0];
	blob->code_begin = address_of(inside);
	blob->code_end = blob->deopt_begin = blob->deopt_mh_begin = address_of(data);
	blob->code_offset = (uint32_t)sizeof(*blob);
	blob->data_offset = blob->deopt = blob->deopt_mh = blob->code_offset + 64;
	blob->metadata = blob->data_offset;
	blob->scopes_begin = address_of(data + sizeof(known));
	blob->pcs = blob->metadata + (uint32_t)(sizeof(known) + sizeof(scopes));
	blob->dependencies = blob->pcs + (uint32_t)sizeof(pcs);
	memcpy(data, known, sizeof(known));
	memcpy(data + sizeof(known), scopes, sizeof(scopes));
	memcpy((char *)blob + blob->pcs, pcs, sizeof(pcs));
	if (java_machine.major < 20)
		return;
	blob->pcs = 8;
	blob->scopes = 8 + (uint32_t)sizeof(pcs);
	blob->immutable = address_of(image.immutable);
	blob->immutable_size = blob->scopes + (uint32_t)sizeof(scopes);
	memcpy(image.immutable + blob->pcs, pcs, sizeof(pcs));
	memcpy(image.immutable + blob->scopes, scopes, sizeof(scopes));
	blob->mutable = address_of(image.mutable);
	blob->relocation_size = 16;
	blob->mutable_size = 16 + (uint32_t)sizeof(known);
	memcpy(image.mutable + 16, known, sizeof(known));
}

#define STUBS     0    /* of the interpreter */
#define CALL_STUB 600  /* where it is returned to */
#define COMPILED  1024 /* blocks */
#define NATIVE    2048
#define OTHER     3072

static void write_machine(void)
{
	static const char *const names[] = {"nmethod", "native nmethod",
					    "resolve_static_call"};

	memset(&image, 0, sizeof(image));
	memset(image.map, 0xff, sizeof(image.map));
	for (unsigned i = 0; i < 3; i++)
		memcpy(image.names[i], names[i], strlen(names[i]));
	for (unsigned i = 0; i < N_METHODS; i++)
		write_method(&image.each[i], &methods[i]);
	write_compiled(write_blob(COMPILED, 512, 0, 10));
	write_blob(NATIVE, 256, 1, 8)->method = address_of(&image.each[3].method);
	write_blob(OTHER, 256, 2, 6);
	image.heap = (struct heap){
		{address_of(image.code), address_of(image.code + CODE_BYTES)},
		{address_of(image.map), address_of(image.map + sizeof(image.map))},
		.shift = 6};
	image.heap_at = address_of(&image.heap);
	image.heap_list[0] = 1;
	image.heap_list[1] = address_of(&image.heap_at);
	image.heaps = address_of(image.heap_list);
	image.low = address_of(image.code);
	image.high = address_of(image.code + CODE_BYTES);
	image.queue[0] = 512;
	image.queue[1] = address_of(image.code + STUBS);
	image.interpreter = address_of(image.queue);
	image.call_stub = address_of(image.code + CALL_STUB);
	java_machine = (struct java_machine){
		.low = address_of(image.names),
		.high = address_of(image.end_of_names + 64),
		.heaps = address_of(&image.heaps),
		.code_low = address_of(&image.low),
		.code_high = address_of(&image.high),
		.interpreter = address_of(&image.interpreter),
		.call_stub_return = address_of(&image.call_stub),
		.major = java_machine.major,
	};
}

#define STACK_WORDS 200

static uint64_t code_at(unsigned offset)
{
	return address_of(image.code + offset);
}

static uint64_t in_blob(unsigned block, unsigned offset)
{
	return code_at(block + (unsigned)(sizeof(struct block) + sizeof(struct blob)) +
		       offset);
}

static void interpreted(uint64_t *fp, unsigned method, uint64_t *caller_sp)
{
	struct each *each = &image.each[method];

	fp[-3] = address_of(&each->method);
	fp[-8] = methods[method].is_native
			 ? 0
			 : address_of(each->code) + methods[method].index;
	fp[-1] = address_of(caller_sp);
}

/* Innermost first: interpreted native, compiled, a stub, compiled native, interpreted, the
 * stub by which all began. */
static void write_stack(uint64_t *stack)
{
	uint64_t *fp = &stack[20], *at = &stack[22];

	image.thread.anchor = (struct anchor){address_of(&stack[8]), 0,
					      code_at(STUBS + 16), address_of(fp)};
	interpreted(fp, 0, at);
	fp[1] = in_blob(COMPILED, 32);
	at += 10;
	at[-1] = in_blob(OTHER, 8);
	at += 6;
	at[-1] = in_blob(NATIVE, 8);
	at += 8;
	fp = at + 20;
	at[-1] = code_at(STUBS + 48);
	at[-2] = address_of(fp);
	interpreted(fp, 4, fp + 2);
	fp[1] = code_at(CALL_STUB);
	fp[0] = address_of(fp + 40);
	fp += 40;
	fp[-6] = address_of(fp + 10); /* a wrapper, whose anchor is all zeros */
	image.thread.state = 4;
	image.thread.base = address_of(stack + STACK_WORDS);
	image.thread.size = 1 << 20;
}

/* --- The walk. */

static struct language_frame taken[MAX_TAKEN];
static struct java_walk walk;

/* Where a flag says so, a line is not known. */
static bool is_right(unsigned n, bool with_lines)
{
	for (unsigned i = 0; i < N_METHODS; i++) {
		const struct language_code *code =
			i < n ? language_code(taken[i].identity) : NULL;

		bool is_known = with_lines || (code && taken[i].line);
		if (!code || (is_known && taken[i].line != methods[i].line) ||
		    strcmp(code->function, methods[i].function) != 0 ||
		    strcmp(code->file, methods[i].file) != 0)
			return false;
	}
	return n == N_METHODS;
}

/* How many frames; 0 = none.  `change` may change what was laid out. */
__attribute__((noinline)) static unsigned
walk_after(void (*change)(uint64_t stack[STACK_WORDS], void *of), void *of)
{
	uint64_t stack[STACK_WORDS] = {0};
	struct java_layout layout = java_layout;

	write_machine();
	write_stack(stack);
	change(stack, of);
	walk.is_trial = walk.is_code_trial = true;
	walk.is_direct = walk.has_code = walk.has_failed = walk.is_at_end = false;
	walk.has_own = walk.is_crowded = false;
	walk.n = 0;
	walk.size = MAX_TAKEN;
	walk.frames = taken;
	reader_begin(&walk.reader, READER_BY_COPY, walk.reader.owner + 1);
	enum walk_verdict verdict = java_frames_collect(&walk, address_of(&image.thread));
	java_layout = layout;
	return verdict == WALK_SOUND ? walk.n : 0;
}

static void change_nothing(uint64_t stack[STACK_WORDS], void *of)
{
	(void)stack, (void)of;
}

static void choose(int major)
{
	java_machine.major = major;
	java_layout = layout_of(major);
}

static void finds_what_hotspot_has(void **state)
{
	(void)state;
	for (volatile int major = 17; major <= 25; major += 8) {
		choose(major);
		assert_true(is_right(walk_after(change_nothing, NULL), true));
	}
}

struct shift {
	size_t field;
	int by;
};

/* Not PcDesc's size, which java_layout_find() checks; and all sizes are multiples of 8. */
static void shift(uint64_t stack[STACK_WORDS], void *of)
{
	const struct shift *asked = of;
	int *field = &((int *)&java_layout)[asked->field];

	(void)stack;
	bool is_size = field == &java_layout.const_bytes ||
		       field == &java_layout.pool_bytes ||
		       field == &java_layout.block_bytes;
	if (*field != JAVA_ABSENT && field != &java_layout.pc_bytes &&
	    !(is_size && asked->by % 8))
		*field += asked->by;
}

static void a_shifted_field_gives_no_frames_or_the_right_ones(void **state)
{
	static const int by[] = {-8, -4, -2, -1, 1, 2, 4, 8};

	(void)state;
	for (volatile int major = 17; major <= 25; major += 8) {
		choose(major);
		for (size_t i = 0; i < sizeof(java_layout) / sizeof(int); i++)
			for (size_t j = 0; j < sizeof(by) / sizeof(*by); j++) {
				struct shift asked = {i, by[j]};
				unsigned n = walk_after(shift, &asked);

				if (n && !is_right(n, false))
					fail_msg("%d: field %zu by %d", major, i, by[j]);
			}
	}
}

static void replace_any(uint64_t stack[STACK_WORDS], void *of)
{
	unsigned *seed = of;

	for (int n = rand_r(seed) % 4; n >= 0; n--) {
		bool is_on_stack = rand_r(seed) % 4 == 0;
		size_t bytes = is_on_stack ? STACK_WORDS * 8 : sizeof(image);
		char *at = (is_on_stack ? (char *)stack : (char *)&image) +
			   (unsigned)rand_r(seed) % (bytes / 8) * 8;
		uint64_t word, random = (uint64_t)rand_r(seed);

		memcpy(&word, at, 8);
		switch (rand_r(seed) % 4) {
		case 0:
			word = random << random % 33;
			break;
		case 1:
			word = address_of(&image) + random % (sizeof(image) + 8192) -
			       4096;
			break;
		case 2:
			word ^= UINT64_C(1) << random % 64;
			break;
		default:
			word = address_of(stack) + random % (STACK_WORDS * 8 + 128) - 64;
		}
		memcpy(at, &word, 8);
	}
}

static void any_words_do_no_harm(void **state)
{
	unsigned seed = 4711, n_found = 0;

	(void)state;
	for (volatile unsigned round = 0; round < N_ROUNDS; round++) {
		choose(round % 2 ? 17 : 25);
		unsigned n = walk_after(replace_any, &seed);
		n_found += n > 0;
		for (; n > 0; n--)
			assert_non_null(language_code(taken[n - 1].identity));
	}
	assert_in_range(n_found, N_ROUNDS / 10, N_ROUNDS - N_ROUNDS / 10);
}

static int start(void **state)
{
	(void)state;
	alarm(120);
	guard_start();
	guard_has_filter = false;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_hotspot_has),
		cmocka_unit_test(a_shifted_field_gives_no_frames_or_the_right_ones),
		cmocka_unit_test(any_words_do_no_harm),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
