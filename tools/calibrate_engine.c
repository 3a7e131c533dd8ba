/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate.h"

#include <stdio.h>
#include <string.h>

#include "calibrate_probe.h"
#include "fit.h"

/* The host's engine: one constant after the other, each value against the one in use in interleaved rounds. What is not
 * clearly better changes nothing, so that noise does not. */

#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define NPROBES 3 /* of each size */
#define MAX_SIZES 10
#define THREADS "cpu.thread_"

/* Constants with a size from which something is done. */
static const struct {
    const char *name;
    probe_kind kinds[NPROBES];
    int nkinds;
    int is_of_caches;
} thresholds[] = {
    {"cpu.stream_nbytes", {PROBE_ROWS, PROBE_ITEMS}, 2, 1},
    {"cpu.stream_conflict_nbytes", {PROBE_TRANSPOSED}, 1, 1}, /* whose sides are powers of two */
    {"cpu.rep_movsb_nbytes", {PROBE_ROWS}, 1, 0},
    {"cpu.strip_prefetch_nbytes", {PROBE_TRANSPOSED}, 1, 0},
    {"cpu.thread_nbytes", {PROBE_ROWS, PROBE_ITEMS, PROBE_TRANSPOSED}, 3, 0},
};

/* Constants that are amounts: multiples of what is in use are tried. */
static const struct {
    const char *name;
    probe_kind kinds[NPROBES];
    int nkinds;
    int64_t nbytes; /* of the copies */
} amounts[] = {
    {"cpu.stream_ways", {PROBE_ROWS, PROBE_ITEMS}, 2, 16 * MIB},
    {"cpu.stream_prefetch_nbytes", {PROBE_ROWS, PROBE_ITEMS}, 2, 16 * MIB},
    {"cpu.step_prefetch_nbytes", {PROBE_ITEMS}, 1, 16 * MIB},
    {"cpu.thread_share_nbytes", {PROBE_ROWS, PROBE_TRANSPOSED}, 2, 4 * MIB},
    {"cpu.send_nbytes", {PROBE_TRANSPOSED}, 1, 16 * MIB},
    {"cpu.line_prefetch_nbytes", {PROBE_TRANSPOSED}, 1, 16 * MIB},
    {"cpu.panel_nbytes", {PROBE_TRANSPOSED}, 1, 1 * MIB},
    {"cpu.panel_lines", {PROBE_TRANSPOSED}, 1, 1 * MIB},
    {"cpu.strip_nbytes", {PROBE_TRANSPOSED}, 1, 1 * MIB},
    {"cpu.strip_rows", {PROBE_TRANSPOSED}, 1, 1 * MIB},
    {"cpu.tile_rows", {PROBE_TRANSPOSED}, 1, 1 * MIB},
};

static ndbuf_status engine_probe(probe *out_probe, probe_kind kind, int64_t nbytes, ndbuf_error *err)
{
    ndbuf_device *cpu = ndbuf_device_cpu();
    int64_t side = 256; /* of a square of 4-byte items, about */
    while (kind == PROBE_TRANSPOSED && side * side * 16 <= nbytes) {
        side *= 2;
    }
    int64_t nrows = kind == PROBE_TRANSPOSED ? nbytes / (4 * side) : 1;
    return probe_init(out_probe, kind, nrows, kind == PROBE_TRANSPOSED ? 4 * side : nbytes, cpu, cpu, err);
}

/* The time with one value over that with another one, the median of the rounds; out_late: of the second half of them.
 */
static ndbuf_status compare_values(const calibration *self, const char *name, const double values[2], const probe *copy,
                                   double *out_ratio, double *out_late, ndbuf_error *err)
{
    double ratios[PROBE_MAX_ROUNDS];
    double late[PROBE_MAX_ROUNDS];
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = ndbuf_copy_plan_create(&copy->dst, &copy->src, NDBUF_CASTING_EQUIV, 0, &plan, err);
    int nlate = 0;
    for (int round = -1; round < self->rounds && status == NDBUF_OK; round++) {
        double ns[2];
        for (int k = 0; k < 2 && status == NDBUF_OK; k++) {
            int which = (k + round) & 1;
            status = ndbuf_tuning_set(name, values[which], err);
            ns[which] = status == NDBUF_OK ? probe_time_used(copy, plan) : 1;
        }
        if (round >= 0 && status == NDBUF_OK) { /* the one before is for warming up */
            ratios[round] = ns[0] / ns[1];
            if (round >= self->rounds / 2) {
                late[nlate++] = ratios[round];
            }
        }
    }
    ndbuf_copy_plan_destroy(plan);
    if (status == NDBUF_OK) {
        *out_ratio = probe_median(ratios, self->rounds);
        *out_late = probe_median(late, nlate);
    }
    return status;
}

