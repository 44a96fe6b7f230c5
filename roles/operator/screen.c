/* screen.c - see screen.h. Bytes that are not printable never reach the terminal. */
#include "screen.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 16
#define TEXT_MAX 400

bool
screen_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

const char *
screen_mark(enum mark m)
{
	static const char *const plain[] = { "ok", "!!", "--" };
	static const char *const coloured[] = { "\033[32mok\033[0m", "\033[31m!!\033[0m",
		"\033[33m--\033[0m" };
	const char *no = getenv("NO_COLOR");

	return screen_is_terminal() && (no == NULL || no[0] == '\0') ? coloured[m] : plain[m];
}

void
screen_age(char *dst, size_t size, const char *when, int64_t now)
{
	int64_t ms, s;

	if (when[0] == '\0' || clock_parse(when, strlen(when), &ms) != OK) {
		(void)snprintf(dst, size, "never");
		return;
	}
	s = (now - ms) / 1000;
	if (s < 0)
		(void)snprintf(dst, size, "ahead");
	else if (s < 120)
		(void)snprintf(dst, size, "%lld s", (long long)s);
	else if (s < 7200)
		(void)snprintf(dst, size, "%lld min", (long long)(s / 60));
	else if (s < 172800)
		(void)snprintf(dst, size, "%lld h", (long long)(s / 3600));
	else
		(void)snprintf(dst, size, "%lld d", (long long)(s / 86400));
}

void
screen_bytes(char *dst, size_t size, uint64_t n)
{
	if (n < 10000)
		(void)snprintf(dst, size, "%llu B", (unsigned long long)n);
	else if (n < 10000ull * 1024)
		(void)snprintf(dst, size, "%llu KiB", (unsigned long long)(n >> 10));
	else
		(void)snprintf(dst, size, "%llu MiB", (unsigned long long)(n >> 20));
}

const char *
screen_text(const cJSON *o, const char *name)
{
	static char slots[SLOTS][TEXT_MAX + 8];
	static unsigned next;
	const cJSON *v = json_get(o, name);
	char *slot = slots[next++ % SLOTS];
	struct buf b;

	slot[0] = '\0';
	if (!cJSON_IsString(v))
		return slot;
	buf_init(&b, 4 * TEXT_MAX + 8);
	if (text_printable(&b, (const uint8_t *)v->valuestring, strlen(v->valuestring), TEXT_MAX) ==
	    OK)
		(void)snprintf(slot, TEXT_MAX + 8, "%s", buf_text(&b));
	buf_free(&b);
	return slot;
}

uint64_t
screen_number(const cJSON *o, const char *name)
{
	uint64_t v;

	return json_opt_u64(o, name, JSON_MAX_INT, 0, &v, NULL) == OK ? v : 0;
}

void
screen_json(const cJSON *tree)
{
	struct buf b;

	buf_init(&b, 16u << 20);
	if (json_print_pretty(tree, &b) == OK)
		(void)puts(buf_text(&b));
	buf_free(&b);
}
