#include "proto/token.h"

#include "base/text.h"
#include "net/pki.h"

#include <string.h>

/* Inside the base64url: version 1, port (2), host length and host, SPKI hash (32), id (8), secret
 * (16), number of roots, each {name length, name, hash (32)}, then the first four bytes of the
 * SHA-256 of all that: a mistyped word is told from a refused one. */
#define TOKEN_VERSION 1
#define TOKEN_CHECK 4
#define TOKEN_ID_BYTES 8
#define LIMIT_TOKEN_BYTES 768

static bool
is_host(const char *p, size_t n)
{
	if (n == 0 || n >= TOKEN_HOST_TEXT)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '.' || c == '-' || c == ':' || c == '_'))
			return false;
	}
	return true;
}

static enum err
put_short(struct buf *b, const char *text, size_t n)
{
	uint8_t len = (uint8_t)n;
	enum err e = buf_append(b, &len, 1);

	return e == OK ? buf_append(b, text, n) : e;
}

static enum err
token_check(const struct token *t, struct fault *f)
{
	uint8_t id[TOKEN_ID_BYTES];
	size_t n;

	if (!is_host(t->host, strnlen(t->host, sizeof(t->host))))
		return fault_set(f, ERR_INVAL, "the console's host is no host name or address");
	if (t->port == 0)
		return fault_set(f, ERR_INVAL, "the console's port must not be 0");
	if (text_unhex(id, sizeof(id), t->id, strnlen(t->id, sizeof(t->id)), &n) != OK ||
	    n != sizeof(id))
		return fault_set(f, ERR_INVAL, "a token id has 16 hexadecimal digits");
	if (t->n_roots > TOKEN_MAX_ROOTS)
		return fault_set(
		    f, ERR_INVAL, "at most %d signature roots fit in a token", TOKEN_MAX_ROOTS);
	for (size_t i = 0; i < t->n_roots; i++)
		if (!text_is_role_name(
			t->roots[i].feed, strnlen(t->roots[i].feed, TOKEN_FEED_TEXT)))
			return fault_set(
			    f, ERR_INVAL, "root %zu: the feed's name must be [a-z0-9-]", i + 1);
	return OK;
}

static enum err
token_pack(const struct token *t, struct buf *b)
{
	uint8_t head[3] = { TOKEN_VERSION, (uint8_t)(t->port >> 8), (uint8_t)t->port };
	uint8_t id[TOKEN_ID_BYTES], sum[PKI_SHA256], n_roots = (uint8_t)t->n_roots;
	size_t n;
	enum err e = text_unhex(id, sizeof(id), t->id, strlen(t->id), &n);

	if (e == OK)
		e = buf_append(b, head, sizeof(head));
	if (e == OK)
		e = put_short(b, t->host, strlen(t->host));
	if (e == OK)
		e = buf_append(b, t->ca_spki, sizeof(t->ca_spki));
	if (e == OK)
		e = buf_append(b, id, sizeof(id));
	if (e == OK)
		e = buf_append(b, t->secret, sizeof(t->secret));
	if (e == OK)
		e = buf_append(b, &n_roots, 1);
	for (size_t i = 0; e == OK && i < t->n_roots; i++) {
		e = put_short(b, t->roots[i].feed, strlen(t->roots[i].feed));
		if (e == OK)
			e = buf_append(b, t->roots[i].sha256, 32);
	}
	if (e != OK)
		return e;
	pki_sha256(sum, b->data, b->len);
	return buf_append(b, sum, TOKEN_CHECK);
}

enum err
token_encode(const struct token *t, struct buf *out, struct fault *f)
{
	struct buf raw;
	enum err e = token_check(t, f);

	if (e != OK)
		return e;
	buf_init(&raw, LIMIT_TOKEN_BYTES);
	e = token_pack(t, &raw);
	if (e == OK)
		e = buf_puts(out, TOKEN_PREFIX);
	if (e == OK)
		e = text_b64url(out, raw.data, raw.len);
	buf_wipe(&raw);
	return e;
}

/* Reading goes through one cursor; past the end it stays at the end and says so. */
struct cursor {
	const uint8_t *p;
	size_t n;
	bool broken;
};

