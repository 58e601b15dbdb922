/* SPDX-License-Identifier: GPL-3.0-or-later */

/* l3agentd: options, start order, signals. What happens is told elsewhere. */

#include "agent.h"
#include "announcer.h"
#include "conf.h"
#include "control.h"
#include "drift.h"
#include "files.h"
#include "log.h"
#include "ns.h"
#include "problems.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_CONF "/etc/l3agent/l3agent.yaml"

enum { EXIT_USAGE = 2, LOOP_LEVELS = 3 };

static const char usage[] =
	"usage: l3agentd [-c FILE] [-n [-v]]\n"
	"       l3agentd [-c FILE] --decommission [ROUTER...]\n"
	"\n"
	"Keeps the routers of the node in the kernel as the router files say.\n"
	"\n"
	"  -c, --config FILE   settings (default " DEFAULT_CONF ")\n"
	"  -n, --check         check the settings and every router file, print all faults, change nothing\n"
	"  -v, --verbose       with -n: print the settings in effect; else: log debug messages\n"
	"      --decommission  remove everything the daemon made, or only what belongs to these routers\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"SIGHUP reads the settings and files again; SIGTERM stops the daemon and leaves the data plane standing.\n";

struct options {
	const char *conf;
	bool check, verbose, decommission;
	char **routers;
	int n_routers;
};

static void print_problems(const struct problems *problems)
{
	struct text text = { 0 };

	problems_print(problems, &text);
	fputs(text_str(&text), stderr);
	text_free(&text);
}

static struct conf *load_conf(const char *path)
{
	struct problems *problems = calloc(1, sizeof *problems);
	struct conf *conf = NULL;

	if (!problems)
		fatal("out of memory");
	if (conf_load(path, problems, &conf) < 0)
		print_problems(problems);
	problems_clear(problems);
	free(problems);
	return conf;
}

