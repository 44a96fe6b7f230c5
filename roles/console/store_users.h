/* store_users.h - users of the web console, their sessions and their signing keys, as functions
 * over the database. Worker thread, inside the transaction that work.h opened. */
#ifndef CONSOLE_STORE_USERS_H
#define CONSOLE_STORE_USERS_H

#include "password.h"
#include "store.h"
#include "totp.h"
#include "web_sessions.h"
#include "who.h"

struct user_row {
	char name[WHO_NAME], groups[WHO_GROUPS], hash[PASSWORD_HASH];
	unsigned role;
	bool has_totp, has_new, disabled;
	uint8_t totp[TOTP_SECRET], totp_new[TOTP_SECRET];
	int64_t totp_step, fails, locked, created, last_login;
};

MUST_CHECK enum err store_user_add(struct db *db, const struct user_row *u); /* ERR_EXISTS */
MUST_CHECK enum err store_user_get(struct db *db, const char *name, struct user_row *out);
/* Everything but name and created. */
MUST_CHECK enum err store_user_save(struct db *db, const struct user_row *u);
MUST_CHECK enum err store_user_delete(struct db *db, const char *name); /* ERR_NOTFOUND */
MUST_CHECK enum err store_users_list(struct db *db, cJSON **out);
/* Administrators that can log in and are not limited to groups, this one left out. */
MUST_CHECK enum err store_other_administrators(struct db *db, const char *but, int64_t *n);

#define LOGIN_TRIES 5 /* wrong ones in a row, then the user is locked for web_lock */
/* Counts a try before anything is verified; the counted one that reaches the limit locks.
 * ERR_BUSY: locked, *until says how long. ERR_NOTFOUND: nobody, or disabled. */
MUST_CHECK enum err store_login_count(struct db *db, const char *name, int64_t now,
    uint64_t lock_ms, struct user_row *out, int64_t *until);
MUST_CHECK enum err store_login_undo(struct db *db, const char *name);
MUST_CHECK enum err store_login_done(struct db *db, const char *name, int64_t now);
/* Spends a step of one-time codes. ERR_DENIED: it, or a later one, was used already. */
MUST_CHECK enum err store_totp_spend(struct db *db, const char *name, int64_t step);

MUST_CHECK enum err store_session_add(struct db *db, const struct session *x);
MUST_CHECK enum err store_session_drop(struct db *db, const uint8_t hash[32]);
/* but NULL: all. */
MUST_CHECK enum err store_sessions_drop(struct db *db, const char *user, const uint8_t *but);
MUST_CHECK enum err store_session_seen(struct db *db, const uint8_t hash[32], int64_t now);
MUST_CHECK enum err store_sessions_prune(struct db *db, int64_t created_before);
/* Sessions of users that may still log in, with their role and groups of now. */
MUST_CHECK enum err store_sessions_each(
    struct db *db, void (*each)(void *arg, const struct session *x), void *arg);

#endif
