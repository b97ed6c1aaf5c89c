/* The model service: one stream at a time over the Responses API, as the real one frames it. */
#include "crowd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENT(type, fields) "event: " type "\ndata: {\"type\":\"" type "\"," fields "}\n\n"
#define PLACE "\"item_id\":\"msg_68a1c0ffee5581a0b3c2d1e0f9a8b7c6\",\"output_index\":0,\"content_index\":0"

static const char BEGINNING[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    EVENT("response.created", "\"response\":{\"id\":\"resp_up\",\"object\":\"response\",\"status\":\"in_progress\","
                              "\"output\":[]},\"sequence_number\":0")
    EVENT("response.output_item.added",
          "\"output_index\":0,\"item\":{\"id\":\"msg_68a1c0ffee5581a0b3c2d1e0f9a8b7c6\",\"type\":\"message\","
          "\"role\":\"assistant\",\"status\":\"in_progress\",\"content\":[]},\"sequence_number\":1")
    EVENT("response.content_part.added",
          PLACE ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]},\"sequence_number\":2");
static const char ENDING[] =
    EVENT("response.completed", "\"response\":{\"id\":\"resp_up\",\"object\":\"response\",\"status\":\"completed\","
                                "\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"total_tokens\":2}},"
                                "\"sequence_number\":3");

enum { REQUEST_BYTES = 4 << 20, BUFFER_BYTES = 64 << 10, CHUNK_BYTES = 16 << 10 };

static int connection = -1, kind_model = KIND_MODEL, streaming, completing;
static char *request, buffer[BUFFER_BYTES], filling[4096];
static size_t request_bytes, buffered, answer_bytes;
static uint64_t due, sequence;

int model_streaming(void) { return streaming && !completing; }

static void hang_up(void) {
    close(connection);
    connection = -1;
    streaming = completing = 0;
    buffered = 0;
}

void model_accept(void) {
    int one = 1, fd = accept4(options.model_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (connection >= 0) die("the server opened a second stream while one runs");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!request && !(request = malloc(REQUEST_BYTES + 1))) die("no memory");
    memset(filling, 'x', sizeof filling);
    connection = fd;
    request_bytes = 0;
    watch(fd, EPOLLIN | EPOLLOUT | EPOLLET, &kind_model, EPOLL_CTL_ADD);
}

/* Whether head and body of the request are there. */
static int asked(void) {
    request[request_bytes] = 0;
    char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
    if (!end) return 0;
    return !length || length > end || request_bytes - (size_t)(end + 4 - request) >= strtoul(length + 15, NULL, 10);
}

static void put(const char *text, size_t bytes) {
    if (buffered + bytes > sizeof buffer) die("the model's buffer is full");
    memcpy(buffer + buffered, text, bytes);
    buffered += bytes;
}

void model_event(uint32_t events) {
    if (connection < 0) return;
    if (events & EPOLLIN) {
        for (;;) {
            if (request_bytes == REQUEST_BYTES) die("a request of more than %d bytes", REQUEST_BYTES);
            ssize_t got = recv(connection, request + request_bytes, REQUEST_BYTES - request_bytes, 0);
            if (got < 0 && errno == EAGAIN) break;
            if (got <= 0) { hang_up(); return; }
            request_bytes += got;
        }
        if (!streaming && asked()) {
            streaming = 1;
            answer_bytes = 0;
            sequence = 3;
            counts.answers++;
            put(BEGINNING, sizeof BEGINNING - 1);
            model_flush();
        }
    }
    if (events & EPOLLOUT) model_flush();
}

static int stamp_text(char *text, uint64_t stamp) {
    char digits[16];
    int count = 0, length = 0;
    do digits[count++] = STAMP_DIGITS[stamp % STAMP_BASE];
    while (stamp /= STAMP_BASE);
    text[length++] = '@';
    while (count) text[length++] = digits[--count];
    text[length++] = ' ';
    return length;
}

static void put_token(void) {
    char text[4200], event[4600];
    uint64_t stamp = now_us();
    int length = stamp_text(text, stamp);
    if (options.token_bytes > length) {
        memcpy(text + length, filling, options.token_bytes - length);
        length = options.token_bytes;
    }
    int bytes = snprintf(event, sizeof event,
                         EVENT("response.output_text.delta", PLACE ",\"delta\":\"%.*s\",\"logprobs\":[],\"sequence_number\":%lu"),
                         length, text, (unsigned long)sequence++);
    put(event, bytes);
    answer_bytes += length;
    counts.tokens_sent++;
    counts.stamps_sent += stamp;
    counts.window_tokens += measuring;
    counts.text_hash = hash_text(counts.text_hash, text, length);
}

/* Stamps are made when the socket takes them, so that latency is not the wait in our own buffer. */
void model_flush(void) {
    while (connection >= 0 && streaming) {
        while (due && !completing && buffered < CHUNK_BYTES && answer_bytes < options.answer_bytes) {
            put_token();
            due--;
        }
        if (answer_bytes >= options.answer_bytes && !completing) model_complete();
        if (!buffered) {
            if (completing) hang_up();
            return;
        }
        ssize_t sent = send(connection, buffer, buffered, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent <= 0) { hang_up(); return; }
        memmove(buffer, buffer + sent, buffered - sent);
        buffered -= sent;
    }
}

void model_more(uint64_t tokens) {
    due += tokens;
    model_flush();
}

void model_complete(void) {
    if (!streaming || completing) return;
    completing = 1;
    put(ENDING, sizeof ENDING - 1);
}
