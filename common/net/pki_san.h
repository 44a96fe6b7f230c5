/* pki_san.h - private to pki_make: extension values as DER. Each writes backwards from the end of
 * room, sets *start, returns the length or an mbedTLS error. */
#ifndef ATALAIA_NET_PKI_SAN_H
#define ATALAIA_NET_PKI_SAN_H

#include "net/pki.h"

#define PKI_SAN_ROOM 2048

int pki_san_write(uint8_t *room, size_t size, uint8_t **start, const struct pki_grant *g,
    struct fault *f); /* RFC 5280 4.2.1.6 */
int pki_eku_write(
    uint8_t *room, size_t size, uint8_t **start, bool server, bool client); /* RFC 5280 4.2.1.12 */

#endif
