/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ns.h"

#include "log.h"
#include "nl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* linux/magic.h has it too, but not in every libc's headers. */
#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

#define OWN_NS "/proc/thread-self/ns/net"

enum { NS_PATH_MAX = sizeof NS_DIR + NS_NAME_MAX };

static int root_fd = -1;
static unsigned long moves;

int ns_init(void)
{
	int fd = open(OWN_NS, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (root_fd >= 0)
		close(root_fd);
	root_fd = fd;
	return 0;
}

int ns_root_fd(void)
{
	return root_fd;
}

unsigned long ns_moves(void)
{
	return moves;
}

static int ns_path(const char *name, char ret[NS_PATH_MAX])
{
	size_t n = strnlen(name, NS_NAME_MAX);

	if (n == 0 || n >= NS_NAME_MAX || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	snprintf(ret, NS_PATH_MAX, NS_DIR "/%s", name);
	return 0;
}

/* A creation that did not get as far as the bind mount leaves an ordinary file. */
static bool is_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

static int open_namespace(const char *name, int *ret)
{
	char path[NS_PATH_MAX];
	int error = ns_path(name, path), fd;

	if (error)
		return error;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!is_namespace(fd)) {
		close(fd);
		return -ENOENT;
	}
	*ret = fd;
	return 0;
}

static void give(int fd, int *ret_fd)
{
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
}

int ns_enter(const char *name, int *ret_fd)
{
	int fd, error = open_namespace(name, &fd);

	if (error)
		return error;
	if (setns(fd, CLONE_NEWNET) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	moves++;
	give(fd, ret_fd);
	return 0;
}

void ns_leave(void)
{
	/* To go on in the wrong namespace would do to the host what was meant for a router. */
	if (setns(root_fd, CLONE_NEWNET) < 0)
		fatal("cannot return to the root network namespace: %s", strerror(errno));
	moves++;
}

/* As ip-netns(8) does, so that namespaces made here are seen in other mount namespaces and by other tools: the
 * directory is a shared mount of its own. */
static int prepare_directory(void)
{
	struct statx st;

	if (mkdir(NS_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (statx(AT_FDCWD, NS_DIR, 0, STATX_TYPE, &st) < 0)
		return -errno;
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 0;
	if (mount(NS_DIR, NS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", NS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return -errno;
	return 0;
}

int ns_create(const char *name, int *ret_fd)
{
	char path[NS_PATH_MAX];
	int error = ns_path(name, path), fd;

	if (!error)
		error = prepare_directory();
	if (error)
		return error;
	if (ns_exists(name))
		return -EEXIST;
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	close(fd);
	if (unshare(CLONE_NEWNET) < 0) {
		error = -errno;
		unlink(path);
		return error;
	}
	moves++;
	if (mount(OWN_NS, path, "none", MS_BIND, NULL) < 0)
		error = -errno;
	else if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		error = -errno;
	if (error) {
		ns_leave();
		umount2(path, MNT_DETACH);
		unlink(path);
		return error;
	}
	nl_count_write();
	give(fd, ret_fd);
	return 0;
}

int ns_delete(const char *name)
{
	char path[NS_PATH_MAX];
	int error = ns_path(name, path);

	if (error)
		return error;
	/* EINVAL: a file that never became a mount. */
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL)
		return errno == ENOENT ? 0 : -errno;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	nl_count_write();
	return 0;
}

bool ns_exists(const char *name)
{
	return ns_inode(name) != 0;
}

bool ns_is_named(const char *name)
{
	char path[NS_PATH_MAX];

	return ns_path(name, path) == 0 && access(path, F_OK) == 0;
}

unsigned long ns_inode(const char *name)
{
	unsigned long ret = 0;
	struct stat st;
	int fd = -1;

	if (open_namespace(name, &fd) < 0)
		return 0;
	if (fstat(fd, &st) == 0)
		ret = st.st_ino;
	close(fd);
	return ret;
}

int ns_list(const char *prefix, void (*got)(const char *name, void *ctx), void *ctx)
{
	DIR *dir = opendir(NS_DIR);

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(dir)); )
		if (e->d_name[0] != '.' && strlen(e->d_name) < NS_NAME_MAX &&
		    strncmp(e->d_name, prefix, strlen(prefix)) == 0)
			got(e->d_name, ctx);
	closedir(dir);
	return 0;
}

/* ---- ids ---- */

static void put_id_request(struct nl_batch *b, uint16_t type, int ns_fd)
{
	struct nlmsghdr *h = nl_begin(b, type, 0, NULL, sizeof(struct rtgenmsg));

	mnl_attr_put_u32(h, NETNSA_FD, (uint32_t)ns_fd);
	if (type == RTM_NEWNSID)
		mnl_attr_put_u32(h, NETNSA_NSID, (uint32_t)NETNSA_NSID_NOT_ASSIGNED);
}

static int got_id(const struct nlmsghdr *h, void *ctx)
{
	static const uint16_t want[NETNSA_NSID + 1] = { [NETNSA_NSID] = sizeof(int32_t) };
	const struct nlattr *tb[NETNSA_NSID + 1];

	nl_attrs(tb, want, NETNSA_NSID + 1, mnl_nlmsg_get_payload_offset(h, sizeof(struct rtgenmsg)),
		 mnl_nlmsg_get_payload_tail(h));
	if (h->nlmsg_type == RTM_NEWNSID && tb[NETNSA_NSID])
		*(int *)ctx = (int)mnl_attr_get_u32(tb[NETNSA_NSID]);
	return 0;
}

static int ask_id(struct nl *nl, struct nl_batch *b, int ns_fd)
{
	int id = NETNSA_NSID_NOT_ASSIGNED, error;

	put_id_request(b, RTM_GETNSID, ns_fd);
	error = nl_ask(nl, b, got_id, NULL, &id);
	return error ? error : id >= 0 ? id : -ENOENT;
}

int ns_id(int ns_fd)
{
	struct nl nl = NL_NONE;
	struct nl_batch b = { 0 };
	int ret = nl_open(&nl, NETLINK_ROUTE);

	if (ret)
		return ret;
	ret = ask_id(&nl, &b, ns_fd);
	if (ret == -ENOENT) {
		put_id_request(&b, RTM_NEWNSID, ns_fd);
		ret = nl_send(&nl, &b, NULL, NULL);
		if (!ret || ret == -EEXIST)
			ret = ask_id(&nl, &b, ns_fd);
	}
	nl_close(&nl);
	nl_batch_free(&b);
	return ret;
}
