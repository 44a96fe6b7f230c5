/* http_head.h - private to http_parse: turns the spans of a complete head into a struct http_head
 * and judges its framing. Pure. */
#ifndef ATALAIA_NET_HTTP_HEAD_H
#define ATALAIA_NET_HTTP_HEAD_H

#include "net/http_parse.h"

struct http_span {
	const char *p;
	size_t n;
};

/* raw[0..n) holds the method, target and 2 * n_fields spans. NULL: *status and *reason say why (500
 * when memory ran out). */
struct http_head *http_head_build(const char *raw, size_t n, struct http_span method,
    struct http_span target, const struct http_span *fields, size_t n_fields, int *status,
    const char **reason);
/* Fills content_length, chunked, has_body and expect_continue from the fields (minor is set
 * already); false as above. */
bool http_head_frame(struct http_head *h, int *status, const char **reason);

#endif
