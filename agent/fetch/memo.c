/* memo.c - see memo.h */
#include "memo.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

#include <stdio.h>
#include <string.h>

#define MEMO_BYTES 1024

void
memo_digest(const struct catalog *c, uint8_t out[SHA_LEN])
{
	struct hash h;

	hash_init(&h, HASH_SHA256);
	for (size_t i = 0; i < c->count; i++) {
		const struct entry *e = &c->entries[i];
		char line[64];
		int n;

		if (e->kind != ENTRY_SET)
			continue;
		n = snprintf(
		    line, sizeof line, " %llu %d\n", (unsigned long long)e->length, e->pack);
		hash_update(&h, e->path, strlen(e->path));
		hash_update(&h, line, (size_t)n);
		hash_update(&h, e->sha256, SHA_LEN);
	}
	hash_final(&h, out);
}

static enum err
memo_path(const struct objects *o, char out[OBJECT_PATH])
{
	return file_join(out, OBJECT_PATH, o->work, "built.json");
}

static enum err
read_sha(const cJSON *t, const char *name, uint8_t out[SHA_LEN])
{
	const char *s;
	size_t n;
	enum err e = json_get_string(t, name, &s, NULL);

	if (e == OK && strlen(s) != 2 * SHA_LEN)
		e = ERR_PARSE;
	return e == OK ? text_unhex(out, SHA_LEN, s, 2 * SHA_LEN, &n) : e;
}

enum err
memo_read(const struct objects *o, const uint8_t listed[SHA_LEN], uint8_t identity[SHA_LEN])
{
	char path[OBJECT_PATH];
	uint8_t of[SHA_LEN] = { 0 };
	struct buf b;
	cJSON *t = NULL;
	enum err e = memo_path(o, path);

	buf_init(&b, MEMO_BYTES);
	if (e == OK)
		e = file_read(path, &b, NULL);
	if (e == OK)
		e = json_parse(&t, buf_text(&b), b.len, JSON_EVENT, NULL);
	if (e == OK)
		e = read_sha(t, "targets", of);
	if (e == OK)
		e = read_sha(t, "set", identity);
	cJSON_Delete(t);
	buf_free(&b);
	return e == OK && memcmp(of, listed, SHA_LEN) == 0 ? OK : ERR_NOTFOUND;
}

enum err
memo_write(const struct objects *o, const uint8_t listed[SHA_LEN], const uint8_t identity[SHA_LEN],
    struct fault *f)
{
	char path[OBJECT_PATH], a[2 * SHA_LEN + 1], b[2 * SHA_LEN + 1], text[256];
	enum err e = memo_path(o, path);
	int n;

	text_hex(a, listed, SHA_LEN);
	text_hex(b, identity, SHA_LEN);
	n = snprintf(text, sizeof text, "{\"targets\":\"%s\",\"set\":\"%s\"}\n", a, b);
	return e == OK ? file_replace(path, text, (size_t)n, 0640, f) : e;
}
