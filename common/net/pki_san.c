/* pki_san.c - see pki_san.h. */
#include "net/pki_san.h"

#include "net/addr.h"
#include "net/tls_compat.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/oid.h>
#include <stdio.h>
#include <string.h>

/* GeneralName tags: context-specific, primitive. */
enum { NAME_DNS = 2, NAME_URI = 6, NAME_IP = 7 };

/* One writer: the first error sticks. */
struct der {
	uint8_t *p, *room;
	int len, error;
};

static void
put(struct der *d, int ret)
{
	if (d->error != 0)
		return;
	if (ret < 0)
		d->error = ret;
	else
		d->len += ret;
}

static void
put_header(struct der *d, size_t content, unsigned char tag)
{
	if (d->error == 0)
		put(d, mbedtls_asn1_write_len(&d->p, d->room, content));
	if (d->error == 0)
		put(d, mbedtls_asn1_write_tag(&d->p, d->room, tag));
}

static void
put_name(struct der *d, int tag, const void *value, size_t n)
{
	if (d->error == 0)
		put(d, mbedtls_asn1_write_raw_buffer(&d->p, d->room, value, n));
	put_header(d, n, (unsigned char)(MBEDTLS_ASN1_CONTEXT_SPECIFIC | tag));
}

static enum err
put_extras(struct der *d, const struct pki_grant *g, struct fault *f)
{
	const char *const *s;
	struct addr a;
	char host[ADDR_HOST];
	uint16_t port;

	for (s = g->ip; s != NULL && *s != NULL; s++) {
		if (addr_parse_ip(&a, *s, strlen(*s)) != OK)
			return fault_set(f, ERR_INVAL, "'%.60s' is no IP address", *s);
		put_name(d, NAME_IP, a.ip, a.family == ADDR_V4 ? 4 : 16);
	}
	for (s = g->dns; s != NULL && *s != NULL; s++) {
		if (addr_parse_hostport(*s, strlen(*s), 0, true, host, &port, NULL) != OK ||
		    strcmp(host, *s) != 0)
			return fault_set(f, ERR_INVAL, "'%.60s' is no host name", *s);
		put_name(d, NAME_DNS, host, strlen(host));
	}
	return OK;
}

int
pki_san_write(
    uint8_t *room, size_t size, uint8_t **start, const struct pki_grant *g, struct fault *f)
{
	struct der d = { .p = room + size, .room = room };
	char uri[2 * PKI_NAME + 32];

	if (put_extras(&d, g, f) != OK)
		return MBEDTLS_ERR_ASN1_INVALID_DATA;
	(void)snprintf(
	    uri, sizeof(uri), "atalaia://%s/%s/%s", g->org, pki_role_word(g->role), g->name);
	put_name(&d, NAME_URI, uri, strlen(uri));
	put_header(&d, (size_t)d.len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
	*start = d.p;
	return d.error != 0 ? d.error : d.len;
}

int
pki_eku_write(uint8_t *room, size_t size, uint8_t **start, bool server, bool client)
{
	struct der d = { .p = room + size, .room = room };

	if (client)
		put(&d, mbedtls_asn1_write_oid(&d.p, room, MBEDTLS_OID_CLIENT_AUTH,
			    MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)));
	if (server && d.error == 0)
		put(&d, mbedtls_asn1_write_oid(&d.p, room, MBEDTLS_OID_SERVER_AUTH,
			    MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)));
	put_header(&d, (size_t)d.len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
	*start = d.p;
	return d.error != 0 ? d.error : d.len;
}
