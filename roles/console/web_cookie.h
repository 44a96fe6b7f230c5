/* web_cookie.h - what a browser says about itself: the session's word in the Cookie field, where a
 * request comes from, which codings it takes. Pure; fields are hostile text. */
#ifndef CONSOLE_WEB_COOKIE_H
#define CONSOLE_WEB_COOKIE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define COOKIE_NAME "__Host-atalaia"
#define COOKIE_WORD 43 /* base64url of 256 bits */

/* The one session word of a Cookie field. ERR_NOTFOUND: none; ERR_PARSE: a wrong one, or two (a
 * page of a neighbouring host cannot set this name, so two are an attack). field may be NULL. */
MUST_CHECK enum err cookie_word(const char *field, char word[COOKIE_WORD + 1]);
/* SHA-256 of the word: what is stored. */
void cookie_hash(uint8_t out[32], const char *word);
/* The token that changes must carry, computed from the word: whoever cannot read the answers of
 * this origin does not know it. 64 hexadecimal digits. */
void cookie_csrf(char out[65], const char *word);
/* Is origin exactly https:// and this Host? Either may be NULL: no. */
bool origin_is_host(const char *origin, const char *host);
/* Sec-Fetch-Site, which pages cannot set: absent, same-origin or none. */
bool fetch_site_is_own(const char *site);
/* Does the Accept-Encoding field take this coding ("br", "gzip"), q=0 not counted? */
bool accepts_coding(const char *field, const char *coding);

#endif
