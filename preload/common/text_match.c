/* What a place is known by: its id, and the rules of a suppression file. */
#include "common/fnv.h"
#include "common/path.h"
#include "common/text.h"

#include <string.h>

static uint64_t hash_number(uint64_t sum, uint64_t number)
{
	unsigned char little_endian[8];

	for (unsigned i = 0; i < sizeof little_endian; i++)
		little_endian[i] = (unsigned char)(number >> 8 * i);
	return fnv_add(sum, little_endian, sizeof little_endian);
}

/* At the end: near offsets differ in few bits. */
static uint64_t mix(uint64_t sum)
{
	sum = (sum ^ sum >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	sum = (sum ^ sum >> 27) * UINT64_C(0x94d049bb133111eb);
	return sum ^ sum >> 31;
}

static uint64_t hash_string(uint64_t sum, const char *string)
{
	return fnv_add(sum, string ? string : "", string ? strlen(string) + 1 : 1);
}

static uint64_t hash_frame(uint64_t sum, const struct text_frame *frame)
{
	const char *base;

	if (frame->language) {
		sum = hash_string(sum, text_language_name(frame->language));
		sum = hash_string(hash_string(sum, frame->function), frame->file);
		return hash_number(sum, frame->line);
	}
	if (!frame->module)
		return frame->function ? hash_string(sum, frame->function)
				       : hash_number(sum, UINT64_MAX);
	base = path_base(frame->module);
	if (frame->build_id_bytes > 0)
		sum = fnv_add(sum, frame->build_id, frame->build_id_bytes);
	else
		sum = fnv_add(sum, base, strlen(base));
	return hash_number(sum, frame->offset);
}

void text_place_id(char id[TEXT_ID_BYTES], enum sl_kind kind,
		   const struct text_frame *origin, unsigned n_origin)
{
	uint64_t sum = hash_number(FNV_BASIS, (uint64_t)kind);

	/* The frames a function was inlined into share its code: only the last counts,
	 * so that a report with symbols and one without agree. */
	for (unsigned i = 0; i < n_origin; i++)
		if (!origin[i].inlined &&
		    !text_is_inside_interpreter(origin, n_origin, i))
			sum = hash_frame(sum, &origin[i]);
	sum = mix(sum);
	for (int i = 0; i < TEXT_ID_BYTES - 1; i++)
		id[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
	id[TEXT_ID_BYTES - 1] = 0;
}

/* Where the `n` bytes at `piece` first stand in `string`, or NULL. */
static const char *find_piece(const char *string, const char *piece, size_t n)
{
	for (; *string; string++)
		if (strncmp(string, piece, n) == 0)
			return string;
	return NULL;
}

/* LeakSanitizer takes a pattern as pieces between '*' and '$'.  Each is searched for
 * behind the one before, leftmost first and without going back, hence "a$" does not match
 * "aa": the first 'a' is taken, and it does not end the string.  Files of rules are
 * shared with it, so this is kept.  Behind a '$' nothing is looked at. */
bool text_matches(const char *pattern, const char *string)
{
	bool at_start = *pattern == '^', after_star = false;

	if (!string || !*string)
		return false;
	for (pattern += at_start; *pattern;) {
		size_t n = strcspn(pattern, "*$");
		const char *found;

		if (n == 0 && *pattern == '$')
			return *string == 0 || after_star;
		after_star = n == 0;
		if (after_star) {
			at_start = false;
			pattern++;
			continue;
		}
		found = find_piece(string, pattern, n);
		if (!found || (at_start && found != string))
			return false;
		at_start = false;
		string = found + n;
		pattern += n;
	}
	return true;
}

bool text_matches_glob(const char *pattern, size_t bytes, const char *string)
{
	const char *end = pattern + bytes, *after_star = NULL, *taken = string;

	for (;;) {
		if (pattern < end && *pattern == '*') {
			after_star = ++pattern;
			taken = string;
		} else if (pattern < end && *string &&
			   (*pattern == '?' || *pattern == *string)) {
			pattern++;
			string++;
		} else if (pattern == end && !*string) {
			return true;
		} else if (!after_star || !*taken) {
			return false;
		} else { /* the last star takes one byte more */
			pattern = after_star;
			string = ++taken;
		}
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes " max=N" off the end of a rule.  false = there is one, and it is no number from 1
 * on. */
static bool take_max(const char *line, size_t *bytes, uint64_t *max)
{
	static const char word[] = "max=";
	size_t at = *bytes;

	*max = 0;
	while (at > 0 && !is_blank(line[at - 1]))
		at--;
	if (at == 0 || *bytes - at < sizeof word - 1 ||
	    memcmp(line + at, word, sizeof word - 1) != 0)
		return true;
	if (*bytes - at == sizeof word - 1 || *bytes - at > sizeof word - 1 + 18)
		return false;
	for (size_t i = at + sizeof word - 1; i < *bytes; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		*max = *max * 10 + (uint64_t)(line[i] - '0');
	}
	for (*bytes = at; *bytes > 0 && is_blank(line[*bytes - 1]);)
		--*bytes;
	return *max > 0;
}

int text_rule(const char *line, size_t line_bytes, const char **pattern,
	      size_t *pattern_bytes, uint64_t *max)
{
	static const char type[] = "leak:";

	for (; line_bytes > 0 && is_blank(*line); line++)
		line_bytes--;
	while (line_bytes > 0 &&
	       (is_blank(line[line_bytes - 1]) || line[line_bytes - 1] == '\n'))
		line_bytes--;
	if (line_bytes == 0 || *line == '#')
		return 0;
	if (memchr(line, 0, line_bytes) || line_bytes < sizeof type ||
	    memcmp(line, type, sizeof type - 1) != 0)
		return -1;
	*pattern = line + sizeof type - 1;
	*pattern_bytes = line_bytes - (sizeof type - 1);
	if (!take_max(*pattern, pattern_bytes, max) || *pattern_bytes == 0)
		return -1;
	return 1;
}
