/* Enrolment request, sealed answer, answer document, task state: the first byte picks. */
#include "proto/enroll.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
request(const char *p, size_t n)
{
	struct enroll_request r, again;
	struct buf b;

	if (enroll_request_read(&r, p, n, NULL) != OK)
		return;
	buf_init(&b, 8 * LIMIT_ENROLL_REQUEST);
	if (enroll_request_write(&r, &b) != OK)
		abort();
	if (b.len <= LIMIT_ENROLL_REQUEST) {
		if (enroll_request_read(&again, buf_text(&b), b.len, NULL) != OK ||
		    strcmp(again.csr, r.csr) != 0 || memcmp(again.proof, r.proof, ENROLL_MAC) != 0)
			abort();
		enroll_request_free(&again);
	}
	buf_free(&b);
	enroll_request_free(&r);
}

static void
document(const char *p, size_t n)
{
	struct enroll_answer a, again;
	struct buf b;

	if (enroll_answer_parse(&a, p, n, NULL) != OK)
		return;
	for (size_t i = 0; i < a.n_feeds; i++)
		if (a.feeds[i].root != NULL && a.feeds[i].root[a.feeds[i].root_len] != '\0')
			abort();
	buf_init(&b, 8 * LIMIT_ENROLL_ANSWER);
	if (enroll_answer_write(&a, &b) != OK)
		abort();
	if (b.len <= LIMIT_ENROLL_ANSWER) {
		if (enroll_answer_parse(&again, buf_text(&b), b.len, NULL) != OK ||
		    again.n_feeds != a.n_feeds || again.n_sources != a.n_sources)
			abort();
		enroll_answer_free(&again);
	}
	buf_free(&b);
	enroll_answer_free(&a);
}

static void
sealed(const char *p, size_t n)
{
	static const uint8_t proof[ENROLL_MAC];
	static const struct token t;
	struct enroll_answer a;

	if (enroll_answer_open(&a, &t, proof, p, n, NULL) == OK)
		enroll_answer_free(&a);
}

static void
state(const char *p, size_t n)
{
	struct enroll_state s;

	if (enroll_state_read(&s, p, n, NULL) == OK)
		enroll_state_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *, size_t) = { request, document, sealed, state };

	if (size > 0)
		readers[data[0] % 4]((const char *)data + 1, size - 1);
	return 0;
}
