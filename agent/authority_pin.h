/* authority_pin.h - the keys that may say who orders what, remembered by this PC. The policies feed
 * delegates authority.json to keys kept elsewhere, but the delegation itself is signed by the
 * console: a stolen console could name other keys, or list authority.json as its own. So the keys
 * of the first authority are kept, and every later one must be signed by them; only they name their
 * successors (the optional member "authority": {"keys","keyids","threshold"} of authority.json).
 * Blocking; worker. */
#ifndef ATALAIA_AGENT_AUTHORITY_PIN_H
#define ATALAIA_AGENT_AUTHORITY_PIN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fault.h"

/* `text`: the bytes of authority.json in the set. `tuf`: folder with the metadata that brought it.
 * `pins`: path of the file with the keys. ERR_AUTH when they did not sign these bytes. */
MUST_CHECK enum err authority_pin_check(
    const char *pins, const char *tuf, const struct buf *text, struct fault *f);

#endif
