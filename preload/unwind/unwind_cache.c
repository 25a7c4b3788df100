/* Unwinding is a function of the words it reads and of the unwind tables.  So of every
 * backtrace we keep the words that the unwinder read: where each lies, counted from the
 * stack pointer, and its value, counted from the stack pointer too where it points into
 * the stack.  When all are the same now, so is the backtrace.  The registers are read from
 * where origin_capture() put them, on the stack like all the rest.
 *
 * Where the next word lies follows from the words before it.  So the backtraces of one
 * key form a tree.  Each is a node, which keeps the words from the one on by which it
 * differs from an earlier node, whose branch it becomes:
 *
 *	root:                w0 w1 w2 w3  w4   backtrace 17
 *	its branch at word 3:         w3' w4'  backtrace 18
 *
 * and looking one up compares each word once, plus the alternatives where backtraces
 * part.  It goes from the innermost word outwards and stops at the first that is not
 * known: word n+1 is mapped, in a frame this thread returns to, because its address
 * follows from words 0 to n, which matched.  Where that rests on a guess (a frame pointer
 * followed for want of a table, a backtrace that did not end properly) it is looked up
 * only in what is certainly this thread's, or in a copy.
 *
 * Nothing is ever freed: a reader may be anywhere.  What has to be forgotten loses its
 * number and gets it back when it is learnt again. */
#include "unwind/unwind_cache.h"

#include "base/arena.h"
#include "base/memcheck.h"
#include "base/sections.h"
#include "base/unchecked.h"
#include "unwind/modules.h"
#include "unwind/stack.h"

#include <elf.h>
#include <stdbool.h>
#include <sys/auxv.h>

#define N_BUCKETS      8192
#define MAX_BYTES      (8u << 20) /* of all nodes together */
#define MAX_PER_TREE   256  /* backtraces: recursion, and what else differs in callers */
#define MAX_PER_RETURN 256  /* trees of one return address: alloca in the caller */
#define N_COUNTERS     4096 /* of trees, by return address; those that collide share one */
#define MAX_OURS       (8u << 10)  /* bytes from our frame to the one of the hook */
#define MAX_DISTANCE   (64u << 10) /* from our frame to the frame pointer of its caller */

struct word {
	uint32_t at;          /* bytes from the stack pointer */
	uint32_t is_relative; /* 1: the stack pointer is to be added to `value` */
	uint64_t value;
};

struct node {
	struct node *next;     /* atomic; of the bucket, or of the branches */
	struct node *branches; /* atomic; those that part from this one */
	uint64_t key;
	uint32_t backtrace; /* atomic; 0 = forgotten */
	/* What the unwinder could not read, when the stack pointer was `stack`; 0 = all.
	 */
	uint64_t unreadable, stack;
	uint32_t first, end;   /* it holds the words first to end - 1 of its backtrace */
	uint32_t n_backtraces; /* in a root: of the whole tree */
	bool is_cut;           /* in a root: some backtrace led outside all modules */
	bool is_guessed;       /* where some word lies rests on a guess */
	struct word words[];
};

ARENA_TABLE static struct node *buckets[N_BUCKETS]; /* atomic */
static uint32_t n_bytes;
ARENA_TABLE static uint16_t n_trees[N_COUNTERS]; /* by return address */
static uint64_t ours_from, ours_end; /* our code; empty where it is the program's */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

AT_START void unwind_cache_start(void)
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

UNCHECKED_MEMORY uint64_t unwind_cache_key(const uint64_t words[REGISTERS_N],
					   uint64_t *frame_end)
{
	uint64_t stack = words[REGISTERS_SP];
	const struct frame *frame = (const void *)words[REGISTERS_FP];

	/* The first step leads to the hook, the next out of it. */
	do {
		uint64_t caller = frame->caller;
		if (caller - stack >= MAX_OURS || caller % 8 != 0)
			break;
		frame = (const void *)caller;
	} while (is_ours(registers_plain(frame->returns_to)));
	*frame_end = (uint64_t)(uintptr_t)(frame + 1);
	uint64_t distance = memcheck_defined(frame->caller) - stack;
	if (distance >= MAX_DISTANCE)
		distance = 0;
	return registers_plain(frame->returns_to) ^ distance << 40;
}

static struct node **bucket_of(uint64_t key)
{
	return &buckets[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 51];
}

/* The words to compare: on the stack itself, or in a copy of it. */
struct view {
	uint64_t stack;      /* the stack pointer */
	uint64_t at;         /* where its word is read */
	uint64_t copy_bytes; /* 0 = no copy */
	uint64_t frame_end;
};

