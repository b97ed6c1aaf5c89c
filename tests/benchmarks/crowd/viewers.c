/* WebSocket connections (RFC 6455 by hand): connect, join, read, count, check. */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define DELTA "\"type\":\"response.output_text.delta\""
enum { READ_BYTES = 256 << 10, TYPE_WITHIN = 160 };

static struct sockaddr_in server;
static char *incoming, head[1024];
static size_t head_bytes, capacity = READ_BYTES;
static int started;

void viewers_init(void) {
    server.sin_family = AF_INET;
    server.sin_port = htons(options.server_port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    incoming = malloc(capacity);
    viewers = calloc(options.viewers, sizeof *viewers);
    if (!incoming || !viewers) die("no memory");
    head_bytes = snprintf(head, sizeof head,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Protocol: roomcast.v1\r\n\r\n", options.path, options.server_port);
    for (int i = 0; i < options.viewers; i++) {
        viewers[i].kind = KIND_VIEWER;
        viewers[i].stalls = i >= options.viewers - options.stalled;
    }
}

static void gone(struct viewer *viewer) {
    if (viewer->state == STALLED) {
        counts.stalled_ended++;
        stalled_ended_s = (now_us() - window_began_us) / 1e6;
    } else if (viewer->joined) counts.lost_connections++;
    else counts.failed++;
    close(viewer->fd);
    free(viewer->rest);
    viewer->rest = NULL;
    viewer->rest_bytes = 0;
    viewer->state = DEAD;
}

/* Start as many connections as may be in flight; called until all are joined. */
void viewers_connect(void) {
    while (started < options.viewers && started - (int)(counts.joined + counts.failed) < options.handshakes) {
        struct viewer *viewer = &viewers[started++];
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct linger reset = {1, 0};   /* leave no TIME_WAIT behind */
        if (fd < 0) die("socket: %s (is ulimit -n large enough?)", strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        viewer->fd = fd;
        viewer->state = CONNECTING;
        if (connect(fd, (void *)&server, sizeof server) < 0 && errno != EINPROGRESS) { gone(viewer); continue; }
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLET, viewer, EPOLL_CTL_ADD);
    }
}

static void send_frame(struct viewer *viewer, int opcode, const char *payload, size_t length) {
    char frame[4096];
    size_t at = 2;
    if (length > sizeof frame - 8) die("a command of %zu bytes", length);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) { frame[2] = (char)(length >> 8); frame[3] = (char)length; at = 4; }
    memset(frame + at, 0, 4);           /* a mask of zeros */
    memcpy(frame + at + 4, payload, length);
    if (send(viewer->fd, frame, at + 4 + length, MSG_NOSIGNAL) != (ssize_t)(at + 4 + length)) gone(viewer);
}

void viewer_send(struct viewer *viewer, const char *text) {
    if (viewer->state == OPEN) send_frame(viewer, 1, text, strlen(text));
}

void viewers_stall(void) {
    for (int i = 0; i < options.viewers; i++)
        if (viewers[i].stalls && viewers[i].state == OPEN) {
            viewers[i].state = STALLED;
            watch(viewers[i].fd, 0, &viewers[i], EPOLL_CTL_MOD);
        }
}

/* ---- what they hear ---- */

static uint64_t number_behind(const char *text, size_t length, const char *name) {
    const char *at = memmem(text, length, name, strlen(name)), *end = text + length;
    uint64_t value = 0;
    if (!at) return 0;
    for (at += strlen(name); at < end && *at >= '0' && *at <= '9'; at++) value = value * 10 + (*at - '0');
    return value;
}

static void joined(struct viewer *viewer) {
    if (!viewer->joined) { viewer->joined = 1; counts.joined++; }
}

static void hear_tokens(struct viewer *viewer, const char *text, size_t length, uint64_t now) {
    const char *end = text + length, *at = text;
    while ((at = memchr(at, '@', end - at))) {
        uint64_t stamp = 0;
        for (at++; at < end && *at != ' '; at++) stamp = stamp * STAMP_BASE + (*at <= '9' ? *at - '0' : *at - 'a' + 10);
        viewer->tokens++;
        viewer->stamps += stamp;
        counts.seen += !viewer->stalls;
        if (measuring) {
            counts.deliveries++;
            latency_add(now > stamp ? now - stamp : 0);
        }
    }
    if (viewer == viewers) {
        const char *delta = memmem(text, length, "\"delta\":\"", 9), *quote;
        if (delta && (quote = memchr(delta + 9, '"', end - delta - 9)))
            counts.witness_hash = hash_text(counts.witness_hash, delta + 9, quote - delta - 9);
    }
}

static void hear_event(struct viewer *viewer, const char *text, size_t length, uint64_t now) {
    size_t front = length < TYPE_WITHIN ? length : TYPE_WITHIN;
    uint64_t seq = number_behind(text, front, "\"seq\":");
    if (seq != viewer->seq + 1 && number_behind(text, length, "\"seq_from\":") != viewer->seq + 1) counts.holes++;
    viewer->seq = seq;
    if (memmem(text, front, DELTA, sizeof DELTA - 1)) hear_tokens(viewer, text, length, now);
}

static void hear(struct viewer *viewer, const char *text, size_t length, uint64_t now) {
    if (length > 8 && !memcmp(text, "{\"room\":", 8)) hear_event(viewer, text, length, now);
    else if (!viewer->joined && memmem(text, length, "\"type\":\"reply\"", 14)) {
        if (!memmem(text, length < 120 ? length : 120, "\"ok\":true", 9)) die("refused: %.*s", (int)(length < 400 ? length : 400), text);
        viewer->seq = number_behind(text, length, "\"seq\":");
        joined(viewer);
    } else if (memmem(text, length < 64 ? length : 64, "\"type\":\"room.reset\"", 19)) {
        viewer->seq = number_behind(text, length, "\"seq\":");
        counts.resets++;
    } else if (memmem(text, length < 120 ? length : 120, "\"ok\":false", 10))
        die("refused: %.*s", (int)(length < 400 ? length : 400), text);
}

/* Take the whole frames in `bytes`; returns how many bytes they were. */
static size_t take_frames(struct viewer *viewer, const char *bytes, size_t length, uint64_t now) {
    size_t at = 0;
    while (length - at >= 2) {
        const uint8_t *frame = (const uint8_t *)bytes + at;
        size_t left = length - at, header = 2;
        uint64_t payload = frame[1] & 0x7f;
        if (payload == 126) {
            if (left < 4) break;
            payload = frame[2] << 8 | frame[3];
            header = 4;
        } else if (payload == 127) {
            if (left < 10) break;
            payload = 0;
            for (int i = 2; i < 10; i++) payload = payload << 8 | frame[i];
            header = 10;
        }
        if (left < header + payload) break;
        int opcode = frame[0] & 0x0f;
        const char *text = bytes + at + header;
        if (opcode == 1) {
            if (measuring) counts.frames++;
            hear(viewer, text, payload, now);
        } else if (opcode == 9) send_frame(viewer, 10, text, payload);
        else if (opcode == 8) gone(viewer);
        if (viewer->state == DEAD) return length;
        at += header + payload;
    }
    return at;
}

static size_t upgraded(struct viewer *viewer, size_t length) {
    char *end = memmem(incoming, length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(incoming, "HTTP/1.1 101", 12) || !memmem(incoming, end - incoming, ACCEPT, sizeof ACCEPT - 1))
        die("the upgrade was refused: %.*s", (int)(end - incoming), incoming);
    viewer->state = OPEN;
    if (options.join) send_frame(viewer, 1, options.join, strlen(options.join));
    else joined(viewer);
    return end + 4 - incoming;
}

static void read_viewer(struct viewer *viewer) {
    for (;;) {
        size_t had = viewer->rest_bytes, at = 0;
        if (had + READ_BYTES > capacity) {      /* a frame is larger than one read */
            capacity = 2 * (had + READ_BYTES);
            if (!(incoming = realloc(incoming, capacity))) die("no memory");
        }
        if (had) memcpy(incoming, viewer->rest, had);
        ssize_t got = recv(viewer->fd, incoming + had, READ_BYTES, 0);
        if (got <= 0) {
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
            gone(viewer);
            return;
        }
        uint64_t now = now_us();
        size_t have = had + got;
        if (measuring) { counts.reads++; counts.wire_bytes += got; }
        if (viewer->state == HANDSHAKE) at = upgraded(viewer, have);
        if (viewer->state == OPEN) at += take_frames(viewer, incoming + at, have - at, now);
        if (viewer->state == DEAD) return;
        size_t left = have - at;
        if (left && !(viewer->rest = realloc(viewer->rest, left))) die("no memory");
        if (left) memcpy(viewer->rest, incoming + at, left);
        else { free(viewer->rest); viewer->rest = NULL; }
        viewer->rest_bytes = left;
        if (got < READ_BYTES) return;   /* that was all; what comes next is a new event */
    }
}

void viewer_event(struct viewer *viewer, uint32_t events) {
    if (viewer->state == DEAD || viewer->state == UNUSED) return;
    if (viewer->state == CONNECTING) {
        if (!(events & EPOLLOUT) || send(viewer->fd, head, head_bytes, MSG_NOSIGNAL) != (ssize_t)head_bytes) {
            if (events & (EPOLLERR | EPOLLHUP | EPOLLOUT)) gone(viewer);
            return;
        }
        viewer->state = HANDSHAKE;
        watch(viewer->fd, EPOLLIN | EPOLLET, viewer, EPOLL_CTL_MOD);
    } else if (viewer->state == STALLED) {
        if (events & (EPOLLERR | EPOLLHUP)) gone(viewer);
    } else read_viewer(viewer);
}
