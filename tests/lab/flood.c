/* Sends SIP requests of many senders as fast as a machine can: raw IPv4 packets, hundreds to a system call.
 *
 *     flood TARGET PORT FIRST SENDERS COUNT MILLISECONDS METHOD
 *
 * Senders are SENDERS addresses from FIRST on, in turn; each packet has a branch and a Call-ID of its own. Ends after
 * COUNT packets or so many milliseconds, whichever comes first, and prints packets and nanoseconds. Both bounds are
 * capped here: this is for network namespaces made by tests, and for nothing else.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 256, SIZE = 640, MOST = 20000000, LONGEST_MS = 60000 };

static const char TEXT[] =
	"%s sip:2000@pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.200:5062;branch=z9hG4bK%010lu;rport\r\n"
	"Max-Forwards: 70\r\nFrom: <sip:1001@pbx.example.net>;tag=f\r\nTo: <sip:2000@pbx.example.net>\r\n"
	"Call-ID: %010lu\r\nCSeq: 1 %s\r\nContact: <sip:1001@192.0.2.200:5062>\r\nUser-Agent: flood\r\n"
	"Content-Length: 0\r\n\r\n";

static char packets[BATCH][SIZE];

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Write one packet; the kernel fills in the header's checksum (raw(7)), and none in UDP means none (RFC 768). */
static size_t fill(char *packet, const struct sockaddr_in *target, uint32_t sender, const char *method, uint64_t number)
{
	struct iphdr *ip = (struct iphdr *)packet;
	struct udphdr *udp = (struct udphdr *)(packet + sizeof *ip);
	char *text = packet + sizeof *ip + sizeof *udp;
	size_t room = SIZE - sizeof *ip - sizeof *udp;
	size_t size = (size_t)snprintf(text, room, TEXT, method, (unsigned long)number, (unsigned long)number, method);
	size_t whole = sizeof *ip + sizeof *udp + size;
	memset(packet, 0, sizeof *ip + sizeof *udp);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons((uint16_t)whole);
	ip->saddr = htonl(sender);
	ip->daddr = target->sin_addr.s_addr;
	udp->source = htons(5062);
	udp->dest = target->sin_port;
	udp->len = htons((uint16_t)(sizeof *udp + size));
	return whole;
}

int main(int argc, char **argv)
{
	struct sockaddr_in target = {.sin_family = AF_INET};
	struct in_addr first;
	struct mmsghdr messages[BATCH] = {0};
	struct iovec vectors[BATCH];
	if (argc != 8 || !inet_aton(argv[1], &target.sin_addr) || !inet_aton(argv[3], &first)) {
		fprintf(stderr, "usage: flood TARGET PORT FIRST SENDERS COUNT MILLISECONDS METHOD\n");
		return 2;
	}
	target.sin_port = htons((uint16_t)atoi(argv[2]));
	uint32_t senders = (uint32_t)atoi(argv[4]);
	uint64_t count = strtoull(argv[5], NULL, 10), span = strtoull(argv[6], NULL, 10);
	if (!senders || count > MOST || span > LONGEST_MS || strlen(argv[7]) > 16) {
		fprintf(stderr, "flood: too much\n");
		return 2;
	}
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0) {
		perror("flood: socket");
		return 1;
	}
	uint64_t sent = 0, began = now(), end = began + span * 1000000u;
	while (sent < count && now() < end) {
		unsigned batch = count - sent < BATCH ? (unsigned)(count - sent) : BATCH;
		for (unsigned i = 0; i < batch; i++) {
			uint32_t sender = ntohl(first.s_addr) + (uint32_t)((sent + i) % senders);
			vectors[i].iov_base = packets[i];
			vectors[i].iov_len = fill(packets[i], &target, sender, argv[7], sent + i);
			messages[i].msg_hdr.msg_name = &target;
			messages[i].msg_hdr.msg_namelen = sizeof target;
			messages[i].msg_hdr.msg_iov = &vectors[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		int done = sendmmsg(fd, messages, batch, 0);
		if (done < 0 && errno != ENOBUFS && errno != EINTR) {
			perror("flood: sendmmsg");
			return 1;
		}
		sent += done > 0 ? (uint64_t)done : 0;
	}
	printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)(now() - began));
	return 0;
}
