/* Reports as text and as JSON lines: structs in, bytes out.  Pure: no allocation, no
 * system call, no locale, so that the library and the command share it.  Any thread, any
 * signal.
 *
 * Every writer appends to a `struct text`; what does not fit is cut and `cut` is set.
 * Strings that come from outside (paths, symbol names, test names) are escaped: no
 * control character reaches a log. */
#ifndef SOCKLEAK_TEXT_H
#define SOCKLEAK_TEXT_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct text {
	char *at;    /* the buffer; owned by the caller; not terminated */
	size_t size; /* bytes it has */
	size_t used; /* bytes written */
	bool cut;    /* something did not fit */
};

struct text_frame {
	enum sl_language language; /* not 0: neither module nor offset */
	const char *function;      /* NULL = unknown; of a note: its text */
	uint64_t function_offset;  /* from the function's start */
	const char *file;          /* NULL = unknown */
	size_t file_prefix_bytes;  /* of `file`, which a text leaves out */
	unsigned line;             /* 0 = unknown */
	const char *module;        /* path; NULL = code outside all modules */
	uint64_t offset;  /* from the module's load bias; an address if module is NULL */
	uint64_t address; /* in the process; 0 = not known, print the offset */
	const uint8_t *build_id;
	unsigned build_id_bytes; /* 0 = the module has none */
	bool inlined;
	bool is_folded;        /* a text leaves it out: see text_fold() */
	bool by_frame_pointer; /* see text_mark_by_frame_pointer() */
};

/* What is known of the peer's end. */
enum text_peer {
	TEXT_PEER_UNKNOWN,
	TEXT_PEER_FIN_WAIT_2, /* it waits for this side to close */
	TEXT_PEER_FORGOTTEN,  /* it is gone: an RST came, or this system had it */
};

/* The last call that moved data on some sockets of a place, from one backtrace. */
struct text_use {
	enum sl_call call;
	bool is_sent;
	const struct text_frame *frames; /* innermost first */
	unsigned n_frames;
	uint64_t n_sockets;
	/* Of that which was used longest ago: */
	uint64_t ms;    /* how long ago */
	uint64_t bytes; /* UINT32_MAX = as many, or more */
	pid_t thread;   /* 0 = not known */
};
#define TEXT_MAX_USES 3 /* shown of a place */

/* One place: all leaks of one process (or, in merged reports, of many) with the same
 * origin backtrace and kind. */
struct text_place {
	pid_t pid;
	enum sl_kind kind;
	unsigned why; /* enum sl_why bits, of all its sockets */
	enum sl_call call;
	enum sl_origin_kind origin_kind;
	const struct text_frame *origin;
	unsigned n_origin;
	bool origin_is_pending; /* captured, and not unwound */
	bool has_ended;         /* the process, with origin_is_pending */
	enum sl_call eof_call;  /* SL_CALL_NONE = the program was not told */
	const struct text_frame *eof;
	unsigned n_eof;
	uint64_t told_ms; /* how long ago the program was told; with eof_call */
	const struct text_use *uses; /* those of the most sockets first */
	unsigned n_uses;             /* 0 = no use is known */
	uint64_t n_sockets;
	uint64_t oldest_ms; /* since the peer was gone */
	uint64_t newest_ms;
	uint64_t unread_bytes; /* or TEXT_UNREAD_UNKNOWN */
	uint64_t kernel_bytes;
	uint64_t n_closed_by_end;  /* of its sockets; the others are held */
	bool at_exit;              /* by the rule of the exit, not by grace */
	bool runs_on;              /* asked for by the program: this is not its end */
	enum text_peer peer_state; /* of all of them, or unknown */
	/* Other processes hold them: this one opened them and has closed them, or ended.
	 */
	bool is_elsewhere;
	/* the oldest of the sockets, as an example */
	pid_t holder_pid; /* with is_elsewhere; 0 = not known: its /proc may not be read
			   */
	const char *program; /* its name, with holder_pid; NULL = not known */
	int fd;              /* of the holder */
	uint8_t state;       /* as tcpi_state; 0 = not known, taken from kind */
	uint64_t opened_ms;  /* since it was opened, or TEXT_MS_UNKNOWN */
	struct text_use use; /* its last; without frames, n_sockets 0 = none is known */
	unsigned use_index;  /* of these frames in `uses`; n_uses = they are not there */
	uint64_t cookie;
	uint64_t inode;
	uint16_t family;                /* AF_INET, AF_INET6; 0 = addresses not known */
	uint8_t local[16], peer[16];    /* network byte order */
	uint16_t local_port, peer_port; /* host byte order */
	const char *closed;             /* "late", "end"; NULL = it is held */
	const char *test;               /* NULL = opened outside a named test */
};

