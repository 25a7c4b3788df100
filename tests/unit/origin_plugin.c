/* A library to be loaded and unloaded by origin_test.c; built twice, as two libraries of
 * the same layout. */
#include <stdint.h>

#ifdef OTHER
const char origin_plugin_is[] = "the other";
#else
const char origin_plugin_is[] = "the first";
#endif

uint32_t origin_plugin(uint32_t (*function)(void));

__attribute__((noinline)) uint32_t origin_plugin(uint32_t (*function)(void))
{
	uint32_t result = function();

	__asm__ volatile("" : "+r"(result));
	return result;
}
