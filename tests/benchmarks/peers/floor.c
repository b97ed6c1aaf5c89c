/* The least that any server must do: read the model's stream, put each token into an envelope like ours, and
 * send() to every viewer, once for all tokens that came in one read. No log, no rooms, nobody checked, and a slow
 * viewer would hold up all others. usage: floor PORT MODEL_PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"       /* of the one key that crowd sends */
#define ENVELOPE "{\"room\":\"bench\",\"seq\":%lu,\"at\":1795334400123,\"type\":\"response.output_text.delta\"," \
    "\"item_id\":\"msg_01m81a6zpne413z9hx7q5e2wbe\",\"output_index\":0,\"content_index\":0,\"delta\":\"%.*s\"," \
    "\"response_id\":\"resp_01m81a6zpne413z9hx7q5e2wbe\",\"sequence_number\":%lu}"
enum { FILES = 1 << 16, READ_BYTES = 64 << 10, OUT_BYTES = 1 << 20 };

static int viewers[FILES], count;
static char text[READ_BYTES * 2 + 1], out[OUT_BYTES];
static size_t held, filled;
static uint64_t seq;

static void send_all(void) {
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < filled;) {
            ssize_t sent = send(viewers[i], out + at, filled - at, MSG_NOSIGNAL);
            if (sent <= 0) break;
            at += sent;
        }
    filled = 0;
}

static void add_token(const char *delta, int length) {
    char payload[8192];
    seq++;
    int bytes = snprintf(payload, sizeof payload, ENVELOPE, (unsigned long)seq, length, delta, (unsigned long)seq);
    if (filled + bytes + 4 > sizeof out) send_all();
    out[filled++] = (char)0x81;
    out[filled++] = 126;
    out[filled++] = (char)(bytes >> 8);
    out[filled++] = (char)bytes;
    memcpy(out + filled, payload, bytes);
    filled += bytes;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const char *request = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    if (connect(fd, (void *)&address, sizeof address) < 0) { perror("model"); exit(1); }
    if (send(fd, request, strlen(request), 0) < 0) { perror("model"); exit(1); }
    return fd;
}

static int read_model(int fd) {
    ssize_t got = recv(fd, text + held, READ_BYTES, 0);
    if (got <= 0) return 0;
    held += got;
    char *at = text, *end;
    while ((end = memmem(at, text + held - at, "\n\n", 2))) {
        char *delta = memmem(at, end - at, "\"delta\":\"", 9), *quote;
        if (delta && (quote = memchr(delta + 9, '"', end - delta - 9))) add_token(delta + 9, quote - delta - 9);
        at = end + 2;
    }
    held -= at - text;
    memmove(text, at, held);
    send_all();
    return 1;
}

int main(int arguments, char **values) {
    struct rlimit files;
    struct epoll_event event = {.events = EPOLLIN}, events[512];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (arguments != 3) return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listening = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0), one = 1, model;
    address.sin_port = htons(atoi(values[1]));
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (void *)&address, sizeof address) || listen(listening, 4096)) { perror("listen"); return 1; }
    event.data.fd = listening;
    epoll_ctl(poller, EPOLL_CTL_ADD, listening, &event);
    event.data.fd = model = connect_to(atoi(values[2]));
    epoll_ctl(poller, EPOLL_CTL_ADD, model, &event);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                fd = accept(listening, NULL, NULL);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = fd;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            } else if (fd == model) {
                if (!read_model(fd)) { epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL); close(fd); model = -1; }
            } else {
                char request[4096];
                ssize_t got = recv(fd, request, sizeof request, 0);
                if (got > 4 && !memcmp(request, "GET ", 4)) {   /* crowd sends a head whole */
                    if (send(fd, ANSWER, sizeof ANSWER - 1, 0) > 0) viewers[count++] = fd;
                } else if (got <= 0) epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
            }
        }
    }
}
