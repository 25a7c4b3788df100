/* Backtraces and names made short, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "findings/short_name.h"
#include "findings/stack.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define APP      "/srv/app"
#define LIBC     "/usr/lib/x86_64-linux-gnu/libc.so.6"

static void names_lose_what_their_types_say(void **state)
{
	static const struct {
		const char *name, *is;
	} rows[] = {
		{"main", "main"},
		{"accept_client.isra.0", "accept_client.isra.0"},
		{"net::serve(int)", "net::serve"},
		{"void net::dispatch<3>(std::function<void ()> const&)",
		 "net::dispatch<>"},
		{"net::Pool<net::Tcp, std::vector<int> >::get(int (*)(int)) const &",
		 "net::Pool<>::get"},
		{"serve(int)::{lambda(int)#2}::operator()(int) const",
		 "serve::{lambda}::operator()"},
		{"f() const::{lambda(auto:1)#1}::operator()<int>(int)",
		 "f::{lambda}::operator()<>"},
		{"(anonymous namespace)::open_one(char const*)",
		 "(anonymous namespace)::open_one"},
		{"std::ostream& operator<< <char>(std::ostream&, char)", "operator<<<>"},
		{"A::operator->() const", "A::operator->"},
		{"bool operator< <int>(A<int> const&, B)", "operator<<>"},
		{"A::operator bool() const", "A::operator bool"},
		{"operator new[](unsigned long)", "operator new[]"},
		{"my_operator(int)", "my_operator"},
		{"f[abi:cxx11](int)", "f"},
		{"f(int) [clone .cold]", "f"},
		{"non-virtual thunk to A::run()", "A::run"},
		{"decltype (fp.call()) call<F>(F&&)", "call<>"},
		{"<net::Pool<std::net::tcp::TcpStream>>::checkout",
		 "net::Pool<>::checkout"},
		{"<net::Pool<T> as core::ops::drop::Drop>::drop", "net::Pool<>::drop"},
		{"<(net::A, B<C>) as net::Get>::get", "(net::A, B<>)::get"},
		{"<fn(u8) -> u8 as core::ops::FnOnce<(u8,)>>::call_once",
		 "fn(u8) -> u8::call_once"},
		{"net::call::<u8>", "net::call::<>"},
		{"net::main::{closure#0}", "net::main::{closure}"},
		{"net::main::{{closure}}", "net::main::{closure}"},
		{"<a::b", "a::b"},
		{"<module>", "<module>"},
		{"f.<locals>.<lambda>", "f.<locals>.<lambda>"},
		{"f<(((", "f<>"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		char is[STACK_NAME_BYTES];

		short_name(rows[i].name, is, sizeof(is));
		assert_string_equal(is, rows[i].is);
	}
}

static void a_long_name_is_cut(void **state)
{
	char is[8];

	(void)state;
	short_name("a::function(int)", is, sizeof(is));
	assert_string_equal(is, "a::func");
	short_name("a_function", is, sizeof(is));
	assert_string_equal(is, "a_funct");
}

static void libraries_are_told_from_the_program(void **state)
{
	static const struct {
		struct text_frame frame;
		bool is_library;
	} rows[] = {
		{{.module = APP, .function = "f"}, false},
		{{.module = APP, .function = "f", .file = "/srv/a.c"}, false},
		{{.module = APP, .file = "/usr/include/c++/12/functional"}, true},
		{{.module = APP, .file = "/usr/include/asio/impl/read.hpp"}, true},
		{{.module = APP, .file = "/usr/src/app/main.c"}, false},
		{{.module = APP, .file = "/rustc/9fc6b431/library/std/src/net/tcp.rs"},
		 true},
		{{.module = APP, .file = "/usr/src/rustc-1.63.0/library/core/src/a.rs"},
		 true},
		{{.module = APP, .file = "/usr/src/rustc-guide/main.rs"}, false},
		{{.module = APP,
		  .file = "/home/me/.cargo/registry/src/index-1/a-1.0/a.rs"},
		 true},
		{{.module = APP, .file = "/home/me/cargo/registry/main.rs"}, false},
		{{.module = LIBC, .function = "accept"}, true},
		{{.module = "/lib64/ld-linux-x86-64.so.2"}, true},
		{{.module = "linux-vdso.so.1"}, true},
		{{.module = "/usr/lib/postgresql/15/bin/postgres"}, false},
		{{.module = "/usr/lib/apache2/modules/mod_php.so"}, false},
		{{.module = "/srv/lib/libpool.so.1"}, false},
		{{.module = APP, .function = "_start"}, true},
		{{.address = 0x1234}, true},
		{{.language = SL_LANGUAGE_PYTHON,
		  .file = "/srv/app.py",
		  .function = "<module>"},
		 false},
		{{.language = SL_LANGUAGE_PYTHON,
		  .file = "/usr/lib/python3.11/ssl.py",
		  .function = "SSLSocket.accept"},
		 true},
		{{.language = SL_LANGUAGE_PYTHON,
		  .file = "/usr/lib/python3/dist-packages/requests/api.py",
		  .function = "get"},
		 false},
		{{.language = SL_LANGUAGE_NOTE, .function = "for request 17"}, false},
		{{.module = "/usr/bin/python3.11", .is_folded = true}, true},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(stack_is_library(&rows[i].frame), rows[i].is_library);
}

/* One letter a frame: small ones are the program's functions, capitals libraries'. */
static unsigned make_frames(const char *letters, struct text_frame *frames)
{
	static char names[26][2];
	unsigned n = 0;

	for (; *letters; letters++, n++) {
		bool own = *letters >= 'a';
		char *name = names[(*letters | 0x20) - 'a'];

		name[0] = (char)(*letters | 0x20);
		frames[n] = (struct text_frame){.function = name,
						.module = own ? APP : LIBC,
						.offset = (uint64_t)*letters};
	}
	return n;
}

