/* Which runtimes there are. */
#include "common/path.h"
#include "languages/languages.h"

#include "base/imports.h"
#include "base/sections.h"
#include "languages/java.h"
#include "languages/python.h"
#include "languages/ruby.h"

#include <dlfcn.h>
#include <string.h>

#define PYTHON_3_12 0x030c0000UL

bool languages_has_runtime, languages_minds_threads;
static bool may_come; /* atomic */
static bool is_java_wanted;
static enum language runtime; /* written before there is one */

unsigned languages_walk(struct language_frame frames[], unsigned size)
{
	/* All that was found out of a runtime was written before it was told of. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return runtime == LANGUAGE_JAVA   ? java_walk(frames, size)
	       : runtime == LANGUAGE_RUBY ? ruby_walk(frames, size)
					  : python_walk(frames, size);
}

AT_START void languages_look_for_runtime(bool with_java)
{
	is_java_wanted = with_java;
	if (imports_has_python()) {
		runtime = LANGUAGE_PYTHON;
		languages_has_runtime = python_start(NULL);
	} else if (imports_has_ruby()) {
		runtime = LANGUAGE_RUBY;
		languages_has_runtime = ruby_start();
	} else {
		may_come = true;
	}
}

AT_START void languages_ask_about_threads(void)
{
	if (!imports_has_python())
		return;
	const unsigned long *version = libc_own.dlsym(RTLD_DEFAULT, "Py_Version");
	dlerror(); /* the host shall not find our failure */
	languages_minds_threads = version && *version >= PYTHON_3_12;
}

bool languages_may_come(void)
{
	return __atomic_load_n(&may_come, __ATOMIC_RELAXED);
}

bool languages_is_runtime(const char *path)
{
	const char *name = path_base(path);

	return python_is_library(name) || (is_java_wanted && java_is_library(name));
}

bool languages_is_part_of_runtime(const char *path)
{
	return languages_is_runtime(path) || python_is_module(path) ||
	       (is_java_wanted && java_is_module(path_base(path)));
}

void languages_take_runtime(void *library)
{
	__atomic_store_n(&may_come, false, __ATOMIC_RELAXED);
	if (is_java_wanted && java_start(library))
		runtime = LANGUAGE_JAVA;
	else if (python_start(library))
		runtime = LANGUAGE_PYTHON;
	if (runtime)
		__atomic_store_n(&languages_has_runtime, true, __ATOMIC_RELEASE);
}
