/* web_table.c - every route of 10443 and who may use it. What is not listed does not exist there.
 */
#include "admin_api.h"
#include "base/limits.h"
#include "proto/authority.h"
#include "proto/policy.h"
#include "web_routes.h"

#define BODY_SMALL 16384
#define BODY_TASK (1u << 20)	       /* an order, a token with roots */
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

	{ "GET", "/api/v1/live", WHO_ALL, WEB_ONLY, 0, web_live },
	{ "GET", "/api/v1/overview", WHO_ALL, 0, 0, web_overview },
	{ "GET", "/api/v1/computers", WHO_ALL, 0, 0, web_computers },
	{ "GET", "/api/v1/computers/{}", WHO_ALL, 0, 0, web_computer },
	{ "POST", "/api/v1/computers/{}/clear", WHO_WRITE, 0, BODY_SMALL, web_computer_clear },
	{ "GET", "/api/v1/groups", WHO_ALL, 0, 0, web_groups },
	{ "GET", "/api/v1/events", WHO_ALL, 0, 0, admin_events },
	{ "GET", "/api/v1/events/export", WHO_ALL, 0, 0, web_events_export },

	{ "GET", "/api/v1/cascade", WHO_ALL, 0, 0, web_cascade },
	{ "POST", "/api/v1/cascade/check", WHO_ALL, 0, BODY_SMALL, web_cascade_check },
	{ "GET", "/api/v1/feeds", WHO_ALL, 0, 0, web_feeds },

	{ "GET", "/api/v1/task-types", WHO_ALL, 0, 0, web_task_types },
	{ "GET", "/api/v1/tasks", WHO_ALL, 0, 0, admin_tasks },
	{ "POST", "/api/v1/tasks", WHO_WRITE, 0, BODY_TASK, admin_task_send },
	{ "POST", "/api/v1/tasks/preview", WHO_ALL, 0, BODY_SMALL, web_task_preview },
	{ "GET", "/api/v1/tasks/{}", WHO_ALL, 0, 0, admin_task_show },
	{ "POST", "/api/v1/tasks/{}/cancel", WHO_WRITE, 0, BODY_SMALL, admin_task_cancel },
	{ "GET", "/api/v1/tasks/{}/bytes", WHO_WRITE, 0, 0, web_task_bytes },
	{ "POST", "/api/v1/tasks/{}/signatures", WHO_WRITE, WEB_ONLY, BODY_SMALL, web_task_sign },
	{ "GET", "/api/v1/me/keys", WHO_ALL, WEB_ONLY, 0, web_keys },
	{ "POST", "/api/v1/me/keys", WHO_WRITE, WEB_ONLY, BODY_SMALL, web_key_new },
	{ "POST", "/api/v1/me/keys/{}/remove", WHO_WRITE, WEB_ONLY, BODY_SMALL, web_key_remove },

	{ "GET", "/api/v1/policy/list", WHO_ALL, 0, 0, web_policy_list },
	{ "GET", "/api/v1/policy/schema", WHO_ALL, 0, 0, web_policy_schema },
	{ "GET", "/api/v1/policy/effective", WHO_ALL, 0, 0, web_policy_effective },
	{ "POST", "/api/v1/policy/check", WHO_ALL, 0, LIMIT_POLICY_BYTES, web_policy_check },
	{ "GET", "/api/v1/policies/*", WHO_ALL, 0, 0, admin_policy_get },
	{ "PUT", "/api/v1/policies/*", WHO_WRITE, 0, LIMIT_POLICY_BYTES, admin_policy_put },
	{ "DELETE", "/api/v1/policies/*", WHO_WRITE, 0, 0, admin_policy_delete },

	{ "GET", "/api/v1/tokens", WHO_ALL, 0, 0, admin_tokens },
	{ "POST", "/api/v1/tokens", WHO_WRITE, 0, BODY_TASK, admin_token_new },
	{ "POST", "/api/v1/tokens/{}/revoke", WHO_WRITE, 0, BODY_SMALL, admin_token_revoke },

	{ "GET", "/api/v1/settings", WHO_READ_ALL, WEB_UNLIMITED, 0, web_settings },
	{ "GET", "/api/v1/ports", WHO_ALL, 0, 0, web_ports },
	{ "POST", "/api/v1/ports/check", WHO_ALL, 0, BODY_SMALL, web_ports_check },

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
