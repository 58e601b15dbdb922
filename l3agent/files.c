/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include "agent.h"
#include "arena.h"
#include "claims.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "routers.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* POLL: inotify cannot tell that something was mounted over the directory, or that a missing one has come.
 * SETTLE: an editor or a git pull writes several files within a moment; a router that left one of them may be about to
 * appear in another, so that its removal waits this long.
 * EDIT: more files than this changed at once are a bulk, not a person's edit. */
enum { POLL_MS = 1000, SETTLE_MS = 50, EDIT_FILES = 16, WORK_LEVEL = 1, FILES_MAX = 100000 };

enum { DIRECTORY_EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |
			  IN_ONLYDIR };

/* Is the file still the one that was read? */
struct identity { dev_t dev; ino_t ino; off_t size; struct timespec mtime, ctime; };

struct file {
	struct claim_owner owner;		/* owner.path: full path, this struct's own; the key */
	struct identity identity;
	bool good;				/* a version of it is in force */
	bool seen;				/* by the scan under way */
	bool queued;
	struct problems *problems;		/* of the newest version; NULL: none */
	VEC(struct uuid) ids;			/* of the routers in force */
	TAILQ_ENTRY(file) queue;
	UT_hash_handle hh;
};

struct files {
	struct agent *agent;
	struct file *table;			/* hash by path */
	size_t unsound;				/* files with problems */
	struct claims claims;
	TAILQ_HEAD(, file) queue;		/* to be read */
	size_t queued;
	VEC(struct uuid) leaving;		/* ids that vanished from a file; settled when all is read */
	char *error;				/* the directory's; malloc's */
	bool late;				/* it was not there at first: files may still be on their way into it */
	dev_t dev;				/* the directory that was scanned */
	ino_t ino;
	int inotify, watched;			/* watched: -1: no watch */
	struct event *events, *work, *settle, *poll;
};

static bool is_router_file(const char *name)
{
	size_t n = strlen(name);

	return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".yaml") == 0;
}

static bool identify(const char *path, struct identity *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	*ret = (struct identity){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
	return true;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec && a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

static struct file *find(struct files *f, const char *path)
{
	struct file *file;

	HASH_FIND_STR(f->table, path, file);
	return file;
}

static struct file *find_or_add(struct files *f, const char *path)
{
	struct file *file = find(f, path);

	if (file || HASH_COUNT(f->table) >= FILES_MAX)
		return file;
	file = calloc(1, sizeof *file);
	if (!file || !(file->owner.path = strdup(path)))
		fatal("out of memory");
	HASH_ADD_KEYPTR(hh, f->table, file->owner.path, strlen(file->owner.path), file);
	return file;
}

/* Takes problems; NULL: there are none. */
static void set_problems(struct files *f, struct file *file, struct problems *problems)
{
	f->unsound += (problems != NULL) - (file->problems != NULL);
	if (file->problems)
		problems_clear(file->problems);
	free(file->problems);
	file->problems = problems;
}

static void unqueue(struct files *f, struct file *file)
{
	if (!file->queued)
		return;
	TAILQ_REMOVE(&f->queue, file, queue);
	file->queued = false;
	f->queued--;
}

static void drop(struct files *f, struct file *file)
{
	unqueue(f, file);
	set_problems(f, file, NULL);
	claims_set(&f->claims, &file->owner, NULL);
	HASH_DEL(f->table, file);
	vec_free(&file->ids);
	free((char *)file->owner.path);
	free(file);
}

static void queue_file(struct files *f, struct file *file)
{
	if (file->queued)
		return;
	TAILQ_INSERT_TAIL(&f->queue, file, queue);
	file->queued = true;
	f->queued++;
	event_active(f->work, 0, 0);
}

static void settle_later(struct files *f)
{
	static const struct timeval delay = { 0, SETTLE_MS * 1000 };

	event_add(f->settle, &delay);
}

static void log_problems(const struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->at[i];

		if (p->line)
			log_error(NULL, "%s:%u:%u: %s", p->file, p->line, p->column, p->text);
		else
			log_error(NULL, "%s: %s", p->file, p->text);
	}
	if (problems->more)
		log_error(NULL, "and %zu more", problems->more);
}

static bool same_problems(const struct problems *a, const struct problems *b)
{
	if (!a || a->n != b->n || a->more != b->more)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->at[i].line != b->at[i].line || strcmp(a->at[i].text, b->at[i].text) != 0)
			return false;
	return true;
}

