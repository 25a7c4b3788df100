/* A regular file is written under another name beside its own and renamed.  In place are
 * written: pipes and devices, a file that has several names (a rename would leave the
 * others behind) or another owner, and one in a directory where we may make none. */
#include "support/outfile.h"

#include "support/say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct outfile {
	const char *path; /* NULL = standard output */
	char *target;     /* owned; `path` with its links followed */
	char *aside;      /* owned; NULL = not made, or renamed */
	mode_t mode;
	bool in_place;
	FILE *file; /* NULL = not open */
};

static bool is_standard_output(const struct outfile *outfile)
{
	return outfile->path == NULL;
}

/* A new file beside the target; -1 with errno. */
static int make_aside(struct outfile *outfile)
{
	outfile->aside = say_printf("%s.XXXXXX", outfile->target);
	int fd = mkostemp(outfile->aside, O_CLOEXEC);

	if (fd < 0) {
		free(outfile->aside);
		outfile->aside = NULL;
	}
	return fd;
}

static void remove_aside(struct outfile *outfile)
{
	if (outfile->aside)
		unlink(outfile->aside);
	free(outfile->aside);
	outfile->aside = NULL;
}

static mode_t mode_of_new_files(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* A file that is not there yet; or a link to one, through which it is made. */
static int prepare_new(struct outfile *outfile)
{
	struct stat is;

	outfile->in_place = lstat(outfile->path, &is) == 0;
	outfile->target = say_strdup(outfile->path);
	outfile->mode = mode_of_new_files();
	if (outfile->in_place)
		return 0;
	int fd = make_aside(outfile);
	if (fd >= 0)
		close(fd);
	remove_aside(outfile);
	return fd < 0 ? -1 : 0;
}

static int prepare_regular(struct outfile *outfile, const struct stat *is)
{
	outfile->target = realpath(outfile->path, NULL);
	outfile->mode = is->st_mode & 07777;
	if (!outfile->target || access(outfile->target, W_OK) < 0)
		return -1;
	outfile->in_place = is->st_nlink > 1 || is->st_uid != geteuid();
	int fd = outfile->in_place ? -1 : make_aside(outfile);
	if (fd >= 0)
		close(fd);
	remove_aside(outfile);
	outfile->in_place |= fd < 0;
	return 0;
}

/* A pipe waits for its reader here, before a program is run. */
static int prepare_special(struct outfile *outfile)
{
	outfile->in_place = true;
	outfile->file = fopen(outfile->path, "we");
	return outfile->file ? 0 : -1;
}

static int prepare(struct outfile *outfile)
{
	struct stat is;

	if (stat(outfile->path, &is) < 0)
		return errno == ENOENT ? prepare_new(outfile) : -1;
	return S_ISREG(is.st_mode) ? prepare_regular(outfile, &is)
				   : prepare_special(outfile);
}

struct outfile *outfile_open(const char *path)
{
	struct outfile *outfile = say_calloc(1, sizeof(*outfile));

	outfile->path = path && strcmp(path, "-") != 0 ? path : NULL;
	if (is_standard_output(outfile)) {
		outfile->file = stdout;
	} else if (prepare(outfile) < 0) {
		say_warn("cannot open %s:", path);
		outfile_close(outfile);
		return NULL;
	}
	return outfile;
}

FILE *outfile_begin(struct outfile *outfile)
{
	if (outfile->file)
		return outfile->file;
	if (outfile->in_place) {
		outfile->file = fopen(outfile->target, "we");
	} else {
		int fd = make_aside(outfile);

		if (fd >= 0)
			fchmod(fd, outfile->mode);
		outfile->file = fd < 0 ? NULL : fdopen(fd, "w");
	}
	if (!outfile->file)
		say_warn("cannot open %s:", outfile->path);
	return outfile->file;
}

static bool has_no_reader(FILE *file)
{
	struct pollfd end = {.fd = fileno(file), .events = POLLOUT};

	return poll(&end, 1, 0) == 1 && (end.revents & POLLERR);
}

int outfile_flush(FILE *file, const char *name)
{
	if ((!ferror(file) && fflush(file) == 0) || has_no_reader(file))
		return 0;
	say_warn("cannot write %s:", name);
	return -1;
}

int outfile_end(struct outfile *outfile)
{
	if (is_standard_output(outfile))
		return outfile_flush(stdout, "standard output");
	int result = outfile_flush(outfile->file, outfile->path);
	if (fclose(outfile->file) != 0 && result == 0 && outfile->aside) {
		say_warn("cannot write %s:", outfile->path);
		result = -1;
	}
	outfile->file = NULL;
	if (result == 0 && outfile->aside) {
		if (rename(outfile->aside, outfile->target) < 0) {
			say_warn("cannot write %s:", outfile->path);
			result = -1;
		} else {
			free(outfile->aside);
			outfile->aside = NULL;
		}
	}
	remove_aside(outfile);
	return result;
}

void outfile_close(struct outfile *outfile)
{
	if (!outfile)
		return;
	if (outfile->file && outfile->file != stdout)
		fclose(outfile->file);
	remove_aside(outfile);
	free(outfile->target);
	free(outfile);
}

int outfile_write(const char *path, void (*print)(const void *of, FILE *file),
		  const void *of)
{
	struct outfile *outfile = outfile_open(path);
	FILE *file = outfile ? outfile_begin(outfile) : NULL;
	int result = -1;

	if (file) {
		print(of, file);
		result = outfile_end(outfile);
	}
	outfile_close(outfile);
	return result;
}

struct identity {
	struct stat is;   /* of the file, or of the directory in which it will be made */
	const char *name; /* there; NULL = it is there already */
};

static bool identify(const char *path, struct identity *identity)
{
	identity->name = NULL;
	if (!path)
		return fstat(STDOUT_FILENO, &identity->is) == 0;
	if (stat(path, &identity->is) == 0)
		return true;
	const char *slash = strrchr(path, '/');
	identity->name = slash ? slash + 1 : path;
	char *directory = slash ? say_printf("%.*s", (int)(slash + 1 - path), path)
				: say_strdup(".");
	int result = stat(directory, &identity->is);
	free(directory);
	return result == 0;
}

bool outfile_is_same(const char *a, const char *b)
{
	struct identity one, other;

	return identify(a, &one) && identify(b, &other) &&
	       one.is.st_dev == other.is.st_dev && one.is.st_ino == other.is.st_ino &&
	       !S_ISCHR(one.is.st_mode) && !one.name == !other.name &&
	       (!one.name || strcmp(one.name, other.name) == 0);
}
