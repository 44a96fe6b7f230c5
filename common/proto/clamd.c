#include "proto/clamd.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 65536 /* of INSTREAM; any size below StreamMaxLength will do */

static void
keep_text(struct clamd_reply *out, const char *p, size_t n)
{
	struct buf b;

	buf_init(&b, CLAMD_NAME - 1);
	if (text_printable(&b, (const uint8_t *)p, n, 60) == OK || b.len > 0)
		(void)snprintf(out->text, sizeof out->text, "%s", buf_text(&b));
	else
		(void)snprintf(out->text, sizeof out->text, "?");
	buf_free(&b);
}

static bool
ends_with(const char *p, size_t n, const char *tail, size_t *rest)
{
	size_t len = strlen(tail);

	if (n < len || memcmp(p + n - len, tail, len) != 0)
		return false;
	*rest = n - len;
	return true;
}

/* The last ": " parts what was scanned from the verdict; paths may hold it as well. */
static const char *
verdict(const char *p, size_t n)
{
	for (size_t i = n; i > 1; i--)
		if (p[i - 2] == ':' && p[i - 1] == ' ')
			return p + i;
	return p;
}

static enum err
take_id(struct clamd_reply *out, const char **p, size_t *n)
{
	const char *colon = memchr(*p, ':', *n);
	size_t len = colon != NULL ? (size_t)(colon - *p) : 0;

	if (colon == NULL || text_u32(*p, len, UINT32_MAX, &out->id) != OK || *n < len + 2 ||
	    colon[1] != ' ')
		return ERR_PARSE;
	out->has_id = true;
	*p += len + 2;
	*n -= len + 2;
	return OK;
}

enum err
clamd_parse(struct clamd_reply *out, const char *p, size_t n, bool session)
{
	const char *v;
	size_t rest, len;

	memset(out, 0, sizeof *out);
	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	if (n == 0 || (session && take_id(out, &p, &n) != OK))
		return ERR_PARSE;
	v = verdict(p, n);
	len = n - (size_t)(v - p);
	keep_text(out, p, n);
	if (text_eq(p, n, "PONG")) {
		out->kind = CLAMD_PONG;
	} else if (text_eq(p, n, "RELOADING")) {
		out->kind = CLAMD_RELOADING;
	} else if (n > 7 && memcmp(p, "ClamAV ", 7) == 0) {
		out->kind = CLAMD_VERSION;
	} else if (v != p && ends_with(v, len, " FOUND", &rest) && rest > 0) {
		out->kind = CLAMD_FOUND;
		keep_text(out, v, rest);
	} else if (v != p && text_eq(v, len, "OK")) {
		out->kind = CLAMD_CLEAN;
	} else {
		out->kind = ends_with(p, n, "ERROR", &rest) || text_eq(p, n, "UNKNOWN COMMAND") ||
				    text_eq(p, n, "COMMAND UNAVAILABLE") ||
				    text_eq(p, n, "COMMAND READ TIMED OUT")
				? CLAMD_FAILED
				: CLAMD_OTHER;
	}
	return OK;
}

enum err
clamd_parse_path(struct clamd_reply *out, const char *p, size_t n, size_t *path_len)
{
	enum err e = clamd_parse(out, p, n, false);
	const char *v = verdict(p, n);

	*path_len = 0;
	if (e != OK || n == 0 || p[0] != '/')
		return e;
	if (out->kind == CLAMD_FAILED) { /* what went wrong may hold ": " as well */
		for (size_t i = 1; i + 1 < n && *path_len == 0; i++)
			if (p[i] == ':' && p[i + 1] == ' ')
				*path_len = i;
	} else if (v != p) {
		*path_len = (size_t)(v - p) - 2;
	}
	return OK;
}

/* --- STATS --- */

/* The word after `name` in the text after `from`, NULL: none. */
static const char *
word_after(const char *from, const char *end, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *p = from; p != NULL && p + n < end; p++) {
		if (memcmp(p, name, n) != 0)
			continue;
		p += n;
		for (*len = 0; p + *len < end && strchr(" \t\n", p[*len]) == NULL;)
			(*len)++;
		return p;
	}
	return NULL;
}

static uint32_t
stats_number(const char *p, const char *end, const char *name)
{
	uint32_t v = 0;
	size_t len;
	const char *word = word_after(p, end, name, &len);

	return word != NULL && text_u32(word, len, UINT32_MAX, &v) == OK ? v : 0;
}