/* The ratio of that kind of copies, of one size, that gains least. */
static ndbuf_status compare_all(const calibration *self, const char *name, const double values[2],
                                const probe_kind *kinds, int nkinds, int64_t nbytes, double *out_ratio,
                                double *out_late, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    *out_ratio = 0;
    *out_late = 0;
    for (int k = 0; k < nkinds && status == NDBUF_OK; k++) {
        probe copy;
        double ratio = 1;
        double late = 1;
        status = engine_probe(&copy, kinds[k], nbytes, err);
        if (status == NDBUF_OK) {
            status = compare_values(self, name, values, &copy, &ratio, &late, err);
            probe_clear(&copy);
        }
        *out_ratio = ratio > *out_ratio ? ratio : *out_ratio;
        *out_late = late > *out_late ? late : *out_late;
    }
    return status;
}

static void tell(const char *name, double before, double after, double ratio)
{
    if (before == after) {
        fprintf(stderr, "  %-28s %.0f stays\n", name, before);
    } else {
        fprintf(stderr, "  %-28s %.0f -> %.0f: %.0f %% less time\n", name, before, after, 100 * (1 - ratio));
    }
}

/* Where doing it pays from: it is done, and not done, at every size. */
static ndbuf_status find_threshold(const calibration *self, int index, ndbuf_error *err)
{
    const char *name = thresholds[index].name;
    ndbuf_tuning_entry entry = {.max = 0};
    double before = 0;
    double ratios[MAX_SIZES];
    ndbuf_status status = ndbuf_tuning_get(name, &before, err);
    for (int32_t k = 0; k < ndbuf_tuning_count() && status == NDBUF_OK; k++) {
        ndbuf_tuning_entry other;
        if (ndbuf_tuning_entry_get(k, &other, NULL) == NDBUF_OK && strcmp(other.name, name) == 0) {
            entry = other;
        }
    }
    const double on_off[2] = {entry.min > 1 ? entry.min : 1, entry.max};
    const int64_t first = 128 * KIB;
    int nsizes = self->is_quick ? 2 : 9;
    int nkinds = thresholds[index].nkinds;
    for (int k = 0; k < nsizes && status == NDBUF_OK; k++) {
        double late = 1;
        status = compare_all(self, name, on_off, thresholds[index].kinds, nkinds, first << k, &ratios[k], &late, err);
        ratios[k] = (ratios[k] < 1) == (late < 1) ? ratios[k] : 1; /* undecided */
    }
    if (status != NDBUF_OK) {
        return status;
    }
    const fit_threshold_input input = {.ratios = ratios,
                                       .nsizes = nsizes,
                                       .first = (double)first,
                                       .before = before,
                                       .never = entry.max,
                                       .is_of_caches = thresholds[index].is_of_caches};
    double best = 1;
    const double after = fit_threshold(&input, &best);
    tell(name, before, after, best);
    return ndbuf_tuning_set(name, after, err);
}

static ndbuf_status find_amount(const calibration *self, int index, ndbuf_error *err)
{
    static const double multiples[] = {0.25, 0.5, 2, 4};
    const char *name = amounts[index].name;
    double before = 0;
    ndbuf_status status = ndbuf_tuning_get(name, &before, err);
    double after = before;
    int nkinds = amounts[index].nkinds;
    double best = FIT_CLEARLY;
    for (size_t k = 0; k < sizeof(multiples) / sizeof(multiples[0]) && status == NDBUF_OK; k++) {
        double ratio = 1;
        double late = 1;
        const double values[2] = {(double)(int64_t)(before * multiples[k]), before};
        if (values[0] == before || ndbuf_tuning_set(name, values[0], NULL) != NDBUF_OK) {
            continue; /* outside its limits */
        }
        int64_t nbytes = self->is_quick ? 256 * KIB : amounts[index].nbytes;
        status = compare_all(self, name, values, amounts[index].kinds, nkinds, nbytes, &ratio, &late, err);
        if (ratio < best && late < FIT_CLEARLY) {
            best = ratio;
            after = values[0];
        }
    }
    if (status == NDBUF_OK) {
        tell(name, before, after, best);
        status = ndbuf_tuning_set(name, after, err);
    }
    return status;
}

static ndbuf_status find_all(const calibration *self, int of_threads, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    for (size_t k = 0; k < sizeof(thresholds) / sizeof(thresholds[0]) && status == NDBUF_OK; k++) {
        if ((strncmp(thresholds[k].name, THREADS, strlen(THREADS)) == 0) == of_threads) {
            status = find_threshold(self, (int)k, err);
        }
    }
    for (size_t k = 0; k < sizeof(amounts) / sizeof(amounts[0]) && status == NDBUF_OK; k++) {
        if ((strncmp(amounts[k].name, THREADS, strlen(THREADS)) == 0) == of_threads) {
            status = find_amount(self, (int)k, err);
        }
    }
    return status;
}

/* One thread first, since the others come and go as the system likes. */
ndbuf_status calibrate_engine(const calibration *self, ndbuf_error *err)
{
    static const char name[] = THREADS "nbytes";
    double thread_nbytes = 0;
    fprintf(stderr, "the host's engine\n");
    ndbuf_status status = ndbuf_tuning_get(name, &thread_nbytes, err);
    if (status == NDBUF_OK) {
        status = ndbuf_tuning_set(name, (double)((int64_t)1 << 62), err);
    }
    if (status == NDBUF_OK) {
        status = find_all(self, 0, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_tuning_set(name, thread_nbytes, err);
    }
    return status == NDBUF_OK ? find_all(self, 1, err) : status;
}
