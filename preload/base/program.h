/* Whether a program that is about to be executed will have the library in it.  Any
 * thread, any signal handler, a child of vfork(): nothing is written but the caller's
 * memory. */
#ifndef SOCKLEAK_PROGRAM_H
#define SOCKLEAK_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/* The file of the program: a script's interpreter takes the place of the script. */
struct program {
	long fd; /* open for reading; negative = not open */
	dev_t device;
	ino_t inode;
	mode_t mode;
	uid_t user;
	gid_t group;
	bool is_alone;  /* no other thread of the host has this table of descriptors */
	bool is_shared; /* another thread may take memory away */
};

/* Opens what execve(2) would execute; false = there is nothing that can be read. */
bool program_open(struct program *program, int directory, const char *path);
/* The same for a name without a slash, as execvp(3) searches for it. */
bool program_search(struct program *program, const char *name);
/* Why the library will not be in it: a word of reports, as "static"; NULL = it will be,
 * or that cannot be known.  `has_shell`: what the kernel does not know goes to the shell,
 * as with execvp(3). */
const char *program_refuses(struct program *program, char *const environment[],
			    bool has_shell);
void program_close(const struct program *program);

#endif