/* "1293.283M": mebibytes with three decimals; "N/A": 0. */
static uint64_t
stats_mebibytes(const char *p, const char *end, const char *name)
{
	uint32_t whole = 0, part = 0;
	size_t len = 0, point;
	const char *word = word_after(p, end, name, &len);

	if (word == NULL || len < 6 || word[len - 1] != 'M' || word[len - 5] != '.')
		return 0;
	point = len - 5;
	if (text_u32(word, point, 1u << 24, &whole) != OK ||
	    text_u32(word + point + 1, 1, 9, &part) != OK)
		return 0;
	return ((uint64_t)whole << 20) + ((uint64_t)part << 20) / 10;
}

enum err
clamd_stats_parse(struct clamd_stats *out, const char *p, size_t n)
{
	const char *end = p + n;

	*out = (struct clamd_stats){ 0 };
	if (n < 7 || memcmp(p, "POOLS: ", 7) != 0)
		return ERR_PARSE;
	out->threads = stats_number(p, end, "THREADS: live ");
	out->threads_max = stats_number(p, end, " max ");
	out->queue = stats_number(p, end, "QUEUE: ");
	out->memory = stats_mebibytes(p, end, "pools_total ") + stats_mebibytes(p, end, "heap ");
	return OK;
}

bool
clamd_is_marker(const char *signature, const char *feed, uint64_t version)
{
	char want[CLAMD_NAME], loose[CLAMD_NAME + 16];
	int n = snprintf(want, sizeof want, "Atalaia.Marker.%s.%" PRIu64, feed, version);

	if (n < 0 || (size_t)n >= sizeof want)
		return false;
	(void)snprintf(loose, sizeof loose, "%s.UNOFFICIAL", want);
	return strcmp(signature, want) == 0 || strcmp(signature, loose) == 0;
}

enum err
clamd_marker_content(struct buf *out, const char *feed, uint64_t version)
{
	return buf_printf(out, "atalaia marker %s %" PRIu64 "\n", feed, version);
}

static enum err
put_length(struct buf *out, size_t n)
{
	const uint8_t be[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n };

	return buf_append(out, be, sizeof be);
}

enum err
clamd_instream(struct buf *out, const void *p, size_t n)
{
	const uint8_t *bytes = p;
	enum err e = buf_append(out, "zINSTREAM", 10);

	while (e == OK && n > 0) {
		size_t piece = n < CHUNK ? n : CHUNK;

		e = put_length(out, piece);
		if (e == OK)
			e = buf_append(out, bytes, piece);
		bytes += piece;
		n -= piece;
	}
	return e == OK ? put_length(out, 0) : e;
}

enum err
clamd_eicar(struct buf *out)
{
	static const char *const parts[] = { "X5O!P%@AP[4\\PZX54(P^)", "7CC)7}$EICAR-STANDARD-",
		"ANTIVIRUS-TEST-", "FILE!$H+H*" };
	enum err e = OK;

	for (size_t i = 0; e == OK && i < sizeof parts / sizeof parts[0]; i++)
		e = buf_puts(out, parts[i]);
	return e;
}

enum err
clamd_clean_sample(struct buf *out)
{
	return buf_puts(out, "This is a clean sample of Atalaia. No signature may hit it.\n");
}

bool
clamd_conf_value(const char *text, const char *name, char *out, size_t size)
{
	size_t want = strlen(name);
	bool found = false;

	while (*text != '\0') {
		const char *line = text + strspn(text, " \t");
		size_t n = strcspn(line, "\r\n");

		text = line + n;
		text += strspn(text, "\r\n");
		if (n <= want || strncmp(line, name, want) != 0 ||
		    (line[want] != ' ' && line[want] != '\t'))
			continue;
		line += want;
		n -= want;
		while (n > 0 && (*line == ' ' || *line == '\t' || *line == '"'))
			line++, n--;
		while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '"'))
			n--;
		found = text_copy(out, size, line, n) == OK;
	}
	return found;
}

const char *
clamd_conf_argument(const char *args)
{
	static const char word[] = "--config-file";
	const char *conf = NULL;

	for (const char *p = args; *p != '\0'; p += strlen(p) + 1) {
		const char *next = p + strlen(p) + 1;

		if (strcmp(p, word) == 0 || strcmp(p, "-c") == 0)
			conf = *next != '\0' ? next : conf;
		else if (strncmp(p, word, sizeof word - 1) == 0 && p[sizeof word - 1] == '=')
			conf = p + sizeof word;
		else if (p[0] == '-' && p[1] == 'c')
			conf = p + 2;
	}
	return conf;
}
