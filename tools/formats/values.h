/* JSON values of what the command knows, by jansson; memory is there or the process ends.
 * Values that are given are taken over. */
#ifndef SOCKLEAK_VALUES_H
#define SOCKLEAK_VALUES_H

#include "common/text.h"

#include <jansson.h>
#include <stdint.h>

/* The value, or the end of the process where memory is out. */
json_t *values_checked(json_t *value);
/* As text shows it, control characters escaped. */
json_t *values_escaped(const char *string);
/* NULL becomes null.  What is not UTF-8 is taken as Latin-1: JSON has no other way. */
json_t *values_string(const char *text);
json_t *values_number(uint64_t value);
/* "127.0.0.1:80"; null where the family is 0. */
json_t *values_address(uint16_t family, const uint8_t address[16], uint16_t port);
/* 64 bits do not fit into every reader's numbers. */
json_t *values_cookie(uint64_t cookie); /* null where it is 0 */
/* "grace", "exit"; null = no leak */
json_t *values_verdict(enum sl_verdict verdict);
json_t *values_frame(const struct text_frame *frame);
json_t *values_whys(unsigned why);     /* their names */
json_t *values_unread(uint64_t bytes); /* null where it is TEXT_UNREAD_UNKNOWN */
json_t *values_known(uint64_t value);  /* null where it is 0 */
json_t *values_ms(uint64_t ms);        /* null where it is TEXT_MS_UNKNOWN */
json_t *values_name(const char *name); /* as values_string(); null where it is "" */
void values_set(json_t *object, const char *key, json_t *value);
void values_append(json_t *array, json_t *value);
/* An object that begins with the tool, its version and this host. */
json_t *values_document(void);
/* Writes the value and a newline, and gives it up.  -1 after one line on standard error;
 * `path` NULL = standard output. */
int values_write(json_t *value, const char *path);

#endif
