/* The reader: what a ledger says, and one clear sentence for whatever is none. */
#include "read/reader.h"

#include "../lib/expand_ledger.h"
#include "judge/judge_linked.h"
#include "link/merge.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

static char directory[] = "/tmp/sockleak-reader-XXXXXX";
static char path[PATH_MAX];
static struct ledger_maker maker;
static char why[READER_WHY_BYTES];

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static int remove_ledger(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* A module, a backtrace, a test and a leak on descriptor 7 that names them; an event. */
static struct sl_descriptor *a_ledger(void)
{
	maker_begin(&maker, 4711);
	uint32_t app = maker_module(&maker, "/srv/app", 0xab, 20);
	uint64_t frames[] = {maker_frame(app, 0x1234), maker_frame(app, 0x5678)};
	uint32_t origin = maker_backtrace(&maker, frames, 2);
	uint32_t name = maker_name(&maker, "a test");
	struct sl_event *event = maker_event(&maker, SL_EVENT_PASSED);
	struct sl_descriptor *row = maker_leak(&maker, 7, 99);

	event->cookie = 98;
	event->origin = origin;
	row->origin = origin;
	row->name = name;
	return row;
}

static void assert_refused(const char *because)
{
	struct reader_ledger ledger;

	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), -1);
	if (!strstr(why, because))
		fail_msg("'%s' does not say '%s'", why, because);
	assert_null(strchr(why, '\n'));
}

static void assert_accepted(void)
{
	struct reader_ledger ledger;

	maker_write(&maker, directory, path);
	if (reader_read(path, &ledger, why) < 0)
		fail_msg("%s", why);
	reader_free(&ledger);
}

/* -- what it says ----------------------------------------------------------------- */

static void a_row_comes_with_all_that_it_names(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	a_ledger();
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.n_rows, 1);
	assert_int_equal(ledger.rows[0].fd, 7);
	assert_int_equal(ledger.rows[0].row.cookie, 99);
	const struct reader_backtrace *origin =
		reader_backtrace(&ledger, ledger.rows[0].row.origin);
	assert_int_equal(origin->n_frames, 2);
	assert_int_equal(SL_FRAME_OFFSET(origin->frames[1]), 0x5678);
	const struct reader_module *module =
		reader_module(&ledger, SL_FRAME_MODULE(origin->frames[0]));
	assert_string_equal(module->path, "/srv/app");
	assert_int_equal(module->build_id_bytes, 20);
	assert_int_equal(module->build_id[19], 0xab);
	assert_string_equal(reader_name(&ledger, ledger.rows[0].row.name), "a test");
	assert_int_equal(ledger.n_events, 1);
	assert_int_equal(ledger.events[0].cookie, 98);
	assert_string_equal(ledger.head->host, "testhost");
	reader_free(&ledger);
}

static void rows_come_in_the_order_of_descriptors(void **state)
{
	struct reader_ledger ledger;
	static const uint32_t fds[] = {1000, 3, 300, 127, 128};

	(void)state;
	maker_begin(&maker, 1);
	for (size_t i = 0; i < 5; i++)
		maker_leak(&maker, fds[i], 10 + i);
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.n_rows, 5);
	for (size_t i = 1; i < 5; i++)
		assert_true(ledger.rows[i - 1].fd < ledger.rows[i].fd);
	reader_free(&ledger);
}

static void closed_descriptors_stay_only_for_their_cookie(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	maker_begin(&maker, 1);
	maker_leak(&maker, 3, 50)->held = 0;
	maker_leak(&maker, 4, 0)->held = 0;
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.n_rows, 1);
	assert_int_equal(ledger.rows[0].fd, 3);
	reader_free(&ledger);
}

static void a_name_tells_pid_start_and_sequence(void **state)
{
	uint32_t pid, sequence;
	uint64_t start;

	(void)state;
	assert_true(reader_parse_name("/a.b/17.99999999999.3.sockleak", &pid, &start,
				      &sequence));
	assert_int_equal(pid, 17);
	assert_int_equal(start, 99999999999);
	assert_int_equal(sequence, 3);
	assert_false(reader_parse_name("17.5.sockleak", &pid, &start, &sequence));
	assert_false(reader_parse_name("17.5.1.sockleak.old", &pid, &start, &sequence));
	assert_false(reader_parse_name("-1.5.1.sockleak", &pid, &start, &sequence));
	assert_false(
		reader_parse_name("99999999999.5.1.sockleak", &pid, &start, &sequence));
}

