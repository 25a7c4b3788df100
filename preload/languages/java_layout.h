/* Where HotSpot keeps what is read of it, as it says itself. */
#ifndef SOCKLEAK_JAVA_LAYOUT_H
#define SOCKLEAK_JAVA_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define JAVA_ABSENT INT32_MIN

/* Offsets in bytes, by type and field; JAVA_ABSENT = this version has no such field. */
struct java_layout {
	/* JavaThread, or Thread that it is one of */
	int thread_os, thread_anchor, thread_state, thread_stack_base, thread_stack_size,
		thread_vframes;
	int os_thread_id, os_pthread;               /* OSThread */
	int anchor_sp, anchor_pc, anchor_fp;        /* JavaFrameAnchor */
	int heap_memory, heap_segments, heap_shift; /* CodeHeap */
	int space_low, space_high;                  /* VirtualSpace */
	int block_used, block_bytes;                /* HeapBlock; `bytes`: of one */
	/* CodeBlob; _begin and _end to 17, _offset later */
	int blob_name, blob_size, blob_code_begin, blob_code_end, blob_code_offset,
		blob_data_offset, blob_frame_size;
	int blob_mutable, blob_mutable_size, blob_relocation_size; /* from 25 on */
	/* nmethod; the second line to 22, the third from 23 on */
	int method_of, compile_id, original_pc, pcs;
	int scopes_begin, deopt_begin, deopt_mh_begin, dependencies, metadata;
	int immutable, immutable_size, scopes, deopt, deopt_mh;
	int pc_offset, pc_scope, pc_bytes; /* PcDesc */
	int method_const, method_access;   /* Method */
	/* ConstMethod; _words: of it with its tables; _bytes: of the type */
	int const_pool, const_flags, const_new_flags, const_code_size, const_name,
		const_words, const_bytes;
	int pool_holder, pool_file, pool_length, pool_bytes; /* ConstantPool */
	int klass_name;                                      /* Klass */
	int symbol_length, symbol_body;                      /* Symbol */
	int wrapper_anchor;                                  /* JavaCallWrapper */
	int array_length, array_data;                        /* GrowableArray */
	int queue_stubs, queue_limit;                        /* StubQueue */
	/* Not offsets, but numbers. */
	int call_wrapper, in_native, has_lines;
};

/* Addresses of the machine's variables; they stay where they are. */
struct java_machine {
	uint64_t low, high; /* of libjvm.so */
	uint64_t heaps, code_low, code_high, interpreter, call_stub_return;
	int major;
};

extern struct java_layout java_layout;
extern struct java_machine java_machine;

/* false = it is no HotSpot of a version that is known, or lacks something. */
bool java_layout_find(void *library);

#endif
