/* Authority documents and task envelopes: each refusal by its code. Keys are made for the run. */
#include "base/clock.h"
#include "base/uuid.h"
#include "proto/envelope.h"
#include "test.h"
#include "update/key.h"

#define AGENT "01890000-0000-7000-8000-00000000000a"
#define OTHER "01890000-0000-7000-8000-00000000000b"
#define MADE_MS 1700000000000ll /* when the tasks here are made */

static struct sign_private *keys[3];
static char ids[3][KEY_ID_TEXT];
static cJSON *objects[3];

static int
make_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		if (sign_generate(&keys[i], NULL) != OK ||
		    key_of_private(keys[i], &objects[i], ids[i], NULL) != OK)
			return -1;
	return 0;
}

static int
drop_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		sign_private_free(keys[i]);
		cJSON_Delete(objects[i]);
	}
	return 0;
}

/* keys 0 and 1 are listed; update.now needs one of them, role.set both, status only key 1. */
static cJSON *
new_tree(void)
{
	struct buf b;
	cJSON *tree;

	buf_init(&b, 10000);
	assert_int_equal(
	    buf_printf(&b,
		"{\"version\":3,\"org\":\"example\",\"consoles\":[\"main\",\"second\"],"
		"\"keys\":{},\"cas\":[],\"tasks\":{"
		"\"update.now\":{\"keyids\":[\"%s\",\"%s\"],\"threshold\":1},"
		"\"role.set\":{\"keyids\":[\"%s\",\"%s\"],\"threshold\":2},"
		"\"status\":{\"keyids\":[\"%s\"],\"threshold\":1}},"
		"\"revoked\":{\"consoles\":[\"second\"],\"agents\":[\"" OTHER "\"],"
		"\"serials\":[\"0a1b\"],\"keyids\":[]}}",
		ids[0], ids[1], ids[0], ids[1], ids[1]),
	    OK);
	assert_int_equal(json_parse(&tree, buf_text(&b), b.len, JSON_SIGNED, NULL), OK);
	for (int i = 0; i < 2; i++)
		assert_true(cJSON_AddItemToObject(
		    json_get(tree, "keys"), ids[i], cJSON_Duplicate(objects[i], 1)));
	buf_free(&b);
	return tree;
}

static enum err
parse_tree(struct authority **a, const cJSON *tree, struct fault *f)
{
	struct buf b;
	enum err e;

	buf_init(&b, LIMIT_AUTHORITY_BYTES);
	assert_int_equal(json_print(tree, &b), OK);
	e = authority_parse(a, buf_text(&b), b.len, f);
	buf_free(&b);
	return e;
}

static struct authority *
authority(void)
{
	cJSON *tree = new_tree();
	struct authority *a;

	assert_int_equal(parse_tree(&a, tree, NULL), OK);
	cJSON_Delete(tree);
	return a;
}

static void
test_authority_answers(void **state)
{
	static const uint8_t spki[32] = { 0 };
	struct authority *a = authority();

	(void)state;
	assert_int_equal(authority_version(a), 3);
	assert_string_equal(authority_org(a), "example");
	assert_true(authority_console_allowed(a, "main"));
	assert_false(authority_console_allowed(a, "second"));
	assert_false(authority_console_allowed(a, "third"));
	assert_true(authority_agent_revoked(a, OTHER));
	assert_false(authority_agent_revoked(a, AGENT));
	assert_true(authority_serial_revoked(a, "0a1b"));
	assert_false(authority_serial_revoked(a, "0a1"));
	assert_false(authority_ca_allowed(a, spki));
	assert_null(authority_signers(a, "agent.restart"));
	assert_int_equal(authority_signers(a, "role.set")->threshold, 2);
	authority_free(a);
}

