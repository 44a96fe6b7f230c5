/* who.h - on whose behalf a request of 2226 or 10443 acts. The administrator's token of 2226 is an
 * administrator without limits. */
#ifndef CONSOLE_WHO_H
#define CONSOLE_WHO_H

#include <stdbool.h>
#include <stddef.h>

enum { WHO_AUDITOR = 1, WHO_OPERATOR = 2, WHO_ADMIN = 4 };
#define WHO_ALL (WHO_AUDITOR | WHO_OPERATOR | WHO_ADMIN)
#define WHO_WRITE (WHO_OPERATOR | WHO_ADMIN)
#define WHO_READ_ALL (WHO_AUDITOR | WHO_ADMIN)

#define WHO_NAME 65
#define WHO_GROUPS 1024 /* JSON array of group names */

struct who {
	unsigned role; /* 0: nobody (agents of 2225) */
	char name[WHO_NAME];
	char scope[WHO_GROUPS];	   /* JSON array of the groups that may be seen; "" = all */
	unsigned char session[32]; /* SHA-256 of the session's word; zeros on 2226 */
};

#define WHO_TOKEN_NAME "admin.token"

const char *who_role_word(unsigned role);
unsigned who_role_parse(const char *word); /* 0: there is no such role */
/* May this one see and order in the group? */
bool who_may_group(const struct who *w, const char *group);
/* NULL for all, else the JSON array: what the queries with a scope bind. */
const char *who_scope(const struct who *w);
/* A user's name: [a-z0-9._-], 1 to 64 characters. */
bool who_is_name(const char *p, size_t n);

#endif
