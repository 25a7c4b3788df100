/* An open hash table whose slots are filled by compare-and-swap and never emptied.  The
 * number of a code is that of its slot. */
#include "languages/codes.h"

#include "base/arena.h"
#include "base/sections.h"

#include <string.h>

#define SLOTS_BITS 14
#define N_SLOTS    (1u << SLOTS_BITS)
#define LINES_BITS 12

struct record {
	uint64_t fingerprint;
	struct language_code code;
	char texts[];
};

ARENA_TABLE static struct record *slots[N_SLOTS]; /* atomic */
static uint32_t n_codes;                          /* atomic */
/* Each atomic: identity << 48 | instruction << 24 | line. */
ARENA_TABLE static uint64_t lines[1u << LINES_BITS];

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix_word(uint64_t fingerprint, uint64_t word)
{
	fingerprint = (fingerprint ^ word) * FACTOR;
	return fingerprint ^ fingerprint >> 29;
}

static uint64_t load_word(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Four words at a time, each in its own chain: a multiplication takes several cycles, and
 * does not wait for those of the others.  The last word may overlap the one before. */
void codes_mix(struct codes_print *print, const void *bytes, uint32_t n)
{
	const char *at = bytes, *end = at + n;
	uint64_t *chains = print->chains, rest = n;

	for (; end - at >= 32; at += 32)
		for (unsigned i = 0; i < 4; i++)
			chains[i] = mix_word(chains[i], load_word(at + i * 8ul));
	for (unsigned i = 0; end - at >= 8; i++, at += 8)
		chains[i] = mix_word(chains[i], load_word(at));
	if (n >= 8)
		rest = load_word(end - 8);
	for (; n < 8 && at < end; at++)
		rest = rest << 8 | (unsigned char)*at;
	chains[3] = mix_word(mix_word(chains[3], rest), n);
}

uint64_t codes_fingerprint(const struct codes_print *print)
{
	return mix_word(mix_word(print->chains[0], print->chains[1]),
			mix_word(print->chains[2], print->chains[3]));
}

/* The slot of this code, or the empty one where it belongs. */
static uint32_t find_slot(uint64_t fingerprint, struct record **found)
{
	uint32_t at = (uint32_t)(fingerprint >> (64 - SLOTS_BITS));

	for (;; at = (at + 1) % N_SLOTS) {
		*found = __atomic_load_n(&slots[at], __ATOMIC_ACQUIRE);
		if (!*found || (*found)->fingerprint == fingerprint)
			return at;
	}
}

uint32_t codes_find(uint64_t fingerprint)
{
	struct record *found;
	uint32_t at = find_slot(fingerprint, &found);

	return found ? at + 1 : 0;
}

static struct record *make_record(uint64_t fingerprint, uint8_t language,
				  const char *function, const char *file)
{
	size_t function_bytes = strlen(function) + 1, file_bytes = strlen(file) + 1;
	struct record *record = arena_take(sizeof(*record) + function_bytes + file_bytes);

	if (!record)
		return NULL;
	memcpy(record->texts, function, function_bytes);
	memcpy(record->texts + function_bytes, file, file_bytes);
	record->fingerprint = fingerprint;
	record->code = (struct language_code){
		language,
		record->texts,
		record->texts + function_bytes,
	};
	return record;
}

uint32_t codes_add(uint64_t fingerprint, uint8_t language, const char *function,
		   const char *file)
{
	struct record *found, *record;

	if (__atomic_add_fetch(&n_codes, 1, __ATOMIC_RELAXED) > CODES_MAX ||
	    !(record = make_record(fingerprint, language, function, file))) {
		__atomic_sub_fetch(&n_codes, 1, __ATOMIC_RELAXED);
		return 0;
	}
	for (;;) {
		uint32_t at = find_slot(fingerprint, &found);

		if (found) {
			__atomic_sub_fetch(&n_codes, 1, __ATOMIC_RELAXED);
			return at + 1;
		}
		if (__atomic_compare_exchange_n(&slots[at], &found, record, false,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return at + 1;
	}
}

const struct language_code *language_code(uint32_t identity)
{
	struct record *record =
		identity && identity <= N_SLOTS
			? __atomic_load_n(&slots[identity - 1], __ATOMIC_ACQUIRE)
			: NULL;

	return record ? &record->code : NULL;
}

#define CUT       "..."
#define CUT_BYTES (sizeof(CUT) - 1)

static bool begins_character(char byte)
{
	return ((unsigned char)byte & 0xc0) != 0x80;
}

void codes_write_function(const char *from, uint32_t bytes,
			  char to[LANGUAGE_FUNCTION_BYTES])
{
	bool is_cut = bytes >= LANGUAGE_FUNCTION_BYTES;
	uint32_t n = is_cut ? LANGUAGE_FUNCTION_BYTES - 1 - CUT_BYTES : bytes;

	while (is_cut && n > 0 && !begins_character(from[n]))
		n--;
	memcpy(to, from, n);
	if (is_cut) {
		memcpy(to + n, CUT, CUT_BYTES);
		n += CUT_BYTES;
	}
	to[n] = 0;
}

void codes_write_file(const char *from, uint32_t bytes, char to[LANGUAGE_FILE_BYTES])
{
	bool is_cut = bytes >= LANGUAGE_FILE_BYTES;
	uint32_t skipped = is_cut ? bytes - (LANGUAGE_FILE_BYTES - 1 - CUT_BYTES) : 0;

	while (is_cut && skipped < bytes && !begins_character(from[skipped]))
		skipped++;
	if (is_cut) {
		memcpy(to, CUT, CUT_BYTES);
		to += CUT_BYTES;
	}
	memcpy(to, from + skipped, bytes - skipped);
	to[bytes - skipped] = 0;
}

static uint64_t *place_of_line(uint64_t key)
{
	return &lines[key * FACTOR >> (64 - LINES_BITS)];
}

bool codes_line(uint32_t identity, uint32_t instruction, uint32_t *line)
{
	uint64_t key = (uint64_t)identity << 24 | instruction;
	uint64_t word = __atomic_load_n(place_of_line(key), __ATOMIC_RELAXED);

	*line = word & 0xffffff;
	return instruction <= 0xffffff && word >> 24 == key;
}

void codes_note_line(uint32_t identity, uint32_t instruction, uint32_t line)
{
	uint64_t key = (uint64_t)identity << 24 | instruction;

	if (instruction <= 0xffffff && line <= 0xffffff)
		__atomic_store_n(place_of_line(key), key << 24 | line, __ATOMIC_RELAXED);
}