#define TEXT_UNREAD_UNKNOWN UINT64_MAX
#define TEXT_MS_UNKNOWN     UINT64_MAX
/* The sum with one socket's: not known if one of them is not. */
static inline uint64_t text_add_unread(uint64_t sum, uint32_t unread_bytes)
{
	return sum == TEXT_UNREAD_UNKNOWN || unread_bytes == SL_UNREAD_UNKNOWN
		       ? TEXT_UNREAD_UNKNOWN
		       : sum + unread_bytes;
}

struct text_summary {
	pid_t pid;
	uint64_t n_leaked;      /* sockets */
	uint64_t closed_by_end; /* of them */
	uint64_t n_places;
	uint64_t opened, closed, missed, dropped;
	uint64_t closed_late, closed_late_max_ms;
	uint64_t pending;    /* peer gone, no leak yet */
	uint64_t suppressed; /* sockets that a rule took out */
	bool is_short;       /* says missed and dropped only where one of them is not 0 */
};

/* The block of a place, printed the first time it is seen. */
void text_place(struct text *text, const struct text_place *place);
/* The one line of a place seen before whose count has doubled. */
void text_count(struct text *text, const struct text_place *place);
/* A place whose sockets are pending at exit: listed, never counted. */
void text_pending(struct text *text, const struct text_place *place);
/* A place whose sockets were leaks, and were closed after all. */
void text_closed_late(struct text *text, const struct text_place *place);
void text_summary(struct text *text, const struct text_summary *summary);
/* A frame that text_place() shows is a module's: its line is in the module's file. */
bool text_lacks_lines(const struct text_place *place);
/* Before the summary: what gives such frames above their lines. */
#define TEXT_HINT "sockleak: `sockleak symbolize LOG` adds file and line to these frames."
void text_hint(struct text *text);
/* Frames only, each line indented by four spaces: "    #0 0x55d0 in f+0x34
 * (/srv/app+0x1234)" or, where file and line are known, "    #0 0x55d0 in f /src/app.c:41
 * (/srv/app+0x1234)"; of a language "    #0 Pool.checkout at /srv/app.py:42", of a note
 * "    #0 note: for request 17". */
void text_frames(struct text *text, const struct text_frame *frames, unsigned n_frames);

/* Marks what lies inside the interpreter of a language that has frames here, and what
 * starts it; also the innermost frames of Python's socket.py, of Ruby's socket.rb, of
 * Java those of the JDK.  Returns how many. */
unsigned text_fold(struct text_frame *frames, unsigned n);
/* Marks the frames behind one of generated code: they were found by its frame pointer. */
void text_mark_by_frame_pointer(struct text_frame *frames, unsigned n);
#define TEXT_BY_FRAME_POINTER " by frame pointer"
/* Whether a frame of a language lies in what is installed with the language. */
bool text_is_of_language(const struct text_frame *frame);
/* Whether native code of this module (a path) is that of the interpreter of one of the
 * languages; bits by enum sl_language. */
bool text_is_interpreter(unsigned languages, const char *module);
/* The same of the frame `i` of a backtrace and the languages in it. */
bool text_is_inside_interpreter(const struct text_frame *frames, unsigned n, unsigned i);
/* Whether these are calls of Node, and none of them a line of JavaScript. */
bool text_lacks_javascript(const struct text_frame *frames, unsigned n);
/* Frames that the program handed over, and that no walk of ours found. */
static inline bool text_is_said(unsigned language)
{
	return language == SL_LANGUAGE_NOTE || language == SL_LANGUAGE_JAVASCRIPT;
}
/* "python", "note", "java", ...; NULL for SL_LANGUAGE_NONE. */
const char *text_language_name(enum sl_language language);

