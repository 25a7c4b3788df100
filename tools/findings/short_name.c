/* See short_name.h. */
#include "findings/short_name.h"

#include "common/path.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

struct copy {
	const char *at; /* what is read next */
	char *to;
	size_t size, used; /* used < size */
};

static void put(struct copy *copy, const char *bytes, size_t n)
{
	size_t room = copy->size - 1 - copy->used;

	if (n > room)
		n = room;
	memcpy(copy->to + copy->used, bytes, n);
	copy->used += n;
}

static bool is_word(char character)
{
	return isalnum((unsigned char)character) || character == '_' || character == '$';
}

/* The operator's own characters and no bracket: "operator<<", "operator()", "operator
 * new[]", "operator bool". */
static bool put_operator(struct copy *copy, const char *begin)
{
	static const char word[] = "operator";
	const char *end = copy->at + strlen(word);

	if (!string_begins(copy->at, word) || is_word(*end) ||
	    (copy->at > begin && is_word(copy->at[-1])))
		return false;
	if (string_begins(end, "()") || string_begins(end, "[]"))
		end += 2;
	else if (*end == ' ')
		end += 1 + strcspn(end + 1, "(<");
	else
		end += strspn(end, "<>=!+-*/%^&|~,");
	put(copy, copy->at, (size_t)(end - copy->at));
	/* "operator<< <char>" */
	copy->at = end + string_begins(end, " <");
	return true;
}

/* Behind the bracket that closes the one at `at`; of the sort of that one alone, since
 * "->" and "operator<" stand between the others. */
static const char *behind_bracket(const char *at)
{
	char opening = *at, closing = strchr("<>(){}", opening)[1];
	unsigned depth = 0;

	for (; *at; at++) {
		if (*at == opening)
			depth++;
		else if (*at == closing && at[-1] != '-' && --depth == 0)
			return at + 1;
	}
	return at;
}

/* A name of the compiler's: "{lambda(int)#2}" is "{lambda}", "{{closure}}" is "{closure}",
 * "(anonymous namespace)" stays. */
static bool put_compilers_name(struct copy *copy)
{
	static const char anonymous[] = "(anonymous namespace)";

	if (string_begins(copy->at, anonymous)) {
		put(copy, anonymous, strlen(anonymous));
		copy->at += strlen(anonymous);
		return true;
	}
	if (*copy->at != '{')
		return false;
	const char *name = copy->at + (copy->at[1] == '{');
	put(copy, name, strcspn(name, "(#}"));
	put(copy, "}", 1);
	copy->at = behind_bracket(copy->at);
	return true;
}

/* What stands behind the arguments: " const", " &", " [abi:cxx11]". */
static void skip_qualifiers(struct copy *copy)
{
	static const char *const qualifiers[] = {" const", " volatile", " &&", " &",
						 " noexcept"};

	for (size_t i = 0; i < sizeof(qualifiers) / sizeof(qualifiers[0]); i++)
		if (string_begins(copy->at, qualifiers[i])) {
			copy->at += strlen(qualifiers[i]);
			i = (size_t)-1;
		}
}

/* Names of other languages may have such brackets, too: "<module>". */
static bool is_cplusplus(const char *name)
{
	return strchr(name, '(') || strstr(name, "::");
}

/* A type in Rust, before its method: of "<net::Pool<T> as core::ops::Drop>::drop" up to
 * " as ". */
static void begin_type(struct copy *copy)
{
	const char *end = behind_bracket(copy->at), *last = end - (end[-1] == '>');

	copy->at++;
	while (copy->at < last && !string_begins(copy->at, " as ")) {
		const char *from = copy->at;

		if (*from == '<') {
			put(copy, "<>", 2);
			copy->at = behind_bracket(from);
		} else {
			put(copy, copy->at++, 1);
		}
	}
	copy->at = end;
}

void short_name(const char *name, char *to, size_t size)
{
	struct copy copy = {.at = name, .to = to, .size = size};

	if (!is_cplusplus(name)) {
		put(&copy, name, strlen(name));
		copy.at = "";
	}
	if (*copy.at == '<')
		begin_type(&copy);
	while (*copy.at && !string_begins(copy.at, " [")) {
		if (put_operator(&copy, name) || put_compilers_name(&copy))
			continue;
		if (*copy.at == '<') {
			put(&copy, "<>", 2);
			copy.at = behind_bracket(copy.at);
		} else if (*copy.at == '(') {
			copy.at = behind_bracket(copy.at);
			skip_qualifiers(&copy);
		} else if (*copy.at == '[') {
			copy.at += strcspn(copy.at, "]");
			copy.at += *copy.at == ']';
		} else if (*copy.at == ' ') {
			/* Before it stood the type that is returned. */
			copy.used = 0;
			copy.at++;
		} else {
			put(&copy, copy.at++, 1);
		}
	}
	to[copy.used] = 0;
}