/* One member is replaced by this JSON text, or removed. */
static void
test_authority_refusals(void **state)
{
	static const struct {
		const char *member, *value;
	} cases[] = {
		{ "version", NULL },
		{ "version", "0" },
		{ "version", "\"1\"" },
		{ "org", NULL },
		{ "org", "\"a b\"" },
		{ "consoles", NULL },
		{ "consoles", "[7]" },
		{ "consoles", "{}" },
		{ "cas", "[\"xyz\"]" },
		{ "keys", NULL },
		{ "keys", "{}" },
		{ "keys", "[]" },
		{ "tasks", NULL },
		{ "tasks", "{\"x\":{\"keyids\":[],\"threshold\":1}}" },
		{ "tasks", "{\"x\":{\"keyids\":[\"00\"],\"threshold\":1}}" },
		{ "tasks", "{\"x\":7}" },
		{ "revoked", "[]" },
		{ "revoked", "{\"agents\":[\"x\"]}" },
		{ "revoked", "{\"serials\":[\"XY\"]}" },
		{ "revoked", "{\"keyids\":[\"aa\"]}" },
	};
	struct authority *a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *tree = new_tree(), *value = NULL;
		struct fault f = { 0 };

		cJSON_Delete(cJSON_DetachItemViaPointer(tree, json_get(tree, cases[i].member)));
		if (cases[i].value != NULL) {
			assert_int_equal(json_parse(&value, cases[i].value, strlen(cases[i].value),
					     JSON_SIGNED, NULL),
			    OK);
			assert_true(cJSON_AddItemToObject(tree, cases[i].member, value));
		}
		assert_int_not_equal(parse_tree(&a, tree, &f), OK);
		assert_string_not_equal(fault_text(&f), "");
		assert_null(a);
		cJSON_Delete(tree);
	}
}

/* A key under an id that is not its hash, and a threshold that nobody can meet. */
static void
test_authority_keys_are_checked(void **state)
{
	cJSON *tree = new_tree(), *key;
	struct authority *a;

	(void)state;
	key = cJSON_DetachItemViaPointer(
	    json_get(tree, "keys"), json_get(json_get(tree, "keys"), ids[0]));
	cJSON_Delete(key);
	assert_true(
	    cJSON_AddItemToObject(json_get(tree, "keys"), ids[0], cJSON_Duplicate(objects[2], 1)));
	assert_int_not_equal(parse_tree(&a, tree, NULL), OK);
	cJSON_Delete(tree);
	tree = new_tree();
	cJSON_SetNumberValue(json_get(json_get(json_get(tree, "tasks"), "status"), "threshold"), 2);
	assert_int_not_equal(parse_tree(&a, tree, NULL), OK);
	cJSON_Delete(tree);
}

struct made {
	const char *agent, *type, *issuer;
	int64_t before, life;
	int signers; /* bit i: key i signs */
};

static struct envelope
make(const struct made *m)
{
	char id[UUID_TEXT];
	static const uint8_t random[10] = { 1 };
	struct envelope_draft d = { .id = id,
		.agent = m->agent,
		.type = m->type,
		.issuer = m->issuer,
		.not_before_ms = MADE_MS + m->before,
		.expires_ms = MADE_MS + m->before + m->life };
	struct envelope e;
	struct fault f = { 0 };

	uuid_v7(id, MADE_MS, random);
	assert_int_equal(envelope_build(&e, &d, &f), OK);
	for (int i = 0; i < 3; i++)
		if ((m->signers & (1 << i)) != 0)
			assert_int_equal(envelope_sign(&e, keys[i], &f), OK);
	return e;
}

#define HOUR 3600000ll
#define DAY (24 * HOUR)