/* -- what is none ----------------------------------------------------------------- */

static void another_format_is_named(void **state)
{
	(void)state;
	a_ledger();
	maker.head.version = 1;
	assert_refused("it has format version 1, and this sockleak (" SL_VERSION
		       ") reads version 5");
	a_ledger();
	maker.head.magic = 0x1234;
	assert_refused("it is not a ledger");
	a_ledger();
	maker.head.magic = 0;
	assert_refused("its header was never completed");
	a_ledger();
	maker.head.magic = __builtin_bswap64(SL_LEDGER_MAGIC);
	assert_refused("other byte order");
}

static void a_damaged_header_is_refused(void **state)
{
	(void)state;
	a_ledger();
	maker.head.header_bytes = 4096;
	assert_refused("its header is damaged");
	a_ledger();
	maker.head.ended = 0;
	assert_refused("its header is damaged");
	a_ledger();
	maker.head.at_exit = 9;
	assert_refused("its header is damaged");
	a_ledger();
	maker.head.reserved[77] = 1;
	assert_refused("its header is damaged");
	a_ledger();
	maker.head.series.n_points = SL_MAX_POINTS + 1;
	assert_refused("its header is damaged (its series)");
	a_ledger();
	maker.head.series.n_points = 2;
	maker.head.series.points[0].time_ns = 7;
	assert_refused("its header is damaged (its series)");
	a_ledger();
	maker.head.blocks[1].kind = 77;
	assert_refused("block 1 is damaged");
	a_ledger();
	maker.head.blocks[1].first = 5;
	assert_refused("block 1 is damaged (first descriptor 5)");
}

static void two_rows_of_one_descriptor_are_refused(void **state)
{
	(void)state;
	a_ledger();
	maker.head.blocks[2] = maker.head.blocks[1];
	memcpy(maker.blocks[2], maker.blocks[1], SL_BLOCK_BYTES);
	maker.head.n_blocks = 3;
	assert_refused("two rows for descriptor 7");
}

/* Each member of a row that has a range is set beyond it. */
static void a_row_out_of_range_is_refused(void **state)
{
	static const size_t offsets[] = {
		offsetof(struct sl_descriptor, held),
		offsetof(struct sl_descriptor, state),
		offsetof(struct sl_descriptor, verdict),
		offsetof(struct sl_descriptor, kind),
		offsetof(struct sl_descriptor, call) + 1,
		offsetof(struct sl_descriptor, eof_call) + 1,
		offsetof(struct sl_descriptor, why) + 1,
		offsetof(struct sl_descriptor, origin_kind),
		offsetof(struct sl_descriptor, family) + 1,
		offsetof(struct sl_descriptor, is_sending),
		offsetof(struct sl_descriptor, was_found_by_check),
		offsetof(struct sl_descriptor, use_thread) + 3,
		offsetof(struct sl_descriptor, use_call) + 1,
		offsetof(struct sl_descriptor, use_is_sent),
		offsetof(struct sl_descriptor, reserved8),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		((uint8_t *)a_ledger())[offsets[i]] = 0xee;
		assert_refused("the row of descriptor 7 is damaged");
	}
}

static void what_names_nothing_is_refused(void **state)
{
	(void)state;
	a_ledger()->origin = 5;
	assert_refused("names a backtrace that is not there");
	a_ledger()->eof_origin = 5;
	assert_refused("names a backtrace that is not there");
	a_ledger()->use_origin = 5;
	assert_refused("names a backtrace that is not there");
	a_ledger()->name = 5;
	assert_refused("names a test that is not there");
	a_ledger();
	maker_event(&maker, SL_EVENT_PASSED)->origin = 9;
	assert_refused("event 1 names a backtrace that is not there");
	a_ledger();
	maker_backtrace(&maker, (uint64_t[]){maker_frame(3, 1)}, 1);
	assert_refused("frame 0 of backtrace 2 lies in no module");
	a_ledger();
	maker_backtrace(&maker, (uint64_t[]){maker_frame(1, 0x1000000)}, 1);
	assert_refused("frame 0 of backtrace 2 lies in no module");
	a_ledger()->origin = SL_ORIGIN_PENDING;
	assert_accepted();
}

