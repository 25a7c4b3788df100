/* sockleak symbolize: adds function, file:line and inlined frames to a text log.
 *
 * A frame of the log is "#0 0x55d0c0a01234 in accept_client+0x34 (/srv/app+0x1234)",
 * without " in ..." where the library knew no name; there a " (BuildId: ...)" may follow.
 * Anything may stand before it (journald, docker).  A log says the build-id only where it
 * says no name; where it says a name, the file at that path is believed if it has that
 * symbol at that very place.  Frames of a language say their line themselves.  All else
 * is passed through as it is; only that frames are counted on where inlined ones were
 * added before them, and that the library's hint to call this command is left out. */
#include "commands/commands.h"
#include "common/text.h"
#include "formats/formats.h"
#include "support/options.h"
#include "support/say.h"
#include "symbols/symbols.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX           "0123456789abcdef"
#define MOST_ID_BYTES 32

struct frame { /* parts of one line; pointers into it */
	const char *number_at;
	unsigned number;
	const char *after_number; /* " 0x55d0c0a01234 in ..." */
	size_t address_bytes;     /* of that " 0x55d0c0a01234" */
	char *function;           /* NULL = none; owned, as is */
	uint64_t distance;        /* of the offset from the function's start */
	char *module;             /* owned */
	const char *module_at;    /* " (/srv/app+0x1234)" to the end of the line */
	uint64_t offset;
	uint8_t build_id[MOST_ID_BYTES];
	unsigned build_id_bytes; /* 0 = not told */
};

static bool parse_hex(const char **at, uint64_t *value)
{
	size_t n = strspn(*at, HEX);
	if (n == 0 || n > 16)
		return false;
	*value = strtoull(*at, NULL, 16);
	*at += n;
	return true;
}

/* The first "#N 0x..." that stands alone. */
static bool parse_number(const char *line, struct frame *frame)
{
	for (const char *at = line; (at = strchr(at, '#')); at++) {
		size_t digits = strspn(at + 1, "0123456789");
		const char *address = at + 1 + digits;
		uint64_t value;
		if ((at > line && at[-1] != ' ' && at[-1] != '\t') || digits == 0 ||
		    digits > 6 || strncmp(address, " 0x", 3) != 0)
			continue;
		frame->number_at = at + 1;
		frame->number = (unsigned)atoi(at + 1);
		frame->after_number = address;
		address += 3;
		if (!parse_hex(&address, &value))
			continue;
		frame->address_bytes = (size_t)(address - frame->after_number);
		return true;
	}
	return false;
}

/* " in accept_client+0x34", if it is there; false = in another form. */
static bool parse_function(const char **at, struct frame *frame)
{
	if (strncmp(*at, " in ", 4) != 0)
		return true;
	const char *name = *at + 4;
	const char *end = name + strcspn(name, " ");
	const char *plus = memrchr(name, '+', (size_t)(end - name));
	if (!plus || plus == name || strncmp(plus, "+0x", 3) != 0)
		return false;
	const char *distance = plus + 3;
	if (!parse_hex(&distance, &frame->distance) || distance != end)
		return false;
	frame->function = strndup(name, (size_t)(plus - name));
	*at = end;
	return frame->function != NULL;
}

/* " (BuildId: ...)" at the end of what is `*bytes` long, which it is then cut from. */
static bool parse_build_id(const char *line, size_t *bytes, struct frame *frame)
{
	static const char opening[] = " (BuildId: ";
	const char *at = NULL;
	for (const char *next = line; (next = strstr(next, opening)); next++)
		at = next;
	if (!at)
		return true;
	const char *hex = at + strlen(opening);
	size_t digits = strspn(hex, HEX);
	if (digits == 0 || digits % 2 || digits > 2 * MOST_ID_BYTES ||
	    hex + digits + 1 != line + *bytes)
		return false;
	for (size_t i = 0; i < digits / 2; i++)
		sscanf(hex + 2 * i, "%2" SCNx8, &frame->build_id[i]);
	frame->build_id_bytes = (unsigned)(digits / 2);
	*bytes = (size_t)(at - line);
	return true;
}