static int check(const struct options *o)
{
	struct problems *problems = calloc(1, sizeof *problems);
	struct conf *conf = load_conf(o->conf);
	struct text text = { 0 };
	size_t n;
	bool sound;

	if (!conf || !problems)
		return EXIT_FAILURE;
	n = files_check(conf, problems);
	sound = !problems->n;
	print_problems(problems);
	problems_clear(problems);
	free(problems);
	if (o->verbose) {
		conf_print(conf, &text);
		fputs(text_str(&text), stdout);
		text_free(&text);
	}
	if (sound)
		printf("%s: %zu router%s, no faults\n", conf->files, n, n == 1 ? "" : "s");
	conf_free(conf);
	return sound ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int make_directory(const char *path)
{
	struct text partial = { 0 };
	int error = 0;

	for (const char *slash = path + 1; !error; slash++) {
		slash += strcspn(slash, "/");
		text_free(&partial);
		text_add(&partial, path, (size_t)(slash - path));
		if (mkdir(partial.at, 0755) < 0 && errno != EEXIST)
			error = -errno;
		if (!*slash)
			break;
	}
	text_free(&partial);
	return error;
}

/* One agent a node: two would undo each other's work. The lock goes with the process, however it ends. */
static int take_lock(const struct conf *conf)
{
	struct text path = { 0 };
	int fd, error = make_directory(conf->run_dir);

	if (error) {
		log_error(conf->run_dir, "cannot make the run directory: %s", strerror(-error));
		return -1;
	}
	text_printf(&path, "%s/l3agentd.lock", conf->run_dir);
	fd = open(path.at, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		log_error(path.at, "%s", strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		char pid[32] = "";
		ssize_t n = read(fd, pid, sizeof pid - 1);

		pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
		log_error(conf->run_dir, "another l3agentd (pid %s) is running with this run_dir", *pid ? pid : "unknown");
		close(fd);
		fd = -1;
	} else if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		log_warn(path.at, "the pid cannot be written: %s", strerror(errno));
	}
	text_free(&path);
	return fd;
}

/* sd_notify(3)'s protocol: one datagram to the socket that the service manager names. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n;
	int fd;

	if (!path || !*path || strlen(path) >= sizeof address.sun_path)
		return;
	strcpy(address.sun_path, path);
	n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), 0, (struct sockaddr *)&address, n) < 0)
		log_debug(NULL, "notifying the service manager: %s", strerror(errno));
	close(fd);
}

struct daemon { struct agent agent; struct options options; };

static void on_stop(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)what;
	log_info(NULL, "%s: stopping, the data plane stays as it is", strsignal((int)fd));
	notify("STOPPING=1");
	event_base_loopbreak(d->agent.loop);
}

static void on_reload(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct conf *conf = load_conf(d->options.conf);

	(void)fd, (void)what;
	if (!conf) {
		log_error(d->options.conf, "has faults, the settings in force stay");
		return;
	}
	if (strcmp(conf->run_dir, d->agent.conf->run_dir) != 0)
		log_warn(d->options.conf, "a change of run_dir needs a restart");
	log_setup(d->options.verbose ? LOG_LEVEL_DEBUG : conf->log.level, conf->log.format);
	log_info(d->options.conf, "read again");
	agent_reconfigure(&d->agent, conf);
	files_rescan(d->agent.files);
}

static struct event *on_signal(struct daemon *d, int signal, event_callback_fn callback)
{
	struct event *e = evsignal_new(d->agent.loop, signal, callback, d);

	if (!e)
		fatal("out of memory");
	event_priority_set(e, 0);
	event_add(e, NULL);
	return e;
}

/* The state directory is not needed by anything yet that would stop without it. */
static void check_state_dir(const struct conf *conf)
{
	int error = make_directory(conf->state_dir);

	if (!error && access(conf->state_dir, W_OK) < 0)
		error = -errno;
	if (error)
		log_warn(conf->state_dir, "the state directory cannot be written: %s", strerror(-error));
}

static int serve(struct daemon *d)
{
	struct agent *a = &d->agent;
	struct event *signals[3];
	int status = EXIT_FAILURE;

	a->control = control_new(a);
	if (!a->control) {
		log_error(a->conf->run_dir, "cannot listen on control.sock: %s", strerror(errno));
		return status;
	}
	a->announcer = announcer_new(a);
	a->drift = drift_new(a);
	a->files = files_new(a);
	signals[0] = on_signal(d, SIGTERM, on_stop);
	signals[1] = on_signal(d, SIGINT, on_stop);
	signals[2] = on_signal(d, SIGHUP, on_reload);
	log_info(NULL, "l3agentd " VERSION " on %s, router files in %s", a->conf->host, a->conf->files);
	notify("READY=1");
	if (event_base_dispatch(a->loop) < 0)
		log_error(NULL, "the event loop has failed");
	else
		status = EXIT_SUCCESS;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		event_free(signals[i]);
	control_free(a->control);
	files_free(a->files);
	drift_free(a->drift);
	announcer_free(a->announcer);
	return status;
}

/* Every pass takes and gives back the same few buffers; the allocator would return them to the kernel each time and get
 * them again page by page. */
static void keep_buffers(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

static int run(struct daemon *d, struct conf *conf)
{
	struct event_config *config = event_config_new();
	struct event_base *loop;
	int status;

	/* A client that has gone must not end the agent in the middle of an answer. */
	signal(SIGPIPE, SIG_IGN);
	/* One callback of the lower levels a turn: without this, libevent goes on with those that activate themselves again
	 * and looks at no socket until the whole sync is done. */
	if (!config || event_config_set_max_dispatch_interval(config, NULL, 1, 1) < 0 || !(loop = event_base_new_with_config(config)) || event_base_priority_init(loop, LOOP_LEVELS) < 0)
		fatal("libevent cannot start");
	event_config_free(config);
	keep_buffers();
	check_state_dir(conf);
	agent_init(&d->agent, loop, conf);
	status = serve(d);
	agent_done(&d->agent);
	event_base_free(loop);
	return status;
}

/* Every namespace named like ours, or those that belong to the named routers. */
struct decommission { const struct options *options; const struct conf *conf; size_t removed, failed, left; };

static bool is_named(const struct options *o, const char *namespace)
{
	for (int i = 0; i < o->n_routers; i++) {
		const char *name = o->routers[i];
		char of_name[NS_NAME_MAX];
		struct uuid id;
		struct text key = { 0 };

		/* An id, or a name from which the id is derived as in router files. */
		if (uuid_parse(name, &id) < 0) {
			text_printf(&key, "router:%s", name);
			id = uuid_v5(&uuid_space_l3agent, key.at);
			text_free(&key);
		}
		plan_namespace(&id, of_name);
		if (strcmp(namespace, of_name) == 0)
			return true;
	}
	return o->n_routers == 0;
}

static bool has_our_table(const struct conf *conf, const char *namespace)
{
	struct nat_conf nat_conf;
	struct nat_have have = { 0 };
	bool ours;

	plan_nat_conf(conf, &nat_conf);
	if (ns_enter(namespace, NULL) < 0)
		return false;
	ours = nat_observe(&nat_conf, &have) == 0 && have.table;
	ns_leave();
	nat_have_free(&have);
	return ours;
}

static void decommission_one(const char *namespace, void *ctx)
{
	struct decommission *d = ctx;
	struct plan plan;
	struct pass pass;

	if (!is_named(d->options, namespace))
		return;
	if (!has_our_table(d->conf, namespace)) {
		printf("left: %s (there is no table inet " NAT_TABLE " in it, so somebody else made it)\n", namespace);
		d->left++;
		return;
	}
	plan_build(namespace, NULL, d->conf, &plan);
	reconcile(&plan, d->conf, false, false, &pass);
	if (pass.error)
		printf("failed: %s: %s\n", namespace, pass.error_text);
	else
		printf("removed: %s\n", namespace);
	d->failed += pass.error != 0;
	d->removed += pass.error == 0;
	pass_free(&pass);
	plan_free(&plan);
}

static int decommission(const struct options *o, struct conf *conf)
{
	struct decommission d = { .options = o, .conf = conf };
	int error = ns_list("qrouter-", decommission_one, &d);

	if (error)
		log_error(NS_DIR, "%s", strerror(-error));
	printf("%zu removed, %zu failed, %zu left\n", d.removed, d.failed, d.left);
	conf_free(conf);
	return error || d.failed || d.removed + d.left < (size_t)o->n_routers ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool parse_options(int argc, char **argv, struct options *ret)
{
	enum { DECOMMISSION = 256 };
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' }, { "decommission", no_argument, NULL, DECOMMISSION },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option;

	*ret = (struct options){ .conf = DEFAULT_CONF };
	while ((option = getopt_long(argc, argv, "c:nvVh", long_options, NULL)) >= 0)
		switch (option) {
		case 'c': ret->conf = optarg; break;
		case 'n': ret->check = true; break;
		case 'v': ret->verbose = true; break;
		case DECOMMISSION: ret->decommission = true; break;
		case 'V': puts("l3agentd " VERSION); exit(EXIT_SUCCESS);
		case 'h': fputs(usage, stdout); exit(EXIT_SUCCESS);
		default: return false;
		}
	ret->routers = argv + optind;
	ret->n_routers = argc - optind;
	return ret->decommission ? !ret->check : ret->n_routers == 0;
}

int main(int argc, char **argv)
{
	struct daemon d = { 0 };
	struct conf *conf;
	int error, lock, status;

	if (!parse_options(argc, argv, &d.options)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (d.options.check)
		return check(&d.options);
	conf = load_conf(d.options.conf);
	if (!conf)
		return EXIT_FAILURE;
	log_setup(d.options.verbose ? LOG_LEVEL_DEBUG : conf->log.level, conf->log.format);
	error = ns_init();
	if (error)
		fatal("cannot find out the own network namespace: %s", strerror(-error));
	lock = take_lock(conf);
	if (lock < 0) {
		conf_free(conf);
		return EXIT_FAILURE;
	}
	status = d.options.decommission ? decommission(&d.options, conf) : run(&d, conf);
	close(lock);
	return status;
}
