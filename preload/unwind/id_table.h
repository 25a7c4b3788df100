/* Pointers by an id, which runs from 1 in the order they were added.  One thread adds at
 * a time; any thread and any signal reads meanwhile.  Zeroed, it is empty. */
#ifndef SOCKLEAK_ID_TABLE_H
#define SOCKLEAK_ID_TABLE_H

#include "base/arena.h"

#include <stdint.h>

#define ID_TABLE_CHUNK 1024 /* pointers, mapped when the first of them is added */
#define ID_TABLE_MAX   (ID_TABLE_CHUNK * 1024)

struct id_table {
	void ***chunks; /* by id - 1 */
	uint32_t n;     /* atomic, stored last */
};

static inline uint32_t id_table_count(const struct id_table *table)
{
	return __atomic_load_n(&table->n, __ATOMIC_ACQUIRE);
}

/* NULL: there is no such id. */
static inline void *id_table_get(const struct id_table *table, uint32_t id)
{
	if (id == 0 || id > id_table_count(table))
		return NULL;
	return table->chunks[(id - 1) / ID_TABLE_CHUNK][(id - 1) % ID_TABLE_CHUNK];
}

/* The place of the next id; NULL: the table is full, or there is no memory. */
static inline void **id_table_next(struct id_table *table)
{
	uint32_t at = table->n / ID_TABLE_CHUNK;

	if (!table->chunks)
		table->chunks =
			arena_take(ID_TABLE_MAX / ID_TABLE_CHUNK * sizeof(void *));
	if (!table->chunks || table->n == ID_TABLE_MAX)
		return NULL;
	if (!table->chunks[at])
		table->chunks[at] = arena_take(ID_TABLE_CHUNK * sizeof(void *));
	return table->chunks[at] ? &table->chunks[at][table->n % ID_TABLE_CHUNK] : NULL;
}

/* The id of what is added; 0 where id_table_next() is NULL.  Whatever it points to is
 * complete by now. */
static inline uint32_t id_table_add(struct id_table *table, void *added)
{
	void **next = id_table_next(table);

	if (!next)
		return 0;
	*next = added;
	__atomic_store_n(&table->n, table->n + 1, __ATOMIC_RELEASE);
	return table->n;
}

#endif