/* " (/srv/app+0x1234)", and perhaps a build-id, to the end of the line.  The path may
 * have blanks, brackets and plus signs. */
static bool parse_module(const char *at, struct frame *frame)
{
	const char *mark = strstr(at, TEXT_BY_FRAME_POINTER);
	size_t bytes = mark && !mark[strlen(TEXT_BY_FRAME_POINTER)] ? (size_t)(mark - at)
								    : strlen(at);
	frame->module_at = at;
	if (strncmp(at, " (/", 3) != 0 || at[bytes - 1] != ')' ||
	    !parse_build_id(at, &bytes, frame))
		return false;
	const char *plus = memrchr(at, '+', bytes);
	if (!plus || at[bytes - 1] != ')' || strncmp(plus, "+0x", 3) != 0)
		return false;
	const char *offset = plus + 3;
	if (!parse_hex(&offset, &frame->offset) || offset != at + bytes - 1)
		return false;
	frame->module = strndup(at + 2, (size_t)(plus - at - 2));
	return frame->module != NULL;
}

static void forget_frame(struct frame *frame)
{
	free(frame->function);
	free(frame->module);
	frame->function = frame->module = NULL;
}

/* What is between number and module, as text.h writes it. */
static void put_place(struct text *text, const void *of)
{
	const struct symbol_frame *found = of;
	if (found->function) {
		text_string(text, " in ");
		text_escaped(text, found->function);
	}
	if (found->function && !found->file && found->distance) {
		text_string(text, "+0x");
		text_hex(text, found->distance);
	}
	if (found->file) {
		text_string(text, " ");
		text_escaped(text, found->file);
		if (found->line > 0) {
			text_string(text, ":");
			text_unsigned(text, found->line);
		}
	}
	if (found->inlined)
		text_string(text, " (inlined)");
}

static void print_resolved(const char *line, const struct frame *frame, unsigned number,
			   const struct symbol_frame *found, size_t n_found)
{
	for (size_t i = 0; i < n_found; i++) {
		struct symbol_frame shown = found[i];
		if (!shown.function && !shown.inlined)
			shown.function = frame->function;
		size_t bytes;
		char *place = format_block(put_place, &shown, &bytes);
		printf("%.*s%u%.*s", (int)(frame->number_at - line), line,
		       number + (unsigned)i, (int)frame->address_bytes,
		       frame->after_number);
		fwrite(place, 1, bytes, stdout);
		printf("%s\n", frame->module_at);
		free(place);
	}
}

/* Whether the frames say more than the line does already. */
static bool says_more(const struct frame *frame, const struct symbol_frame *found,
		      size_t n_found)
{
	const struct symbol_frame *physical = &found[n_found - 1];
	return n_found > 1 || physical->file || (physical->function && !frame->function);
}

/* How many frames were printed for this one; 0 = it cannot be resolved. */
static size_t resolve(struct symbols *symbols, const char *line,
		      const struct frame *frame, unsigned number)
{
	const struct symbol_frame *found;
	size_t n;
	if (frame->function && !symbols_agree(symbols, frame->module, frame->offset,
					      frame->function, frame->distance))
		return 0;
	n = symbols_find(symbols, frame->module,
			 frame->build_id_bytes ? frame->build_id : NULL,
			 frame->build_id_bytes, frame->offset, &found);
	if (!says_more(frame, found, n))
		return 0;
	print_resolved(line, frame, number, found, n);
	return n;
}

/* The backtrace that is being printed. */
struct progress {
	unsigned added; /* inlined frames that it got */
	unsigned next;  /* the number of its next frame in the log */
};