static const uint8_t *
take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->broken || n > c->n) {
		c->broken = true;
		return NULL;
	}
	c->p += n;
	c->n -= n;
	return p;
}

static void
take_bytes(struct cursor *c, void *dst, size_t n)
{
	const uint8_t *p = take(c, n);

	if (p != NULL)
		memcpy(dst, p, n);
}

static void
take_short(struct cursor *c, char *dst, size_t size)
{
	const uint8_t *len = take(c, 1), *p;

	p = len != NULL ? take(c, *len) : NULL;
	if (p == NULL || memchr(p, 0, *len) != NULL ||
	    text_copy(dst, size, (const char *)p, *len) != OK)
		c->broken = true;
}

static enum err
token_unpack(struct token *t, const struct buf *raw, struct fault *f)
{
	struct cursor c = { .p = raw->data, .n = raw->len - TOKEN_CHECK };
	uint8_t sum[PKI_SHA256], version = 0, port[2] = { 0, 0 }, id[TOKEN_ID_BYTES] = { 0 },
				 roots = 0;

	pki_sha256(sum, raw->data, c.n);
	if (!pki_equal(sum, raw->data + c.n, TOKEN_CHECK))
		return fault_set(
		    f, ERR_PARSE, "the token is mistyped or cut: its checksum is wrong");
	take_bytes(&c, &version, 1);
	if (version != TOKEN_VERSION)
		return fault_set(
		    f, ERR_PARSE, "the token is of a version that this program does not know");
	take_bytes(&c, port, 2);
	t->port = (uint16_t)(port[0] << 8 | port[1]);
	take_short(&c, t->host, sizeof(t->host));
	take_bytes(&c, t->ca_spki, sizeof(t->ca_spki));
	take_bytes(&c, id, sizeof(id));
	text_hex(t->id, id, sizeof(id));
	take_bytes(&c, t->secret, sizeof(t->secret));
	take_bytes(&c, &roots, 1);
	if (roots > TOKEN_MAX_ROOTS)
		c.broken = true;
	for (t->n_roots = 0; !c.broken && t->n_roots < roots; t->n_roots++) {
		take_short(&c, t->roots[t->n_roots].feed, TOKEN_FEED_TEXT);
		take_bytes(&c, t->roots[t->n_roots].sha256, 32);
	}
	if (c.broken || c.n != 0)
		return fault_set(
		    f, ERR_PARSE, "the token does not have the form of an enrolment token");
	return token_check(t, f) == OK ? OK : ERR_PARSE;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum err
token_decode(struct token *out, const char *p, size_t n, struct fault *f)
{
	size_t prefix = strlen(TOKEN_PREFIX);
	struct buf raw;
	enum err e;

	memset(out, 0, sizeof(*out));
	while (n > 0 && is_space(p[n - 1]))
		n--;
	while (n > 0 && is_space(p[0])) {
		p++;
		n--;
	}
	if (n <= prefix || memcmp(p, TOKEN_PREFIX, prefix) != 0)
		return fault_set(f, ERR_PARSE, "a token starts with " TOKEN_PREFIX);
	if (n > LIMIT_TOKEN_TEXT)
		return fault_set(
		    f, ERR_PARSE, "a token has at most %d characters", LIMIT_TOKEN_TEXT);
	buf_init(&raw, LIMIT_TOKEN_BYTES);
	e = text_unb64url(&raw, p + prefix, n - prefix);
	if (e != OK || raw.len <= TOKEN_CHECK)
		e = fault_set(f, ERR_PARSE, "the token is mistyped or cut: it is not base64url");
	else
		e = token_unpack(out, &raw, f);
	buf_wipe(&raw);
	if (e != OK)
		token_wipe(out);
	return e;
}

void
token_wipe(struct token *t)
{
	explicit_bzero(t, sizeof(*t));
}

const uint8_t *
token_root_hash(const struct token *t, const char *feed)
{
	for (size_t i = 0; i < t->n_roots; i++)
		if (strcmp(t->roots[i].feed, feed) == 0)
			return t->roots[i].sha256;
	return NULL;
}
