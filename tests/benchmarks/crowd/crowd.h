/* crowd - the whole outside of a measurement in one process with one clock: the model service that the
 * server asks, and all of its viewers.
 *
 *     model.c     an OpenAI-compatible /v1/responses that streams tokens, each with the time it was sent
 *     viewers.c   WebSocket connections that join, read, count and check
 *     measure.c   latency histogram, CPU and memory of the server from /proc
 *     main.c      options, phases, report
 *
 * A token is "@STAMP " (microseconds, in base 32: as long as a word of English) and filling, without anything that
 * JSON escapes. A delivery is one token seen by one viewer. Each viewer checks that `seq` is covered without a hole
 * and adds up its tokens and their stamps, so a lost, repeated or swapped token shows at the end; viewer 0 also
 * compares the text byte by byte (a hash).
 */
#ifndef CROWD_H
#define CROWD_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>

#define STAMP_DIGITS "0123456789abcdefghijklmnopqrstuv"
enum { STAMP_BASE = 32 };

enum kind { KIND_LISTENER, KIND_MODEL, KIND_TIMER, KIND_VIEWER };

enum viewer_state { UNUSED, CONNECTING, HANDSHAKE, OPEN, STALLED, DEAD };

struct viewer {                 /* what epoll points at starts with its kind */
    uint8_t kind, state, stalls, joined;
    int fd;
    uint32_t rest_bytes;        /* of a frame that has not come whole */
    uint32_t tokens;
    uint64_t stamps;            /* their sum */
    uint64_t seq;               /* newest that is covered */
    char *rest;
};

struct options {
    int server_port, model_fd, viewers, stalled, window, token_bytes, hold_tokens, handshakes;
    int pid, server_core, own_core;
    double rate, warm_s, window_s, settle_s, finish_s;
    size_t answer_bytes;
    const char *path, *join, *ask, *label;
};

struct counts {
    uint64_t joined, failed, lost_connections, stalled_ended;
    uint64_t deliveries, frames, wire_bytes, reads;     /* in the window */
    uint64_t tokens_sent, stamps_sent, window_tokens, answers;
    uint64_t seen;                                      /* tokens, by viewers that never stall; since the start */
    uint64_t holes, resets;
    uint64_t text_hash, witness_hash;                   /* of what was sent, and of what viewer 0 got */
};

extern struct options options;
extern struct counts counts;
extern struct viewer *viewers;
extern int poller, measuring;
extern double stalled_ended_s;          /* when the last one was ended, since the window began */
extern uint64_t window_began_us;

/* main.c */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void watch(int fd, uint32_t events, void *what, int operation);
uint64_t hash_text(uint64_t hash, const char *text, size_t length);

/* measure.c */
struct usage { uint64_t user_ticks, system_ticks, run_ns, rss_kb, core[8], own[8]; };
uint64_t now_us(void);
void measure_usage(struct usage *usage);
double busy_percent(const uint64_t *before, const uint64_t *after);
void latency_add(uint64_t us);
double latency_ms(double share);
double latency_max_ms(void);

/* viewers.c */
void viewers_init(void);
void viewers_connect(void);
void viewer_event(struct viewer *viewer, uint32_t events);
void viewer_send(struct viewer *viewer, const char *text);
void viewers_stall(void);

/* model.c */
int model_streaming(void);              /* whether somebody asked and is being answered */
void model_accept(void);
void model_event(uint32_t events);
void model_more(uint64_t tokens);       /* so many more are due; sent together as far as the socket takes them */
void model_flush(void);
void model_complete(void);              /* say that the answer is complete */

#endif