#define NO_BOUND UINT64_MAX

/* From how many bytes of `view` the words of this node may be read.  There is no bound
 * where each word proves that the next is there. */
UNCHECKED_MEMORY static inline uint64_t bound_of(const struct node *node,
						 const struct view *view)
{
	if (view->copy_bytes)
		return view->copy_bytes;
	if (!node->is_guessed)
		return NO_BOUND;
	return memcheck_is_there ? 0 /* the copy is defined */
				 : stack_certain_bytes(view->stack, view->frame_end);
}

/* Machines that sign return addresses keep the signature in the word. */
UNCHECKED_MEMORY static inline bool is_there(const struct word *word,
					     const struct view *view)
{
	uint64_t now = *(const uint64_t *)(view->at + word->at);
	uint64_t then = word->value + (view->stack & -(uint64_t)word->is_relative);

#if defined __aarch64__
	if (now != then)
		now = registers_plain(now);
#endif
	return now == then;
}

static inline bool is_within(const struct word *word, uint64_t bound)
{
	return word->at + sizeof(uint64_t) <= bound;
}

/* A backtrace that ended because something was not in the copy ends there only as long as
 * it would not be in a copy made now: counted from the stack pointer, or wherever it is.
 */
UNCHECKED_MEMORY static bool ends_there(const struct node *node, const struct view *view)
{
	if (node->unreadable == 0)
		return true;
	uint32_t reach = stack_reach(view->stack, view->frame_end);
	return node->unreadable - view->stack >= reach &&
	       node->unreadable - node->stack >= reach;
}

/* The branch of `node` that goes on with the word `at` as it is now. */
UNCHECKED_MEMORY static const struct node *branch_at(const struct node *node, uint32_t at,
						     const struct view *view)
{
	node = __atomic_load_n(&node->branches, __ATOMIC_ACQUIRE);
	while (node &&
	       (node->first != at || !is_within(node->words, bound_of(node, view)) ||
		!is_there(node->words, view)))
		node = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
	return node;
}

/* The first word of `node`, from `at` on, that is another one now.  In two loops: most
 * nodes have no bound, and asking for it takes 120 instructions a capture. */
UNCHECKED_MEMORY static inline uint32_t end_of_same(const struct node *node, uint32_t at,
						    const struct view *view)
{
	const struct word *word = &node->words[at - node->first];
	uint64_t bound = bound_of(node, view);

	if (bound == NO_BOUND)
		for (; at < node->end && is_there(word, view); word++)
			at++;
	else
		for (; at < node->end && is_within(word, bound) && is_there(word, view);
		     word++)
			at++;
	return at;
}

UNCHECKED_MEMORY static inline uint32_t find(uint64_t key, const struct view *view)
{
	const struct node *node = __atomic_load_n(bucket_of(key), __ATOMIC_ACQUIRE);
	uint32_t at = 0;

	while (node && node->key != key)
		node = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
	while (node) {
		at = end_of_same(node, at, view);
		uint32_t found = __atomic_load_n(&node->backtrace, __ATOMIC_RELAXED);
		if (at == node->end && found && ends_there(node, view))
			return found;
		node = branch_at(node, at, view);
	}
	return 0;
}

uint32_t unwind_cache_find(uint64_t key, uint64_t frame_end,
			   const uint64_t words[REGISTERS_N])
{
	uint64_t stack = words[REGISTERS_SP];
	struct view view = {.stack = stack, .at = stack, .frame_end = frame_end};

	return find(key, &view);
}

uint32_t unwind_cache_find_copied(const struct capture *capture)
{
	struct view view = {
		.stack = capture->words[REGISTERS_SP],
		.at = (uint64_t)(uintptr_t)capture->copy.at,
		.copy_bytes = capture->copy.bytes,
		.frame_end = capture->frame_end,
	};

	return view.copy_bytes ? find(capture->key, &view) : 0;
}

/* A backtrace about to be remembered. */
ARENA_TABLE static struct {
	uint32_t n_words;
	bool is_guessed;
	uint64_t unreadable, stack;
	struct word words[UNWINDER_MAX_READS];
} learnt;

static void learn(const struct capture *capture,
		  const struct unwinder_backtrace *backtrace)
{
	uint64_t stack = capture->words[REGISTERS_SP];

	for (unsigned i = 0; i < backtrace->n_reads; i++) {
		const struct unwinder_read *read = &backtrace->reads[i];
		struct word *word = &learnt.words[i];
		bool is_relative = read->value - stack < capture->copy.bytes;
		word->at = read->at;
		if (read->at >= UNWINDER_REGISTER)
			word->at = capture->words_at + 8 * (read->at - UNWINDER_REGISTER);
		word->is_relative = is_relative;
		word->value = is_relative ? read->value - stack : read->value;
	}
	learnt.n_words = backtrace->n_reads;
	learnt.unreadable = backtrace->unreadable;
	learnt.stack = stack;
	learnt.is_guessed =
		backtrace->is_guessed || (backtrace->is_short && !backtrace->is_cut);
}

