#include "ftp_path.h"

#include <string.h>

#define COMPONENT_MAX 255 /* NAME_MAX of every file system we know */

bool
path_printable(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t i;

	for (i = 0; i < n; i++) {
		if (u[i] < 0x20 || u[i] == 0x7f)
			return false;
		if (u[i] == 0xc2 && i + 1 < n && u[i + 1] >= 0x80 && u[i + 1] <= 0x9f)
			return false;
	}
	return true;
}

static size_t
parent(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

static enum err
push(char out[FTP_PATH_MAX], size_t *len, const char *name, size_t n)
{
	if (n == 0 || (n == 1 && name[0] == '.'))
		return OK;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		*len = parent(out, *len);
		return OK;
	}
	if (n > COMPONENT_MAX || *len + n + 2 > FTP_PATH_MAX)
		return ERR_TOOBIG;
	if (*len > 0)
		out[(*len)++] = '/';
	memcpy(out + *len, name, n);
	*len += n;
	return OK;
}

enum err
path_resolve(char out[FTP_PATH_MAX], const char *cwd, const char *arg, size_t n)
{
	size_t len = 0, i, begin = 0;
	enum err e = OK;

	if (!path_printable(arg, n))
		return ERR_PARSE;
	if (n == 0 || arg[0] != '/') {
		len = strlen(cwd);
		if (len >= FTP_PATH_MAX)
			return ERR_TOOBIG;
		memcpy(out, cwd, len);
	}
	for (i = 0; i <= n && e == OK; i++) {
		if (i < n && arg[i] != '/')
			continue;
		e = push(out, &len, arg + begin, i - begin);
		begin = i + 1;
	}
	out[e == OK ? len : 0] = '\0';
	return e;
}

bool
path_is_dropbox(const char *path)
{
	size_t n = sizeof(FTP_DROPBOX) - 1;

	return strncmp(path, FTP_DROPBOX, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

const char *
path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}
