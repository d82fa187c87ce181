/* Lets user-mode Linux run on processors whose registers do not fit into its buffer (AMX: 11 kB, it has 2.7).

   It reads and writes the registers of its processes by ptrace. Read, they are cut to what it has room for; written,
   those that it knows nothing of stay as they are, for the host's kernel takes all of them or none (EFAULT).

   cc -shared -fPIC -O2 -o xstate.so xstate.c;  LD_PRELOAD=xstate.so linux.uml ... */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char whole[1 << 16];

long ptrace(enum __ptrace_request request, ...)
{
    static long (*next)(enum __ptrace_request, ...);
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, long);
    unsigned long address = va_arg(arguments, unsigned long);
    void *data = va_arg(arguments, void *);
    va_end(arguments);

    if ((request != PTRACE_GETREGSET && request != PTRACE_SETREGSET) || address != NT_X86_XSTATE) {
        if (!next)
            next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
        return next(request, pid, address, data);
    }
    struct iovec *asked = data, all = {whole, sizeof whole};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, address, &all))
        return -1;
    size_t size = asked->iov_len < all.iov_len ? asked->iov_len : all.iov_len;
    if (request == PTRACE_GETREGSET) {
        memcpy(asked->iov_base, whole, size);
        asked->iov_len = size;
        return 0;
    }
    memcpy(whole, asked->iov_base, size);
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, address, &all);
}
