/* Code: a sequence of instructions (an iseq) has a body with the path, the label and a
 * table of lines.  The label is what Ruby calls the place by: "block in checkout". */
#include "languages/codes.h"
#include "languages/ruby_internal.h"

#define OBJECT_BYTES 40u
#define BODY_BYTES   152u
#define MAX_WORDS    (1u << 24)
#define MAX_LINE     (1u << 24)
#define MAX_TEXT     4096u

/* Of the first word of an object. */
#define TYPE_MASK      UINT64_C(0x1f)
#define TYPE_STRING    UINT64_C(0x05)
#define TYPE_ARRAY     UINT64_C(0x07)
#define TYPE_INTERNAL  UINT64_C(0x1a)
#define INTERNAL_SHIFT 12
#define INTERNAL_ISEQ  7u
#define IS_OUTSIDE     (UINT64_C(1) << 13) /* a String's text is */
#define LENGTH_SHIFT   14                  /* of a text inside */
#define IS_INSIDE      (UINT64_C(1) << 13) /* an Array's elements are */
#define N_SHIFT        15                  /* of those */

static const struct ruby_layout *const layout = &ruby_layout;

/* --- The table of lines has an entry for each position of the code where one begins.  An
 * index says how many begin up to a position: for the first positions by numbers of 7
 * bits; then by blocks of 512 positions.  A block has how many begin before it, how many
 * before each of its words but the first, in 9 bits each, and a bit for each position. */

#define FIRST        54u
#define FIRST_A_WORD 9u
#define BLOCKS       (FIRST / FIRST_A_WORD * 8)
#define BLOCK        512u
#define BLOCK_BYTES  80u
#define BLOCK_RANKS  8
#define BLOCK_BITS   16

static uint32_t count_in_block(const char *block, uint32_t position)
{
	uint32_t word = position / 64;
	uint64_t ranks = reader_word(block, BLOCK_RANKS);
	uint64_t bits = reader_word(block, BLOCK_BITS + (int)word * 8)
			<< (63 - position % 64);

	return (word ? ranks >> ((word - 1) * 9) & 0x1ff : 0) +
	       (uint32_t)__builtin_popcountll(bits);
}

/* 0 = the index cannot be read, or is none. */
static uint32_t count_entries(struct ruby_walk *walk, uint64_t index, uint32_t position)
{
	uint64_t at = position < FIRST ? index + position / FIRST_A_WORD * 8
				       : index + BLOCKS +
						 (uint64_t)((position - FIRST) / BLOCK) *
							 BLOCK_BYTES;
	const char *part = ruby_kept_at(walk, at, position < FIRST ? 8 : BLOCK_BYTES);

	if (!part)
		return 0;
	if (position < FIRST)
		return reader_word(part, 0) >> (position % FIRST_A_WORD * 7) & 0x7f;
	return reader_number(part, 0) + count_in_block(part, (position - FIRST) % BLOCK);
}

/* The one entry, or that of the position; the last position is behind all of them. */
static bool find_entry(struct ruby_walk *walk, const char *body, uint32_t position,
		       uint32_t *entry)
{
	uint32_t n = reader_number(body, layout->n_lines);
	uint64_t index = reader_word(body, layout->line_index);

	*entry = 0;
	if (n == 1)
		return true;
	uint32_t last =
		count_entries(walk, index, reader_number(body, layout->n_words) - 1);
	*entry = count_entries(walk, index, position) - 1;
	return last == n && *entry < n;
}

/* The program counter is behind the instruction that called. */
static enum walk_verdict find_line(struct ruby_walk *walk, struct ruby_step *step,
				   const char *body)
{
	uint64_t code = reader_word(body, layout->code), lines, at;
	uint32_t position = (uint32_t)((step->pc - code) / 8), entry;
	const char *line;

	if (!reader_number(body, layout->n_lines))
		return WALK_SOUND;
	if (!find_entry(walk, body, position ? position - 1 : 0, &entry))
		return WALK_WRONG;
	lines = reader_word(body, layout->lines);
	at = lines + (uint64_t)entry * (uint64_t)layout->line_bytes;
	line = ruby_kept_at(walk, at, (uint32_t)layout->line_bytes);
	if (lines % 8 || !line || reader_number(line, 0) > MAX_LINE)
		return WALK_WRONG;
	step->line = reader_number(line, 0);
	return WALK_SOUND;
}

/* --- The body. */

static const char *body_of(struct ruby_walk *walk, const struct ruby_step *step)
{
	const char *head = ruby_object_at(walk, step->iseq, OBJECT_BYTES);
	uint64_t flags = head ? reader_word(head, 0) : 0;
	uint64_t body = head ? reader_word(head, layout->body) : 0;

	if ((flags & TYPE_MASK) != TYPE_INTERNAL ||
	    (flags >> INTERNAL_SHIFT & 0xf) != INTERNAL_ISEQ || body % 8)
		return NULL;
	return ruby_kept_at(walk, body, BODY_BYTES);
}

