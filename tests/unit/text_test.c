/* The text report and the JSON lines, byte for byte. */
#include "common/text.h"
#include "report/json_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

static char buffer[16384];
static struct text text;

static void begin(void)
{
	memset(buffer, 0, sizeof buffer);
	text = (struct text){.at = buffer, .size = sizeof buffer - 1};
}

static const uint8_t build_id[] = {0x01, 0xab};
static const struct text_frame origin[] = {
	{.function = "accept_client",
	 .function_offset = 0x34,
	 .module = "/srv/app",
	 .offset = 0x1234,
	 .address = 0x55d0c0a01234,
	 .build_id = build_id,
	 .build_id_bytes = sizeof build_id},
	{.function = "main",
	 .function_offset = 0x10,
	 .module = "/srv/app",
	 .offset = 0x1300,
	 .address = 0x55d0c0a01300},
};
static const struct text_frame eof[] = {{.module = "/srv/app",
					 .offset = 0x1400,
					 .address = 0x55d0c0a01400,
					 .build_id = build_id,
					 .build_id_bytes = sizeof build_id}};

/* The place of the contract's example. */
static struct text_place example(void)
{
	return (struct text_place){
		.pid = 4711,
		.kind = SL_KIND_CLOSE_WAIT,
		.why = SL_WHY_EOF_READ,
		.call = SL_CALL_accept,
		.origin = origin,
		.n_origin = 2,
		.eof_call = SL_CALL_recv,
		.eof = eof,
		.n_eof = 1,
		.told_ms = 64000,
		.n_sockets = 3,
		.oldest_ms = 64000,
		.newest_ms = 61000,
		.kernel_bytes = 10752,
		.fd = 7,
		.cookie = 0x2f,
		.inode = 123,
		.family = 2,
		.local = {127, 0, 0, 1},
		.peer = {127, 0, 0, 1},
		.local_port = 8080,
		.peer_port = 40112,
	};
}

static void a_place_reads_as_the_contract_says(void **state)
{
	struct text_place place = example();

	(void)state;
	begin();
	text_place(&text, &place);
	assert_string_equal(
		buffer,
		"==4711==ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner, "
		"oldest 1m04s\n"
		"  accepted by accept():\n"
		"    #0 0x55d0c0a01234 in accept_client+0x34 (/srv/app+0x1234)\n"
		"    #1 0x55d0c0a01300 in main+0x10 (/srv/app+0x1300)\n"
		"  end of stream was read 1m04s ago by recv():\n"
		"    #0 0x55d0c0a01400 (/srv/app+0x1400) (BuildId: 01ab)\n"
		"  why: eof-read. 127.0.0.1:8080 <- 127.0.0.1:40112 (fd 7), and 2 more.\n"
		"  A peer that closed fully has forgotten these connections.\n");
	assert_false(text.cut);
}

static void one_socket_is_spoken_of_in_the_singular(void **state)
{
	struct text_place place = example();

	(void)state;
	place.n_sockets = 1;
	place.call = SL_CALL_connect;
	place.unread_bytes = 1;
	place.why = SL_WHY_NEVER_READ;
	place.eof_call = SL_CALL_NONE;
	begin();
	text_place(&text, &place);
	assert_string_equal(
		buffer,
		"==4711==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for "
		"1m04s\n"
		"  opened by connect():\n"
		"    #0 0x55d0c0a01234 in accept_client+0x34 (/srv/app+0x1234)\n"
		"    #1 0x55d0c0a01300 in main+0x10 (/srv/app+0x1300)\n"
		"  why: never-read. 127.0.0.1:8080 -> 127.0.0.1:40112 (fd 7). "
		"The end of stream is still unread, behind 1 byte.\n"
		"  A peer that closed fully has forgotten this connection.\n");
}

static void a_dead_connection_found_at_exit(void **state)
{
	struct text_place place = example();

	(void)state;
	place.kind = SL_KIND_DEAD;
	place.at_exit = true;
	place.why = SL_WHY_RESET | SL_WHY_DUPLICATE;
	place.n_origin = 0;
	place.origin_kind = SL_ORIGIN_INHERITED;
	place.call = SL_CALL_NONE;
	place.n_eof = 0;
	place.told_ms = 12;
	place.oldest_ms = 12300;
	place.peer_port = 0;
	place.test = "closes\ntwice";
	begin();
	text_place(&text, &place);
	assert_string_equal(
		buffer,
		"==4711==ERROR: sockleak: 3 sockets held by their owner at exit although "
		"the connection is dead, oldest 12.3s\n"
		"  origin: inherited, open already when this process started.\n"
		"  the program was told 12ms ago by recv()\n"
		"  why: reset, duplicate. 127.0.0.1:8080 <-> a peer not known (fd 7, "
		"test closes\\x0atwice), and 2 more.\n"
		"  No connection is left behind them; only a close frees them.\n");
}

