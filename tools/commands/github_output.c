/* See github_output.h. */
#include "commands/github_output.h"

#include "formats/github.h"
#include "support/outfile.h"
#include "support/say.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* GitHub refuses the whole summary of a step that is larger. */
#define MAX_SUMMARY_BYTES (1024 * 1024)

/* Appended: the steps of a script share the file. */
static int append_summary(const char *path, const struct findings *findings)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "a");
	struct stat is;

	if (!file || fstat(fd, &is) < 0) {
		say_warn("cannot open %s:", path);
		if (file)
			fclose(file);
		else if (fd >= 0)
			close(fd);
		return -1;
	}
	if (is.st_size < MAX_SUMMARY_BYTES)
		github_summary(findings, MAX_SUMMARY_BYTES - (size_t)is.st_size, file);
	int result = outfile_flush(file, path);
	fclose(file);
	return result;
}

int github_output_write(const struct findings *findings)
{
	const char *path = getenv("GITHUB_STEP_SUMMARY");

	github_annotations(findings, stderr);
	int result = outfile_flush(stderr, "standard error");
	if (path && *path && append_summary(path, findings) < 0)
		result = -1;
	return result;
}
