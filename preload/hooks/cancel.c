/* pthread_cancel: the cancelled thread must be inside the C library's own call. */
#include "hooks/hooks.h"

#include "base/single_thread.h"

EXPORT int pthread_cancel(pthread_t thread)
{
	single_no_more();
	return next.pthread_cancel(thread);
}
