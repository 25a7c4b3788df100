/* Methods: what is shown of them. */
#include "common/text.h"
#include "languages/codes.h"
#include "languages/java_internal.h"

#define NATIVE          0x100u /* a method's access */
#define MAX_NAME        4096u
#define MAX_CONST_BYTES (READER_BYTES / 4)
#define POOL_SLOT       8u
#define POOL_MARK       UINT64_C(1) /* in a slot: not resolved */

static const struct java_layout *const layout = &java_layout;

/* A Symbol: not terminated. */
struct symbol {
	const char *at;
	uint32_t bytes;
};

struct method {
	uint64_t at, constant, pool;
	uint32_t code_bytes, all_bytes;
	bool is_native;
	struct symbol klass, name, file; /* a file's `at`: NULL = it has none */
	uint32_t line;
};

uint32_t java_unpack(struct java_stream *stream)
{
	unsigned base = java_machine.major >= 20;
	uint32_t sum = 0;

	for (unsigned shift = 0;; shift += 6) {
		if (stream->at >= stream->end || *stream->at < base) {
			stream->is_broken = true;
			return 0;
		}
		unsigned byte = *stream->at++;
		sum += (byte - base) << shift;
		if (byte < 192 || shift >= 24)
			return sum;
	}
}

static int unpack_signed(struct java_stream *stream)
{
	uint32_t packed = java_unpack(stream);

	return (int)(packed >> 1 ^ -(packed & 1));
}

/* Pairs of an index and a line, each as a distance from the one before; they need not
 * ascend, and all lie in the code.  That with the highest index which is not above this
 * one.  false = the table is none. */
static bool find_line(struct java_stream *table, int index, int code_bytes,
		      uint32_t *line)
{
	int at = 0, in = 0, best = -1;

	*line = 0;
	while (!table->is_broken && table->at < table->end && *table->at) {
		unsigned byte = *table->at++;

		if (byte == 0xff) {
			at += unpack_signed(table);
			in += unpack_signed(table);
		} else {
			at += (int)(byte >> 3);
			in += (int)(byte & 7);
		}
		if (at < 0 || at >= code_bytes)
			return false;
		if (at <= index && at >= best) {
			best = at;
			*line = (uint32_t)in;
		}
	}
	return !table->is_broken && table->at < table->end && *line <= UINT16_MAX;
}

static bool is_text(const struct symbol *symbol)
{
	for (uint32_t i = 0; i < symbol->bytes; i++)
		if ((unsigned char)symbol->at[i] < ' ')
			return false;
	return true;
}

static bool read_symbol(struct java_walk *walk, uint64_t symbol, struct symbol *read)
{
	read->bytes = java_half(walk, symbol + (uint64_t)layout->symbol_length);
	read->at = NULL;
	if (!symbol || symbol % 8 || !read->bytes || read->bytes > MAX_NAME)
		return false;
	read->at = java_at(walk, symbol + (uint64_t)layout->symbol_body, read->bytes);
	return read->at && (walk->is_direct || is_text(read));
}

static bool read_slot(struct java_walk *walk, const struct method *method, uint32_t index,
		      struct symbol *read)
{
	uint64_t slot =
		method->pool + (uint64_t)layout->pool_bytes + (uint64_t)index * POOL_SLOT;

	return index &&
	       index < java_number(walk, method->pool + (uint64_t)layout->pool_length) &&
	       read_symbol(walk, java_word(walk, slot) & ~POOL_MARK, read);
}

static bool read_names(struct java_walk *walk, struct method *method)
{
	uint64_t klass = java_word(walk, method->pool + (uint64_t)layout->pool_holder);
	uint32_t file = java_half(walk, method->pool + (uint64_t)layout->pool_file);
	uint32_t name = java_half(walk, method->constant + (uint64_t)layout->const_name);

	return klass % 8 == 0 && read_slot(walk, method, name, &method->name) &&
	       read_symbol(walk, java_word(walk, klass + (uint64_t)layout->klass_name),
			   &method->klass) &&
	       (!file || read_slot(walk, method, file, &method->file));
}

