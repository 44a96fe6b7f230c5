/* flow.h - what one feed on this PC is doing, as a table: state and input give the next state.
 * Pure. DESIGN section 7: idle, check, fetch (metadata, download, verify and stage happen in the
 * child), gate, activate, probe (reload and probe), revert. */
#ifndef ATALAIA_AGENT_FLOW_H
#define ATALAIA_AGENT_FLOW_H

#include "base/err.h"

#define FLOW_STATES(X)                                                                             \
	X(FLOW_IDLE, "idle")                                                                       \
	X(FLOW_CHECK, "check")                                                                     \
	X(FLOW_FETCH, "fetch")                                                                     \
	X(FLOW_GATE, "gate")                                                                       \
	X(FLOW_ACTIVATE, "activate")                                                               \
	X(FLOW_PROBE, "probe")                                                                     \
	X(FLOW_REVERT, "revert")

#define FLOW_INPUTS(X)                                                                             \
	X(FLOW_GO, "go")	   /* time, news or a request: look for something new */           \
	X(FLOW_ASKED, "asked")	   /* the version port answered, or did not */                     \
	X(FLOW_STAGED, "staged")   /* a verified set is on the disk */                             \
	X(FLOW_NOTHING, "nothing") /* current, waiting, failed or canceled: no new set */          \
	X(FLOW_PASSED, "passed")   /* the gate lets it in */                                       \
	X(FLOW_REFUSED, "refused") /* the gate does not, or it cannot be activated */              \
	X(FLOW_ACTIVE, "active")   /* `current` points to it, durably */                           \
	X(FLOW_HEALTHY, "healthy")                                                                 \
	X(FLOW_SICK, "sick")	   /* the engine does not work with it */                          \
	X(FLOW_BACK, "back")	   /* the earlier set is active again */                           \
	X(FLOW_SWITCH, "switch")   /* a pin: go to a set that is here already */                   \
	X(FLOW_RECHECK, "recheck") /* the engine is back: does it work with the active set? */     \
	X(FLOW_CANCEL, "cancel")

enum flow_state {
#define X(name, word) name,
	FLOW_STATES(X)
#undef X
	    FLOW_STATE_COUNT
};

enum flow_input {
#define X(name, word) name,
	FLOW_INPUTS(X)
#undef X
	    FLOW_INPUT_COUNT
};

const char *flow_state_word(enum flow_state s);
const char *flow_input_word(enum flow_input i);
/* ERR_STATE when the input is not legal in this state; *next is then left alone. */
MUST_CHECK enum err flow_next(enum flow_state s, enum flow_input i, enum flow_state *next);

#endif
