/* Files that the command reads, whose names come from ledgers and logs. */
#ifndef SOCKLEAK_FILES_H
#define SOCKLEAK_FILES_H

/* A descriptor of the regular file at `path`, to read it; -1 with errno, EINVAL where it
 * is none.  Nothing else is opened: that alone may wake the writer of a pipe, arm a
 * watchdog or rewind a tape. */
int files_open_regular(const char *path);

#endif
