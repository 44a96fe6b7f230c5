/* Packs: whatever comes, members have allowed names in ascending order and the sizes that were
 * said. */
#include "base/text.h"
#include "update/pack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES 65536
#define MAX_FILES 64

struct seen {
	char last[PACK_NAME_MAX + 1];
	uint64_t left, bytes;
	unsigned files;
};

static enum err
on_begin(void *arg, const char *name, uint64_t size)
{
	struct seen *s = arg;

	if (!text_is_target_path(name, strlen(name)) ||
	    (s->files > 0 && strcmp(s->last, name) >= 0))
		abort();
	if (text_copy(s->last, sizeof s->last, name, strlen(name)) != OK)
		abort();
	s->left = size;
	s->bytes += size;
	s->files++;
	return s->bytes <= MAX_BYTES && s->files <= MAX_FILES ? OK : (abort(), OK);
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct seen *s = arg;

	(void)p;
	if (n > s->left)
		abort();
	s->left -= n;
	return OK;
}

static enum err
on_end(void *arg)
{
	return ((struct seen *)arg)->left == 0 ? OK : (abort(), OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pack_sink sink = { on_begin, on_data, on_end };
	struct pack_reader *r;
	struct seen s = { 0 };
	size_t cut = size > 0 ? data[0] % (size + 1) : 0;

	if (pack_reader_new(&r, MAX_BYTES, MAX_FILES, &sink, &s) != OK)
		return 0;
	if (pack_reader_feed(r, data, cut, NULL) == OK &&
	    pack_reader_feed(r, data + cut, size - cut, NULL) == OK)
		(void)(pack_reader_end(r, NULL) == OK);
	pack_reader_free(r);
	return 0;
}