static void
test_every_refusal_has_its_code(void **state)
{
	static const struct {
		struct made made;
		int64_t now, bound; /* from MADE_MS; bound 0 = none */
		const char *code;
	} cases[] = {
		{ { AGENT, "update.now", "main", 0, HOUR, 1 }, 1000, 0, "ok" },
		{ { AGENT, "update.now", "main", 0, HOUR, 2 }, 1000, 0, "ok" },
		{ { AGENT, "update.now", "main", 0, HOUR, 7 }, 1000, 0, "ok" },
		{ { "group:till", "update.now", "main", 0, HOUR, 1 }, 1000, 0, "ok" },
		{ { "*", "update.now", "main", 0, 7 * DAY, 1 }, 1000, 0, "ok" },
		{ { OTHER, "update.now", "main", 0, HOUR, 1 }, 1000, 0, "wrong-agent" },
		{ { "group:office", "update.now", "main", 0, HOUR, 1 }, 1000, 0, "wrong-agent" },
		{ { AGENT, "update.now", "main", 0, HOUR, 1 }, HOUR, 0, "expired" },
		{ { AGENT, "update.now", "main", 0, HOUR, 1 }, HOUR - 1, 0, "ok" },
		{ { AGENT, "update.now", "main", DAY, HOUR, 1 }, 1000, 0, "not-yet" },
		{ { AGENT, "update.now", "main", 60000, HOUR, 1 }, 0, 0, "ok" },
		{ { AGENT, "update.now", "main", 60001, HOUR, 1 }, 0, 0, "not-yet" },
		{ { AGENT, "update.now", "main", 0, 7 * DAY + 1000, 1 }, 1000, 0, "life-too-long" },
		{ { AGENT, "update.now", "main", 0, HOUR, 1 }, 1000, 500, "too-old" },
		{ { AGENT, "update.now", "third", 0, HOUR, 1 }, 1000, 0, "issuer-refused" },
		{ { AGENT, "update.now", "second", 0, HOUR, 1 }, 1000, 0, "issuer-refused" },
		{ { AGENT, "agent.restart", "main", 0, HOUR, 3 }, 1000, 0, "not-allowed" },
		{ { AGENT, "update.now", "main", 0, HOUR, 0 }, 1000, 0, "bad-signature" },
		{ { AGENT, "update.now", "main", 0, HOUR, 4 }, 1000, 0, "bad-signature" },
		{ { AGENT, "status", "main", 0, HOUR, 1 }, 1000, 0, "bad-signature" },
		{ { AGENT, "role.set", "main", 0, HOUR, 1 }, 1000, 0, "threshold" },
		{ { AGENT, "role.set", "main", 0, HOUR, 5 }, 1000, 0, "threshold" },
		{ { AGENT, "role.set", "main", 0, HOUR, 3 }, 1000, 0, "ok" },
	};
	struct authority *a = authority();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct envelope e = make(&cases[i].made);
		struct envelope_context ctx = { .agent = AGENT,
			.group = "till",
			.now_ms = MADE_MS + cases[i].now,
			.skew_ms = 60000,
			.not_before_ms = cases[i].bound != 0 ? MADE_MS + cases[i].bound : 0 };
		struct fault f = { 0 };
		enum envelope_refusal r = envelope_verify(&e, a, &ctx, &f);

		assert_string_equal(envelope_code(r), cases[i].code);
		assert_true((r == ENVELOPE_OK) == (f.text[0] == '\0'));
		envelope_free(&e);
	}
	authority_free(a);
}

static void
test_a_revoked_key_counts_for_nothing(void **state)
{
	static const struct made one = { AGENT, "update.now", "main", 0, HOUR, 1 };
	static const struct made both = { AGENT, "update.now", "main", 0, HOUR, 3 };
	struct envelope_context ctx = { .agent = AGENT, .group = "", .now_ms = MADE_MS + 1 };
	cJSON *tree = new_tree();
	struct authority *a;
	struct envelope e;

	(void)state;
	assert_int_equal(
	    json_append_string(json_get(json_get(tree, "revoked"), "keyids"), ids[0]), OK);
	assert_int_equal(parse_tree(&a, tree, NULL), OK);
	e = make(&one);
	assert_int_equal(envelope_verify(&e, a, &ctx, NULL), ENVELOPE_REVOKED);
	envelope_free(&e);
	e = make(&both);
	assert_int_equal(envelope_verify(&e, a, &ctx, NULL), ENVELOPE_OK);
	envelope_free(&e);
	authority_free(a);
	cJSON_Delete(tree);
}

/* The signature covers every member: whatever is changed afterwards is noticed. */
static void
test_a_changed_member_breaks_the_signature(void **state)
{
	static const struct made m = { "*", "update.now", "main", 0, HOUR, 1 };
	static const char *const values[][2] = {
		{ "agent", "\"group:till\"" },
		{ "args", "{\"feed\":\"signatures\"}" },
		{ "id", "\"018bcfe5-6800-7000-8000-000000000001\"" },
		{ "expires", "\"2023-11-14T23:59:59.000Z\"" },
		{ "not_before", "\"2023-11-14T22:13:20Z\"" },
	};
	struct envelope_context ctx = { .agent = AGENT, .group = "till", .now_ms = MADE_MS + 1 };
	struct authority *a = authority();

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct envelope e = make(&m), changed;
		struct fault f = { 0 };
		cJSON *tree = cJSON_Duplicate(e.tree, 1), *part = json_get(tree, "signed"), *v;

		assert_int_equal(
		    json_parse(&v, values[i][1], strlen(values[i][1]), JSON_SIGNED, NULL), OK);
		cJSON_Delete(cJSON_DetachItemViaPointer(part, json_get(part, values[i][0])));
		assert_true(cJSON_AddItemToObject(part, values[i][0], v));
		assert_int_equal(envelope_from_tree(&changed, tree, &f), OK);
		assert_int_equal(envelope_verify(&changed, a, &ctx, NULL), ENVELOPE_BAD_SIGNATURE);
		envelope_free(&changed);
		envelope_free(&e);
	}
	authority_free(a);
}

