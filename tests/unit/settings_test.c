/* SOCKLEAK_OPTIONS: every option, quoting, and the complaint about each mistake. */
#include "report/settings.h"

#include "common/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char complaints[4096];
static unsigned n_complaints;

static void complain(const char *line)
{
	size_t used = strlen(complaints);

	assert_null(strchr(line, '\n'));
	snprintf(complaints + used, sizeof complaints - used, "%s\n", line);
	n_complaints++;
}

static struct settings parse(const char *options)
{
	struct settings settings;

	complaints[0] = 0;
	n_complaints = 0;
	memset(&settings, 0xa5, sizeof settings);
	settings_parse(&settings, options, complain);
	return settings;
}

static void has_the_documented_defaults(void **state)
{
	struct settings settings = parse(NULL);

	(void)state;
	assert_int_equal(settings.grace_ns, 0);
	assert_int_equal(settings.interval_ns, 1000000000);
	assert_int_equal(settings.frames, 32);
	assert_int_equal(settings.max_reports, 100);
	assert_int_equal(settings.exitcode, 0);
	assert_int_equal(settings.at_exit, SL_AT_EXIT_TOLD);
	assert_true(settings.thread);
	assert_true(settings.languages);
	assert_true(settings.java);
	assert_false(settings.uses);
	assert_false(settings.json);
	assert_false(settings.help);
	assert_true(settings.log_is_stderr);
	assert_string_equal(settings.log, "");
	assert_string_equal(settings.ledger, "");
	assert_string_equal(settings.suppressions, "");
	assert_string_equal(settings.programs, "");
	assert_string_equal(settings.left_out, "");
	assert_false(settings.off);
	assert_int_equal(n_complaints, 0);
}

/* As `help=1` prints them: "  name=default", a line each. */
static void has_the_defaults_that_the_help_prints(void **state)
{
	char options[512] = "";
	unsigned n_options = 0;

	(void)state;
	for (const char *line = settings_help; (line = strstr(line, "\n  "));) {
		size_t length = strcspn(line += 3, "\n");

		if (*line == ' ')
			continue;
		snprintf(options + strlen(options), sizeof options - strlen(options),
			 "%.*s:", (int)length, line);
		n_options++;
	}
	assert_int_equal(n_options, 18);
	struct settings written = parse(options), none = parse(NULL);
	assert_int_equal(n_complaints, 0);
	assert_string_equal(written.log, none.log);
	assert_string_equal(written.ledger, none.ledger);
	assert_string_equal(written.suppressions, none.suppressions);
	assert_string_equal(written.programs, none.programs);
	assert_string_equal(written.left_out, none.left_out);
	assert_memory_equal(&written, &none, offsetof(struct settings, log_is_stderr));
	assert_int_equal(written.log_is_stderr, none.log_is_stderr);
}

static void reads_every_option(void **state)
{
	struct settings settings =
		parse("grace=500ms:log=/tmp/%e.%p:format=json:ledger=/var/tmp:frames=128:"
		      "interval=10s:thread=no:languages=no:java=no:uses=yes:exitcode=9:"
		      "suppressions=/"
		      "s:at_exit=grace:"
		      "max_reports=0:programs=/srv/*,java:not=bash:off=yes:help=1");

	(void)state;
	assert_int_equal(n_complaints, 0);
	assert_int_equal(settings.grace_ns, 500000000);
	assert_int_equal(settings.interval_ns, 10000000000);
	assert_int_equal(settings.frames, 128);
	assert_int_equal(settings.max_reports, 0);
	assert_int_equal(settings.exitcode, 9);
	assert_int_equal(settings.at_exit, SL_AT_EXIT_GRACE);
	assert_false(settings.thread);
	assert_false(settings.languages);
	assert_false(settings.java);
	assert_true(settings.uses);
	assert_true(settings.json);
	assert_true(settings.help);
	assert_false(settings.log_is_stderr);
	assert_string_equal(settings.log, "/tmp/%e.%p");
	assert_string_equal(settings.ledger, "/var/tmp");
	assert_string_equal(settings.suppressions, "/s");
	assert_string_equal(settings.programs, "/srv/*,java");
	assert_string_equal(settings.left_out, "bash");
	assert_true(settings.off);
}