/* Within its timer a peer that closed still knows the connection. */
static void a_young_leak_claims_nothing_of_the_peer(void **state)
{
	struct text_place place = example();

	(void)state;
	place.newest_ms = 59999;
	begin();
	text_place(&text, &place);
	assert_non_null(strstr(buffer, "\n  A peer that closed fully forgets these "
				       "connections when its tcp_fin_timeout ends.\n"));
	place.peer_state = TEXT_PEER_FORGOTTEN;
	begin();
	text_place(&text, &place);
	assert_non_null(
		strstr(buffer, "\n  The peer has forgotten these connections.\n"));
}

static void says_how_the_program_was_told(void **state)
{
	static const struct {
		enum sl_call call;
		unsigned why;
		const char *line;
	} ways[] = {
		{SL_CALL_read, SL_WHY_EOF_READ,
		 "  end of stream was read 5ms ago by read()"},
		{SL_CALL_read, SL_WHY_EOF_READ | SL_WHY_RESET,
		 "  the program was told 5ms ago by read()"},
		{SL_CALL_send, SL_WHY_EOF_READ,
		 "  the program was told 5ms ago by send()"},
	};
	struct text_place place = example();

	(void)state;
	place.told_ms = 5;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		place.eof_call = ways[i].call;
		place.why = ways[i].why;
		begin();
		text_place(&text, &place);
		assert_non_null(strstr(buffer, ways[i].line));
	}
}

static void pending_is_listed_as_no_leak(void **state)
{
	struct text_place place = example();

	(void)state;
	place.n_sockets = 1;
	place.oldest_ms = 5;
	begin();
	text_pending(&text, &place);
	assert_memory_equal(buffer,
			    "==4711==PENDING: sockleak: 1 socket whose peer has "
			    "gone, held to the end of the program, not "
			    "counted, for 5ms\n  accepted by accept():\n",
			    118);
}

static void a_count_line_names_the_place_in_one_line(void **state)
{
	struct text_place place = example();

	(void)state;
	place.n_sockets = 6;
	begin();
	text_count(&text, &place);
	assert_string_equal(buffer,
			    "==4711==ERROR: sockleak: 6 sockets now left in CLOSE_WAIT "
			    "by their owner, oldest 1m04s, from accept_client+0x34 "
			    "(/srv/app+0x1234), main\n");
	place.n_origin = 0;
	place.origin_kind = SL_ORIGIN_RECEIVED;
	begin();
	text_count(&text, &place);
	assert_non_null(strstr(buffer, "oldest 1m04s, origin received\n"));
}

static void the_summary_says_only_what_is_there(void **state)
{
	struct text_summary summary = {
		.pid = 4711, .n_leaked = 3, .n_places = 1, .opened = 12, .closed = 9};

	(void)state;
	begin();
	text_summary(&text, &summary);
	assert_string_equal(buffer, "==4711==SUMMARY: sockleak: 3 sockets leaked at 1 "
				    "place; 12 opened, 9 closed; 0 missed, 0 dropped\n");
	summary.n_leaked = 1;
	summary.n_places = 2;
	summary.closed_late = 2;
	summary.closed_late_max_ms = 64000;
	summary.pending = 1;
	summary.suppressed = 4;
	begin();
	text_summary(&text, &summary);
	assert_string_equal(buffer,
			    "==4711==SUMMARY: sockleak: 1 socket leaked at 2 places; "
			    "12 opened, 9 closed; 0 missed, 0 dropped; 2 closed late, "
			    "after up to 1m04s; 1 pending; 4 suppressed\n");
}

static void frames_show_what_is_known(void **state)
{
	static const struct text_frame frames[] = {
		{.function = "f",
		 .file = "/src/a\tb.c",
		 .line = 41,
		 .module = "/m",
		 .offset = 1,
		 .address = 2,
		 .inlined = true},
		{.file = "/src/x.c", .module = "/m", .offset = 0x10},
		{.offset = 0x7f00, .address = 0x7f00},
	};

	(void)state;
	begin();
	text_frames(&text, frames, 3);
	assert_string_equal(buffer,
			    "    #0 0x2 in f /src/a\\x09b.c:41 (inlined) (/m+0x1)\n"
			    "    #1 0x10 /src/x.c (/m+0x10)\n"
			    "    #2 0x7f00 (outside all modules)\n");
}