/* The table of lines stands behind the bytecodes. */
static bool read_line(struct java_walk *walk, struct method *method, uint64_t index)
{
	uint32_t flags =
		layout->const_flags != JAVA_ABSENT
			? java_half(walk,
				    method->constant + (uint64_t)layout->const_flags)
			: java_number(walk, method->constant +
						    (uint64_t)layout->const_new_flags);
	uint32_t before = (uint32_t)layout->const_bytes + method->code_bytes;
	uint32_t bytes = method->all_bytes - before;

	if (method->is_native)
		return index == 0;
	if (index >= method->code_bytes)
		return false;
	if (!(flags & (uint32_t)layout->has_lines))
		return true;
	const unsigned char *at =
		bytes ? java_at(walk, method->constant + before, bytes) : NULL;
	struct java_stream table = {at, at ? at + bytes : NULL, !at};
	return find_line(&table, (int)index, (int)method->code_bytes, &method->line);
}

static bool read_method(struct java_walk *walk, struct method *method, uint64_t index)
{
	uint64_t at = method->at;

	method->constant = java_word(walk, at + (uint64_t)layout->method_const);
	method->pool = java_word(walk, method->constant + (uint64_t)layout->const_pool);
	method->is_native =
		java_half(walk, at + (uint64_t)layout->method_access) & NATIVE;
	method->code_bytes =
		java_half(walk, method->constant + (uint64_t)layout->const_code_size);
	uint64_t bytes = 8ull * java_number(walk, method->constant +
							  (uint64_t)layout->const_words);
	method->all_bytes = (uint32_t)bytes;
	if (at % 8 || method->constant % 8 || method->pool % 8 || walk->has_failed ||
	    bytes > MAX_CONST_BYTES ||
	    bytes < (uint32_t)layout->const_bytes + method->code_bytes)
		return false;
	return read_line(walk, method, index) && read_names(walk, method);
}

static bool begins(const struct symbol *symbol, const char *with)
{
	size_t bytes = strlen(with);

	return symbol->bytes >= bytes && memcmp(symbol->at, with, bytes) == 0;
}

static bool ends(const struct symbol *symbol, const char *with)
{
	size_t bytes = strlen(with);

	return symbol->bytes >= bytes &&
	       memcmp(symbol->at + symbol->bytes - bytes, with, bytes) == 0;
}

static bool is(const struct symbol *symbol, const char *name)
{
	return symbol->bytes == strlen(name) && begins(symbol, name);
}

/* A class that has no name of its own: of a lambda, of a method handle. */
static bool is_hidden_class(const struct symbol *klass)
{
	return memchr(klass->at, '+', klass->bytes) != NULL;
}

/* What Java leaves out of its own traces.  By names: a frame too many does no harm, one
 * that is missing for a flag that was misread does. */
static bool is_hidden(const struct method *method)
{
	const struct symbol *klass = &method->klass;

	return (begins(klass, "java/lang/invoke/") && ends(klass, "$Holder")) ||
	       is(klass, "jdk/internal/vm/Continuation") ||
	       is(klass, "java/lang/VirtualThread$VThreadContinuation$1") ||
	       (is(klass, "java/lang/Thread") && is(&method->name, "runWith")) ||
	       (is(klass, "jdk/internal/reflect/DirectMethodHandleAccessor") &&
		is(&method->name, "invokeImpl"));
}

static bool is_end_of_virtual_thread(const struct method *method)
{
	return is(&method->klass, "jdk/internal/vm/Continuation") &&
	       is(&method->name, "enterSpecial");
}

/* What is known of the JDK's own classes shows whether indices and flags are read right:
 * sun/nio/ch/Net$1 is in Net.java. */
static bool is_as_known(const struct method *method)
{
	const struct symbol *klass = &method->klass, *file = &method->file;
	const char *name = klass->at, *end = klass->at + klass->bytes;

	if (!begins(klass, "sun/nio/ch/") && !begins(klass, "java/net/"))
		return true;
	if (!file->at) /* or the JDK was stripped of what is shown here */
		return false;
	for (const char *at = name; at < end; at++)
		if (*at == '/')
			name = at + 1;
	for (const char *at = name + 1; at < end; at++)
		if (*at == '$')
			end = at;
	size_t bytes = (size_t)(end - name);
	return ends(file, ".java") && (method->is_native || method->line > 0) &&
	       (end < klass->at + klass->bytes ||
		(file->bytes == bytes + 5 && memcmp(file->at, name, bytes) == 0));
}

#define CUT       "..."
#define CUT_BYTES (sizeof(CUT) - 1)

