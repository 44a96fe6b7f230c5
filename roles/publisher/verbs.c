/* verbs.c - the table: adding a verb is one row and one function. */
#include "verbs.h"

#define COMMON_OPTIONS                                                                             \
	{ "passphrase-file", "FILE", "passphrase of the private keys" },                           \
	    { "help", NULL, "this text" },                                                         \
	{                                                                                          \
		NULL, NULL, NULL                                                                   \
	}

static const struct option_def init_options[] = {
	{ "feed", "NAME", "name of the feed, a-z 0-9 - (default signatures)" },
	{ "root-key", "PEM", "public or private key of root made elsewhere (repeat)" },
	{ "root-threshold", "N", "signatures that a root needs (default 1)" },
	{ "days-root", "N", "life of root (default 365)" },
	{ "days-targets", "N", "life of targets (default 30)" },
	{ "days-snapshot", "N", "life of snapshot (default 7)" },
	{ "days-timestamp", "N", "life of timestamp (default 3)" },
	{ "keep-deltas", "N", "deltas kept for each target (default and most 30)" }, COMMON_OPTIONS
};

static const struct option_def key_options[] = { COMMON_OPTIONS };

static const struct option_def sign_options[] = {
	{ "key", "PEM", "private key to sign with (repeat)" }, COMMON_OPTIONS
};

static const struct option_def rotate_options[] = {
	{ "role", "ROLE", "root, targets, snapshot or timestamp (default root)" },
	{ "add", "PEM", "key that is added to the role (repeat)" },
	{ "remove", "KEYID", "key that leaves the role, at least 8 digits (repeat)" },
	{ "threshold", "N", "signatures that the role needs" },
	{ "new-key", NULL, "make a key in keys/ and add it" },
	{ "key", "PEM", "private key to sign with (repeat)" }, COMMON_OPTIONS
};

static const struct option_def delegate_options[] = {
	{ "key", "PEM", "public or private key of the role (repeat)" },
	{ "threshold", "N", "signatures that the role needs (default 1)" },
	{ "path", "PATH", "target path or pattern that the role signs for (repeat)" },
	{ "file", "FILE", "first target of the role; its name is the first path" }, COMMON_OPTIONS
};

static const struct option_def add_options[] = {
	{ "as", "NAME", "target name of the one file given (default: its own name)" },
	{ "remove", "NAME", "target that leaves the set (repeat)" },
	{ "role", "ROLE", "delegated role that the target belongs to" },
	{ "key", "PEM", "private key of that role (repeat)" },
	{ "full-level", "N", "zstd level of full copies, 0 = none (default 9)" },
	{ "out", "DIR", "copy what is public to DIR/<feed>" }, { "json", NULL, "print JSON" },
	COMMON_OPTIONS
};

static const struct option_def publish_options[] = {
	{ "engine", "clamav|none", "clamav adds the marker signature of this version (kept)" },
	{ "full-level", "N", "zstd level of full copies, 0 = none (default 9)" },
	{ "force", NULL, "publish a new version even when nothing changed" },
	{ "out", "DIR", "copy what is public to DIR/<feed>" }, { "json", NULL, "print JSON" },
	COMMON_OPTIONS
};

static const struct option_def timestamp_options[] = {
	{ "every", "DURATION", "stay and sign again, for example every 8h" },
	{ "force", NULL, "sign snapshot and targets again too" },
	{ "out", "DIR", "copy what is public to DIR/<feed>" }, { "json", NULL, "print JSON" },
	COMMON_OPTIONS
};

static const struct option_def verify_options[] = {
	{ "root", "FILE", "root to start from (default: 1.root.json of the folder)" },
	{ "json", NULL, "print JSON" }, COMMON_OPTIONS
};

static const struct option_def export_options[] = {
	{ "since", "V", "version that the site has, 0: none; makes a bundle for its mirror" },
	{ "root", "FILE", "with --since: root to start from (default: 1.root.json of the folder)" },
	{ "json", NULL, "print JSON" }, COMMON_OPTIONS
};

static const struct option_def show_options[] = { { "json", NULL, "print JSON" }, COMMON_OPTIONS };

static const struct option_def patch_options[] = { { "sha256", "HEX",
						       "what the result must be (needed)" },
	{ "length", "N", "and its length (needed)" }, COMMON_OPTIONS };

static const struct option_def delta_options[] = { { "level", "N",
						       "zstd level (default: chosen by size)" },
	{ "json", NULL, "print JSON" }, COMMON_OPTIONS };

const struct verb verbs[] = { { "init", "REPO", 1, 1, "Make a repository with its keys",
				  init_options, verb_init },
	{ "key new", "FILE", 1, 1, "Make a private key in FILE and its public key in FILE.pub",
	    key_options, verb_key_new },
	{ "key show", "FILE", 1, 1, "Print the key id of a PEM file", key_options, verb_key_show },
	{ "root sign", "REPO|FILE", 1, 1, "Sign the root that waits in REPO, or an exported FILE",
	    sign_options, verb_root_sign },
	{ "root rotate", "REPO", 1, 1, "Change keys or thresholds with a new root", rotate_options,
	    verb_root_rotate },
	{ "delegate", "REPO ROLE", 2, 2, "Give paths to a role with keys of its own",
	    delegate_options, verb_delegate },
	{ "export", "REPO ROLE FILE", 2, 3,
	    "Write what waits for signatures to FILE; with `REPO|FEED --since V BUNDLE` what "
	    "changed since a version, for a site without a line",
	    export_options, verb_export },
	{ "sign", "FILE", 1, 1, "Sign an exported FILE; needs nothing but the keys", sign_options,
	    verb_sign },
	{ "import", "REPO ROLE FILE", 3, 3,
	    "Take signatures from FILE; publish when there are enough", publish_options,
	    verb_import },
	{ "add", "REPO [FILE...]", 1, ARGS_MAX, "Add, replace or remove single targets and publish",
	    add_options, verb_add },
	{ "publish", "REPO FOLDER", 2, 2, "Publish FOLDER as the new version of the set",
	    publish_options, verb_publish },
	{ "import-clamav", "REPO DIR", 2, 2, "Publish the ClamAV databases in DIR as they are",
	    publish_options, verb_import_clamav },
	{ "timestamp", "REPO", 1, 1, "Sign the timestamp anew, and what grows old",
	    timestamp_options, verb_timestamp },
	{ "verify", "REPO|FEED", 1, 1,
	    "Check a published feed as a client would, every target read", verify_options,
	    verb_verify },
	{ "checkout", "REPO|FEED DIR", 2, 2, "Build the set as a workstation would, in DIR/current",
	    verify_options, verb_checkout },
	{ "show", "REPO", 1, 1, "Print versions, expiry, keys and targets", show_options,
	    verb_show },
	{ "delta", "OLD NEW OUT", 3, 3, "Make the delta from one file to another", delta_options,
	    verb_delta },
	{ "patch", "OLD OUT DELTA...", 3, ARGS_MAX, "Rebuild a file from an old one and deltas",
	    patch_options, verb_patch },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL } };
