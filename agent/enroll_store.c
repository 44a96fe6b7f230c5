/* enroll_store.c - see enroll_store.h. */
#include "enroll_store.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "identity.h"
#include "net/pki.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
join(char *dst, size_t size, const char *state, const char *name)
{
	(void)snprintf(dst, size, "%s/%s", state, name);
}

static enum err
make_pending(const char *key_path, const char *csr_path, const char *cn, struct buf *key,
    struct buf *csr, struct fault *f)
{
	enum err e;

	buf_wipe(key);
	buf_free(csr);
	e = pki_key_new(key);
	if (e != OK)
		return fault_set(f, e, "a key could not be made");
	e = pki_csr_new(csr, buf_text(key), cn, f);
	if (e == OK)
		e = file_replace(key_path, key->data, key->len, 0600, f);
	if (e == OK)
		e = file_replace(csr_path, csr->data, csr->len, 0600, f);
	return e;
}

enum err
enroll_pending(const char *state, const char *cn, struct buf *key, struct buf *csr, struct fault *f)
{
	char dir[4300], key_path[4400], csr_path[4400];
	struct pki_csr parsed;
	enum err e;

	join(dir, sizeof dir, state, "identity");
	e = file_make_dirs(dir, 0700, f);
	if (e != OK)
		return e;
	join(key_path, sizeof key_path, dir, "pending-key.pem");
	join(csr_path, sizeof csr_path, dir, "pending-csr.pem");
	if (file_read(key_path, key, NULL) == OK && file_read(csr_path, csr, NULL) == OK &&
	    pki_csr_read(&parsed, buf_text(csr), csr->len, NULL) == OK)
		return OK;
	return make_pending(key_path, csr_path, cn, key, csr, f);
}

void
enroll_pending_drop(const char *state)
{
	char path[4400];

	join(path, sizeof path, state, "identity/pending-key.pem");
	(void)remove(path);
	join(path, sizeof path, state, "identity/pending-csr.pem");
	(void)remove(path);
}

static enum err
check_answer(
    const struct token *t, const struct enroll_answer *a, const char *key_pem, struct fault *f)
{
	uint8_t spki[PKI_SHA256];
	struct pki_identity id;
	struct pki_trust trust = { .ca_pem = a->ca };
	struct pki_expect expect = { PKI_AGENT, a->org, a->agent, false };
	struct buf der;
	struct pki_der chain;
	enum err e;

	e = pki_spki_sha256(spki, (const uint8_t *)a->ca, strlen(a->ca), f);
	if (e == OK && !pki_equal(spki, t->ca_spki, sizeof spki))
		e = fault_set(f, ERR_AUTH, "the answer names another CA than the token does");
	if (e == OK)
		e = pki_key_matches(key_pem, a->certificate, f);
	buf_init(&der, LIMIT_PEM_BYTES);
	if (e == OK)
		e = pki_pem_to_der(&der, a->certificate, strlen(a->certificate), f);
	chain.p = der.data;
	chain.n = der.len;
	if (e == OK)
		e = pki_verify(&trust, &expect, &chain, 1, clock_wall_ms(), &id, f);
	buf_free(&der);
	return e;
}

/* Vouched for: policies by this enrolment, others by the token's hash or a file of a package. */
static enum err
store_root(const struct agent_conf *c, const struct token *t, const struct enroll_feed *feed,
    bool *follow, struct fault *f)
{
	const uint8_t *want = token_root_hash(t, feed->name);
	char path[4400];
	uint8_t sum[PKI_SHA256];

	*follow = false;
	(void)snprintf(path, sizeof path, "%s/%s.root.json", c->roots, feed->name);
	if (strcmp(feed->name, "policies") != 0 && want == NULL) {
		*follow = file_exists(path);
		return OK;
	}
	if (feed->root == NULL) {
		*follow = file_exists(path);
		return OK;
	}
	if (want != NULL) {
		pki_sha256(sum, feed->root, feed->root_len);
		if (!pki_equal(sum, want, sizeof sum))
			return fault_set(f, ERR_VERIFY,
			    "the root of feed %s is not the one that the token "
			    "names; ask for a new token",
			    feed->name);
	}
	(void)snprintf(path, sizeof path, "%s/roots/%s.root.json", c->state, feed->name);
	*follow = true;
	return file_replace(path, feed->root, feed->root_len, 0640, f);
}

static enum err
add_source(cJSON *list, const struct enroll_source *s)
{
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "name", s->name);

	if (e == OK)
		e = json_add_string(o, "host", s->host);
	if (e == OK)
		e = json_add_u64(o, "ftp", s->ftp);
	if (e == OK)
		e = json_add_u64(o, "http", s->http);
	if (e == OK)
		e = json_add_u64(o, "version", s->version);
	if (e == OK)
		return json_append(list, o);
	cJSON_Delete(o);
	return e;
}

