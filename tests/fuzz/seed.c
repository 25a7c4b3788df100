/* seed FILE: a sound ledger in the form that reader_fuzz takes, to start from. */
#include "../lib/expand_ledger.h"

int main(int argc, char **argv)
{
	static struct ledger_maker maker;
	uint8_t head[] = {0, 0, 2};

	maker_begin(&maker, 1);
	struct sl_descriptor *first = maker_leak(&maker, 0, 77),
			     *second = maker_leak(&maker, 1, 78);
	uint32_t app = maker_module(&maker, "/srv/app", 0xab, 20);
	uint64_t frames[] = {maker_frame(app, 0x10), maker_frame(0, 0x55),
			     maker_frame(app, 0x30)};
	first->origin = second->eof_origin = maker_backtrace(&maker, frames, 3);
	second->name = maker_name(&maker, "a test");
	second->verdict = SL_PENDING;
	second->kind = SL_KIND_DEAD;
	maker_event(&maker, SL_EVENT_PASSED)->cookie = 77;
	FILE *file = argc == 2 ? fopen(argv[1], "we") : NULL;
	if (!file)
		return 1;
	fwrite(head, 1, sizeof(head), file);
	fwrite(maker.blocks[0], sizeof(*first), 2, file);
	fwrite(maker.blocks[1], 1, maker.records_used, file);
	return fclose(file) != 0;
}
