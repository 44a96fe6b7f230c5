/* ftp_path.h - names as clients write them, turned into paths below the served root. Pure.
 * The result never holds "..", ".", an empty component or a leading '/'; "" is the root. openat2
 * confines it a second time. FTP names are bytes; control characters are refused, never echoed. */
#ifndef ATALAIA_FTP_PATH_H
#define ATALAIA_FTP_PATH_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define FTP_PATH_MAX 1024

/* The folder of the drop box as clients see it: upload only, nothing below it can be read. */
#define FTP_DROPBOX "incoming"

/* cwd is an earlier result ("" = root). ".." above the root stays at the root, as RFC 959 servers
 * do. ERR_PARSE: control bytes; ERR_TOOBIG: longer than FTP_PATH_MAX or a component over 255. */
MUST_CHECK enum err path_resolve(
    char out[FTP_PATH_MAX], const char *cwd, const char *arg, size_t n);
/* The path is the drop box or below it. */
bool path_is_dropbox(const char *path);
/* No byte below 0x20, no DEL, no C1 control in UTF-8 form. */
bool path_printable(const char *p, size_t n);
/* The last component. */
const char *path_base(const char *path);

#endif
