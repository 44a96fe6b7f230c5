#include "ftp_reply.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define LOGIN_FAILURES 3
#define RFC_SERVICE "Atalaia update agent"

enum arg { ARG_NONE, ARG_MAYBE, ARG_NEEDED };

static void on_user(struct ftp_call *c);
static void on_pass(struct ftp_call *c);
static void on_quit(struct ftp_call *c);
static void on_type(struct ftp_call *c);
static void on_mode(struct ftp_call *c);
static void on_stru(struct ftp_call *c);
static void on_pasv(struct ftp_call *c);
static void on_epsv(struct ftp_call *c);
static void on_rest(struct ftp_call *c);
static void on_abor(struct ftp_call *c);
static void on_syst(struct ftp_call *c);
static void on_noop(struct ftp_call *c);
static void on_help(struct ftp_call *c);
static void on_feat(struct ftp_call *c);
static void on_opts(struct ftp_call *c);
static void on_allo(struct ftp_call *c);
static void on_superfluous(struct ftp_call *c);

#define ANY (FTP_NEW | FTP_USER | FTP_READY)

/* Exact match; a NULL function is known and answered 502 (DESIGN section 12: passive only, nothing
 * but STOR ever writes). RFC 1123 4.1.3.1 asks for the X forms of the folder verbs. */
static const struct ftp_verb {
	char name[5];
	unsigned states;
	enum arg arg;
	void (*run)(struct ftp_call *c);
} verbs[] = {
	{ "USER", ANY, ARG_NEEDED, on_user },
	{ "PASS", ANY, ARG_MAYBE, on_pass },
	{ "ACCT", ANY, ARG_NEEDED, on_superfluous },
	{ "QUIT", ANY, ARG_NONE, on_quit },
	{ "NOOP", ANY, ARG_MAYBE, on_noop },
	{ "SYST", ANY, ARG_NONE, on_syst },
	{ "FEAT", ANY, ARG_NONE, on_feat },
	{ "HELP", ANY, ARG_MAYBE, on_help },
	{ "OPTS", ANY, ARG_NEEDED, on_opts },
	{ "TYPE", FTP_READY, ARG_NEEDED, on_type },
	{ "MODE", FTP_READY, ARG_NEEDED, on_mode },
	{ "STRU", FTP_READY, ARG_NEEDED, on_stru },
	{ "ALLO", FTP_READY, ARG_NEEDED, on_allo },
	{ "PASV", FTP_READY, ARG_NONE, on_pasv },
	{ "EPSV", FTP_READY, ARG_MAYBE, on_epsv },
	{ "REST", FTP_READY, ARG_NEEDED, on_rest },
	{ "RETR", FTP_READY, ARG_NEEDED, on_retr },
	{ "STOR", FTP_READY, ARG_NEEDED, on_stor },
	{ "ABOR", FTP_READY, ARG_NONE, on_abor },
	{ "LIST", FTP_READY, ARG_MAYBE, on_list },
	{ "NLST", FTP_READY, ARG_MAYBE, on_nlst },
	{ "MLSD", FTP_READY, ARG_MAYBE, on_mlsd },
	{ "MLST", FTP_READY, ARG_MAYBE, on_mlst },
	{ "STAT", FTP_READY, ARG_MAYBE, on_stat },
	{ "SIZE", FTP_READY, ARG_NEEDED, on_size },
	{ "MDTM", FTP_READY, ARG_NEEDED, on_mdtm },
	{ "CWD", FTP_READY, ARG_NEEDED, on_cwd },
	{ "XCWD", FTP_READY, ARG_NEEDED, on_cwd },
	{ "CDUP", FTP_READY, ARG_NONE, on_cdup },
	{ "XCUP", FTP_READY, ARG_NONE, on_cdup },
	{ "PWD", FTP_READY, ARG_NONE, on_pwd },
	{ "XPWD", FTP_READY, ARG_NONE, on_pwd },
	{ "PORT", ANY, ARG_MAYBE, NULL },
	{ "EPRT", ANY, ARG_MAYBE, NULL },
	{ "SITE", ANY, ARG_MAYBE, NULL },
	{ "APPE", ANY, ARG_MAYBE, on_appe },
	{ "STOU", ANY, ARG_MAYBE, NULL },
	{ "RNFR", ANY, ARG_MAYBE, NULL },
	{ "RNTO", ANY, ARG_MAYBE, NULL },
	{ "DELE", ANY, ARG_MAYBE, NULL },
	{ "MKD", ANY, ARG_MAYBE, NULL },
	{ "XMKD", ANY, ARG_MAYBE, NULL },
	{ "RMD", ANY, ARG_MAYBE, NULL },
	{ "XRMD", ANY, ARG_MAYBE, NULL },
	{ "SMNT", ANY, ARG_MAYBE, NULL },
	{ "REIN", ANY, ARG_MAYBE, NULL },
	{ "MFMT", ANY, ARG_MAYBE, NULL },
	{ "AUTH", ANY, ARG_MAYBE, NULL },
	{ "ADAT", ANY, ARG_MAYBE, NULL },
	{ "PBSZ", ANY, ARG_MAYBE, NULL },
	{ "PROT", ANY, ARG_MAYBE, NULL },
	{ "CCC", ANY, ARG_MAYBE, NULL },
	{ "LANG", ANY, ARG_MAYBE, NULL },
	{ "HOST", ANY, ARG_MAYBE, NULL },
	{ "CLNT", ANY, ARG_MAYBE, NULL },
};

