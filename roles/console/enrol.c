/* enrol.c - POST /v1/enroll and /v1/renew (DESIGN section 10). All in the database worker: the
 * attempt is counted before anything is checked, one statement spends the token, and the queue runs
 * one job at a time, so of a hundred parallel tries of a single-use token exactly one wins. */
#include "agent_api.h"
#include "audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "os/file.h"
#include "os/rand.h"
#include "proto/enroll.h"
#include "store.h"

#include <string.h>

#define DAY_MS 86400000ll
#define CERT_DAYS 30
#define BACKDATE_MS 3600000ll /* clocks of agents that are a little behind */
#define LIMIT_CERT 16384
#define LIMIT_ROOT 512000

struct enrol {
	struct call *call;
	struct db *db;
	struct enroll_request req;
	struct token_row token;
	struct agent_row agent;
	struct buf cert, document;
	int64_t now;
};

/* One answer for every reason, so that a guesser learns nothing; the log and the event know more.
 */
static enum err
refuse_token(struct enrol *x, const char *why)
{
	enum err e;

	(void)call_refuse(x->call, 403, ENROLL_CODE_TOKEN, "token %s: %s", x->req.token_id, why);
	e = audit_refusal(x->call, x->db, "enroll");
	(void)call_refuse(x->call, 403, ENROLL_CODE_TOKEN,
	    "this token is not valid here: it is unknown, used up, too old or not proved");
	return e;
}

static bool
proof_right(const struct enrol *x, const uint8_t csr_sha256[32])
{
	const struct identity *id = &x->call->c->id;
	uint8_t own[ENROLL_MAC];

	enroll_proof_keyed(own, x->token.key, x->req.token_id, id->leaf, csr_sha256);
	if (pki_equal(own, x->req.proof, sizeof(own)))
		return true;
	if (!id->has_before)
		return false;
	enroll_proof_keyed(own, x->token.key, x->req.token_id, id->leaf_before, csr_sha256);
	return pki_equal(own, x->req.proof, sizeof(own));
}

static enum err
issue(struct enrol *x, const char *csr, const char *agent, struct fault *f)
{
	const struct console *c = x->call->c;
	struct pki_grant g = { .role = PKI_AGENT,
		.org = c->o->org,
		.name = agent,
		.server_auth = true,
		.client_auth = true,
		.not_before = x->now - BACKDATE_MS,
		.not_after = x->now + CERT_DAYS * DAY_MS };
	struct pki_identity id;
	enum err e;

	buf_init(&x->cert, LIMIT_CERT);
	e = pki_issue(&x->cert, csr, strlen(csr), buf_text(&c->id.ca_signing),
	    buf_text(&c->id.ca_key), &g, &id, f);
	if (e != OK)
		return e;
	x->agent.not_after = id.not_after;
	return text_copy(x->agent.serial, sizeof(x->agent.serial), id.serial, strlen(id.serial));
}

static enum err
copy_field(char *dst, size_t size, const char *src)
{
	struct buf b;
	enum err e;

	buf_init(&b, 4 * size);
	e = text_printable(&b, (const uint8_t *)src, strlen(src), size - 1);
	if (e == OK)
		e = text_copy(dst, size, buf_text(&b), b.len < size ? b.len : size - 1);
	buf_free(&b);
	return e;
}

static enum err
fill_agent(struct enrol *x)
{
	struct agent_row *a = &x->agent;
	enum err e;

	rand_uuid_v7(a->agent);
	a->task_port = x->req.task_port;
	a->enrolled = a->seen = x->now;
	e = copy_field(a->host, sizeof(a->host), x->req.host);
	if (e == OK)
		e = copy_field(a->machine, sizeof(a->machine), x->req.machine_id);
	if (e == OK)
		e = copy_field(a->version, sizeof(a->version), x->req.version);
	if (e == OK)
		e = text_copy(a->group, sizeof(a->group), x->token.group, strlen(x->token.group));
	if (e == OK)
		e = text_copy(
		    a->address, sizeof(a->address), x->call->address, strlen(x->call->address));
	return e;
}

/* root.json of a feed: of policies its first root (later ones follow by rotation), of others what
 * the administrator gave us; none is fine, the agent then needs it from its package. */
static enum err
read_root(const struct console *c, const char *feed, struct buf *out)
{
	char name[128 + TOKEN_FEED_TEXT], path[STATE_PATH];
	struct buf rel;
	enum err e;

	buf_init(&rel, sizeof(name));
	if (strcmp(feed, FEED_POLICIES) == 0)
		e = buf_puts(&rel, DIR_POLICIES "/public/" FEED_POLICIES "/metadata/1.root.json");
	else
		e = buf_printf(&rel, DIR_ROOTS "/%s.json", feed);
	if (e == OK)
		e = options_path(c->o, buf_text(&rel), path, NULL);
	if (e == OK)
		e = file_read(path, out, NULL);
	buf_free(&rel);
	return e == ERR_NOTFOUND ? OK : e;
}

