/* Folded stacks, as flame graphs take them: root first, frames joined by ';', then the
 * number of leaked sockets. */
#include "formats.h"

#include <string.h>

/* No ';' and no control character inside a frame. */
static void print_name(FILE *file, const char *name)
{
	char buffer[4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, name);
	for (size_t i = 0; i < text.used; i++)
		fputc(buffer[i] == ';' ? ':' : buffer[i], file);
}

static void print_frame(FILE *file, const struct text_frame *frame)
{
	if (frame->function) {
		print_name(file, frame->function);
		return;
	}
	const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;
	print_name(file, slash ? slash + 1 : frame->module ? frame->module : "[unknown]");
	fprintf(file, "+0x%llx", (unsigned long long)frame->offset);
}

void format_folded(const struct findings *findings, FILE *file)
{
	for (size_t i = 0; i < findings->n_leaks; i++) {
		const struct findings_place *place = &findings->leaks[i];
		const char *call = text_call_name(place->call);

		for (unsigned j = place->n_origin; j-- > 0;) {
			print_frame(file, &place->origin[j]);
			fputc(';', file);
		}
		fprintf(file, "%s %zu\n", call ? call : "[unknown]", place->n_sockets);
	}
}
