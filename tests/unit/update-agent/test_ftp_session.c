/* The FTP machine against its golden table: each case whole, cut in two at every byte, and byte by
 * byte. */
#include "base/limits.h"
#include "ftp_play.h"
#include "test.h"

struct golden {
	const char *name;
	bool ipv6, dropbox;
	const char *in;
	const char *out;
};

#define LOGIN "USER anonymous\r\nPASS x@\r\n"
#define IN "331 Any password will do for anonymous.\r\n230 Logged in.\r\n"
#define GONE "550 No such file or folder.\r\n"
#define PASV_IN "PASV\r\n"
#define PASV_OUT "<PASSIVE >\n227 Passive mode (127,0,0,1,19,136).\r\n"
#define MOVED "150 Data connection is open.\r\n226 Transfer complete.\r\n"

#define TICKET                                                                                     \
	"00112233445566778899aabbccddeeff"                                                         \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct golden table[] = {
	{ "login", false, false, LOGIN, IN },
	{ "login as ftp, lower case, bare LF", false, false, "user FTP\npass\n", IN },
	{ "other user", false, false,
	    "USER root\r\nPASS a\r\nUSER root\r\nPASS b\r\nUSER x\r\nPASS c\r\nNOOP\r\n",
	    "331 Any password will do for anonymous.\r\n530 Only anonymous is known here.\r\n"
	    "331 Any password will do for anonymous.\r\n530 Only anonymous is known here.\r\n"
	    "331 Any password will do for anonymous.\r\n421 Too many wrong names, closing.\r\n" },
	{ "pass first", false, false, "PASS x\r\n", "503 USER comes first.\r\n" },
	{ "before login", false, false, "RETR a.txt\r\nPASV\r\nLIST\r\nCWD /\r\nNOOP\r\nSYST\r\n",
	    "530 Log in with USER anonymous first.\r\n530 Log in with USER anonymous first.\r\n"
	    "530 Log in with USER anonymous first.\r\n530 Log in with USER anonymous first.\r\n"
	    "200 OK.\r\n215 UNIX Type: L8\r\n" },
	{ "pass again", false, false, LOGIN "PASS y\r\nACCT z\r\n",
	    IN "202 Logged in already.\r\n202 Not needed here.\r\n" },
	{ "not offered", false, false,
	    LOGIN "PORT 127,0,0,1,1,1\r\nEPRT |1|127.0.0.1|99|\r\nSITE EXEC id\r\nAPPE x\r\nRNFR "
		  "a\r\nRNTO b\r\n"
		  "DELE a.txt\r\nMKD x\r\nRMD d\r\nAUTH TLS\r\nSTOU\r\n",
	    IN "502 PORT is not offered here.\r\n502 EPRT is not offered here.\r\n502 SITE is not "
	       "offered here.\r\n"
	       "502 APPE is not offered here.\r\n502 RNFR is not offered here.\r\n502 RNTO is not "
	       "offered here.\r\n"
	       "502 DELE is not offered here.\r\n502 MKD is not offered here.\r\n502 RMD is not "
	       "offered here.\r\n"
	       "502 AUTH is not offered here.\r\n502 STOU is not offered here.\r\n" },
	{ "unknown", false, false, LOGIN "FOO\r\n\r\nRETRX a\r\nRET a\r\n  NOOP\r\n",
	    IN "500 Command not understood.\r\n500 Command not understood.\r\n500 Command not "
	       "understood.\r\n"
	       "500 Command not understood.\r\n500 Command not understood.\r\n" },
	{ "types", false, false,
	    LOGIN "TYPE I\r\nTYPE A N\r\nTYPE L 8\r\nTYPE E\r\nTYPE L 7\r\nTYPE\r\nMODE S\r\nMODE "
		  "B\r\nSTRU F\r\nSTRU R\r\n",
	    IN
	    "200 Type is image.\r\n200 Type is ASCII.\r\n200 Type is image.\r\n504 Types are A, I "
	    "and L 8.\r\n"
	    "504 Types are A, I and L 8.\r\n501 TYPE needs an argument.\r\n200 Mode is stream.\r\n"
	    "504 Only mode S is offered.\r\n200 Structure is file.\r\n504 Only structure F is "
	    "offered.\r\n" },
	{ "retr", false, false, LOGIN "TYPE I\r\nPASV\r\nRETR a.txt\r\nRETR a.txt\r\n",
	    IN "200 Type is image.\r\n" PASV_OUT "<SEND a.txt>\n" MOVED
	       "<SEND a.txt>\n425 Use EPSV or PASV first.\r\n" },
	{ "retr absent", false, false, LOGIN PASV_IN "RETR nothing\r\n",
	    IN PASV_OUT "<SEND nothing>\n" GONE },
	{ "rest", false, false,
	    LOGIN "TYPE I\r\nREST 5\r\nPASV\r\nRETR a.txt\r\nREST 6\r\nPASV\r\nRETR a.txt\r\n",
	    IN "200 Type is image.\r\n350 Restarting at 5.\r\n" PASV_OUT "<SEND a.txt>\n" MOVED
	       "350 Restarting at 6.\r\n" PASV_OUT
	       "<SEND a.txt>\n554 The file ends before that position.\r\n" },
	{ "rest garbage", false, false,
	    LOGIN "REST\r\nREST -1\r\nREST 1x\r\nREST 99999999999999999999\r\nREST  5\r\n",
	    IN "501 REST needs an argument.\r\n501 REST takes a number of bytes.\r\n501 REST takes "
	       "a number of bytes.\r\n"
	       "501 REST takes a number of bytes.\r\n501 REST takes a number of bytes.\r\n" },
	{ "rest in ascii", false, false, LOGIN "REST 1\r\nPASV\r\nRETR a.txt\r\n",
	    IN "350 Restarting at 1.\r\n" PASV_OUT "554 REST needs TYPE I.\r\n" },
	{ "size", false, false,
	    LOGIN "SIZE a.txt\r\nTYPE I\r\nSIZE a.txt\r\nSIZE /d/../a.txt\r\nSIZE "
		  "d\r\nSIZE\r\nMDTM a.txt\r\nMDTM 20260101000000 a.txt\r\n",
	    IN "550 SIZE needs TYPE I.\r\n200 Type is image.\r\n<SIZE a.txt>\n213 5\r\n<SIZE "
	       "a.txt>\n213 5\r\n<SIZE d>\n" GONE
	       "501 SIZE needs an argument.\r\n<TIME a.txt>\n213 20231114221320\r\n<TIME "
	       "20260101000000 a.txt>\n" GONE },
	{ "folders", false, false,
	    LOGIN
	    "PWD\r\nCWD d\r\nPWD\r\nCDUP\r\nPWD\r\nCWD nope\r\nCDUP\r\nXCWD /d\r\nXPWD\r\nXCUP\r\n",
	    IN "257 \"/\" is the current folder.\r\n<FOLDER d>\n250 Folder changed.\r\n257 \"/d\" "
	       "is the current folder.\r\n"
	       "<FOLDER >\n250 Folder changed.\r\n257 \"/\" is the current folder.\r\n<FOLDER "
	       "nope>\n" GONE "<FOLDER >\n250 Folder changed.\r\n<FOLDER d>\n250 Folder "
	       "changed.\r\n257 \"/d\" is the current folder.\r\n"
	       "<FOLDER >\n250 Folder changed.\r\n" },
	{ "lists", false, false,
	    LOGIN "PASV\r\nLIST -la\r\nPASV\r\nNLST -a -l d\r\nPASV\r\nMLSD d\r\nPASV\r\nLIST "
		  "*\r\nMLST a.txt\r\n",
	    IN PASV_OUT "<LIST >\n" MOVED PASV_OUT "<LIST d>\n" MOVED PASV_OUT
			"<LIST d>\n" MOVED PASV_OUT "<LIST *>\n" GONE
			"<FACTS a.txt>\n250-Facts:\r\n type=file;size=5; /a.txt\r\n250 End\r\n" },
	{ "stat", false, false, LOGIN "STAT\r\nSTAT d\r\n",
	    IN "211-Atalaia update agent: anonymous, type ASCII, no transfer.\r\n211 End\r\n<LIST "
	       "d>\n213-Status:\r\n a.txt\r\n213 End\r\n" },
	{ "feat and opts", false, false,
	    "FEAT\r\nOPTS UTF8 ON\r\nOPTS MLST size;perm;unknown\r\nFEAT\r\nOPTS MLST\r\nOPTS "
	    "NAPF\r\n",
	    "211-Features:\r\n EPSV\r\n MDTM\r\n MLST type*;size*;modify*;perm*;\r\n PASV\r\n REST "
	    "STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n"
	    "200 UTF-8 is always on.\r\n200 MLST OPTS size;perm;\r\n"
	    "211-Features:\r\n EPSV\r\n MDTM\r\n MLST type;size*;modify;perm*;\r\n PASV\r\n REST "
	    "STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n"
	    "200 MLST OPTS\r\n501 That option is not known.\r\n" },
	{ "epsv", false, false,
	    LOGIN "EPSV\r\nEPSV 1\r\nEPSV 2\r\nEPSV 3x\r\nEPSV ALL\r\nPASV\r\nEPSV\r\nPORT "
		  "1,2,3,4,5,6\r\n",
	    IN "<PASSIVE >\n229 Extended passive mode (|||5000|).\r\n<PASSIVE >\n229 Extended "
	       "passive mode (|||5000|).\r\n"
	       "522 Wrong protocol, use (1).\r\n501 EPSV takes 1, 2 or ALL.\r\n200 EPSV only from "
	       "here on.\r\n"
	       "503 EPSV ALL is in force.\r\n<PASSIVE >\n229 Extended passive mode "
	       "(|||5000|).\r\n502 PORT is not offered here.\r\n" },
	{ "ipv6", true, false, LOGIN "PASV\r\nEPSV 1\r\nEPSV 2\r\n",
	    IN "<PASSIVE >\n425 PASV has no form for IPv6, use EPSV.\r\n522 Wrong protocol, use "
	       "(2).\r\n"
	       "<PASSIVE >\n229 Extended passive mode (|||5000|).\r\n" },
	{ "abor idle", false, false, LOGIN "PASV\r\nABOR\r\nRETR a.txt\r\n",
	    IN PASV_OUT
	    "226 No transfer is running.\r\n<SEND a.txt>\n425 Use EPSV or PASV first.\r\n" },
	{ "telnet synch before abor", false, false,
	    LOGIN "\xff\xf4\xff\xf2"
		  "ABOR\r\nNO\xff\xfb\x01OP\r\n\xff\xfa\x18\x01"
		  "A\xff\xf0NOOP\r\n",
	    IN "226 No transfer is running.\r\n200 OK.\r\n200 OK.\r\n" },
	{ "escaped IAC is a byte", false, false, LOGIN "CWD \xff\xff\r\n",
	    IN "<FOLDER \xff>\n" GONE },
	{ "control bytes", false, false,
	    LOGIN "CWD a\tb\r\nRETR a\r.txt\r\nCWD \x7f\r\nCWD \xc2\x9b"
		  "31m\r\nNO\rOP\r\n",
	    IN "501 Control characters are not accepted.\r\n501 Control characters are not "
	       "accepted.\r\n"
	       "501 Control characters are not accepted.\r\n501 Control characters are not "
	       "accepted.\r\n500 Command not understood.\r\n" },
	{ "no argument", false, false, LOGIN "PWD x\r\nPASV 1\r\nQUIT now\r\nNOOP x\r\n",
	    IN "501 PWD takes no argument.\r\n501 PASV takes no argument.\r\n501 QUIT takes no "
	       "argument.\r\n200 OK.\r\n" },
	{ "quit", false, false, LOGIN "QUIT\r\nNOOP\r\n", IN "221 Goodbye.\r\n" },
	{ "stor off", false, false, LOGIN "PASV\r\nSTOR /incoming/x\r\nCWD incoming\r\nSTOR x\r\n",
	    IN PASV_OUT "550 Uploads are not taken here.\r\n" GONE
			"550 Uploads are not taken here.\r\n" },
	{ "stor", false, true,
	    LOGIN "PASV\r\nSTOR /incoming/x\r\nSTOR x\r\nSTOR /incoming/a/b\r\nSTOR "
		  "/incoming\r\nSTOR /incoming/../x\r\nREST 1\r\nSTOR /incoming/x\r\n",
	    IN PASV_OUT "<STORE incoming/x>\n" MOVED
			"553 Uploads go to /incoming/ only.\r\n553 Uploads go to /incoming/ "
			"only.\r\n553 Uploads go to /incoming/ only.\r\n"
			"553 Uploads go to /incoming/ only.\r\n350 Restarting at 1.\r\n554 "
			"Only an upload with a ticket goes on.\r\n" },
	{ "a ticket", false, true,
	    LOGIN "APPE /incoming/" TICKET "-x\r\nTYPE I\r\nSIZE incoming/" TICKET
		  "-x\r\nPASV\r\nREST 7\r\nSTOR incoming/" TICKET "-x\r\nMDTM incoming/" TICKET
		  "-x\r\nSIZE incoming/" TICKET "\r\nSIZE incoming/" TICKET
		  "-\r\nSIZE incoming/0" TICKET "-x\r\nSIZE " TICKET
		  "-x\r\nAPPE incoming/x\r\nAPPE " TICKET "-x\r\nAPPE\r\n",
	    IN "<STORE incoming/" TICKET "-x append>\n425 Use EPSV or PASV first.\r\n200 Type is "
	       "image.\r\n<HAVE incoming/" TICKET "-x>\n213 7\r\n" PASV_OUT
	       "350 Restarting at 7.\r\n<STORE incoming/" TICKET "-x 7>\n" MOVED GONE GONE GONE GONE
	       "<SIZE " TICKET "-x>\n" GONE
	       "502 APPE is not offered here.\r\n502 APPE is not offered "
	       "here.\r\n502 APPE is not offered here.\r\n" },
	{ "a ticket without a drop box", false, false,
	    LOGIN "TYPE I\r\nSIZE incoming/" TICKET "-x\r\nAPPE incoming/" TICKET "-x\r\n",
	    IN "200 Type is image.\r\n" GONE "502 APPE is not offered here.\r\n" },
	{ "drop box is blind", false, true,
	    LOGIN "TYPE I\r\nCWD incoming\r\nPWD\r\nPASV\r\nSTOR y\r\nPASV\r\nRETR y\r\nSIZE "
		  "y\r\nMDTM y\r\nMLST y\r\nMLST\r\nLIST\r\nLIST y\r\nCWD y\r\n",
	    IN "200 Type is image.\r\n250 Folder changed.\r\n257 \"/incoming\" is the current "
	       "folder.\r\n" PASV_OUT "<STORE incoming/y>\n" MOVED PASV_OUT GONE GONE GONE GONE GONE
	       "<LIST incoming>\n" MOVED GONE GONE },
	{ "quotes are doubled", false, false, LOGIN "CWD a\"b\r\n", IN "<FOLDER a\"b>\n" GONE },
	{ "allo", false, false, LOGIN "ALLO 5\r\nALLO 5 R 3\r\nALLO x\r\nALLO\r\nHELP RETR\r\n",
	    IN "200 An upload shorter than that is not kept.\r\n200 An upload shorter than that is "
	       "not "
	       "kept.\r\n501 ALLO takes a number of bytes.\r\n501 ALLO needs an "
	       "argument.\r\n214-These commands are "
	       "offered:\r\n"
	       " USER PASS ACCT QUIT NOOP SYST FEAT HELP\r\n OPTS TYPE MODE STRU ALLO PASV EPSV "
	       "REST\r\n"
	       " RETR STOR ABOR LIST NLST MLSD MLST STAT\r\n SIZE MDTM CWD  XCWD CDUP XCUP PWD  "
	       "XPWD\r\n APPE\r\n"
	       "214 Files are read only; folder incoming may take uploads.\r\n" },
};

