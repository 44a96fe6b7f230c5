/* flow.c - see flow.h. */
#include "flow.h"

#include <stddef.h>

static const char *const state_words[] = {
#define X(name, word) word,
	FLOW_STATES(X)
#undef X
};

static const char *const input_words[] = {
#define X(name, word) word,
	FLOW_INPUTS(X)
#undef X
};

static const struct {
	enum flow_state from;
	enum flow_input input;
	enum flow_state to;
} table[] = {
	{ FLOW_IDLE, FLOW_GO, FLOW_CHECK },
	{ FLOW_IDLE, FLOW_SWITCH, FLOW_GATE },
	{ FLOW_IDLE, FLOW_RECHECK, FLOW_PROBE },
	{ FLOW_CHECK, FLOW_ASKED, FLOW_FETCH },
	{ FLOW_CHECK, FLOW_NOTHING, FLOW_IDLE },
	{ FLOW_CHECK, FLOW_CANCEL, FLOW_IDLE },
	{ FLOW_FETCH, FLOW_STAGED, FLOW_GATE },
	{ FLOW_FETCH, FLOW_NOTHING, FLOW_IDLE },
	{ FLOW_FETCH, FLOW_CANCEL, FLOW_FETCH }, /* until the child has ended */
	{ FLOW_GATE, FLOW_PASSED, FLOW_ACTIVATE },
	{ FLOW_GATE, FLOW_REFUSED, FLOW_IDLE },
	{ FLOW_GATE, FLOW_CANCEL, FLOW_GATE }, /* too late to cancel: what is staged is decided */
	{ FLOW_ACTIVATE, FLOW_ACTIVE, FLOW_PROBE },
	{ FLOW_ACTIVATE, FLOW_REFUSED, FLOW_IDLE },
	{ FLOW_ACTIVATE, FLOW_CANCEL, FLOW_ACTIVATE },
	{ FLOW_PROBE, FLOW_HEALTHY, FLOW_IDLE },
	{ FLOW_PROBE, FLOW_SICK, FLOW_REVERT },
	{ FLOW_PROBE, FLOW_CANCEL, FLOW_PROBE },
	{ FLOW_REVERT, FLOW_BACK, FLOW_IDLE },
	{ FLOW_REVERT, FLOW_CANCEL, FLOW_REVERT },
};

const char *
flow_state_word(enum flow_state s)
{
	return (unsigned)s < FLOW_STATE_COUNT ? state_words[s] : "unknown";
}

const char *
flow_input_word(enum flow_input i)
{
	return (unsigned)i < FLOW_INPUT_COUNT ? input_words[i] : "unknown";
}

enum err
flow_next(enum flow_state s, enum flow_input i, enum flow_state *next)
{
	for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
		if (table[k].from == s && table[k].input == i) {
			*next = table[k].to;
			return OK;
		}
	return ERR_STATE;
}
