#include "proto/enroll.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/pki.h"

#include <stdlib.h>
#include <string.h>

#define PROOF_LABEL "atalaia enroll proof 1"
#define ANSWER_LABEL "atalaia enroll answer 1"
#define LIMIT_MACHINE_ID 128
#define LIMIT_VERSION_TEXT 64

void
enroll_key(uint8_t key[32], const uint8_t secret[TOKEN_SECRET_BYTES])
{
	pki_sha256(key, secret, TOKEN_SECRET_BYTES);
}

void
enroll_proof_keyed(uint8_t proof[ENROLL_MAC], const uint8_t key[32], const char *token_id,
    const uint8_t leaf_sha256[32], const uint8_t csr_sha256[32])
{
	uint8_t text[sizeof(PROOF_LABEL) + TOKEN_ID_TEXT + 64];
	char id[TOKEN_ID_TEXT];
	size_t at = 0;

	memset(id, 0, sizeof(id));
	(void)!text_copy(id, sizeof(id), token_id, strnlen(token_id, sizeof(id)));
	memcpy(
	    text, PROOF_LABEL, sizeof(PROOF_LABEL)); /* NULs included: no two inputs run together */
	at += sizeof(PROOF_LABEL);
	memcpy(text + at, id, TOKEN_ID_TEXT);
	at += TOKEN_ID_TEXT;
	memcpy(text + at, leaf_sha256, 32);
	memcpy(text + at + 32, csr_sha256, 32);
	pki_hmac_sha256(proof, key, 32, text, at + 64);
}

void
enroll_proof(uint8_t proof[ENROLL_MAC], const struct token *t, const uint8_t leaf_sha256[32],
    const uint8_t csr_sha256[32])
{
	uint8_t key[32];

	enroll_key(key, t->secret);
	enroll_proof_keyed(proof, key, t->id, leaf_sha256, csr_sha256);
	explicit_bzero(key, sizeof(key));
}

/* The document is hashed first, so that the MAC needs no copy of it. */
void
enroll_answer_mac_keyed(uint8_t mac[ENROLL_MAC], const uint8_t key[32],
    const uint8_t proof[ENROLL_MAC], const void *answer, size_t n)
{
	uint8_t text[sizeof(ANSWER_LABEL) + ENROLL_MAC + 32];

	memcpy(text, ANSWER_LABEL, sizeof(ANSWER_LABEL));
	memcpy(text + sizeof(ANSWER_LABEL), proof, ENROLL_MAC);
	pki_sha256(text + sizeof(ANSWER_LABEL) + ENROLL_MAC, answer, n);
	pki_hmac_sha256(mac, key, 32, text, sizeof(text));
}

void
enroll_answer_mac(uint8_t mac[ENROLL_MAC], const uint8_t secret[TOKEN_SECRET_BYTES],
    const uint8_t proof[ENROLL_MAC], const void *answer, size_t n)
{
	uint8_t key[32];

	enroll_key(key, secret);
	enroll_answer_mac_keyed(mac, key, proof, answer, n);
	explicit_bzero(key, sizeof(key));
}

static enum err
add_if(cJSON *o, const char *name, const char *value)
{
	return value != NULL ? json_add_string(o, name, value) : OK;
}

static enum err
print_and_free(cJSON *o, enum err e, struct buf *out)
{
	if (e == OK)
		e = json_print(o, out);
	cJSON_Delete(o);
	return e;
}

/* A tree that must be an object; on failure nothing is left behind. */
static enum err
parse_object(cJSON **out, const char *p, size_t n, size_t max, enum json_mode mode, struct fault *f)
{
	enum err e;

	*out = NULL;
	if (n > max)
		return fault_set(f, ERR_TOOBIG, "the document is larger than %zu bytes", max);
	e = json_parse(out, p, n, mode, f);
	if (e == OK && !cJSON_IsObject(*out)) {
		cJSON_Delete(*out);
		*out = NULL;
		e = fault_set(f, ERR_PARSE, "the document must be a JSON object");
	}
	return e;
}

enum err
enroll_request_write(const struct enroll_request *r, struct buf *out)
{
	char proof[2 * ENROLL_MAC + 1];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : OK;

	text_hex(proof, r->proof, ENROLL_MAC);
	if (e == OK)
		e = json_add_string(o, "token_id", r->token_id);
	if (e == OK)
		e = json_add_string(o, "csr", r->csr);
	if (e == OK)
		e = json_add_string(o, "proof", proof);
	if (e == OK)
		e = json_add_string(o, "host", r->host);
	if (e == OK)
		e = add_if(o, "machine_id", r->machine_id);
	if (e == OK)
		e = json_add_u64(o, "task_port", r->task_port);
	if (e == OK)
		e = add_if(o, "version", r->version);
	return print_and_free(o, e, out);
}

