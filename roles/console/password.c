#include "password.h"

#include <string.h>

#ifdef HAVE_SODIUM
#include <sodium.h>

#define PASSES 3
#define MEMORY (64u << 20)
_Static_assert(PASSWORD_HASH >= crypto_pwhash_STRBYTES, "room for the hash");

bool
password_supported(void)
{
	return sodium_init() >= 0;
}

enum err
password_hash(char out[PASSWORD_HASH], const char *password)
{
	if (crypto_pwhash_str_alg(
		out, password, strlen(password), PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return ERR_NOMEM;
	return OK;
}

bool
password_right(const char *hash, const char *password)
{
	char waste[PASSWORD_HASH];

	if (hash[0] != '\0')
		return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
	(void)!password_hash(waste, password);
	return false;
}
#else
bool
password_supported(void)
{
	return false;
}

enum err
password_hash(char out[PASSWORD_HASH], const char *password)
{
	(void)password;
	out[0] = '\0';
	return ERR_UNSUPPORTED;
}

bool
password_right(const char *hash, const char *password)
{
	(void)hash;
	(void)password;
	return false;
}
#endif
