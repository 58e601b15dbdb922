/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Named network namespaces, as `ip netns` makes them: bind mounts in /run/netns. The only place that knows setns. */

#include <stdbool.h>
#include <stddef.h>

#define NS_DIR "/run/netns"
enum { NS_NAME_MAX = 64 };

/* Remembers the namespace in which the program was started ("root" from here on). Call once. 0 or negative errno. */
int ns_init(void);

/* Moves the calling thread into the namespace; ns_leave brings it back to root. -ENOENT: no such namespace, or only a
 * file left by a creation that did not finish. Other negative errno. ret_fd, if not NULL, gets an O_CLOEXEC fd of the
 * namespace, owned by the caller. */
int ns_enter(const char *name, int *ret_fd);
void ns_leave(void);
/* Creates the namespace (over a half-made one if need be) and leaves the thread in it; lo is down yet. -EEXIST if it is
 * there. */
int ns_create(const char *name, int *ret_fd);
/* Unmounts and unlinks; the kernel destroys what is in it in the background. Absent: 0. */
int ns_delete(const char *name);
bool ns_exists(const char *name);
/* Is there such a name at all, if only a file left by a creation that did not finish? */
bool ns_is_named(const char *name);
/* A number that stays the same for as long as this very namespace lives (its inode), 0 if there is none. */
unsigned long ns_inode(const char *name);
/* Calls `got` for each name in NS_DIR that starts with prefix, half-made ones too. A missing directory is
 * an empty one. */
int ns_list(const char *prefix, void (*got)(const char *name, void *ctx), void *ctx);
/* The id by which the kernel names that namespace (an open fd) in messages to root, given now if it had none; ≥ 0 or
 * negative errno. O(namespaces) in the kernel. The calling thread must be in root. */
int ns_id(int ns_fd);
/* An fd of the root namespace, borrowed. */
int ns_root_fd(void);
/* How often the thread has moved between namespaces: a cheap way to see that it is in another one than last time. */
unsigned long ns_moves(void);

/* net.* sysctls of the namespace that the thread is in. key is the path below /proc/sys/net ("ipv4/ip_forward"). Goes
 * through a private procfs mount that is renewed every now and then: in one mount all namespaces' equally named entries
 * share a hash chain, and look-ups become O(namespaces). */
int sysctl_read(const char *key, char *ret, size_t size);	/* 0; -ENOENT; text without the line end */
int sysctl_write(const char *key, const char *value);		/* 0 or negative errno; counts as a write */