/* The routers of `file` are now those of `routers`, which it takes. Ids that are gone from it wait to be settled. */
static void publish(struct files *f, struct file *file, struct routers *routers, enum agent_priority priority)
{
	claims_set(&f->claims, &file->owner, routers);
	for (size_t i = 0; i < file->ids.n; i++)
		if (!claims_router_owner(&f->claims, &file->ids.at[i]))
			*vec_add(&f->leaving) = file->ids.at[i];
	file->ids.n = 0;
	for (size_t i = 0; i < routers->n; i++) {
		struct router *r = routers->at[i];

		*vec_add(&file->ids) = r->id;
		r->file = arena_strdup(r->arena, file->owner.path);
		routers->at[i] = NULL;
		agent_router(f->agent, r, priority);
	}
	file->good = true;
	set_problems(f, file, NULL);
}

static const char *read_error(int error)
{
	return error == -EFBIG ? "the file is larger than 16 MiB" : error == -EINVAL ? "not a regular file" : strerror(-error);
}

/* Reads and checks the text at path: 0 and *ret, or negative errno with the faults in problems. */
static int load(const struct claims *claims, const struct claim_owner *owner, const struct conf *conf,
		struct problems *problems, struct routers *ret)
{
	char *text;
	size_t n;
	int error = text_load(owner->path, ROUTERS_MAX_BYTES, &text, &n);

	if (error) {
		problems_add(problems, owner->path, 0, 0, "%s", read_error(error));
		return error;
	}
	error = routers_parse(owner->path, text, n, conf, problems, ret);
	free(text);
	if (!error && !claims_check(claims, owner, ret, problems)) {
		routers_free(ret);
		error = -EINVAL;
	}
	return error;
}

static void read_file(struct files *f, struct file *file, enum agent_priority priority)
{
	struct problems *problems = calloc(1, sizeof *problems);
	struct routers routers;

	if (!problems)
		fatal("out of memory");
	if (!identify(file->owner.path, &file->identity))
		file->identity = (struct identity){ 0 };
	if (load(&f->claims, &file->owner, f->agent->conf, problems, &routers) == 0) {
		problems_clear(problems);
		free(problems);
		if (file->problems)
			log_info(file->owner.path, "is sound again");
		publish(f, file, &routers, priority);
		routers_free(&routers);
		return;
	}
	if (!same_problems(file->problems, problems)) {
		log_problems(problems);
		if (file->good)
			log_warn(file->owner.path, "the last good version stays in force");
	}
	set_problems(f, file, problems);
}

/* A file that had to yield to another one's claim may be sound now that something has changed. */
static void reread_unsound(struct files *f)
{
	struct file *file, *next;

	if (f->unsound)
		HASH_ITER(hh, f->table, file, next)
			if (file->problems)
				queue_file(f, file);
}

/* Namespaces that belong to no router are not removed until a person says so. */
static void hold_orphans(struct files *f, const char *what)
{
	struct orphans orphans;
	struct text why = { 0 };

	agent_orphans(f->agent, &orphans);
	if (orphans.names.n) {
		text_printf(&why, "the directory %s %s, but there are namespaces of %zu routers that are not in it; if they are "
			    "to go, `l3ctl prune` shows and removes them", f->agent->conf->files, what, orphans.names.n);
		agent_hold(f->agent, why.at);
		text_free(&why);
	}
	orphans_free(&orphans);
}

/* All is read: what no file claims is gone; and if every file is sound, the source has delivered all there is. */
static void settle(struct files *f, enum agent_priority priority)
{
	struct file *file, *next;
	bool sound = !f->error;

	for (size_t i = 0; i < f->leaving.n; i++)
		if (!claims_router_owner(&f->claims, &f->leaving.at[i]))
			agent_gone(f->agent, &f->leaving.at[i], priority);
	f->leaving.n = 0;
	if (f->agent->synced || f->error)
		return;
	if (f->unsound)
		HASH_ITER(hh, f->table, file, next)
			sound &= file->good || !file->problems;
	if (!sound)
		return;
	if (f->late)
		hold_orphans(f, "has come only after the start");
	agent_synced(f->agent);
}

static void on_settle(evutil_socket_t fd, short what, void *ctx)
{
	struct files *f = ctx;

	(void)fd, (void)what;
	if (!f->queued)
		settle(f, PRIORITY_PERSON);
	event_active(f->agent->work, 0, 0);	/* somebody may be waiting for the end of it */
}

