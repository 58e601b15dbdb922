/* SPDX-License-Identifier: GPL-3.0-or-later */

/* New connections per second through a router: TCP handshakes, each ended by a reset as soon as it stands, so that neither
 * end runs out of ports.
 *
 *   flows serve                        accepts on the ports below until it is killed
 *   flows connect SECONDS ADDRESS      prints how many per second it had */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_PORT = 7000, PORTS = 16, PARALLEL = 64, EVENTS = 256, MAX_SECONDS = 60 };

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "flows: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(int loop, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void reset(int fd)
{
	struct linger now_and_hard = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_and_hard, sizeof now_and_hard);
	close(fd);
}

static int serve(void)
{
	struct epoll_event events[EVENTS];
	int loop = epoll_create1(0), on = 1, fd;

	for (uint16_t port = FIRST_PORT; port < FIRST_PORT + PORTS; port++) {
		struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };

		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 4096) < 0)
			die("listen");
		add(loop, fd, EPOLLIN);
	}
	puts("ready");
	fflush(stdout);
	while (1) {
		int n = epoll_wait(loop, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			while ((fd = accept4(events[i].data.fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
				reset(fd);
	}
}

/* One more connection, to the next of the ports. */
static void start(int loop, struct in_addr address, uint64_t n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(FIRST_PORT + n % PORTS)),
				  .sin_addr = address };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
		die("connect");
	add(loop, fd, EPOLLOUT);
}

static int generate(double seconds, struct in_addr address)
{
	struct epoll_event events[EVENTS];
	int loop = epoll_create1(0);
	double begin = now(), end = begin + seconds;
	uint64_t started = 0, done = 0, failed = 0;

	for (; started < PARALLEL; started++)
		start(loop, address, started);
	while (now() < end) {
		int n = epoll_wait(loop, events, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			int error = 0;
			socklen_t size = sizeof error;

			getsockopt(events[i].data.fd, SOL_SOCKET, SO_ERROR, &error, &size);
			/* The server's reset may come before we have looked: the handshake was complete all the same. */
			if (error && error != ECONNRESET)
				failed++;
			else
				done++;
			reset(events[i].data.fd);
			start(loop, address, started++);
		}
	}
	printf("{\"per_second\": %.1f, \"failed\": %llu}\n", (double)done / (now() - begin), (unsigned long long)failed);
	return done ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct in_addr address;

	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return serve();
	if (argc == 4 && strcmp(argv[1], "connect") == 0 && inet_pton(AF_INET, argv[3], &address) == 1) {
		double seconds = atof(argv[2]);

		if (seconds > 0 && seconds <= MAX_SECONDS)
			return generate(seconds, address);
	}
	fprintf(stderr, "usage: flows serve | flows connect SECONDS ADDRESS\n");
	return 2;
}
