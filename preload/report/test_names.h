/* The names of tests, as sockleak_name() gives them: kept for the life of the process.
 *
 * Any thread.  Memory is bounded: the first 4,096 different names, each of at most 1,023
 * bytes, are kept. */
#ifndef SOCKLEAK_TEST_NAMES_H
#define SOCKLEAK_TEST_NAMES_H

#include <stdint.h>

/* The id of `text`, from 1 and in order of first use; 0 = no more names are kept. */
uint16_t test_names_id(const char *text);
/* NULL = there is no such id. */
const char *test_names_text(uint16_t id);
/* Ids run from 1 to this. */
uint32_t test_names_count(void);

#endif
