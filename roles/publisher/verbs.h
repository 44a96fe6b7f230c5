/* verbs.h - what atalaia-repo can do. Each verb gets its parsed words and options and answers an
 * error; main.c prints the sentence and chooses the exit code. */
#ifndef ATALAIA_PUBLISHER_VERBS_H
#define ATALAIA_PUBLISHER_VERBS_H

#include "args.h"
#include "update/repo.h"

struct verb {
	const char *name;  /* "publish", "key new" */
	const char *words; /* for the help: "REPO FOLDER" */
	size_t min_words, max_words;
	const char *help; /* one sentence without full stop */
	const struct option_def *options;
	enum err (*run)(const struct args *a, const char *passphrase, struct fault *f);
};

extern const struct verb verbs[]; /* ended by a NULL name */

/* verbs_publish.c */
enum err verb_publish(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_add(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_import_clamav(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_timestamp(const struct args *a, const char *passphrase, struct fault *f);
/* verbs_keys.c */
enum err verb_init(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_key_new(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_key_show(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_root_sign(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_root_rotate(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_delegate(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_export(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_sign(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_import(const struct args *a, const char *passphrase, struct fault *f);
/* verbs_show.c */
enum err verb_verify(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_show(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_patch(const struct args *a, const char *passphrase, struct fault *f);
enum err verb_delta(const struct args *a, const char *passphrase, struct fault *f);

/* verbs_bundle.c: `export` with --since */
enum err verb_bundle(const struct args *a, const char *passphrase, struct fault *f);
/* verbs_checkout.c */
enum err verb_checkout(const struct args *a, const char *passphrase, struct fault *f);

/* open.c: repo_open that waits for another process's end, half a minute at most: a publication and
 * the service that signs timestamps share a repository. */
MUST_CHECK enum err open_repo(
    struct repo **out, const char *dir, const char *passphrase, struct fault *f);
/* verbs_show.c: the feed that a repository folder publishes, or the folder itself. */
MUST_CHECK enum err feed_folder(
    const char *word, const char *passphrase, char out[4096], struct fault *f);
/* verbs_publish.c: prints what was published, then copies to --out. */
MUST_CHECK enum err finish_publish(
    struct repo *r, const struct args *a, const struct repo_report *report, struct fault *f);

#endif
