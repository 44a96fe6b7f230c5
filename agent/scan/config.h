/* config.h - the config message of a scan, read strictly. */
#ifndef ATALAIA_SCAN_CONFIG_H
#define ATALAIA_SCAN_CONFIG_H

#include "base/err.h"
#include "base/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCAN_PATHS 64

/* How clamd gets what it scans: FILDES inside a session; SCAN with a path inside a session;
 * CONTSCAN and MULTISCAN once for each path of the scan, so that clamd walks by itself. */
enum scan_method { SCAN_FILDES, SCAN_PATH, SCAN_CONT, SCAN_MULTI };

struct scan_config {
	cJSON *tree; /* owns the text below */
	const char *paths[SCAN_PATHS], *exclude[SCAN_PATHS];
	size_t n_paths, n_exclude;
	bool command;	    /* engine: a command instead of clamd */
	const char *socket; /* clamd */
	enum scan_method method;
	const char *scan; /* command line with {set} and {file} */
	const char *set;
	bool cross_mounts, require_confinement, background;
	bool gentle; /* one file at a time, and as much rest as work: the engine's CPU is not ours
			to nice */
	uint64_t max_file, max_files, file_ms;
	uint32_t max_depth;
};

/* Keeps a copy of the message. ERR_INVAL / ERR_PARSE with a sentence. */
MUST_CHECK enum err scan_config_read(struct scan_config *c, const cJSON *message, struct fault *f);
void scan_config_free(struct scan_config *c);

#endif
