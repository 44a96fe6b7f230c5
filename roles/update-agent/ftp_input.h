/* ftp_input.h - bytes of a control connection in, command lines out. Pure: no sockets, no clock.
 * Knows Telnet (RFC 854: IAC commands and options are swallowed, IAC IAC is byte 255), line ends
 * CRLF and LF, and lines past LIMIT_FTP_LINE, which are reported once and skipped to their end. */
#ifndef ATALAIA_FTP_INPUT_H
#define ATALAIA_FTP_INPUT_H

#include "base/buf.h"

#include <stdbool.h>

enum ftp_input_result {
	FTP_INPUT_MORE, /* every byte was taken and no line ended */
	FTP_INPUT_LINE, /* input->line holds one, without its end; valid until the next call */
	FTP_INPUT_LONG, /* a line passed the limit; the rest of it will be skipped silently */
	FTP_INPUT_NOMEM,
};

struct ftp_input {
	struct buf line;
	uint8_t telnet; /* where we are in a Telnet command */
	bool skipping;	/* in the tail of an oversize line */
	bool complete;	/* line was handed out and goes at the next call */
};

void ftp_input_init(struct ftp_input *in);
void ftp_input_free(struct ftp_input *in);
/* Takes bytes up to the end of one line; *used says how many. Call again with the rest. */
enum ftp_input_result ftp_input_feed(
    struct ftp_input *in, const uint8_t *p, size_t n, size_t *used);
/* True while the beginning of a line waits for its end: the deadline per line runs. */
bool ftp_input_partial(const struct ftp_input *in);
/* Gives the memory back when no line is begun: idle sessions are many. */
void ftp_input_release(struct ftp_input *in);

#endif
