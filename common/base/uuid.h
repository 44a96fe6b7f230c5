/* uuid.h - RFC 9562 UUIDs. Pure: time and random bytes are the caller's. */
#ifndef ATALAIA_BASE_UUID_H
#define ATALAIA_BASE_UUID_H

#include <stdint.h>

#define UUID_TEXT 37

void uuid_v7(char out[UUID_TEXT], int64_t unix_ms, const uint8_t random10[10]);
void uuid_v4(char out[UUID_TEXT], const uint8_t random16[16]);
/* Milliseconds in a version 7 UUID text, or -1 when it is none. */
int64_t uuid_v7_ms(const char *text);

#endif
