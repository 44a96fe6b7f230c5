/* bundle.c - see bundle.h: a pack whose names say what each member is. */
#include "update/bundle.h"

#include "base/limits.h"
#include "base/text.h"
#include "update/pack.h"

#include <stdlib.h>
#include <string.h>

struct bundle_reader {
	struct pack_reader *pack;
	struct bundle_sink sink;
	void *arg;
	const char *feed;
	struct bundle_member member;
	struct hash hash;
	struct fault *f; /* of the call under way */
	bool has_timestamp;
};

/* timestamp.json or <digits>.<role>.json */
static bool
is_document(const char *file)
{
	size_t digits = strspn(file, "0123456789"), n = strlen(file);
	const char *role = file + digits + 1;

	if (strcmp(file, "timestamp.json") == 0)
		return true;
	return digits > 0 && digits <= 16 && file[0] != '0' && file[digits] == '.' &&
	       n > digits + 6 && text_ends(file, ".json") &&
	       text_is_role_name(role, n - digits - 6);
}

static bool
read_name(struct bundle_member *m, const char *feed, const char *name)
{
	size_t n = strlen(feed), got;
	const char *file;

	if (!text_starts(name, feed) || name[n] != '/')
		return false;
	name += n + 1;
	m->target = text_starts(name, "targets/");
	if (!m->target && !text_starts(name, "metadata/"))
		return false;
	file = name + (m->target ? sizeof "targets/" : sizeof "metadata/") - 1;
	if (text_copy(m->file, sizeof m->file, file, strlen(file)) != OK)
		return false;
	if (!m->target)
		return is_document(file);
	return strspn(file, "0123456789abcdef") == 64 && file[64] == '\0' &&
	       text_unhex(m->sha256, sizeof m->sha256, file, 64, &got) == OK;
}

static enum err
on_begin(void *arg, const char *name, uint64_t size)
{
	struct bundle_reader *r = arg;
	struct bundle_member *m = &r->member;

	memset(m, 0, sizeof *m);
	m->size = size;
	if (!read_name(m, r->feed, name))
		return fault_set(r->f, ERR_PARSE,
		    "member %s is neither a document nor a target of feed %s", name, r->feed);
	if (size > (m->target ? LIMIT_TARGET_BYTES : LIMIT_TUF_TARGETS))
		return fault_set(r->f, ERR_TOOBIG, "member %s is too large", name);
	r->has_timestamp = r->has_timestamp || strcmp(m->file, "timestamp.json") == 0;
	hash_init(&r->hash, HASH_SHA256);
	return r->sink.begin(r->arg, m);
}

static enum err
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct bundle_reader *r = arg;

	if (r->member.target)
		hash_update(&r->hash, p, n);
	return r->sink.data(r->arg, p, n);
}

static enum err
on_end(void *arg)
{
	struct bundle_reader *r = arg;
	uint8_t sum[HASH_SHA256_LEN];

	if (r->member.target) {
		hash_final(&r->hash, sum);
		if (memcmp(sum, r->member.sha256, sizeof sum) != 0)
			return fault_set(r->f, ERR_VERIFY,
			    "target %s of the bundle is not what its name says", r->member.file);
	}
	return r->sink.end(r->arg, &r->member);
}

enum err
bundle_reader_new(
    struct bundle_reader **out, const char *feed, const struct bundle_sink *sink, void *arg)
{
	static const struct pack_sink members = { on_begin, on_data, on_end };
	struct bundle_reader *r = calloc(1, sizeof *r);

	*out = NULL;
	if (r == NULL)
		return ERR_NOMEM;
	r->feed = feed;
	r->sink = *sink;
	r->arg = arg;
	/* The sum is bounded by the file that is read: a pack holds its members as they are. */
	if (pack_reader_new(&r->pack, UINT64_MAX, LIMIT_SET_FILES, &members, r) != OK) {
		free(r);
		return ERR_NOMEM;
	}
	*out = r;
	return OK;
}

enum err
bundle_reader_feed(struct bundle_reader *r, const void *p, size_t n, struct fault *f)
{
	r->f = f;
	return pack_reader_feed(r->pack, p, n, f);
}

enum err
bundle_reader_end(struct bundle_reader *r, struct fault *f)
{
	enum err e = pack_reader_end(r->pack, f);

	if (e == OK && !r->has_timestamp)
		e = fault_set(f, ERR_PARSE, "the bundle has no timestamp.json of feed %s", r->feed);
	return e;
}

void
bundle_reader_free(struct bundle_reader *r)
{
	if (r == NULL)
		return;
	pack_reader_free(r->pack);
	free(r);
}