/* connect() of an extension module, called by Python, called by the C library. */
static const struct text_frame python[] = {
	{.function = "PQconnect", .module = "/usr/lib/libpq.so.5", .offset = 1},
	{.language = SL_LANGUAGE_PYTHON,
	 .function = "socket.accept",
	 .file = "/usr/lib/python3.11/socket.py",
	 .line = 294},
	{.language = SL_LANGUAGE_PYTHON,
	 .function = "Pool.checkout",
	 .file = "/srv/app.py",
	 .line = 42},
	{.function = "_PyEval", .module = "/usr/bin/python3.11", .offset = 2},
	{.function = "PQcall", .module = "/usr/lib/libpq.so.5", .offset = 3},
	{.function = "Py_BytesMain", .module = "/usr/bin/python3.11", .offset = 4},
	{.function = "start", .module = "/lib/libc.so.6", .offset = 5},
	{.function = "_start", .module = "/usr/bin/python3.11", .offset = 6},
};
#define N_PYTHON (sizeof python / sizeof *python)

static void frames_of_a_language_are_shown_in_its_words(void **state)
{
	struct text_frame frames[N_PYTHON];
	static const struct text_frame notes[] = {
		{.language = SL_LANGUAGE_NOTE, .function = "request\n17"},
		{.language = SL_LANGUAGE_PYTHON, .function = "f", .file = "<string>"},
	};

	(void)state;
	memcpy(frames, python, sizeof frames);
	begin();
	text_frames(&text, frames, N_PYTHON);
	assert_non_null(strstr(buffer, "    #2 Pool.checkout at /srv/app.py:42\n"));
	assert_non_null(strstr(buffer, "    #3 0x2 in _PyEval+0x0 "));
	assert_int_equal(text_fold(frames, N_PYTHON), 5);
	begin();
	text_frames(&text, frames, N_PYTHON);
	assert_string_equal(buffer,
			    "    #0 0x1 in PQconnect+0x0 (/usr/lib/libpq.so.5+0x1)\n"
			    "    #1 Pool.checkout at /srv/app.py:42\n"
			    "    #2 0x3 in PQcall+0x0 (/usr/lib/libpq.so.5+0x3)\n"
			    "    (5 frames of the interpreter left out)\n");
	begin();
	text_frames(&text, notes, 2);
	assert_string_equal(buffer, "    #0 note: request\\x0a17\n"
				    "    #1 f at <string>\n");
}

/* What a C program calls that embeds Python stays, and so does all of one without. */
static void nothing_but_an_interpreter_is_folded(void **state)
{
	struct text_frame frames[N_PYTHON];

	(void)state;
	memcpy(frames, python, sizeof frames);
	frames[5].module = frames[7].module = "/srv/app";
	assert_int_equal(text_fold(frames, N_PYTHON), 2);
	assert_false(frames[6].is_folded);
	memcpy(frames, python, sizeof frames);
	frames[1] = frames[2] = frames[0];
	assert_int_equal(text_fold(frames, N_PYTHON), 0);
	/* A program that is nothing but socket.py. */
	memcpy(frames, python, sizeof frames);
	frames[2] = frames[1];
	text_fold(frames, N_PYTHON);
	assert_false(frames[1].is_folded);
}

static void of_ruby_its_own_modules_and_socket_rb_are_folded(void **state)
{
	struct text_frame frames[] = {
		{.function = "accept4", .module = "/usr/lib/ruby/3.1.0/socket.so"},
		{.language = SL_LANGUAGE_RUBY,
		 .function = "accept_nonblock",
		 .file = "/usr/lib/ruby/3.1.0/socket.rb",
		 .line = 1284},
		{.language = SL_LANGUAGE_RUBY,
		 .function = "block in take",
		 .file = "/srv/app.rb",
		 .line = 42},
		{.function = "rb_yield", .module = "/usr/lib/libruby-3.1.so.3.1"},
		{.function = "parse",
		 .module = "/usr/lib/ruby/vendor_ruby/3.1.0/puma_http11.so"},
		{.function = "main", .module = "/usr/bin/ruby3.1"},
	};
	static const bool expected[] = {true, true, false, true, false, true};

	(void)state;
	assert_int_equal(text_fold(frames, 6), 4);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(frames[i].is_folded, expected[i]);
	assert_true(text_is_of_language(&frames[1]));
	assert_false(text_is_of_language(&frames[2]));
	frames[2].file = "<internal:kernel>";
	assert_true(text_is_of_language(&frames[2]));
	frames[2].file = "/usr/lib/ruby/vendor_ruby/webrick/server.rb";
	assert_false(text_is_of_language(&frames[2]));
}

