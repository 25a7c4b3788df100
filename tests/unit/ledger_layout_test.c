/* The layout of a ledger, spelled in numbers: a change of any of them makes another
 * format, and must raise SL_LEDGER_VERSION. */
#include "common/ledger.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define AT(structure, member, offset)                                                    \
	assert_int_equal(offsetof(struct structure, member), offset)

static void the_version_names_this_layout(void **state)
{
	(void)state;
	assert_int_equal(SL_LEDGER_VERSION, 5);
	assert_int_equal(SL_MAX_BLOCKS, 3584);
	assert_int_equal(SL_ROWS_PER_BLOCK, 128);
	assert_int_equal(SL_BLOCK_BYTES, 22528);
	assert_memory_equal(&(uint64_t){SL_LEDGER_MAGIC}, "sockleak", 8);
}

static void a_row_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_descriptor), 176);
	AT(sl_descriptor, sequence, 0);
	AT(sl_descriptor, held, 4);
	AT(sl_descriptor, state, 5);
	AT(sl_descriptor, verdict, 6);
	AT(sl_descriptor, kind, 7);
	AT(sl_descriptor, call, 8);
	AT(sl_descriptor, eof_call, 10);
	AT(sl_descriptor, why, 12);
	AT(sl_descriptor, origin_kind, 14);
	AT(sl_descriptor, flags, 15);
	AT(sl_descriptor, cookie, 16);
	AT(sl_descriptor, inode, 24);
	AT(sl_descriptor, opened_ns, 32);
	AT(sl_descriptor, peer_gone_since_ns, 40);
	AT(sl_descriptor, idle_since_ns, 48);
	AT(sl_descriptor, told_ns, 56);
	AT(sl_descriptor, sent_ns, 64);
	AT(sl_descriptor, scanned_ns, 72);
	AT(sl_descriptor, origin, 80);
	AT(sl_descriptor, eof_origin, 84);
	AT(sl_descriptor, name, 88);
	AT(sl_descriptor, unread_bytes, 92);
	AT(sl_descriptor, kernel_bytes, 96);
	AT(sl_descriptor, family, 100);
	AT(sl_descriptor, local_port, 102);
	AT(sl_descriptor, peer_port, 104);
	AT(sl_descriptor, is_sending, 106);
	AT(sl_descriptor, was_found_by_check, 107);
	AT(sl_descriptor, local, 108);
	AT(sl_descriptor, peer, 124);
	AT(sl_descriptor, socket_id, 140);
	AT(sl_descriptor, use_thread, 144);
	AT(sl_descriptor, use_bytes, 148);
	AT(sl_descriptor, ended_ns, 152);
	AT(sl_descriptor, used_ns, 160);
	AT(sl_descriptor, use_origin, 168);
	AT(sl_descriptor, use_call, 172);
	AT(sl_descriptor, use_is_sent, 174);
	AT(sl_descriptor, reserved8, 175);
}

static void a_block_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_block), 8);
	AT(sl_block, kind, 0);
	AT(sl_block, first, 4);
}

static void a_record_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_record), 8);
	AT(sl_record, kind, 0);
	AT(sl_record, bytes, 4);
}

static void a_module_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_module), 64);
	AT(sl_module, head, 0);
	AT(sl_module, id, 8);
	AT(sl_module, path_bytes, 12);
	AT(sl_module, build_id_bytes, 14);
	AT(sl_module, base, 16);
	AT(sl_module, size, 24);
	AT(sl_module, build_id, 32);
	AT(sl_module, path, 64);
}

static void a_backtrace_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_backtrace), 16);
	AT(sl_backtrace, head, 0);
	AT(sl_backtrace, id, 8);
	AT(sl_backtrace, n_frames, 12);
	AT(sl_backtrace, is_short, 14);
	AT(sl_backtrace, frames, 16);
}

static void a_name_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_name), 16);
	AT(sl_name, head, 0);
	AT(sl_name, id, 8);
	AT(sl_name, text_bytes, 12);
	AT(sl_name, text, 16);
}

