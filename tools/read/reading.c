/* Copies bytes of the file, and says why that failed. */
#include "read/reading.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int reading_refuse(const struct reading *reading, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reading->why, READER_WHY_BYTES, format, arguments);
	va_end(arguments);
	return -1;
}

static int cut_short(const struct reading *reading, uint64_t needed)
{
	struct stat status = {0};

	fstat(reading->fd, &status);
	return reading_refuse(reading, "it is cut short, to %lld of at least %llu bytes",
			      (long long)status.st_size, (unsigned long long)needed);
}

int reading_copy(const struct reading *reading, void *to, size_t bytes, uint64_t offset)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(reading->fd, (char *)to + done, bytes - done,
				  (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return reading_refuse(reading, "%s", strerror(errno));
		if (n == 0)
			return cut_short(reading, offset + bytes);
		done += (size_t)n;
	}
	return 0;
}
uint64_t reading_block_offset(uint32_t k)
{
	return sizeof(struct sl_header) + (uint64_t)k * SL_BLOCK_BYTES;
}