static void on_work(evutil_socket_t fd, short what, void *ctx)
{
	struct files *f = ctx;
	struct file *file = TAILQ_FIRST(&f->queue);

	(void)fd, (void)what;
	if (file) {
		bool bulk = f->queued > EDIT_FILES || !f->agent->synced;

		unqueue(f, file);
		read_file(f, file, bulk ? PRIORITY_SYNC : PRIORITY_PERSON);
	}
	if (f->queued)
		event_active(f->work, 0, 0);
	else if (!f->agent->synced)
		settle(f, PRIORITY_SYNC);
	else
		settle_later(f);
	event_active(f->agent->work, 0, 0);	/* the queue may be waiting for the last file */
}

/* The file is no more. Unless it vanished together with its whole directory, that is somebody's wish. */
static void vanish(struct files *f, struct file *file, bool vouched)
{
	for (size_t i = 0; i < file->ids.n; i++) {
		if (vouched)
			*vec_add(&f->leaving) = file->ids.at[i];
		else
			agent_disown(f->agent, &file->ids.at[i]);
	}
	drop(f, file);
	settle_later(f);
}

static void set_error(struct files *f, const char *error)
{
	if (error && (!f->error || strcmp(error, f->error) != 0))
		log_error(NULL, "%s", error);
	if (!error && f->error)
		log_info(f->agent->conf->files, "can be read again");
	free(f->error);
	f->error = error ? strdup(error) : NULL;
}

static void watch_directory(struct files *f)
{
	if (f->watched >= 0)
		inotify_rm_watch(f->inotify, f->watched);
	f->watched = inotify_add_watch(f->inotify, f->agent->conf->files, DIRECTORY_EVENTS);
}

static char *path_of(const struct conf *conf, const char *name)
{
	struct text path = { 0 };

	text_printf(&path, "%s/%s", conf->files, name);
	return path.at;
}

static void look_at(struct files *f, const char *path, bool force)
{
	struct identity identity;
	struct file *file;

	if (!identify(path, &identity)) {
		file = find(f, path);
		if (file)
			vanish(f, file, true);
		return;
	}
	file = find_or_add(f, path);
	if (!file) {
		log_error(path, "not read: there are %d router files already", FILES_MAX);
		return;
	}
	file->seen = true;
	if (force || !same_identity(&file->identity, &identity))
		queue_file(f, file);
}

static void say_unreadable(struct files *f, int error)
{
	struct text why = { 0 };

	text_printf(&why, "cannot read the directory %s: %s; nothing is removed", f->agent->conf->files, strerror(error));
	set_error(f, why.at);
	text_free(&why);
}

/* The directory is empty although namespaces of routers exist, or although it was full a moment ago and is now another
 * one: that is what a failed mount looks like. */
static void hold_if_suspicious(struct files *f, bool replaced)
{
	if (!HASH_COUNT(f->table) && (!f->agent->synced || replaced))
		hold_orphans(f, "is empty");
}

static void scan(struct files *f, bool force)
{
	const char *path = f->agent->conf->files;
	struct file *file, *next;
	struct dirent *entry;
	struct stat st;
	bool replaced, empty = true;
	DIR *dir;

	watch_directory(f);		/* first, so that no change falls between */
	dir = opendir(path);
	if (!dir || fstat(dirfd(dir), &st) < 0) {
		say_unreadable(f, errno);
		f->late = !f->agent->synced;
		if (dir)
			closedir(dir);
		return;
	}
	/* After a time in which it could not be read it counts as another one, whatever its inode: those are used again. */
	replaced = f->ino && (f->error || f->dev != st.st_dev || f->ino != st.st_ino);
	set_error(f, NULL);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	HASH_ITER(hh, f->table, file, next)
		file->seen = false;
	while ((entry = readdir(dir))) {
		char *name;

		if (!is_router_file(entry->d_name))
			continue;
		empty = false;
		name = path_of(f->agent->conf, entry->d_name);
		look_at(f, name, force);
		free(name);
	}
	closedir(dir);
	HASH_ITER(hh, f->table, file, next)
		if (!file->seen)
			vanish(f, file, !(replaced && empty));
	reread_unsound(f);
	hold_if_suspicious(f, replaced && empty);
	event_active(f->work, 0, 0);
}

