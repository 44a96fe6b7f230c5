/* tsan_close.c - for programs under ThreadSanitizer, by LD_PRELOAD: libuv closes its sockets with
 * syscall(SYS_close), which the sanitizer does not see. A worker that gets the same number for a
 * file then looks as if it raced with the socket's last use. Here the close is one that it sees. */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Its only callers are libraries that pass at most six words. */
long
syscall(long number, ...)
{
	long a[6], r;
	va_list ap;

	va_start(ap, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_close)
		return close((int)a[0]);
#if defined(__x86_64__)
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#else
#error "a line for this processor is missing"
#endif
	if (r < 0 && r >= -4095) {
		errno = (int)-r;
		return -1;
	}
	return r;
}
