#include "ftp_input.h"

#include "base/limits.h"

/* RFC 854 */
#define TELNET_SE 240
#define TELNET_SB 250
#define TELNET_WILL 251
#define TELNET_DONT 254
#define TELNET_IAC 255

enum { DATA, AFTER_IAC, OPTION, SUB, SUB_IAC };

void
ftp_input_init(struct ftp_input *in)
{
	*in = (struct ftp_input){ 0 };
	buf_init(&in->line, LIMIT_FTP_LINE);
}

void
ftp_input_free(struct ftp_input *in)
{
	buf_free(&in->line);
}

/* True when c is a byte of the line; Telnet commands are eaten here. */
static bool
telnet_filter(struct ftp_input *in, uint8_t c)
{
	switch (in->telnet) {
	case DATA:
		if (c != TELNET_IAC)
			return true;
		in->telnet = AFTER_IAC;
		return false;
	case AFTER_IAC:
		in->telnet = DATA;
		if (c == TELNET_IAC)
			return true;
		if (c >= TELNET_WILL && c <= TELNET_DONT)
			in->telnet = OPTION;
		else if (c == TELNET_SB)
			in->telnet = SUB;
		return false;
	case OPTION:
		in->telnet = DATA;
		return false;
	case SUB:
		if (c == TELNET_IAC)
			in->telnet = SUB_IAC;
		return false;
	default: /* SUB_IAC: only IAC SE ends it */
		in->telnet = c == TELNET_SE ? DATA : SUB;
		return false;
	}
}

static enum ftp_input_result
line_end(struct ftp_input *in)
{
	if (in->skipping) {
		in->skipping = false;
		buf_reset(&in->line);
		return FTP_INPUT_MORE;
	}
	if (in->line.len > 0 && in->line.data[in->line.len - 1] == '\r')
		in->line.data[--in->line.len] = '\0';
	in->complete = true;
	return FTP_INPUT_LINE;
}

static enum ftp_input_result
line_byte(struct ftp_input *in, uint8_t c)
{
	enum err e;

	if (in->skipping)
		return FTP_INPUT_MORE;
	e = buf_append(&in->line, &c, 1);
	if (e == OK)
		return FTP_INPUT_MORE;
	buf_reset(&in->line);
	if (e != ERR_TOOBIG)
		return FTP_INPUT_NOMEM;
	in->skipping = true;
	return FTP_INPUT_LONG;
}

enum ftp_input_result
ftp_input_feed(struct ftp_input *in, const uint8_t *p, size_t n, size_t *used)
{
	enum ftp_input_result r;
	size_t i;

	if (in->complete) {
		buf_reset(&in->line);
		in->complete = false;
	}
	for (i = 0; i < n; i++) {
		if (!telnet_filter(in, p[i]))
			continue;
		/* A bare CR stays in the line: the session refuses control bytes. */
		r = p[i] == '\n' ? line_end(in) : line_byte(in, p[i]);
		if (r != FTP_INPUT_MORE) {
			*used = i + 1;
			return r;
		}
	}
	*used = n;
	return FTP_INPUT_MORE;
}

bool
ftp_input_partial(const struct ftp_input *in)
{
	return in->skipping || in->telnet != DATA || (!in->complete && in->line.len > 0);
}

void
ftp_input_release(struct ftp_input *in)
{
	if (!ftp_input_partial(in)) {
		buf_free(&in->line);
		in->complete = false;
	}
}
