/* seal.c - see seal.h. */
#include "proto/seal.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "update/canon.h"
#include "update/sign.h"

#include <string.h>

static enum err
sign_tree(const cJSON *body, const char *key_pem, struct buf *hex, struct fault *f)
{
	struct sign_private *key = NULL;
	struct buf text, sig;
	enum err e;

	buf_init(&text, LIMIT_SEALED);
	buf_init(&sig, 256);
	e = canon_json(body, &text, f);
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

enum err
seal_make(struct buf *out, cJSON *body, const char *cert_pem, const char *key_pem, struct fault *f)
{
	cJSON *head = cJSON_CreateObject();
	struct buf hex;
	enum err e = head == NULL || body == NULL ? ERR_NOMEM : OK;

	buf_init(&hex, 512);
	if (e == OK)
		e = json_add_string(head, "certificate", cert_pem);
	if (e == OK)
		e = sign_tree(body, key_pem, &hex, f);
	if (e == OK)
		e = json_add_string(head, "sig", buf_text(&hex));
	if (e == OK && cJSON_AddItemToObject(head, "signed", body))
		body = NULL;
	if (e == OK)
		e = body == NULL ? json_print(head, out) : ERR_NOMEM;
	cJSON_Delete(body);
	cJSON_Delete(head);
	buf_free(&hex);
	return e;
}

enum err
seal_read(cJSON **tree, cJSON **body, const char *p, size_t n, const char *type, struct fault *f)
{
	const char *text;
	enum err e = json_parse(tree, p, n, JSON_SIGNED, f);

	if (e != OK)
		return e;
	e = json_get_object(*tree, "signed", body, f);
	if (e == OK)
		e = json_get_string(*tree, "certificate", &text, f);
	if (e == OK)
		e = json_get_string(*tree, "sig", &text, f);
	if (e == OK)
		e = json_get_string(*body, "_type", &text, f);
	if (e == OK && strcmp(text, type) != 0)
		e = fault_set(f, ERR_PARSE, "it was signed for another purpose");
	if (e == OK)
		return OK;
	cJSON_Delete(*tree);
	*tree = *body = NULL;
	return e == ERR_NOTFOUND ? ERR_PARSE : e; /* a member is missing */
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
	buf_init(&text, LIMIT_SEALED);
	e = pki_public_pem(&pem, (const uint8_t *)cert, strlen(cert), f);
	if (e == OK)
		e = sign_public_parse(&key, SIGN_ECDSA_P256, buf_text(&pem), pem.len, f);
	if (e == OK)
		e = canon_json(body, &text, f);
	if (e == OK)
		e = text_unhex(sig, sizeof(sig), hex, strlen(hex), &n);
	if (e == OK)
		e = sign_verify(key, text.data, text.len, sig, n);
	if (e == ERR_AUTH)
		e = fault_set(f, e, "the signature is not that of its certificate");
	sign_public_free(key);
	buf_free(&pem);
	buf_free(&text);
	return e;
}

enum err
seal_check(const cJSON *tree, const struct pki_trust *trust, const struct pki_expect *x,
    int64_t now_ms, struct pki_identity *who, struct fault *f)
{
	const char *cert, *hex;
	struct pki_der der;
	struct buf raw;
	enum err e = json_get_string(tree, "certificate", &cert, f);

	if (e == OK)
		e = json_get_string(tree, "sig", &hex, f);
	if (e != OK)
		return ERR_PARSE;
	buf_init(&raw, LIMIT_PEM);
	e = pki_pem_to_der(&raw, cert, strlen(cert), f);
	der = (struct pki_der){ raw.data, raw.len };
	if (e == OK)
		e = pki_verify(trust, x, &der, 1, now_ms, who, f);
	buf_free(&raw);
	return e == OK ? check_signature(cert, json_get(tree, "signed"), hex, f) : e;
}
