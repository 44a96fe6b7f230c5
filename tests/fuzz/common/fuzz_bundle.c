/* Bundles: whatever comes, each member is a document's or a hash's name, and a target that ends is
 * what its name says. */
#include "base/text.h"
#include "update/bundle.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct hash hash;
	uint64_t left;
	unsigned ended;
};

static enum err
on_begin(void *arg, const struct bundle_member *m)
{
	struct seen *s = arg;

	if (!text_is_file_name(m->file, strlen(m->file)) || (m->target && strlen(m->file) != 64))
		abort();
	hash_init(&s->hash, HASH_SHA256);
	s->left = m->size;
	return OK;
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct seen *s = arg;

	if (n > s->left)
		abort();
	s->left -= n;
	hash_update(&s->hash, p, n);
	return OK;
}

static enum err
on_end(void *arg, const struct bundle_member *m)
{
	struct seen *s = arg;
	uint8_t sum[HASH_SHA256_LEN];

	hash_final(&s->hash, sum);
	if (s->left != 0 || (m->target && memcmp(sum, m->sha256, sizeof sum) != 0))
		abort();
	s->ended++;
	return OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bundle_sink sink = { on_begin, on_data, on_end };
	struct bundle_reader *r;
	struct seen s = { .ended = 0 };
	size_t cut = size > 0 ? data[0] % (size + 1) : 0;

	if (bundle_reader_new(&r, "signatures", &sink, &s) != OK)
		return 0;
	if (bundle_reader_feed(r, data, cut, NULL) == OK &&
	    bundle_reader_feed(r, data + cut, size - cut, NULL) == OK &&
	    bundle_reader_end(r, NULL) == OK && s.ended == 0)
		abort(); /* a good one has a timestamp at least */
	bundle_reader_free(r);
	return 0;
}
