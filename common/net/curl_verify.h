/* curl_verify.h - private to common/net: fleet identities in libcurl's handshakes. The only place
 * that knows which TLS library libcurl uses (OpenSSL). A curl_verify belongs to one request and to
 * the TLS context of the connection it opens: counted, because either may go first. */
#ifndef ATALAIA_NET_CURL_VERIFY_H
#define ATALAIA_NET_CURL_VERIFY_H

#include "net/httpc.h"

#include <curl/curl.h>

struct curl_identity; /* own certificate, trust and expectation, copied once and shared by many
			 requests */
MUST_CHECK enum err curl_identity_new(
    struct curl_identity **out, const struct httpc_tls *t, struct fault *f);
struct curl_identity *curl_identity_ref(struct curl_identity *);
void curl_identity_unref(struct curl_identity *); /* NULL is fine */

struct curl_verify;
/* expect_name: NULL: as the identity says. */
MUST_CHECK enum err curl_verify_new(
    struct curl_verify **out, struct curl_identity *id, const char *expect_name);
void curl_verify_unref(struct curl_verify *); /* NULL is fine */
/* Sets certificate, key, and the verification hook on the handle. */
MUST_CHECK enum err curl_verify_attach(struct curl_verify *v, CURL *easy);
const struct fault *curl_verify_fault(
    const struct curl_verify *v); /* why the last handshake was refused */
/* The identity behind the connection the handle uses now (also a kept one); false when there is
 * none. Call from a header callback. */
MUST_CHECK bool curl_verify_peer(CURL *easy, struct pki_identity *out);

#endif
