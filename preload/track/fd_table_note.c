/* What the program says of where a socket was opened: kept with all its descriptors. */
#include "track/fd_table.h"

#include "track/fd_table_internal.h"
#include "track/socket.h"

/* The scanning thread may resolve it meanwhile. */
static void note_origin(struct fd_entry *entry,
			uint32_t (*note)(uint32_t origin, const char *text),
			const char *text)
{
	uint32_t was = atomic_load(&entry->origin);

	while (!atomic_compare_exchange_weak(&entry->origin, &was, note(was, text)))
		;
}

void fd_table_note_origin(int fd, uint32_t (*note)(uint32_t origin, const char *text),
			  const char *text)
{
	struct fd_entry was, entry;

	if (!fd_table_read(fd, &was))
		return;
	struct socket *one = socket_of(&was);
	if (!one)
		return note_origin(fd_table_entry(fd), note, text);
	for (unsigned other = 0; other < fd_table_top(); other++)
		if (fd_table_read_of(one, (int)other, &entry))
			note_origin(fd_table_entry((int)other), note, text);
}