static void
play(const struct golden *g, const size_t *cuts, size_t n_cuts)
{
	size_t n = strlen(g->in), at = 0, i;
	struct ftp_play p;

	ftp_play_open(&p, g->ipv6, g->dropbox);
	for (i = 0; i < n_cuts; i++) {
		ftp_play_bytes(&p, g->in + at, cuts[i] - at);
		at = cuts[i];
	}
	ftp_play_bytes(&p, g->in + at, n - at);
	if (strcmp(buf_text(&p.transcript), g->out) != 0)
		print_error("case '%s', %zu cuts, first at %zu\n", g->name, n_cuts,
		    n_cuts > 0 ? cuts[0] : 0);
	assert_string_equal(buf_text(&p.transcript), g->out);
	ftp_play_close(&p);
}

static void
golden_cases(void **state)
{
	static size_t every[4096];
	size_t i, cut;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct golden *g = &table[i];
		size_t n = strlen(g->in);

		play(g, NULL, 0);
		for (cut = 0; cut <= n; cut++) {
			play(g, &cut, 1);
			every[cut] = cut;
		}
		play(g, every, n + 1);
	}
}

static void
nul_in_a_line(void **state)
{
	struct ftp_play p;

	ftp_play_open(&p, false, false);
	ftp_play_bytes(&p, "NOOP\0\r\nNO\0OP\r\nNOOP\r\nOPTS a\0b\r\n", 30);
	assert_string_equal(buf_text(&p.transcript),
	    "500 Command not understood.\r\n500 Command not understood.\r\n200 OK.\r\n"
	    "501 Control characters are not accepted.\r\n");
	ftp_play_close(&p);
}

