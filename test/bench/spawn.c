/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How long a command takes, without the cost of the one who measures. Reads lines "ADDRESS PROGRAM ARGUMENT…" from
 * standard input, runs each, and prints the microseconds from before its start until it has exited and an ARP frame from
 * ADDRESS has been seen on DEV: what a person waits for. Ends with status 1 when a command fails or no frame comes.
 *
 *   spawn DEV < lines */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORDS = 16, MAX_LINE = 4096, FRAME_TIMEOUT_MS = 3000, BUFFER = 16 << 20 };

extern char **environ;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);		/* the clock of the frames' timestamps */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int open_capture(const char *dev)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP),
				       .sll_ifindex = (int)if_nametoindex(dev) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP)), on = 1, size = BUFFER;

	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		die(dev);
	return fd;
}

/* When the next frame in the queue arrived, if it is from `sender`; 0: it is not; -1: the queue is empty. */
static int64_t read_frame(int fd, uint32_t sender)
{
	union { char bytes[256]; struct cmsghdr align; } control;
	struct { struct ethhdr eth; struct ether_arp arp; } frame;
	struct iovec iov = { &frame, sizeof frame };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	struct timespec t;

	if (recvmsg(fd, &m, MSG_DONTWAIT) < (ssize_t)sizeof frame)
		return -1;
	if (memcmp(frame.arp.arp_spa, &sender, sizeof sender) != 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof t);
			return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
		}
	return 0;
}

/* When the first frame of `sender` came; frames before `since` are of an earlier command. */
static int64_t wait_frame(int fd, uint32_t sender, int64_t since)
{
	int64_t deadline = now_ns() + (int64_t)FRAME_TIMEOUT_MS * 1000000;

	while (now_ns() < deadline) {
		struct pollfd p = { fd, POLLIN, 0 };
		int64_t at = read_frame(fd, sender);

		if (at >= since)
			return at;
		if (at < 0)
			poll(&p, 1, 100);
	}
	return 0;
}

static int64_t run(char *const *words, int capture, uint32_t sender)
{
	int64_t start, end, frame;
	posix_spawn_file_actions_t quiet;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	start = now_ns();
	errno = posix_spawn(&pid, words[0], &quiet, NULL, words, environ);
	if (errno || waitpid(pid, &status, 0) < 0)
		die(words[0]);
	end = now_ns();
	posix_spawn_file_actions_destroy(&quiet);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "spawn: %s: status %d\n", words[0], status);
		exit(1);
	}
	frame = wait_frame(capture, sender, start);
	if (!frame) {
		fprintf(stderr, "spawn: no ARP frame\n");
		exit(1);
	}
	return (frame > end ? frame : end) - start;
}

int main(int argc, char **argv)
{
	char line[MAX_LINE], *words[MAX_WORDS + 1];
	int capture;

	if (argc != 2) {
		fprintf(stderr, "usage: spawn DEV < lines\n");
		return 2;
	}
	capture = open_capture(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin)) {
		size_t n = 0;
		struct in_addr sender;

		for (char *w = strtok(line, " \n"); w && n < MAX_WORDS; w = strtok(NULL, " \n"))
			words[n++] = w;
		words[n] = NULL;
		if (n < 2 || inet_pton(AF_INET, words[0], &sender) != 1) {
			fprintf(stderr, "spawn: a line must be ADDRESS PROGRAM ARGUMENT...\n");
			return 2;
		}
		printf("%lld\n", (long long)(run(words + 1, capture, sender.s_addr) / 1000));
	}
	return 0;
}
