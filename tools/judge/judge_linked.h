/* Joined sockets -> the findings of one report. */
#ifndef SOCKLEAK_JUDGE_LINKED_H
#define SOCKLEAK_JUDGE_LINKED_H

#include "findings/findings.h"
#include "link/merge.h"

/* Judges every socket, once, and groups them into places.  The findings have no names in
 * frames (annotate/).  Ends the merge. */
struct findings *judge_linked(struct merge *merge);

#endif
