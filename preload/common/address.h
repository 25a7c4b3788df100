/* Addresses as the kernel writes them, in network byte order. */
#ifndef SOCKLEAK_ADDRESS_H
#define SOCKLEAK_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The IPv4 address inside an IPv6 address ::ffff:a.b.c.d (RFC 4291, 2.5.5.2); NULL: it is
 * of another form. */
static inline const uint8_t *address_mapped_ipv4(const uint8_t address[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, prefix, sizeof(prefix)) == 0 ? address + sizeof(prefix)
							    : NULL;
}

#endif
