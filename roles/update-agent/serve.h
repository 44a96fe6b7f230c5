/* serve.h - the running role: everything that listens, started in the order read options - open -
 * confine - listen - ready, and ended by one stop. */
#ifndef ATALAIA_UA_SERVE_H
#define ATALAIA_UA_SERVE_H

#include "dropbox.h"
#include "files.h"
#include "ftp_server.h"
#include "http_files.h"
#include "options.h"
#include "versions.h"

#include "os/confine.h"

#include <uv.h>

struct serve {
	uv_loop_t loop;
	struct options options;
	struct conf *conf;
	struct confine_report confined;
	struct files *files;
	struct dropbox *box;
	struct ftp_server *ftp;
	struct versions *versions;
	struct http_files *http;
	uint16_t ftp_port, version_port, http_port;
	uint64_t started_ms;
	unsigned closing; /* parts that have not closed yet */
	bool stopped;
	void (*closed)(void *ctx); /* after serve_stop: everything is closed */
	void *ctx;
};

/* Opens the folders and confines the process; nothing listens and no thread runs yet. options and
 * conf are set, the loop is open. */
MUST_CHECK enum err serve_prepare(struct serve *s, struct fault *f);
/* Listens. With poll the folder is looked at in intervals (no agent). On error call serve_stop. */
MUST_CHECK enum err serve_listen(struct serve *s, bool poll, struct fault *f);
/* Drains and closes all parts; closed is called from the loop, or at once when there are none.
 * Further calls do nothing. */
void serve_stop(struct serve *s, uint64_t drain_ms);
void serve_free(struct serve *s); /* after closed */

/* Verbs of the program; each returns the exit status. */
int serve_config_main(const char *file);
int serve_child_main(void);
int self_test_main(const char *file);

#endif
