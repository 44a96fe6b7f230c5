/* web_sessions.h - who is logged in, in memory, so that every request is judged without a disk; the
 * database holds the same for the next start. Only hashes of the words are kept. Loop thread. */
#ifndef CONSOLE_WEB_SESSIONS_H
#define CONSOLE_WEB_SESSIONS_H

#include "base/err.h"
#include "who.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSIONS_MAX 1024
#define SESSIONS_PER_USER 16 /* the oldest goes */
#define SESSION_ADDRESS 72
#define SESSION_AGENT 128
#define SESSION_SAVE_MS 60000 /* the time of the last request is written at most this often */

struct session {
	struct who who; /* .session is the key */
	char address[SESSION_ADDRESS], agent[SESSION_AGENT];
	int64_t created, seen, saved; /* wall milliseconds */
};

struct sessions; /* opaque */

MUST_CHECK enum err sessions_new(struct sessions **out, uint64_t idle_ms, uint64_t life_ms);
void sessions_free(struct sessions *s); /* NULL is fine */
/* Copies. A full table, or the user's share of it, loses its oldest. */
void sessions_add(struct sessions *s, const struct session *x);
/* The live session of this hash, or NULL. Valid until the next call. touch: this is use. *save:
 * its time should be written now (may be NULL). */
const struct session *sessions_find(
    struct sessions *s, const uint8_t hash[32], int64_t now, bool touch, bool *save);
bool sessions_drop(struct sessions *s, const uint8_t hash[32]);
/* All of a user but one (NULL: all). How many went. */
unsigned sessions_drop_user(struct sessions *s, const char *user, const uint8_t *but);
/* Drops what has ended. */
void sessions_sweep(struct sessions *s, int64_t now);
void sessions_each(
    const struct sessions *s, void (*each)(void *arg, const struct session *x), void *arg);

#endif
