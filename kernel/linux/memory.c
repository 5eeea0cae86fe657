/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls that shape an address space: mmap and its kin. Flags are checked and turned into kernel/vm's here; lengths are
 * rounded to pages as Linux does, and the address space does the work under its own lock.
 */
#include <string.h>

#include "kernel/base/error.h"
#include "kernel/linux/abi/memory.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/machine/cpu.h"
#include "xen/x86/user_access.h"

#define PAGE_BYTES 4096ull
#define PAGE_OFFSET(address) ((address) & (PAGE_BYTES - 1))

static struct address_space *my_space(void)
{
    return process_current()->space;
}

/* Linux's protection bits are kernel/vm's (read 1, write 2, execute 4). */
_Static_assert(PAGING_READ == LINUX_PROT_READ && PAGING_WRITE == LINUX_PROT_WRITE && PAGING_EXECUTE == LINUX_PROT_EXEC, "same bits");
#define PROTECTION_BITS 7u

/* Pages for `length_bytes`, 0 when it is none or wraps. */
static uint64_t length_in_pages(uint64_t length_bytes)
{
    uint64_t rounded = (length_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    return rounded < length_bytes ? 0 : rounded;
}

static int map_flags_check(uint64_t flags, bool anonymous)
{
    uint64_t type = flags & LINUX_MAP_TYPE;
    if (type != LINUX_MAP_SHARED && type != LINUX_MAP_PRIVATE && type != LINUX_MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (anonymous && type == LINUX_MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (type == LINUX_MAP_SHARED_VALIDATE && (flags & ~(uint64_t)LINUX_MAP_KNOWN))
        return -EOPNOTSUPP;
    if (type == LINUX_MAP_SHARED_VALIDATE && (flags & LINUX_MAP_SYNC))
        return -EOPNOTSUPP;
    if (flags & LINUX_MAP_HUGETLB)
        return -ENOMEM;
    return 0;
}

static void map_request_fill(struct area_request *request, uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags, uint64_t offset)
{
    *request = (struct area_request){
        .address = address,
        .length_bytes = bytes,
        .protection = (uint32_t)(protection & PROTECTION_BITS),
        .backing_index = offset / PAGE_BYTES,
        .fixed = (flags & LINUX_MAP_FIXED) && !(flags & LINUX_MAP_FIXED_NOREPLACE),
        .fixed_no_replace = (flags & LINUX_MAP_FIXED_NOREPLACE) != 0,
        .low_32_bit = (flags & LINUX_MAP_32BIT) != 0,
        .populate = (flags & (LINUX_MAP_POPULATE | LINUX_MAP_LOCKED)) != 0,
    };
    request->flags |= (flags & LINUX_MAP_TYPE) != LINUX_MAP_PRIVATE ? AREA_SHARED : 0;
    request->flags |= flags & LINUX_MAP_GROWSDOWN ? AREA_GROWS_DOWN : 0;
    request->flags |= flags & LINUX_MAP_LOCKED ? AREA_LOCKED : 0;
    request->flags |= flags & LINUX_MAP_NORESERVE ? AREA_NO_RESERVE : 0;
}

long sys_mmap(uint64_t address, uint64_t length_bytes, uint64_t protection, uint64_t flags, int fd, uint64_t offset)
{
    struct area_request request;
    struct file *file = NULL;
    bool anonymous = (flags & LINUX_MAP_ANONYMOUS) != 0;
    uint64_t result, bytes = length_in_pages(length_bytes);
    if (PAGE_OFFSET(offset) != 0)
        return -EINVAL;
    int error = anonymous ? 0 : file_argument(fd, &file);
    if (error)
        return error;
    error = length_bytes == 0 ? -EINVAL : map_flags_check(flags, anonymous);
    if (!error && (bytes == 0 || bytes > USER_ADDRESS_HIGH))
        error = -ENOMEM;
    if (!error && (flags & (LINUX_MAP_FIXED | LINUX_MAP_FIXED_NOREPLACE)) && PAGE_OFFSET(address) != 0)
        error = -EINVAL;
    if (!error && !anonymous && offset + bytes < offset)
        error = -EOVERFLOW;
    if (error)
        goto out;
    map_request_fill(&request, address, bytes, protection, flags, anonymous ? 0 : offset);
    if (file)
        error = file_map(file, &request);
    else if (request.flags & AREA_SHARED)
        error = area_backing_create_shared(bytes, &request.backing);
    else
        request.flags |= AREA_MAY_WRITE;
    if (!file && !error)
        request.flags |= AREA_MAY_WRITE;
    if (error)
        goto out;
    /* A file as a whole, to the byte: who maps that reads it, but for a dynamic linker, which comes with the span of a library's segments. */
    request.ahead = file && offset == 0 && request.backing && request.backing->cache && length_bytes == read_once(request.backing->cache->size_bytes);
    error = address_space_map(my_space(), &request, &result);
    if (request.backing)
        area_backing_release(request.backing);
out:
    if (file)
        file_release(file);
    return error ? error : (long)result;
}

long sys_munmap(uint64_t address, uint64_t length_bytes)
{
    uint64_t bytes = length_in_pages(length_bytes);
    if (PAGE_OFFSET(address) || bytes == 0 || !user_range_valid(address, bytes))
        return -EINVAL;
    return address_space_unmap(my_space(), address, bytes);
}

/* PROT_GROWSDOWN: from the start of the stack area that holds the address (glibc, for executable stacks). 0 or -EINVAL. */
static int protect_from_below(uint64_t *address, uint64_t *bytes)
{
    struct address_space *space = my_space();
    rw_lock_read(&space->lock);
    const struct area *area = address_space_find(space, *address);
    bool grows = area && area->start <= *address && (area->flags & AREA_GROWS_DOWN);
    if (grows) {
        *bytes += *address - area->start;
        *address = area->start;
    }
    rw_unlock_read(&space->lock);
    return grows ? 0 : -EINVAL;
}

long sys_mprotect(uint64_t address, uint64_t length_bytes, uint64_t protection)
{
    uint64_t bytes = length_in_pages(length_bytes);
    bool from_below = (protection & LINUX_PROT_GROWSDOWN) != 0;
    protection &= ~(uint64_t)LINUX_PROT_GROWSDOWN;
    if (PAGE_OFFSET(address) || (protection & ~(uint64_t)PROTECTION_BITS))
        return -EINVAL;
    if (length_bytes == 0)
        return 0;
    if (bytes == 0 || !user_range_valid(address, bytes))
        return -ENOMEM;
    if (from_below && protect_from_below(&address, &bytes))
        return -EINVAL;
    return address_space_protect(my_space(), address, bytes, (uint32_t)protection);
}

long sys_mremap(uint64_t address, uint64_t old_bytes, uint64_t new_bytes, uint64_t flags, uint64_t new_address)
{
    uint64_t result;
    if (flags & ~(uint64_t)(LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP))
        return -EINVAL;
    if ((flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP)) && !(flags & LINUX_MREMAP_MAYMOVE))
        return -EINVAL;
    if ((flags & LINUX_MREMAP_DONTUNMAP) && old_bytes != new_bytes)
        return -EINVAL;
    if (PAGE_OFFSET(address) || new_bytes == 0 || length_in_pages(new_bytes) == 0)
        return -EINVAL;
    if ((flags & LINUX_MREMAP_FIXED) && PAGE_OFFSET(new_address))
        return -EINVAL;
    int error = address_space_remap(my_space(), address, length_in_pages(old_bytes), length_in_pages(new_bytes), (unsigned int)flags, new_address, &result);
    return error ? error : (long)result;
}

long sys_brk(uint64_t address)
{
    return (long)address_space_set_break(my_space(), address);
}

long sys_madvise(uint64_t address, uint64_t length_bytes, int advice)
{
    uint64_t bytes = length_in_pages(length_bytes);
    if (PAGE_OFFSET(address) || (length_bytes != 0 && bytes == 0) || address + bytes < address)
        return -EINVAL;
    return address_space_advise(my_space(), address, bytes, advice);
}

long sys_mincore(uint64_t address, uint64_t length_bytes, uint64_t vector)
{
    uint8_t chunk[256];
    uint64_t pages = length_in_pages(length_bytes) / PAGE_BYTES;
    if (PAGE_OFFSET(address))
        return -EINVAL;
    if (!user_range_valid(address, length_bytes))
        return -ENOMEM;
    if (!user_range_valid(vector, pages))
        return -EFAULT;
    while (pages > 0) {
        size_t count = (size_t)minimum(pages, (uint64_t)sizeof(chunk));
        int error = address_space_residency(my_space(), address, count, chunk);
        if (!error)
            error = user_copy_out(vector, chunk, count);
        if (error)
            return error;
        address += count * PAGE_BYTES;
        vector += count;
        pages -= count;
    }
    return 0;
}

long sys_msync(uint64_t address, uint64_t length_bytes, int flags)
{
    uint64_t bytes = length_in_pages(length_bytes);
    if (flags & ~(LINUX_MS_ASYNC | LINUX_MS_INVALIDATE | LINUX_MS_SYNC) || PAGE_OFFSET(address))
        return -EINVAL;
    if ((flags & LINUX_MS_ASYNC) && (flags & LINUX_MS_SYNC))
        return -EINVAL;
    if (address + bytes < address || (length_bytes != 0 && bytes == 0))
        return -ENOMEM;
    return bytes == 0 ? 0 : address_space_synchronize(my_space(), address, bytes, flags);
}

/* A range of lock calls runs from the page of its first byte to that of its last. */
static long lock_range(uint64_t address, uint64_t length_bytes, bool lock)
{
    uint64_t start = address & ~(PAGE_BYTES - 1);
    uint64_t bytes = length_in_pages(length_bytes + PAGE_OFFSET(address));
    if (start + bytes < start)
        return -EINVAL;
    if (lock && !task_capable(CAPABILITY_IPC_LOCK)) {
        uint64_t limit = process_limit(process_current(), LIMIT_MEMLOCK);
        if (limit == 0)
            return -EPERM;
        if (bytes > limit)
            return -ENOMEM;
    }
    return bytes == 0 ? 0 : address_space_lock_pages(my_space(), start, bytes, lock);
}

long sys_mlock(uint64_t address, uint64_t length_bytes)
{
    return lock_range(address, length_bytes, true);
}

long sys_mlock2(uint64_t address, uint64_t length_bytes, int flags)
{
    return flags & ~LINUX_MLOCK_ONFAULT ? -EINVAL : lock_range(address, length_bytes, true);
}

long sys_munlock(uint64_t address, uint64_t length_bytes)
{
    return lock_range(address, length_bytes, false);
}

long sys_mlockall(int flags)
{
    if (flags == 0 || (flags & ~(LINUX_MCL_CURRENT | LINUX_MCL_FUTURE | LINUX_MCL_ONFAULT)) || flags == LINUX_MCL_ONFAULT)
        return -EINVAL;
    if (!task_capable(CAPABILITY_IPC_LOCK)) {
        uint64_t limit = process_limit(process_current(), LIMIT_MEMLOCK);
        if (limit == 0)
            return -EPERM;
        if ((flags & LINUX_MCL_CURRENT) && my_space()->mapped_pages * PAGE_BYTES > limit)
            return -ENOMEM;
    }
    return address_space_lock_all(my_space(), (flags & LINUX_MCL_CURRENT) != 0, (flags & LINUX_MCL_FUTURE) != 0);
}

long sys_munlockall(void)
{
    return address_space_lock_all(my_space(), false, false);
}

long sys_memfd_create(uint64_t name, uint32_t flags)
{
    char text[LINUX_MFD_NAME_LIMIT + 1];
    struct file *file;
    if (flags & ~(LINUX_MFD_CLOEXEC | LINUX_MFD_ALLOW_SEALING | LINUX_MFD_NOEXEC_SEAL | LINUX_MFD_EXEC | LINUX_MFD_HUGETLB))
        return -EINVAL;
    if ((flags & LINUX_MFD_NOEXEC_SEAL) && (flags & LINUX_MFD_EXEC))
        return -EINVAL;
    if (flags & LINUX_MFD_HUGETLB)
        return -ENOMEM;
    long length = user_copy_string(text, name, sizeof(text));
    if (length < 0)
        return length == -ENAMETOOLONG ? -EINVAL : length;
    int error = memory_file_create(text, flags, task_current()->credentials, &file);
    return error ? error : file_install(file, (flags & LINUX_MFD_CLOEXEC) != 0);
}

/*
 * A barrier on every CPU that may run the process's threads (`everywhere`: any program's): each takes an event, for which it enters the
 * kernel, and it comes back by the iret that also makes it forget instructions it had fetched.
 */
static long barrier(bool everywhere)
{
    const struct address_space *space = process_current()->space;

    cpu_kick_and_wait(everywhere ? cpu_online_mask() : atomic_load(&space->root.cpu_mask));
    return 0;
}

long sys_membarrier(int command, uint32_t flags, int cpu)
{
    struct process *process = process_current();
    uint32_t registration = (uint32_t)command << 1; /* what a private kind is registered by */

    if (flags != 0 && (flags != LINUX_MEMBARRIER_FLAG_CPU || command != LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ))
        return -EINVAL;
    switch (command) {
    case LINUX_MEMBARRIER_QUERY:
        return LINUX_MEMBARRIER_ALL;
    case LINUX_MEMBARRIER_REGISTER_GLOBAL_EXPEDITED:
    case LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED:
    case LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
    case LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ:
        __atomic_fetch_or(&process->barriers, (uint32_t)command, __ATOMIC_RELAXED);
        return 0;
    case LINUX_MEMBARRIER_GET_REGISTRATIONS:
        return read_once(process->barriers);
    case LINUX_MEMBARRIER_GLOBAL:
    case LINUX_MEMBARRIER_GLOBAL_EXPEDITED:
        return barrier(true);
    case LINUX_MEMBARRIER_PRIVATE_EXPEDITED:
    case LINUX_MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE:
        return read_once(process->barriers) & registration ? barrier(false) : -EPERM;
    case LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ:
        if (!(read_once(process->barriers) & registration))
            return -EPERM;
        if (flags != 0 && (cpu < 0 || cpu >= (int)CPU_LIMIT || !(cpu_online_mask() & (1ull << cpu))))
            return 0; /* nobody runs there */
        rseq_barrier(process);
        return barrier(false);
    default:
        return -EINVAL;
    }
}

long sys_rseq(uint64_t area, uint32_t size_bytes, int flags, uint32_t signature)
{
    if (flags == LINUX_RSEQ_UNREGISTER)
        return rseq_unregister(area, size_bytes, signature);
    return flags == 0 ? rseq_register(area, size_bytes, signature) : -EINVAL;
}