static void an_id_knows_lines_and_no_interpreter(void **state)
{
	char one[TEXT_ID_BYTES], two[TEXT_ID_BYTES];
	struct text_frame frames[N_PYTHON];

	(void)state;
	memcpy(frames, python, sizeof frames);
	text_place_id(one, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	frames[3].offset++;
	frames[5].module = "/opt/lib/libpython3.12.so.1.0";
	text_fold(frames, N_PYTHON);
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	assert_string_equal(one, two);
	frames[2].line++;
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	assert_string_not_equal(one, two);
	frames[2].line--;
	frames[2].function = "Pool.checkin";
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	assert_string_not_equal(one, two);
	frames[2] = python[2];
	frames[2].file = "/srv/other.py";
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	assert_string_not_equal(one, two);
	frames[2] = python[2];
	frames[4].offset++; /* of an extension module */
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, N_PYTHON);
	assert_string_not_equal(one, two);
}

static void durations_have_two_units_at_most(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} durations[] = {
		{0, "0ms"},
		{950, "950ms"},
		{1000, "1.0s"},
		{12345, "12.3s"},
		{59999, "59.9s"},
		{64000, "1m04s"},
		{3599999, "59m59s"},
		{7500000, "2h05m"},
		{86400000 * 3 + 3600000 * 4, "3d04h"},
		{UINT64_MAX, "213503982334d14h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		begin();
		text_duration(&text, durations[i].ms);
		assert_string_equal(buffer, durations[i].text);
	}
}

static void addresses_have_their_usual_form(void **state)
{
	static const struct {
		uint8_t bytes[16];
		const char *text;
	} addresses[] = {
		{{[15] = 1}, "[::1]:80"},
		{{0}, "[::]:80"},
		{{0x20, 1, 0x0d, 0xb8, [15] = 1}, "[2001:db8::1]:80"},
		{{0xfe, 0x80, [8] = 1, 2, 3, 4, 5, 6, 7, 8},
		 "[fe80::102:304:506:708]:80"},
		{{0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 5}, "[1:0:2::3:4:5]:80"},
		{{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0},
		 "[1:2:3:4:5:6:7:0]:80"},
		{{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0}, "[1:2:3:4:5:6::]:80"},
		{{[10] = 0xff, [11] = 0xff, 10, 0, 0, 7}, "[::ffff:10.0.0.7]:80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		begin();
		text_address(&text, 10, addresses[i].bytes, 80);
		assert_string_equal(buffer, addresses[i].text);
	}
	begin();
	text_address(&text, 0, addresses[0].bytes, 80);
	assert_string_equal(buffer, "-");
}

static void no_control_character_reaches_a_log(void **state)
{
	(void)state;
	begin();
	text_escaped(&text, "a\n\x1b[31m\\\x7f\xc2\x9b\xff\xc3\xa9\xe2\x80\xae.");
	assert_string_equal(buffer, "a\\x0a\\x1b[31m\\x5c\\x7f\\xc2\\x9b\\xff\xc3\xa9"
				    "\\xe2\\x80\\xae.");
}

static void elf_symbols_are_those_of_the_contract(void **state)
{
	(void)state;
	assert_string_equal(text_call_name(SL_CALL_accept4), "accept4");
	assert_null(text_call_name(SL_CALL_NONE));
	assert_null(text_call_name(SL_N_CALLS));
	assert_string_equal(text_kind_name(SL_KIND_DEAD), "dead");
	assert_string_equal(text_why_name(SL_WHY_HELD_BY_CHILD), "held-by-child");
	assert_string_equal(text_note_name(SL_ORIGIN_SHORT), "short");
	assert_null(text_note_name(SL_ORIGIN_KIND_NONE));
	assert_string_equal(text_state_name(8), "CLOSE_WAIT");
	assert_string_equal(text_state_name(5), "FIN_WAIT_2");
	assert_string_equal(text_state_name(7), "CLOSE");
	assert_string_equal(text_state_name(99), "UNKNOWN");
}

static void the_id_depends_on_build_and_offset_only(void **state)
{
	char one[TEXT_ID_BYTES], two[TEXT_ID_BYTES];
	struct text_frame frames[2] = {origin[0], origin[1]};

	(void)state;
	text_place_id(one, SL_KIND_CLOSE_WAIT, frames, 2);
	frames[0].module = "/elsewhere/renamed";
	frames[1].module = "/elsewhere/app";
	frames[0].address += 4096;
	frames[0].function = NULL;
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, 2);
	assert_string_equal(one, two);
	assert_int_equal(strspn(one, "0123456789abcdef"), 16);
	text_place_id(two, SL_KIND_DEAD, frames, 2);
	assert_string_not_equal(one, two);
	frames[0].offset++;
	text_place_id(two, SL_KIND_CLOSE_WAIT, frames, 2);
	assert_string_not_equal(one, two);
}

