/* tls_compat.h - private to tls* and pki*: one name for what differs between mbedTLS 2.28 and 3.6.
 */
#ifndef ATALAIA_NET_TLS_COMPAT_H
#define ATALAIA_NET_TLS_COMPAT_H

#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#define PK_PARSE_KEY(pk, p, n) mbedtls_pk_parse_key(pk, p, n, NULL, 0, pki_rng, NULL)
#define PK_CHECK_PAIR(pub, prv) mbedtls_pk_check_pair(pub, prv, pki_rng, NULL)
#define CRT_HAS_EKU(crt) mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE)
#define SSL_CONF_TLS12(conf)                                                                       \
	do {                                                                                       \
		mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);                \
		mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);                \
	} while (0)
#else
#include <mbedtls/config.h>
#define MBEDTLS_PRIVATE(member) member
#define PK_PARSE_KEY(pk, p, n) mbedtls_pk_parse_key(pk, p, n, NULL, 0)
#define PK_CHECK_PAIR(pub, prv) mbedtls_pk_check_pair(pub, prv)
#define CRT_HAS_EKU(crt) (((crt)->ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) != 0)
#define SSL_CONF_TLS12(conf)                                                                       \
	do {                                                                                       \
		mbedtls_ssl_conf_min_version(                                                      \
		    conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);               \
		mbedtls_ssl_conf_max_version(                                                      \
		    conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);               \
	} while (0)
#endif

#endif
