/* Target files: their name in the repository, and their bytes. */
#include "update/tuf_client.h"

#include "base/text.h"

#include <string.h>

enum err
tuf_target_file(const struct tuf *t, const struct tuf_target *target, struct buf *out)
{
	const char *slash = strrchr(target->path, '/');
	size_t folder = slash == NULL ? 0 : (size_t)(slash - target->path) + 1;
	char hex[2 * HASH_MAX_LEN + 1];
	enum err e;

	if (!tuf_consistent(t))
		return buf_puts(out, target->path);
	if (target->has_sha256)
		text_hex(hex, target->sha256, sizeof(target->sha256));
	else
		text_hex(hex, target->sha512, sizeof(target->sha512));
	e = buf_append(out, target->path, folder);
	if (e == OK)
		e = buf_printf(out, "%s.%s", hex, target->path + folder);
	return e;
}

void
tuf_check_init(struct tuf_check *c, const struct tuf_target *target)
{
	c->length = target->length;
	c->seen = 0;
	c->has_sha256 = target->has_sha256;
	c->has_sha512 = target->has_sha512;
	memcpy(c->sha256, target->sha256, sizeof(c->sha256));
	memcpy(c->sha512, target->sha512, sizeof(c->sha512));
	hash_init(&c->h256, HASH_SHA256);
	hash_init(&c->h512, HASH_SHA512);
}

enum err
tuf_check_update(struct tuf_check *c, const void *p, size_t n)
{
	if (n > c->length - c->seen)
		return ERR_TOOBIG;
	c->seen += n;
	if (c->has_sha256)
		hash_update(&c->h256, p, n);
	if (c->has_sha512)
		hash_update(&c->h512, p, n);
	return OK;
}

enum err
tuf_check_final(struct tuf_check *c, struct tuf_failure *why, struct fault *f)
{
	struct tuf_hashes want = { .has_sha256 = c->has_sha256, .has_sha512 = c->has_sha512 };
	uint8_t sha256[HASH_SHA256_LEN], sha512[HASH_SHA512_LEN];
	struct tuf_failure own;
	enum err e;

	memcpy(want.sha256, c->sha256, sizeof(want.sha256));
	memcpy(want.sha512, c->sha512, sizeof(want.sha512));
	hash_final(&c->h256, sha256);
	hash_final(&c->h512, sha512);
	tuf_fail_reset(&own, why != NULL && why->file[0] != '\0' ? why->file : "target");
	if (c->seen != c->length)
		e = tuf_fail_u64(&own, ERR_VERIFY, TUF_RULE_LENGTH, c->length, c->seen, "length");
	else
		e = tuf_hashes_compare(&want, sha256, sha512, &own);
	if (e != OK && why != NULL)
		*why = own;
	return tuf_fail_to(&own, e, f);
}