static json_t *parsed(void)
{
	json_error_t error;
	json_t *object = json_loads(buffer, JSON_ALLOW_NUL, &error);

	if (!object)
		print_message("# %s: %s\n", error.text, buffer);
	assert_non_null(object);
	assert_int_equal(strcspn(buffer, "\n"), strlen(buffer) - 1);
	return object;
}

static const char *string_at(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void the_last_use_is_said_of_one_of_some_and_of_all(void **state)
{
	static const struct {
		struct text_use use;
		uint64_t n_sockets;
		const char *words;
	} rows[] = {
		{{.call = SL_CALL_recv,
		  .n_sockets = 1,
		  .ms = 12345,
		  .bytes = 517,
		  .thread = 4711},
		 1,
		 "last used 12.3s ago by thread 4711: received 517 bytes by recv()"},
		{{.call = SL_CALL_write, .is_sent = true, .n_sockets = 1, .bytes = 1},
		 3,
		 "1 of 3 last used 0ms ago: sent 1 byte by write()"},
		{{.call = SL_CALL_sendfile,
		  .is_sent = true,
		  .n_sockets = 2,
		  .bytes = UINT32_MAX},
		 3,
		 "2 of 3 last used, e.g. 0ms ago: sent at least 4294967295 bytes by "
		 "sendfile()"},
		{{.call = SL_CALL_read, .n_sockets = 3, .bytes = 2},
		 3,
		 "all 3 last used, e.g. 0ms ago: received 2 bytes by read()"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin();
		text_use(&text, &rows[i].use, rows[i].n_sockets);
		assert_string_equal(buffer, rows[i].words);
	}
}

/* Two of three sockets from one place, and one from another, which has no backtrace. */
static const struct text_use uses[] = {
	{.call = SL_CALL_recv,
	 .frames = eof,
	 .n_frames = 1,
	 .n_sockets = 2,
	 .ms = 65000,
	 .bytes = 517,
	 .thread = 4712},
	{.call = SL_CALL_write, .is_sent = true, .n_sockets = 1, .bytes = 12},
};

static void a_place_says_where_its_sockets_were_last_used(void **state)
{
	struct text_place place = example();

	(void)state;
	place.uses = uses;
	place.n_uses = 2;
	begin();
	text_place(&text, &place);
	assert_non_null(strstr(buffer,
			       "    #0 0x55d0c0a01400 (/srv/app+0x1400) (BuildId: 01ab)\n"
			       "  2 of 3 last used, e.g. 1m05s ago by thread 4712: "
			       "received 517 bytes by "
			       "recv():\n"
			       "    #0 0x55d0c0a01400 (/srv/app+0x1400) (BuildId: 01ab)\n"
			       "  1 of 3 last used 0ms ago: sent 12 bytes by write()\n"
			       "  why: eof-read."));
}

static void a_leak_as_json_has_the_fields_of_a_place(void **state)
{
	static const char *const fields[] = {
		"event",        "ts",           "pid",       "id",        "kind",
		"why",          "count",        "call",      "origin",    "origin_note",
		"eof_call",     "eof",          "last_uses", "oldest_ms", "newest_ms",
		"unread_bytes", "kernel_bytes", "sockets"};
	struct text_place place = example();
	json_t *leak, *one;

	(void)state;
	begin();
	json_lines_leak(&text, &place, 1700000000042);
	leak = parsed();
	assert_int_equal(json_object_size(leak), sizeof fields / sizeof *fields);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		assert_non_null(json_object_get(leak, fields[i]));
	assert_non_null(strstr(buffer, "{\"event\":\"leak\",\"ts\":1700000000.042,"
				       "\"pid\":4711,\"id\":\""));
	assert_string_equal(string_at(leak, "call"), "accept");
	assert_int_equal(json_array_size(json_object_get(leak, "origin")), 2);
	one = json_array_get(json_object_get(leak, "origin"), 0);
	assert_string_equal(string_at(one, "function"), "accept_client");
	assert_string_equal(string_at(one, "build_id"), "01ab");
	assert_true(json_is_null(json_object_get(one, "line")));
	one = json_array_get(json_object_get(leak, "sockets"), 0);
	assert_int_equal(json_object_size(one), 16);
	assert_string_equal(string_at(one, "state"), "CLOSE_WAIT");
	assert_string_equal(string_at(one, "cookie"), "47");
	assert_string_equal(string_at(one, "peer"), "127.0.0.1:40112");
	json_decref(leak);
}

static void a_leak_as_json_says_where_it_was_last_used(void **state)
{
	struct text_place place = example();
	json_t *leak, *one;

	(void)state;
	place.uses = uses;
	place.n_uses = 2;
	place.use = uses[1];
	place.use_index = 1;
	begin();
	json_lines_leak(&text, &place, 0);
	leak = parsed();
	one = json_array_get(json_object_get(leak, "last_uses"), 0);
	assert_string_equal(string_at(one, "direction"), "received");
	assert_int_equal(json_integer_value(json_object_get(one, "count")), 2);
	assert_int_equal(json_array_size(json_object_get(one, "frames")), 1);
	one = json_array_get(json_object_get(leak, "sockets"), 0);
	one = json_object_get(one, "last_use");
	assert_string_equal(string_at(one, "direction"), "sent");
	assert_int_equal(json_integer_value(json_object_get(one, "index")), 1);
	assert_true(json_is_null(json_object_get(one, "thread")));
	json_decref(leak);
}

static void what_is_unknown_is_null_in_json(void **state)
{
	struct text_place place = {.pid = 1, .kind = SL_KIND_DEAD, .n_sockets = 1};
	json_t *leak, *one;

	(void)state;
	place.origin_kind = SL_ORIGIN_UNKNOWN;
	begin();
	json_lines_closed_late(&text, &place, 1);
	leak = parsed();
	assert_string_equal(string_at(leak, "event"), "closed-late");
	assert_true(json_is_null(json_object_get(leak, "call")));
	assert_true(json_is_null(json_object_get(leak, "eof_call")));
	assert_true(json_is_null(json_object_get(leak, "eof")));
	assert_string_equal(string_at(leak, "origin_note"), "unknown");
	one = json_array_get(json_object_get(leak, "sockets"), 0);
	assert_true(json_is_null(json_object_get(one, "peer")));
	assert_string_equal(string_at(one, "state"), "CLOSE");
	json_decref(leak);
}

static void the_summary_as_json(void **state)
{
	struct text_summary summary = {.pid = 9,
				       .n_leaked = 3,
				       .n_places = 1,
				       .opened = 12,
				       .closed = 9,
				       .closed_late = 2,
				       .closed_late_max_ms = 70,
				       .suppressed = 4};

	(void)state;
	begin();
	json_lines_summary(&text, &summary, 5);
	json_decref(parsed());
	assert_string_equal(buffer,
			    "{\"event\":\"summary\",\"ts\":0.005,\"pid\":9,\"opened\":12,"
			    "\"closed\":9,\"open\":3,\"leaked\":3,\"closed_by_end\":0,"
			    "\"places\":1,"
			    "\"pending\":0,\"closed_late\":{\"count\":2,\"max_ms\":70},"
			    "\"missed\":0,\"dropped\":0,\"suppressed\":4}\n");
}

static void invalid_bytes_still_make_valid_json(void **state)
{
	(void)state;
	begin();
	text_json_string(&text,
			 "\"\\\n\x1f\xff\xc3\xa9\xed\xa0\x80\xc0\xaf\xf0\x9f\x92\xa9"
			 "\xe2\x80\xae");
	assert_string_equal(buffer,
			    "\"\\\"\\\\\\u000a\\u001f\\u00ff\xc3\xa9\\u00ed\\u00a0\\u0080"
			    "\\u00c0\\u00af\xf0\x9f\x92\xa9\\u202e\"");
	begin();
	text_json_string(&text, NULL);
	assert_string_equal(buffer, "null");
}

static void any_bytes_make_valid_json_and_clean_text(void **state)
{
	struct text_place place = example();
	struct text_frame frame = origin[0];
	char noise[80];

	(void)state;
	srand(7);
	place.origin = &frame;
	place.n_origin = 1;
	for (int round = 0; round < 2000; round++) {
		size_t n = (size_t)rand() % sizeof noise;

		for (size_t i = 0; i < n; i++)
			noise[i] = (char)(1 + rand() % 255);
		noise[n < sizeof noise ? n : n - 1] = 0;
		frame.function = frame.module = place.test = noise;
		begin();
		json_lines_leak(&text, &place, 1);
		json_decref(parsed());
		begin();
		text_place(&text, &place);
		for (const char *at = buffer; *at; at++)
			assert_true(*at == '\n' || (*at & 0xe0) != 0);
	}
}

static void json_that_does_not_fit_loses_frames_but_never_its_form(void **state)
{
	static struct text_frame many[128];
	struct text_place place = example();
	json_t *leak;

	(void)state;
	for (int i = 0; i < 128; i++)
		many[i] = origin[i % 2];
	place.origin = many;
	place.n_origin = 128;
	for (size_t size = 0; size < 14000; size += 97) {
		begin();
		text.size = size;
		text_string(&text, size > 0 ? " " : "");
		json_lines_leak(&text, &place, 1);
		assert_true(text.cut);
		if (text.used <= 1)
			continue;
		buffer[text.used] = 0;
		leak = parsed();
		assert_true(json_array_size(json_object_get(leak, "origin")) <= 16);
		json_decref(leak);
	}
}

static void text_that_does_not_fit_is_cut_and_says_so(void **state)
{
	struct text_place place = example();

	(void)state;
	for (size_t size = 1; size < 300; size++) {
		begin();
		text.size = size;
		text_place(&text, &place);
		assert_true(text.cut);
		assert_int_equal(text.used, size);
		assert_int_equal(buffer[size - 1], '\n');
		assert_int_equal(buffer[size], 0);
	}
}

/* LeakSanitizer's own function gives the same on each, and on 20 million random pairs. */
static void patterns_match_as_leaksanitizer_does(void **state)
{
	static const struct {
		const char *pattern, *string;
		bool matches;
	} cases[] = {
		{"foo", "foo", true},
		{"foo", "a_foo_b", true},
		{"foo", "fo", false},
		{"foo", "", false},
		{"^foo", "foobar", true},
		{"^foo", "a_foo", false},
		{"foo$", "a_foo", true},
		{"foo$", "foobar", false},
		{"^foo$", "foo", true},
		{"^foo$", "foofoo", false},
		{"f*o", "fabco", true},
		{"f*o", "of", false},
		{"*", "x", true},
		{"*", "", false},
		{"^*foo", "barfoo", true},
		{"foo*$", "foobar", true},
		{"a*b*c", "xaxbxcx", true},
		{"a*b*c", "acb", false},
		{"foo$bar", "foo", true},
		{"$", "x", false},
		{"*$", "x", true},
		{"", "x", true},
		{"^", "x", true},
		{"a^b", "a^b", true},
		{"foo*", "foo", true},
		{"foo**bar", "foobar", true},
		{"a$", "aa", false},
		{"^a", "aa", true},
		{"*a$", "ba", true},
		{"b*a$", "baa", false},
		{"/lib*.so", "/lib/libx.so.1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (text_matches(cases[i].pattern, cases[i].string) != cases[i].matches)
			fail_msg("%s on '%s'", cases[i].pattern, cases[i].string);
	assert_false(text_matches("foo", NULL));
}

static void a_glob_matches_the_whole_path(void **state)
{
	static const struct {
		const char *glob, *path;
		bool matches;
	} cases[] = {
		{"/srv/app", "/srv/app", true},
		{"/srv/app", "/srv/app2", false},
		{"/srv/app", "/srv/ap", false},
		{"/srv/*", "/srv/a/b", true},
		{"*/app", "/srv/app", true},
		{"*/app", "/srv/apple", false},
		{"*a*b", "xaxab", true},
		{"*a*b", "xaxa", false},
		{"*ab", "aab", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"?", "", false},
		{"*", "", true},
		{"**", "x", true},
		{"", "", true},
		{"", "x", false},
		{"a*", "a", true},
		{"a*?", "a", false},
		{"java", "java\xc3\xa4", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (text_matches_glob(cases[i].glob, strlen(cases[i].glob),
				      cases[i].path) != cases[i].matches)
			fail_msg("%s on '%s'", cases[i].glob, cases[i].path);
	assert_true(text_matches_glob("/srv/app,bash", 8, "/srv/app"));
}

static void rules_are_read_one_a_line(void **state)
{
	static const struct {
		const char *line;
		int result;
		const char *pattern;
		uint64_t max;
	} rules[] = {
		{"leak:foo", 1, "foo", 0},
		{"  leak:foo bar \t\r\n", 1, "foo bar", 0},
		{"leak:pool max=8", 1, "pool", 8},
		{"leak:pool  max=8 ", 1, "pool", 8},
		{"leak:amax=8", 1, "amax=8", 0},
		{"leak:max=8x/y", 1, "max=8x/y", 0},
		{"", 0, NULL, 0},
		{" \t", 0, NULL, 0},
		{"# leak:foo", 0, NULL, 0},
		{"leak:", -1, NULL, 0},
		{"leak", -1, NULL, 0},
		{"leaks:foo", -1, NULL, 0},
		{"race:foo", -1, NULL, 0},
		{"leak:pool max=", -1, NULL, 0},
		{"leak:pool max=0", -1, NULL, 0},
		{"leak:pool max=x", -1, NULL, 0},
		{"leak:pool max=9999999999999999999", -1, NULL, 0},
		{"leak: max=3", -1, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const char *pattern = NULL;
		size_t bytes = 0;
		uint64_t max = 0;
		int result = text_rule(rules[i].line, strlen(rules[i].line), &pattern,
				       &bytes, &max);

		if (result != rules[i].result)
			fail_msg("'%s' gives %d", rules[i].line, result);
		if (result != 1)
			continue;
		assert_int_equal(bytes, strlen(rules[i].pattern));
		assert_memory_equal(pattern, rules[i].pattern, bytes);
		assert_int_equal(max, rules[i].max);
	}
	assert_int_equal(text_rule("leak:a\0b", 8, &(const char *){NULL}, &(size_t){0},
				   &(uint64_t){0}),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_reads_as_the_contract_says),
		cmocka_unit_test(one_socket_is_spoken_of_in_the_singular),
		cmocka_unit_test(a_dead_connection_found_at_exit),
		cmocka_unit_test(a_young_leak_claims_nothing_of_the_peer),
		cmocka_unit_test(says_how_the_program_was_told),
		cmocka_unit_test(pending_is_listed_as_no_leak),
		cmocka_unit_test(a_count_line_names_the_place_in_one_line),
		cmocka_unit_test(the_summary_says_only_what_is_there),
		cmocka_unit_test(frames_show_what_is_known),
		cmocka_unit_test(frames_of_a_language_are_shown_in_its_words),
		cmocka_unit_test(nothing_but_an_interpreter_is_folded),
		cmocka_unit_test(of_ruby_its_own_modules_and_socket_rb_are_folded),
		cmocka_unit_test(an_id_knows_lines_and_no_interpreter),
		cmocka_unit_test(durations_have_two_units_at_most),
		cmocka_unit_test(addresses_have_their_usual_form),
		cmocka_unit_test(no_control_character_reaches_a_log),
		cmocka_unit_test(elf_symbols_are_those_of_the_contract),
		cmocka_unit_test(the_id_depends_on_build_and_offset_only),
		cmocka_unit_test(the_last_use_is_said_of_one_of_some_and_of_all),
		cmocka_unit_test(a_place_says_where_its_sockets_were_last_used),
		cmocka_unit_test(a_leak_as_json_has_the_fields_of_a_place),
		cmocka_unit_test(a_leak_as_json_says_where_it_was_last_used),
		cmocka_unit_test(what_is_unknown_is_null_in_json),
		cmocka_unit_test(the_summary_as_json),
		cmocka_unit_test(invalid_bytes_still_make_valid_json),
		cmocka_unit_test(any_bytes_make_valid_json_and_clean_text),
		cmocka_unit_test(json_that_does_not_fit_loses_frames_but_never_its_form),
		cmocka_unit_test(text_that_does_not_fit_is_cut_and_says_so),
		cmocka_unit_test(patterns_match_as_leaksanitizer_does),
		cmocka_unit_test(a_glob_matches_the_whole_path),
		cmocka_unit_test(rules_are_read_one_a_line),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