static void a_damaged_record_is_refused(void **state)
{
	struct sl_backtrace *backtrace;
	uint64_t frame = 1;

	(void)state;
	for (int damage = 0; damage < 7; damage++) {
		a_ledger();
		maker_backtrace(&maker, &frame, 1);
		backtrace = maker_record(&maker, SL_RECORD_BACKTRACE, sizeof(*backtrace));
		backtrace->id = 9;
		assert_true(damage != 0 || (backtrace->head.bytes = 7) == 7);
		assert_true(damage != 1 || (backtrace->head.bytes = 1U << 30) != 0);
		assert_true(damage != 2 || (backtrace->head.kind = 99) == 99);
		assert_true(damage != 3 || (backtrace->n_frames = 1) == 1);
		assert_true(damage != 4 || (backtrace->id = 0) == 0);
		assert_true(damage != 5 || (backtrace->is_short = 2) == 2);
		if (damage == 6) {
			backtrace->id = 1;
			assert_refused("same id");
		} else {
			assert_refused("is damaged (record at byte");
		}
	}
}

static void names_longer_than_their_record_are_refused(void **state)
{
	struct sl_module *module;
	struct sl_name *name;

	(void)state;
	a_ledger();
	module = maker_record(&maker, SL_RECORD_MODULE, sizeof(*module));
	*module = (struct sl_module){.head = module->head, .id = 5, .path_bytes = 1};
	assert_refused("is damaged (record at byte");
	a_ledger();
	module = maker_record(&maker, SL_RECORD_MODULE, sizeof(*module));
	*module = (struct sl_module){.head = module->head, .id = 5, .build_id_bytes = 33};
	assert_refused("is damaged (record at byte");
	a_ledger();
	name = maker_record(&maker, SL_RECORD_NAME, sizeof(*name));
	*name = (struct sl_name){.head = name->head, .id = 5, .text_bytes = 0xffffffff};
	assert_refused("is damaged (record at byte");
}

