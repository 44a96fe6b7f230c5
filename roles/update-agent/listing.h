/* listing.h - folders as text, in the forms of LIST, NLST and MLSD. The formatter is pure; the
 * reader blocks (worker only). */
#ifndef ATALAIA_UA_LISTING_H
#define ATALAIA_UA_LISTING_H

#include "ftp_session.h"

struct listing_entry {
	const char *name;
	bool is_folder, is_dropbox;
	uint64_t size;
	int64_t mtime;
};

struct listing_form {
	enum ftp_listing form;
	uint8_t facts;
	const char *prefix; /* for LISTING_NAMES; may be NULL */
	int64_t now;	    /* seconds; LIST shows the year of old files */
};

MUST_CHECK enum err listing_line(
    struct buf *out, const struct listing_form *form, const struct listing_entry *e);
/* The facts alone, "type=file;size=3; " without name. type: "file", "dir", "cdir". */
MUST_CHECK enum err listing_facts(
    struct buf *out, uint8_t facts, const char *type, const struct listing_entry *e);
/* Reads the folder open at fd (which it closes) and appends all lines, sorted by name. Only regular
 * files and folders whose names can be printed are there. hidden: a name that is left out, or NULL.
 */
MUST_CHECK enum err listing_folder(
    struct buf *out, const struct listing_form *form, int fd, const char *hidden);

#endif