/* A frame of a language, "#2 Pool.checkout at app.py:42", that continues the backtrace:
 * nothing but its number may change. */
static bool print_language_frame(const char *line, struct progress *progress)
{
	for (const char *at = line; (at = strstr(at, "    #")); at++) {
		const char *number = at + strlen("    #");
		size_t digits = strspn(number, "0123456789");
		if (digits == 0 || digits > 6 || number[digits] != ' ' ||
		    (unsigned)atoi(number) != progress->next)
			continue;
		printf("%.*s%u%s\n", (int)(number - line), line,
		       progress->next + progress->added, number + digits);
		progress->next++;
		return true;
	}
	return false;
}

/* A line without its newline. */
static void print_line(struct symbols *symbols, const char *line,
		       struct progress *progress)
{
	struct frame frame = {0};
	size_t n = 0;
	if (!parse_number(line, &frame)) {
		if (progress->added && print_language_frame(line, progress))
			return;
		*progress = (struct progress){0};
		if (!strstr(line, TEXT_HINT)) /* which was followed here */
			puts(line);
		return;
	}
	if (frame.number == 0)
		progress->added = 0;
	progress->next = frame.number + 1;
	const char *at = frame.after_number + frame.address_bytes;
	if (parse_function(&at, &frame) && parse_module(at, &frame))
		n = resolve(symbols, line, &frame, frame.number + progress->added);
	if (n > 0)
		progress->added += (unsigned)n - 1;
	else
		printf("%.*s%u%s\n", (int)(frame.number_at - line), line,
		       frame.number + progress->added, frame.after_number);
	forget_frame(&frame);
}

/* Lines with a zero byte in them are no frames, and go through untouched too. */
static void symbolize(FILE *log)
{
	struct symbols *symbols = symbols_open();
	char *line = NULL;
	size_t room = 0;
	struct progress progress = {0};
	for (ssize_t n; (n = getline(&line, &room, log)) > 0;) {
		bool is_whole = line[n - 1] == '\n';
		if (!is_whole || memchr(line, 0, (size_t)n)) {
			fwrite(line, 1, (size_t)n, stdout);
			continue;
		}
		line[n - 1] = 0;
		print_line(symbols, line, &progress);
	}
	free(line);
	symbols_close(symbols);
}

static const char usage[] =
	"Usage: sockleak symbolize [FILE]\n"
	"Add function, file:line and inlined frames to a text log of the library, read\n"
	"from FILE or standard input.  What cannot be resolved passes through "
	"unchanged.\n";

static const char usage_end[] =
	"Debug files are found by build-id and debuglink, in the directories of\n"
	"SOCKLEAK_DEBUG_PATH (separated by ':'), beside the module and in "
	"/usr/lib/debug.\n"
	"\n"
	"Examples:\n"
	"  sockleak symbolize app.log\n"
	"  journalctl -u app | sockleak symbolize\n"
	"  SOCKLEAK_DEBUG_PATH=/srv/debug sockleak symbolize app.log\n";

int command_symbolize(int argc, char **argv)
{
	const struct options options = {
		.subcommand = "symbolize", .usage = usage, .usage_end = usage_end};
	FILE *log = stdin;
	options_take(&options, argc, argv);
	if (argc - optind > 1)
		say_usage("symbolize", "more than one file");
	if (optind < argc && strcmp(argv[optind], "-") != 0)
		log = fopen(argv[optind], "re");
	if (!log)
		say_die(SAY_USAGE, "cannot open %s:", argv[optind]);
	setvbuf(stdout, NULL, _IOLBF, 0); /* for logs that are followed */
	symbolize(log);
	if (ferror(log))
		say_die(SAY_USAGE, "cannot read %s:", optind < argc ? argv[optind] : "-");
	if (fflush(stdout) != 0 || ferror(stdout))
		say_die(SAY_USAGE, "cannot write standard output:");
	if (log != stdin)
		fclose(log);
	return 0;
}
