#include "base/err.h"

#include <errno.h>

static const struct {
	const char *word, *text;
} err_names[] = {
#define X(name, word, text) { word, text },
	ERR_LIST(X)
#undef X
};

const char *
err_word(enum err e)
{
	return (unsigned)e < ERR_COUNT ? err_names[e].word : "unknown";
}

const char *
err_text(enum err e)
{
	return (unsigned)e < ERR_COUNT ? err_names[e].text : "an unknown error";
}

enum err
err_from_errno(int sys)
{
	switch (sys) {
	case 0:
		return OK;
	case ENOMEM:
		return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NOSPACE;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOTFOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EXDEV: /* openat2: the path left its root */
	case ELOOP:
		return ERR_DENIED;
	case EAGAIN:
	case EINTR:
		return ERR_AGAIN;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return ERR_UNREACHABLE;
	case ECONNRESET:
	case EPIPE:
		return ERR_CLOSED;
	case EBUSY:
	case EADDRINUSE:
		return ERR_BUSY;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERR_UNSUPPORTED;
	case EINVAL:
	case ENAMETOOLONG:
		return ERR_INVAL;
	default:
		return ERR_IO;
	}
}
