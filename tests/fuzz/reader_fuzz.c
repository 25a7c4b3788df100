/* libFuzzer on everything that a hostile ledger reaches: reader, judge, merge and the
 * writers.  `make fuzz` runs it; what it found stays in tests/fixtures/ledgers. */
#include "../lib/expand_ledger.h"
#include "formats/formats.h"
#include "judge/judge_linked.h"
#include "link/merge.h"

#include <sys/mman.h>

static const char *memory_path(int *fd)
{
	static char path[64];

	*fd = memfd_create("ledger", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	return path;
}

static void report(const struct reader_ledger *ledger)
{
	struct format_text_options options = {.verbose = true, .gen_suppressions = true};
	FILE *nowhere = fopen("/dev/null", "we");
	struct merge *merge = merge_open();

	merge_add(merge, ledger);
	ledger->head->started_ns++; /* else it would be known for the same */
	merge_add(merge, ledger);   /* with itself: every cookie is joined */
	struct findings *findings = judge_linked(merge);
	format_text(findings, &options, nowhere);
	format_json(findings, nowhere);
	format_sarif(findings, nowhere);
	format_junit(findings, nowhere);
	format_tap(findings, nowhere);
	format_folded(findings, nowhere);
	findings_free(findings);
	fclose(nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct ledger_maker maker;
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];
	int fd;

	const char *path = memory_path(&fd);
	expand_ledger(bytes, n, &maker);
	expand_write(&maker, fd);
	if (reader_read(path, &ledger, why) == 0) {
		report(&ledger);
		reader_free(&ledger);
	}
	close(fd);
	return 0;
}
