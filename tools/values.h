/* JSON values of what the command knows, by jansson; memory is there or the process ends.
 * Values that are given are taken over. */
#ifndef SOCKLEAK_VALUES_H
#define SOCKLEAK_VALUES_H

#include <jansson.h>
#include <stdint.h>

/* NULL becomes null.  What is not UTF-8 is taken as Latin-1: JSON has no other way. */
json_t *values_string(const char *text);
json_t *values_number(uint64_t value);
/* "127.0.0.1:80"; null where the family is 0. */
json_t *values_address(uint16_t family, const uint8_t address[16], uint16_t port);
json_t *values_hex(const uint8_t *bytes, unsigned n); /* null where n is 0 */
/* 64 bits do not fit into every reader's numbers. */
json_t *values_cookie(uint64_t cookie);
void values_set(json_t *object, const char *key, json_t *value);
void values_append(json_t *array, json_t *value);
/* Writes the value and a newline, and gives it up.  -1 after one line on standard error;
 * `path` NULL = standard output. */
int values_write(json_t *value, const char *path);

#endif
