/* A stand-in for libnvidia-ml.so.1 with the functions that Easel calls.
 *
 * NVML_STUB_CARDS   comma-separated kinds of card: whole, mig, lost, bare (tells no optional reading)
 * NVML_STUB_LOST    a file; while it exists, card 0 is lost
 * NVML_STUB_GONE    a file; while it exists, card 0 is not listed, and the others move up
 * NVML_STUB_ECC     a file "INDEX ERRORS": what the card says of errors that could not be corrected
 * NVML_STUB_OLD     set: a driver from before 535, which calls reasons for low clocks by their older name
 * NVML_STUB_XID     a file "INDEX XID"; the event is handed out once and the file removed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TIMEOUT = 10, NO_DRIVER = 9, LOST = 15 };
enum { MAX_CARDS = 16, PARTS = 2 };

struct card { int index; int part; char kind[16]; };
struct utilisation { unsigned gpu, memory; };
struct memory { unsigned long long total, free, used; };
struct event { struct card *device; unsigned long long type, data; unsigned gpu_instance, compute_instance; };

static struct card cards[MAX_CARDS], parts[MAX_CARDS][PARTS];
static unsigned count;
static int event_set;

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    const char *kinds = getenv("NVML_STUB_CARDS");
    if (!kinds) return NO_DRIVER;
    char text[256];
    snprintf(text, sizeof text, "%s", kinds);
    count = 0;
    for (char *kind = strtok(text, ","); kind && count < MAX_CARDS; kind = strtok(NULL, ","), count++) {
        cards[count].index = (int)count;
        cards[count].part = -1;
        snprintf(cards[count].kind, sizeof cards[count].kind, "%s", kind);
        for (int part = 0; part < PARTS; part++) {
            parts[count][part] = cards[count];
            parts[count][part].part = part;
        }
    }
    return SUCCESS;
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case NO_DRIVER: return "Driver Not Loaded";
    case LOST: return "GPU is lost";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case TIMEOUT: return "Timeout";
    default: return "Unknown Error";
    }
}

static int is(const struct card *card, const char *kind) { return strcmp(card->kind, kind) == 0; }

static int lost(const struct card *card) {
    const char *file = getenv("NVML_STUB_LOST");
    return is(card, "lost") || (card->index == 0 && file && access(file, F_OK) == 0);
}

static unsigned gone(void) {
    const char *file = getenv("NVML_STUB_GONE");
    return file && access(file, F_OK) == 0 ? 1 : 0;
}

static void uuid_of(const struct card *card, char *text, unsigned size) {
    if (card->part < 0) snprintf(text, size, "GPU-%d", card->index);
    else snprintf(text, size, "MIG-%d-%d", card->index, card->part);
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    snprintf(text, size, "570.86.10");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *found) {
    *found = count - gone();
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct card **found) {
    index += gone();
    if (index >= count) return INVALID;
    *found = &cards[index];
    return lost(&cards[index]) ? LOST : SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct card **found) {
    char text[80];
    for (unsigned index = 0; index < count; index++) {
        for (int part = -1; part < PARTS; part++) {
            *found = part < 0 ? &cards[index] : &parts[index][part];
            uuid_of(*found, text, sizeof text);
            if (strcmp(text, uuid) == 0) return lost(*found) ? LOST : SUCCESS;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(struct card *card, char *text, unsigned size) {
    snprintf(text, size, card->part < 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA H100 80GB HBM3 MIG 3g.40gb");
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct card *card, char *text, unsigned size) {
    if (lost(card)) return LOST;
    uuid_of(card, text, size);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(struct card *card, struct memory *memory) {
    memory->total = (card->part < 0 ? 80ULL : 40ULL) << 30;
    memory->used = 5ULL << 30;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(struct card *card, unsigned *current, unsigned *pending) {
    if (is(card, "bare")) return NOT_SUPPORTED;
    *current = *pending = is(card, "mig") ? 1 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(struct card *card, unsigned *most) {
    (void)card;
    *most = PARTS + 1;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct card *card, unsigned part, struct card **found) {
    if (part >= PARTS) return NOT_FOUND;
    *found = &parts[card->index][part];
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(struct card *card, struct utilisation *rates) {
    if (is(card, "bare") || card->part >= 0) return NOT_SUPPORTED;
    rates->gpu = 42;
    rates->memory = 17;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct card *card, unsigned *milliwatts) {
    if (is(card, "bare")) return NOT_SUPPORTED;
    *milliwatts = 350400;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(struct card *card, unsigned sensor, unsigned *celsius) {
    if (is(card, "bare") || sensor != 0) return NOT_SUPPORTED;
    *celsius = 61;
    return SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(struct card *card, unsigned type, unsigned counter, unsigned long long *errors) {
    if (is(card, "bare") || counter != 0) return NOT_SUPPORTED;
    const char *path = getenv("NVML_STUB_ECC");
    FILE *file = path && type == 1 ? fopen(path, "r") : NULL;
    int index;
    *errors = type == 0 ? 3 : 0;
    if (file) {
        if (fscanf(file, "%d %llu", &index, errors) != 2 || index != card->index) *errors = 0;
        fclose(file);
    }
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(struct card *card, unsigned kind, unsigned *megahertz) {
    if (is(card, "bare") || (kind != 1 && kind != 2)) return NOT_SUPPORTED;
    *megahertz = kind == 1 ? 1980 : 2619;
    return SUCCESS;
}

/* Idle, held by the power cap, and slowed down for its temperature by the hardware. */
static int reasons(const struct card *card, unsigned long long *bits) {
    if (is(card, "bare")) return NOT_SUPPORTED;
    *bits = 0x1 | 0x4 | 0x40;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(struct card *card, unsigned long long *bits) {
    return getenv("NVML_STUB_OLD") ? NOT_SUPPORTED : reasons(card, bits);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct card *card, unsigned long long *bits) {
    return getenv("NVML_STUB_OLD") ? reasons(card, bits) : NOT_SUPPORTED;
}

int nvmlEventSetCreate(void **set) {
    *set = &event_set;
    return SUCCESS;
}

int nvmlEventSetFree(void *set) {
    (void)set;
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(struct card *card, unsigned long long types, void *set) {
    (void)set;
    return is(card, "bare") || types != 8 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlEventSetWait_v2(void *set, struct event *event, unsigned milliseconds) {
    (void)set;
    const char *path = getenv("NVML_STUB_XID");
    for (unsigned waited = 0; waited < milliseconds; waited += 5, usleep(5000)) {
        FILE *file = path ? fopen(path, "r") : NULL;
        int index;
        unsigned long long xid;
        if (!file) continue;
        int read = fscanf(file, "%d %llu", &index, &xid);
        fclose(file);
        if (read != 2) continue;
        unlink(path);
        *event = (struct event){.device = &cards[index], .type = 8, .data = xid};
        return SUCCESS;
    }
    return TIMEOUT;
}