struct feeds {
	char names[ENROLL_MAX_FEEDS][TOKEN_FEED_TEXT];
	struct buf roots[ENROLL_MAX_FEEDS];
};

static enum err
add_feed(struct enrol *x, struct enroll_answer *a, struct feeds *all, const char *p, size_t n)
{
	size_t at = a->n_feeds;
	enum err e;

	if (at == ENROLL_MAX_FEEDS)
		return ERR_TOOBIG;
	e = text_copy(all->names[at], TOKEN_FEED_TEXT, p, n);
	buf_init(&all->roots[at], LIMIT_ROOT);
	if (e == OK)
		e = read_root(x->call->c, all->names[at], &all->roots[at]);
	if (e != OK)
		return e;
	a->feeds[at].name = all->names[at];
	a->feeds[at].root = all->roots[at].len > 0 ? buf_text(&all->roots[at]) : NULL;
	a->feeds[at].root_len = all->roots[at].len;
	a->n_feeds++;
	return OK;
}

static enum err
add_feeds(struct enrol *x, struct enroll_answer *a, struct feeds *all)
{
	const char *p = x->call->c->o->feeds;
	enum err e = add_feed(x, a, all, FEED_POLICIES, strlen(FEED_POLICIES));

	while (e == OK && *p != '\0') {
		size_t n = strcspn(p, ", ");
		if (n > 0)
			e = add_feed(x, a, all, p, n);
		p += n;
		p += strspn(p, ", ");
	}
	return e;
}

static enum err
write_document(struct enrol *x)
{
	const struct console *c = x->call->c;
	struct enroll_answer a = { .agent = x->agent.agent,
		.org = c->o->org,
		.group = x->agent.group,
		.certificate = buf_text(&x->cert),
		.ca = buf_text(&c->id.ca_given),
		.console_name = c->o->name,
		.console_host = c->o->host,
		.console_port = c->agent_port };
	struct feeds all = { 0 };
	char time[CLOCK_TEXT];
	enum err e = add_feeds(x, &a, &all);

	clock_format(time, x->now);
	a.time = time;
	a.n_sources = 1;
	a.sources[0] = (struct enroll_source){ .name = c->o->source_name,
		.host = c->o->source_host,
		.ftp = c->o->source_ftp,
		.http = c->o->source_http,
		.version = c->o->source_version };
	buf_init(&x->document, LIMIT_ENROLL_ANSWER);
	if (e == OK)
		e = enroll_answer_write(&a, &x->document);
	for (size_t i = 0; i < ENROLL_MAX_FEEDS; i++)
		buf_free(&all.roots[i]);
	return e;
}

static enum err
write_answer(struct enrol *x)
{
	uint8_t mac[ENROLL_MAC];
	enum err e = write_document(x);

	if (e != OK)
		return e;
	enroll_answer_mac_keyed(
	    mac, x->token.key, x->req.proof, buf_text(&x->document), x->document.len);
	return enroll_answer_seal(&x->call->out, buf_text(&x->document), x->document.len, mac);
}

static enum err
record(struct enrol *x)
{
	cJSON *data = cJSON_CreateObject();
	enum err e = data == NULL ? ERR_NOMEM : json_add_string(data, "agent", x->agent.agent);

	if (e == OK)
		e = json_add_string(data, "host", x->agent.host);
	if (e == OK)
		e = json_add_string(data, "group", x->agent.group);
	if (e == OK)
		e = json_add_string(data, "address", x->agent.address);
	if (e == OK)
		e = json_add_string(data, "token", x->token.id);
	if (e != OK) {
		cJSON_Delete(data);
		return e;
	}
	log_info("enrolled", "agent=%s host=%s group=%s address=%s", x->agent.agent,
	    log_q(x->agent.host), x->agent.group, x->agent.address);
	return audit_done(x->call->c, x->db, "enrolled", data);
}

/* The token is right and has a use left: certificate, agent, answer. */
static enum err
admit(struct enrol *x)
{
	struct fault f = { 0 };
	enum err e = store_token_spend(x->db, x->token.id);

	if (e == ERR_DENIED)
		return refuse_token(x, "used up");
	if (e == OK)
		e = fill_agent(x);
	if (e == OK)
		e = issue(x, x->req.csr, x->agent.agent, &f);
	if (e == OK)
		e = store_agent_add(x->db, &x->agent);
	if (e == OK)
		e = write_answer(x);
	if (e == OK)
		e = store_enrolment_add(
		    x->db, x->token.id, x->req.proof, x->agent.agent, &x->call->out, x->now);
	if (e == OK)
		e = record(x);
	if (e != OK)
		log_error("enroll.failed", "error=%s", log_q(fault_text(&f)));
	return e;
}

