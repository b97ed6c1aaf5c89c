/* Options, phases, report: connect and join, settle, ask, warm up, measure, let everybody finish, print. */
#include "crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS = 1024, JOIN_TIMEOUT_US = 90000000, FLOOD = 1 << 20 };

struct options options = {
    .server_port = 0, .model_fd = -1, .viewers = 100, .handshakes = 128, .warm_s = 0.5, .window_s = 2, .settle_s = 0.5,
    .finish_s = 10, .answer_bytes = 900 << 10, .own_core = 1, .path = "/v1/ws", .label = "",
};
struct counts counts = {.text_hash = 1469598103934665603u, .witness_hash = 1469598103934665603u};
struct viewer *viewers;
int poller, measuring;
double stalled_ended_s;
uint64_t window_began_us;

static uint8_t kind_listener = KIND_LISTENER, kind_timer = KIND_TIMER;
static int timer = -1, asks;
static uint64_t requested, reading;

void die(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("crowd: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    exit(3);
}

void watch(int fd, uint32_t events, void *what, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(poller, operation, fd, &event) < 0 && fd >= 0) die("epoll_ctl: %s", strerror(errno));
}

uint64_t hash_text(uint64_t hash, const char *text, size_t length) {    /* FNV-1a */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)text[i]) * 1099511628211u;
    return hash;
}

static void timer_fired(void) {
    uint64_t times = 0;
    if (read(timer, &times, sizeof times) == sizeof times && model_streaming()) {
        if (options.hold_tokens && requested + times > (uint64_t)options.hold_tokens) times = options.hold_tokens - requested;
        requested += times;
        model_more(times);
    }
}

/* One turn of the loop. */
static void turn(int timeout_ms) {
    static struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, timeout_ms);
    for (int i = 0; i < ready; i++) {
        uint8_t *what = events[i].data.ptr;
        switch (*what) {
            case KIND_LISTENER: model_accept(); break;
            case KIND_MODEL: model_event(events[i].events); break;
            case KIND_TIMER: timer_fired(); break;
            case KIND_VIEWER: viewer_event((struct viewer *)what, events[i].events); break;
        }
    }
}

static void turn_until(uint64_t us) {
    while (now_us() < us) turn(2);
}

/* Ask again when the model has said all it may in one answer. */
static void keep_asking(void) {
    char command[512];
    if (!options.ask || model_streaming() || (uint64_t)asks > counts.answers) return;
    snprintf(command, sizeof command, options.ask, (int)getpid(), ++asks);
    viewer_send(viewers, command);
}

static void emit(void) {
    if (options.window) {       /* closed loop: the next goes out when one has reached everybody */
        uint64_t wanted = counts.seen / (reading ? reading : 1) + options.window;
        if (model_streaming() && requested < wanted) {
            uint64_t more = wanted - requested;
            requested = wanted;
            model_more(more);
        }
    } else if (!options.rate && model_streaming() && requested < counts.tokens_sent + FLOOD) {
        requested += FLOOD;
        model_more(FLOOD);
    }
}

static void stream_until(uint64_t us) {
    while (now_us() < us) {
        keep_asking();
        emit();
        turn(2);
    }
}

static void start_timer(void) {
    uint64_t period = (uint64_t)(1e9 / options.rate);
    struct timespec every = {period / 1000000000, period % 1000000000};
    struct itimerspec spec = {every, every};
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(timer, 0, &spec, NULL);
    watch(timer, EPOLLIN, &kind_timer, EPOLL_CTL_ADD);
}

/* Let everybody hear everything. */
static void finish(void) {
    model_complete();
    model_flush();
    uint64_t until = now_us() + (uint64_t)(options.finish_s * 1e6);
    while (now_us() < until && counts.seen < counts.tokens_sent * reading) turn(2);
}

static void hold(void) {
    while (counts.seen < options.hold_tokens * reading) {
        keep_asking();
        turn(2);
    }
    printf("{\"held\":%lu,\"seq\":%lu}\n", (unsigned long)counts.tokens_sent, (unsigned long)viewers[0].seq);
    fflush(stdout);
    fcntl(0, F_SETFL, O_NONBLOCK);
    char byte;
    ssize_t got;
    while ((got = read(0, &byte, 1)) != 0 && (got > 0 || errno == EAGAIN)) turn(2);
}