/* Behind the label stands the first line, as an Integer in a word. */
static bool is_body(const char *body, uint64_t pc)
{
	uint32_t n_words = reader_number(body, layout->n_words);
	uint64_t distance = pc - reader_word(body, layout->code);

	return n_words > 0 && n_words <= MAX_WORDS && distance % 8 == 0 &&
	       distance <= 8ull * n_words && reader_word(body, layout->label + 8) & 1;
}

/* What is shown as the path, of an Array with the real path behind it; 0 = none. */
static uint64_t path_of(struct ruby_walk *walk, const char *body)
{
	uint64_t path = reader_word(body, layout->path);
	const char *head = ruby_object_at(walk, path, OBJECT_BYTES);
	uint64_t flags = head ? reader_word(head, 0) : 0;

	if ((flags & TYPE_MASK) != TYPE_ARRAY)
		return path;
	return flags & IS_INSIDE && (flags >> N_SHIFT & 3) == 2 ? reader_word(head, 16)
								: 0;
}

enum walk_verdict ruby_code_check(struct ruby_walk *walk, struct ruby_step *step)
{
	const char *body = body_of(walk, step);

	if (!body || !is_body(body, step->pc))
		return WALK_WRONG;
	step->path = path_of(walk, body);
	step->label = reader_word(body, layout->label);
	return step->path ? find_line(walk, step, body) : WALK_WRONG;
}

void ruby_code_want(struct ruby_walk *walk)
{
	struct reader *reader = &walk->reader;

	for (unsigned i = 0; i < walk->n_steps; i++)
		reader_want_pages(reader, walk->steps[i].iseq, OBJECT_BYTES);
	reader_fetch(reader);
	for (unsigned i = 0; i < walk->n_steps; i++) {
		const char *body = body_of(walk, &walk->steps[i]);
		if (!body)
			continue;
		reader_want_pages(reader, reader_word(body, layout->path), OBJECT_BYTES);
		reader_want_pages(reader, reader_word(body, layout->label), OBJECT_BYTES);
	}
	reader_fetch(reader);
}

/* --- What is shown. */

struct ruby_text {
	const char *at; /* not terminated */
	uint32_t bytes;
};

static bool read_text(struct ruby_walk *walk, uint64_t string, struct ruby_text *text)
{
	const char *head = ruby_object_at(walk, string, OBJECT_BYTES);
	uint64_t flags = head ? reader_word(head, 0) : 0, bytes, at;

	if ((flags & TYPE_MASK) != TYPE_STRING)
		return false;
	bytes = flags & IS_OUTSIDE ? reader_word(head, layout->text_bytes)
				   : flags >> LENGTH_SHIFT & 0x1f;
	at = flags & IS_OUTSIDE ? reader_word(head, layout->text)
				: string + (uint64_t)layout->text_embedded;
	walk->reader.is_full |= bytes > MAX_TEXT;
	if (bytes > MAX_TEXT)
		return false;
	text->bytes = (uint32_t)bytes;
	text->at = bytes ? reader_at(&walk->reader, at, text->bytes) : "";
	return text->at != NULL;
}

static enum walk_verdict meet(struct ruby_walk *walk, const struct ruby_text *label,
			      const struct ruby_text *path, uint64_t fingerprint,
			      uint32_t *identity)
{
	if (memchr(label->at, 0, label->bytes) || memchr(path->at, 0, path->bytes))
		return WALK_UNSURE;
	codes_write_function(label->at, label->bytes, walk->function);
	codes_write_file(path->at, path->bytes, walk->file);
	*identity = codes_add(fingerprint, LANGUAGE_RUBY, walk->function, walk->file);
	walk->reader.is_full |= !*identity;
	return *identity ? WALK_SOUND : WALK_UNSURE;
}

/* By the texts themselves: what lies at an address may be another's a moment later. */
enum walk_verdict ruby_code_show(struct ruby_walk *walk, const struct ruby_step *step,
				 struct language_frame *frame)
{
	struct codes_print print = {{LANGUAGE_RUBY, 0, 0, 0}};
	enum walk_verdict verdict = WALK_SOUND;
	struct ruby_text label, path;

	if (!read_text(walk, step->label, &label) || !label.bytes ||
	    !read_text(walk, step->path, &path))
		return WALK_WRONG;
	codes_mix(&print, label.at, label.bytes);
	codes_mix(&print, path.at, path.bytes);
	uint64_t fingerprint = codes_fingerprint(&print);
	uint32_t identity = codes_find(fingerprint);
	if (!identity)
		verdict = meet(walk, &label, &path, fingerprint, &identity);
	*frame = (struct language_frame){
		.language = LANGUAGE_RUBY,
		.line = step->line,
		.identity = identity,
	};
	return verdict;
}
