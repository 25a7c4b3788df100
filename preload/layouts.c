/* Unwinding is a function of the words it reads and of the unwind tables.  So of every
 * chain we keep the words: where each lies, counted from the stack pointer, and what was
 * there, counted from the stack pointer too where it points into the stack.  When all are
 * the same now, so is the chain.  The registers are read from where origin_capture() put
 * them, on the stack like all the rest.
 *
 * Where the next word lies follows from the words before it.  So the chains of one key
 * form a tree, in which a chain is kept from the word on by which it parts from another:
 *
 *	kept first:  w0 w1 w2 w3 w4 -> 17
 *	             parts at 3: w3' w4' -> 18
 *
 * and looking one up compares each word once, plus the alternatives where chains part.
 * It goes from the innermost word outwards and stops at the first that is not known: that
 * everything further in is the same proves that the next word is there to be read.  Where
 * that rests on a guess (a frame pointer followed for want of a table, a chain that did
 *not end properly) the pages are proven readable first.
 *
 * Nothing is ever freed: a reader may be anywhere.  What has to be forgotten loses its
 * number and gets it back when it is learnt again. */
#include "layouts.h"

#include "arena.h"
#include "modules.h"
#include "stack.h"

#include <elf.h>
#include <stdbool.h>
#include <sys/auxv.h>

#define N_BUCKETS     8192
#define MAX_BYTES     (8u << 20)  /* of all layouts together */
#define MAX_PER_TREE  256         /* chains: recursion, and what else varies above */
#define MAX_PER_PLACE 256         /* trees of one return address: alloca in the caller */
#define N_PLACES      4096        /* counters of them, shared by those that collide */
#define MAX_OURS      (8u << 10)  /* bytes from our frame to the one of the hook */
#define MAX_DISTANCE  (64u << 10) /* from our frame to the frame pointer of its caller */

struct word {
	uint32_t at;          /* bytes from the stack pointer */
	uint32_t is_relative; /* 1: the stack pointer is to be added to `value` */
	uint64_t value;
};

struct layout {
	struct layout *next;     /* atomic; of the bucket, or of the branches */
	struct layout *branches; /* atomic; those that part from this one */
	uint64_t key;
	uint32_t backtrace;   /* atomic; 0 = forgotten */
	uint32_t proof_bytes; /* from the stack pointer; 0 = needs no proof */
	/* What the unwinder could not read, when the stack pointer was `stack`; 0 = all.
	 */
	uint64_t unreadable, stack;
	uint32_t first, end; /* it holds the words first to end - 1 of its chain */
	uint32_t n_chains;   /* in a root: of the whole tree */
	bool is_cut;         /* in a root: some chain ended outside all modules */
	struct word words[];
};

ARENA_TABLE static struct layout *buckets[N_BUCKETS]; /* atomic */
static uint32_t n_bytes;
ARENA_TABLE static uint16_t n_trees[N_PLACES]; /* by return address */
static uint64_t ours_from, ours_end; /* our code; empty where it is the program's */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

#define UNCHECKED __attribute__((no_sanitize_address, no_sanitize_thread))

AT_START void layouts_start(void)
{
	uint64_t from = (uint64_t)(uintptr_t)__ehdr_start;
	uint64_t end = (uint64_t)(uintptr_t)_end, program = getauxval(AT_PHDR);

	if (program >= from && program < end)
		return;
	ours_from = from;
	ours_end = end;
}

static bool is_ours(uint64_t address)
{
	return address - ours_from < ours_end - ours_from;
}

/* Of a frame: the caller's frame pointer and the address to return to. */
struct frame {
	uint64_t caller, returns_to;
};

UNCHECKED uint64_t layouts_key(const uint64_t words[REGISTERS_N])
{
	uint64_t stack = words[REGISTERS_SP];
	const struct frame *frame = (const void *)words[REGISTERS_FP];

	/* The first step leads to the hook, the next out of it. */
	do {
		uint64_t caller = frame->caller;
		if (caller - stack >= MAX_OURS || caller % 8 != 0)
			return registers_plain(frame->returns_to);
		frame = (const void *)caller;
	} while (is_ours(registers_plain(frame->returns_to)));
	uint64_t distance = frame->caller - stack;
	if (distance >= MAX_DISTANCE)
		distance = 0;
	return registers_plain(frame->returns_to) ^ distance << 40;
}