static enum err
write_json(const cJSON *t, const char *path, struct fault *f)
{
	struct buf text;
	enum err e;

	buf_init(&text, LIMIT_ENROLMENT_BYTES);
	e = json_print_pretty(t, &text);
	e = e == OK ? file_replace(path, text.data, text.len, 0640, f)
		    : fault_set(f, e, "%s could not be written", path);
	buf_free(&text);
	return e;
}

static enum err
store_enrolment(const struct agent_conf *c, const struct token *t, const struct enroll_answer *a,
    struct buf *left_out, struct fault *f)
{
	cJSON *o = cJSON_CreateObject(), *feeds = NULL, *sources = NULL;
	enum err e = o == NULL ? ERR_NOMEM : json_add_array(o, "feeds", &feeds);
	char path[4300];

	for (size_t i = 0; e == OK && i < a->n_feeds; i++) {
		bool follow;

		e = store_root(c, t, &a->feeds[i], &follow, f);
		if (e == OK && follow)
			e = json_append_string(feeds, a->feeds[i].name);
		else if (e == OK)
			e = buf_printf(
			    left_out, "%s%s", left_out->len == 0 ? "" : ", ", a->feeds[i].name);
	}
	if (e == OK)
		e = json_add_array(o, "sources", &sources);
	for (size_t i = 0; e == OK && i < a->n_sources; i++)
		e = add_source(sources, &a->sources[i]);
	join(path, sizeof path, c->state, "enrolment.json");
	if (e == OK)
		e = write_json(o, path, f);
	cJSON_Delete(o);
	return e == OK ? OK : fault_set(f, e, "enrolment.json could not be written");
}

static enum err
store_identity(const struct agent_conf *c, const struct token *t, const struct enroll_answer *a,
    struct fault *f)
{
	cJSON *o = cJSON_CreateObject(), *console = NULL;
	char now[CLOCK_TEXT], path[4300];
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "agent", a->agent);

	clock_format(now, clock_wall_ms());
	if (e == OK)
		e = json_add_string(o, "org", a->org);
	if (e == OK)
		e = json_add_string(o, "group", a->group == NULL ? "" : a->group);
	if (e == OK)
		e = json_add_object(o, "console", &console);
	if (e == OK)
		e = json_add_string(
		    console, "name", a->console_name == NULL ? "" : a->console_name);
	if (e == OK)
		e = json_add_string(console, "host",
		    a->console_host == NULL || a->console_host[0] == '\0' ? t->host
									  : a->console_host);
	if (e == OK)
		e = json_add_u64(console, "port", a->console_port == 0 ? t->port : a->console_port);
	if (e == OK)
		e = json_add_string(o, "enrolled", now);
	join(path, sizeof path, c->state, "identity/identity.json");
	if (e == OK)
		e = write_json(o, path, f);
	cJSON_Delete(o);
	return e == OK ? OK : fault_set(f, e, "identity.json could not be written");
}

enum err
enroll_store(const struct agent_conf *c, const struct token *t, const struct enroll_answer *a,
    const char *key_pem, struct buf *left_out, struct fault *f)
{
	const struct {
		const char *name, *text;
		unsigned mode;
	} files[] = {
		{ "identity/ca.pem", a->ca, 0640 },
		{ "identity/cert.pem", a->certificate, 0640 },
		{ "identity/key.pem", key_pem, 0600 },
	};
	char path[4300];
	enum err e = check_answer(t, a, key_pem, f);

	if (e == OK && a->group != NULL && a->group[0] != '\0' &&
	    !text_is_file_name(a->group, strlen(a->group)))
		e = fault_set(f, ERR_PARSE, "the console gave a group with a name that is none");
	join(path, sizeof path, c->state, "roots");
	if (e == OK)
		e = file_make_dirs(path, 0750, f);
	join(path, sizeof path, c->state, "identity/identity.json");
	if (e == OK && remove(path) != 0 && file_exists(path))
		e = fault_set(f, ERR_IO, "%s cannot be replaced", path);
	join(path, sizeof path, c->state, "identity/group"); /* of an enrolment before */
	if (e == OK && remove(path) != 0 && file_exists(path))
		e = fault_set(f, ERR_IO, "%s cannot be removed", path);
	if (e == OK)
		e = store_enrolment(c, t, a, left_out, f);
	for (size_t i = 0; e == OK && i < 3; i++) {
		join(path, sizeof path, c->state, files[i].name);
		e = file_replace(path, files[i].text, strlen(files[i].text), files[i].mode, f);
	}
	if (e == OK)
		e = store_identity(c, t, a, f);
	if (e == OK)
		enroll_pending_drop(c->state);
	return e;
}