static bool is_same(const struct word *a, const struct word *b)
{
	return a->at == b->at && a->is_relative == b->is_relative && a->value == b->value;
}

/* What is learnt from the word `first` on, linked in at `link`. */
static struct node *keep(struct node **link, uint64_t key, uint32_t first, uint32_t id)
{
	uint32_t n = learnt.n_words - first;
	size_t bytes = sizeof(struct node) + n * sizeof(struct word);
	struct node *new = n_bytes + bytes <= MAX_BYTES ? arena_take(bytes) : NULL;

	if (!new)
		return NULL;
	n_bytes += (uint32_t)bytes;
	new->key = key;
	new->first = first;
	new->end = learnt.n_words;
	new->is_guessed = learnt.is_guessed;
	new->unreadable = learnt.unreadable;
	new->stack = learnt.stack;
	new->backtrace = id;
	for (uint32_t i = 0; i < n; i++)
		new->words[i] = learnt.words[first + i];
	new->next = *link;
	__atomic_store_n(link, new, __ATOMIC_RELEASE);
	return new;
}

/* Follows the tree as unwind_cache_find() does; what is new parts from where that ends.
 */
static void keep_in_tree(struct node *root, uint32_t id)
{
	struct node *node = root;
	uint32_t at = 0;

	for (;;) {
		while (at < node->end && at < learnt.n_words &&
		       is_same(&node->words[at - node->first], &learnt.words[at]))
			at++;
		if (at == learnt.n_words) {
			if (at == node->end)
				__atomic_store_n(&node->backtrace, id, __ATOMIC_RELAXED);
			return; /* else: it ended where its copy did */
		}
		struct node *branch = node->branches;
		while (branch && (branch->first != at ||
				  !is_same(branch->words, &learnt.words[at])))
			branch = branch->next;
		if (!branch)
			break;
		node = branch;
	}
	if (root->n_backtraces < MAX_PER_TREE && keep(&node->branches, root->key, at, id))
		root->n_backtraces++;
}

static struct node *new_tree(uint64_t key, uint32_t id)
{
	uint16_t *count =
		&n_trees[(uint32_t)key % N_COUNTERS]; /* the distance lies above */

	if (*count >= MAX_PER_RETURN)
		return NULL;
	struct node *root = keep(bucket_of(key), key, 0, id);
	if (root) {
		root->n_backtraces = 1;
		++*count;
	}
	return root;
}

void unwind_cache_remember(const struct capture *capture,
			   const struct unwinder_backtrace *backtrace, uint32_t id)
{
	struct node *root = *bucket_of(capture->key);

	if (backtrace->n_reads == 0)
		return;
	learn(capture, backtrace);
	while (root && root->key != capture->key)
		root = root->next;
	if (root)
		keep_in_tree(root, id);
	else
		root = new_tree(capture->key, id);
	if (root)
		root->is_cut |= backtrace->is_cut;
}

/* Does a word of it look like an address in a module that has just gone? */
static bool is_gone(const struct node *node)
{
	for (uint32_t i = 0; i < node->end - node->first; i++)
		if (!node->words[i].is_relative && modules_left(node->words[i].value))
			return true;
	return false;
}

/* Trees have few levels: a branch parts from a branch where a third backtrace came. */
static bool is_tree_gone(const struct node *node)
{
	for (; node; node = node->next)
		if (is_gone(node) || is_tree_gone(node->branches))
			return true;
	return false;
}

static void forget_tree(struct node *node)
{
	for (; node; node = node->next) {
		__atomic_store_n(&node->backtrace, 0, __ATOMIC_RELAXED);
		forget_tree(node->branches);
	}
}

/* Where backtraces led outside all modules there may be one now. */
void unwind_cache_forget_gone(void)
{
	for (unsigned i = 0; i < N_BUCKETS; i++)
		for (struct node *root = buckets[i]; root; root = root->next)
			if (root->is_cut || is_gone(root) ||
			    is_tree_gone(root->branches)) {
				__atomic_store_n(&root->backtrace, 0, __ATOMIC_RELAXED);
				forget_tree(root->branches);
				root->is_cut = false;
			}
}
