/* web_table.c - every route of 10443 and who may use it. What is not listed does not exist there.
 */
#include "admin_api.h"
#include "base/limits.h"
#include "proto/authority.h"
#include "proto/policy.h"
#include "web_routes.h"

#define BODY_SMALL 16384
#define LIMIT_ROLE_DOCUMENT (2u << 20) /* an authority and its JSON around */

const struct web_row web_rows[] = {
	{ "POST", "/api/v1/login", 0, WEB_ONLY | WEB_ANYBODY, 4096, web_login },
	{ "GET", "/api/v1/session", WHO_ALL, WEB_ONLY, 0, web_session },
	{ "POST", "/api/v1/logout", WHO_ALL, WEB_ONLY, BODY_SMALL, web_logout },
	{ "POST", "/api/v1/me/password", WHO_ALL, WEB_ONLY, BODY_SMALL, web_me_password },
	{ "POST", "/api/v1/me/totp/start", WHO_ALL, WEB_ONLY, BODY_SMALL, web_totp_start },
	{ "POST", "/api/v1/me/totp/remove", WHO_ALL, WEB_ONLY, BODY_SMALL, web_totp_remove },
	{ "POST", "/api/v1/me/totp", WHO_ALL, WEB_ONLY, BODY_SMALL, web_totp_confirm },
	{ "GET", "/api/v1/me/sessions", WHO_ALL, WEB_ONLY, 0, web_me_sessions },
	{ "POST", "/api/v1/me/sessions/{}/revoke", WHO_ALL, WEB_ONLY, BODY_SMALL,
	    web_me_session_revoke },

	{ "GET", "/api/v1/users", WHO_READ_ALL, WEB_UNLIMITED, 0, web_users },
	{ "POST", "/api/v1/users", WHO_ADMIN, WEB_UNLIMITED, BODY_SMALL, web_user_new },
	{ "POST", "/api/v1/users/{}", WHO_ADMIN, WEB_UNLIMITED, BODY_SMALL, web_user_change },
	{ "POST", "/api/v1/users/{}/unlock", WHO_ADMIN, WEB_UNLIMITED, BODY_SMALL,
	    web_user_unlock },
	{ "POST", "/api/v1/users/{}/logout", WHO_ADMIN, WEB_UNLIMITED, BODY_SMALL,
	    web_user_logout },
	{ "DELETE", "/api/v1/users/{}", WHO_ADMIN, WEB_UNLIMITED, 0, web_user_delete },
	{ "GET", "/api/v1/audit", WHO_READ_ALL, WEB_UNLIMITED, 0, web_audit },
	{ "GET", "/api/v1/audit/verify", WHO_READ_ALL, WEB_UNLIMITED, 0, web_audit_verify },

	{ "GET", "/api/v1/status", WHO_ALL, 0, 0, admin_status },
	{ "POST", "/api/v1/agents/{}/revoke", WHO_ADMIN, 0, BODY_SMALL, admin_agent_revoke },
	{ "GET", "/api/v1/authority", WHO_READ_ALL, WEB_UNLIMITED, 0, admin_authority_get },
	{ "PUT", "/api/v1/authority", WHO_ADMIN, WEB_UNLIMITED, LIMIT_AUTHORITY_BYTES,
	    admin_authority_put },
	{ "GET", "/api/v1/authority/staged", WHO_READ_ALL, WEB_UNLIMITED, 0,
	    admin_authority_staged },
	{ "POST", "/api/v1/authority/signatures", WHO_ADMIN, WEB_UNLIMITED, LIMIT_ROLE_DOCUMENT,
	    admin_authority_sign },
};
const size_t web_row_count = sizeof(web_rows) / sizeof(web_rows[0]);
