/* What is known of the languages that frames may be of. */
#include "common/path.h"
#include "common/text.h"

#include <string.h>

const char *text_language_name(enum sl_language language)
{
	static const char *const names[] = {NULL,   "python",     "note",
					    "java", "javascript", "ruby"};
	static_assert(sizeof names / sizeof *names == SL_N_LANGUAGES, "a name each");

	return (unsigned)language < SL_N_LANGUAGES ? names[language] : NULL;
}

/* The program "python3.11", "libpython3.11.so.1.0", and modules of its own library, such
 * as ".../lib-dynload/_socket.cpython-311-x86_64-linux-gnu.so". */
static bool is_python(const char *path)
{
	const char *name = path_base(path);

	return string_begins(name, "python3") || string_begins(name, "libpython3") ||
	       strstr(path, "/lib-dynload/");
}

/* The program "java", the machine, and what it calls the system by. */
static bool is_java(const char *path)
{
	static const char *const names[] = {"java",        "libjvm.so", "libjli.so",
					    "libjava.so",  "libnio.so", "libnet.so",
					    "libextnet.so"};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(path_base(path), names[i]) == 0)
			return true;
	return false;
}

static bool is_node_itself(const char *path)
{
	const char *name = path_base(path);

	return strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0 ||
	       string_begins(name, "libnode.so");
}

/* Or what Debian and others have split off it. */
static bool is_node(const char *path)
{
	return is_node_itself(path) || string_begins(path_base(path), "libuv.so");
}

/* Of what is installed with Ruby, and not beside it (vendor_ruby/3.1.0, gems/3.1.0):
 * "/usr/lib/ruby/3.1.0/net/http.rb". */
static bool is_installed_with_ruby(const char *path)
{
	return strstr(path, "/ruby/3.") != NULL;
}

/* The program "ruby3.1", "libruby-3.1.so.3.1", and modules such as
 * ".../ruby/3.1.0/socket.so". */
static bool is_ruby(const char *path)
{
	const char *name = path_base(path);

	return strcmp(name, "ruby") == 0 || string_begins(name, "ruby3") ||
	       string_begins(name, "libruby") || is_installed_with_ruby(path);
}

bool text_is_interpreter(unsigned languages, const char *module)
{
	return ((languages & 1U << SL_LANGUAGE_PYTHON) && is_python(module)) ||
	       ((languages & 1U << SL_LANGUAGE_JAVA) && is_java(module)) ||
	       ((languages & 1U << SL_LANGUAGE_JAVASCRIPT) && is_node(module)) ||
	       ((languages & 1U << SL_LANGUAGE_RUBY) && is_ruby(module));
}

static unsigned languages_of(const struct text_frame *frames, unsigned n)
{
	unsigned languages = 0;

	for (unsigned i = 0; i < n; i++)
		languages |= 1U << frames[i].language;
	return languages;
}

bool text_lacks_javascript(const struct text_frame *frames, unsigned n)
{
	bool lacks = false;

	for (unsigned i = 0; i < n; i++) {
		if (frames[i].language == SL_LANGUAGE_JAVASCRIPT)
			return false;
		lacks |= frames[i].module && is_node_itself(frames[i].module);
	}
	return lacks;
}

bool text_is_inside_interpreter(const struct text_frame *frames, unsigned n, unsigned i)
{
	return !frames[i].language && frames[i].module &&
	       text_is_interpreter(languages_of(frames, n), frames[i].module);
}

/* The module in which every program of Python or Ruby opens its sockets. */
static bool is_of_sockets(const struct text_frame *frame)
{
	if (frame->language == SL_LANGUAGE_PYTHON && frame->file)
		return strcmp(path_base(frame->file), "socket.py") == 0 &&
		       strstr(frame->file, "/python3");
	return frame->language == SL_LANGUAGE_RUBY && frame->file &&
	       strcmp(path_base(frame->file), "socket.rb") == 0 &&
	       is_installed_with_ruby(frame->file);
}

