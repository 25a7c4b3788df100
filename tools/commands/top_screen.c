/* See top_screen.h. */
#include "commands/top_screen.h"

#include "formats/formats.h"
#include "support/clock.h"
#include "support/say.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_ROW 5 /* above it: the head, two sparklines, an empty line, the columns */
#define LABEL     8 /* columns before a sparkline */

struct screen {
	struct top *top;
	uint64_t interval_ms;
	void (*look)(struct top *top, void *of);
	void *of;
	char chosen[TEXT_ID_BYTES]; /* the id of the place; "" = the first */
	bool shows_stacks, is_utf8;
};

/* The row of the chosen place, as far as it is still there. */
static size_t chosen_row(const struct screen *screen)
{
	size_t n;
	const struct top_row *rows = top_rows(screen->top, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].place->id, screen->chosen) == 0)
			return i;
	return 0;
}

static void choose(struct screen *screen, size_t at)
{
	size_t n;
	const struct top_row *rows = top_rows(screen->top, &n);

	if (n)
		snprintf(screen->chosen, sizeof(screen->chosen), "%s",
			 rows[at < n ? at : n - 1].place->id);
}

/* -- drawing ---------------------------------------------------------------------- */

static void draw_line(int y, const char *line)
{
	mvaddnstr(y, 0, line, COLS);
}

static void draw_sparkline(const struct screen *screen, int y, const char *label,
			   bool leaked)
{
	char line[TOP_LINE_BYTES];
	unsigned width = COLS > LABEL + 1 ? (unsigned)(COLS - LABEL - 1) : 0;

	/* A block has three bytes. */
	if (width > TOP_LINE_BYTES / 3 - 1)
		width = TOP_LINE_BYTES / 3 - 1;
	top_put_sparkline(screen->top, leaked, screen->is_utf8, width, line);
	mvaddstr(y, 0, label);
	mvaddstr(y, LABEL, line);
}

static void draw_head(const struct screen *screen)
{
	char head[TOP_LINE_BYTES], line[TOP_LINE_BYTES + 64], clock[16];
	time_t now = time(NULL);
	struct tm local;

	localtime_r(&now, &local);
	strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	top_put_head(screen->top, head);
	snprintf(line, sizeof(line), "sockleak top, %s: %s", clock, head);
	draw_line(0, line);
	draw_sparkline(screen, 1, "open", false);
	draw_sparkline(screen, 2, "leaked", true);
}

static void draw_rows(const struct screen *screen)
{
	size_t n, chosen = chosen_row(screen);
	const struct top_row *rows = top_rows(screen->top, &n);
	size_t room = LINES > FIRST_ROW + 1 ? (size_t)(LINES - FIRST_ROW - 1) : 1;
	size_t first = chosen >= room ? chosen - room + 1 : 0;
	char line[TOP_LINE_BYTES];

	top_put_columns(screen->top, line);
	attron(A_BOLD);
	draw_line(FIRST_ROW - 1, line);
	attroff(A_BOLD);
	for (size_t i = first; i < n && i < first + room; i++) {
		top_put_row(screen->top, &rows[i], line);
		if (i == chosen)
			attron(A_REVERSE);
		draw_line(FIRST_ROW + (int)(i - first), line);
		attroff(A_REVERSE);
	}
}

/* As in a report, as far as the screen goes. */
static void draw_stacks(const struct screen *screen)
{
	size_t n, n_bytes;
	const struct top_row *rows = top_rows(screen->top, &n);
	int y = FIRST_ROW - 1;

	if (!n)
		return;
	const struct format_short of = {.findings = top_findings(screen->top),
					.place = rows[chosen_row(screen)].place};
	char *block = format_block(format_put_short, &of, &n_bytes);
	for (char *at = block, *end = block + n_bytes; at < end && y < LINES - 1; y++) {
		size_t length = (size_t)(end - at);
		char *newline = memchr(at, '\n', length);

		if (newline)
			length = (size_t)(newline - at);
		mvaddnstr(y, 0, at, (int)length < COLS ? (int)length : COLS);
		at += length + 1;
	}
	free(block);
}

static void draw(const struct screen *screen)
{
	erase();
	draw_head(screen);
	if (screen->shows_stacks)
		draw_stacks(screen);
	else
		draw_rows(screen);
	attron(A_DIM);
	draw_line(LINES - 1, screen->shows_stacks
				     ? "Enter back   p print   q quit"
				     : "l leaked  g growth  o oldest  w where   "
				       "Enter stacks   p print   q quit");
	attroff(A_DIM);
	refresh();
}

/* -- keys ------------------------------------------------------------------------- */

/* On the terminal as it was before, where it stays. */
static void print_report(const struct screen *screen)
{
	const struct format_text_options plain = {0};

	def_prog_mode();
	endwin();
	format_text(top_findings(screen->top), &plain, stdout);
	fputs("\nPress Enter to go back to the screen.\n", stdout);
	fflush(stdout);
	for (int c = getchar(); c != '\n' && c != EOF;)
		c = getchar();
	reset_prog_mode();
}

static void sort(struct screen *screen, enum top_order order)
{
	size_t n;

	top_sort(screen->top, order);
	if (top_rows(screen->top, &n))
		choose(screen, 0);
}

/* false = to end. */
static bool take_key(struct screen *screen, int key)
{
	size_t chosen = chosen_row(screen);

	switch (key) {
	case 'q':
		return false;
	case 'l':
		sort(screen, TOP_BY_LEAKED);
		break;
	case 'g':
		sort(screen, TOP_BY_GROWTH);
		break;
	case 'o':
		sort(screen, TOP_BY_OLDEST);
		break;
	case 'w':
		sort(screen, TOP_BY_WHERE);
		break;
	case 'p':
		print_report(screen);
		break;
	case KEY_UP:
		choose(screen, chosen ? chosen - 1 : 0);
		break;
	case KEY_DOWN:
		choose(screen, chosen + 1);
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		choose(screen, chosen);
		screen->shows_stacks = !screen->shows_stacks;
		break;
	default:
		break;
	}
	return true;
}

/* Until the next look is due; false = to end. */
static bool take_keys(struct screen *screen)
{
	uint64_t due_ms = clock_now_ms() + screen->interval_ms;

	for (uint64_t now; (now = clock_now_ms()) < due_ms;) {
		uint64_t left_ms = due_ms - now;

		draw(screen);
		timeout(left_ms < 1000 ? (int)left_ms : 1000);
		int key = getch();
		/* Its terminal is gone. */
		if (key == ERR && !isatty(STDIN_FILENO))
			return false;
		if (key != ERR && !take_key(screen, key))
			return false;
	}
	return true;
}

int top_screen(struct top *top, uint64_t interval_ms,
	       void (*look)(struct top *top, void *of), void *of)
{
	struct screen screen = {
		.top = top, .interval_ms = interval_ms, .look = look, .of = of};

	/* For ncurses, which has to know how wide a character is. */
	setlocale(LC_CTYPE, "");
	screen.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	if (!terminal) {
		const char *name = getenv("TERM");

		say_warn("cannot draw on a terminal of type '%s': `sockleak top | cat` "
			 "prints tables",
			 name ? name : "");
		return SAY_USAGE;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	while (take_keys(&screen))
		look(top, of);
	endwin();
	delscreen(terminal);
	return 0;
}
