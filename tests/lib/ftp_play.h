/* ftp_play.h - plays bytes through ftp_input and ftp_session against a made-up tree, for golden
 * cases and the fuzzer. The tree: /a.txt (5 bytes), /d (folder), /d/b (0 bytes). Replies and wishes
 * are written to one transcript. Code in a header: only the update agent's tests can compile it. */
#ifndef ATALAIA_TEST_FTP_PLAY_H
#define ATALAIA_TEST_FTP_PLAY_H

#include "ftp_input.h"
#include "ftp_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ftp_play {
	struct ftp_session session;
	struct ftp_input input;
	bool listening, closed;
	struct buf transcript;
};

static inline void
ftp_play_open(struct ftp_play *p, bool ipv6, bool dropbox)
{
	memset(p, 0, sizeof(*p));
	ftp_session_init(&p->session, ipv6, dropbox);
	ftp_input_init(&p->input);
	buf_init(&p->transcript, 4u << 20);
}

static inline void
ftp_play_close(struct ftp_play *p)
{
	ftp_session_free(&p->session);
	ftp_input_free(&p->input);
	buf_free(&p->transcript);
}

static inline void
ftp_play_say(struct ftp_play *p, struct buf *out)
{
	if (buf_append(&p->transcript, buf_text(out), out->len) != OK)
		abort();
	buf_reset(out);
}

static inline void
ftp_play_outcome(struct ftp_play *p, const struct ftp_outcome *o, struct buf *out)
{
	ftp_session_outcome(&p->session, o, out);
	ftp_play_say(p, out);
}

static inline bool
ftp_play_is(const struct ftp_wish *w, const char *path)
{
	return strcmp(w->path, path) == 0;
}

static inline void
ftp_play_transfer(struct ftp_play *p, const struct ftp_wish *w, struct buf *out)
{
	struct ftp_outcome o = { .kind = FTP_STARTED };
	bool file = ftp_play_is(w, "a.txt") || ftp_play_is(w, "d/b");
	bool folder = ftp_play_is(w, "") || ftp_play_is(w, "d") || ftp_play_is(w, FTP_DROPBOX);

	if (!p->listening)
		o.kind = FTP_NO_LISTENER;
	else if (w->want == FTP_SEND && !file)
		o.kind = FTP_ABSENT;
	else if (w->want == FTP_LIST && !file && !folder)
		o.kind = FTP_ABSENT;
	else if (w->want == FTP_SEND && w->rest > (ftp_play_is(w, "a.txt") ? 5u : 0u))
		o.kind = FTP_BAD_REST;
	p->listening = false;
	ftp_play_outcome(p, &o, out);
	if (o.kind != FTP_STARTED)
		return;
	o.kind = FTP_DONE;
	ftp_play_outcome(p, &o, out);
}

static inline void
ftp_play_wish(struct ftp_play *p, const struct ftp_wish *w, struct buf *out)
{
	struct ftp_outcome o = { .kind = FTP_DONE,
		.address = { 127, 0, 0, 1 },
		.port = 5000,
		.mtime = 1700000000,
		.text = "type=file;size=5; /a.txt" };
	bool folder = ftp_play_is(w, "") || ftp_play_is(w, "d");

	switch (w->want) {
	case FTP_PASSIVE:
		p->listening = true;
		if (p->session.ipv6 && !w->extended)
			o.kind = FTP_WRONG_FAMILY;
		break;
	case FTP_FOLDER:
		o.kind = folder ? FTP_DONE : FTP_ABSENT;
		break;
	case FTP_SIZE:
	case FTP_TIME:
	case FTP_FACTS:
		o.size = ftp_play_is(w, "a.txt") ? 5 : 0;
		if (!ftp_play_is(w, "a.txt") && !ftp_play_is(w, "d/b"))
			o.kind = FTP_ABSENT;
		break;
	case FTP_HAVE:
		o.size = 7;
		break;
	case FTP_LIST:
		o.text = " a.txt\r\n";
		if (w->listing == LISTING_STAT)
			break;
		/* fall through */
	default:
		ftp_play_transfer(p, w, out);
		return;
	}
	ftp_play_outcome(p, &o, out);
}

static inline void
ftp_play_line(struct ftp_play *p, const char *line, size_t n, bool too_long)
{
	static const char *const names[] = { "NOTHING", "PASSIVE", "FOLDER", "SIZE", "TIME",
		"FACTS", "SEND", "LIST", "STORE", "HAVE", "ABORT", "CLOSE" };
	struct ftp_wish w = { .want = FTP_NOTHING };
	struct buf out;

	buf_init(&out, 65536);
	if (too_long)
		ftp_session_long(&p->session, &out);
	else
		ftp_session_line(&p->session, line, n, &out, &w);
	ftp_play_say(p, &out);
	p->closed = w.want == FTP_CLOSE;
	if (w.want == FTP_ABORT)
		p->listening = false;
	if (w.want != FTP_NOTHING && w.want < FTP_ABORT) {
		enum err e = buf_printf(
		    &p->transcript, "<%s %s", names[w.want], w.want == FTP_PASSIVE ? "" : w.path);

		if (e == OK && w.want == FTP_STORE && w.append)
			e = buf_puts(&p->transcript, " append");
		else if (e == OK && w.want == FTP_STORE && w.rest > 0)
			e = buf_printf(&p->transcript, " %llu", (unsigned long long)w.rest);
		if (e != OK || buf_puts(&p->transcript, ">\n") != OK)
			abort();
		ftp_play_wish(p, &w, &out);
	}
	buf_free(&out);
}

static inline void
ftp_play_bytes(struct ftp_play *p, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	size_t used;

	while (n > 0 && !p->closed) {
		enum ftp_input_result r = ftp_input_feed(&p->input, b, n, &used);

		b += used;
		n -= used;
		if (r == FTP_INPUT_LINE || r == FTP_INPUT_LONG)
			ftp_play_line(
			    p, buf_text(&p->input.line), p->input.line.len, r == FTP_INPUT_LONG);
		ftp_input_release(&p->input);
	}
}

#endif
