/* authority_pin.h - the keys that may say who orders what, remembered by this PC. The policies feed
 * delegates authority.json to keys kept elsewhere, but the delegation itself is signed by the
 * console: a stolen console could name other keys, or list authority.json as its own. So the keys
 * of the first authority are kept, and every later one must be signed by them; only they name their
 * successors (the optional member "authority": {"keys","keyids","threshold"} of authority.json),
 * who must have signed that document as well. Every authority that named successors stays in the
 * feed as authority/N.json with its signatures in authority/N.signed.json, so that a PC that slept
 * follows one change of keys after the other. Blocking; worker. */
#ifndef ATALAIA_AGENT_AUTHORITY_PIN_H
#define ATALAIA_AGENT_AUTHORITY_PIN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

/* `text`: the bytes of authority.json in the set, a folder. `tuf`: folder with the metadata that
 * brought it. `pins`: path of the file with the keys. ERR_AUTH when they did not sign these bytes,
 * ERR_ROLLBACK when the keys are of a later authority. */
MUST_CHECK enum err authority_pin_check(const char *pins, const char *tuf, const char *set,
    const struct buf *text, struct fault *f);

#endif
