/* pack_read.c - the pure reader of packs. Every header must be exactly what pack_write.c would have
 * written for its name and size, so there is one form and nothing to be lenient about. */
#include "update/pack.h"
#include "update/pack_priv.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum state { AT_HEADER, AT_DATA, AT_PADDING, AT_SECOND_ZERO, AT_END };

struct pack_reader {
	struct pack_sink sink;
	void *arg;
	enum state state;
	uint64_t max_bytes, bytes; /* of all members */
	uint64_t size, left;       /* of this member; left also counts its padding */
	uint32_t max_files, files;
	char last[PACK_NAME_MAX + 1];
	uint8_t head[PACK_BLOCK];
	size_t have;
};

enum err
pack_reader_new(struct pack_reader **out, uint64_t max_bytes, uint32_t max_files,
    const struct pack_sink *sink, void *arg)
{
	struct pack_reader *r = calloc(1, sizeof *r);

	*out = r;
	if (r == NULL)
		return ERR_NOMEM;
	r->sink = *sink;
	r->arg = arg;
	r->max_bytes = max_bytes;
	r->max_files = max_files;
	return OK;
}

void
pack_reader_free(struct pack_reader *r)
{
	free(r);
}

/* Eleven octal digits and a NUL. */
static bool
read_size(const uint8_t *p, uint64_t *out)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 11; i++) {
		if (p[i] < '0' || p[i] > '7')
			return false;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	*out = v;
	return p[11] == 0;
}

/* prefix + '/' + name, both padded with NULs. */
static bool
read_name(const uint8_t *h, char name[PACK_NAME_MAX + 1])
{
	size_t prefix = strnlen((const char *)h + PACK_AT_PREFIX, PACK_PREFIX_LEN);
	size_t base = strnlen((const char *)h + PACK_AT_NAME, PACK_NAME_LEN), n = 0;

	if (prefix > 0) {
		memcpy(name, h + PACK_AT_PREFIX, prefix);
		name[prefix] = '/';
		n = prefix + 1;
	}
	if (n + base > PACK_NAME_MAX)
		return false;
	memcpy(name + n, h + PACK_AT_NAME, base);
	name[n + base] = '\0';
	return text_is_target_path(name, n + base);
}

static enum err
begin_member(struct pack_reader *r, struct fault *f)
{
	char name[PACK_NAME_MAX + 1] = { 0 };
	uint8_t again[PACK_BLOCK];
	uint64_t size;

	if (!read_name(r->head, name))
		return fault_set(f, ERR_PARSE,
		    "member %u of the pack has a name that is not allowed", r->files + 1);
	if (!read_size(r->head + PACK_AT_SIZE, &size) || !pack_header(again, name, size) ||
	    memcmp(again, r->head, PACK_BLOCK) != 0)
		return fault_set(
		    f, ERR_PARSE, "the header of member %s is not that of a plain file", name);
	if (r->files > 0 && strcmp(r->last, name) >= 0)
		return fault_set(
		    f, ERR_PARSE, "member %s is twice in the pack or out of order", name);
	if (r->files == r->max_files || size > r->max_bytes - r->bytes)
		return fault_set(
		    f, ERR_TOOBIG, "the pack holds more than allowed at member %s", name);
	memcpy(r->last, name, sizeof r->last);
	r->files++;
	r->bytes += size;
	r->size = r->left = size;
	r->state = AT_DATA;
	return r->sink.begin(r->arg, name, size);
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0)
		p++, n--;
	return n == 0;
}

static enum err
take_block(struct pack_reader *r, struct fault *f)
{
	bool zero = all_zero(r->head, PACK_BLOCK);

	r->have = 0;
	if (r->state == AT_SECOND_ZERO) {
		if (!zero)
			return fault_set(f, ERR_PARSE, "the pack does not end after its end mark");
		r->state = AT_END;
		return OK;
	}
	if (zero) {
		r->state = AT_SECOND_ZERO;
		return OK;
	}
	return begin_member(r, f);
}

/* Hands out data of the member; *used bytes of n are taken. */
static enum err
take_data(struct pack_reader *r, const uint8_t *p, size_t n, size_t *used)
{
	enum err e = OK;

	*used = r->left < n ? (size_t)r->left : n;
	if (*used > 0)
		e = r->sink.data(r->arg, p, *used);
	r->left -= *used;
	if (e != OK || r->left > 0)
		return e;
	r->left = (PACK_BLOCK - r->size % PACK_BLOCK) % PACK_BLOCK;
	r->state = r->left > 0 ? AT_PADDING : AT_HEADER;
	return r->sink.end(r->arg);
}

static enum err
take_padding(struct pack_reader *r, const uint8_t *p, size_t n, size_t *used, struct fault *f)
{
	*used = r->left < n ? (size_t)r->left : n;
	if (!all_zero(p, *used))
		return fault_set(f, ERR_PARSE, "bytes are hidden behind member %s", r->last);
	r->left -= *used;
	if (r->left == 0)
		r->state = AT_HEADER;
	return OK;
}

static enum err
take_header(struct pack_reader *r, const uint8_t *p, size_t n, size_t *used, struct fault *f)
{
	size_t room = PACK_BLOCK - r->have;

	*used = n < room ? n : room;
	memcpy(r->head + r->have, p, *used);
	r->have += *used;
	return r->have == PACK_BLOCK ? take_block(r, f) : OK;
}

enum err
pack_reader_feed(struct pack_reader *r, const void *data, size_t n, struct fault *f)
{
	const uint8_t *p = data;
	enum err e = OK;

	/* AT_DATA also runs without input: an empty member ends at once. */
	while (e == OK && (n > 0 || (r->state == AT_DATA && r->left == 0))) {
		size_t used = 0;

		switch (r->state) {
		case AT_HEADER:
		case AT_SECOND_ZERO:
			e = take_header(r, p, n, &used, f);
			break;
		case AT_DATA:
			e = take_data(r, p, n, &used);
			break;
		case AT_PADDING:
			e = take_padding(r, p, n, &used, f);
			break;
		case AT_END:
			return fault_set(f, ERR_PARSE, "bytes follow the end of the pack");
		}
		p += used;
		n -= used;
	}
	return e;
}

enum err
pack_reader_end(struct pack_reader *r, struct fault *f)
{
	return r->state == AT_END ? OK : fault_set(f, ERR_PARSE, "the pack is cut");
}
