/* Ends without the handlers of exit(): _exit, _Exit and quick_exit. */
#include "hooks/hooks.h"

#include "scan/helper.h"
#include "scan/scan.h"
#include "unwind/origin.h"

/* A signal handler that interrupted a scan may report, too; a handler that runs in the
 * helper thread may not. */
static bool may_report(void)
{
	if (guard_ask_process() == PROCESS_VFORK_CHILD)
		return false;
	return reentrancy_depth ? !in_forked_copy() && !helper_is_me() : is_our_process();
}

int report_before_exit(int status)
{
	if (!start_hooks_are_on)
		return status;
	origin_load_no_more();
	return may_report() ? start_last_words(status) : status;
}

EXPORT __attribute__((noreturn)) void _exit(int status)
{
	next._exit(report_before_exit(status));
	__builtin_unreachable();
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	next._Exit(report_before_exit(status));
	__builtin_unreachable();
}

/* The last handler of quick_exit() makes the report (end.c). */
EXPORT __attribute__((noreturn)) void quick_exit(int status)
{
	end_quick_status = status;
	next.quick_exit(status);
	__builtin_unreachable();
}
