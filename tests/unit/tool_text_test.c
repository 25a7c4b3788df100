/* The text report at a glance, over findings made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "formats/text_internal.h"

#define MAX_COLUMNS 100

static char *report; /* owned */

static const struct findings_holder holder = {.fd = 7, .pid = 4711};

static struct findings_socket a_socket(void)
{
	return (struct findings_socket){
		.holders = &holder,
		.n_holders = 1,
		.age_ms = 1500,
		.family = AF_INET,
		.local = {127, 0, 0, 1},
		.peer = {127, 0, 0, 2},
		.local_port = 80,
		.peer_port = 40000,
		.kind = SL_KIND_CLOSE_WAIT,
		.verdict = SL_LEAK_GRACE,
	};
}

/* The report of these places, of a process of the given end. */
static void write_report(struct findings_place *places, size_t n,
			 enum findings_ended ended)
{
	struct format_text_options options = {0};
	struct findings_process process = {
		.pid = 4711, .exe = "/srv/app", .ended = ended};
	struct findings findings = {
		.processes = &process, .n_processes = 1, .leaks = places, .n_leaks = n};
	size_t size;
	FILE *file;

	free(report);
	file = open_memstream(&report, &size);
	format_text(&findings, &options, file);
	fclose(file);
}

static unsigned count_of(const char *words)
{
	unsigned n = 0;

	for (const char *at = report; (at = strstr(at, words)); at++)
		n++;
	return n;
}

static int free_report(void **state)
{
	(void)state;
	free(report);
	report = NULL;
	return 0;
}

static void each_reason_has_words_and_advice_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TEXT_N_WHYS; i++) {
		struct findings_socket socket = a_socket();
		struct findings_place places[2] = {
			{.sockets = &socket, .n_sockets = 1, .why = 1U << i}};
		char advice[128];

		places[1] = places[0];
		write_report(places, 2, FINDINGS_EXIT);
		snprintf(advice, sizeof(advice), "  %s (%s):\n      ",
			 text_why_words(1U << i), text_why_name(1U << i));
		assert_int_equal(count_of(advice), 1);
		assert_int_equal(count_of("What to do:"), 1);
		assert_int_equal(count_of("(null)"), 0);
	}
}

static void what_is_unread_is_said_with_the_end_of_stream(void **state)
{
	static const struct {
		unsigned why;
		uint64_t unread;
		const char *words;
	} rows[] = {
		{SL_WHY_NEVER_READ, 0, ": the end of stream is still unread\n"},
		{SL_WHY_NEVER_READ, 7,
		 ": the end of stream is still unread, behind 7 bytes\n"},
		{SL_WHY_NEVER_READ, TEXT_UNREAD_UNKNOWN,
		 ": the end of stream is still unread\n"},
		{SL_WHY_EOF_READ, 0, ": told by recv()\n"},
		{SL_WHY_RESET, 1, ": the connection was reset, 1 byte unread\n"},
		{SL_WHY_EOF_READ | SL_WHY_DUPLICATE, 0,
		 ": told by recv(), a duplicate holds it\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct findings_socket socket = a_socket();
		struct findings_place place = {.sockets = &socket,
					       .n_sockets = 1,
					       .why = rows[i].why,
					       .eof_call = SL_CALL_recv,
					       .unread_bytes = rows[i].unread};

		write_report(&place, 1, FINDINGS_EXIT);
		assert_int_equal(count_of(rows[i].words), 1);
	}
}

static void no_line_is_wider_than_a_hundred_columns(void **state)
{
	static char name[400], file[400];
	struct findings_socket socket = a_socket();
	struct text_frame frames[2] = {
		{.function = name, .file = file, .line = 12345, .module = "/srv/app"},
		{.function = name, .module = file, .offset = 0x123456},
	};
	struct findings_place places[2] = {{.sockets = &socket,
					    .n_sockets = 1,
					    .call = SL_CALL_accept4,
					    .origin = frames,
					    .n_origin = 2,
					    .eof_call = SL_CALL_recvfrom,
					    .eof = frames + 1,
					    .n_eof = 1,
					    .source = name}};

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	memset(file, 'f', sizeof(file) - 1);
	file[0] = '/';
	places[1] = places[0];
	write_report(places, 2, FINDINGS_EXIT);
	for (const char *at = report, *end; *at; at = end + 1) {
		end = strchr(at, '\n');
		assert_true(end - at <= MAX_COLUMNS);
	}
}

static void a_cut_name_ends_whole_and_begins_at_a_character(void **state)
{
	char buffer[64];
	struct text text = {.at = buffer, .size = sizeof(buffer) - 1};
	struct text_frame frame = {.function = "abc\303\244\303\266\303\274xyz",
				   .module = "/srv/app"};

	(void)state;
	text_function(&text, &frame, 8);
	buffer[text.used] = 0;
	assert_string_equal(buffer, "...\303\266\303\274xyz");
	assert_int_equal(text_columns(&text, 0), 8);
	text.used = 0;
	text_function(&text, &frame, 9);
	buffer[text.used] = 0;
	assert_string_equal(buffer, frame.function);
}

static void of_a_process_that_has_ended_nothing_is_yet(void **state)
{
	struct findings_socket socket = a_socket();
	struct findings_place place = {.sockets = &socket,
				       .n_sockets = 1,
				       .call = SL_CALL_accept,
				       .origin_kind = SL_ORIGIN_UNKNOWN,
				       .origin_is_pending = true};

	(void)state;
	write_report(&place, 1, FINDINGS_UNKNOWN);
	assert_int_equal(count_of("ended before it was unwound\n"), 1);
	assert_int_equal(count_of("yet"), 0);
	write_report(&place, 1, FINDINGS_RUNNING);
	assert_int_equal(count_of("not unwound yet"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_has_words_and_advice_once),
		cmocka_unit_test(what_is_unread_is_said_with_the_end_of_stream),
		cmocka_unit_test(no_line_is_wider_than_a_hundred_columns),
		cmocka_unit_test(a_cut_name_ends_whole_and_begins_at_a_character),
		cmocka_unit_test(of_a_process_that_has_ended_nothing_is_yet),
	};
	return cmocka_run_group_tests(tests, NULL, free_report);
}