static void a_line_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_line), 24);
	AT(sl_line, head, 0);
	AT(sl_line, id, 8);
	AT(sl_line, line, 12);
	AT(sl_line, language, 16);
	AT(sl_line, function_bytes, 18);
	AT(sl_line, file_bytes, 20);
	AT(sl_line, text, 24);
	assert_int_equal(SL_FRAME_LANGUAGE, 0xffff);
}

static void an_event_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_event), 56);
	AT(sl_event, head, 0);
	AT(sl_event, kind, 8);
	AT(sl_event, call, 12);
	AT(sl_event, origin_kind, 14);
	AT(sl_event, socket_kind, 15);
	AT(sl_event, time_ns, 16);
	AT(sl_event, cookie, 24);
	AT(sl_event, origin, 32);
	AT(sl_event, fd, 36);
	AT(sl_event, value, 40);
	AT(sl_event, reserved, 48);
}

static void a_socket_that_another_process_holds_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_closed), 192);
	AT(sl_closed, head, 0);
	AT(sl_closed, fd, 8);
	AT(sl_closed, reserved, 12);
	AT(sl_closed, row, 16);
	assert_int_equal(sizeof(struct sl_elsewhere), 208);
	AT(sl_elsewhere, head, 0);
	AT(sl_elsewhere, row, 8);
	AT(sl_elsewhere, pid, 184);
	AT(sl_elsewhere, fd, 188);
	AT(sl_elsewhere, program, 192);
}

static void the_header_lies_as_pinned(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct sl_header), 36864);
	AT(sl_header, magic, 0);
	AT(sl_header, version, 8);
	AT(sl_header, byte_order, 12);
	AT(sl_header, header_bytes, 16);
	AT(sl_header, block_bytes, 20);
	AT(sl_header, pid, 24);
	AT(sl_header, parent_pid, 28);
	AT(sl_header, start_ticks, 32);
	AT(sl_header, started_ns, 40);
	AT(sl_header, started_realtime_ns, 48);
	AT(sl_header, boot_id, 56);
	AT(sl_header, net_namespace, 72);
	AT(sl_header, grace_ns, 80);
	AT(sl_header, at_exit, 88);
	AT(sl_header, frames, 92);
	AT(sl_header, ended, 96);
	AT(sl_header, exit_status, 100);
	AT(sl_header, ended_ns, 104);
	AT(sl_header, scanned_ns, 112);
	AT(sl_header, opened, 120);
	AT(sl_header, closed, 128);
	AT(sl_header, missed, 136);
	AT(sl_header, dropped, 144);
	AT(sl_header, closed_late, 152);
	AT(sl_header, closed_late_max_ms, 160);
	AT(sl_header, queue_deaths, 168);
	AT(sl_header, n_blocks, 176);
	AT(sl_header, forked, 180);
	AT(sl_header, tool_version, 184);
	AT(sl_header, host, 200);
	AT(sl_header, exe, 264);
	AT(sl_header, filter_laid_ns, 776);
	AT(sl_header, pid_namespace, 784);
	AT(sl_header, executing, 792);
	AT(sl_header, series.sequence, 800);
	AT(sl_header, series.n_points, 804);
	AT(sl_header, series.step_ns, 808);
	AT(sl_header, series.points[0].time_ns, 816);
	AT(sl_header, series.points[0].open, 824);
	AT(sl_header, series.points[0].leaked, 828);
	AT(sl_header, series.points[1], 832);
	AT(sl_header, reserved, 3376);
	AT(sl_header, blocks, 4096);
	AT(sl_header, children_failed, 32768);
	AT(sl_header, failed_child, 32776);
	assert_int_equal(sizeof(struct sl_header), 36864);
}

