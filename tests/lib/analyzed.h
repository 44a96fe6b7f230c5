/* analyzed.h - forced into every file that an analyzer reads (tests/lib/static.sh): they see one
 * file at a time, so they must be told what the functions that make errors promise: never OK. */
#include "base/err.h"
#include "base/fault.h"

#define ANALYZED_ERROR(call)                                                                       \
	({                                                                                         \
		enum err analyzed = (call);                                                        \
		if (analyzed == OK)                                                                \
			__builtin_unreachable();                                                   \
		analyzed;                                                                          \
	})
#define err_from_errno(n) ANALYZED_ERROR((err_from_errno)(n))
#define fault_set(...) ANALYZED_ERROR((fault_set)(__VA_ARGS__))
#define fault_sys(...) ANALYZED_ERROR((fault_sys)(__VA_ARGS__))
