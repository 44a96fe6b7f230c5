/* http_cond.h - conditional requests and byte ranges (RFC 9110 sections 8.8, 13, 14). Pure. */
#ifndef ATALAIA_UA_HTTP_COND_H
#define ATALAIA_UA_HTTP_COND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DATE_TEXT 40

/* Fields as received, NULL when absent. */
struct http_conditions {
	const char *if_none_match, *if_modified_since, *if_range, *range;
};

enum http_answer {
	HTTP_ANSWER_FULL,
	HTTP_ANSWER_PART,
	HTTP_ANSWER_NOT_MODIFIED,
	HTTP_ANSWER_BAD_RANGE
};

/* What to send of a file of this size with this validator; first and length are set for FULL and
 * PART. More than one range, or a range in another unit or form, is answered with the whole file,
 * as RFC 9110 allows. */
enum http_answer http_decide(const struct http_conditions *c, const char *etag, int64_t mtime,
    uint64_t size, uint64_t *first, uint64_t *length);
void http_date(char out[HTTP_DATE_TEXT], int64_t seconds); /* "Tue, 24 Nov 2026 14:06:00 GMT" */
/* IMF-fixdate only: what we send, and every client of today. */
MUST_CHECK enum err http_date_parse(const char *s, int64_t *seconds);

#endif
