/* The library as an addon of Node: sockleak_node.js loads it by process.dlopen() and gets
 * note(descriptor, stack).
 *
 * Node-API is stable over versions (https://nodejs.org/api/n-api.html); its functions are
 * looked up here, where Node calls us, and not by the loader in each program. */
#include "languages/javascript.h"
#include "scan/helper.h"
#include "track/fd_table.h"
#include "unwind/origin.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define EXPORT      __attribute__((visibility("default")))
#define STACK_BYTES 8192 /* what is longer loses its outermost frames */

/* Opaque in Node-API, too. */
typedef void *environment, *value, *call;

typedef value function(environment env, call info);

static struct {
	int (*create_function)(environment env, const char *name, size_t bytes,
			       function *callback, void *data, value *result);
	int (*set_named_property)(environment env, value object, const char *name,
				  value property);
	int (*get_cb_info)(environment env, call info, size_t *n, value arguments[],
			   value *self, void **data);
	int (*get_value_int32)(environment env, value number, int32_t *result);
	int (*get_value_string_utf8)(environment env, value string, char *buffer,
				     size_t size, size_t *bytes);
} node; /* written alike by each thread of Node that loads us */

value napi_register_module_v1(environment env, value exports);
int32_t node_api_module_get_api_version_v1(void);

static bool find_functions(void)
{
	const struct {
		void *to;
		const char *name;
	} wanted[] = {
		{&node.create_function, "napi_create_function"},
		{&node.set_named_property, "napi_set_named_property"},
		{&node.get_cb_info, "napi_get_cb_info"},
		{&node.get_value_int32, "napi_get_value_int32"},
		{&node.get_value_string_utf8, "napi_get_value_string_utf8"},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		void *found = dlsym(RTLD_DEFAULT, wanted[i].name);

		if (!found)
			return false;
		memcpy(wanted[i].to, &found, sizeof(found));
	}
	return true;
}

static uint32_t with_stack(uint32_t origin, const char *stack)
{
	struct language_frame frames[JAVASCRIPT_MAX_FRAMES];

	return origin_with_note(origin, frames, javascript_read(stack, frames));
}

/* note(descriptor, stack): no socket of ours, or no words, is no error. */
static value note(environment env, call info)
{
	value arguments[2];
	size_t n = 2, bytes;
	int32_t fd;
	char stack[STACK_BYTES];

	if (node.get_cb_info(env, info, &n, arguments, NULL, NULL) || n < 2 ||
	    node.get_value_int32(env, arguments[0], &fd) ||
	    node.get_value_string_utf8(env, arguments[1], stack, sizeof(stack), &bytes))
		return NULL;
	if (fd_table_knows(fd))
		fd_table_note_origin(fd, with_stack, stack);
	if (origin_has_work())
		helper_wake();
	return NULL;
}

EXPORT value napi_register_module_v1(environment env, value exports)
{
	value made;

	if (find_functions() &&
	    !node.create_function(env, "note", strlen("note"), note, NULL, &made))
		node.set_named_property(env, exports, "note", made);
	return exports;
}

EXPORT int32_t node_api_module_get_api_version_v1(void)
{
	return 8; /* Node 12.22 and later */
}