#define ID "\"id\":\"018bcfe5-6800-7000-8000-000000000001\""
#define REST                                                                                       \
	"\"agent\":\"*\",\"type\":\"status\",\"args\":{},\"not_before\":\"2023-01-01T00:00:00Z\"," \
	"\"expires\":\"2023-01-02T00:00:00Z\",\"issuer\":\"main\""
#define WRAP(s) "{\"signed\":{" s "},\"signatures\":[]}"

static void
test_forms(void **state)
{
	static const struct {
		const char *text;
		const char *says; /* NULL: accepted */
	} cases[] = {
		{ WRAP(ID "," REST), NULL },
		{ "{\"signed\":{" ID "," REST "},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"}]}",
		    NULL },
		{ "", "" },
		{ "[]", "must be a JSON object" },
		{ "{}", "'signed'" },
		{ WRAP(REST), "'id'" },
		{ WRAP("\"id\":\"7\"," REST), "version 7" },
		{ WRAP("\"id\":\"018bcfe5-6800-4000-8000-000000000001\"," REST), "version 7" },
		{ WRAP(ID "," REST ",\"command\":\"rm\""), "'command' is unknown" },
		{ "{\"signed\":{" ID "," REST "},\"signatures\":[],\"x\":1}", "beside" },
		{ "{\"signed\":{" ID "," REST "},\"signatures\":{}}", "'signatures'" },
		{ "{\"signed\":{" ID "," REST "},\"signatures\":[7]}", "keyid" },
		{ "{\"signed\":{" ID "," REST "},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},"
		  "{\"keyid\":\"a\",\"sig\":\"\"}]}",
		    "twice" },
		{ WRAP(ID ",\"agent\":\"pc\",\"type\":\"status\",\"args\":{},\"not_before\":"
			  "\"2023-01-01T00:00:00Z\",\"expires\":\"2023-01-02T00:00:00Z\","
			  "\"issuer\":\"main\""),
		    "'agent'" },
		{ WRAP(ID ",\"agent\":\"*\",\"type\":\"Status\",\"args\":{},\"not_before\":"
			  "\"2023-01-01T00:00:00Z\",\"expires\":\"2023-01-02T00:00:00Z\","
			  "\"issuer\":\"main\""),
		    "'type'" },
		{ WRAP(ID ",\"agent\":\"*\",\"type\":\"status\",\"args\":[],\"not_before\":"
			  "\"2023-01-01T00:00:00Z\",\"expires\":\"2023-01-02T00:00:00Z\","
			  "\"issuer\":\"main\""),
		    "'args'" },
		{ WRAP(ID ",\"agent\":\"*\",\"type\":\"status\",\"args\":{},\"not_before\":"
			  "\"2023-01-02T00:00:00Z\",\"expires\":\"2023-01-02T00:00:00Z\","
			  "\"issuer\":\"main\""),
		    "after" },
		{ WRAP(ID ",\"agent\":\"*\",\"type\":\"status\",\"args\":{},\"not_before\":"
			  "\"yesterday\","
			  "\"expires\":\"2023-01-02T00:00:00Z\",\"issuer\":\"main\""),
		    "'not_before'" },
		{ WRAP(
		      ID ",\"agent\":\"*\",\"type\":\"status\",\"args\":{\"n\":1.5},\"not_before\":"
			 "\"2023-01-01T00:00:00Z\",\"expires\":\"2023-01-02T00:00:00Z\",\"issuer\":"
			 "\"main\""),
		    "" },
	};
	struct envelope e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault f = { 0 };
		size_t n = strlen(cases[i].text);
		char *text = test_copy(cases[i].text, n);
		enum err x = envelope_parse(&e, text, n, &f);

		assert_true((x == OK) == (cases[i].says == NULL));
		if (x != OK)
			assert_non_null(strstr(fault_text(&f), cases[i].says));
		envelope_free(&e);
		free(text);
	}
}

static void
test_a_key_signs_once(void **state)
{
	static const struct made m = { AGENT, "update.now", "main", 0, HOUR, 1 };
	struct envelope e = make(&m);

	(void)state;
	assert_int_equal(envelope_sign(&e, keys[0], NULL), ERR_EXISTS);
	assert_int_equal(envelope_sign(&e, keys[1], NULL), OK);
	envelope_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authority_answers),
		cmocka_unit_test(test_authority_refusals),
		cmocka_unit_test(test_authority_keys_are_checked),
		cmocka_unit_test(test_every_refusal_has_its_code),
		cmocka_unit_test(test_a_revoked_key_counts_for_nothing),
		cmocka_unit_test(test_a_changed_member_breaks_the_signature),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_a_key_signs_once),
	};
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
