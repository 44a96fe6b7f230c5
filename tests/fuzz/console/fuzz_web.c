/* What a browser says: cookies, origins, codings, signatures, bodies for the trail. */
#include "sigform.h"
#include "totp.h"
#include "trail.h"
#include "web_cookie.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_cookie(const char *text)
{
	char word[COOKIE_WORD + 1];

	if ((cookie_word(text, word) == OK) != (strlen(word) == COOKIE_WORD))
		abort();
	if (origin_is_host(text, text))
		abort(); /* an origin has a scheme, a host has none */
	(void)accepts_coding(text, "br");
}

static void
check_signature(const char *text, const uint8_t *data, size_t size)
{
	uint8_t raw[80], der[SIGFORM_DER];
	size_t n;

	if (sigform_text(text, raw, sizeof(raw), &n) == OK && n > sizeof(raw))
		abort();
	if (sigform_der(data, size, der, &n) == OK && (n > SIGFORM_DER || der[1] != n - 2))
		abort();
}

/* A password never gets into the trail, whatever is around it. */
static void
check_detail(const uint8_t *data, size_t size)
{
	struct buf body, out;

	buf_init(&body, 1u << 20);
	buf_init(&out, 8192);
	if (buf_puts(&body, "{\"password\":\"hunter2hunter2\",\"x\":") == OK &&
	    buf_append(&body, data, size) == OK && buf_puts(&body, "}") == OK) {
		trail_detail(&body, &out);
		if (strstr(buf_text(&out), "hunter2hunter2") != NULL &&
		    memmem(data, size, "hunter2", 7) == NULL)
			abort();
		if (out.len > TRAIL_DETAIL)
			abort();
	}
	buf_free(&body);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t step;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_cookie(text);
	check_signature(text, data, size);
	check_detail(data, size);
	(void)totp_check((const uint8_t *)"key", 3, text, 1000000, 0, &step);
	free(text);
	return 0;
}