static void lines_that_cannot_be_are_refused(void **state)
{
	static const struct sl_line bad[] = {
		{.id = 0, .language = SL_LANGUAGE_PYTHON, .function_bytes = 1},
		{.id = 5, .language = SL_LANGUAGE_NONE, .function_bytes = 1},
		{.id = 5, .language = SL_N_LANGUAGES, .function_bytes = 1},
		{.id = 5, .language = SL_LANGUAGE_PYTHON, .function_bytes = 0},
		{.id = 5, .language = SL_LANGUAGE_PYTHON, .function_bytes = 9},
		{.id = 5,
		 .language = SL_LANGUAGE_PYTHON,
		 .function_bytes = 1,
		 .file_bytes = 8},
		{.id = 5,
		 .language = SL_LANGUAGE_PYTHON,
		 .function_bytes = 1,
		 .file_bytes = UINT32_MAX},
		{.id = 5,
		 .language = SL_LANGUAGE_PYTHON,
		 .line = UINT32_MAX,
		 .function_bytes = 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a_ledger();
		struct sl_line *line =
			maker_record(&maker, SL_RECORD_LINE, sizeof(*line) + 8);
		struct sl_record head = line->head;
		*line = bad[i];
		line->head = head;
		assert_refused("is damaged (record at byte");
	}
	a_ledger();
	maker_line(&maker, SL_LANGUAGE_PYTHON, "f", "a.py", 1);
	maker.n_lines = 0;
	maker_line(&maker, SL_LANGUAGE_PYTHON, "g", "a.py", 1);
	assert_refused("two of its records have the same id");
	a_ledger();
	uint64_t frame = maker_frame(SL_FRAME_LANGUAGE, 1);
	maker_backtrace(&maker, &frame, 1);
	assert_refused("lies in no module");
}

static void a_line_is_read_as_it_was_written(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	a_ledger();
	uint64_t frames[] = {
		maker_line(&maker, SL_LANGUAGE_NOTE, "request 17", "", 0),
		maker_line(&maker, SL_LANGUAGE_PYTHON, "Pool.checkout", "/srv/app.py",
			   42),
	};
	uint32_t id = maker_backtrace(&maker, frames, 2);
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	const uint64_t *read = reader_backtrace(&ledger, id)->frames;
	struct text_frame note = reader_frame(&ledger, read[0]);
	assert_int_equal(note.language, SL_LANGUAGE_NOTE);
	assert_string_equal(note.function, "request 17");
	assert_null(note.file);
	struct text_frame line = reader_frame(&ledger, read[1]);
	assert_int_equal(line.language, SL_LANGUAGE_PYTHON);
	assert_string_equal(line.function, "Pool.checkout");
	assert_string_equal(line.file, "/srv/app.py");
	assert_int_equal(line.line, 42);
	reader_free(&ledger);
}

/* At every length: either it is refused with a sentence, or nothing was missing. */
static void a_ledger_cut_short_is_refused_at_every_length(void **state)
{
	struct reader_ledger ledger;
	struct stat whole;

	(void)state;
	a_ledger();
	maker_write(&maker, directory, path);
	assert_int_equal(stat(path, &whole), 0);
	for (off_t bytes = whole.st_size - 1; bytes >= 0;
	     bytes -= bytes > 4096 ? 1021 : 1) {
		assert_int_equal(truncate(path, bytes), 0);
		assert_int_equal(reader_read(path, &ledger, why), -1);
		assert_true(strstr(why, "cut short") || strstr(why, "not a ledger") ||
			    (bytes == 0 && strcmp(why, reader_unborn) == 0));
	}
}

static void what_is_no_file_is_refused(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	assert_int_equal(reader_read(directory, &ledger, why), -1);
	assert_non_null(strstr(why, "it is not a regular file"));
	assert_int_equal(reader_read("/dev/zero", &ledger, why), -1);
	assert_non_null(strstr(why, "it is not a regular file"));
	snprintf(path, sizeof(path), "%s/pipe.sockleak", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(reader_read(path, &ledger, why), -1); /* and does not wait */
	assert_non_null(strstr(why, "it is not a regular file"));
	assert_int_equal(reader_read("/nonexistent", &ledger, why), -1);
	assert_string_equal(why, strerror(ENOENT));
}

/* Every bit of what is in use is flipped, one at a time: it is read or refused, and what
 * is read can be followed to its ends. */
static void flipped_bits_never_lead_astray(void **state)
{
	struct reader_ledger ledger;
	size_t refused = 0, in_use = sizeof(struct sl_header) + 2 * SL_BLOCK_BYTES;

	(void)state;
	a_ledger();
	maker_write(&maker, directory, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t *file = mmap(NULL, in_use, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file, MAP_FAILED);
	close(fd);
	for (size_t bit = 0; bit < 8 * in_use; bit += file[bit / 8] ? 1 : 61) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (reader_read(path, &ledger, why) < 0) {
			refused++;
			assert_null(strchr(why, '\n'));
		} else {
			for (size_t i = 0; i < ledger.n_rows; i++) {
				reader_backtrace(&ledger, ledger.rows[i].row.origin);
				reader_name(&ledger, ledger.rows[i].row.name);
			}
			reader_free(&ledger);
		}
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	munmap(file, in_use);
	assert_true(refused > 100);
}

/* -- while it is written ---------------------------------------------------------- */

static void a_row_whose_writer_was_killed_inside_is_left_out(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	a_ledger()->sequence = 3;
	maker_leak(&maker, 8, 100);
	maker.head.ended = SL_RUNNING;
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.n_torn, 1);
	assert_int_equal(ledger.n_rows, 1);
	assert_int_equal(ledger.rows[0].fd, 8);
	reader_free(&ledger);
}

static void a_row_whose_writer_was_killed_before_its_backtrace_has_none(void **state)
{
	struct reader_ledger ledger;
	struct sl_descriptor *row = a_ledger();

	(void)state;
	row->origin = row->eof_origin = row->name = 9;
	maker.head.ended = SL_RUNNING;
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.rows[0].row.origin, SL_ORIGIN_PENDING);
	assert_int_equal(ledger.rows[0].row.eof_origin, SL_ORIGIN_PENDING);
	assert_int_equal(ledger.rows[0].row.name, 0);
	reader_free(&ledger);
}

struct writer {
	struct sl_header *file;
	atomic_bool stop;
};

/* As the library writes: odd, the members, even; here all say the same number. */
static void write_row(struct sl_descriptor *row, uint64_t number)
{
	_Atomic uint32_t *sequence = (_Atomic uint32_t *)&row->sequence;

	atomic_fetch_add_explicit(sequence, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	volatile struct sl_descriptor *to = row;
	to->cookie = to->inode = to->opened_ns = to->peer_gone_since_ns = number;
	to->idle_since_ns = to->told_ns = to->sent_ns = to->scanned_ns = number;
	to->socket_id = (uint32_t)number;
	atomic_fetch_add_explicit(sequence, 1, memory_order_release);
}

static void *keep_writing(void *of)
{
	struct writer *writer = of;
	struct sl_descriptor *rows = (void *)(writer->file + 1);

	/* Two rows, one of them held, so that every look meets the writer at work. */
	for (uint64_t number = 1; !atomic_load(&writer->stop); number++)
		write_row(&rows[3 + number % 2], number);
	return NULL;
}

static void assert_not_torn(const struct sl_descriptor *row)
{
	assert_int_equal(row->cookie, row->inode);
	assert_int_equal(row->cookie, row->opened_ns);
	assert_int_equal(row->cookie, row->peer_gone_since_ns);
	assert_int_equal(row->cookie, row->idle_since_ns);
	assert_int_equal(row->cookie, row->told_ns);
	assert_int_equal(row->cookie, row->sent_ns);
	assert_int_equal(row->cookie, row->scanned_ns);
	assert_int_equal((uint32_t)row->cookie, row->socket_id);
}

/* The row whose writer is at work inside every copy of it, for so many copies. */
static struct {
	struct sl_descriptor *row; /* in the mapped file; NULL = nobody tears */
	uint64_t offset;           /* of the row in the file */
	int n_copies;
} torn;

/* Stands before libc's for the reader: the number is copied, the writer writes all of the
 * row, the rest is copied. */
ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	uint64_t start = (uint64_t)offset, cut = torn.offset + 8 - start;
	char *to = buffer;

	if (!torn.row || torn.n_copies == 0 || start > torn.offset ||
	    start + bytes < torn.offset + sizeof(*torn.row))
		return syscall(SYS_pread64, fd, buffer, bytes, offset);
	torn.n_copies--;
	if (syscall(SYS_pread64, fd, to, cut, offset) != (ssize_t)cut)
		return -1;
	write_row(torn.row, torn.row->cookie + 1);
	ssize_t rest =
		syscall(SYS_pread64, fd, to + cut, bytes - cut, offset + (off_t)cut);
	return rest < 0 ? rest : rest + (ssize_t)cut;
}

/* A running process with a row on descriptor 3, mapped as its writer has it. */
static struct sl_header *map_live_ledger(size_t bytes)
{
	maker_begin(&maker, 4711);
	write_row(maker_row(&maker, 3), 1);
	maker.head.ended = SL_RUNNING;
	maker_write(&maker, directory, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(file, MAP_FAILED);
	return file;
}

static void a_row_that_is_written_while_it_is_copied_is_copied_again(void **state)
{
	size_t bytes = sizeof(struct sl_header) + SL_BLOCK_BYTES;
	struct sl_header *file = map_live_ledger(bytes);
	struct sl_descriptor *rows = (void *)(file + 1);
	struct reader_ledger ledger;

	(void)state;
	torn.row = &rows[3];
	torn.offset = sizeof(*file) + 3 * sizeof(*rows);
	for (int n = 1; n < 20; n++) {
		torn.n_copies = n;
		assert_int_equal(reader_read(path, &ledger, why), 0);
		assert_int_equal(ledger.n_rows, 1);
		assert_int_equal(torn.n_copies, 0);
		assert_not_torn(&ledger.rows[0].row);
		reader_free(&ledger);
	}
	torn.n_copies = 1000000; /* it never holds still */
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.n_rows, 0);
	assert_int_equal(ledger.n_torn, 1);
	reader_free(&ledger);
	torn.row = NULL;
	munmap(file, bytes);
}

static void a_live_ledger_is_never_read_torn(void **state)
{
	size_t bytes = sizeof(struct sl_header) + SL_BLOCK_BYTES, n_rows = 0;
	struct writer writer = {.file = map_live_ledger(bytes)};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, keep_writing, &writer), 0);
	for (int i = 0; i < 3000; i++) {
		struct reader_ledger ledger;

		assert_int_equal(reader_read(path, &ledger, why), 0);
		for (size_t j = 0; j < ledger.n_rows; j++)
			assert_not_torn(&ledger.rows[j].row);
		n_rows += ledger.n_rows;
		reader_free(&ledger);
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	munmap(writer.file, bytes);
	assert_true(n_rows > 0);
}

