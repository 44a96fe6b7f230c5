#include "web_cookie.h"

#include "base/text.h"
#include "net/pki.h"

#include <string.h>

static bool
is_word(const char *p, size_t n)
{
	if (n != COOKIE_WORD)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
			p[i]) == NULL ||
		    p[i] == '\0')
			return false;
	return true;
}

enum err
cookie_word(const char *field, char word[COOKIE_WORD + 1])
{
	static const char start[] = COOKIE_NAME "=";
	size_t len = sizeof(start) - 1;
	bool found = false;

	word[0] = '\0';
	while (field != NULL && *field != '\0') {
		size_t n = strcspn(field, ";");

		if (n >= len && memcmp(field, start, len) == 0) {
			if (found || !is_word(field + len, n - len)) {
				word[0] = '\0';
				return ERR_PARSE;
			}
			memcpy(word, field + len, COOKIE_WORD);
			word[COOKIE_WORD] = '\0';
			found = true;
		}
		field += n;
		field += strspn(field, "; ");
	}
	return found ? OK : ERR_NOTFOUND;
}

void
cookie_hash(uint8_t out[32], const char *word)
{
	pki_sha256(out, word, strlen(word));
}

void
cookie_csrf(char out[65], const char *word)
{
	static const char label[] = "atalaia csrf 1";
	uint8_t mac[PKI_SHA256];

	pki_hmac_sha256(mac, word, strlen(word), label, sizeof(label) - 1);
	text_hex(out, mac, sizeof(mac));
}

bool
origin_is_host(const char *origin, const char *host)
{
	static const char scheme[] = "https://";

	return origin != NULL && host != NULL && host[0] != '\0' &&
	       strncmp(origin, scheme, sizeof(scheme) - 1) == 0 &&
	       strlen(origin + sizeof(scheme) - 1) == strlen(host) &&
	       text_eq_nocase(origin + sizeof(scheme) - 1, strlen(host), host);
}

bool
fetch_site_is_own(const char *site)
{
	return site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

static bool
is_zero_weight(const char *p, size_t n)
{
	size_t q = 0;

	while (q + 1 < n && !(p[q] == 'q' && p[q + 1] == '='))
		q++;
	if (q + 1 >= n)
		return false;
	for (q += 2; q < n; q++)
		if (p[q] != '0' && p[q] != '.' && p[q] != ' ')
			return false;
	return true;
}

bool
accepts_coding(const char *field, const char *coding)
{
	size_t len = strlen(coding);

	while (field != NULL && *field != '\0') {
		size_t n = strcspn(field, ","), name = strcspn(field, ";, ");

		if (name == len && text_eq_nocase(field, len, coding))
			return !is_zero_weight(field + name, n - name);
		field += n;
		field += strspn(field, ", ");
	}
	return false;
}