void
ftp_session_init(struct ftp_session *s, bool ipv6, bool dropbox)
{
	*s = (struct ftp_session){ .state = FTP_NEW, .facts = FACT_ALL };
	s->ipv6 = ipv6;
	s->dropbox = dropbox;
}

void
ftp_session_free(struct ftp_session *s)
{
	free(s->cwd);
	free(s->target);
	s->cwd = s->target = NULL;
}

const char *
ftp_session_cwd(const struct ftp_session *s)
{
	return s->cwd != NULL ? s->cwd : "";
}

void
ftp_session_greet(struct ftp_session *s, struct buf *out)
{
	ftp_reply(s, out, R_GREETING, RFC_SERVICE " ready: anonymous, passive only.");
}

/* The verb is letters up to the first space; everything behind that space is the argument. */
static const struct ftp_verb *
verb_find(const char *line, size_t n, size_t *verb_len)
{
	size_t i, len = 0;

	while (len < n && line[len] != ' ')
		len++;
	*verb_len = len;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (text_eq_nocase(line, len, verbs[i].name))
			return &verbs[i];
	}
	return NULL;
}

static void
dispatch(const struct ftp_verb *v, struct ftp_call *c)
{
	if (v->run == NULL)
		ftp_reply(c->s, c->out, R_NOT_IMPLEMENTED, "%s is not offered here.", v->name);
	else if ((v->states & c->s->state) == 0)
		ftp_reply(c->s, c->out, R_NOT_LOGGED_IN, "Log in with USER anonymous first.");
	else if (v->arg == ARG_NONE && c->n > 0)
		ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "%s takes no argument.", v->name);
	else if (v->arg == ARG_NEEDED && c->n == 0)
		ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "%s needs an argument.", v->name);
	else
		v->run(c);
}

/* Not memset: two paths of a kilobyte for every NOOP. */
static void
wish_clear(struct ftp_wish *w)
{
	w->want = FTP_NOTHING;
	w->listing = LISTING_LONG;
	w->extended = w->ascii = w->append = false;
	w->rest = w->announced = 0;
	w->facts = 0;
	w->path[0] = w->prefix[0] = '\0';
}

void
ftp_session_line(
    struct ftp_session *s, const char *line, size_t n, struct buf *out, struct ftp_wish *wish)
{
	struct ftp_call c = { .s = s, .out = out, .wish = wish };
	const struct ftp_verb *v;
	size_t len;

	wish_clear(wish);
	if (s->state == FTP_GONE || s->broken)
		return;
	v = verb_find(line, n, &len);
	c.arg = line + (len < n ? len + 1 : n);
	c.n = len < n ? n - len - 1 : 0;
	if (v == NULL)
		ftp_reply(s, out, R_SYNTAX, "Command not understood.");
	else if (!path_printable(c.arg, c.n))
		ftp_reply(s, out, R_BAD_ARGUMENT, "Control characters are not accepted.");
	else
		dispatch(v, &c);
	if (s->state == FTP_GONE)
		wish->want = FTP_CLOSE;
	s->pending = wish->want;
	s->listing = wish->listing;
	s->extended = wish->extended;
	s->busy = wish->want != FTP_NOTHING && wish->want != FTP_ABORT && wish->want != FTP_CLOSE;
}

void
ftp_session_long(struct ftp_session *s, struct buf *out)
{
	ftp_reply(s, out, R_SYNTAX, "The line is longer than %d bytes.", LIMIT_FTP_LINE);
}

