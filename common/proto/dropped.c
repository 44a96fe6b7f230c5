/* dropped.c - see dropped.h. */
#include "proto/dropped.h"

#include "base/json.h"
#include "base/text.h"
#include "update/canon.h"
#include "update/sign.h"

#include <string.h>

#define TYPE "dropped"

static enum err
add_signed(cJSON *o, const struct dropped *d)
{
	enum err e = json_add_string(o, "_type", TYPE);

	if (e == OK)
		e = json_add_string(o, "agent", d->agent);
	if (e == OK)
		e = json_add_string(o, "name", d->name);
	if (e == OK)
		e = json_add_string(o, "sha256", d->sha256);
	if (e == OK)
		e = json_add_u64(o, "size", d->size);
	return e == OK ? json_add_string(o, "task", d->task) : e;
}

static enum err
sign_tree(const cJSON *tree, const char *key_pem, struct buf *hex, struct fault *f)
{
	struct sign_private *key = NULL;
	struct buf text, sig;
	enum err e;

	buf_init(&text, DROPPED_HEAD_MAX);
	buf_init(&sig, 256);
	e = canon_json(tree, &text, f);
	if (e == OK)
		e = sign_private_load(&key, key_pem, strlen(key_pem), NULL, f);
	if (e == OK)
		e = sign_make(key, text.data, text.len, &sig);
	for (size_t i = 0; e == OK && i < sig.len; i++)
		e = buf_printf(hex, "%02x", sig.data[i]);
	sign_private_free(key);
	buf_free(&text);
	buf_free(&sig);
	return e;
}

static enum err
build(cJSON *head, const struct dropped *d, const char *cert_pem, const char *key_pem,
    struct fault *f)
{
	cJSON *body;
	struct buf hex;
	enum err e = head == NULL ? ERR_NOMEM : json_add_string(head, "certificate", cert_pem);

	buf_init(&hex, 512);
	if (e == OK)
		e = json_add_object(head, "signed", &body);
	if (e == OK)
		e = add_signed(body, d);
	if (e == OK)
		e = sign_tree(body, key_pem, &hex, f);
	if (e == OK)
		e = json_add_string(head, "sig", buf_text(&hex));
	buf_free(&hex);
	return e;
}

enum err
dropped_seal(struct buf *out, const struct dropped *d, const char *cert_pem, const char *key_pem,
    struct fault *f)
{
	cJSON *head = cJSON_CreateObject();
	size_t before = out->len;
	enum err e = build(head, d, cert_pem, key_pem, f);

	if (e == OK)
		e = buf_puts(out, DROPPED_MAGIC);
	if (e == OK)
		e = json_print(head, out);
	if (e == OK)
		e = buf_append(out, "\n", 1);
	if (e == OK && out->len - before > DROPPED_HEAD_MAX)
		e = ERR_TOOBIG;
	cJSON_Delete(head);
	return e;
}

static enum err
take(char *dst, size_t size, const cJSON *o, const char *name, struct fault *f)
{
	const char *s;
	enum err e = json_get_string(o, name, &s, f);

	return e == OK ? text_copy(dst, size, s, strlen(s)) : e;
}

static enum err
read_signed(struct dropped *d, const cJSON *o, struct fault *f)
{
	const char *type;
	enum err e = json_get_string(o, "_type", &type, f);

	if (e == OK && strcmp(type, TYPE) != 0)
		e = fault_set(f, ERR_PARSE, "it was signed for another purpose");
	if (e == OK)
		e = take(d->agent, sizeof(d->agent), o, "agent", f);
	if (e == OK)
		e = take(d->task, sizeof(d->task), o, "task", f);
	if (e == OK)
		e = take(d->name, sizeof(d->name), o, "name", f);
	if (e == OK)
		e = take(d->sha256, sizeof(d->sha256), o, "sha256", f);
	if (e == OK)
		e = json_get_u64(o, "size", JSON_MAX_INT, &d->size, f);
	if (e == OK && (!text_is_file_name(d->name, strlen(d->name)) ||
			   !text_is_uuid(d->task, strlen(d->task))))
		e = fault_set(f, ERR_PARSE, "it names no task or no file");
	return e;
}

/* The certificate must be one of ours, and be the sender's that `signed` names. */
static enum err
check_sender(const char *cert, const struct dropped *d, const struct pki_trust *trust,
    const char *org, int64_t now_ms, struct fault *f)
{
	struct pki_expect x = { .role = PKI_AGENT, .org = org, .name = d->agent, .server = false };
	struct pki_identity who;
	struct pki_der der;
	struct buf raw;
	enum err e;

	buf_init(&raw, DROPPED_HEAD_MAX);
	e = pki_pem_to_der(&raw, cert, strlen(cert), f);
	der = (struct pki_der){ raw.data, raw.len };
	if (e == OK)
		e = pki_verify(trust, &x, &der, 1, now_ms, &who, f);
	buf_free(&raw);
	return e;
}

static enum err
check_signature(const char *cert, const cJSON *body, const char *hex, struct fault *f)
{
	struct sign_public *key = NULL;
	struct buf pem, text;
	uint8_t sig[128];
	size_t n = 0;
	enum err e;

	buf_init(&pem, 2048);
	buf_init(&text, DROPPED_HEAD_MAX);
	e = pki_public_pem(&pem, (const uint8_t *)cert, strlen(cert), f);
	if (e == OK)
		e = sign_public_parse(&key, SIGN_ECDSA_P256, buf_text(&pem), pem.len, f);
	if (e == OK)
		e = canon_json(body, &text, f);
	if (e == OK)
		e = text_unhex(sig, sizeof(sig), hex, strlen(hex), &n);
	if (e == OK)
		e = sign_verify(key, text.data, text.len, sig, n);
	sign_public_free(key);
	buf_free(&pem);
	buf_free(&text);
	return e;
}

static enum err
check_head(struct dropped *d, const cJSON *head, const struct pki_trust *trust, const char *org,
    int64_t now_ms, struct fault *f)
{
	const char *cert, *hex;
	cJSON *body;
	enum err e = json_get_string(head, "certificate", &cert, f);

	if (e == OK)
		e = json_get_string(head, "sig", &hex, f);
	if (e == OK)
		e = json_get_object(head, "signed", &body, f);
	if (e == OK)
		e = read_signed(d, body, f);
	if (e == OK)
		e = check_sender(cert, d, trust, org, now_ms, f);
	return e == OK ? check_signature(cert, body, hex, f) : e;
}

enum err
dropped_open(struct dropped *out, size_t *head, const char *p, size_t n,
    const struct pki_trust *trust, const char *org, int64_t now_ms, struct fault *f)
{
	const size_t magic = strlen(DROPPED_MAGIC);
	size_t max = n < DROPPED_HEAD_MAX ? n : DROPPED_HEAD_MAX;
	const char *end;
	cJSON *tree = NULL;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (n < magic || memcmp(p, DROPPED_MAGIC, magic) != 0)
		return fault_set(f, ERR_NOTFOUND, "it is not signed");
	end = memchr(p, '\n', max);
	if (end == NULL)
		return fault_set(f, ERR_PARSE, "its first line has no end");
	*head = (size_t)(end - p) + 1;
	e = json_parse(&tree, p + magic, *head - magic - 1, JSON_SIGNED, f);
	if (e == OK)
		e = check_head(out, tree, trust, org, now_ms, f);
	cJSON_Delete(tree);
	return e == ERR_NOTFOUND ? ERR_PARSE : e; /* a member is missing */
}
