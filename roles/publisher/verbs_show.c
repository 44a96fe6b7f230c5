/* verbs_show.c - verbs that only look, and the bare delta maker. */
#include "verbs.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "update/delta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A repository folder stands for the feed that it publishes. */
enum err
feed_folder(const char *word, const char *passphrase, char out[4096], struct fault *f)
{
	char path[4096];
	struct repo *r = NULL;
	enum err e = file_join(path, sizeof path, word, "repo.json");

	if (e == OK && !file_exists(path))
		return text_copy(out, 4096, word, strlen(word));
	if (e == OK)
		e = open_repo(&r, word, passphrase, f);
	if (e == OK)
		e = text_copy(out, 4096, repo_public(r), strlen(repo_public(r)));
	repo_close(r);
	return e;
}

enum err
verb_verify(const struct args *a, const char *passphrase, struct fault *f)
{
	struct repo_report p;
	char feed[4096];
	enum err e = feed_folder(a->words[0], passphrase, feed, f);

	if (e == OK)
		e = repo_verify(feed, args_get(a, "root"), NULL, &p, f);
	if (e != OK)
		return e;
	if (args_has(a, "json"))
		printf("{\"version\":%" PRIu64 ",\"targets\":%u,\"bytes\":%" PRIu64
		       ",\"helpers\":%u,"
		       "\"helper_bytes\":%" PRIu64 ",\"metadata_bytes\":%" PRIu64 "}\n",
		    p.version, p.targets, p.bytes, p.deltas, p.delta_bytes, p.metadata_bytes);
	else
		printf("%s: valid, version %" PRIu64 ", %u targets of %" PRIu64
		       " bytes, %u deltas and full "
		       "copies of %" PRIu64 " bytes, metadata %" PRIu64 " bytes\n",
		    feed, p.version, p.targets, p.bytes, p.deltas, p.delta_bytes, p.metadata_bytes);
	return OK;
}

static void
show_text(const cJSON *t)
{
	const cJSON *one;

	printf("feed %s, version %.0f\n", json_get(t, "feed")->valuestring,
	    json_get(t, "version")->valuedouble);
	cJSON_ArrayForEach(one, json_get(t, "roles")) printf(
	    "  %-10s version %.0f, expires %s, %.0f of %d keys sign, %.0f here\n",
	    json_get(one, "role")->valuestring, json_get(one, "version")->valuedouble,
	    json_get(one, "expires")->valuestring, json_get(one, "threshold")->valuedouble,
	    cJSON_GetArraySize(json_get(one, "keyids")), json_get(one, "keys_here")->valuedouble);
	cJSON_ArrayForEach(one, json_get(t, "waiting"))
		printf("  %s waits for signatures\n", one->valuestring);
	cJSON_ArrayForEach(one, json_get(t, "targets"))
		printf("  %s %.0f %s\n", json_get(one, "sha256")->valuestring,
		    json_get(one, "length")->valuedouble, json_get(one, "path")->valuestring);
}

enum err
verb_show(const struct args *a, const char *passphrase, struct fault *f)
{
	struct repo *r = NULL;
	cJSON *t = NULL;
	struct buf text;
	enum err e = open_repo(&r, a->words[0], passphrase, f);

	buf_init(&text, 64u << 20);
	if (e == OK)
		e = repo_describe(r, &t, f);
	if (e == OK && args_has(a, "json")) {
		e = json_print(t, &text);
		if (e == OK)
			puts(buf_text(&text));
	} else if (e == OK) {
		show_text(t);
	}
	buf_free(&text);
	cJSON_Delete(t);
	repo_close(r);
	return e;
}

enum err
verb_delta(const struct args *a, const char *passphrase, struct fault *f)
{
	struct delta_make m = { .old_path = a->words[0], .new_path = a->words[1],
		.out_path = a->words[2] };
	uint32_t level;
	enum err e = args_u32(a, "level", 22, 0, &level, f);

	(void)passphrase;
	m.level = (int)level;
	if (e == OK)
		e = delta_make(&m, f);
	if (e != OK)
		return e;
	if (args_has(a, "json"))
		printf("{\"delta\":%" PRIu64 ",\"old\":%" PRIu64 ",\"new\":%" PRIu64
		       ",\"copied\":%" PRIu64 ",\"inserted\":%" PRIu64 "}\n",
		    m.delta_len, m.old_len, m.new_len, m.copied, m.inserted);
	else
		printf("delta %" PRIu64 " bytes (old %" PRIu64 ", new %" PRIu64 ", copied %" PRIu64
		       ", inserted %" PRIu64 ")\n",
		    m.delta_len, m.old_len, m.new_len, m.copied, m.inserted);
	return OK;
}

enum err
verb_patch(const struct args *a, const char *passphrase, struct fault *f)
{
	const char *hex = args_get(a, "sha256"), *length = args_get(a, "length");
	uint8_t sum[32];
	struct delta_apply d = { .old_path = a->words[0], .out_path = a->words[1],
		.deltas = a->words + 2, .delta_count = a->word_count - 2, .new_sha256 = sum };
	size_t n = 0;
	enum err e;

	(void)passphrase;
	if (hex == NULL || length == NULL ||
	    text_unhex(sum, sizeof sum, hex, strlen(hex), &n) != OK || n != sizeof sum ||
	    text_u64(length, strlen(length), UINT64_MAX, &d.new_len) != OK)
		return fault_set(
		    f, ERR_INVAL, "--sha256 (64 digits) and --length of the result are needed");
	e = delta_apply(&d, f);
	if (e == OK)
		printf("%s: %" PRIu64 " bytes copied, %" PRIu64 " inserted, %u pass%s\n",
		    d.out_path, d.copied, d.inserted, d.passes, d.passes == 1 ? "" : "es");
	return e;
}
