/* What an origin refers to, for those who report it: see origin.h. */
#include "unwind/origin.h"

#include "unwind/backtraces.h"
#include "unwind/lines.h"
#include "unwind/modules.h"
#include "unwind/unwind_library.h"

const char *origin_missing(void)
{
	return unwind_library_missing();
}

uint32_t origin_place(uint32_t origin)
{
	const struct origin_backtrace *trace =
		origin & ORIGIN_PENDING_BIT ? NULL : origin_backtrace(origin);

	return trace && trace->place ? trace->place : origin;
}

uint32_t origin_n_backtraces(void)
{
	return backtraces_count();
}

const struct origin_backtrace *origin_backtrace(uint32_t id)
{
	return backtraces_by_id(id);
}

const struct origin_line *origin_line(uint32_t id)
{
	return lines_by_id(id);
}

uint32_t origin_n_lines(void)
{
	return lines_count();
}

const struct origin_module *origin_module(uint32_t id)
{
	const struct module *module = modules_by_id(id);

	return module ? &module->shown : NULL;
}

uint32_t origin_n_modules(void)
{
	return modules_count();
}
