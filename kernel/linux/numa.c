/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls on memory nodes, for a guest that has one: what a program may ask for is checked as Linux would on such a
 * machine, and the answer is always node 0.
 */
#include "kernel/base/error.h"
#include "kernel/linux/abi/memory.h"
#include "kernel/linux/arguments.h"
#include "kernel/linux/system_calls.h"
#include "kernel/process/process.h"
#include "xen/x86/user_access.h"

#define NODE_MASK_BITS_MOST 4096u
#define MBIND_FLAGS 7u

/* The mask may name node 0 only. *empty: it names none. `bits` counts one more than it should, as Linux has it. */
static int node_mask_check(uint64_t address, uint64_t bits, bool *empty)
{
    *empty = true;
    if (address == 0 || bits <= 1)
        return 0;
    if (--bits > NODE_MASK_BITS_MOST)
        return -EINVAL;
    for (uint64_t bit = 0; bit < bits; bit += 64) {
        uint64_t word, left = bits - bit;
        if (user_load(&word, address + bit / 8))
            return -EFAULT;
        word &= left < 64 ? (1ull << left) - 1 : UINT64_MAX;
        if (bit == 0 && (word & 1)) {
            *empty = false;
            word &= ~1ull;
        }
        if (word)
            return -EINVAL;
    }
    return 0;
}

static int policy_check(int mode, uint64_t mask, uint64_t bits)
{
    bool empty;
    int plain = mode & ~LINUX_MPOL_MODE_FLAGS;
    if (plain < LINUX_MPOL_DEFAULT || plain > LINUX_MPOL_LAST)
        return -EINVAL;
    int error = node_mask_check(mask, bits, &empty);
    if (error)
        return error;
    if (plain == LINUX_MPOL_DEFAULT || plain == LINUX_MPOL_LOCAL)
        return empty ? 0 : -EINVAL;
    return empty && plain != 1 /* MPOL_PREFERRED: none means local */ ? -EINVAL : 0;
}

long sys_mbind(uint64_t address, uint64_t length_bytes, int mode, uint64_t mask, uint64_t mask_bits, uint32_t flags)
{
    if ((address & 4095) || (flags & ~MBIND_FLAGS))
        return -EINVAL;
    return policy_check(mode, mask, mask_bits);
}

long sys_set_mempolicy(int mode, uint64_t mask, uint64_t mask_bits)
{
    return policy_check(mode, mask, mask_bits);
}

long sys_set_mempolicy_home_node(uint64_t address, uint64_t length_bytes, uint64_t node, uint64_t flags)
{
    return (address & 4095) || flags || node != 0 ? -EINVAL : 0;
}

long sys_get_mempolicy(uint64_t mode, uint64_t mask, uint64_t mask_bits, uint64_t address, uint64_t flags)
{
    int32_t policy = LINUX_MPOL_DEFAULT; /* with MPOL_F_NODE: node 0, the same number */
    if (flags & ~(uint64_t)(LINUX_MPOL_F_NODE | LINUX_MPOL_F_ADDR | LINUX_MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if ((flags & LINUX_MPOL_F_MEMS_ALLOWED) && (flags & (LINUX_MPOL_F_NODE | LINUX_MPOL_F_ADDR)))
        return -EINVAL;
    if (flags & LINUX_MPOL_F_ADDR) {
        struct address_space *space = process_current()->space;
        rw_lock_read(&space->lock);
        const struct area *area = address_space_find(space, address);
        bool mapped = area && area->start <= address;
        rw_unlock_read(&space->lock);
        if (!mapped)
            return -EFAULT;
    } else if (address) {
        return -EINVAL;
    }
    if ((flags & LINUX_MPOL_F_NODE) && !(flags & LINUX_MPOL_F_ADDR))
        return -EINVAL; /* only for interleaving policies */
    if (mode && user_store(mode, &policy))
        return -EFAULT;
    if (mask) {
        uint64_t word = flags & LINUX_MPOL_F_MEMS_ALLOWED ? 1 : 0;
        if (mask_bits < 1 || mask_bits > NODE_MASK_BITS_MOST)
            return -EINVAL;
        size_t bytes = (size_t)(mask_bits + 63) / 64 * 8;
        if (user_zero(mask, bytes) || user_store(mask, &word))
            return -EFAULT;
    }
    return 0;
}

long sys_migrate_pages(int pid, uint64_t mask_bits, uint64_t old_nodes, uint64_t new_nodes)
{
    bool empty;
    int error = node_mask_check(old_nodes, mask_bits, &empty);
    if (!error)
        error = node_mask_check(new_nodes, mask_bits, &empty);
    if (error)
        return error;
    struct task *task = pid == 0 ? NULL : task_find(pid);
    if (pid != 0 && !task)
        return -ESRCH;
    if (task)
        task_release(task);
    return 0; /* the pages that could not be moved: none */
}

#define MOVE_FLAGS 6

/* Where each page is, or (with nodes) whether it may go there. */
long sys_move_pages(int pid, uint64_t count, uint64_t pages, uint64_t nodes, uint64_t status, int flags)
{
    struct address_space *space = process_current()->space;
    if (flags & ~MOVE_FLAGS)
        return -EINVAL;
    if (pid != 0 && pid != process_current()->pid)
        return -EPERM;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t address;
        int32_t node = 0, answer = -ENOENT;
        uint8_t resident = 0;
        if (user_load(&address, pages + i * 8) || (nodes && user_load(&node, nodes + i * 4)))
            return -EFAULT;
        if (node != 0)
            return -ENODEV;
        int error = address_space_residency(space, address & ~4095ull, 1, &resident);
        if (error)
            answer = -EFAULT;
        else if (resident & 1)
            answer = 0;
        if (status && user_store(status + i * 4, &answer))
            return -EFAULT;
        thread_yield_if_due();
    }
    return 0;
}