/* -- what the fuzzer found -------------------------------------------------------- */

/* One of the small files that a ledger is made of (expand_ledger.h). */
static void expand_file(const char *file)
{
	uint8_t bytes[8192];
	FILE *small = fopen(file, "re");

	assert_non_null(small);
	expand_ledger(bytes, fread(bytes, 1, sizeof(bytes), small), &maker);
	fclose(small);
	snprintf(path, sizeof(path), "%s/expanded.sockleak", directory);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	expand_write(&maker, fd);
	close(fd);
}

/* Joined with itself, so that all that reads it has its turn. */
static void merge_ledger(const struct reader_ledger *ledger)
{
	struct merge *merge = merge_open();

	merge_add(merge, ledger);
	ledger->head->started_ns++; /* else it would be known for the same */
	merge_add(merge, ledger);
	struct findings *findings = judge_linked(merge);
	assert_int_equal(findings->n_processes, 2);
	findings_free(findings);
}

static void the_corpus_is_read_or_refused(void **state)
{
	const char *corpus = "tests/fixtures/ledgers";
	struct dirent *entry;
	size_t n = 0;

	(void)state;
	DIR *files = opendir(corpus);
	assert_non_null(files); /* tests run from the top of the tree */
	while ((entry = readdir(files))) {
		struct reader_ledger ledger;
		char file[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", corpus, entry->d_name);
		expand_file(file);
		if (reader_read(path, &ledger, why) == 0) {
			merge_ledger(&ledger);
			reader_free(&ledger);
		}
		n++;
	}
	closedir(files);
	assert_true(n > 0);
}

static void a_series_whose_writer_was_killed_inside_is_left_out(void **state)
{
	struct reader_ledger ledger;

	(void)state;
	a_ledger();
	maker.head.ended = SL_RUNNING;
	maker.head.series.n_points = 2;
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.head->series.n_points, 2);
	reader_free(&ledger);
	maker.head.series.sequence = 7;
	maker_write(&maker, directory, path);
	assert_int_equal(reader_read(path, &ledger, why), 0);
	assert_int_equal(ledger.head->series.n_points, 0);
	reader_free(&ledger);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_ledger)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_row_comes_with_all_that_it_names),
		TEST(rows_come_in_the_order_of_descriptors),
		TEST(closed_descriptors_stay_only_for_their_cookie),
		TEST(a_name_tells_pid_start_and_sequence),
		TEST(another_format_is_named),
		TEST(a_damaged_header_is_refused),
		TEST(two_rows_of_one_descriptor_are_refused),
		TEST(a_row_out_of_range_is_refused),
		TEST(what_names_nothing_is_refused),
		TEST(a_damaged_record_is_refused),
		TEST(names_longer_than_their_record_are_refused),
		TEST(lines_that_cannot_be_are_refused),
		TEST(a_line_is_read_as_it_was_written),
		TEST(a_ledger_cut_short_is_refused_at_every_length),
		TEST(what_is_no_file_is_refused),
		TEST(flipped_bits_never_lead_astray),
		TEST(a_row_whose_writer_was_killed_inside_is_left_out),
		TEST(a_row_whose_writer_was_killed_before_its_backtrace_has_none),
		TEST(a_row_that_is_written_while_it_is_copied_is_copied_again),
		TEST(a_live_ledger_is_never_read_torn),
		TEST(a_series_whose_writer_was_killed_inside_is_left_out),
		TEST(the_corpus_is_read_or_refused),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