static void report(struct usage *start, struct usage *idle, struct usage *begin, struct usage *end, double joined_s,
                   double seconds) {
    uint64_t incomplete = 0;
    for (int i = 0; i < options.viewers; i++)
        if (viewers[i].state == OPEN && !viewers[i].stalls)
            incomplete += viewers[i].tokens != counts.tokens_sent || viewers[i].stamps != counts.stamps_sent;
    double ticks = sysconf(_SC_CLK_TCK), deliveries = counts.deliveries ? counts.deliveries : 1;
    printf("{\"label\":\"%s\",\"viewers\":%d,\"joined\":%lu,\"failed\":%lu,\"lost_connections\":%lu,\"joined_s\":%.3f,"
           "\"seconds\":%.3f,\"tokens\":%lu,\"tokens_per_s\":%.1f,\"answers\":%lu,\"deliveries\":%lu,\"deliveries_per_s\":%.0f,"
           "\"frames\":%lu,\"wire_bytes\":%lu,\"tokens_per_frame\":%.3f,\"tokens_per_read\":%.3f,"
           "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,"
           "\"cpu_us_per_delivery\":%.4f,\"user_us_per_delivery\":%.4f,\"cpu_us_per_token\":%.2f,\"server_cpu_percent\":%.1f,"
           "\"server_core_percent\":%.1f,\"own_core_percent\":%.1f,"
           "\"rss_start_kb\":%lu,\"rss_idle_kb\":%lu,\"rss_begin_kb\":%lu,\"rss_end_kb\":%lu,"
           "\"stalled\":%d,\"stalled_ended\":%lu,\"stalled_ended_s\":%.1f,"
           "\"holes\":%lu,\"resets\":%lu,\"incomplete_viewers\":%lu,\"witness_text_equal\":%s}\n",
           options.label, options.viewers, counts.joined, counts.failed, counts.lost_connections, joined_s, seconds,
           counts.window_tokens, counts.window_tokens / seconds, counts.answers, counts.deliveries,
           counts.deliveries / seconds, counts.frames, counts.wire_bytes,
           counts.frames ? counts.deliveries / (double)counts.frames : 0,
           counts.reads ? counts.deliveries / (double)counts.reads : 0, latency_ms(.5), latency_ms(.9), latency_ms(.99),
           latency_ms(.999), latency_max_ms(), (end->run_ns - begin->run_ns) / 1e3 / deliveries,
           (end->user_ticks - begin->user_ticks) / ticks * 1e6 / deliveries,
           (end->run_ns - begin->run_ns) / 1e3 / (counts.window_tokens ? counts.window_tokens : 1),
           (end->run_ns - begin->run_ns) / 1e7 / seconds, busy_percent(begin->core, end->core),
           busy_percent(begin->own, end->own), start->rss_kb, idle->rss_kb, begin->rss_kb, end->rss_kb, options.stalled,
           counts.stalled_ended, stalled_ended_s, counts.holes, counts.resets, incomplete,
           options.viewers && counts.text_hash == counts.witness_hash ? "true" : "false");
}

static void parse(int count, char **values) {
    int option;
    while ((option = getopt(count, values, "p:m:n:s:r:W:t:b:N:w:d:x:f:q:u:j:a:k:c:g:L:")) != -1) switch (option) {
        case 'p': options.server_port = atoi(optarg); break;    /* port of the server */
        case 'm': options.model_fd = atoi(optarg); break;       /* listening socket of the model */
        case 'n': options.viewers = atoi(optarg); break;
        case 's': options.stalled = atoi(optarg); break;        /* so many stop reading when the window begins */
        case 'r': options.rate = atof(optarg); break;           /* tokens per second, or … */
        case 'W': options.window = atoi(optarg); break;         /* … so many outstanding; neither: as fast as it goes */
        case 't': options.token_bytes = atoi(optarg); break;    /* at least so long */
        case 'b': options.answer_bytes = atol(optarg); break;   /* of one answer; then the next is asked for */
        case 'N': options.hold_tokens = atoi(optarg); break;    /* send so many, say so, and wait for the end of stdin */
        case 'w': options.warm_s = atof(optarg); break;
        case 'd': options.window_s = atof(optarg); break;
        case 'x': options.settle_s = atof(optarg); break;
        case 'f': options.finish_s = atof(optarg); break;       /* wait so long for what is still missing */
        case 'q': options.handshakes = atoi(optarg); break;     /* in flight at once */
        case 'u': options.path = optarg; break;
        case 'j': options.join = optarg; break;                 /* first command of each viewer */
        case 'a': options.ask = optarg; break;                  /* command that asks the model, with two %d for its id */
        case 'k': options.pid = atoi(optarg); break;            /* of the server */
        case 'c': options.server_core = atoi(optarg); break;
        case 'g': options.own_core = atoi(optarg); break;
        case 'L': options.label = optarg; break;
        default: die("see main.c for the options");
    }
    if (options.token_bytes > 4000) die("tokens have at most 4000 bytes");
}

int main(int count, char **values) {
    struct usage start, idle, begin, end;
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    parse(count, values);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    viewers_init();
    measure_usage(&start);

    uint64_t began = now_us();
    while (counts.joined + counts.failed < (uint64_t)options.viewers && now_us() - began < JOIN_TIMEOUT_US) {
        viewers_connect();
        turn(20);
    }
    double joined_s = (now_us() - began) / 1e6;
    if (counts.joined < (uint64_t)options.viewers) die("%lu of %d viewers joined", (unsigned long)counts.joined, options.viewers);
    turn_until(now_us() + (uint64_t)(options.settle_s * 1e6));
    measure_usage(&idle);
    reading = counts.joined - options.stalled;

    double seconds = 1e-9;
    begin = end = idle;
    if (options.window_s > 0 || options.hold_tokens) {
        watch(options.model_fd, EPOLLIN, &kind_listener, EPOLL_CTL_ADD);
        if (options.rate > 0) start_timer();
        if (options.hold_tokens) hold();
        else {
            stream_until(now_us() + (uint64_t)(options.warm_s * 1e6));
            measure_usage(&begin);
            window_began_us = now_us();
            measuring = 1;
            viewers_stall();
            stream_until(window_began_us + (uint64_t)(options.window_s * 1e6));
            measuring = 0;
            seconds = (now_us() - window_began_us) / 1e6;
            measure_usage(&end);
        }
        finish();
    }
    report(&start, &idle, &begin, &end, joined_s, seconds);
    return 0;
}