/* "a bx2 +1 more, 3 left out" */
static const char *folded(const char *letters)
{
	static char is[256];
	struct text text = {.at = is, .size = sizeof(is) - 1};
	struct text_frame frames[64];
	struct stack stack =
		stack_fold(frames, make_frames(letters, frames), STACK_MAX_ROWS);

	for (unsigned i = 0; i < stack.n_rows; i++) {
		text_string(&text, i ? " " : "");
		text_string(&text, stack.rows[i].frame->function);
		if (stack.rows[i].times > 1) {
			text_string(&text, "x");
			text_unsigned(&text, stack.rows[i].times);
		}
	}
	text_string(&text, " +");
	text_unsigned(&text, stack.n_more);
	text_string(&text, " -");
	text_unsigned(&text, stack.n_library);
	is[text.used] = 0;
	return is;
}

static void frames_fold(void **state)
{
	static const struct {
		const char *frames, *rows;
	} rows[] = {
		{"", " +0 -0"},
		{"abc", "a b c +0 -0"},
		{"AbCCCd", "b d +0 -4"},
		{"abbbbc", "a bx4 c +0 -0"},
		{"abXbXbc", "a bx3 c +0 -2"},
		{"abcbcbcd", "a bx3 cx3 d +0 -0"},
		{"abcbd", "a b c b d +0 -0"},
		{"aaabbb", "ax3 bx3 +0 -0"},
		{"abab", "ax2 bx2 +0 -0"},
		{"ABC", "a b c +0 -0"}, /* nothing else is known */
		{"abcdefghijkl", "a b c d e f g h i j +2 -0"},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_string_equal(folded(rows[i].frames), rows[i].rows);
}

static void template_arguments_and_lines_do_not_hide_a_recursion(void **state)
{
	struct text_frame frames[] = {
		{.module = APP, .function = "void g::f<3>(int)", .line = 7, .offset = 1},
		{.module = APP, .function = "void g::f<2>(int)", .line = 8, .offset = 2},
		{.module = APP, .function = "main", .line = 9, .offset = 3},
	};
	struct stack stack = stack_fold(frames, 3, STACK_MAX_ROWS);

	(void)state;
	assert_int_equal(stack.n_rows, 2);
	assert_ptr_equal(stack.rows[0].frame, &frames[0]);
	assert_int_equal(stack.rows[0].times, 2);
	assert_int_equal(stack.rows[1].times, 1);
}

static void frames_without_names_repeat_by_their_offset(void **state)
{
	struct text_frame frames[] = {{.module = APP, .offset = 1},
				      {.module = APP, .offset = 1},
				      {.module = APP, .offset = 2}};
	struct stack stack = stack_fold(frames, 3, STACK_MAX_ROWS);

	(void)state;
	assert_int_equal(stack.n_rows, 2);
	assert_int_equal(stack.rows[0].times, 2);
}

static void libraries_are_named_once_each(void **state)
{
	struct text_frame frames[] = {
		{.module = APP, .function = "f"},
		{.module = APP, .file = "/usr/include/c++/12/functional"},
		{.module = APP, .file = "/usr/include/asio/read.hpp"},
		{.module = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"},
		{.module = LIBC},
		{.module = "/usr/lib/libuv.so.1"},
		{.module = APP, .function = "_start"},
	};
	struct stack stack = stack_fold(frames, N(frames), STACK_MAX_ROWS);

	(void)state;
	assert_int_equal(stack.n_library, 6);
	assert_int_equal(stack.n_libraries, 4);
	assert_string_equal(stack.libraries[0], "libstdc++");
	assert_string_equal(stack.libraries[1], "asio");
	assert_string_equal(stack.libraries[2], "libc");
}

/* They have neither module nor offset. */
static void a_crate_is_named_without_its_version(void **state)
{
	struct text_frame frames[] = {
		{.module = APP, .function = "f"},
		{.module = APP,
		 .file = "/root/.cargo/registry/src/i-6f17/tokio-1.38.0/src/a.rs"},
		{.module = APP,
		 .file = "/usr/local/cargo/registry/src/i-6f17/http-body-2/a.rs"},
		{.module = APP, .file = "/rustc/9fc6b431/library/std/src/net/tcp.rs"},
	};
	struct stack stack = stack_fold(frames, N(frames), STACK_MAX_ROWS);

	(void)state;
	assert_int_equal(stack.n_libraries, 3);
	assert_string_equal(stack.libraries[0], "tokio");
	assert_string_equal(stack.libraries[1], "http-body");
	assert_string_equal(stack.libraries[2], "Rust's std");
}

static void lines_of_a_language_are_told_apart(void **state)
{
	static const struct text_frame one[] = {
		{.language = SL_LANGUAGE_PYTHON,
		 .function = "f",
		 .file = "a.py",
		 .line = 1},
		{.language = SL_LANGUAGE_PYTHON,
		 .function = "f",
		 .file = "a.py",
		 .line = 1},
		{.language = SL_LANGUAGE_PYTHON,
		 .function = "f",
		 .file = "b.py",
		 .line = 1},
		{.language = SL_LANGUAGE_NOTE, .function = "f"},
	};
	struct stack stack = stack_fold(one, N(one), STACK_MAX_ROWS);

	(void)state;
	assert_int_equal(stack.n_rows, 3);
	assert_int_equal(stack.rows[0].times, 2);
	assert_int_equal(stack.n_library, 0);
}

static void the_first_own_frame_is_found(void **state)
{
	struct text_frame frames[8];

	(void)state;
	assert_ptr_equal(stack_first_own(frames, make_frames("ABcd", frames)),
			 &frames[2]);
	assert_null(stack_first_own(frames, make_frames("AB", frames)));
	assert_null(stack_first_own(frames, 0));
}

static void common_callers_are_counted(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned n;
	} rows[] = {
		{"abc", "xbc", 2}, {"abc", "abc", 3}, {"abC", "xyC", 0},
		{"abC", "xbC", 2}, {"abc", "", 0},    {"abc", "abx", 0},
		{"bc", "abc", 2},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct text_frame a[8], b[8];
		unsigned n_a = make_frames(rows[i].a, a), n_b = make_frames(rows[i].b, b);

		assert_int_equal(stack_common(a, n_a, b, n_b), rows[i].n);
	}
}

static void another_line_of_a_function_is_another_caller(void **state)
{
	struct text_frame a[2], b[2];

	(void)state;
	make_frames("ab", a);
	make_frames("ab", b);
	b[1].line = 7;
	assert_int_equal(stack_common(a, 2, b, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lose_what_their_types_say),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(libraries_are_told_from_the_program),
		cmocka_unit_test(frames_fold),
		cmocka_unit_test(template_arguments_and_lines_do_not_hide_a_recursion),
		cmocka_unit_test(frames_without_names_repeat_by_their_offset),
		cmocka_unit_test(libraries_are_named_once_each),
		cmocka_unit_test(a_crate_is_named_without_its_version),
		cmocka_unit_test(lines_of_a_language_are_told_apart),
		cmocka_unit_test(the_first_own_frame_is_found),
		cmocka_unit_test(common_callers_are_counted),
		cmocka_unit_test(another_line_of_a_function_is_another_caller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
