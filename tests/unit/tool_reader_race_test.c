/* A block whose end moves between the two copies that the reader takes of a live ledger:
 * pread(2) is stood in for, and changes what the second copy holds. */
#include "read/reader.h"

#include "../lib/ledger_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

static unsigned n_copies; /* of the first block, so far */

/* The command's parts are linked into this program, and call this one. */
ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
	ssize_t n = syscall(SYS_pread64, fd, to, bytes, offset);

	if (bytes == SL_BLOCK_BYTES && offset == sizeof(struct sl_header) &&
	    ++n_copies == 2)
		memset(to, 0, bytes);
	return n;
}

/* A block full of records, up to its last byte: what is believed to follow an event would
 * lie outside. */
static void the_end_of_a_block_may_move_forward(void **state)
{
	static struct ledger_maker maker;
	static const size_t event_bytes = (sizeof(struct sl_event) + 7) & ~(size_t)7;
	char directory[] = "/tmp/sockleak-race-XXXXXX", path[PATH_MAX];
	char why[READER_WHY_BYTES] = "";
	struct reader_ledger ledger;

	(void)state;
	assert_non_null(mkdtemp(directory));
	maker_begin(&maker, 4711);
	maker.head.ended = SL_RUNNING;
	for (size_t i = 0; i < SL_BLOCK_BYTES / event_bytes; i++)
		maker_event(&maker, SL_EVENT_PASSED);
	maker_write(&maker, directory, path);
	int result = reader_read(path, &ledger, why);
	size_t n_events = ledger.n_events;
	if (result == 0)
		reader_free(&ledger);
	unlink(path);
	rmdir(directory);
	assert_int_equal(n_copies, 2);
	assert_string_equal(why, "");
	assert_int_equal(result, 0);
	assert_int_equal(n_events, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_a_block_may_move_forward),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