bool
ftp_session_is_abort(const char *line, size_t n)
{
	return text_eq_nocase(line, n, "ABOR");
}

bool
ftp_session_is_stat(const char *line, size_t n)
{
	return text_eq_nocase(line, n, "STAT");
}

/* RFC 1635: the password of anonymous is an address; whatever it is, it is not looked at. */
static void
on_user(struct ftp_call *c)
{
	c->s->anonymous =
	    text_eq_nocase(c->arg, c->n, "anonymous") || text_eq_nocase(c->arg, c->n, "ftp");
	c->s->state = FTP_USER;
	ftp_reply(c->s, c->out, R_NEED_PASSWORD, "Any password will do for anonymous.");
}

static void
on_pass(struct ftp_call *c)
{
	if (c->s->state == FTP_NEW) {
		ftp_reply(c->s, c->out, R_BAD_SEQUENCE, "USER comes first.");
	} else if (c->s->state == FTP_READY) {
		ftp_reply(c->s, c->out, R_SUPERFLUOUS, "Logged in already.");
	} else if (c->s->anonymous) {
		c->s->state = FTP_READY;
		ftp_reply(c->s, c->out, R_LOGGED_IN, "Logged in.");
	} else if (++c->s->failures >= LOGIN_FAILURES) {
		c->s->state = FTP_GONE;
		ftp_reply(c->s, c->out, R_UNAVAILABLE, "Too many wrong names, closing.");
	} else {
		c->s->state = FTP_NEW;
		ftp_reply(c->s, c->out, R_NOT_LOGGED_IN, "Only anonymous is known here.");
	}
}

static void
on_quit(struct ftp_call *c)
{
	c->s->state = FTP_GONE;
	ftp_reply(c->s, c->out, R_GOODBYE, "Goodbye.");
}

static void
on_type(struct ftp_call *c)
{
	bool ascii = text_eq_nocase(c->arg, c->n, "A") || text_eq_nocase(c->arg, c->n, "A N");
	bool image = text_eq_nocase(c->arg, c->n, "I") || text_eq_nocase(c->arg, c->n, "L 8");

	if (!ascii && !image) {
		ftp_reply(c->s, c->out, R_BAD_PARAMETER, "Types are A, I and L 8.");
		return;
	}
	c->s->image = image;
	ftp_reply(c->s, c->out, R_OK, "Type is %s.", image ? "image" : "ASCII");
}

static void
on_mode(struct ftp_call *c)
{
	if (text_eq_nocase(c->arg, c->n, "S"))
		ftp_reply(c->s, c->out, R_OK, "Mode is stream.");
	else
		ftp_reply(c->s, c->out, R_BAD_PARAMETER, "Only mode S is offered.");
}

static void
on_stru(struct ftp_call *c)
{
	if (text_eq_nocase(c->arg, c->n, "F"))
		ftp_reply(c->s, c->out, R_OK, "Structure is file.");
	else
		ftp_reply(c->s, c->out, R_BAD_PARAMETER, "Only structure F is offered.");
}

static void
on_pasv(struct ftp_call *c)
{
	if (c->s->epsv_all) { /* RFC 2428 section 4 */
		ftp_reply(c->s, c->out, R_BAD_SEQUENCE, "EPSV ALL is in force.");
		return;
	}
	c->wish->want = FTP_PASSIVE;
	c->wish->extended = false;
}

static void
on_epsv(struct ftp_call *c)
{
	const char *ours = c->s->ipv6 ? "2" : "1";

	if (text_eq_nocase(c->arg, c->n, "ALL")) {
		c->s->epsv_all = true;
		ftp_reply(c->s, c->out, R_OK, "EPSV only from here on.");
		return;
	}
	if (c->n > 0 && !text_eq(c->arg, c->n, ours)) {
		if (c->n == 1 && (c->arg[0] == '1' || c->arg[0] == '2'))
			ftp_reply(
			    c->s, c->out, R_WRONG_PROTOCOL, "Wrong protocol, use (%s).", ours);
		else
			ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "EPSV takes 1, 2 or ALL.");
		return;
	}
	c->wish->want = FTP_PASSIVE;
	c->wish->extended = true;
}

static void
on_rest(struct ftp_call *c)
{
	uint64_t at;

	if (text_u64(c->arg, c->n, INT64_MAX, &at) != OK) {
		ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "REST takes a number of bytes.");
		return;
	}
	c->s->rest = at;
	ftp_reply(c->s, c->out, R_PENDING, "Restarting at %llu.", (unsigned long long)at);
}