static enum err
check_token(struct enrol *x, const uint8_t csr_sha256[32])
{
	enum err e = store_token_try(x->db, x->req.token_id, &x->token);

	if (e == ERR_NOTFOUND)
		return refuse_token(x, "unknown");
	if (e != OK)
		return e;
	if (!proof_right(x, csr_sha256))
		return refuse_token(x, "the proof is wrong");
	e = store_enrolment_find(
	    x->db, x->token.id, x->req.proof, x->now - ENROLL_REPEAT_MS, &x->call->out);
	if (e != ERR_NOTFOUND)
		return e; /* the same request again: the same answer */
	if (x->token.revoked)
		return refuse_token(x, "revoked");
	if (x->now >= x->token.expires)
		return refuse_token(x, "expired");
	return admit(x);
}

static enum err
work_enroll(struct call *call, struct db *db)
{
	struct enrol x = { .call = call, .db = db, .now = clock_wall_ms() };
	struct fault f = { 0 };
	struct pki_csr csr;
	enum err e = enroll_request_read(&x.req, buf_text(&call->body), call->body.len, &f);

	if (e != OK) {
		(void)call_refuse(call, 400, ENROLL_CODE_MALFORMED, "%s", fault_text(&f));
		return audit_refusal(call, db, "enroll");
	}
	if (pki_csr_read(&csr, x.req.csr, strlen(x.req.csr), &f) != OK) {
		(void)call_refuse(call, 400, ENROLL_CODE_CSR, "%s", fault_text(&f));
		e = audit_refusal(call, db, "enroll");
	} else {
		e = check_token(&x, csr.csr_sha256);
	}
	enroll_request_free(&x.req);
	buf_free(&x.cert);
	buf_free(&x.document);
	explicit_bzero(x.token.key, sizeof(x.token.key));
	return e;
}

void
on_enroll(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_enroll, NULL);
}

static enum err
write_renewal(struct enrol *x)
{
	const struct console *c = x->call->c;
	char time[CLOCK_TEXT];
	cJSON *o = cJSON_CreateObject();
	enum err e = o == NULL ? ERR_NOMEM : json_add_string(o, "certificate", buf_text(&x->cert));

	clock_format(time, x->now);
	if (e == OK)
		e = json_add_string(o, "ca", buf_text(&c->id.ca_given));
	if (e == OK)
		e = json_add_string(o, "time", time);
	if (e == OK)
		return call_json(x->call, 200, o);
	cJSON_Delete(o);
	return e;
}

static enum err
renew(struct enrol *x, const char *csr)
{
	struct fault f = { 0 };
	struct pki_csr read;
	enum err e;

	if (pki_csr_read(&read, csr, strlen(csr), &f) != OK) {
		(void)call_refuse(x->call, 400, ENROLL_CODE_CSR, "%s", fault_text(&f));
		return audit_refusal(x->call, x->db, "renew");
	}
	e = issue(x, csr, x->call->peer.name, &f);
	if (e == OK)
		e = store_agent_renewed(
		    x->db, x->call->peer.name, x->agent.serial, x->agent.not_after);
	if (e == OK)
		e = write_renewal(x);
	if (e != OK)
		log_error(
		    "renew.failed", "agent=%s error=%s", x->call->peer.name, log_q(fault_text(&f)));
	else
		log_info("renewed", "agent=%s serial=%s", x->call->peer.name, x->agent.serial);
	return e;
}

static enum err
work_renew(struct call *call, struct db *db)
{
	struct enrol x = { .call = call, .db = db, .now = clock_wall_ms() };
	struct agent_row known;
	struct fault f = { 0 };
	cJSON *body = NULL;
	const char *csr;
	enum err e = store_agent_get(db, call->peer.name, &known);

	if (e == ERR_NOTFOUND || (e == OK && known.revoked)) {
		(void)call_refuse(call, 403, e == OK ? "revoked" : "unknown-agent",
		    "this agent must be enrolled anew");
		return audit_refusal(call, db, "renew");
	}
	if (e != OK)
		return e;
	e = json_parse(&body, buf_text(&call->body), call->body.len, JSON_SIGNED, &f);
	if (e == OK)
		e = json_get_string(body, "csr", &csr, &f);
	if (e == OK)
		e = renew(&x, csr);
	else if (e != ERR_NOMEM)
		e = call_refuse(call, 400, ENROLL_CODE_MALFORMED, "%s", fault_text(&f));
	cJSON_Delete(body);
	buf_free(&x.cert);
	return e;
}

void
on_renew(struct http_req *req, void *ctx)
{
	struct call *call = call_new(ctx, req);

	if (call != NULL)
		call_start(call, work_renew, NULL);
}