static void
long_lines(void **state)
{
	static const size_t sizes[] = { LIMIT_FTP_LINE - 4, LIMIT_FTP_LINE, LIMIT_FTP_LINE + 1,
		1u << 20 };
	static char line[1u << 20];
	struct ftp_play p;
	size_t i;

	memset(line, 'x', sizeof(line));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ftp_play_open(&p, false, false);
		ftp_play_bytes(&p, line, sizes[i]);
		ftp_play_bytes(&p, "\r\nNOOP\r\n", 8);
		assert_string_equal(buf_text(&p.transcript),
		    sizes[i] < LIMIT_FTP_LINE
			? "500 Command not understood.\r\n200 OK.\r\n"
			: "500 The line is longer than 4096 bytes.\r\n200 OK.\r\n");
		ftp_play_close(&p);
	}
}

static void
paths(void **state)
{
	static const struct {
		const char *cwd, *arg, *want; /* want NULL: refused */
	} cases[] = {
		{ "", "..", "" },
		{ "", "../..", "" },
		{ "", "/..", "" },
		{ "", "/../../etc/passwd", "etc/passwd" },
		{ "d", "..", "" },
		{ "d", "../../x", "x" },
		{ "d/e", "../f", "d/f" },
		{ "d", "/x", "x" },
		{ "d", ".", "d" },
		{ "d", "./x", "d/x" },
		{ "d", "x/.", "d/x" },
		{ "d", "x/./y", "d/x/y" },
		{ "", "//x", "x" },
		{ "", "/x//y/", "x/y" },
		{ "", "x/..", "" },
		{ "", "x/../..", "" },
		{ "", "...", "..." },
		{ "", ".. ", ".. " },
		{ "", "..\\..\\x", "..\\..\\x" },
		{ "", "%2e%2e/x", "%2e%2e/x" },
		{ "", "~root", "~root" },
		{ "", "C:/x", "C:/x" },
		{ "", "d/../../d", "d" },
		{ "a/b/c", "../../../../q", "q" },
		{ "", "\xc0\xae\xc0\xae/x", "\xc0\xae\xc0\xae/x" },
		{ "", "..\r/x", NULL },
		{ "", "a\x01", NULL },
		{ "", "/./../x", "x" },
		{ "", "", "" },
	};
	char out[FTP_PATH_MAX], big[FTP_PATH_MAX * 2];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e = path_resolve(out, cases[i].cwd, cases[i].arg, strlen(cases[i].arg));

		assert_int_equal(e, cases[i].want != NULL ? OK : ERR_PARSE);
		if (e == OK)
			assert_string_equal(out, cases[i].want);
	}
	memset(big, 'a', sizeof(big));
	assert_int_equal(path_resolve(out, "", big, 255), OK);
	assert_int_equal(path_resolve(out, "", big, 256), ERR_TOOBIG);
	for (i = 7; i < sizeof(big); i += 8)
		big[i] = '/';
	assert_int_equal(path_resolve(out, "", big, sizeof(big)), ERR_TOOBIG);
}

