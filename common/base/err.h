/* err.h - the one result type. Functions return `enum err`; OK is 0 and everything else says what
 * the caller may do next. A value steers the program; the sentence for a person is in struct fault.
 */
#ifndef ATALAIA_BASE_ERR_H
#define ATALAIA_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* name, stable word (used in logs, JSON and exit reports), what it means */
#define ERR_LIST(X)                                                                                \
	X(OK, "ok", "success")                                                                     \
	X(ERR_NOMEM, "no-memory", "memory ran out")                                                \
	X(ERR_IO, "io", "the system refused an input or output operation")                         \
	X(ERR_NOSPACE, "no-space", "the disk, quota or inode table is full")                       \
	X(ERR_INVAL, "invalid", "an argument or option is wrong")                                  \
	X(ERR_PARSE, "parse", "bytes do not have the form they must have")                         \
	X(ERR_TOOBIG, "too-big", "a limit would be passed")                                        \
	X(ERR_NOTFOUND, "not-found", "it does not exist at this source")                           \
	X(ERR_EXISTS, "exists", "it is there already")                                             \
	X(ERR_DENIED, "denied", "not permitted")                                                   \
	X(ERR_AUTH, "auth", "identity, signature or proof is not valid")                           \
	X(ERR_VERIFY, "verify", "content does not match what was signed")                          \
	X(ERR_ROLLBACK, "rollback", "a version went down")                                         \
	X(ERR_EXPIRED, "expired", "signed time has passed")                                        \
	X(ERR_TIMEOUT, "timeout", "a deadline passed")                                             \
	X(ERR_CLOSED, "closed", "the other side ended the connection")                             \
	X(ERR_UNREACHABLE, "unreachable", "no connection could be made")                           \
	X(ERR_CANCELED, "canceled", "stopped on request")                                          \
	X(ERR_BUSY, "busy", "somebody else holds it")                                              \
	X(ERR_AGAIN, "again", "not now: more input or a later try is needed")                      \
	X(ERR_STATE, "state", "not legal in this state")                                           \
	X(ERR_UNSUPPORTED, "unsupported", "this build or system cannot do it")

enum err {
#define X(name, word, text) name,
	ERR_LIST(X)
#undef X
	    ERR_COUNT
};

const char *err_word(enum err e); /* stable word, "unknown" outside the list; never NULL */
const char *err_text(enum err e); /* half a sentence, never NULL */

/* Maps errno values to ERR_*: ENOSPC/EDQUOT -> NOSPACE, ENOENT -> NOTFOUND, EEXIST, EACCES/EPERM ->
 * DENIED, ENOMEM, EAGAIN..., else IO. */
enum err err_from_errno(int sys);

#endif
