/* An entry of the table of descriptors; fd_table.h explains the table. */
#ifndef SOCKLEAK_FD_ENTRY_H
#define SOCKLEAK_FD_ENTRY_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

/* Bits of an entry's word.  Above them stands the number of the socket's record, 0 = none
 * yet; the upper 32 bits are the generation. */
enum entry_bits {
	ENTRY_HELD = 1,
	ENTRY_NOT_TCP =
		2, /* asked once: a listener of another kind; of no further interest */
	ENTRY_MPTCP = 4,         /* TCP_INFO does not show its state: poll does */
	ENTRY_DUPLICATED = 8,    /* other entries are of its socket, now or once */
	ENTRY_CONNECTED = 16,    /* accepted, or connect was called */
	ENTRY_PASSED = 32,       /* sent over a Unix socket */
	ENTRY_EXPECTED = 64,     /* sockleak_expect() */
	ENTRY_ESTABLISHED = 128, /* accepted, or once seen connected: CLOSE is its end */
	ENTRY_LISTENS = 256,     /* seen in LISTEN: probed now and then */
	ENTRY_TRIED = 512,       /* connect() was called on it, in this generation */
	ENTRY_REFUSED = 1024,    /* ... and failed, and was not called again */
	ENTRY_UNSEEN = 2048      /* opened unseen, perhaps a file: a call has reported its
				  * end, and the next scan asks what it is.  Until then it
				  * counts as ENTRY_NOT_TCP. */
};
#define ENTRY_ALL_BITS         UINT64_C(0xfff)
#define ENTRY_RECORD_SHIFT     12
#define ENTRY_RECORD_MASK      UINT64_C(0xfffff000)
#define ENTRY_RECORD(word)     ((uint32_t)(word) >> ENTRY_RECORD_SHIFT)
#define ENTRY_GENERATION(word) ((uint32_t)((word) >> 32))

struct fd_entry {
	_Atomic uint64_t word;
	uint64_t opened_ns;
	_Atomic uint32_t origin; /* as in origin.h; the scanning thread resolves it */
	uint32_t socket_id;      /* the generation of the first of its duplicates */
	uint16_t name;           /* of the running test; 0 = none */
	uint8_t call;            /* enum sl_call */
	uint8_t origin_kind;     /* enum sl_origin_kind */
	uint8_t family;          /* of the peer's address; 0 = not known */
	uint8_t fork_depth;      /* at birth; another than now = inherited over fork */
	uint16_t peer_port;      /* host byte order */
	uint8_t peer[16];

	/* The scanning thread's. */
	uint32_t scanned_gen; /* generation that the rest is about */
	uint32_t published;   /* which version of its row is in the ledger: stamp_of()
					* of scan/publish.c; 0 = none */
	uint64_t cookie;
};
static_assert(sizeof(struct fd_entry) == 64, "64 bytes a tracked descriptor");

#endif
