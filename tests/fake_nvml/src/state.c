/*
 * The state file: read again when it has changed, and parsed into one block of values.
 *
 * One fact a line, tokens parted by one space, text percent-encoded, "-" for an empty one. `gpu`, `gi` and `mig` open an
 * entity; `set`, `gpm`, `process` and `profile` lines belong to the one opened last (profiles: to the GPU).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fake.h"

#define TOKENS 16

/* Append one zeroed element and return it. */
#define PUSH(list) \
    ((list).count < (list).room \
         ? &(list).items[(list).count++] \
         : ((list).items = grow((list).items, &(list).room, sizeof *(list).items), &(list).items[(list).count++]))

struct line {
    char *token[TOKENS];
    int count;
};

struct parser {
    struct state *state;
    struct gpu *gpu;
    struct entity *at;
};

static void *grow(void *items, size_t *room, size_t size) {
    size_t before = *room;
    *room = before ? 2 * before : 8;
    char *bigger = realloc(items, *room * size);
    if (!bigger) die("out of memory");
    memset(bigger + before * size, 0, (*room - before) * size);
    return bigger;
}

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    die("state file: bad percent-encoding");
}

static char *decode(char *token) {
    if (strcmp(token, "-") == 0) return strcpy(token, "");
    char *out = token;
    for (const char *in = token; *in; in++) {
        if (*in == '%' && in[1] && in[2]) {
            *out++ = (char)(hex(in[1]) << 4 | hex(in[2]));
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return token;
}

static uint64_t number(const char *token) {
    char *end;
    errno = 0;
    uint64_t value = strtoull(token, &end, 10);
    if (errno || end == token || *end) die("state file: \"%s\" is no number", token);
    return value;
}

static unsigned small(const char *token) {
    return (unsigned)number(token);
}

static void need(const struct line *line, int count) {
    if (line->count != count) die("state file: \"%s\" has %d words, not %d", line->token[0], line->count, count);
}

static void parse_set(struct parser *parser, struct line *line) {
    need(line, 3);
    struct value *value = PUSH(parser->at->values);
    value->key = line->token[1];
    value->text = line->token[2];
    if (line->token[2][0] == '!') {
        value->code = (int)number(line->token[2] + 1);
        return;
    }
    value->number = strtoull(line->token[2], NULL, 10);
    decode(line->token[2]);
}

static void parse_gpm(struct parser *parser, struct line *line) {
    need(line, 3);
    struct metric *metric = PUSH(parser->at->metrics);
    metric->id = small(line->token[1]);
    if (line->token[2][0] == '!')
        metric->code = (int)number(line->token[2] + 1);
    else
        metric->value = strtod(line->token[2], NULL);
}

static void parse_process(struct parser *parser, struct line *line) {
    need(line, 7);
    struct process *process = PUSH(parser->at->processes);
    process->kind = line->token[1][0];
    process->pid = small(line->token[2]);
    process->has_memory = strcmp(line->token[3], "-") != 0;
    process->memory = process->has_memory ? number(line->token[3]) : 0;
    process->sm = small(line->token[4]);
    process->mem = small(line->token[5]);
    process->stamped = strcmp(line->token[6], "-") != 0;
    process->timestamp = process->stamped ? number(line->token[6]) : 0;
}

static void parse_profile(struct parser *parser, struct line *line) {
    need(line, 13);
    if (!parser->gpu) die("state file: a profile before the first GPU");
    struct profile *profile = PUSH(parser->gpu->profiles);
    profile->name = decode(line->token[1]);
    unsigned *fields[] = {&profile->index,    &profile->id,         &profile->slices,
                          &profile->sm_count, &profile->memory_mib, &profile->instances};
    for (int i = 0; i < 6; i++) *fields[i] = small(line->token[2 + i]);
    for (int i = 0; i < 5; i++) profile->engines[i] = small(line->token[8 + i]);
}

static void parse_gpu(struct parser *parser, struct line *line) {
    need(line, 2);
    parser->gpu = PUSH(parser->state->gpus);
    parser->gpu->uuid = decode(line->token[1]);
    parser->gpu->index = (unsigned)parser->state->gpus.count - 1;
    parser->at = &parser->gpu->entity;
}

static void parse_gi(struct parser *parser, struct line *line) {
    need(line, 2);
    if (!parser->gpu) die("state file: a GPU instance before the first GPU");
    struct gi *gi = PUSH(parser->gpu->instances);
    gi->id = small(line->token[1]);
    parser->at = &gi->entity;
}

static void parse_mig(struct parser *parser, struct line *line) {
    need(line, 5);
    if (!parser->gpu) die("state file: a MIG device before the first GPU");
    struct mig *mig = PUSH(parser->gpu->migs);
    mig->uuid = decode(line->token[1]);
    mig->index = small(line->token[2]);
    mig->gi = small(line->token[3]);
    mig->ci = small(line->token[4]);
    parser->at = &mig->entity;
}

static void parse_event(struct parser *parser, struct line *line) {
    need(line, 7);
    struct event *event = PUSH(parser->state->events);
    event->sequence = number(line->token[1]);
    event->gpu = decode(line->token[2]);
    event->gi = small(line->token[3]);
    event->ci = small(line->token[4]);
    event->type = number(line->token[5]);
    event->data = number(line->token[6]);
}

static void parse_fault(struct parser *parser, struct line *line) {
    static const char *const effects[] = {"code", "hang", "delay"};
    need(line, 5);
    struct fault *fault = PUSH(parser->state->faults);
    fault->call = decode(line->token[1]);
    fault->device = decode(line->token[2]);
    fault->amount = small(line->token[4]);
    for (int i = 0; i < 3; i++) {
        if (strcmp(line->token[3], effects[i]) == 0) {
            fault->effect = (enum effect)i;
            return;
        }
    }
    die("state file: unknown effect \"%s\"", line->token[3]);
}

static void parse_line(struct parser *parser, struct line *line) {
    static const struct {
        const char *word;
        void (*parse)(struct parser *, struct line *);
    } lines[] = {{"set", parse_set},         {"gpm", parse_gpm},   {"process", parse_process},
                 {"profile", parse_profile}, {"gpu", parse_gpu},   {"gi", parse_gi},
                 {"mig", parse_mig},         {"event", parse_event}, {"fault", parse_fault}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strcmp(line->token[0], lines[i].word) == 0) {
            lines[i].parse(parser, line);
            return;
        }
    }
    die("state file: unknown line \"%s\"", line->token[0]);
}

static struct line split(char *text) {
    struct line line = {.count = 0};
    char *rest = NULL;
    for (char *token = strtok_r(text, " ", &rest); token; token = strtok_r(NULL, " ", &rest)) {
        if (line.count == TOKENS) die("state file: a line of more than %d words", TOKENS);
        line.token[line.count++] = token;
    }
    return line;
}

struct state *state_parse(char *text) {
    struct state *state = calloc(1, sizeof *state);
    if (!state) die("out of memory");
    state->text = text;
    struct parser parser = {.state = state, .at = &state->entity};
    char *rest = NULL;
    char *first = strtok_r(text, "\n", &rest);
    if (!first || strcmp(first, "fake-nvml 1") != 0) die("state file: not of this version");
    for (char *row = strtok_r(NULL, "\n", &rest); row; row = strtok_r(NULL, "\n", &rest)) {
        struct line line = split(row);
        if (line.count) parse_line(&parser, &line);
    }
    return state;
}

static void entity_free(struct entity *entity) {
    free(entity->values.items);
    free(entity->metrics.items);
    free(entity->processes.items);
}

void state_free(struct state *state) {
    if (!state) return;
    for (size_t i = 0; i < state->gpus.count; i++) {
        struct gpu *gpu = &state->gpus.items[i];
        for (size_t j = 0; j < gpu->instances.count; j++) entity_free(&gpu->instances.items[j].entity);
        for (size_t j = 0; j < gpu->migs.count; j++) entity_free(&gpu->migs.items[j].entity);
        entity_free(&gpu->entity);
        free(gpu->profiles.items);
        free(gpu->instances.items);
        free(gpu->migs.items);
    }
    entity_free(&state->entity);
    free(state->gpus.items);
    free(state->events.items);
    free(state->faults.items);
    free(state->text);
    free(state);
}

static char *slurp(const char *path, struct stat *seen) {
    FILE *file = fopen(path, "re");
    if (!file) return NULL;
    char *text = NULL;
    if (fstat(fileno(file), seen) == 0 && (text = malloc((size_t)seen->st_size + 1))) {
        size_t length = fread(text, 1, (size_t)seen->st_size, file);
        text[length] = '\0';
    }
    fclose(file);
    return text;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static unsigned story;

unsigned state_story(void) {
    return story;
}

static void follow(const char *path) {
    static char *followed;
    if (followed && strcmp(followed, path) == 0) return;
    free(followed);
    followed = strdup(path);
    story++;
}

struct state *state_now(void) {
    static struct state *current;
    static struct stat seen;
    const char *path = getenv("SLICEWATCH_FAKE_NVML_STATE");
    struct stat now;
    if (!path || stat(path, &now) != 0) {
        state_free(current);
        return current = NULL;
    }
    follow(path);
    if (current && same_file(&now, &seen)) return current;
    char *text = slurp(path, &now);
    state_free(current);
    current = NULL;
    if (text) {
        current = state_parse(text);
        seen = now;
    }
    return current;
}