static void the_words_have_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(SL_RUNNING, 1);
	assert_int_equal(SL_ENDED_EXIT, 2);
	assert_int_equal(SL_LANGUAGE_NONE, 0);
	assert_int_equal(SL_LANGUAGE_PYTHON, 1);
	assert_int_equal(SL_LANGUAGE_NOTE, 2);
	assert_int_equal(SL_LANGUAGE_JAVA, 3);
	assert_int_equal(SL_LANGUAGE_JAVASCRIPT, 4);
	assert_int_equal(SL_LANGUAGE_RUBY, 5);
	assert_int_equal(SL_RECORD_LINE, 7);
	assert_int_equal(SL_KIND_NONE, 0);
	assert_int_equal(SL_KIND_CLOSE_WAIT, 1);
	assert_int_equal(SL_KIND_DEAD, 2);
	assert_int_equal(SL_NO_VERDICT, 0);
	assert_int_equal(SL_PENDING, 1);
	assert_int_equal(SL_LEAK_GRACE, 2);
	assert_int_equal(SL_LEAK_EXIT, 3);
	assert_int_equal(SL_WHY_EOF_READ, 1);
	assert_int_equal(SL_WHY_NEVER_READ, 2);
	assert_int_equal(SL_WHY_READ_UNSEEN, 4);
	assert_int_equal(SL_WHY_SHUT_NOT_CLOSED, 8);
	assert_int_equal(SL_WHY_RESET, 16);
	assert_int_equal(SL_WHY_DUPLICATE, 32);
	assert_int_equal(SL_WHY_HELD_BY_CHILD, 64);
	assert_int_equal(SL_WHY_TIMED_OUT, 128);
	assert_int_equal(SL_WHY_STALLED, 256);
	assert_int_equal(SL_WHY_CONNECT_FAILED, 512);
	assert_int_equal(SL_ORIGIN_KIND_NONE, 0);
	assert_int_equal(SL_ORIGIN_INHERITED, 1);
	assert_int_equal(SL_ORIGIN_RECEIVED, 2);
	assert_int_equal(SL_ORIGIN_SHORT, 3);
	assert_int_equal(SL_ORIGIN_UNKNOWN, 4);
	assert_int_equal(SL_ROW_INHERITED, 1);
	assert_int_equal(SL_ROW_EXPECTED, 2);
	assert_int_equal(SL_ROW_DUPLICATED, 4);
	assert_int_equal(SL_ROW_FORGOTTEN_PEER, 8);
	assert_int_equal(SL_ROW_PASSED, 16);
	assert_int_equal(SL_ROW_MPTCP, 32);
	assert_int_equal(SL_BLOCK_FREE, 0);
	assert_int_equal(SL_BLOCK_ROWS, 1);
	assert_int_equal(SL_BLOCK_RECORDS, 2);
	assert_int_equal(SL_RECORD_END, 0);
	assert_int_equal(SL_RECORD_MODULE, 1);
	assert_int_equal(SL_RECORD_BACKTRACE, 2);
	assert_int_equal(SL_RECORD_NAME, 3);
	assert_int_equal(SL_RECORD_EVENT, 4);
	assert_int_equal(SL_RECORD_ELSEWHERE, 5);
	assert_int_equal(SL_RECORD_CLOSED, 6);
	assert_int_equal(SL_EVENT_PASSED, 3);
}

