/* options.h - the console's configuration file, and the names of what lies in its state folder. */
#ifndef CONSOLE_OPTIONS_H
#define CONSOLE_OPTIONS_H

#include "base/conf.h"
#include "base/err.h"
#include "base/fault.h"

#include <stdint.h>

struct options {
	struct conf *conf;
	char *file; /* as given */
	char *state, *listen, *admin_listen, *org, *name, *publish, *host, *feeds, *log;
	uint16_t agent_port, admin_port, web_port;
	char *web_listen, *web, *web_certificate, *web_key, *web_names;
	uint64_t web_idle, web_life, web_lock;
	char *source_name, *source_host;
	uint16_t source_ftp, source_http, source_version;
	uint64_t tasks_keep, collected_keep;
	uint64_t events_keep, task_life, token_life, push_timeout;
	uint32_t push_parallel, handshakes_per_second, connections_per_address;
};

extern const struct conf_option options_table[];
extern const size_t options_count;

/* file NULL: /etc/atalaia/console.conf. ERR_INVAL with a sentence naming file, line and remedy. */
MUST_CHECK enum err options_load(struct options *o, const char *file, struct fault *f);
void options_free(struct options *o);

/* Files below state=. */
#define FILE_CA "ca.pem"		 /* every CA that agents' certificates may come from */
#define FILE_CA_SIGNING "ca-signing.pem" /* the one that signs now */
#define FILE_CA_KEY "ca-signing.key"
#define FILE_CA_OLD "ca-old.pem" /* while a rotation is under way: the CA of the leaf */
#define FILE_CA_OLD_KEY "ca-old.key"
#define FILE_CA_UNTIL "ca-old.until" /* RFC 3339 */
#define DIR_ROTATE "rotate"	     /* a switch of files that is under way */
#define FILE_CERT "console.pem"
#define FILE_KEY "console.key"
#define FILE_TASK_KEY "task.key"
#define FILE_ADMIN_TOKEN "admin.token"
#define FILE_WEB_CERT "web.pem" /* what browsers see, when the administrator gives no files */
#define FILE_WEB_KEY "web.key"
#define FILE_DB "console.db"
#define FILE_PORTS "ports.json"
#define FILE_LOCK "lock"
#define DIR_POLICIES "policies"		/* the repository of the feed `policies` */
#define DIR_ROOTS "roots"		/* <feed>.json: root.json files handed out with answers */
#define DIR_OFFLINE "offline"		/* keys that do not belong on this machine */
#define DIR_DROPPED "collected/dropbox" /* <relaying agent>/<name>: nobody vouches for these */
#define DIR_COLLECTED "collected"	/* <agent>/<task>/<name>: what collect tasks brought */
#define FEED_POLICIES "policies"
#define ROLE_AUTHORITY "authority"

#define STATE_PATH 4096
/* state + '/' + name. */
MUST_CHECK enum err options_path(
    const struct options *o, const char *name, char out[STATE_PATH], struct fault *f);

#endif
