/* Prints where it is, as the library's text log does for frames whose name it does not
 * know, for tests that symbolize it: built in many ways by tests/e2e/symbols.bats.  With
 * -DPART it is the shared library of the program. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
#define EXPORTED extern "C" __attribute__((visibility("default")))
#else
#define EXPORTED __attribute__((visibility("default")))
#endif
#define NOINLINE __attribute__((noinline))

extern const char *frames_program;
EXPORTED void print_frame(unsigned number, uintptr_t at);

#ifdef PART
struct spot {
	uintptr_t at, bias;
	const char *path;
};

static int find_module(struct dl_phdr_info *module, size_t size, void *data)
{
	struct spot *spot = (struct spot *)data;
	(void)size;
	for (int i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
		if (segment->p_type == PT_LOAD &&
		    spot->at - module->dlpi_addr - segment->p_vaddr < segment->p_memsz) {
			spot->bias = module->dlpi_addr;
			spot->path = module->dlpi_name;
			return 1;
		}
	}
	return 0;
}

EXPORTED void part_function(void);

EXPORTED void print_frame(unsigned number, uintptr_t at)
{
	struct spot spot = {at, 0, ""};
	dl_iterate_phdr(find_module, &spot);
	printf("    #%u 0x%lx (%s+0x%lx)\n", number, (unsigned long)at,
	       *spot.path ? spot.path : frames_program, (unsigned long)(at - spot.bias));
}
#endif

/* The address of an instruction right here. */
#if defined __x86_64__
#define HERE(at) __asm__ volatile("1: lea 1b(%%rip), %0" : "=r"(at))
#else
#define HERE(at) __asm__ volatile("adr %0, ." : "=r"(at))
#endif

static inline __attribute__((always_inline)) void inner_function(unsigned number)
{
	uintptr_t at;
	HERE(at); /* line of inner_function */
	print_frame(number, at);
}

#ifdef PART
const char *frames_program;

EXPORTED void part_function(void)
{
	uintptr_t at;
	HERE(at); /* line of part_function */
	print_frame(1, at);
}
#else
EXPORTED void part_function(void);

NOINLINE static void static_function(void)
{
	uintptr_t at;
	HERE(at); /* line of static_function */
	print_frame(0, at);
	part_function();
	inner_function(2); /* line of its caller */
	HERE(at);
	print_frame(3, at);
}

int main(int argc, char **argv)
{
	frames_program = argv[0];
	static_function();
	(void)argc;
	return 0;
}
#endif