/* Rows and events keep them; a reader refuses numbers it does not know. */
static void the_calls_have_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(SL_CALL_NONE, 0);
	assert_int_equal(SL_CALL_socket, 1);
	assert_int_equal(SL_CALL_accept, 2);
	assert_int_equal(SL_CALL_accept4, 3);
	assert_int_equal(SL_CALL_connect, 4);
	assert_int_equal(SL_CALL___connect, 5);
	assert_int_equal(SL_CALL_recvmsg, 6);
	assert_int_equal(SL_CALL_recvmmsg, 7);
	assert_int_equal(SL_CALL_pidfd_getfd, 8);
	assert_int_equal(SL_CALL_dup, 9);
	assert_int_equal(SL_CALL_dup2, 10);
	assert_int_equal(SL_CALL___dup2, 11);
	assert_int_equal(SL_CALL_dup3, 12);
	assert_int_equal(SL_CALL_fcntl, 13);
	assert_int_equal(SL_CALL_fcntl64, 14);
	assert_int_equal(SL_CALL___fcntl, 15);
	assert_int_equal(SL_CALL_close, 16);
	assert_int_equal(SL_CALL___close, 17);
	assert_int_equal(SL_CALL_close_range, 18);
	assert_int_equal(SL_CALL_closefrom, 19);
	assert_int_equal(SL_CALL_fclose, 20);
	assert_int_equal(SL_CALL_freopen, 21);
	assert_int_equal(SL_CALL_freopen64, 22);
	assert_int_equal(SL_CALL_shutdown, 23);
	assert_int_equal(SL_CALL_syscall, 24);
	assert_int_equal(SL_CALL_read, 25);
	assert_int_equal(SL_CALL___read, 26);
	assert_int_equal(SL_CALL_readv, 27);
	assert_int_equal(SL_CALL_recv, 28);
	assert_int_equal(SL_CALL_recvfrom, 29);
	assert_int_equal(SL_CALL_preadv2, 30);
	assert_int_equal(SL_CALL_preadv64v2, 31);
	assert_int_equal(SL_CALL_splice, 32);
	assert_int_equal(SL_CALL_sendfile, 33);
	assert_int_equal(SL_CALL_sendfile64, 34);
	assert_int_equal(SL_CALL___read_chk, 35);
	assert_int_equal(SL_CALL___recv_chk, 36);
	assert_int_equal(SL_CALL___recvfrom_chk, 37);
	assert_int_equal(SL_CALL_send, 38);
	assert_int_equal(SL_CALL___send, 39);
	assert_int_equal(SL_CALL_sendto, 40);
	assert_int_equal(SL_CALL_sendmsg, 41);
	assert_int_equal(SL_CALL_sendmmsg, 42);
	assert_int_equal(SL_CALL_write, 43);
	assert_int_equal(SL_CALL___write, 44);
	assert_int_equal(SL_CALL_writev, 45);
	assert_int_equal(SL_CALL__exit, 46);
	assert_int_equal(SL_CALL__Exit, 47);
	assert_int_equal(SL_CALL_prctl, 48);
	assert_int_equal(SL_CALL_pipe2, 49);
	assert_int_equal(SL_CALL_mincore, 50);
	assert_int_equal(SL_CALL_pthread_cancel, 51);
	assert_int_equal(SL_CALL_capset, 52);
	assert_int_equal(SL_CALL_unshare, 53);
	assert_int_equal(SL_CALL_setns, 54);
	assert_int_equal(SL_CALL_system, 63);
	assert_int_equal(SL_CALL_quick_exit, 64);
	assert_int_equal(SL_CALL_getsockopt, 65);
	assert_int_equal(SL_CALL_daemon, 66);
	assert_int_equal(SL_CALL_execve, 67);
	assert_int_equal(SL_CALL_execveat, 75);
	assert_int_equal(SL_CALL_chroot, 76);
	assert_int_equal(SL_N_CALLS, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_names_this_layout),
		cmocka_unit_test(a_row_lies_as_pinned),
		cmocka_unit_test(a_block_lies_as_pinned),
		cmocka_unit_test(a_record_lies_as_pinned),
		cmocka_unit_test(a_module_lies_as_pinned),
		cmocka_unit_test(a_backtrace_lies_as_pinned),
		cmocka_unit_test(a_name_lies_as_pinned),
		cmocka_unit_test(a_socket_that_another_process_holds_lies_as_pinned),
		cmocka_unit_test(a_line_lies_as_pinned),
		cmocka_unit_test(an_event_lies_as_pinned),
		cmocka_unit_test(the_header_lies_as_pinned),
		cmocka_unit_test(the_words_have_their_numbers),
		cmocka_unit_test(the_calls_have_their_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