static void on_directory(evutil_socket_t fd, short what, void *ctx)
{
	struct files *f = ctx;
	_Alignas(struct inotify_event) char buffer[16384];
	ssize_t n = read(fd, buffer, sizeof buffer);
	bool rescan = false;

	(void)what;
	for (char *p = buffer; n > 0 && p < buffer + n;) {
		struct inotify_event *ie = (struct inotify_event *)p;

		p += sizeof *ie + ie->len;
		if (ie->wd != f->watched && !(ie->mask & IN_Q_OVERFLOW))
			continue;
		if (ie->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
			rescan = true;
		} else if (ie->len && is_router_file(ie->name)) {
			char *path = path_of(f->agent->conf, ie->name);

			look_at(f, path, false);
			free(path);
		}
	}
	if (rescan) {
		f->watched = -1;
		scan(f, false);
	} else {
		reread_unsound(f);
	}
}

static void on_poll(evutil_socket_t fd, short what, void *ctx)
{
	struct files *f = ctx;
	struct stat st;

	(void)fd, (void)what;
	if (stat(f->agent->conf->files, &st) < 0 || st.st_dev != f->dev || st.st_ino != f->ino || f->watched < 0 ||
	    f->error)
		scan(f, false);
}

static struct event *add_event(struct files *f, int fd, short what, event_callback_fn callback, int level)
{
	struct event *e = event_new(f->agent->loop, fd, what, callback, f);

	if (!e)
		fatal("out of memory");
	event_priority_set(e, level);
	return e;
}

struct files *files_new(struct agent *a)
{
	static const struct timeval poll = { POLL_MS / 1000, 0 };
	struct files *f = calloc(1, sizeof *f);

	if (!f)
		fatal("out of memory");
	f->agent = a;
	TAILQ_INIT(&f->queue);
	f->watched = -1;
	f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (f->inotify < 0)
		fatal("inotify: %s", strerror(errno));
	f->events = add_event(f, f->inotify, EV_READ | EV_PERSIST, on_directory, 0);
	f->work = add_event(f, -1, 0, on_work, WORK_LEVEL);
	f->settle = add_event(f, -1, 0, on_settle, WORK_LEVEL);
	f->poll = add_event(f, -1, EV_PERSIST, on_poll, 0);
	event_add(f->events, NULL);
	event_add(f->poll, &poll);
	scan(f, false);
	return f;
}

void files_free(struct files *f)
{
	struct file *file, *next;

	if (!f)
		return;
	HASH_ITER(hh, f->table, file, next)
		drop(f, file);
	event_free(f->events);
	event_free(f->work);
	event_free(f->settle);
	event_free(f->poll);
	close(f->inotify);
	vec_free(&f->leaving);
	free(f->error);
	free(f);
}

void files_rescan(struct files *f)
{
	scan(f, true);
}

bool files_reading(const struct files *f)
{
	return f->queued > 0 || f->leaving.n > 0;
}

const char *files_error(const struct files *f)
{
	return f->error;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct file *const *)a)->owner.path, (*(struct file *const *)b)->owner.path);
}

void files_problems(const struct files *f, void (*each)(const struct problem *p, void *ctx), void *ctx)
{
	VEC(struct file *) unsound = { 0 };
	struct file *file, *next;

	if (!f->unsound)
		return;
	HASH_ITER(hh, f->table, file, next)
		if (file->problems)
			*vec_add(&unsound) = file;
	vec_sort(&unsound, by_path);
	for (size_t i = 0; i < unsound.n; i++)
		for (size_t j = 0; j < unsound.at[i]->problems->n; j++)
			each(&unsound.at[i]->problems->at[j], ctx);
	vec_free(&unsound);
}

/* One of the files of a transaction, parsed and checked. */
struct parsed { struct file *file; struct routers routers; bool fresh; };

static int check_change(struct files *f, const struct files_change *change, struct claims *among, struct parsed *parsed,
			struct problems *problems)
{
	if (!change->text)
		return 0;
	if (change->n > ROUTERS_MAX_BYTES) {
		problems_add(problems, change->path, 0, 0, "the file would be larger than 16 MiB");
		return -EINVAL;
	}
	if (routers_parse(change->path, change->text, change->n, f->agent->conf, problems, &parsed->routers) < 0)
		return -EINVAL;
	/* Against the files that stay as they are, and against those that are written along with this one. */
	if (!claims_check(&f->claims, &parsed->file->owner, &parsed->routers, problems))
		return -EINVAL;
	return claims_check(among, &(struct claim_owner){ .path = change->path }, &parsed->routers, problems) ? 0 : -EINVAL;
}