static enum err
request_fields(struct enroll_request *r, struct fault *f)
{
	const char *proof;
	uint64_t port;
	size_t n;
	enum err e = json_get_string(r->tree, "token_id", &r->token_id, f);

	if (e == OK)
		e = json_get_string(r->tree, "csr", &r->csr, f);
	if (e == OK)
		e = json_get_string(r->tree, "proof", &proof, f);
	if (e == OK)
		e = json_get_string(r->tree, "host", &r->host, f);
	if (e == OK)
		e = json_opt_string(r->tree, "machine_id", "", &r->machine_id, f);
	if (e == OK)
		e = json_opt_string(r->tree, "version", "", &r->version, f);
	if (e == OK)
		e = json_opt_u64(r->tree, "task_port", 65535, 0, &port, f);
	if (e != OK)
		return e;
	r->task_port = (uint16_t)port;
	if (text_unhex(r->proof, sizeof(r->proof), proof, strlen(proof), &n) != OK ||
	    n != ENROLL_MAC)
		return fault_set(f, ERR_PARSE, "member 'proof' must be 64 hexadecimal digits");
	if (strlen(r->token_id) != TOKEN_ID_TEXT - 1)
		return fault_set(f, ERR_PARSE, "member 'token_id' must be 16 hexadecimal digits");
	if (strlen(r->host) >= TOKEN_HOST_TEXT || strlen(r->machine_id) > LIMIT_MACHINE_ID ||
	    strlen(r->version) > LIMIT_VERSION_TEXT)
		return fault_set(
		    f, ERR_TOOBIG, "member 'host', 'machine_id' or 'version' is too long");
	return OK;
}

enum err
enroll_request_read(struct enroll_request *out, const char *p, size_t n, struct fault *f)
{
	enum err e;

	memset(out, 0, sizeof(*out));
	e = parse_object(&out->tree, p, n, LIMIT_ENROLL_REQUEST, JSON_SIGNED, f);
	if (e == OK)
		e = request_fields(out, f);
	if (e != OK)
		enroll_request_free(out);
	return e;
}

void
enroll_request_free(struct enroll_request *r)
{
	cJSON_Delete(r->tree);
	memset(r, 0, sizeof(*r));
}

/* The words of the agent's journal. */
static const struct {
	const char *word;
	bool final;
} states[] = {
	{ "accepted", false },
	{ "running", false },
	{ "done", true },
	{ "failed", true },
	{ "interrupted", true },
	{ "canceled", true },
	{ "expired", true },
	{ "refused", true },
};

static bool
state_known(const char *state, bool only_final)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(states[i].word, state) == 0)
			return states[i].final || !only_final;
	return false;
}

int
enroll_state_is_final(const char *state)
{
	return state_known(state, true);
}

static enum err
add_copy(cJSON *o, const char *name, const cJSON *item)
{
	cJSON *copy;

	if (item == NULL)
		return OK;
	copy = cJSON_Duplicate(item, 1);
	if (copy != NULL && cJSON_AddItemToObject(o, name, copy))
		return OK;
	cJSON_Delete(copy);
	return ERR_NOMEM;
}

enum err
enroll_state_write(const struct enroll_state *s, struct buf *out)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "state", s->state);

	if (e == OK)
		e = add_if(o, "step", s->step);
	if (e == OK)
		e = add_if(o, "error", s->error);
	if (e == OK)
		e = add_copy(o, "result", s->result);
	if (e == OK)
		e = add_copy(o, "progress", s->progress);
	if (e == OK)
		e = add_if(o, "updated", s->updated);
	return print_and_free(o, e, out);
}

static enum err
state_fields(struct enroll_state *s, struct fault *f)
{
	int64_t ms;
	enum err e = json_get_string(s->tree, "state", &s->state, f);

	if (e == OK && !state_known(s->state, false))
		e = fault_set(f, ERR_PARSE, "member 'state' is no state of a task");
	if (e == OK)
		e = json_opt_string(s->tree, "step", NULL, &s->step, f);
	if (e == OK)
		e = json_opt_string(s->tree, "error", NULL, &s->error, f);
	if (e == OK)
		e = json_opt_string(s->tree, "updated", NULL, &s->updated, f);
	if (e == OK && s->updated != NULL && clock_parse(s->updated, strlen(s->updated), &ms) != OK)
		e = fault_set(
		    f, ERR_PARSE, "member 'updated' must be a time such as 2026-01-01T00:00:00Z");
	s->result = json_get(s->tree, "result");
	if (e == OK && s->result != NULL && !cJSON_IsObject(s->result) && !cJSON_IsNull(s->result))
		e = fault_set(f, ERR_PARSE, "member 'result' must be an object");
	s->progress = json_get(s->tree, "progress");
	if (e == OK && s->progress != NULL && !cJSON_IsObject(s->progress))
		e = fault_set(f, ERR_PARSE, "member 'progress' must be an object");
	return e;
}

enum err
enroll_state_read(struct enroll_state *out, const char *p, size_t n, struct fault *f)
{
	enum err e;

	memset(out, 0, sizeof(*out));
	e = parse_object(&out->tree, p, n, LIMIT_TASK_BYTES, JSON_EVENT, f);
	if (e == OK)
		e = state_fields(out, f);
	if (e != OK)
		enroll_state_free(out);
	return e;
}

void
enroll_state_free(struct enroll_state *s)
{
	cJSON_Delete(s->tree);
	memset(s, 0, sizeof(*s));
}
