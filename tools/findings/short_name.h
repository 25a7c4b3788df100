/* A function's name as a reader needs it at a glance. */
#ifndef SOCKLEAK_SHORT_NAME_H
#define SOCKLEAK_SHORT_NAME_H

#include <stddef.h>

/* Into `to`, terminated and cut to `size` bytes: a demangled C++ name without its
 * arguments, template arguments, return type and qualifiers; any other name as it is.
 *     void net::dispatch<3>(std::function<void ()> const&) const -> net::dispatch<>
 *     serve(int)::{lambda(int)#2}::operator()(int) const  -> serve::{lambda}::operator()
 */
void short_name(const char *name, char *to, size_t size);

#endif