static int write_change(struct files *f, const struct files_change *change, struct parsed *parsed, struct problems *problems)
{
	int error = change->text ? text_save(change->path, change->text, change->n) :
		    unlink(change->path) < 0 && errno != ENOENT ? -errno : 0;

	if (error) {
		problems_add(problems, change->path, 0, 0, "cannot be written: %s", strerror(-error));
		return error;
	}
	if (!change->text) {
		vanish(f, parsed->file, true);
		return 0;
	}
	/* The directory's own event about this write then finds nothing new. */
	if (!identify(change->path, &parsed->file->identity))
		parsed->file->identity = (struct identity){ 0 };
	unqueue(f, parsed->file);
	publish(f, parsed->file, &parsed->routers, PRIORITY_PERSON);
	return 0;
}

int files_write_all(struct files *f, const struct files_change *changes, size_t n, bool dry_run, struct problems *problems)
{
	struct parsed *parsed = calloc(n + 1, sizeof *parsed);
	struct claim_owner *owners = calloc(n + 1, sizeof *owners);
	struct claims among = { 0 };
	int error = 0;

	if (!parsed || !owners)
		fatal("out of memory");
	for (size_t i = 0; i < n; i++) {
		parsed[i].fresh = !find(f, changes[i].path);
		parsed[i].file = find_or_add(f, changes[i].path);
		if (!parsed[i].file) {
			problems_add(problems, changes[i].path, 0, 0, "there are %d router files already", FILES_MAX);
			error = -EINVAL;
		} else {
			parsed[i].file->owner.replacing = true;
		}
	}
	for (size_t i = 0; i < n && !(error && !parsed[i].file); i++) {
		int one = check_change(f, &changes[i], &among, &parsed[i], problems);

		owners[i].path = changes[i].path;
		if (!one)
			claims_set(&among, &owners[i], &parsed[i].routers);
		error = error ? error : one;
	}
	for (size_t i = 0; i < n && !error && !dry_run; i++) {
		error = write_change(f, &changes[i], &parsed[i], problems);
		parsed[i].fresh &= error != 0;
		if (!changes[i].text && !error)
			parsed[i].file = NULL;
	}
	for (size_t i = 0; i < n; i++) {
		claims_set(&among, &owners[i], NULL);
		routers_free(&parsed[i].routers);
		if (!parsed[i].file)
			continue;
		parsed[i].file->owner.replacing = false;
		if (parsed[i].fresh)
			drop(f, parsed[i].file);
	}
	free(parsed);
	free(owners);
	if (!error && !dry_run && !f->queued)
		settle(f, PRIORITY_PERSON);
	return error;
}

static void set_replacing(struct files *f, const struct routers *routers, bool replacing)
{
	for (size_t i = 0; i < routers->n; i++) {
		struct claim_owner *owner = claims_router_owner(&f->claims, &routers->at[i]->id);

		if (owner)
			owner->replacing = replacing;
	}
}

int files_conflicts(struct files *f, const char *name, const struct routers *routers, struct problems *problems)
{
	struct claim_owner owner = { .path = name };
	bool fine;

	set_replacing(f, routers, true);
	fine = claims_check(&f->claims, &owner, routers, problems);
	set_replacing(f, routers, false);
	return fine ? 0 : -EINVAL;
}

static int names_in_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int wanted_name(const struct dirent *entry)
{
	return is_router_file(entry->d_name);
}

size_t files_check(const struct conf *conf, struct problems *problems)
{
	struct dirent **names;
	int n = scandir(conf->files, &names, wanted_name, names_in_order);
	struct claims claims = { 0 };
	struct claim_owner *owners;
	size_t found = 0;

	if (n < 0) {
		problems_add(problems, conf->files, 0, 0, "cannot read the directory: %s", strerror(errno));
		return 0;
	}
	owners = calloc((size_t)n + 1, sizeof *owners);
	if (!owners)
		fatal("out of memory");
	for (int i = 0; i < n; i++) {
		struct routers routers;

		owners[i].path = path_of(conf, names[i]->d_name);
		if (load(&claims, &owners[i], conf, problems, &routers) == 0) {
			claims_set(&claims, &owners[i], &routers);
			found += routers.n;
			routers_free(&routers);
		}
	}
	for (int i = 0; i < n; i++) {
		claims_set(&claims, &owners[i], NULL);
		free((char *)owners[i].path);
		free(names[i]);
	}
	free(owners);
	free(names);
	return found;
}