static struct layout **bucket_of(uint64_t key)
{
	return &buckets[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 51];
}

/* Machines that sign return addresses keep the signature in the word. */
UNCHECKED static inline bool is_there(const struct word *word, uint64_t stack)
{
	uint64_t now = *(const uint64_t *)(stack + word->at);
	uint64_t then = word->value + (stack & -(uint64_t)word->is_relative);

#if defined __aarch64__
	if (now != then)
		now = registers_plain(now);
#endif
	return now == then;
}

/* A chain that ended because something was not in the copy ends there only as long as it
 * would not be in a copy made now: counted from the stack pointer, or wherever it is. */
UNCHECKED static bool ends_there(const struct layout *layout, uint64_t stack)
{
	return layout->unreadable == 0 ||
	       (layout->unreadable - stack >= STACK_MAX_BYTES &&
		layout->unreadable - layout->stack >= STACK_MAX_BYTES);
}

/* The branch of `layout` that goes on with the word `at` as it is now. */
UNCHECKED static const struct layout *branch_at(const struct layout *layout, uint32_t at,
						uint64_t stack)
{
	layout = __atomic_load_n(&layout->branches, __ATOMIC_ACQUIRE);
	while (layout && (layout->first != at || !is_there(layout->words, stack)))
		layout = __atomic_load_n(&layout->next, __ATOMIC_ACQUIRE);
	return layout;
}

UNCHECKED uint32_t layouts_find(uint64_t key, const uint64_t words[REGISTERS_N])
{
	uint64_t stack = words[REGISTERS_SP];
	const struct layout *layout = __atomic_load_n(bucket_of(key), __ATOMIC_ACQUIRE);
	uint32_t at = 0;

	while (layout && layout->key != key)
		layout = __atomic_load_n(&layout->next, __ATOMIC_ACQUIRE);
	while (layout) {
		if (layout->proof_bytes && !stack_is_readable(stack, layout->proof_bytes))
			return 0;
		const struct word *word = &layout->words[at - layout->first];
		for (; at < layout->end && is_there(word, stack); word++)
			at++;
		uint32_t found = __atomic_load_n(&layout->backtrace, __ATOMIC_RELAXED);
		if (at == layout->end && found && ends_there(layout, stack))
			return found;
		layout = branch_at(layout, at, stack);
	}
	return 0;
}

/* A chain about to be remembered. */
ARENA_TABLE static struct {
	uint32_t n_words, proof_bytes;
	uint64_t unreadable, stack;
	struct word words[UNWINDER_MAX_READS];
} learnt;

static void learn(const struct capture *capture, const struct unwinder_chain *chain)
{
	uint64_t stack = capture->words[REGISTERS_SP];
	uint32_t reach = 0;

	for (unsigned i = 0; i < chain->n_reads; i++) {
		const struct unwinder_read *read = &chain->reads[i];
		struct word *word = &learnt.words[i];
		bool is_relative = read->value - stack < capture->copy.bytes;
		word->at = read->at;
		if (read->at >= UNWINDER_REGISTER)
			word->at = capture->words_at + 8 * (read->at - UNWINDER_REGISTER);
		word->is_relative = is_relative;
		word->value = is_relative ? read->value - stack : read->value;
		if (word->at + 8 > reach)
			reach = word->at + 8;
	}
	learnt.n_words = chain->n_reads;
	learnt.unreadable = chain->unreadable;
	learnt.stack = stack;
	bool is_certain = !chain->is_guessed && (!chain->is_short || chain->is_cut);
	learnt.proof_bytes = is_certain ? 0 : reach;
}

static bool is_same(const struct word *a, const struct word *b)
{
	return a->at == b->at && a->is_relative == b->is_relative && a->value == b->value;
}

