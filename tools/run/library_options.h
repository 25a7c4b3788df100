/* Options of the library as SOCKLEAK_OPTIONS has them: "name=value:name='a:b'". */
#ifndef SOCKLEAK_LIBRARY_OPTIONS_H
#define SOCKLEAK_LIBRARY_OPTIONS_H

/* The last value of `name`, "suppressions="; the caller frees it.  NULL = it is not
 * there. */
char *library_options_last(const char *options, const char *name);

#endif