static void
on_abor(struct ftp_call *c)
{
	c->s->rest = 0;
	c->wish->want = FTP_ABORT;
	ftp_reply(c->s, c->out, R_TRANSFER_DONE, "No transfer is running.");
}

static void
on_syst(struct ftp_call *c)
{
	ftp_reply(c->s, c->out, R_SYSTEM, "UNIX Type: L8");
}

static void
on_noop(struct ftp_call *c)
{
	ftp_reply(c->s, c->out, R_OK, "OK.");
}

/* In stream mode the end of an upload is the end of the connection, which a sender that dies makes
 * as well. One that said before how long its file is cannot leave a shorter one behind. */
static void
on_allo(struct ftp_call *c)
{
	const char *end = memchr(c->arg, ' ', c->n); /* RFC 959: "R" and a record size may follow */
	uint64_t n;

	if (text_u64(c->arg, end != NULL ? (size_t)(end - c->arg) : c->n, INT64_MAX, &n) != OK) {
		ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "ALLO takes a number of bytes.");
		return;
	}
	c->s->announced = n;
	ftp_reply(c->s, c->out, R_OK, "An upload shorter than that is not kept.");
}

static void
on_superfluous(struct ftp_call *c)
{
	ftp_reply(c->s, c->out, R_SUPERFLUOUS, "Not needed here.");
}

static void
on_help(struct ftp_call *c)
{
	size_t i, column = 0;

	ftp_raw(c->s, c->out, "214-These commands are offered:\r\n");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verbs[i].run == NULL)
			continue;
		ftp_raw(c->s, c->out, " %-4s%s", verbs[i].name, column % 8 == 7 ? "\r\n" : "");
		column++;
	}
	ftp_raw(c->s, c->out, "%s", column % 8 != 0 ? "\r\n" : "");
	ftp_reply(
	    c->s, c->out, R_HELP, "Files are read only; folder " FTP_DROPBOX " may take uploads.");
}

static void
facts_text(struct ftp_session *s, struct buf *out, bool stars)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} facts[] = { { "type", FACT_TYPE }, { "size", FACT_SIZE }, { "modify", FACT_MODIFY },
		{ "perm", FACT_PERM } };
	size_t i;

	for (i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		bool on = (s->facts & facts[i].bit) != 0;

		if (stars || on)
			ftp_raw(s, out, "%s%s;", facts[i].name, stars && on ? "*" : "");
	}
}

static void
on_feat(struct ftp_call *c)
{
	ftp_raw(c->s, c->out, "211-Features:\r\n EPSV\r\n MDTM\r\n MLST ");
	facts_text(c->s, c->out, true);
	ftp_raw(c->s, c->out, "\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n");
	ftp_reply(c->s, c->out, R_STATUS, "End");
}

/* RFC 3659 section 7.9: unknown facts are ignored, what is not named is switched off. */
static void
opts_mlst(struct ftp_call *c, const char *p, size_t n)
{
	size_t begin = 0, i;
	uint8_t facts = 0;

	for (i = 0; i <= n; i++) {
		if (i < n && p[i] != ';')
			continue;
		if (text_eq_nocase(p + begin, i - begin, "type"))
			facts |= FACT_TYPE;
		else if (text_eq_nocase(p + begin, i - begin, "size"))
			facts |= FACT_SIZE;
		else if (text_eq_nocase(p + begin, i - begin, "modify"))
			facts |= FACT_MODIFY;
		else if (text_eq_nocase(p + begin, i - begin, "perm"))
			facts |= FACT_PERM;
		begin = i + 1;
	}
	c->s->facts = facts;
	ftp_raw(c->s, c->out, "200 MLST OPTS%s", facts != 0 ? " " : "");
	facts_text(c->s, c->out, false);
	ftp_raw(c->s, c->out, "\r\n");
}

static void
on_opts(struct ftp_call *c)
{
	if (text_eq_nocase(c->arg, c->n, "UTF8 ON") || text_eq_nocase(c->arg, c->n, "UTF8") ||
	    text_eq_nocase(c->arg, c->n, "UTF-8 ON"))
		ftp_reply(c->s, c->out, R_OK, "UTF-8 is always on.");
	else if (text_eq_nocase(c->arg, c->n, "MLST"))
		opts_mlst(c, "", 0);
	else if (c->n > 5 && text_eq_nocase(c->arg, 5, "MLST "))
		opts_mlst(c, c->arg + 5, c->n - 5);
	else
		ftp_reply(c->s, c->out, R_BAD_ARGUMENT, "That option is not known.");
}