/* Of a function's name as the library knows it, with the terminator; longer ones are cut.
 */
#define TEXT_NAME_BYTES 256

/* The id of a place: 16 hexadecimal digits from kind, build-ids and offsets, of frames of
 * a language from function, file and line, the same on every host and run of the same
 * binaries.  What lies inside an interpreter does not count.  A module without a build-id
 * counts by the last part of its path; code outside modules counts as such, without its
 * address. */
#define TEXT_ID_BYTES 17
void text_place_id(char id[TEXT_ID_BYTES], enum sl_kind kind,
		   const struct text_frame *origin, unsigned n_origin);

const char *text_call_name(enum sl_call call); /* "accept"; NULL for SL_CALL_NONE */
/* Why there is no backtrace, or not all of it; NULL = all is there. */
const char *text_origin_reason(const struct text_place *place);
/* "accepted by ": what stands before the name of the call that opened the socket. */
const char *text_opened(enum sl_call call);
/* Which side connected: "local <- peer" was accepted, "local -> peer" connected. */
const char *text_arrow(enum sl_call call);
const char *text_kind_name(enum sl_kind kind); /* "close-wait", "dead" */
const char *text_why_name(enum sl_why one);    /* "eof-read"; of a single bit */
const char *text_note_name(
	enum sl_origin_kind origin_kind); /* "inherited"; NULL for SL_ORIGIN_KIND_NONE */
const char *text_peer_name(enum text_peer peer); /* "forgotten" */
const char *text_state_name(unsigned tcp_state); /* "CLOSE_WAIT", as tcpi_state counts */
#define TEXT_N_WHYS 10
/* All why bits joined: "eof-read, duplicate". */
void text_whys(struct text *text, unsigned why);
/* "127.0.0.1:8080", "[::1]:8080"; "-" when family is 0. */
void text_address(struct text *text, uint16_t family, const uint8_t address[16],
		  uint16_t port);
/* "950ms", "12.3s", "1m04s", "2h05m", "3d04h" */
void text_duration(struct text *text, uint64_t ms);
/* "last used 12.3s ago by thread 4711: received 517 bytes by recv()"; of 2 of `n_sockets`
 * "2 of 5 last used, e.g. 12.3s ago ..." */
void text_use(struct text *text, const struct text_use *use, uint64_t n_sockets);
/* Those of a place that are shown, with their frames, as text_place() has them. */
void text_uses(struct text *text, const struct text_place *place);

/* Building blocks, for both. */
void text_string(struct text *text, const char *string);
void text_escaped(struct text *text, const char *string); /* control characters as \xHH */
void text_json_string(struct text *text,
		      const char *string); /* with its quotes; NULL: null */
void text_unsigned(struct text *text, uint64_t number);
void text_hex(struct text *text, uint64_t number);

/* "500ms", "1.5s", "10s", "2m", "1h", or "10", which is seconds; not terminated.  At most
 * nine digits, and six behind the point.  false = it is none. */
bool text_parse_duration(const char *text, size_t bytes, uint64_t *ns);

/* A pattern of a suppression, matched as LeakSanitizer does: a substring, with '*' for
 * anything, '^' for the start and '$' for the end. */
bool text_matches(const char *pattern, const char *string);
/* Of a path as a whole: '*' for anything, slashes as well, and '?' for one byte.  The
 * pattern is not terminated. */
bool text_matches_glob(const char *pattern, size_t bytes, const char *string);

/* One line of a suppression file.  1 = a rule, 0 = blank or a comment, -1 = malformed.
 * On 1 `pattern` (into `line`) and `pattern_bytes` say the pattern and `max` how many
 * sockets of one place and process are expected (0 = all). */
int text_rule(const char *line, size_t line_bytes, const char **pattern,
	      size_t *pattern_bytes, uint64_t *max);

#endif