/* Between two characters. */
static uint32_t whole(const char *text, uint32_t bytes, uint32_t limit)
{
	uint32_t cut = bytes < limit ? bytes : limit;

	while (cut > 0 && cut < bytes && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

/* Appends; what does not fit is cut, and three dots stand there. */
static uint32_t append(char *to, uint32_t used, uint32_t size, const struct symbol *from)
{
	uint32_t room = size - 1 - used;

	if (from->bytes <= room) {
		memcpy(to + used, from->at, from->bytes);
		return used + from->bytes;
	}
	uint32_t bytes =
		whole(from->at, from->bytes, room > CUT_BYTES ? room - CUT_BYTES : 0);
	memcpy(to + used, from->at, bytes);
	used += bytes;
	bytes = room - bytes < CUT_BYTES ? room - bytes : CUT_BYTES;
	memcpy(to + used, CUT, bytes);
	return used + bytes;
}

/* "org/app/Pool$Entry" and "take" are org.app.Pool$Entry.take. */
static void write_texts(struct java_walk *walk, const struct method *method)
{
	const struct symbol point = {".", 1};
	uint32_t size = sizeof(walk->function);
	uint32_t used = append(walk->function, 0, size, &method->klass);

	for (uint32_t i = 0; i < used; i++)
		if (walk->function[i] == '/')
			walk->function[i] = '.';
	used = append(walk->function, used, size, &point);
	used = append(walk->function, used, size, &method->name);
	walk->function[used] = 0;
	used = method->file.at ? append(walk->file, 0, sizeof(walk->file), &method->file)
			       : 0;
	walk->file[used] = 0;
}

/* By all that is shown of it: what lies at an address may be another's a moment later. */
static uint64_t fingerprint_of(const struct method *method)
{
	struct codes_print print = {{LANGUAGE_JAVA, 0, 0, 0}};

	codes_mix(&print, method->klass.at, method->klass.bytes);
	codes_mix(&print, method->name.at, method->name.bytes);
	if (method->file.at)
		codes_mix(&print, method->file.at, method->file.bytes);
	return codes_fingerprint(&print);
}

/* One that was never met.  What is hidden has no text. */
static enum walk_verdict meet(struct java_walk *walk, const struct method *method,
			      uint64_t fingerprint, uint32_t *identity)
{
	if (!is_as_known(method))
		return WALK_WRONG;
	walk->function[0] = walk->file[0] = 0;
	if (!is_hidden(method))
		write_texts(walk, method);
	*identity = codes_add(fingerprint, LANGUAGE_JAVA, walk->function, walk->file);
	return *identity ? WALK_SOUND : WALK_UNSURE;
}

static bool is_own(uint32_t identity)
{
	const struct text_frame shown = {
		.language = SL_LANGUAGE_JAVA,
		.function = language_code(identity)->function,
	};

	return !text_is_of_language(&shown);
}

/* The first frame of the program's own wants half of the room, where the JDK's are too
 * many. */
static void make_room(struct java_walk *walk, uint32_t identity)
{
	if (walk->has_own)
		return;
	walk->has_own = is_own(identity);
	walk->is_crowded |= walk->n == walk->size;
	if (walk->n == walk->size || (walk->has_own && walk->is_crowded))
		walk->n = walk->size / 2;
}

static enum walk_verdict take(struct java_walk *walk, const struct method *method)
{
	uint64_t fingerprint = fingerprint_of(method);
	uint32_t identity = codes_find(fingerprint);
	enum walk_verdict verdict = WALK_SOUND;

	if (!identity)
		verdict = meet(walk, method, fingerprint, &identity);
	else if (walk->is_trial && !is_as_known(method))
		verdict = WALK_WRONG;
	if (verdict != WALK_SOUND)
		return verdict;
	if (!language_code(identity)->function[0]) {
		walk->is_at_end |= is_end_of_virtual_thread(method);
		return WALK_SOUND;
	}
	make_room(walk, identity);
	if (walk->n < walk->size)
		walk->frames[walk->n++] = (struct language_frame){
			.language = LANGUAGE_JAVA,
			.line = method->line,
			.identity = identity,
		};
	return WALK_SOUND;
}

enum walk_verdict java_method_show(struct java_walk *walk, uint64_t at, uint64_t index)
{
	struct method method = {.at = at};
	bool was_direct = walk->is_direct, is_proven = java_is_proven(at);
	enum walk_verdict verdict = WALK_WRONG;

	java_make_room(walk);
	walk->is_direct = !walk->is_trial && is_proven;
	/* There may be endlessly many hidden classes: nothing is kept of them. */
	if (read_method(walk, &method, index) && !walk->has_failed)
		verdict =
			is_hidden_class(&method.klass) ? WALK_SOUND : take(walk, &method);
	if (verdict == WALK_SOUND && !is_proven)
		java_note_proven(at);
	walk->is_direct = was_direct;
	return verdict;
}