static void
dropbox_names(void **state)
{
	assert_true(path_is_dropbox("incoming"));
	assert_true(path_is_dropbox("incoming/x"));
	assert_false(path_is_dropbox("incomingx"));
	assert_false(path_is_dropbox("x/incoming"));
	assert_false(path_is_dropbox(""));
}

static void
abort_in_mid_transfer(void **state)
{
	struct ftp_session s;
	struct ftp_wish w;
	struct buf out;
	struct ftp_outcome o = { .kind = FTP_STARTED };

	buf_init(&out, 4096);
	ftp_session_init(&s, false, false);
	ftp_session_line(&s, "USER ftp", 8, &out, &w);
	ftp_session_line(&s, "PASS", 4, &out, &w);
	ftp_session_line(&s, "RETR a", 6, &out, &w);
	assert_true(s.busy);
	buf_reset(&out);
	assert_true(ftp_session_is_abort("abor", 4));
	assert_false(ftp_session_is_abort("ABOR x", 6));
	ftp_session_outcome(&s, &o, &out);
	assert_true(s.busy);
	ftp_session_progress(&s, 7, &out);
	o.kind = FTP_ABORTED;
	ftp_session_outcome(&s, &o, &out);
	assert_false(s.busy);
	ftp_session_line(&s, "ABOR", 4, &out, &w);
	assert_string_equal(buf_text(&out),
	    "150 Data connection is open.\r\n211 Transfer is running, 7 bytes so far.\r\n"
	    "426 Transfer aborted.\r\n226 No transfer is running.\r\n");
	ftp_session_free(&s);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_cases),
		cmocka_unit_test(nul_in_a_line),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(paths),
		cmocka_unit_test(dropbox_names),
		cmocka_unit_test(abort_in_mid_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