static bool is_of_jdk(const char *function)
{
	static const char *const prefixes[] = {
		"java.",         "javax.net.", "jdk.", "sun.", "com.sun.net.httpserver.",
		"com.sun.tools."};

	for (unsigned i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (string_begins(function, prefixes[i]))
			return true;
	return false;
}

/* "node:net", "node:internal/modules/cjs/loader"; what V8 has built in lies in
 * "<anonymous>", as "new Promise" does. */
static bool is_of_node(const struct text_frame *frame)
{
	return frame->language == SL_LANGUAGE_JAVASCRIPT && frame->file &&
	       (string_begins(frame->file, "node:") ||
		strcmp(frame->file, "<anonymous>") == 0);
}

/* Not what was installed beside it: "/usr/lib/python3.11/ssl.py" is, and no
 * "/usr/lib/python3/dist-packages/requests/api.py". */
bool text_is_of_language(const struct text_frame *frame)
{
	if (frame->language == SL_LANGUAGE_JAVA)
		return frame->function && is_of_jdk(frame->function);
	if (frame->language == SL_LANGUAGE_JAVASCRIPT)
		return is_of_node(frame);
	if (frame->language == SL_LANGUAGE_RUBY && frame->file)
		return is_installed_with_ruby(frame->file) ||
		       string_begins(frame->file, "<internal:");
	if (frame->language != SL_LANGUAGE_PYTHON || !frame->file)
		return false;
	if (frame->file[0] == '<')
		return string_begins(frame->file, "<frozen ");
	return strstr(frame->file, "/lib/python3.") &&
	       !strstr(frame->file, "/site-packages/") &&
	       !strstr(frame->file, "/dist-packages/");
}

static bool is_libc(const struct text_frame *frame)
{
	const char *name = frame->module ? path_base(frame->module) : "";

	return string_begins(name, "libc.so.") || string_begins(name, "libpthread");
}

static bool opens_for_others(const struct text_frame *frame)
{
	return is_of_sockets(frame) ||
	       (frame->language == SL_LANGUAGE_JAVA && text_is_of_language(frame));
}

/* Innermost ones of Python's or Ruby's own module, or of the JDK's classes, if others
 * called them. */
static void fold_sockets(struct text_frame *frames, unsigned n)
{
	unsigned end = 0;

	while (end < n && (frames[end].language == SL_LANGUAGE_NONE ||
			   frames[end].language == SL_LANGUAGE_NOTE ||
			   opens_for_others(&frames[end])))
		end++;
	for (unsigned i = 0; end < n && i < end; i++)
		if (opens_for_others(&frames[i]))
			frames[i].is_folded = true;
}

/* Node's own modules, where a program's frames are left. */
static void fold_node(struct text_frame *frames, unsigned n)
{
	bool has_others = false;

	for (unsigned i = 0; i < n; i++)
		has_others |= frames[i].language == SL_LANGUAGE_JAVASCRIPT &&
			      !is_of_node(&frames[i]);
	for (unsigned i = 0; has_others && i < n; i++)
		frames[i].is_folded |= is_of_node(&frames[i]);
}

/* Outermost ones of the C library, which started the interpreter; around them may stand
 * some of the interpreter's program. */
static void fold_starts(struct text_frame *frames, unsigned n)
{
	unsigned first = n;
	bool has_interpreter = false;

	while (first > 0 && (frames[first - 1].is_folded || is_libc(&frames[first - 1])))
		has_interpreter |= frames[--first].is_folded;
	for (unsigned i = first; has_interpreter && i < n; i++)
		frames[i].is_folded = true;
}

unsigned text_fold(struct text_frame *frames, unsigned n)
{
	unsigned languages = languages_of(frames, n), n_folded = 0;

	for (unsigned i = 0; i < n; i++)
		frames[i].is_folded = !frames[i].language && frames[i].module &&
				      text_is_interpreter(languages, frames[i].module);
	fold_sockets(frames, n);
	fold_node(frames, n);
	fold_starts(frames, n);
	for (unsigned i = 0; i < n; i++)
		n_folded += frames[i].is_folded;
	return n_folded;
}

static bool lack_lines(const struct text_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!frames[i].is_folded && frames[i].module)
			return true;
	return false;
}

bool text_lacks_lines(const struct text_place *place)
{
	return lack_lines(place->origin, place->n_origin) ||
	       lack_lines(place->eof, place->n_eof);
}

void text_mark_by_frame_pointer(struct text_frame *frames, unsigned n)
{
	bool is_behind = false;

	for (unsigned i = 0; i < n; i++) {
		frames[i].by_frame_pointer = is_behind;
		is_behind |= !frames[i].language && !frames[i].module;
	}
}