/* What is learnt from the word `first` on, linked in at `link`. */
static struct layout *keep(struct layout **link, uint64_t key, uint32_t first,
			   uint32_t id)
{
	uint32_t n = learnt.n_words - first;
	size_t bytes = sizeof(struct layout) + n * sizeof(struct word);
	struct layout *new = n_bytes + bytes <= MAX_BYTES ? arena_take(bytes) : NULL;

	if (!new)
		return NULL;
	n_bytes += (uint32_t)bytes;
	new->key = key;
	new->first = first;
	new->end = learnt.n_words;
	new->proof_bytes = learnt.proof_bytes;
	new->unreadable = learnt.unreadable;
	new->stack = learnt.stack;
	new->backtrace = id;
	for (uint32_t i = 0; i < n; i++)
		new->words[i] = learnt.words[first + i];
	new->next = *link;
	__atomic_store_n(link, new, __ATOMIC_RELEASE);
	return new;
}

/* Follows the tree as layouts_find() does; what is new parts from where that ends. */
static void keep_in_tree(struct layout *root, uint32_t id)
{
	struct layout *layout = root;
	uint32_t at = 0;

	for (;;) {
		while (at < layout->end && at < learnt.n_words &&
		       is_same(&layout->words[at - layout->first], &learnt.words[at]))
			at++;
		if (at == learnt.n_words) {
			if (at == layout->end)
				__atomic_store_n(&layout->backtrace, id,
						 __ATOMIC_RELAXED);
			return; /* else: it ended where its copy did */
		}
		struct layout *branch = layout->branches;
		while (branch && (branch->first != at ||
				  !is_same(branch->words, &learnt.words[at])))
			branch = branch->next;
		if (!branch)
			break;
		layout = branch;
	}
	if (root->n_chains < MAX_PER_TREE && keep(&layout->branches, root->key, at, id))
		root->n_chains++;
}

static struct layout *new_tree(uint64_t key, uint32_t id)
{
	uint16_t *count =
		&n_trees[(uint32_t)key % N_PLACES]; /* the distance lies above */

	if (*count >= MAX_PER_PLACE)
		return NULL;
	struct layout *root = keep(bucket_of(key), key, 0, id);
	if (root) {
		root->n_chains = 1;
		++*count;
	}
	return root;
}

void layouts_remember(const struct capture *capture, const struct unwinder_chain *chain,
		      uint32_t id)
{
	struct layout *root = *bucket_of(capture->key);

	if (chain->n_reads == 0)
		return;
	learn(capture, chain);
	while (root && root->key != capture->key)
		root = root->next;
	if (root)
		keep_in_tree(root, id);
	else
		root = new_tree(capture->key, id);
	if (root)
		root->is_cut |= chain->is_cut;
}

/* Does a word of it look like an address in a module that has just gone? */
static bool is_gone(const struct layout *layout)
{
	for (uint32_t i = 0; i < layout->end - layout->first; i++)
		if (!layout->words[i].is_relative && modules_left(layout->words[i].value))
			return true;
	return false;
}

/* Trees have few levels: a branch parts from a branch where a third chain came. */
static bool is_tree_gone(const struct layout *layout)
{
	for (; layout; layout = layout->next)
		if (is_gone(layout) || is_tree_gone(layout->branches))
			return true;
	return false;
}

static void forget_tree(struct layout *layout)
{
	for (; layout; layout = layout->next) {
		__atomic_store_n(&layout->backtrace, 0, __ATOMIC_RELAXED);
		forget_tree(layout->branches);
	}
}

/* Chains that ended outside all modules may end inside one now. */
void layouts_forget_gone(void)
{
	for (unsigned i = 0; i < N_BUCKETS; i++)
		for (struct layout *root = buckets[i]; root; root = root->next)
			if (root->is_cut || is_gone(root) ||
			    is_tree_gone(root->branches)) {
				__atomic_store_n(&root->backtrace, 0, __ATOMIC_RELAXED);
				forget_tree(root->branches);
				root->is_cut = false;
			}
}