static void the_interval_follows_a_short_grace_unless_it_is_given(void **state)
{
	static const struct {
		const char *options;
		uint64_t interval_ms;
	} cases[] = {
		{"grace=100ms", 50},
		{"grace=1ms", 10},
		{"grace=2s", 1000},
		{"grace=3s", 1000},
		{"grace=0s", 10},
		{"grace=auto", 1000},
		{"grace=100ms:interval=3s", 3000},
		{"interval=3s:grace=100ms:interval=auto", 50},
		{"interval=1ms:grace=100ms", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(parse(cases[i].options).interval_ns,
				 cases[i].interval_ms * 1000000);
	assert_int_equal(n_complaints, 0);
}

static void a_later_value_wins_and_empty_items_are_nothing(void **state)
{
	struct settings settings = parse("::log=none:frames=4:log=stderr:frames=8:");

	(void)state;
	assert_int_equal(n_complaints, 0);
	assert_true(settings.log_is_stderr);
	assert_int_equal(settings.frames, 8);
	settings = parse("log=none");
	assert_false(settings.log_is_stderr);
	assert_string_equal(settings.log, "");
}

static void a_quoted_value_may_hold_a_colon(void **state)
{
	struct settings settings = parse("log='/tmp/a:b':frames=7:ledger='/c:d'");

	(void)state;
	assert_int_equal(n_complaints, 0);
	assert_string_equal(settings.log, "/tmp/a:b");
	assert_string_equal(settings.ledger, "/c:d");
	assert_int_equal(settings.frames, 7);
}

static void each_mistake_is_one_clear_line_and_the_default_stands(void **state)
{
	static const struct {
		const char *options, *line;
	} mistakes[] = {
		{"grce=1s", "unknown option 'grce': help=1 lists them\n"},
		{"=1", "unknown option '': help=1 lists them\n"},
		{"frames", "option 'frames' has no value\n"},
		{"frames=0",
		 "option frames: bad value '0', want a number from 1 to 128\n"},
		{"frames=129",
		 "option frames: bad value '129', want a number from 1 to 128\n"},
		{"frames=4294967297",
		 "option frames: bad value '4294967297', want a number from 1 to 128\n"},
		{"frames=", "option frames: bad value '', want a number from 1 to 128\n"},
		{"grace=5x",
		 "option grace: bad value '5x', want auto or a duration such as "
		 "500ms, 10s, 2m\n"},
		{"interval=0s",
		 "option interval: bad value '0s', want auto or a duration such as "
		 "500ms, 10s, 2m\n"},
		{"thread=maybe", "option thread: bad value 'maybe', want yes or no\n"},
		{"format=xml", "option format: bad value 'xml', want text or json\n"},
		{"at_exit=some",
		 "option at_exit: bad value 'some', want told, all, grace or none\n"},
		{"exitcode=256",
		 "option exitcode: bad value '256', want a number from 0 to 255\n"},
		{"ledger=", "option ledger: bad value '', want off or a path of at most "
			    "1023 bytes\n"},
		{"log='/a", "option log: the quote ' does not end the value\n"},
		{"log='/a'b", "option log: the quote ' does not end the value\n"},
		{"frames=\x1b[2J",
		 "option frames: bad value '\\x1b[2J', want a number from 1 to 128\n"},
	};
	struct settings defaults = parse(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct settings settings = parse(mistakes[i].options);

		assert_string_equal(complaints, mistakes[i].line);
		/* But for what lies between these two, which is nobody's. */
		assert_memory_equal(&settings, &defaults,
				    offsetof(struct settings, log_is_stderr) + 1);
		assert_memory_equal(&settings.log, &defaults.log,
				    sizeof settings - offsetof(struct settings, log));
	}
}

static void a_mistake_hides_nothing_behind_it(void **state)
{
	struct settings settings = parse("frames=x:log='/a'b:exitcode=3:oops:thread=no");

	(void)state;
	assert_int_equal(n_complaints, 3);
	assert_int_equal(settings.exitcode, 3);
	assert_false(settings.thread);
}

static void a_path_that_is_too_long_is_refused_and_shown_in_part(void **state)
{
	char options[SETTINGS_PATH_BYTES + 8] = "ledger=";
	struct settings settings;

	(void)state;
	memset(options + 7, 'a', SETTINGS_PATH_BYTES - 1);
	settings = parse(options);
	assert_int_equal(n_complaints, 0);
	assert_int_equal(strlen(settings.ledger), SETTINGS_PATH_BYTES - 1);
	options[7 + SETTINGS_PATH_BYTES - 1] = 'a';
	settings = parse(options);
	assert_int_equal(n_complaints, 1);
	assert_non_null(strstr(complaints, "aaa...', want off or a path"));
	assert_string_equal(settings.ledger, "");
}

static void reads_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0 = malformed */
	} durations[] = {
		{"500ms", 500000000},
		{"10s", 10000000000},
		{"2m", 120000000000},
		{"1h", 3600000000000},
		{"1.5s", 1500000000},
		{"0.25h", 900000000000},
		{"1.000001ms", 1000001},
		{"10", 10000000000}, /* as sleep(1) and timeout(1) */
		{"0.5", 500000000},
		{"s", 0},
		{"", 0},
		{"-1s", 0},
		{"1.s", 0},
		{".5s", 0},
		{"1.5.5s", 0},
		{"1.0000001s", 0},
		{"1000000000ms", 0},
		{"1 s", 0},
		{"1sec", 0},
		{"999999999h", 0},
		{"99999999999999999999s", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		const char *text = durations[i].text;
		uint64_t ns = 0;
		bool good = text_parse_duration(text, strlen(text), &ns);

		assert_int_equal(good, durations[i].ns != 0);
		if (good)
			assert_int_equal(ns, durations[i].ns);
	}
}

static void a_grace_of_nothing_is_not_auto(void **state)
{
	(void)state;
	assert_int_equal(parse("grace=0s").grace_ns, 1);
	assert_int_equal(parse("grace=5s:grace=auto").grace_ns, 0);
}

/* One fact, one place: what the help says is what is parsed. */
static void the_help_shows_each_default_as_it_would_be_given(void **state)
{
	struct settings defaults = parse(NULL), settings;
	unsigned n = 0;

	(void)state;
	for (const char *at = settings_help; (at = strchr(at, '\n')) && at[1]; at++) {
		char option[64];

		if (sscanf(at, "\n  %63[a-z_=0-9]\n", option) != 1 ||
		    !strchr(option, '='))
			continue;
		settings = parse(option);
		assert_int_equal(n_complaints, 0);
		/* But for what lies between these two, which is nobody's. */
		assert_memory_equal(&settings, &defaults,
				    offsetof(struct settings, log_is_stderr) + 1);
		assert_memory_equal(&settings.log, &defaults.log,
				    sizeof settings - offsetof(struct settings, log));
		n++;
	}
	assert_int_equal(n, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_documented_defaults),
		cmocka_unit_test(has_the_defaults_that_the_help_prints),
		cmocka_unit_test(reads_every_option),
		cmocka_unit_test(the_interval_follows_a_short_grace_unless_it_is_given),
		cmocka_unit_test(a_later_value_wins_and_empty_items_are_nothing),
		cmocka_unit_test(a_quoted_value_may_hold_a_colon),
		cmocka_unit_test(each_mistake_is_one_clear_line_and_the_default_stands),
		cmocka_unit_test(a_mistake_hides_nothing_behind_it),
		cmocka_unit_test(a_path_that_is_too_long_is_refused_and_shown_in_part),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(a_grace_of_nothing_is_not_auto),
		cmocka_unit_test(the_help_shows_each_default_as_it_would_be_given),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
