/* pack_priv.h - the one header that packs have, for pack_read.c and pack_write.c. */
#ifndef ATALAIA_UPDATE_PACK_PRIV_H
#define ATALAIA_UPDATE_PACK_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#define PACK_BLOCK 512
#define PACK_NAME_LEN 100
#define PACK_AT_NAME 0
#define PACK_AT_SIZE 124
#define PACK_AT_PREFIX 345
#define PACK_PREFIX_LEN 155

/* Writes the header of a regular file; false when the name does not fit or size is above 8 GiB. */
bool pack_header(uint8_t out[PACK_BLOCK], const char *name, uint64_t size);

#endif
