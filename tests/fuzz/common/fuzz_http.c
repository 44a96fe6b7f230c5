/* fuzz_http.c - the request parser: whole and byte by byte must say the same, and what it lets
 * through must keep its promises. */
#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/http_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_head(const struct http_head *h)
{
	size_t i;

	must(h->path[0] == '/' && strstr(h->path, "/../") == NULL && !text_ends(h->path, "/.."));
	must(text_utf8_valid((const uint8_t *)h->path, strlen(h->path)));
	must(h->n_fields <= LIMIT_HTTP_FIELDS && h->n_query <= LIMIT_HTTP_QUERY);
	must(!(h->chunked && h->content_length > 0));
	for (i = 0; i < h->n_fields; i++)
		must(h->fields[i].name[0] != '\0' && strpbrk(h->fields[i].name, " :\r\n") == NULL &&
		     strpbrk(h->fields[i].value, "\r\n") == NULL);
}

/* Writes what the parser says of the bytes, fed in pieces of step. */
static void
tell(struct buf *out, const uint8_t *p, size_t n, size_t step)
{
	struct http_parse *hp;
	enum http_event ev = HTTPP_MORE;
	size_t at, used, got;
	const uint8_t *chunk;

	must(http_parse_new(&hp) == OK);
	for (at = 0; at < n && ev != HTTPP_BAD; at += step) {
		size_t piece = n - at < step ? n - at : step, pos = 0;

		do {
			ev = http_parse_feed(hp, p + at + pos, piece - pos, &used);
			must(used <= piece - pos);
			pos += used;
			if (ev == HTTPP_HEAD) {
				check_head(http_parse_head(hp));
				must(buf_printf(out, "H%s%s", http_parse_head(hp)->method,
					 http_parse_head(hp)->target) == OK);
			} else if (ev == HTTPP_BODY) {
				chunk = http_parse_chunk(hp, &got);
				must(got > 0 && buf_append(out, chunk, got) == OK);
			} else if (ev == HTTPP_DONE) {
				must(buf_puts(out, "D") == OK);
			} else if (ev == HTTPP_BAD) {
				must(buf_printf(out, "B%d", http_parse_status(hp)) == OK);
			}
		} while (ev != HTTPP_MORE && ev != HTTPP_BAD);
		must(ev == HTTPP_BAD || pos == piece);
	}
	http_parse_free(hp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, bytes;

	if (size > 100000)
		return 0;
	buf_init(&whole, 1 << 20);
	buf_init(&bytes, 1 << 20);
	tell(&whole, data, size, size > 0 ? size : 1);
	tell(&bytes, data, size, 1);
	/* 414 and 431 differ in how much of a line was seen when the room ran out */
	if (strstr(buf_text(&whole), "B431") == NULL)
		must(whole.len == bytes.len &&
		     (whole.len == 0 || memcmp(whole.data, bytes.data, whole.len) == 0));
	buf_free(&whole);
	buf_free(&bytes);
	return 0;
}
