/* bar.h - the line that `atalaia update --wait` keeps on a terminal: feed, what is done, how much
 * of it, how fast, how long still, from whom. Pure: the clock is the caller's. */
#ifndef ATALAIA_OPERATOR_BAR_H
#define ATALAIA_OPERATOR_BAR_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

/* What was seen first of the transfer under way; zeroed by the caller at the start. */
struct bar {
	char what[64]; /* feed, state, phase and kind: another one begins anew */
	uint64_t first_done, first_ms;
};

/* feed: a member of "feeds" of the status document that is not idle. */
void bar_line(struct bar *b, char *dst, size_t size, const cJSON *feed, uint64_t now_ms);

#endif
